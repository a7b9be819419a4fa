"""Two evaluations side by side and, where both scored the same recordings, how far they differ, recording by recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from spikeseg.metrics.mode import mode_named
from spikeseg.metrics.rates import Bootstrap, draws

from .text import cell, csv_text, text_table

SIDES = ("a", "b")

CSV_COLUMNS = ("mode", "detector", "figure", "a", "b", "difference", "low", "high", "recordings", "higher", "lower")

Value = float | int | None


def difference(a: Sequence[Value], b: Sequence[Value], bootstrap: Bootstrap) -> dict[str, Any]:
    """The mean of b - a over recordings, and its percentile bootstrap interval over recordings, whose pairs stay together.

    Args:
        a: a figure of each recording alone, None where there is nothing to count.
        b: the same of the other evaluation, in the same order.
        bootstrap: of the interval.

    Returns:
        "mean", None where no recording has both values; "interval", [low, high], None with fewer than two such recordings or
        without resamples; "recordings", how many have both; "higher" and "lower", in how many of them b is so.
    """
    gains = np.array([y - x for x, y in zip(a, b, strict=True) if x is not None and y is not None], np.float64)
    n, interval = len(gains), None
    if n > 1 and bootstrap.resamples:
        means = draws(n, bootstrap.resamples, bootstrap.seed) @ gains / n
        tail = 50 * (1 - bootstrap.confidence)
        interval = [float(edge) for edge in np.percentile(means, (tail, 100 - tail))]
    return {
        "mean": float(gains.mean()) if n else None,
        "interval": interval,
        "recordings": n,
        "higher": int((gains > 0).sum()),
        "lower": int((gains < 0).sum()),
    }


def figures_of(
    a: Mapping[str, Any], b: Mapping[str, Any], detector: str, bootstrap: Bootstrap | None
) -> dict[str, dict[str, dict[str, Any]]]:
    """Mode -> figure -> what a detector got in two evaluations.

    Args:
        a: content of metrics.json.
        b: of the other one.
        detector: its name there; what only one of them has is None in the other.
        bootstrap: of the differences, which takes equal names for the same recordings; None: there are none.

    Returns:
        of each figure "a" and "b", "a_interval" and "b_interval", and "difference", see above, or None.
    """
    sides = [{mode: rows[detector] for mode, rows in of["modes"].items() if detector in rows} for of in (a, b)]
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for mode in dict.fromkeys(name for side in sides for name in side):
        scored = [side.get(mode, {"intervals": {}, "recordings": []}) for side in sides]
        result[mode] = {}
        for figure in dict.fromkeys(name for of in scored for name in of["intervals"]):
            row: dict[str, Any] = {}
            for side, of in zip(SIDES, scored, strict=True):
                row |= {side: of.get(figure), f"{side}_interval": of["intervals"].get(figure)}
            row["difference"] = None if bootstrap is None else _by_recording(scored[0], scored[1], figure, bootstrap)
            result[mode][figure] = row
    return result


def _by_recording(a: Mapping[str, Any], b: Mapping[str, Any], figure: str, bootstrap: Bootstrap) -> dict[str, Any] | None:
    """`difference` of the recordings that both name; None where a mode does not say what one recording got."""
    first, second = ({row["name"]: row.get(figure) for row in of["recordings"]} for of in (a, b))
    common = [name for name in first if name in second]
    found = difference([first[name] for name in common], [second[name] for name in common], bootstrap)
    return found if found["recordings"] else None


def comparison_table(compared: Mapping[str, Any]) -> str:
    """The content of a comparison, see `pipelines.stages.side_by_side`, for people: what differs, then a block per mode."""
    blocks = ["\n".join(f"{side.upper()}  {compared[side]['title']}" for side in SIDES)]
    heads = ["", *map(str.upper, SIDES)]
    settings = [[key, *map(_shown, values)] for key, values in compared["settings"].items()]
    blocks.append("settings that differ\n" + text_table(heads, settings) if settings else "settings: the same")
    if compared["training"]:
        trained = [[key, *(cell(value) for value in values)] for key, values in compared["training"].items()]
        blocks.append("training\n" + text_table(heads, trained))
    paired = any(row["difference"] for figures in compared["modes"].values() for row in figures.values())
    rows = []
    for name, figures in compared["modes"].items():
        mode = mode_named(name)
        shown = [figure for figure in mode.shown if figure in figures]
        rows += [
            ["" if number else name, mode.figure_title(figure), *_cells(figures[figure], paired)]
            for number, figure in enumerate(shown)
        ]
    if rows:
        extra = ["B - A by recording", "", "higher, lower"] if paired else []
        blocks.append(f"{compared['detector']}\n" + text_table(["", *heads, *extra], rows))
    return "\n\n".join([*blocks, *_explained(compared, paired)])


def _cells(row: Mapping[str, Any], paired: bool) -> Iterator[str]:
    for side in SIDES:
        yield cell(row[side], row[f"{side}_interval"])
    if paired and (found := row["difference"]):
        low, high = found["interval"] or (None, None)
        yield f"{found['mean']:+.3f}" + ("" if low is None else f" [{low:+.3f}, {high:+.3f}]")
        yield "" if low is None or high is None or low <= 0 <= high else "*"
        yield f"{found['higher']}, {found['lower']} of {found['recordings']}"
    elif paired:
        yield from ("-", "", "-")


def _explained(compared: Mapping[str, Any], paired: bool) -> Iterator[str]:
    """What the columns are; or why there are no differences."""
    if paired:
        confidence = compared["confidence"]
        yield (
            f"A and B: over all recordings, with {confidence:.0%} intervals over recordings. B - A: mean of the recordings' own\n"
            "differences, resampled in pairs; *: the interval does not hold 0, as one in "
            f"{1 / (1 - confidence):.0f} does not by chance alone"
        )
    elif compared["not_paired"]:
        yield "no differences by recording: " + "; ".join(compared["not_paired"])


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)


def comparison_csv(compared: Mapping[str, Any]) -> str:
    """A row per mode and figure of the detector that is compared; differences and their intervals as `difference` gives them."""
    return csv_text(CSV_COLUMNS, _csv_rows(compared))


def _csv_rows(compared: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for mode, figures in compared["modes"].items():
        for figure, row in figures.items():
            found = row["difference"] or {}
            low, high = found.get("interval") or (None, None)
            counts = (found.get(name) for name in ("recordings", "higher", "lower"))
            yield mode, compared["detector"], figure, row["a"], row["b"], found.get("mean"), low, high, *counts
