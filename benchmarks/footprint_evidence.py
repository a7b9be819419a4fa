"""What `footprint.py` asks of footprints without a search: what they are worth in expectation, and along paths that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from footprint_scoring import ALLOWED_PER_MINUTE, counted_samples, evidence, evidence_samples, interval
from scipy.ndimage import map_coordinates
from scipy.optimize import brentq
from scipy.stats import norm

from spikeseg.detection.moving import Prepared
from spikeseg.motion.footprint import REACH, Footprint
from spikeseg.motion.probability import threshold_nats
from spikeseg.motion.scales import MEDIUM
from spikeseg.motion.search import MotionSearch, SearchSettings
from spikeseg.simulation.limit import LimitConfig

FARTHEST_DB = 30.0
"""Differences of information beyond this are not looked for."""
STEP_PX = 0.1
"""Between the places at which densities are taken."""
PLACES = np.arange(-REACH + STEP_PX / 2, REACH, STEP_PX)
"""Their distances from the path, px: across and along the motion."""
FAR_PX = 5.0
"""A line that ends farther from the object along either axis is not its."""


# -- in expectation -----------------------------------------------------------------------------------


def sent(displacement_px: float, sigma_px: float = 1.0) -> np.ndarray:
    """Share of an object's events per px², by polarity and place, as `simulate --kind limit` draws them: float64 (2, n, n) at
    PLACES, OFF, then ON. Pixels take what falls on them; the motion is along one of their axes."""
    across, *along = (
        _on_a_pixel((PLACES - move) / sigma_px, 0.5 / sigma_px) for move in (0.0, -displacement_px, displacement_px)
    )
    return np.stack([0.5 * across[:, None] * part for part in along])


def _on_a_pixel(place: np.ndarray, half: float) -> np.ndarray:
    return np.asarray(norm.cdf(place + half) - norm.cdf(place - half))


def searched(footprint: Footprint) -> np.ndarray:
    """The same of a footprint as the search takes it: between the places of its table (`line_kernels.density`)."""
    table = footprint.table(LimitConfig().sensor_size)
    at = np.meshgrid(*[(PLACES + REACH) * table.per_px] * 2, indexing="ij")
    return np.stack([map_coordinates(part, at, order=1) for part in table.density[:2]])


def information(rate_hz: float, noise_hz: float, true: np.ndarray, model: np.ndarray) -> float:
    """Log-likelihood ratio that a second of an object is expected to give, nat: of Poisson events whose place and polarity follow
    `true`, under `model`.

    Args:
        rate_hz: of the object, events/s; the model knows it.
        noise_hz: of the background, events/s per pixel and polarity.
        true: (2, n, n), where events lie, by density at PLACES.
        model: (2, n, n), where they are taken to lie.
    """
    area, signal = STEP_PX**2, rate_hz * model
    return evidence(area * (noise_hz + rate_hz * true), signal, noise_hz, float(signal.sum()) * area)


def information_db(rate_hz: float, noise_hz: float, true: np.ndarray, model: np.ndarray) -> float:
    """By how much brighter objects must be for as much `information` under the model as under the truth at this rate: dB, 0 for
    the truth; inf beyond FARTHEST_DB. No recordings: what a perfect search could win."""
    wanted = information(rate_hz, noise_hz, true, true)

    def missing(db: float) -> float:
        return wanted - information(rate_hz * 10 ** (db / 10), noise_hz, true, model)

    return max(0.0, float(brentq(missing, -1.0, FARTHEST_DB))) if missing(FARTHEST_DB) <= 0 else float("inf")


def expected(
    displacement: float, noise_hz: float, shown: Sequence[Mapping[str, Footprint]], rates: Sequence[float]
) -> dict[str, Any]:
    """Of every footprint, and of the flat box, how much brighter objects must be for the information of the truth.

    Args:
        displacement: of ON and OFF events, px.
        noise_hz: of a pixel, events/s.
        shown: by network, its footprints.
        rates: events/s; that in their middle is taken.

    Returns:
        By name: mean, least and most of the networks, dB; None beyond what is looked for.
    """
    rate, true, found = float(np.exp(np.mean(np.log(rates)))), sent(displacement), {}
    for name in shown[0]:
        db = [information_db(rate, noise_hz / 2, true, searched(own[name])) for own in shown]
        found[name] = [value if np.isfinite(value) else None for value in (float(np.mean(db)), min(db), max(db))]
    return found


# -- along paths that are known -----------------------------------------------------------------------


class Gathered(NamedTuple):
    """Of one footprint and recording, nat: evidence along the true path, and that of the best line of those that are looked for
    where the object is, once a second."""

    along: float
    told: float


def gathered(labels: np.ndarray, start: Prepared, footprint: Footprint) -> Gathered:
    """What a footprint gathers of a recording's object.

    Args:
        labels: LABEL_DTYPE, of that object.
        start: the prepared recording.
        footprint: that is asked for.
    """
    if len(labels) < 3:
        return Gathered(0.0, 0.0)
    t_s, place = labels["t"] * 1e-6, np.stack([labels["x"], labels["y"]], 1)
    states = np.hstack([place, np.gradient(place, t_s, axis=0)])
    settings = SearchSettings((MEDIUM,), 0.0, 0.0)
    search = MotionSearch(start.events, start.by_place, start.stars.sight, start.sensor_size, footprint, settings)
    path, told = search.along(t_s, states), 0.0
    for now in np.arange(np.ceil(t_s[0]) + MEDIUM.interval_s, t_s[-1], MEDIUM.interval_s):
        at = np.array([np.interp(now, t_s, column) for column in states.T])
        line = search.refined(MEDIUM, now, at)
        if line is not None and np.abs(line[:2] - at[:2]).max() <= FAR_PX:
            told = max(told, float(line[7]))
    return Gathered(0.0 if path is None else float(path.nats.sum()), told)


def compared(
    rates: Sequence[float],
    by_rate: Sequence[Sequence[Mapping[str, Gathered]]],
    chosen: Sequence[np.ndarray],
    sensor_size: tuple[int, int],
) -> dict[str, Any]:
    """Of every footprint, how much brighter objects must be for the evidence of the learned one, and for half of them to be found
    by who is told where they are.

    Args:
        rates: events/s.
        by_rate: what each footprint gathers of every recording of a rate, each with one object.
        chosen: by rate, int64 (SAMPLES + 1, n), the recordings of every sample, the first of them all.
        sensor_size: (width, height), px: the threshold follows.
    """
    rows: dict[str, Any] = {}
    enough = threshold_nats(ALLOWED_PER_MINUTE, sensor_size, matched=True)
    means, halves = {}, {}
    for name in by_rate[0][0]:
        along, told = ([np.array([getattr(own[name], kind) for own in part]) for part in by_rate] for kind in ("along", "told"))
        means[name] = np.stack([own[which].mean(1) for own, which in zip(along, chosen, strict=True)], 1)
        found = [own >= enough for own in told]
        halves[name] = counted_samples(rates, found, [np.ones(len(own), np.int64) for own in told], chosen)
        rows[name] = {"evidence_nats": means[name][0].tolist(), "told_shares": [float(own.mean()) for own in found]}
    for name, row in rows.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            above = 10 * np.log10(halves[name] / halves["learned"])
        row["evidence_db"] = interval(evidence_samples(rates, means[name], means["learned"]), zero=True)
        row["told_half_rate_hz"], row["told_above_learned_db"] = interval(halves[name]), interval(above, zero=True)
    return rows
