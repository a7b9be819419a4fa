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
from spikeseg.scenes.event_kernels import rename
from spikeseg.scenes.scene import find_objects, those
from spikeseg.tracking.scene import ObjectTrack, Tracks
from spikeseg.tracking.star_field import StarField

from .event_scores import UNTRACKED
from .objects import OBJECT_DTYPE, SLICE_US, Blobs, Labels, Slice, WindowTime
from .response import Response, TrackedObjects, from_maps
from .slice_kernels import first_come, lit_pixels, scores_of
from .tables import Scale

log = logging.getLogger(__name__)


def scene_objects(view: WindowedRecording, times: Sequence[WindowTime], window_ms: float | None = None) -> TrackedObjects:
    """The objects of a scene, of any size, which no network has a part in; their classes are not known yet.

    Args:
        view: the recording; its kept events are looked at.
        times: of the windows.
        window_ms: by which the scene is looked at; None: as the recording tells.
    """
    t, x, y, on = those((view.times, *(view.events[name] for name in "xyp")), view.kept)
    window_us = None if window_ms is None else max(round(window_ms * 1000), 2)
    found = find_objects(t, x, y, on, view.sensor_size, window_us)
    log.info("scene looked at by windows of %g ms", found.window_us / 1000)
    slice_us = min(SLICE_US, found.window_us)
    parts = [[(steps, *time.of(steps)) for steps in time.slices(view.shape[0], slice_us)] for time in times]
    flat = [part for window in parts for part in window]
    middles = np.array([(start + end) // 2 for _, start, end in flat], np.int64)
    own = found.events
    placed = [boxes(t[k], x[k], y[k], courses, middles, view.sensor_size) for k, courses in zip(own, found.courses, strict=True)]
    order = [
        n for n in np.argsort([int(t[k[0]]) if len(k) else 0 for k in own], kind="stable") if len(placed[n].t) and len(own[n])
    ]
    number_of = np.zeros(len(found.courses) + 1, np.int32)
    number_of[np.array(order, np.int64) + 1] = np.arange(1, len(order) + 1)
    rename(found.ids, number_of)
    ids = found.ids
    if len(t) < len(view.events):
        of_kept, ids = ids, np.zeros(len(view.events), np.int32)
        ids[view.kept] = of_kept
    slices, owners = _slices(view, flat, [placed[n] for n in order], [own[n] for n in order], (t, x, y), middles)
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
    score, scores = np.array([0.0, *(track.score for track in objects.tracks.tracks)]), np.empty(len(saliency))
    scores_of(objects.ids, score, saliency, UNTRACKED, scores)
    return Response(scores, maps, objects, saliency)


def _slices(
    view: WindowedRecording,
    flat: Sequence[tuple[slice, int, int]],
    placed: Sequence[Boxes],
    own: Sequence[np.ndarray],
    events: tuple[np.ndarray, np.ndarray, np.ndarray],
    middles: np.ndarray,
) -> tuple[list[Slice], list[np.ndarray]]:
    """The objects of every slice, by falling score, which is the number of their events in it, and the track of each.

    Args:
        view: the recording.
        flat: of every slice its steps, start and end, µs.
        placed: of each object its boxes.
        own: of each object which events are its own, int64 (m,), rising.
        events: int64 t (µs), x and y (px), (n,).
        middles: int64, of every slice, µs.
    """
    _, height, width = view.shape
    scale = Scale.of(view.sensor_size, (height, width))
    row_of = [dict(zip(np.searchsorted(middles, at.t).tolist(), range(len(at.t)), strict=True)) for at in placed]
    column, line = (
        np.clip((np.arange(length) / by).astype(np.int64), 0, most - 1)
        for length, by, most in zip(view.sensor_size, scale, (width, height), strict=True)
    )
    limits = np.array([(start, end) for _, start, end in flat], np.int64).reshape(-1, 2)
    ranges = [np.searchsorted(events[0][k], limits) for k in own]
    owner, marks = np.zeros(height * width, np.int32), np.zeros(height * width // 64 + 1, np.uint64)
    lit = [lit_pixels(k, events[1:], (column, line * width), ends, marks) for k, ends in zip(own, ranges, strict=True)]
    slices, owners = [], []
    for k, (steps, start, end) in enumerate(flat):
        here = [(n, row_of[n][k]) for n in range(len(placed)) if k in row_of[n]]
        objects, pixels = np.zeros(len(here), OBJECT_DTYPE), []
        for entry, (n, row) in zip(objects, here, strict=True):
            begins, all_lit = lit[n]
            pixels.append(all_lit[begins[k] : begins[k + 1]])
            entry["x"], entry["y"] = (placed[n].place[row] + 0.5) / (scale.x, scale.y) - 0.5
            entry["width"], entry["height"] = placed[n].size[row] / (scale.x, scale.y)
            entry["score"], entry["pixels"] = max(ranges[n][k, 1] - ranges[n][k, 0], 1), len(pixels[-1])
        order = np.argsort(-objects["score"], kind="stable")
        pixel = np.concatenate([np.zeros(0, np.int32), *(pixels[n] for n in order)])
        number = np.repeat(np.arange(1, len(order) + 1, dtype=np.int32), [len(pixels[n]) for n in order])
        labels = Labels((height, width), *first_come(pixel, number, owner, marks))  # a pixel of two goes to that of more events
        slices.append(Slice(steps, start, end, Blobs(objects[order], labels)))
        owners.append(np.array([here[n][0] + 1 for n in order], np.int32))
    return slices, owners
