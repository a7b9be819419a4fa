"""metrics.json as a table for people, and as rows for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

SHOWN = {
    "event": ("roc_auc", "informedness", "f1"),
    "event_exact": ("roc_auc", "informedness", "f1"),
    "event_stars": ("roc_auc", "informedness", "f1"),
    "pixel": ("informedness", "sensitivity", "iou"),
    "object": ("f1", "precision", "recall"),
    "object_1px": ("f1", "precision", "recall"),
    "volume": ("informedness", "sensitivity", "specificity"),
    "track": ("coverage", "recall", "false_tracks_per_minute", "position_error_px", "velocity_error"),
}
NAMES = {
    "roc_auc": "ROC-AUC",
    "f1": "F1",
    "iou": "IoU",
    "false_tracks_per_minute": "false tracks per minute",
    "position_error_px": "position error, px",
    "velocity_error": "velocity error",
}
_NONE: dict[str, list[float]] = {}
FIRST, OTHER, BESIDE = 26, 24, 3
"""Widths of the first column and of the others, characters; how many of these fit beside each other."""


def table(metrics: Mapping[str, Any]) -> str:
    """One block per mode, one line per detector: values with their intervals, and "-" where there is nothing to count."""
    settings = metrics["settings"]
    meaning = {
        "event": f"an event within {settings['radius_px']:g} px of a labelled object",
        "event_exact": "an event caused by an object (known, because simulated)",
        "event_stars": "the same against the events of stars alone (known, because simulated)",
        "pixel": f"a pixel of a step, {settings['pixel_tolerance_px']:g} px tolerance",
        "object": f"an object at the middle of a window, within {settings['spatial_tolerance_px']:g} px",
        "object_1px": "the same within 1 px",
        "track": f"tracks of objects, within {settings['spatial_tolerance_px']:g} px",
        "volume": f"slices of {settings['slice_ms']:g} ms, discs of {settings['radius_px']:g} px",
    }
    lines = []
    for mode, rows in metrics["modes"].items():
        titled = [(metrics["detectors"][detector], values, values["intervals"]) for detector, values in rows.items()]
        lines += [f"{mode}: {meaning[mode]}", *_lines(SHOWN[mode], titled), ""]
    told = f"{len(metrics['recordings'])} recordings of the {metrics['split']} split"
    if settings.get("sensor", "all") != "all":
        told += f", {settings['sensor']} alone"
    lines.append(f"{told}; in brackets {settings['confidence']:.0%} intervals over recordings")
    if settings["scope"] != "recording":
        lines.append("scored from the first to the last label of each recording only (evaluation.scope)")
    return "\n".join(lines)


def table_by_recording(metrics: Mapping[str, Any], detector: str = "network") -> str:
    """The same figures of one detector, a line per recording: what the means of `table` hide."""
    title, lines = metrics["detectors"][detector], []
    for mode, rows in metrics["modes"].items():
        if detector not in rows:
            continue
        titled = [(row["name"], row, _NONE) for row in rows[detector]["recordings"]]
        lines += [f"{mode}, by recording: {title}", *_lines(SHOWN[mode], titled), ""]
    return "\n".join(lines).rstrip("\n")


def _lines(shown: Sequence[str], rows: Sequence[tuple[str, Mapping[str, Any], Mapping[str, list[float]]]]) -> Iterator[str]:
    """The figures `shown` of some rows, each a title, values and intervals; BESIDE of them at a time, under a head."""
    for start in range(0, len(shown), BESIDE):
        names = shown[start : start + BESIDE]
        yield (" " * FIRST + "".join(f"{NAMES.get(name, name):<{OTHER}}" for name in names)).rstrip()
        for title, values, intervals in rows:
            cells = (_cell(values.get(name), intervals.get(name)) for name in names)
            yield (f"  {title:<{FIRST - 2}}" + "".join(f"{cell:<{OTHER}}" for cell in cells)).rstrip()


CSV_COLUMNS = ("mode", "detector", "recording", "figure", "value", "low", "high")


def csv_of(metrics: Mapping[str, Any]) -> str:
    """metrics.csv: a row per mode, detector, recording ("all": all of them together) and figure.

    low and high are the interval, of figures over all recordings alone; an empty value is one with nothing to count."""
    return csv_text(CSV_COLUMNS, _csv_rows(metrics))


def _csv_rows(metrics: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for mode, rows in metrics["modes"].items():
        for detector, values in rows.items():
            for figure, value in _figures(values):
                low, high = values["intervals"].get(figure) or (None, None)
                yield mode, detector, "all", figure, value, low, high
            for row in values["recordings"]:
                for figure, value in _figures(row):
                    yield mode, detector, row["name"], figure, value, None, None


def _figures(values: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    for name, value in values.items():
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            yield name, value


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows under their header; floats as they are, None as an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _cell(value: float | None, interval: list[float] | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")
