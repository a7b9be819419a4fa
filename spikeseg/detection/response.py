"""What a detector answers to a recording: a score for every event, what lights up, and the objects it tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spikeseg.core.sparse import SparseMap
from spikeseg.data.windows import WindowedRecording

if TYPE_CHECKING:
    from .objects import Slice
    from .tracked import TrackedObjects


@dataclass(frozen=True)
class Response:
    """A detector's answer to one recording.

    Attributes:
        scores: float64 (n,) >= 0, one per event; 0 for those that the detector did not get to see or did not react to.
        maps: one per window, of what lights up by step and pixel of the frame.
        found: its tracked objects, where it tracks; the scores are then theirs.
        saliency: float64 (n,), the maps' value at each event, where the scores are something else.
        slices: per window its objects in slices of time, where they are more than connected blobs of the maps.
        places: per window float64 (m, 2), x, y of its objects in sensor pixels, where the detector lists them itself.
    """

    scores: np.ndarray
    maps: Sequence[SparseMap]
    found: TrackedObjects | None = None
    saliency: np.ndarray | None = None
    slices: Sequence[Sequence[Slice]] | None = None
    places: Sequence[np.ndarray] | None = None


def from_scores(view: WindowedRecording, scores: np.ndarray) -> Response:
    """The response of a detector that scores events: its maps hold the highest score of each step and pixel."""
    maps = []
    for start in view.start_us.tolist():
        events, flat = view.located(start)
        index, inverse = np.unique(flat, return_inverse=True)
        value = np.zeros(len(index), np.float32)
        np.maximum.at(value, inverse, scores[events])
        maps.append(SparseMap(view.shape, index, value))
    return Response(scores, maps)


def from_maps(view: WindowedRecording, maps: Sequence[SparseMap]) -> Response:
    """The response of a detector that lights up pixels: an event's score is the value at its step and pixel, the highest
    where windows overlap."""
    scores, dense = np.zeros(len(view.events)), np.zeros(int(np.prod(view.shape)), np.float32)
    for start, lit in zip(view.start_us.tolist(), maps, strict=True):
        dense[lit.index] = lit.value
        view.look_up(start, dense, view.kept, scores)
        dense[lit.index] = 0.0
    return Response(scores, maps)
