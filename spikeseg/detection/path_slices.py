"""Objects of the motion layer's paths, put into the slices of a recording (ours)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spikeseg.data.windows import WindowedRecording
from spikeseg.motion.path import SmoothPath
from spikeseg.tracking.scene import ObjectTrack, Tracks
from spikeseg.tracking.star_field import StarField

from .objects import NO_CLASS, OBJECT_DTYPE, Blobs, Labels, Slice
from .tables import Scale

COVER_PX, COVER_SHARE = 5.0, 0.5
"""A path covers a track if this share of its detections lie so near to it, px."""

OWN = 0.5
"""From this probability on an event belongs to a path's object."""


class Merged(NamedTuple):
    """Tracks and objects of both: see `tracked.TrackedObjects`."""

    slices: list[list[Slice]]
    tracks: Tracks
    owners: list[np.ndarray]


class Draft:
    """Slices that get further objects.

    Args:
        view: the recording.
        flat: its slices.
        responsibility: float32 (n,), probability that an event is an object's.
    """

    def __init__(self, view: WindowedRecording, flat: Sequence[Slice], responsibility: np.ndarray) -> None:
        self.view, self.flat, self.responsibility = view, flat, responsibility
        _, height, width = view.shape
        self.scale = Scale.of(view.sensor_size, (height, width))
        self.added: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        self.taken: set[tuple[int, int]] = set()
        self.t = view.times

    def detection(self, k: int, state: np.ndarray, path: SmoothPath, number: int, covered: dict[tuple[int, int], int]) -> int:
        """The path's object in slice k: one of a track that it covers, or a new one."""
        objects = self.flat[k].blobs.objects
        if len(objects):
            x = (objects["x"] + 0.5) * self.scale.x - 0.5
            y = (objects["y"] + 0.5) * self.scale.y - 0.5
            away = np.hypot(x - state[0], y - state[1])
            j = int(np.argmin(away))
            if away[j] <= COVER_PX and covered.get((k, j)) == number and (k, j) not in self.taken:
                self.taken.add((k, j))
                return j
        return self._new(k, state, path)

    def _new(self, k: int, state: np.ndarray, path: SmoothPath) -> int:
        part = self.flat[k]
        first, last = np.searchsorted(self.t, [part.start_us, part.end_us])
        own = self.responsibility[first:last]
        likely = np.flatnonzero(own >= OWN)
        events, own = self.view.events[first + likely], own[likely]
        since = events["t"] * 1e-6 - (part.start_us + part.end_us) / 2e6
        away = np.hypot(events["x"] - state[0] - state[2] * since, events["y"] - state[1] - state[3] * since)
        near = away <= path.radius
        _, height, width = self.view.shape
        column = np.clip((events["x"][near] / self.scale.x).astype(np.int64), 0, width - 1)
        row = np.clip((events["y"][near] / self.scale.y).astype(np.int64), 0, height - 1)
        pixels = np.unique(row * width + column).astype(np.int32)
        entry = np.zeros((), OBJECT_DTYPE)
        entry["x"], entry["y"] = (state[0] + 0.5) / self.scale.x - 0.5, (state[1] + 0.5) / self.scale.y - 0.5
        entry["width"], entry["height"] = 2 * path.radius / self.scale.x, 2 * path.radius / self.scale.y
        entry["score"], entry["pixels"] = max(float(own[near].sum()), 1e-3), len(pixels)
        entry["class_id"] = NO_CLASS
        new = self.added.setdefault(k, [])
        new.append((entry, pixels))
        return len(part.blobs.objects) + len(new) - 1

    def finished(self, slices: Sequence[Sequence[Slice]], tracks: list[ObjectTrack], field: StarField) -> Merged:
        """With all objects in their slices, sorted by falling score, and tracks numbered by their beginning."""
        order = sorted(range(len(tracks)), key=lambda n: (tracks[n].t_us[0], int(tracks[n].slices[0]), n))
        places = {k: _with(self.flat[k], new) for k, new in self.added.items()}
        flat = [places[k][0] if k in places else part for k, part in enumerate(self.flat)]
        owners = [np.zeros(len(part.blobs.objects), np.int32) for part in flat]
        numbered = []
        for number, n in enumerate(order, 1):
            track = tracks[n]
            moved = [
                int(places[k][1][j]) if k in places else j
                for k, j in zip(track.slices.tolist(), track.detections.tolist(), strict=True)
            ]
            for k, j in zip(track.slices.tolist(), moved, strict=True):
                owners[k][j] = number
            numbered.append(dataclasses.replace(track, id=number, detections=np.array(moved, np.int64)))
        parts = iter(flat)
        return Merged([[next(parts) for _ in window] for window in slices], Tracks(numbered, field), owners)


def _with(part: Slice, new: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[Slice, np.ndarray]:
    """A slice with further objects, by falling score, and where each object (old, then new) is in it."""
    objects = np.concatenate([part.blobs.objects, np.array([entry for entry, _ in new], OBJECT_DTYPE)])
    order = np.argsort(-objects["score"], kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    labels = part.blobs.labels
    pixel, number = [labels.pixel], [place[labels.number - 1] + 1]
    held = set(labels.pixel.tolist())
    for k, (_, pixels) in enumerate(new, len(part.blobs.objects)):
        free = np.array([p for p in pixels.tolist() if p not in held], np.int32)
        held.update(free.tolist())
        pixel.append(free)
        number.append(np.full(len(free), place[k] + 1))
    flat, numbers = np.concatenate(pixel), np.concatenate(number).astype(np.int32)
    by_pixel = np.argsort(flat, kind="stable")
    blobs = Blobs(objects[order], Labels(labels.size, flat[by_pixel].astype(np.int32), numbers[by_pixel]))
    return part._replace(blobs=blobs), place
