"""What every mode is read against: raw events, and answers that know nothing.

"everything" says of every event, and of every pixel at all times, that it is an object's. "random" says so of as many random
places and times as the recording has events; where events are what is scored, it scores them at random. "random_scores" scores
the raw events at random in every mode: what lies above it is more than the places of events.
"""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np

from spikeseg.core.sparse import SparseMap
from spikeseg.data.windows import WindowedRecording
from spikeseg.detection.response import Response, from_scores
from spikeseg.metrics.volume import OUTPUT_DTYPE

from .detectors import PASSED, Detector


def baselines(seed: int) -> list[Detector]:
    """Raw events, the same with random scores, everything, random. Draws follow from the seed and a recording's name."""

    def random_scores(recording: WindowedRecording) -> Response:
        return _of_events(recording, _draws(seed, recording).random(len(recording.events)))

    def random(recording: WindowedRecording) -> Response:
        rng = _draws(seed, recording)
        scores, elsewhere = rng.random(len(recording.events)), _scattered(recording, rng)
        return dataclasses.replace(_of_events(elsewhere, np.ones(len(scores))), scores=scores)

    return [
        Detector("raw_events", "raw events", raw_events, PASSED),
        Detector("random_scores", "raw events, random scores", random_scores, PASSED),
        Detector("everything", "everything", everything, PASSED),
        Detector("random", "random", random, PASSED),
    ]


def raw_events(recording: WindowedRecording) -> Response:
    """Every event is an object's."""
    return _of_events(recording, np.ones(len(recording.events)))


def everything(recording: WindowedRecording) -> Response:
    """Every event is, and every pixel at all times."""
    size, (width, height) = int(np.prod(recording.shape)), recording.sensor_size
    lit = SparseMap(recording.shape, np.arange(size), np.broadcast_to(np.float32(1), size))
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 2).astype(np.float64)
    windows = len(recording.start_us)
    return Response(np.ones(len(recording.events)), [lit] * windows, positions=[pixels] * windows, everywhere=True)


def _of_events(recording: WindowedRecording, scores: np.ndarray) -> Response:
    """Events as points, weighted by their scores."""
    points = np.zeros(len(scores), OUTPUT_DTYPE)
    for name in "txy":
        points[name] = recording.events[name]
    points["w"] = scores
    return dataclasses.replace(from_scores(recording, scores), points=points)


def _draws(seed: int, recording: WindowedRecording) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(recording.name.encode(errors="surrogateescape"))])


def _scattered(recording: WindowedRecording, rng: np.random.Generator) -> WindowedRecording:
    """A recording of as many events, at random pixels and times."""
    events, (width, height) = recording.events.copy(), recording.sensor_size
    if len(events):
        events["t"] = np.sort(rng.integers(events["t"][0], events["t"][-1], len(events), endpoint=True))
        events["x"], events["y"] = rng.integers(0, width, len(events)), rng.integers(0, height, len(events))
    return dataclasses.replace(recording, events=events, kept=np.ones(len(events), bool))
