"""Tables of `schema` as text: comma-separated values, and ECSV, which keeps units and descriptions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from .schema import Column, table_dtype

if TYPE_CHECKING:
    from astropy.table import Table


def csv_text(columns: Mapping[str, Column], tables: Iterable[np.ndarray]) -> str:
    """Tables of the same columns, one after the other, under one header; numbers with a fraction have 4 decimals.

    Args:
        columns: one of schema.TABLES.
        tables: structured arrays of them, one per recording.
    """
    row = ",".join(_FORMATS.get(column.dtype[:2], "%.4f") for column in columns.values())
    lines = [",".join(columns)]
    for table in tables:
        values = [_quoted(table[name]) if column.dtype == "U" else table[name].tolist() for name, column in columns.items()]
        lines += [row % cells for cells in zip(*values, strict=True)]
    return "\n".join(lines) + "\n"


_FORMATS = {"U": "%s", "?": "%d", "<i": "%d"}


def _quoted(texts: np.ndarray) -> list[str]:
    """Texts as csv writes them: quoted where that is needed."""
    cells = {}
    for text in set(texts.tolist()):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([text])
        cells[text] = line.getvalue() if text else ""
    return [cells[text] for text in texts.tolist()]


def astropy_table(columns: Mapping[str, Column], table: np.ndarray) -> Table:
    """A table as one of astropy, its columns with units and descriptions.

    Args:
        columns: one of schema.TABLES.
        table: structured array of them.
    """
    from astropy.table import Table

    units = {name: column.unit for name, column in columns.items() if column.unit}
    return Table(table, units=units, descriptions={name: column.meaning for name, column in columns.items()})


def ecsv_text(columns: Mapping[str, Column], tables: Iterable[np.ndarray]) -> str:
    """Tables of the same columns, one after the other, as astropy writes them in the format "ascii.ecsv" (Astropy Proposal for
    Enhancement 6).

    Args:
        columns: one of schema.TABLES.
        tables: structured arrays of them, one per recording.
    """
    header = _ecsv(columns, np.empty(0, table_dtype(columns)))
    return header + "".join(_ecsv(columns, table).removeprefix(header) for table in tables)


def _ecsv(columns: Mapping[str, Column], table: np.ndarray) -> str:
    text = io.StringIO()
    astropy_table(columns, table).write(text, format="ascii.ecsv")
    return text.getvalue()
