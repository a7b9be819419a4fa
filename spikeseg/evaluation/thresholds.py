"""Thresholds on the scores of finished tracks: which are tried, the figures at each, and which is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.core.sparse import ANY_RESPONSE
from spikeseg.core.text import many

from .text import cell, csv_text, text_table

if TYPE_CHECKING:
    from spikeseg.config.sections import EvaluationConfig
    from spikeseg.metrics.event import EventScores
    from spikeseg.metrics.mode import LabelledRecording
    from spikeseg.tracking.scene import Tracks

STEPS = 48
"""Thresholds tried, at most; the configuration's and the chosen one may come on top."""

COLUMNS = (
    "object_threshold", "informedness", "f1", "precision", "recall", "false_tracks_per_minute", "tracks", "tp", "fp", "fn",
)  # fmt: skip


@dataclass(frozen=True)
class TrackedRecording:
    """A labelled recording with its tracks, stars' included, and its events' scores."""

    labelled: LabelledRecording
    tracks: Tracks
    scores: EventScores


@dataclass(frozen=True)
class Point:
    """The chosen threshold.

    Attributes:
        row: its figures.
        plateau: lowest (not included) and highest threshold with the same object F1, in one piece; None where nothing was chosen.
        rows: those of all thresholds, its own included, in rising order.
        notes: remarks for the reader.
    """

    row: dict[str, Any]
    plateau: list[float] | None
    rows: list[dict[str, Any]]
    notes: list[str]


def thresholds_of(recordings: Sequence[TrackedRecording], configured: float) -> list[float]:
    """The distinct scores of all tracks, thinned to STEPS evenly by rank, first and last kept; and the configured threshold."""
    levels = levels_of(recordings)
    if len(levels) > STEPS:
        levels = levels[np.unique(np.rint(np.linspace(0, len(levels) - 1, STEPS)).astype(np.int64))]
    return sorted({*levels.tolist(), configured})


def levels_of(recordings: Sequence[TrackedRecording]) -> np.ndarray:
    """Distinct scores of all tracks, rising: float64 (n,)."""
    return np.unique(np.array([track.score for tracked in recordings for track in tracked.tracks.tracks], np.float64))


def rows_at(
    settings: EvaluationConfig, recordings: Sequence[TrackedRecording], thresholds: Iterable[float]
) -> list[dict[str, Any]]:
    """The figures at each threshold, by COLUMNS, over all recordings.

    An event counts as seen if its score reaches the threshold, too; "informedness" is that of mode `event`, "f1", "precision",
    "recall" and the counts those of mode `object`, "false_tracks_per_minute" and "tracks" those of mode `track`."""
    return [_row(settings, recordings, threshold) for threshold in thresholds]


def _row(settings: EvaluationConfig, recordings: Sequence[TrackedRecording], threshold: float) -> dict[str, Any]:
    from spikeseg.detection.response import Response, TrackedObjects
    from spikeseg.metrics import event, objects, track_mode
    from spikeseg.metrics.mode import CountSettings
    from spikeseg.metrics.rates import COUNTED, Bootstrap, rates

    how, without_intervals = CountSettings(settings, threshold, threshold), Bootstrap(resamples=0)
    event_counts, object_rows, track_rows = np.zeros(4, np.int64), [], []
    for tracked in recordings:
        response = Response(np.zeros(0), [], TrackedObjects([], tracked.tracks, [], np.zeros(0, np.int32)))
        counts = event.event_counts(tracked.scores.scores, tracked.scores.truth, max(threshold, ANY_RESPONSE))
        event_counts += [counts[name] for name in COUNTED]
        object_rows.append(objects.MODE.count(tracked.labelled, response, how))
        track_rows.append(track_mode.MODE.count(tracked.labelled, response, how))
    informedness = float(rates(*event_counts)["informedness"])
    of_objects, of_tracks = objects.score(object_rows, without_intervals), track_mode.score(track_rows, without_intervals)
    values = {
        "object_threshold": threshold,
        "informedness": None if np.isnan(informedness) else informedness,
        **{name: of_objects[name] for name in ("f1", "precision", "recall", "tp", "fp", "fn")},
        **{name: of_tracks[name] for name in ("false_tracks_per_minute", "tracks")},
    }
    return {name: values[name] for name in COLUMNS}


def chosen_point(
    settings: EvaluationConfig, recordings: Sequence[TrackedRecording], rows: Sequence[dict[str, Any]], configured: float
) -> Point:
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
    thresholds = [row["object_threshold"] for row in rows]
    spans = [(_below(recordings, thresholds[first]), thresholds[last]) for first, last in plateaus]
    k = max(range(len(spans)), key=lambda i: (spans[i][1] - spans[i][0], -i))
    low, high = spans[k]
    row = rows_at(settings, recordings, [(low + high) / 2])[0]
    if row["f1"] != best:  # a score that was thinned out lies between
        row = rows[sum(plateaus[k]) // 2]
    others = [other for other in rows if other["object_threshold"] != row["object_threshold"]]
    return Point(row, [low, high], sorted([*others, row], key=lambda tried: tried["object_threshold"]), [])


def _plateaus(same: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(same, np.int64), [0]])))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]


def _below(recordings: Sequence[TrackedRecording], threshold: float) -> float:
    """The highest score of a track below the threshold; 0 without one."""
    levels = levels_of(recordings)
    return float(levels[levels < threshold].max(initial=0.0))


def sweep_csv(sweep: Mapping[str, Any]) -> str:
    """sweep.csv: the rows of sweep.json, and whether each is the chosen one."""
    chosen = sweep["chosen"]["object_threshold"]
    rows = [[*(row[name] for name in COLUMNS), int(row["object_threshold"] == chosen)] for row in sweep["thresholds"]]
    return csv_text((*COLUMNS, "chosen"), rows)


TITLES = {
    "object_threshold": "threshold", "informedness": "informedness", "f1": "object F1", "precision": "precision",
    "recall": "recall", "false_tracks_per_minute": "false tracks/min", "tracks": "tracks",
}  # fmt: skip


def sweep_table(sweep: Mapping[str, Any]) -> str:
    """sweep.json for people: a line per threshold, the chosen one marked."""
    chosen, classes = sweep["chosen"], sweep["classes"]
    rows = [
        [*(cell(row[name]) for name in TITLES), "<- chosen" if row["object_threshold"] == chosen["object_threshold"] else ""]
        for row in sweep["thresholds"]
    ]
    lines = [text_table([*TITLES.values(), ""], rows), ""]
    if classes["roc_auc"] is not None:
        areas = ", ".join(f"{c}: {cell(area)}" for c, area in enumerate(classes["roc_auc"]))
        counting = "all" if classes["chosen"] is None else ", ".join(map(str, classes["chosen"]))
        lines.append(f"classes that count: {counting} (event ROC-AUC of each alone: {areas})")
    summary = f"{many(len(sweep['recordings']), 'recording')} of the {sweep['split']} split"
    lines.append(f"{summary}; chosen: object_threshold {chosen['object_threshold']:.4g}, object F1 {cell(chosen['f1'])}")
    return "\n".join(lines)
