"""Mode `track`: what `track` and `points` count, as coverage, recall, false tracks and errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .mode import Answer, CountSettings, LabelledRecording, Mode
from .points import everywhere, point_counts
from .rates import DEFAULT, Bootstrap, columns, ratio, summary
from .track import COUNTED, VALUES, FoundTrack, track_counts


def score(rows: Sequence[dict[str, Any]], bootstrap: Bootstrap = DEFAULT) -> dict[str, Any]:
    """Coverage, recall of objects, precision of tracks, switches, false tracks per minute and median errors.

    Args:
        rows: per recording a "name" and its `track.track_counts`.
        bootstrap: of the intervals.

    Returns:
        as `rates.summary`: "coverage", covered share of all objects' life; "recall", found of all objects; "precision", true
        of all tracks; "switches_per_object"; "false_tracks_per_minute"; "position_error_px", median over all covered times;
        "velocity_error" (share of the speed) and "velocity_error_px_s", medians over objects. A median of a resample counts
        a recording's values as often as it was drawn. The lists of VALUES are left out of what is returned.
    """
    counts = columns(rows, COUNTED)
    lists = {name: [np.asarray(row[name], np.float64) for row in rows] for name in VALUES}

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        total = dict(zip(COUNTED, (weights @ counts).T, strict=True))
        return {
            "coverage": ratio(total["covered"], total["life"]),
            "recall": ratio(total["found"], total["objects"]),
            "precision": ratio(total["true_tracks"], total["tracks"]),
            "switches_per_object": ratio(total["switches"], total["objects"]),
            "false_tracks_per_minute": ratio(60e6 * total["false_tracks"], total["duration_us"]),
            "position_error_px": medians(lists["position_errors_px"], weights),
            "velocity_error": medians(lists["velocity_errors"], weights),
            "velocity_error_px_s": medians(lists["velocity_errors_px_s"], weights),
        }

    plain = [{name: value for name, value in row.items() if name not in VALUES} for row in rows]
    return summary(statistic, plain, COUNTED, bootstrap)


def medians(lists: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Median of all values where each of list i counts weights[., i] times, as `numpy.median` of the values so repeated.

    Args:
        lists: n arrays of float64 (any,).
        weights: int64 (b, n), >= 0.

    Returns:
        float64 (b,), nan where nothing is counted.
    """
    values = np.concatenate([np.zeros(0), *lists])
    owner = np.repeat(np.arange(len(lists)), [len(some) for some in lists]).astype(np.int64)
    order = np.argsort(values, kind="stable")
    values, owner = values[order], owner[order]
    result = np.full(len(weights), np.nan)
    for i, weight in enumerate(weights):  # one by one: all at once would take 8 bytes per value and resample
        upto = np.cumsum(weight[owner])
        n = int(upto[-1]) if len(upto) else 0
        if n:
            low, high = np.searchsorted(upto, [(n - 1) // 2, n // 2], side="right")
            result[i] = (values[low] + values[high]) / 2
    return result


def _count(labelled: LabelledRecording, answer: Answer, settings: CountSettings) -> dict[str, Any] | None:
    """The tracks that reach the threshold, or a baseline's points, against the labelled objects; None of another detector that
    does not track."""
    how: dict[str, Any] = {
        "start_us": labelled.start_us,
        "end_us": labelled.end_us,
        "tolerance_px": settings.evaluation.spatial_tolerance_px,
        "slice_us": settings.slice_us,
        "max_gap_us": settings.max_gap_us,
    }
    tracks = answer.tracks_above(settings.object_threshold)
    if tracks is not None:
        found = [FoundTrack(track.t_us, track.states[:, :2], track.states[:, 2:], track.score) for track in tracks]
        counts = track_counts(found, labelled.labels, **how)
    elif answer.everywhere:
        counts = everywhere(labelled.recording.sensor_size, labelled.labels, **how)
    elif answer.points is not None:
        counts = point_counts(answer.points[answer.points["w"] >= settings.threshold], labelled.labels, **how)
    else:
        return None
    return {"name": labelled.name, **counts}


MODE = Mode(
    name="track",
    title="tracks of objects, within {spatial_tolerance_px:g} px",
    shown=("coverage", "recall", "false_tracks_per_minute", "position_error_px", "velocity_error"),
    folds=("coverage", "false_tracks_per_minute"),
    chance_note="none that is fixed: more tracks cover more. Of raw events, everything and random each event, pixel or "
    "random point is a track for the {slice_ms:g} ms in which it falls: what coverage costs in false tracks without tracking",
    count=_count,
    score=score,
    figure_titles={
        "false_tracks_per_minute": "false tracks per minute",
        "position_error_px": "position error, px",
        "velocity_error": "velocity error",
    },
)
