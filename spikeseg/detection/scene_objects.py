"""Objects of real scenes as `detect` and `evaluate` take them: boxes slice by slice, tracks, and the events of each (ours).

`spikeseg.scenes` finds them among the events themselves; what the network makes of them, their classes and saliency, is
joined to them here and in `detect`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from spikeseg.core.sparse import SparseMap
from spikeseg.data.windows import WindowedRecording
from spikeseg.scenes.boxes import Boxes, boxes
from spikeseg.scenes.scene import find_objects
from spikeseg.tracking.scene import ObjectTrack, Tracks
from spikeseg.tracking.star_field import StarField

from .event_scores import UNTRACKED
from .objects import OBJECT_DTYPE, SLICE_US, Blobs, Labels, Slice, WindowTime
from .response import Response, TrackedObjects, from_maps
from .tables import Scale

log = logging.getLogger(__name__)


def scene_objects(view: WindowedRecording, times: Sequence[WindowTime], window_ms: float | None = None) -> TrackedObjects:
    """The objects of a scene, of any size, which no network has a part in; their classes are not known yet.

    Args:
        view: the recording; its kept events are looked at.
        times: of the windows.
        window_ms: by which the scene is looked at; None: as the recording tells.
    """
    kept = np.flatnonzero(view.kept)
    events = view.events[kept]
    t, x, y = (events[name].astype(np.int64) for name in "txy")
    window_us = None if window_ms is None else max(round(window_ms * 1000), 2)
    found = find_objects(t, x, y, events["p"] > 0, view.sensor_size, window_us)
    log.info("scene looked at by windows of %g ms", found.window_us / 1000)
    slice_us = min(SLICE_US, found.window_us)
    parts = [[(steps, *time.of(steps)) for steps in time.slices(view.shape[0], slice_us)] for time in times]
    flat = [part for window in parts for part in window]
    middles = np.array([(start + end) // 2 for _, start, end in flat], np.int64)
    own = _by_number(found.ids, len(found.courses))
    placed = [boxes(t[k], x[k], y[k], courses, middles) for k, courses in zip(own, found.courses, strict=True)]
    order = [
        n for n in np.argsort([int(t[k[0]]) if len(k) else 0 for k in own], kind="stable") if len(placed[n].t) and len(own[n])
    ]
    number_of = np.zeros(len(found.courses) + 1, np.int32)
    number_of[np.array(order, np.int64) + 1] = np.arange(1, len(order) + 1)
    ids = np.zeros(len(view.events), np.int32)
    ids[kept] = number_of[found.ids]
    slices, owners = _slices(view, flat, [placed[n] for n in order], ids, middles)
    tracks = []
    for number, n in enumerate(order, 1):
        inside = np.searchsorted(middles, placed[n].t)
        where = np.array([int(np.flatnonzero(owners[k] == number)[0]) for k in inside], np.int64)
        states = np.hstack([placed[n].place, placed[n].velocity])
        tracks.append(
            ObjectTrack(number, placed[n].t.astype(np.float64), inside, where, states, states[:, 2:], found.probability[n])
        )
    ordered = iter(slices)
    windows = [[next(ordered) for _ in window] for window in parts]
    return TrackedObjects(windows, Tracks(tracks, StarField.still()), owners, ids)


def scene_answer(view: WindowedRecording, maps: Sequence[SparseMap], objects: TrackedObjects) -> Response:
    """The response of a network to a scene: an event's score is that of the object it belongs to.

    Args:
        view: the recording.
        maps: the network's saliency, one per window.
        objects: see `scene_objects`.
    """
    saliency = from_maps(view, maps).scores
    score = np.array([0.0, *(track.score for track in objects.tracks.tracks)])[objects.ids]
    scores = np.where(objects.ids > 0, score, UNTRACKED * saliency / (1.0 + saliency))
    return Response(scores, maps, objects, saliency)


def _by_number(ids: np.ndarray, n: int) -> list[np.ndarray]:
    """Which events are of each of n objects: int64 each, rising. ids: int32 (m,), from 1; 0 for none."""
    owned = np.flatnonzero(ids)
    order = np.argsort(ids[owned].astype(np.min_scalar_type(n)), kind="stable")  # by radix where n is small
    return np.split(owned[order], np.cumsum(np.bincount(ids[owned], minlength=n + 1)[1:]))[:n]


def _slices(
    view: WindowedRecording, flat: Sequence[tuple[slice, int, int]], placed: Sequence[Boxes], ids: np.ndarray, middles: np.ndarray
) -> tuple[list[Slice], list[np.ndarray]]:
    """The objects of every slice, by falling score, which is the number of their events in it, and the track of each."""
    _, height, width = view.shape
    scale = Scale.of(view.sensor_size, (height, width))
    row_of = [dict(zip(np.searchsorted(middles, own.t).tolist(), range(len(own.t)), strict=True)) for own in placed]
    owned = np.flatnonzero(ids)
    events, of = view.events[owned], ids[owned].astype(np.int64)
    column, line = (
        np.clip((np.arange(length) / by).astype(np.int64), 0, most - 1)
        for length, by, most in zip(view.sensor_size, scale, (width, height), strict=True)
    )
    cells = (of * height + line[events["y"]]) * width + column[events["x"]]
    ranges = np.searchsorted(events["t"], np.array([(start, end) for _, start, end in flat], np.int64).reshape(-1, 2))
    slices, owners = [], []
    for k, ((steps, start, end), (first, last)) in enumerate(zip(flat, ranges.tolist(), strict=True)):
        here = [(number, row_of[number - 1][k]) for number in range(1, len(placed) + 1) if k in row_of[number - 1]]
        own = np.bincount(of[first:last], minlength=len(placed) + 1)
        lit = np.sort(cells[first:last])
        lit = lit[np.diff(lit, prepend=-1) > 0]
        edges = np.searchsorted(lit, np.arange(len(placed) + 2) * (height * width))
        objects, pixels = np.zeros(len(here), OBJECT_DTYPE), []
        for entry, (number, row) in zip(objects, here, strict=True):
            box = placed[number - 1]
            pixels.append((lit[edges[number] : edges[number + 1]] - number * height * width).astype(np.int32))
            entry["x"], entry["y"] = (box.place[row] + 0.5) / (scale.x, scale.y) - 0.5
            entry["width"], entry["height"] = box.size[row] / (scale.x, scale.y)
            entry["score"], entry["pixels"] = max(own[number], 1), len(pixels[-1])
        order = np.argsort(-objects["score"], kind="stable")
        pixel = np.concatenate([np.zeros(0, np.int32), *(pixels[n] for n in order)])
        numbers = np.repeat(np.arange(1, len(order) + 1), [len(pixels[n]) for n in order])
        pixel, once = np.unique(pixel, return_index=True)  # a pixel of two objects goes to the one with more events
        labels = Labels((height, width), pixel, numbers[once].astype(np.int32))
        slices.append(Slice(steps, start, end, Blobs(objects[order], labels)))
        owners.append(np.array([here[n][0] for n in order], np.int32))
    return slices, owners
