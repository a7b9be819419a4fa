"""The figures of cross-validation: per fold, over the folds, as JSON, as rows and as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .tables import csv_text

FIGURES = {
    "event": ("roc_auc", "informedness"),
    "event_stars": ("roc_auc",),
    "object": ("f1", "recall", "precision"),
    "volume": ("informedness",),
    "track": ("coverage", "false_tracks_per_minute"),
}
"""The main figures of every mode."""

TITLES = {
    "roc_auc": "ROC-AUC", "f1": "F1", "false_tracks_per_minute": "false tracks per minute",
}  # fmt: skip
OVER = ("mean", "std", "min", "max")
CSV_COLUMNS = ("mode", "detector", "figure", "fold", "value")
FIRST = 26


def over_folds(metrics: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Mode -> detector -> figure -> its values, one per fold, and what `spread` makes of them.

    Args:
        metrics: the metrics.json of every fold. A figure that a fold has not, for want of anything to count, is None there.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for mode, figures in FIGURES.items():
        detectors = dict.fromkeys(name for one in metrics for name in one["modes"].get(mode, {}))
        for detector in detectors:
            rows = [one["modes"].get(mode, {}).get(detector, {}) for one in metrics]
            values = {figure: [row.get(figure) for row in rows] for figure in figures}
            found.setdefault(mode, {})[detector] = {figure: spread(of) for figure, of in values.items()}
    return found


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


def csv_of(result: Mapping[str, Any]) -> str:
    """cross_validation.csv: a row per mode, detector, figure and fold (1 to K, then mean, std, min, max and, of the network
    trained on all folds, test)."""
    return csv_text(CSV_COLUMNS, _rows(result))


def _rows(result: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    final = result["final"]["metrics"]["modes"] if result["final"] else {}
    for mode, detector, figure, of in _each(result):
        values = [*enumerate(of["values"], 1), *((name, of[name]) for name in OVER)]
        if final:
            values.append(("test", final.get(mode, {}).get(detector, {}).get(figure)))
        for fold, value in values:
            yield mode, detector, figure, fold, value


def _each(result: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    for mode, detectors in result["figures"].items():
        for detector, figures in detectors.items():
            for figure, of in figures.items():
                yield mode, detector, figure, of


def table(result: Mapping[str, Any]) -> str:
    """A block per figure, a line per detector: mean and standard deviation, range, and every fold."""
    blocks: dict[tuple[str, str], list[str]] = {}
    for mode, detector, figure, of in _each(result):
        head = f"{'':<{FIRST}}{'mean ± std':<18}{'min .. max':<18}folds 1 to {result['folds']}"
        lines = blocks.setdefault((mode, figure), [f"{mode}: {TITLES.get(figure, figure)}", head])
        mean = _cell(of["mean"]) + (f" ± {of['std']:.3f}" if of["std"] is not None else "")
        between = f"{_cell(of['min'])} .. {_cell(of['max'])}" if of["folds"] else "-"
        folds = " ".join(_cell(value) for value in of["values"])
        lines.append(f"  {result['detectors'][detector]:<{FIRST - 2}}{mean:<18}{between:<18}{folds}")
    held = ", ".join(str(len(run["held_out"])) for run in result["runs"])
    told = f"{result['folds']} folds of {held} recordings, each scored by a network that has not seen it"
    return "\n\n".join(["\n".join(lines) for lines in blocks.values()] + [told])


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
