"""What `footprint.py` computes of its answers: thresholds, rates at which half are found, and differences of evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from limit_scoring import half_rates

from spikeseg.motion.probability import FALL, threshold_nats
from spikeseg.simulation.limit import LimitConfig

SEARCHED_PER_MINUTE = 0.5
"""False paths that the search itself may raise: below the threshold of every footprint."""
ALLOWED_PER_MINUTE = 0.1
TAIL = 8
"""Rank of the path of noise from whose evidence the threshold is extrapolated, by `probability.FALL`."""
SAMPLES = 2000


class Answer(NamedTuple):
    """Of one footprint and recording: evidence and, by `limit_scoring`, found objects of every path; AUC of events; objects."""

    nats: np.ndarray
    found: np.ndarray
    auc: float
    objects: int


MOST_DB = 10.0
"""Differences of evidence beyond this are not measured but extrapolated."""


def thresholds(quiet: Sequence[Answer], minutes: float, chosen: np.ndarray) -> np.ndarray:
    """The evidence that noise reaches ALLOWED_PER_MINUTE times, by the TAILth strongest of its paths; at least that from which
    the search makes paths: float64 (SAMPLES + 1,).

    Args:
        quiet: answers to recordings without objects.
        minutes: that they last.
        chosen: int64 (SAMPLES + 1, n), the recordings of every sample, the first of them all.
    """
    least = threshold_nats(SEARCHED_PER_MINUTE, LimitConfig().sensor_size, matched=True)
    nats = np.concatenate([own.nats for own in quiet])
    order = np.argsort(-nats, kind="stable")[: TAIL * len(quiet)]
    recording = np.repeat(np.arange(len(quiet)), [len(own.nats) for own in quiet])[order]
    drawn = np.stack([np.bincount(own, minlength=len(quiet)) for own in chosen])[:, recording].cumsum(1)
    cuts = np.full(len(chosen), least)
    for k, ranks in enumerate(drawn):
        if len(ranks) and (rank := min(TAIL, int(ranks[-1]))):
            falling = nats[order[np.searchsorted(ranks, rank)]]
            cuts[k] = max(least, float(falling + np.log(rank / (ALLOWED_PER_MINUTE * minutes)) / FALL))
    return cuts


def half_rate_samples(
    rates: Sequence[float], given: Sequence[Sequence[Answer]], cuts: np.ndarray, chosen: Sequence[np.ndarray]
) -> np.ndarray:
    """R50 of all recordings, then of every bootstrap sample: float64 (SAMPLES + 1,).

    Args:
        rates: events/s.
        given: answers by rate.
        cuts: float64 (SAMPLES + 1,), evidence from which a path counts.
        chosen: by rate int64 (SAMPLES + 1, n), the recordings of every sample, the first of them all.
    """
    best = [np.array([own.nats[own.found > 0].max(initial=-np.inf) for own in part]) for part in given]
    found = [part[which] >= cuts[:, None] for part, which in zip(best, chosen, strict=True)]
    objects = [np.array([own.objects for own in part])[which] for part, which in zip(given, chosen, strict=True)]
    return _half(rates, found, objects)


def counted_samples(
    rates: Sequence[float], found: Sequence[np.ndarray], objects: Sequence[np.ndarray], chosen: Sequence[np.ndarray]
) -> np.ndarray:
    """The same of what is counted already: by rate (n,), how many objects of each recording are found, and of how many."""
    pairs = [[part[which] for part, which in zip(parts, chosen, strict=True)] for parts in (found, objects)]
    return _half(rates, *pairs)


def _half(rates: Sequence[float], found: Sequence[np.ndarray], objects: Sequence[np.ndarray]) -> np.ndarray:
    """R50 of every sample. found, objects: by rate (samples, n)."""
    counts = np.stack([own.sum(1) for own in (*found, *objects)], 1)
    different, which = np.unique(counts, axis=0, return_inverse=True)
    return half_rates(np.array(rates), *np.split(different.astype(float), 2, axis=1))[which.reshape(-1)]


def evidence_samples(rates: Sequence[float], own: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """By how much brighter objects must be for the evidence that the learned footprint gathers in the middle of the rates, by
    lines through the mean evidence against the logarithm of the rate: float64 (SAMPLES + 1,), dB; inf beyond MOST_DB.

    Args:
        rates: events/s.
        own: float64 (SAMPLES + 1, R), mean evidence in every sample.
        learned: the same of the learned footprint.
    """
    log_rate = np.log(rates)
    away = log_rate - log_rate.mean()
    slope, wanted = own @ away / (away @ away), learned.mean(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        db = 10 / np.log(10) * (wanted - own.mean(1)) / slope
    return np.where((slope > 0) & (db <= MOST_DB), db, np.inf)


def evidence(counts: np.ndarray | float, signal: np.ndarray, noise: np.ndarray | float, expected: float) -> float:
    """Log-likelihood ratio of Poisson counts, an object's signal upon noise against noise alone, nat.

    Args:
        counts: events, or how many are expected, at each of some places and times.
        signal: rate of the object there, in any unit.
        noise: rate of the noise there, in the same unit.
        expected: events of the object over all places and times, those without events included.
    """
    return float((counts * np.log1p(signal / noise)).sum() - expected)


def interval(samples: np.ndarray, zero: bool = False) -> list[float | None]:
    """The value of all, and the interval of the samples; None beyond what was measured (zero: unless 0 can be measured)."""
    low, high = np.quantile(samples[1:], [0.025, 0.975], method="nearest")
    return [float(value) if np.isfinite(value) and (zero or value != 0) else None for value in (samples[0], low, high)]
