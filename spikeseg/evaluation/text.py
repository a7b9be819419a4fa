"""Rows as text: a table for people, CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from tabulate import tabulate


def text_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells, as they are to be shown, under their heads, in columns as wide as their content."""
    return tabulate([*rows], heads, tablefmt="plain", disable_numparse=True)


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows under their header; floats as they are, None as an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def cell(value: float | int | None, interval: Sequence[float] | None = None) -> str:
    """A figure to three decimals (from 10,000 on to three digits) with its interval, a count as it is, "-" where there is nothing
    to count."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    return _rounded(value) + (f" [{_rounded(interval[0])}, {_rounded(interval[1])}]" if interval else "")


def _rounded(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10_000 else f"{value:.3g}"
