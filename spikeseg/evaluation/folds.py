"""The figures of cross-validation: per fold, over the folds, as JSON, as rows and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spikeseg.metrics.mode import mode_named, modes_of

from .text import cell, csv_text, text_table

OVER = ("mean", "std", "min", "max")
CSV_COLUMNS = ("mode", "detector", "figure", "fold", "value")


def over_folds(metrics: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Mode -> detector -> figure -> its values, one per fold, and what `spread` makes of them.

    Args:
        metrics: the metrics.json of every fold. A figure that has nothing to count in a fold is None there.
    """
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for mode in modes_of():
        by_fold = [of_fold["modes"].get(mode.name, {}) for of_fold in metrics]
        detectors = dict.fromkeys(name for rows in by_fold for name in rows)
        for detector in detectors if mode.folds else ():
            rows = [rows.get(detector, {}) for rows in by_fold]
            figures = {figure: spread([row.get(figure) for row in rows]) for figure in mode.folds}
            result.setdefault(mode.name, {})[detector] = figures
    return result


def spread(values: Sequence[float | None]) -> dict[str, Any]:
    """The values with their mean, standard deviation (of a sample: n - 1; None of fewer than two), least and greatest, and
    "folds", how many are defined; None does not count."""
    known = [value for value in values if value is not None]
    n = len(known)
    mean = math.fsum(known) / n if n else None
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1)) if mean is not None and n > 1 else None
    return {
        "values": list(values),
        "folds": n,
        "mean": mean,
        "std": std,
        "min": min(known, default=None),
        "max": max(known, default=None),
    }


def folds_csv(result: Mapping[str, Any]) -> str:
    """cross_validation.csv: a row per mode, detector, figure and fold (1 to K, then mean, std, min, max and, of the network
    trained on all folds, test)."""
    return csv_text(CSV_COLUMNS, _rows(result))


def _rows(result: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    final = result["final"]["metrics"]["modes"] if result["final"] else {}
    for mode, detector, figure, spread_of in _each(result):
        values = [*enumerate(spread_of["values"], 1), *((name, spread_of[name]) for name in OVER)]
        if final:
            values.append(("test", final.get(mode, {}).get(detector, {}).get(figure)))
        for fold, value in values:
            yield mode, detector, figure, fold, value


def _each(result: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    for mode, detectors in result["figures"].items():
        for detector, figures in detectors.items():
            for figure, spread_of in figures.items():
                yield mode, detector, figure, spread_of


def folds_table(result: Mapping[str, Any]) -> str:
    """A block per figure, a line per detector: mean and standard deviation, range, and every fold."""
    heads = ["", "mean ± std", "min .. max", f"folds 1 to {result['folds']}"]
    blocks: dict[tuple[str, str], list[list[str]]] = {}
    for mode, detector, figure, of in _each(result):
        mean = cell(of["mean"]) + (f" ± {cell(of['std'])}" if of["std"] is not None else "")
        extent = f"{cell(of['min'])} .. {cell(of['max'])}" if of["folds"] else "-"
        folds = " ".join(map(cell, of["values"]))
        blocks.setdefault((mode, figure), []).append([result["detectors"][detector], mean, extent, folds])
    tables = [
        f"{mode}: {mode_named(mode).figure_title(figure)}\n{text_table(heads, rows)}" for (mode, figure), rows in blocks.items()
    ]
    sizes = ", ".join(str(len(run["held_out"])) for run in result["runs"])
    summary = f"{result['folds']} folds of {sizes} recordings, each scored by a network that has not seen it"
    return "\n\n".join([*tables, summary])
