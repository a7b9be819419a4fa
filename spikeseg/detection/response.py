"""A detector's response to a recording: a score for every event, saliency, and the objects it tracks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spikeseg.core.sparse import SparseMap
from spikeseg.data.frames.framing import to_sensor
from spikeseg.data.windows import WindowedRecording
from spikeseg.tracking.scene import ObjectTrack, Tracks

from .event_scores import reach_us
from .objects import Slice, find_objects


@dataclass(frozen=True)
class TrackedObjects:
    """The objects of a recording.

    Attributes:
        slices: of every window, in frame pixels.
        tracks: of all of them, in sensor pixels.
        owners: of every slice, in order of time, the track's id of each object; 0 for none.
        ids: int32 (n,), the track's id of every event that belongs to an object; 0 for none.
    """

    slices: Sequence[Sequence[Slice]]
    tracks: Tracks
    owners: Sequence[np.ndarray]
    ids: np.ndarray


@dataclass(frozen=True)
class Response:
    """A detector's response to one recording.

    Attributes:
        scores: float64 (n,) >= 0, one per event; 0 for those that the detector did not see or respond to.
        maps: one per window, saliency by step and pixel of the frame.
        tracked: its tracked objects, where it tracks; the scores are then theirs.
        saliency: float64 (n,), the maps' value at each event, where the scores are something else.
        slices: per window its objects in slices of time, where they are not the connected blobs of the maps.
        positions: per window float64 (m, 2), x, y of its objects in sensor pixels, where the detector lists them itself.
        points: of a baseline that does not track, `metrics.volume.OUTPUT_DTYPE` (m,): each is an object for an instant.
        everywhere: whether every pixel is an object's at all times.
    """

    scores: np.ndarray
    maps: Sequence[SparseMap]
    tracked: TrackedObjects | None = None
    saliency: np.ndarray | None = None
    slices: Sequence[Sequence[Slice]] | None = None
    positions: Sequence[np.ndarray] | None = None
    points: np.ndarray | None = None
    everywhere: bool = False

    def tracks_above(self, threshold: float) -> list[ObjectTrack] | None:
        """The tracks whose score reaches the threshold; None without tracking."""
        return None if self.tracked is None else [track for track in self.tracked.tracks.tracks if track.score >= threshold]

    def paths_at(self, times_us: np.ndarray, threshold: float) -> Iterator[np.ndarray] | None:
        """Of each of these tracks, where it is at times (n,), µs: float64 (n, 2), x, y in sensor pixels, nan where it is not."""
        tracks = self.tracks_above(threshold)
        return None if tracks is None else (track.at(times_us, reach_us(track)) for track in tracks)

    def object_maps(self, threshold: float) -> Iterator[np.ndarray] | None:
        """Per window float32 (T, H, W), the maps with nothing left but the pixels of these tracks' objects."""
        return None if self.tracked is None else self._object_maps(self.tracked, threshold)

    def _object_maps(self, objects: TrackedObjects, threshold: float) -> Iterator[np.ndarray]:
        is_object = np.array([False, *(track.score >= threshold for track in objects.tracks.tracks)])  # by id
        owners = iter(objects.owners)
        for slices, saliency in zip(objects.slices, (part.dense() for part in self.maps), strict=True):
            kept = np.zeros_like(saliency)
            for part in slices:
                of_blob = is_object[np.concatenate([np.zeros(1, np.int32), next(owners)])]
                kept[part.steps] = np.where(of_blob[part.blobs.labels.dense()], saliency[part.steps], 0)
            yield kept

    def window_objects(self, recording: WindowedRecording, window: int, threshold: float) -> np.ndarray:
        """float64 (m, 2), x, y in sensor pixels of the objects of a window, tracks aside: those that the detector lists, or the
        blobs of pixels that reach the threshold."""
        if self.positions is not None:
            return self.positions[window]
        blobs = find_objects(self.maps[window].dense(), threshold).objects
        scales = zip("xy", recording.sensor_size, recording.shape[:0:-1], strict=True)
        return np.stack([to_sensor(blobs[axis], pixels / size) for axis, pixels, size in scales], 1)


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
    """The response of a detector that gives saliency of pixels: an event's score is the value at its step and pixel, the highest
    where windows overlap."""
    scores, dense = np.zeros(len(view.events)), np.zeros(int(np.prod(view.shape)), np.float32)
    for start, saliency in zip(view.start_us.tolist(), maps, strict=True):
        dense[saliency.index] = saliency.value
        view.look_up(start, dense, view.kept, scores)
        dense[saliency.index] = 0.0
    return Response(scores, maps)
