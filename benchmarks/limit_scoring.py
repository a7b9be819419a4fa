"""What `limit.py` counts: found objects, false tracks, their intervals, and the rate at which half of the objects are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

NEAR_PX = 5.0
"""A track is near an object within this distance."""
STEP_S = 0.1
"""Step in which tracks are compared with labels."""
OWN_SHARE = 0.5
"""Share of its own life that a track must be near an object to have found it; near any object, not to be false."""
FOUND_S, FOUND_SHARE = 1.0, 0.25
"""An object is found by a track that is near it for this long, or for this share of the time in view, whichever is shorter."""
LEVEL = 0.95
"""Of all intervals."""


@dataclass(frozen=True, eq=False)
class Track:
    """What a detector calls an object, or might call one.

    Attributes:
        t_us: float64 (n,), rising.
        positions: float64 (n, 2), x, y, px; straight lines in between.
        score: how surely it is one; detectors without a scale of their own give any.
    """

    t_us: np.ndarray
    positions: np.ndarray
    score: float = 1.0


@dataclass(frozen=True)
class Judged:
    """A recording's answer against its labels: objects in view, how many of them were found, and false tracks."""

    objects: int
    found: int
    false: int


def judged(tracks: Sequence[Track], labels: np.ndarray) -> Judged:
    """Count found objects and false tracks, by the constants above; the same rule for all detectors.

    Args:
        tracks: those that the detector calls objects.
        labels: LABEL_DTYPE, on a grid of 0.1 s while an object is in view.
    """
    objects = [labels[labels["id"] == number] for number in np.unique(labels["id"])]
    found, false = [False] * len(objects), 0
    for track in tracks:
        life_s = float(track.t_us[-1] - track.t_us[0]) * 1e-6
        times = np.linspace(track.t_us[0], track.t_us[-1], max(2, round(life_s / STEP_S) + 1))
        path = np.stack([np.interp(times, track.t_us, track.positions[:, axis]) for axis in (0, 1)], 1)
        near = np.array([_distance(path, times, own) <= NEAR_PX for own in objects]).reshape(len(objects), len(times))
        for number, own in enumerate(objects):
            share = near[number].mean()
            needed_s = min(FOUND_S, FOUND_SHARE * len(own) * STEP_S)
            found[number] |= bool(share >= OWN_SHARE and share * life_s >= needed_s)
        false += not near.any(0).mean() >= OWN_SHARE
    return Judged(len(objects), sum(found), false)


