"""Tables of `schema` as text: comma-separated values, and ECSV, which keeps units and descriptions."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .schema import SKY_COLUMNS, UTC_COLUMNS, Column, decimals, table_dtype

if TYPE_CHECKING:
    from astropy.table import Table


def csv_text(columns: Mapping[str, Column], tables: Iterable[np.ndarray]) -> str:
    """Tables of the same columns, one after the other, under one header; numbers with a fraction have 4 decimals, degrees 7.

    Args:
        columns: see `schema.columns_of`.
        tables: structured arrays of them, one per recording; cells of further columns that one lacks stay empty, as do nan.
    """
    row = ",".join("%s" if name in FURTHER else _FORMATS.get(column.dtype[:2], "%.4f") for name, column in columns.items())
    lines = [",".join(columns)]
    for table in tables:
        values = [_cells(table, name, column) for name, column in columns.items()]
        lines += [row % cells for cells in zip(*values, strict=True)]
    return "\n".join(lines) + "\n"


_FORMATS = {"U": "%s", "?": "%d", "<i": "%d"}
FURTHER = {name for kind in (SKY_COLUMNS, UTC_COLUMNS) for columns in kind.values() for name in columns}
"""Names of columns that a table may lack."""


def _cells(table: np.ndarray, name: str, column: Column) -> list[Any]:
    if name not in FURTHER:
        return _quoted(table[name]) if column.dtype == "U" else table[name].tolist()
    if name not in (table.dtype.names or ()):
        return [""] * len(table)
    values = table[name].tolist()
    return ["" if value != value else f"{value:.{decimals(column)}f}" for value in values] if column.dtype == "<f8" else values


def completed(columns: Mapping[str, Column], table: np.ndarray) -> np.ndarray:
    """A table with further columns that it lacks, of nan or empty texts; itself where it lacks none.

    Args:
        columns: see `schema.columns_of`.
        table: structured array of some of them.
    """
    own = table.dtype.names or ()
    if all(name in own for name in columns):
        return table
    texts = [table[name].dtype.itemsize // 4 * "x" if name in own else "" for name in ("recording", "class_name")]
    whole = np.empty(len(table), table_dtype(columns, *texts))
    for name in columns:
        whole[name] = table[name] if name in own else np.nan if columns[name].dtype == "<f8" else ""
    return whole


def _quoted(texts: np.ndarray, delimiter: str = ",") -> list[str]:
    """Texts as csv writes them: quoted where that is needed; between spaces that is where they are empty, too, and blanks around
    them are left out."""
    cells = {}
    for text in set(texts.tolist()):
        line, spaced = io.StringIO(), delimiter == " "
        csv.writer(line, delimiter=delimiter, lineterminator="\n").writerow([text.strip(" \t") if spaced else text])
        cells[text] = line.getvalue()[:-1] if text or spaced else ""
    return [cells[text] for text in texts.tolist()]


def astropy_table(columns: Mapping[str, Column], table: np.ndarray) -> Table:
    """A table as one of astropy, its columns with units and descriptions.

    Args:
        columns: see `schema.columns_of`.
        table: structured array of them.
    """
    from astropy.table import Table

    units = {name: column.unit for name, column in columns.items() if column.unit}
    return Table(table, units=units, descriptions={name: column.meaning for name, column in columns.items()})


def ecsv_text(columns: Mapping[str, Column], tables: Iterable[np.ndarray]) -> str:
    """Tables of the same columns, one after the other, as astropy writes them in the format "ascii.ecsv" (Astropy Proposal for
    Enhancement 6).

    Args:
        columns: see `schema.columns_of`.
        tables: structured arrays of them, one per recording.
    """
    lines = [_ecsv_header(tuple(columns.items()))]
    for table in tables:
        whole = completed(columns, table)
        values = [
            _quoted(whole[name], " ") if "U" in column.dtype else map(str, whole[name].tolist())
            for name, column in columns.items()
        ]
        lines += [" ".join(cells) + "\n" for cells in zip(*values, strict=True)]
    return "".join(lines)


@functools.cache
def _ecsv_header(columns: tuple[tuple[str, Column], ...]) -> str:
    """As astropy writes it, which takes longer than most tables."""
    text = io.StringIO()
    astropy_table(dict(columns), np.empty(0, table_dtype(dict(columns)))).write(text, format="ascii.ecsv")
    return text.getvalue()
