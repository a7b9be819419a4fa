"""What `scenes.py` counts: how well an answer's tracks and masks are those of the objects.

``score(Truth.of(recording), answer)`` gives the counts of one recording, ``figures`` those of several with intervals. An answer
is an id for every event, 0 for none, and boxes at the instants that the truth asks for (``truth.instants``); `boxes_of_events`
makes these of those. HOTA [Luiten et al. 2021, IJCV 129:548] and the CLEAR figures [Bernardin & Stiefelhagen 2008, EURASIP JIVP
246309] are those of the package trackeval (extra "benchmarks").
"""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeseg.data.recording import Recording
from spikeseg.simulation.scenes import BOX_DTYPE, SceneRecording

CLOSE = (0.3, 0.5)
"""Intersection over union from which a box counts as right, for recall and precision; the second also for MOTA and its parts."""
BELONGS = 0.1
"""A track's box lies on an object when it overlaps its box by this intersection over union, or its middle lies within it."""
WINDOW_US = 10_000
"""Length of the stretch around an instant whose events make the box of a track, where boxes are made of events."""
FEW = 3
"""Fewer events than this make no box."""
OUTER = 0.01
"""Share of a track's events left out at each side of such a box."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of a recording.

    Attributes:
        name: of the recording.
        events: structured array with t, x, y (n,).
        object_ids: int32 (n,), the object of each event, 0 for none; None where only boxes are known.
        boxes: BOX_DTYPE, those of instants that are not asked for left out.
        instants: int64 (m,), µs, rising: when boxes are asked for.
        sensor_size: (width, height).
    """

    name: str
    events: np.ndarray
    object_ids: np.ndarray | None
    boxes: np.ndarray
    instants: np.ndarray
    sensor_size: tuple[int, int]

    @classmethod
    def of(cls, recording: SceneRecording, every_us: int = 20_000) -> Truth:
        """Of a simulated recording, asked for boxes at multiples of an interval (a multiple of BOX_INTERVAL_US)."""
        assert recording.truth is not None
        instants = _instants(recording.events, every_us)
        boxes = recording.boxes[np.isin(recording.boxes["t"], instants)]
        ids = recording.truth["object_id"]
        return cls(recording.name, recording.events, ids, boxes, instants, recording.sensor_size)

    @classmethod
    def nothing(cls, recording: Recording, every_us: int = 20_000) -> Truth:
        """Of a recording in which nothing moves."""
        ids, instants = np.zeros(len(recording.events), np.int32), _instants(recording.events, every_us)
        return cls(recording.name, recording.events, ids, np.zeros(0, BOX_DTYPE), instants, recording.sensor_size)

    @classmethod
    def annotated(cls, recording: Recording, file: str | Path) -> Truth:
        """Of a recording whose boxes stand in a CSV file: t_us (from the first event), x, y (middle), w, h, id."""
        columns = np.genfromtxt(file, delimiter=",", names=True, ndmin=1)
        boxes = np.zeros(len(columns), BOX_DTYPE)
        for name in "xywh":
            boxes[name] = columns[name]
        boxes["t"], boxes["id"] = columns["t_us"] + recording.events["t"][0], columns["id"]
        return cls(recording.name, recording.events, None, boxes, np.unique(boxes["t"]), recording.sensor_size)

    @property
    def seconds(self) -> float:
        """From the first event to the last."""
        t = self.events["t"]
        return float(t[-1] - t[0]) * 1e-6 if len(t) else 0.0