def _distance(path: np.ndarray, times: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Distance (n,) of a path (n, 2) at times (n,) µs from an object; inf when no label is within STEP_S."""
    after = np.clip(np.searchsorted(labels["t"], times), 1, max(len(labels) - 1, 1))
    gap = np.minimum(np.abs(times - labels["t"][after - 1]), np.abs(times - labels["t"][np.minimum(after, len(labels) - 1)]))
    own = np.stack([np.interp(times, labels["t"], labels[axis]) for axis in "xy"], 1)
    return np.where(gap <= STEP_S * 1e6, np.hypot(*(path - own).T), np.inf)


def share_interval(found: int, objects: int) -> tuple[float, float]:
    """Wilson's interval of a share, by LEVEL. Raises ValueError without objects."""
    interval = stats.binomtest(found, objects).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def rate_interval(count: int, minutes: float) -> tuple[float, float]:
    """The exact (Garwood) interval of a Poisson rate, per minute, by LEVEL."""
    low = stats.chi2.ppf((1 - LEVEL) / 2, 2 * count) / 2 if count else 0.0
    return float(low / minutes), float(stats.chi2.ppf((1 + LEVEL) / 2, 2 * count + 2) / 2 / minutes)


# -- the rate at which half are found -----------------------------------------------------------------


BEYOND = 1.0
"""The fit looks this far, in the logarithm of the rate, below the lowest and above the highest rate measured."""
CENTRES = 601
SLOPES = np.geomspace(0.5, 20.0, 24)
"""Slopes of the logistic in the logarithm of the rate; the steepest goes from 10 to 90 % within 1 dB."""
AT_ONCE = 200
"""Samples that are fitted together, which bounds the memory."""


def half_rates(rates_hz: np.ndarray, found: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """The rate at which half of the objects are found: that of the logistic in ln rate that is most likely. float64 (B,).

    Args:
        rates_hz: float64 (R,), rising.
        found: (B, R), how many objects were found, by sample and rate.
        objects: (B, R), of how many.

    Returns:
        inf or 0 where it lies beyond what was measured: the fit is above the highest or below the lowest rate.
    """
    centres = _centres(rates_hz)
    best = np.concatenate(
        [_profiles(rates_hz, found[k : k + AT_ONCE], objects[k : k + AT_ONCE]).argmax(1) for k in range(0, len(found), AT_ONCE)]
    )
    return _within(centres[best], rates_hz)


def likely_half_rates(rates_hz: np.ndarray, found: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """The lowest and the highest rate at which half may be found, by the likelihood ratio at LEVEL: float64 (2,).

    Args: those of `half_rates`, (R,) each, of one sample; inf and 0 mean the same."""
    centres, profile = _centres(rates_hz), _profiles(rates_hz, found[None], objects[None])[0]
    likely = centres[profile >= profile.max() - stats.chi2.ppf(LEVEL, 1) / 2]
    return _within(likely[[0, -1]], rates_hz)


def _centres(rates_hz: np.ndarray) -> np.ndarray:
    """Logarithms of the rates that are tried: float64 (CENTRES,)."""
    return np.linspace(np.log(rates_hz[0]) - BEYOND, np.log(rates_hz[-1]) + BEYOND, CENTRES)


def _profiles(rates_hz: np.ndarray, found: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """Log-likelihood (B, CENTRES) of each centre with the slope that suits it best."""
    argument = SLOPES * (np.log(rates_hz)[:, None, None] - _centres(rates_hz)[:, None])
    log_found, log_missed = (special.log_expit(sign * argument).reshape(len(rates_hz), -1) for sign in (1, -1))
    return np.asarray((found @ log_found + (objects - found) @ log_missed).reshape(len(found), CENTRES, len(SLOPES)).max(2))


def _within(log_rate: np.ndarray, rates_hz: np.ndarray) -> np.ndarray:
    """The rates; inf above the highest measured and 0 below the lowest."""
    rate = np.exp(log_rate)
    return np.where(rate > rates_hz[-1], np.inf, np.where(rate < rates_hz[0], 0.0, rate))


def half_rate(
    rates_hz: np.ndarray, found: Sequence[np.ndarray], objects: Sequence[np.ndarray], seed: int = 0, samples: int = 1000
) -> tuple[float, float, float]:
    """The rate at which half are found, and its interval: the bootstrap's over recordings, drawn anew within each rate, or the
    likelihood ratio's, whichever end is further out; where all are found at one rate and none at the next, the bootstrap sees no
    spread.

    Args:
        rates_hz: (R,), rising.
        found: by rate, int (N,): how many objects of each recording were found.
        objects: by rate, int (N,): of how many.
        seed: of the bootstrap.
        samples: of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    drawn_found, drawn_objects = (np.zeros((samples + 1, len(rates_hz))) for _ in range(2))
    for k, (own_found, own_objects) in enumerate(zip(found, objects, strict=True)):
        chosen = np.concatenate([np.arange(len(own_found))[None], rng.integers(0, len(own_found), (samples, len(own_found)))])
        drawn_found[:, k], drawn_objects[:, k] = own_found[chosen].sum(1), own_objects[chosen].sum(1)
    fitted = half_rates(rates_hz, drawn_found, drawn_objects)
    drawn = np.quantile(fitted[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="nearest")
    likely = likely_half_rates(rates_hz, drawn_found[0], drawn_objects[0])
    return float(fitted[0]), float(min(drawn[0], likely[0])), float(max(drawn[1], likely[1]))
