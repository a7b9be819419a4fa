"""What a network sees in one recording, held against the labels: objects found, missed, invented."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spikeseg.core.clock import Clock
from spikeseg.data.windows import WindowedRecording
from spikeseg.detection.detect import detect_windows
from spikeseg.detection.result import Detections
from spikeseg.detection.schema import TRACK_COLUMNS, table_dtype
from spikeseg.detection.tables import object_table
from spikeseg.metrics.mode import LabelledRecording
from spikeseg.metrics.track import FoundTrack, outcome
from spikeseg.metrics.truth import event_truth

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.detection.readout import Readout
    from spikeseg.models import SpikeSEG


@dataclass(frozen=True, eq=False)
class Source:
    """A recording that can be looked at.

    Attributes:
        name: of the recording.
        load: its windows, and its labels (None where nobody labelled it).
    """

    name: str
    load: Callable[[], tuple[WindowedRecording, np.ndarray | None]]


@dataclass(frozen=True, eq=False)
class Network:
    """A network and how it is run and read."""

    model: SpikeSEG
    cfg: Config
    readout: Readout


class Verdict(NamedTuple):
    """What the labels say of what was detected.

    Attributes:
        truth: labelled objects as if they had been detected, numbered from 1; an event that is near one is its own.
        found: numbers of those that were found.
        missed: numbers of the others that live within what is scored.
        false: track_ids of objects that follow none.
    """

    truth: Detections
    found: Sequence[int]
    missed: Sequence[int]
    false: Sequence[int]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a network saw in one recording.

    Attributes:
        view: the recording.
        detections: in it.
        verdict: of the labels; None where nobody labelled it.
    """

    view: WindowedRecording
    detections: Detections
    verdict: Verdict | None

    @property
    def name(self) -> str:
        """Of the recording."""
        return self.view.name

    @property
    def clock(self) -> Clock:
        """How its times are written."""
        return Clock.of_events(self.view.events["t"])


def see(network: Network, source: Source) -> Seen:
    """Run a network over a recording; labels are read afterwards."""
    view, labels = source.load()
    detections = detect_windows(network.model, view, network.cfg, network.readout)
    return Seen(view, detections, None if labels is None else _verdict(view, detections, labels, network.cfg))


def _verdict(view: WindowedRecording, detections: Detections, labels: np.ndarray, cfg: Config) -> Verdict:
    settings = cfg.evaluation
    labelled = LabelledRecording.of(view, labels, None, settings)
    ids = detections.object_ids
    ways = [detections.by_track[number] for number in ids]
    tracks = [FoundTrack(way["t_us"], np.stack([way["x"], way["y"]], 1), np.stack([way["vx"], way["vy"]], 1)) for way in ways]
    told = outcome(
        tracks,
        labels,
        start_us=labelled.start_us,
        end_us=labelled.end_us,
        tolerance_px=settings.spatial_tolerance_px,
        slice_us=round(settings.slice_ms * 1000),
        max_gap_us=settings.max_label_gap_ms * 1000,
    )
    names = np.unique(labels["id"]).tolist()
    numbers = {name: number for number, name in enumerate(names, 1)}
    found = [numbers[name] for name, was in told.found.items() if was]
    missed = [numbers[name] for name, was in told.found.items() if not was]
    false = [number for number, true, lived in zip(ids, told.true, told.lived, strict=True) if lived and not true]
    return Verdict(_as_detections(detections, labels, numbers, cfg), found, missed, false)


def _as_detections(detections: Detections, labels: np.ndarray, numbers: dict[int, int], cfg: Config) -> Detections:
    """Labelled objects in the place of what was detected."""
    settings, events = cfg.evaluation, detections.event_columns
    order = np.lexsort((labels["t"], labels["id"]))
    points = labels[order]
    tracks = np.zeros(len(points), table_dtype(TRACK_COLUMNS, detections.recording))
    tracks["recording"], tracks["is_object"], tracks["t_us"] = detections.recording, True, points["t"]
    tracks["track_id"] = [numbers[name] for name in points["id"].tolist()]
    tracks["x"], tracks["y"] = points["x"], points["y"]
    tracks["width"] = tracks["height"] = 2 * settings.radius_px + 1
    own = np.zeros(len(events["t"]), np.int32)
    table = np.zeros(len(own), [("t", "<i8"), ("x", "<f8"), ("y", "<f8")])
    for axis in table.dtype.names or ():
        table[axis] = events[axis]
    for name, number in numbers.items():
        own[event_truth(table, labels[labels["id"] == name], settings.radius_px, settings.max_label_gap_ms * 1000)] = number
    columns = {**events, "object_id": own}
    return dataclasses.replace(
        detections, tracks=tracks, objects=object_table(tracks, own), event_columns=columns, position_error=None
    )
