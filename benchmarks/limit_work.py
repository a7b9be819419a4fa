"""What the processes of `limit.py` do, recording by recording, and how the opponents' thresholds are chosen."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import limit_detectors
import numpy as np
import torch
from joblib import Parallel, delayed
from limit_detectors import Detector, Trained
from limit_scoring import Judged, judged

from spikeseg.simulation.limit import LimitConfig, limit_recording

SCORE_OF_A_STAR = 0.05
"""Tracks of lower scores stand still among the stars: never objects."""


@dataclass(frozen=True)
class Setting:
    """How a detector is read: its threshold, and the score from which a track is an object."""

    threshold: float = 0.0
    cut: float = 0.0


@dataclass(frozen=True)
class Bench:
    """What all processes know.

    Attributes:
        config: of the recordings; its seed is that of the objects that are counted.
        network: for the detectors that need one.
        jobs: processes.
    """

    config: LimitConfig
    network: Trained | None
    jobs: int

    def run(self, function: Callable[..., Any], items: Iterable[tuple[Any, ...]]) -> list[Any]:
        """The function of (this, *item) for every item, in their order."""
        if self.jobs == 1:
            return [function(self, *item) for item in items]
        done: list[Any] = Parallel(self.jobs)(delayed(function)(self, *item) for item in items)
        return done


@functools.lru_cache(maxsize=16)
def detector_of(name: str, network: Trained | None, config: LimitConfig) -> Detector:
    """A detector, made once in a process."""
    torch.set_num_threads(1)
    return limit_detectors.detector(name, network, config)


def answers(bench: Bench, config: LimitConfig, index: int, settings: dict[str, Setting]) -> dict[str, Judged]:
    """How each of some detectors does on one recording of a configuration."""
    recording = limit_recording(config, index)
    return {name: _answer(detector_of(name, bench.network, bench.config), recording, own) for name, own in settings.items()}


def _answer(detector: Detector, recording: Any, setting: Setting) -> Judged:
    tracks = detector.tracks(detector.prepare(recording), setting.threshold)
    return judged([track for track in tracks if track.score >= setting.cut], recording.labels)


# -- thresholds ---------------------------------------------------------------------------------------


def calibrated(bench: Bench, name: str, quiet: int, seed: int, rates_hz: Sequence[float], allowed_per_minute: float) -> Setting:
    """The setting of a detector that finds most among those with no more false tracks than allowed.

    Args:
        bench: of the condition.
        name: of the detector.
        quiet: how many recordings of stars and noise alone it is calibrated on, and half as many with objects.
        seed: of these recordings, which nothing else sees.
        rates_hz: of these objects, in turn.
        allowed_per_minute: false tracks.

    For each threshold the cut is the lowest score that, by the recordings without objects, leaves no more false tracks than
    allowed; among thresholds the one that finds most of the objects is taken, of equals the lowest.
    """
    thresholds = detector_of(name, bench.network, bench.config).thresholds
    if not thresholds:
        return Setting()
    alone = replace(bench.config, seed=seed, objects=0)
    scores = bench.run(_scores, [(name, alone, index) for index in range(quiet)])
    allowed = allowed_per_minute * quiet * bench.config.duration_s / 60
    cut_of = tail_cut if name == "stack" else lowest_cut
    cuts = [cut_of(np.concatenate([own[k] for own in scores]), allowed) for k in range(len(thresholds))]
    settings = [Setting(threshold, cut) for threshold, cut in zip(thresholds, cuts, strict=True)]
    if len(settings) == 1:
        return settings[0]
    objects = [
        (name, replace(bench.config, seed=seed + 1, rate_hz=rates_hz[index % len(rates_hz)]), index, settings)
        for index in range(max(1, quiet // 2))
    ]
    found = np.sum(bench.run(_found, objects), axis=0)
    return settings[int(np.argmax(found))]


def lowest_cut(scores: np.ndarray, allowed: float) -> float:
    """The lowest score that no more than `allowed` tracks are expected to reach in other recordings of the same length.

    Of the scores (n,) k lie above the cut, just over the next one; then k + 1 are expected above it elsewhere. Where not even
    k = 0 will do, the highest score is exceeded all the same. SCORE_OF_A_STAR at least.
    """
    above, falling = max(0, int(allowed) - 1), np.sort(scores)[::-1]
    return max(SCORE_OF_A_STAR, float(np.nextafter(falling[above], np.inf)) if len(falling) > above else 0.0)


TAIL = 30
"""Scores that an exponential tail is fitted to."""


def tail_cut(scores: np.ndarray, allowed: float) -> float:
    """The same from few recordings: the TAIL highest of the scores (n,) exceed the next one by an exponential, whose mean is
    theirs, and which is followed beyond the highest. `lowest_cut` where there are fewer scores."""
    falling = np.sort(scores)[::-1]
    if len(falling) <= TAIL:
        return lowest_cut(scores, allowed)
    mean = float((falling[:TAIL] - falling[TAIL]).mean())
    return float(falling[TAIL] + mean * np.log(TAIL / allowed))


def _scores(bench: Bench, name: str, config: LimitConfig, index: int) -> list[np.ndarray]:
    """By threshold, the scores of all tracks of a recording."""
    detector = detector_of(name, bench.network, bench.config)
    prepared = detector.prepare(limit_recording(config, index))
    return [np.array([track.score for track in detector.tracks(prepared, own)], np.float64) for own in detector.thresholds]


def _found(bench: Bench, name: str, config: LimitConfig, index: int, settings: Sequence[Setting]) -> list[int]:
    """By setting, how many objects of a recording are found."""
    detector, recording = detector_of(name, bench.network, bench.config), limit_recording(config, index)
    prepared = detector.prepare(recording)
    tracks = [(detector.tracks(prepared, own.threshold), own.cut) for own in settings]
    return [judged([track for track in part if track.score >= cut], recording.labels).found for part, cut in tracks]
