"""What files of plain rows do not tell: the order of columns and the unit of times (`data.columns`, `data.time_unit`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikeseg.config.sections import TIME_UNITS, DataConfig
from spikeseg.data.times import in_float64
from spikeseg.errors import InputError

FIELDS = "txyp"
PASSED_OVER = "-"
EXACT = 2**53
"""From here on float64 does not hold every whole number."""


class Layout(NamedTuple):
    """Of rows that do not say it themselves, in text, .npy, .npz and HDF5.

    Attributes:
        columns: what stands in each: t, x, y, p, each once, and "-" for what is passed over; (): the four in this order.
        time_unit: of t; one of `spikeseg.config.sections.TIME_UNITS`.
    """

    columns: tuple[str, ...] = ()
    time_unit: str = "us"

    @classmethod
    def of(cls, data: DataConfig) -> Layout:
        """From the configuration. Raises InputError unless each of t, x, y, p is named once, and nothing else."""
        return cls.named(data.columns, data.time_unit)

    @classmethod
    def named(cls, columns: str | None, time_unit: str) -> Layout:
        """From the two values. Raises InputError as `of` does, and for another unit."""
        names = tuple(word.strip().lower() for word in (columns or "").split(",")) if columns else ()
        if names and sorted(name for name in names if name != PASSED_OVER) != sorted(FIELDS):
            allowed = f"t, x, y and p in their order, each once, separated by commas, and {PASSED_OVER} for every other column"
            raise InputError(f"data.columns: {columns!r}; expected {allowed}")
        if time_unit not in TIME_UNITS:
            raise InputError(f"data.time_unit: {time_unit!r}; allowed: {', '.join(TIME_UNITS)}")
        return cls(names, time_unit)

    @property
    def places(self) -> list[int]:
        """The columns of t, x, y, p."""
        return [self.columns.index(field) for field in FIELDS] if self.columns else [0, 1, 2, 3]

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.columns) or 4

    def in_us(self, t: np.ndarray, where: str) -> np.ndarray:
        """Times (N,) of this unit in µs: of s and ms the nearest, of ns the one before; whole numbers exactly.

        Raises InputError, opening with ``where``, if 64 bits do not hold them."""
        if self.time_unit == "us" or t.dtype.kind not in "uif":
            return t
        factor = TIME_UNITS[self.time_unit]
        if t.dtype.kind == "f":
            t = in_float64(where, t, factor)
            return np.floor(t / 1000.0) if factor < 1 else np.rint(t * factor)
        if factor < 1:
            return t // 1000
        if len(t) and max(abs(int(t.min())), abs(int(t.max()))) >= 2**62 // int(factor):
            raise InputError(f"{where}: events.t: reaches {t.max()} {self.time_unit}; damaged, or of another unit (--time-unit)")
        return t.astype(np.int64) * int(factor)


AS_USUAL = Layout()
"""t, x, y, p; µs."""
