"""The detectors of `scenes.py`: the network, connected components, those linked by trackpy, and dv-processing's mean shift.

Each is a function of a recording and of the instants at which boxes are asked for, and gives an `Answer`.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scenes_scoring import Answer, boxes_of_events
from scipy import ndimage, stats

from spikeseg.data.recording import Recording
from spikeseg.simulation.scenes import BOX_DTYPE

Detector = Callable[[Recording, np.ndarray], Answer]

TITLES = {
    "network": "spikeseg",
    "points": "spikeseg, tracked as points",
    "components": "components",
    "rated": "components, rated",
    "trackpy": "rated, trackpy",
    "meanshift": "mean shift (dv)",
}
FRAME_US, EVERY_US = 40_000, 20_000
"""Length of a frame of the opponents, and how often there is one."""
NEAR_PX, LEAST = 5, 6
"""A pixel is lit that has this many events of a frame within a square of this side."""
BLOCK_PX, BY_CHANCE = 16, 1e-7
"""Where the threshold follows the noise: side of the blocks of which the median rate is taken, and how often noise reaches the
threshold at a pixel."""
CLOSED_PX = 5
"""Lit pixels are closed by a square that reaches this far."""
HOT_TIMES, HOT_EVENTS = 10.0, 3
"""A pixel is hot, and left out, that has more events than this many times the mean of its eight neighbours, and as many more."""
SHORTEST_FRAMES = 5
"""Tracks seen in fewer frames are left out."""
REACH_PX, MEMORY = 25.0, 10
"""trackpy: how far a blob moves from frame to frame at most, and over how many frames it may be missing."""
BANDWIDTH_PX, MEAN_SHIFT_TRACKS = 20, 20
"""Mean shift: radius of the kernel, and tracks at once."""


class Frame(NamedTuple):
    """Components of a frame.

    Attributes:
        events: slice of the recording: those that are this frame's alone, the middle EVERY_US of it.
        labels: int32 (H, W), 0 for none.
        number: how many components.
    """

    events: slice
    labels: np.ndarray
    number: int


def frames(recording: Recording, rated: bool) -> list[Frame]:
    """Connected components of lit pixels, frame by frame.

    Args:
        recording: any.
        rated: whether a pixel needs more events than LEAST where the noise would reach that by chance.
    """
    events = recording.events
    if not len(events):
        return []
    width, height = recording.sensor_size
    middles = np.arange(events["t"][0], events["t"][-1] + EVERY_US, EVERY_US)
    offsets = np.array([-FRAME_US, FRAME_US, -EVERY_US, EVERY_US]) // 2
    edges = np.searchsorted(events["t"], middles[:, None] + offsets)
    pixel = events["y"].astype(np.int64) * width + events["x"]
    cold = ~hot_pixels(recording)[events["y"], events["x"]]
    least = max(LEAST, _by_chance(recording)) if rated else LEAST
    made = []
    for first, last, own_first, own_last in edges.tolist():
        count = np.bincount(pixel[first:last][cold[first:last]], minlength=width * height).reshape(height, width)
        square = np.ones(NEAR_PX)
        near = ndimage.correlate1d(ndimage.correlate1d(count, square, 0, mode="constant"), square, 1, mode="constant")
        lit = np.pad((near >= least).view(np.uint8), CLOSED_PX)
        side = CLOSED_PX
        closed = ndimage.minimum_filter(ndimage.maximum_filter(lit, side), side)
        labels, number = ndimage.label(closed[CLOSED_PX:-CLOSED_PX, CLOSED_PX:-CLOSED_PX], np.ones((3, 3)))
        made.append(Frame(slice(own_first, own_last), labels, int(number)))
    return made


def _by_chance(recording: Recording) -> int:
    """Events of a frame in a square that Poisson noise at the median rate of all blocks reaches rarely enough."""
    events, blocks = recording.events, np.array(recording.sensor_size) // BLOCK_PX + 1
    counts = np.bincount(events["y"] // BLOCK_PX * blocks[0] + events["x"] // BLOCK_PX, minlength=int(blocks.prod()))
    seconds = max(1e-6 * float(events["t"][-1] - events["t"][0]), 1e-6)
    rate = float(np.median(counts)) / (BLOCK_PX**2 * seconds)
    return int(stats.poisson.isf(BY_CHANCE, rate * NEAR_PX**2 * FRAME_US * 1e-6)) + 1


def hot_pixels(recording: Recording) -> np.ndarray:
    """Pixels that send far more events than their neighbours: bool (H, W)."""
    width, height = recording.sensor_size
    flat = recording.events["y"].astype(np.int64) * width + recording.events["x"]
    count = np.bincount(flat, minlength=width * height).reshape(height, width).astype(np.float64)
    around = (9 * ndimage.uniform_filter(count, 3, mode="reflect") - count) / 8
    return np.asarray(count > HOT_TIMES * around + HOT_EVENTS)


def _answer(recording: Recording, parts: list[Frame], ids: list[np.ndarray], instants: np.ndarray) -> Answer:
    """Events take the id of their component, ids[k] (number + 1,) with 0 first, if it is seen often enough."""
    tracks = np.zeros(len(recording.events), np.int32)
    seen = np.bincount(np.concatenate([np.zeros(1, np.int32), *ids]))
    ids = [np.where(seen[own] >= SHORTEST_FRAMES, own, 0) for own in ids]
    for frame, own in zip(parts, ids, strict=True):
        events = recording.events[frame.events]
        tracks[frame.events] = own[frame.labels[events["y"], events["x"]]]
    return Answer(tracks, boxes_of_events(recording.events, tracks, instants))


def components(recording: Recording, instants: np.ndarray, rated: bool = False) -> Answer:
    """Each component takes the id of the component of the frame before that it overlaps most; one id goes on once."""
    parts, ids, highest = frames(recording, rated), [], 0
    for k, frame in enumerate(parts):
        own = np.zeros(frame.number + 1, np.int32)
        if k:
            before, shape = parts[k - 1], (frame.number + 1, parts[k - 1].number + 1)
            flat = frame.labels.ravel().astype(np.int64) * shape[1] + before.labels.ravel()
            shared = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)
            shared[0], shared[:, 0] = 0, 0
            taken: set[int] = set()
            for one, other in np.argwhere(shared > 0)[np.argsort(-shared[shared > 0], kind="stable")].tolist():
                if own[one] == 0 and other not in taken:
                    own[one] = ids[-1][other]
                    taken.add(other)
        fresh = np.flatnonzero(own[1:] == 0) + 1
        own[fresh] = highest + 1 + np.arange(len(fresh))
        highest += len(fresh)
        ids.append(own)
    return _answer(recording, parts, ids, instants)


def trackpy(recording: Recording, instants: np.ndarray) -> Answer:
    """The same components, linked by trackpy [Crocker & Grier 1996, J. Colloid Interface Sci. 179:298] by the smallest sum of
    squared ways, also over frames in which one is missing."""
    tp, parts = _module("trackpy"), frames(recording, True)
    places = [np.array(ndimage.center_of_mass(frame.labels > 0, frame.labels, np.arange(1, frame.number + 1))) for frame in parts]
    link = tp.link_iter(
        (place.reshape(-1, 2) for place in places), search_range=REACH_PX, memory=MEMORY, adaptive_stop=2.0, adaptive_step=0.8
    )
    ids = [np.r_[0, np.array(particles, np.int64) + 1].astype(np.int32) for _, particles in link]
    return _answer(recording, parts, ids, instants)


def meanshift(recording: Recording, instants: np.ndarray) -> Answer:
    """dv-processing's MeanShiftTracker of blobs on the time surface; a track's events are those within its kernel."""
    dv = _module("dv_processing")
    width, height = recording.sensor_size
    tracker = dv.features.MeanShiftTracker((width, height), BANDWIDTH_PX, datetime.timedelta(microseconds=FRAME_US))
    tracker.setMaxTracks(MEAN_SHIFT_TRACKS)
    tracker.setRedetectionStrategy(dv.features.UpdateIntervalRedetection(datetime.timedelta(microseconds=EVERY_US)))
    events = recording.events
    tracks = np.zeros(len(events), np.int32)
    edges = np.arange(events["t"][0], events["t"][-1] + EVERY_US, EVERY_US)
    bounds = np.searchsorted(events["t"], edges)
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        store = dv.EventStore()
        for t, x, y, p in events[first:last].tolist():
            store.push_back(t, x, y, p)
        if last == first:
            continue
        tracker.accept(store)
        nearest = np.full(last - first, float(BANDWIDTH_PX))
        for point in tracker.runTracking().keypoints:
            far = np.hypot(events["x"][first:last] - point.pt[0], events["y"][first:last] - point.pt[1])
            own = far < nearest
            tracks[first:last][own] = point.class_id + 1
            nearest[own] = far[own]
    return Answer(tracks, boxes_of_events(events, tracks, instants))


# -- the network --------------------------------------------------------------------------------------


def network(trained: Any, scenes: bool) -> Detector:
    """What `detect` calls objects.

    Args:
        trained: a spikeseg.api.network.Network.
        scenes: whether whole objects are looked for (tracking.scenes), or points.
    """
    tracking = dataclasses.replace(trained.config.tracking, scenes=scenes)
    one = dataclasses.replace(trained, config=dataclasses.replace(trained.config, tracking=tracking))
    return functools.partial(_network, one)


def _network(trained: Any, recording: Recording, instants: np.ndarray) -> Answer:
    found = trained.detect(recording)
    kept = np.array(found.object_ids, np.int64)
    ids = np.asarray(found.event_columns["object_id"], np.int32)
    rows = found.tracks[np.isin(found.tracks["track_id"], kept)]
    return Answer(np.where(np.isin(ids, kept), ids, 0).astype(np.int32), boxes_of_tracks(rows, instants))


MISSING = 1.5
"""Rows are missing between two that are so many times further apart than rows usually are."""


def boxes_of_tracks(rows: np.ndarray, instants: np.ndarray) -> np.ndarray:
    """Boxes at instants by straight lines between the rows of each track, half a row's interval beyond its ends too; none where
    rows are missing: there the object is not there.

    Args:
        rows: with track_id, t_us, x, y, width, height (n,), by track, then time.
        instants: int64 (m,), µs, rising.
    """
    made = [np.zeros(0, BOX_DTYPE)]
    gaps = np.diff(rows["t_us"])[np.diff(rows["track_id"]) == 0]
    beyond = float(np.median(gaps)) / 2 if len(gaps) else 0.0
    for number in np.unique(rows["track_id"]):
        own = rows[rows["track_id"] == number]
        after = np.clip(np.searchsorted(own["t_us"], instants), 0, len(own) - 1)
        before = np.maximum(after - 1, 0)
        close = np.minimum(np.abs(instants - own["t_us"][before]), np.abs(own["t_us"][after] - instants)) <= beyond
        between = (own["t_us"][before] <= instants) & (instants <= own["t_us"][after])
        within = instants[close | (between & (own["t_us"][after] - own["t_us"][before] <= MISSING * 2 * beyond))]
        boxes = np.zeros(len(within), BOX_DTYPE)
        boxes["t"], boxes["id"] = within, number
        for name, column in (("x", "x"), ("y", "y"), ("w", "width"), ("h", "height")):
            boxes[name] = np.interp(within, own["t_us"], own[column])
        made.append(boxes)
    return np.concatenate(made)


def _module(name: str) -> Any:
    """An optional package; SystemExit where it is missing."""
    try:
        module = __import__(name)
        if name == "trackpy":
            module.quiet()
        return module
    except ImportError as error:
        raise SystemExit(
            f"{name}: {error}; pip install 'spikeseg[benchmarks]', or leave the detector out by --detectors"
        ) from None


OPPONENTS: dict[str, Detector] = {
    "components": components,
    "rated": functools.partial(components, rated=True),
    "trackpy": trackpy,
    "meanshift": meanshift,
}
