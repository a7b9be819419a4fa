"""metrics.json as a table for people, and as rows for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spikeseg.core.text import many
from spikeseg.metrics.mode import Mode, mode_named

from .text import cell, csv_text, text_table

BESIDE = 3
"""How many figures with their intervals fit side by side."""

WIDTH = 98
"""Of lines of text."""

Row = tuple[str, Mapping[str, Any], Mapping[str, Sequence[float] | None]]
"""A title, figures and their intervals."""


def metrics_table(metrics: Mapping[str, Any]) -> str:
    """One block per mode, one line per detector: values with their intervals, and "-" where there is nothing to count; then the
    mode's chance level."""
    settings, blocks = metrics["settings"], []
    for name, detectors in metrics["modes"].items():
        mode = mode_named(name)
        rows = [(metrics["detectors"][detector], values, values["intervals"]) for detector, values in detectors.items()]
        blocks.append("\n".join([f"{name}: {mode.title.format(**settings)}", *_tables(mode, rows), *_chance(mode, settings)]))
    summary = many(len(metrics["recordings"]), "recording")
    if "split" in metrics:
        summary += f" of the {metrics['split']} split"
    if settings.get("sensor", "all") != "all":
        summary += f", {settings['sensor']} alone"
    if len(metrics["recordings"]) > 1:
        summary += f"; in brackets {settings['confidence']:.0%} intervals over recordings"
    if settings["scope"] != "recording":
        summary += "\nscored from the first to the last label of each recording only (evaluation.scope)"
    return "\n\n".join([*blocks, summary])


def chance_of(mode: Mode, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A mode's chance level, for metrics.json: the figures that have a fixed one, and what is to be known about it."""
    return {"figures": dict(mode.chance), "note": mode.chance_note.format(**settings)}


def _chance(mode: Mode, settings: Mapping[str, Any]) -> list[str]:
    """The chance level in lines of WIDTH; nothing of a mode that says none."""
    chance = chance_of(mode, settings)
    levels = ", ".join(f"{mode.figure_title(figure)} {level:g}" for figure, level in chance["figures"].items())
    said = "chance: " + ": ".join(part for part in (levels, chance["note"]) if part)
    return textwrap.wrap(said, WIDTH, subsequent_indent="  ") if levels or chance["note"] else []


def table_by_recording(metrics: Mapping[str, Any], detector: str = "network") -> str:
    """The same figures of one detector, a line per recording: what the means of `metrics_table` hide."""
    blocks = []
    for name, detectors in metrics["modes"].items():
        if detector not in detectors:
            continue
        rows: list[Row] = [(row["name"], row, {}) for row in detectors[detector]["recordings"]]
        title = f"{name}, by recording: {metrics['detectors'][detector]}"
        blocks.append("\n".join([title, *_tables(mode_named(name), rows)]))
    return "\n\n".join(blocks)


def _tables(mode: Mode, rows: Sequence[Row]) -> Iterator[str]:
    """The figures that the mode shows, BESIDE of them at a time."""
    for start in range(0, len(mode.shown), BESIDE):
        figures = mode.shown[start : start + BESIDE]
        heads = ["", *map(mode.figure_title, figures)]
        yield text_table(heads, [[title, *(cell(of.get(f), low_high.get(f)) for f in figures)] for title, of, low_high in rows])


CSV_COLUMNS = ("mode", "detector", "recording", "figure", "value", "low", "high")


def metrics_csv(metrics: Mapping[str, Any]) -> str:
    """metrics.csv: a row per mode, detector, recording ("all": all of them together) and figure.

    low and high are the interval, of figures over all recordings alone; an empty value is one with nothing to count."""
    return csv_text(CSV_COLUMNS, _csv_rows(metrics))


def _csv_rows(metrics: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for mode, detectors in metrics["modes"].items():
        for detector, values in detectors.items():
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
