"""Thresholds laid on finished tracks: which ones, what each comes to, and which is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.metrics.event import ANY_RESPONSE

from .tables import csv_text

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.metrics.event import EventScores
    from spikeseg.tracking.scene import Tracks

    from .score import LabelledRecording

STEPS = 48
"""Thresholds tried, at most; the configuration's and the chosen one may come on top."""

COLUMNS = (
    "object_threshold", "informedness", "f1", "precision", "recall", "false_tracks_per_minute", "tracks", "tp", "fp", "fn",
)  # fmt: skip


@dataclass(frozen=True)
class TrackedRecording:
    """A labelled recording with its tracks, stars' included, and its events' scores."""

    subject: LabelledRecording
    tracks: Tracks
    scores: EventScores


@dataclass(frozen=True)
class Point:
    """The chosen threshold.

    Attributes:
        row: its figures.
        plateau: lowest (not included) and highest threshold with the same object F1, in one piece; None where nothing was chosen.
        rows: those of all thresholds, its own included, in rising order.
        notes: what a reader must know.
    """

    row: dict[str, Any]
    plateau: list[float] | None
    rows: list[dict[str, Any]]
    notes: list[str]


def thresholds_of(found: Sequence[TrackedRecording], configured: float) -> list[float]:
    """The distinct scores of all tracks, thinned to STEPS evenly by rank, first and last kept; and the configured threshold."""
    levels = levels_of(found)
    if len(levels) > STEPS:
        levels = levels[np.unique(np.rint(np.linspace(0, len(levels) - 1, STEPS)).astype(np.int64))]
    return sorted({*levels.tolist(), configured})


def levels_of(found: Sequence[TrackedRecording]) -> np.ndarray:
    """Distinct scores of all tracks, rising: float64 (n,)."""
    return np.unique(np.array([track.score for one in found for track in one.tracks.tracks], np.float64))


def rows_at(cfg: Config, found: Sequence[TrackedRecording], thresholds: Sequence[float]) -> list[dict[str, Any]]:
    """What each threshold comes to, by COLUMNS, over all recordings.

    An event counts as seen if its score reaches the threshold, too; "informedness" is that of mode `event`, "f1", "precision",
    "recall" and the counts those of mode `object`, "false_tracks_per_minute" and "tracks" those of mode `track`."""
    from spikeseg.pipelines.runtime.console import progress

    work = progress(thresholds, "trying thresholds", "threshold")
    return [_row(cfg, found, threshold) for threshold in work]


def _row(cfg: Config, found: Sequence[TrackedRecording], threshold: float) -> dict[str, Any]:
    from spikeseg.detection.response import Response
    from spikeseg.detection.tracked import TrackedObjects
    from spikeseg.metrics import event, objects, track
    from spikeseg.metrics.rates import rates

    from .score import object_counts, track_counts

    settings = cfg.evaluation
    of_events, of_objects, of_tracks = np.zeros(4, np.int64), [], []
    for one in found:
        response = Response(np.zeros(0), [], TrackedObjects([], one.tracks, [], np.zeros(0, np.int32)))
        counted = event.counts(one.scores.scores, one.scores.truth, max(threshold, ANY_RESPONSE))
        of_events += [counted[name] for name in event.COUNTED]
        of_objects.append(object_counts(one.subject, response, threshold, threshold, settings.spatial_tolerance_px, settings))
        of_tracks.append(track_counts(one.subject, response, threshold, settings))
    by_event = float(rates(*of_events)["informedness"])
    by_object, by_track = objects.score(of_objects, resamples=0), track.score(of_tracks, resamples=0)
    values = {
        "object_threshold": threshold,
        "informedness": None if np.isnan(by_event) else by_event,
        **{name: by_object[name] for name in ("f1", "precision", "recall", "tp", "fp", "fn")},
        **{name: by_track[name] for name in ("false_tracks_per_minute", "tracks")},
    }
    return {name: values[name] for name in COLUMNS}


def chosen_point(cfg: Config, found: Sequence[TrackedRecording], rows: Sequence[dict[str, Any]], configured: float) -> Point:
    """The threshold of highest object F1; on a plateau, where several neighbours share it, its middle.

    Between two successive scores of tracks nothing changes, so a plateau begins just above the last score below it. Of several
    plateaus the widest is taken, then the lowest. Where no threshold finds an object there is nothing to choose by: the
    configured one stays."""
    best = max((row["f1"] for row in rows if row["f1"] is not None), default=0.0)
    if best == 0:
        own = next(row for row in rows if row["object_threshold"] == configured)
        note = f"no threshold finds an object, so tracking.object_threshold = {configured:g} was kept"
        return Point(own, None, list(rows), [note])
    plateaus = _plateaus([row["f1"] == best for row in rows])
    marks = [row["object_threshold"] for row in rows]
    spans = [(_below(found, marks[first]), marks[last]) for first, last in plateaus]
    k = max(range(len(spans)), key=lambda i: (spans[i][1] - spans[i][0], -i))
    low, high = spans[k]
    row = rows_at(cfg, found, [(low + high) / 2])[0]
    if row["f1"] != best:  # a score that was thinned out lies between
        row = rows[sum(plateaus[k]) // 2]
    others = [other for other in rows if other["object_threshold"] != row["object_threshold"]]
    return Point(row, [low, high], sorted([*others, row], key=lambda one: one["object_threshold"]), [])


def _plateaus(same: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(same, np.int64), [0]])))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]


def _below(found: Sequence[TrackedRecording], threshold: float) -> float:
    """The highest score of a track below the threshold; 0 without one."""
    levels = levels_of(found)
    return float(levels[levels < threshold].max(initial=0.0))


def csv_of(told: Mapping[str, Any]) -> str:
    """sweep.csv: the rows of sweep.json, and whether each is the chosen one."""
    chosen = told["chosen"]["object_threshold"]
    lines = [[*(row[name] for name in COLUMNS), int(row["object_threshold"] == chosen)] for row in told["thresholds"]]
    return csv_text((*COLUMNS, "chosen"), lines)


TITLES = {
    "object_threshold": "threshold", "informedness": "informedness", "f1": "object F1", "precision": "precision",
    "recall": "recall", "false_tracks_per_minute": "false tracks/min", "tracks": "tracks",
}  # fmt: skip


def table(told: Mapping[str, Any]) -> str:
    """sweep.json for people: a line per threshold, the chosen one marked."""
    chosen, classes = told["chosen"], told["classes"]
    lines = ["".join(f"{title:<{len(title) + 3}}" for title in TITLES.values()).rstrip()]
    for row in told["thresholds"]:
        cells = [f"{_cell(row[name]):<{len(title) + 3}}" for name, title in TITLES.items()]
        mark = "<- chosen" if row["object_threshold"] == chosen["object_threshold"] else ""
        lines.append(("".join(cells) + mark).rstrip())
    lines.append("")
    if classes["roc_auc"] is not None:
        areas = ", ".join(f"{c}: {_cell(area)}" for c, area in enumerate(classes["roc_auc"]))
        kept = "all" if classes["chosen"] is None else ", ".join(map(str, classes["chosen"]))
        lines.append(f"classes that count: {kept} (event ROC-AUC of each alone: {areas})")
    told_of = f"{len(told['recordings'])} recordings of the {told['split']} split"
    lines.append(f"{told_of}; chosen: object_threshold {chosen['object_threshold']:.4g}, object F1 {_cell(chosen['f1'])}")
    return "\n".join(lines)


def _cell(value: float | int | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.3f}"
