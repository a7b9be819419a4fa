"""All runs in one table: what each got, for people; and with its settings, for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spikeseg.metrics.mode import modes_of

from .text import cell, csv_text, text_table

FIRST = ("run", "trained", "evaluation", "split", "recordings")
"""Columns of the CSV before settings and figures."""


def runs_table(runs: Sequence[Mapping[str, Any]], detector: str) -> str:
    """A line per run with the first of each mode's figures that folds carry, then the settings in which runs differ.

    Args:
        runs: see `pipelines.stages.side_by_side.all_runs`.
        detector: whose figures.
    """
    shown = [(mode, figure) for mode in modes_of() for figure in mode.folds[:1] if any(mode.name in run["modes"] for run in runs)]
    heads = ["run", "scored on", *(f"{mode.name}: {mode.figure_title(figure)}" for mode, figure in shown)]
    rows = []
    for run in runs:
        figures = (run["modes"].get(mode.name, {}).get(detector, {}).get(figure) for mode, figure in shown)
        rows.append([run["run"], _scored_on(run), *map(cell, figures)])
    missing = [run["run"] for run in runs if run["trained"] and run["evaluation"] is None]
    hint = [f"not scored yet: {', '.join(missing)}; `spikeseg evaluate --network RUN` does that"] if missing else []
    return "\n\n".join([text_table(heads, rows), *_settings(runs), *hint])


def _scored_on(run: Mapping[str, Any]) -> str:
    if run["evaluation"] is None:
        return "-" if run["trained"] else "training is not finished"
    return f"{run['recordings']} of {run['split']}"


def _settings(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which runs have which value, a line per value of each setting that differs."""
    rows = []
    for key in differing(runs):
        values: dict[str, list[str]] = {}
        for run in runs:
            values.setdefault(str(run["settings"].get(key, "-")), []).append(run["run"])
        rows += [["" if number else key, value, ", ".join(names)] for number, (value, names) in enumerate(values.items())]
    return ["settings that differ\n" + text_table(["", "value", "runs"], rows)] if rows else []


def differing(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Settings that are not the same in all runs, sorted."""
    keys = sorted({key for run in runs for key in run["settings"]})
    return [key for key in keys if len({str(run["settings"].get(key)) for run in runs}) > 1]


def runs_csv(runs: Sequence[Mapping[str, Any]], detector: str) -> str:
    """A row per run: what and where it is, the settings in which runs differ, and every figure as "mode.figure", its interval as
    "mode.figure.low" and "mode.figure.high"."""
    settings = differing(runs)
    figures = [_figures(run, detector) for run in runs]
    names = [*dict.fromkeys(name for of in figures for name in of)]
    rows = [
        [*(run[name] for name in FIRST), *(run["settings"].get(key) for key in settings), *(of.get(name) for name in names)]
        for run, of in zip(runs, figures, strict=True)
    ]
    return csv_text([*FIRST, *settings, *names], rows)


def _figures(run: Mapping[str, Any], detector: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mode, rows in run["modes"].items():
        for figure, interval in rows.get(detector, {"intervals": {}})["intervals"].items():
            low, high = interval or (None, None)
            found |= {f"{mode}.{figure}": rows[detector].get(figure), f"{mode}.{figure}.low": low, f"{mode}.{figure}.high": high}
    return found