@dataclass(frozen=True, eq=False)
class Answer:
    """What a detector says of a recording.

    Attributes:
        track_ids: int32 (n,), the track of each event, 0 for none.
        boxes: BOX_DTYPE with the ids of the tracks, at the instants asked for; others are not looked at.
    """

    track_ids: np.ndarray
    boxes: np.ndarray

    def save(self, path: str | Path) -> None:
        """Write it as an .npz of track_ids, t, id, x, y, w, h."""
        np.savez_compressed(path, track_ids=self.track_ids, **{name: self.boxes[name] for name in BOX_DTYPE.names or ()})

    @classmethod
    def load(cls, path: str | Path) -> Answer:
        """One that was saved."""
        with np.load(path, allow_pickle=False) as file:
            boxes = np.zeros(len(file["t"]), BOX_DTYPE)
            for name in BOX_DTYPE.names or ():
                boxes[name] = file[name]
            return cls(file["track_ids"].astype(np.int32), boxes)


def _instants(events: np.ndarray, every_us: int) -> np.ndarray:
    """Multiples of an interval between the first event and the last: int64 (m,), µs."""
    first, last = (int(events["t"][0]), int(events["t"][-1])) if len(events) else (0, 0)
    return np.arange(first // every_us + 1, last // every_us + 1) * every_us


def boxes_of_events(events: np.ndarray, track_ids: np.ndarray, instants: np.ndarray, window_us: int = WINDOW_US) -> np.ndarray:
    """Boxes, BOX_DTYPE, around the events of each track around each instant, but for the outermost OUTER of them.

    Args:
        events: structured array with t, x, y (n,), sorted by t.
        track_ids: int (n,), 0 for none.
        instants: int64 (m,), µs.
        window_us: length of the stretch of events, half of which lies before the instant.
    """
    made: list[tuple[float, ...]] = []
    edges = np.searchsorted(events["t"], [instants - window_us // 2, instants + window_us // 2], side="right").T
    for instant, (first, last) in zip(instants.tolist(), edges.tolist(), strict=True):
        ids, part = track_ids[first:last], events[first:last]
        for number in np.unique(ids[ids > 0]).tolist():
            own = part[ids == number]
            if len(own) >= FEW:
                low, high = (np.quantile([own["x"], own["y"]], q, axis=1, method="nearest") for q in (OUTER, 1 - OUTER))
                made.append((instant, number, *(0.5 * (low + high)), *(high - low + 1)))
    return np.array([tuple(row) for row in made], BOX_DTYPE)


def overlaps(one: np.ndarray, other: np.ndarray, sensor_size: tuple[int, int]) -> np.ndarray:
    """Intersection over union of boxes (n,) and (m,), cut at the edges of the sensor: float64 (n, m)."""
    a, b = _corners(one, sensor_size), _corners(other, sensor_size)
    low, high = np.maximum(a[:, None, 0], b[None, :, 0]), np.minimum(a[:, None, 1], b[None, :, 1])
    both = np.prod(np.maximum(high - low, 0), axis=2)
    area = [np.prod(np.maximum(c[:, 1] - c[:, 0], 0), axis=1) for c in (a, b)]
    either = area[0][:, None] + area[1] - both
    return np.asarray(np.divide(both, either, out=np.zeros_like(both), where=either > 0))


def _corners(boxes: np.ndarray, sensor_size: tuple[int, int]) -> np.ndarray:
    """float64 (n, 2, 2): lower and upper corner, x and y."""
    middle, half = np.stack([boxes["x"], boxes["y"]], 1), 0.5 * np.stack([boxes["w"], boxes["h"]], 1)
    return np.stack([np.maximum(middle - half, -0.5), np.minimum(middle + half, np.array(sensor_size) - 0.5)], 1)


# -- one recording --------------------------------------------------------------------------------------


def score(truth: Truth, answer: Answer) -> dict[str, Any]:
    """The counts of one recording, which `figures` puts together.

    Keys: name, seconds, empty (whether it holds no object), tracks, false_tracks, objects, found (objects with a track of their
    own), own_tracks (tracks that are an object's), event_iou (a list, one per object; None where only boxes are known), and
    "sequences", trackeval's results of HOTA and of CLEAR at each of CLOSE.

    The event IoU of an object is the largest, over all tracks, of: events that are both's / events that are either's, counted
    from the object's first event to its last. A track is an object's when it lies on it (BELONGS) at more than half of its
    instants; one without boxes, when more than half of its events are the object's, and where only boxes are known it does not
    count. All others are false.

    Raises ValueError where the answer has another number of events.
    """
    ids = np.asarray(answer.track_ids)
    if ids.shape != truth.events["t"].shape:
        raise ValueError(f"{truth.name}: track_ids: {ids.shape}, must be {truth.events['t'].shape}")
    boxes = answer.boxes[np.isin(answer.boxes["t"], truth.instants) & (answer.boxes["id"] > 0)]
    owners = _owners(truth, boxes, ids)
    own = {track: owner for track, owner in owners.items() if owner}
    objects = np.unique(truth.boxes["id"])
    return {
        "name": truth.name,
        "seconds": truth.seconds,
        "empty": not len(objects),
        "objects": len(objects),
        "tracks": len(owners),
        "false_tracks": len(owners) - len(own),
        "found": len(set(own.values())),
        "own_tracks": len(own),
        "event_iou": None if truth.object_ids is None else event_ious(truth.object_ids, ids, objects),
        "sequences": sequences(truth, boxes),
    }


def event_ious(object_ids: np.ndarray, track_ids: np.ndarray, objects: np.ndarray) -> list[float]:
    """Of each object the largest event IoU of a track, see `score`."""
    found = []
    for number in objects.tolist():
        of_object = np.flatnonzero(object_ids == number)
        if not len(of_object):
            continue
        life = slice(of_object[0], of_object[-1] + 1)
        tracks, lives = track_ids[life], object_ids[life] == number
        in_life, shared = np.bincount(tracks), np.bincount(tracks[lives], minlength=int(tracks.max()) + 1)
        iou = shared[1:] / (in_life[1:] + len(of_object) - shared[1:])
        found.append(float(iou.max(initial=0.0)))
    return found


def _owners(truth: Truth, boxes: np.ndarray, track_ids: np.ndarray) -> dict[int, int]:
    """The object of each track, 0 for a false one."""
    votes: dict[int, list[int]] = {}
    for instant in np.unique(boxes["t"]).tolist():
        there, real = boxes[boxes["t"] == instant], truth.boxes[truth.boxes["t"] == instant]
        iou = overlaps(there, real, truth.sensor_size)
        within = np.abs(there["x"][:, None] - real["x"]) <= real["w"] / 2
        within &= np.abs(there["y"][:, None] - real["y"]) <= real["h"] / 2
        value = np.where((iou >= BELONGS) | within, iou + 1e-6, 0.0)
        for k, number in enumerate(there["id"].tolist()):
            best = int(np.argmax(value[k])) if len(real) else 0
            votes.setdefault(number, []).append(int(real["id"][best]) if len(real) and value[k, best] > 0 else 0)
    owners = {number: _majority(np.array(own)) for number, own in votes.items()}
    others = np.setdiff1d(np.unique(track_ids), [0, *owners])
    for number in others.tolist() if truth.object_ids is not None else ():
        owners[number] = _majority(truth.object_ids[track_ids == number])
    return owners


def _majority(ids: np.ndarray) -> int:
    """The id that more than half are; 0 for none."""
    values, counts = np.unique(ids, return_counts=True)
    return int(values[np.argmax(counts)]) if 2 * counts.max() > len(ids) else 0


@functools.cache
def metrics() -> dict[str, Any]:
    """trackeval's metrics, by name; SystemExit where the package is missing."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints which of its datasets lack a package
            from trackeval.metrics import CLEAR, HOTA
    except ImportError:
        raise SystemExit("HOTA and MOTA need the package trackeval: pip install 'spikeseg[benchmarks]'") from None
    return {"HOTA": HOTA(), **{f"CLEAR{iou:g}": CLEAR({"THRESHOLD": iou, "PRINT_CONFIG": False}) for iou in CLOSE}}


def sequences(truth: Truth, boxes: np.ndarray) -> dict[str, Any]:
    """trackeval's results of one recording, by metric."""
    numbers = [{number: k for k, number in enumerate(np.unique(part["id"]).tolist())} for part in (truth.boxes, boxes)]
    ids: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    similarity = []
    for instant in truth.instants.tolist():
        there = [part[part["t"] == instant] for part in (truth.boxes, boxes)]
        for own, part, number in zip(ids, there, numbers, strict=True):
            own.append(np.array([number[k] for k in part["id"].tolist()], np.int64))
        similarity.append(overlaps(*there, truth.sensor_size))
    data = {
        "num_timesteps": len(truth.instants),
        "num_gt_ids": len(numbers[0]), "num_tracker_ids": len(numbers[1]),
        "num_gt_dets": len(truth.boxes), "num_tracker_dets": len(boxes),
        "gt_ids": ids[0], "tracker_ids": ids[1], "similarity_scores": similarity,
    }  # fmt: skip
    return {name: metric.eval_sequence(data) for name, metric in metrics().items()}


# -- several recordings -----------------------------------------------------------------------------------


def combined(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The figures of recordings together; those of boxes and masks over recordings with objects, false tracks a minute over those
    without; NaN where nothing is to be counted."""
    full, empty = [row for row in rows if not row["empty"]], [row for row in rows if row["empty"]]
    together = {
        name: metric.combine_sequences({str(k): row["sequences"][name] for k, row in enumerate(full)}) if full else {}
        for name, metric in metrics().items()
    }
    found: dict[str, float] = {
        name: float(np.mean(together["HOTA"][name])) if full else np.nan for name in ("HOTA", "DetA", "AssA")
    }
    close = together[f"CLEAR{CLOSE[1]:g}"]
    objects = sum(row["objects"] for row in full)
    found |= {"MOTA": float(close["MOTA"]) if full else np.nan}
    for name, key in (("switches_per_object", "IDSW"), ("fragments_per_object", "Frag")):
        found[name] = float(close[key]) / objects if full else np.nan
    for iou in CLOSE:
        clear = together[f"CLEAR{iou:g}"]
        for name, key in (("recall", "CLR_Re"), ("precision", "CLR_Pr")):
            found[f"{name}{iou:g}"] = float(clear[key]) if full else np.nan
        if full and clear["CLR_TP"] + clear["CLR_FP"] == 0:
            found[f"precision{iou:g}"] = np.nan
    masks = [value for row in full for value in row["event_iou"] or ()]
    found["event_iou"] = float(np.mean(masks)) if masks else np.nan
    found["tracks_per_object"] = _ratio(sum(row["own_tracks"] for row in full), sum(row["found"] for row in full))
    found["false_tracks_per_recording"] = _ratio(sum(row["false_tracks"] for row in full), len(full))
    found["empty_tracks_a_minute"] = _ratio(sum(row["tracks"] for row in empty), sum(row["seconds"] for row in empty) / 60)
    return found


def figures(rows: Sequence[Mapping[str, Any]], samples: int = 500, seed: int = 0) -> dict[str, list[float | None]]:
    """Each figure of `combined` with its 95 % interval by a bootstrap over recordings: [value, low, high]; None for NaN."""
    rng, value = np.random.default_rng(seed), combined(rows)
    drawn = [combined([rows[k] for k in rng.integers(len(rows), size=len(rows))]) for _ in range(samples if len(rows) > 1 else 0)]
    found: dict[str, list[float | None]] = {}
    for name, one in value.items():
        some = np.array([sample[name] for sample in drawn])
        some = some[np.isfinite(some)]
        ends = np.quantile(some, (0.025, 0.975)).tolist() if len(some) else [np.nan, np.nan]
        found[name] = [float(v) if np.isfinite(v) else None for v in (one, *ends)]
    return found


def _ratio(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else np.nan
