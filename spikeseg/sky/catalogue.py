"""Tables of stars."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikeseg.errors import InputError

from .projection import directions_of

NAMES = {
    "ra": ("ra", "raj2000", "ra_icrs", "ra_deg", "radeg", "_raj2000"),
    "dec": ("dec", "dej2000", "decj2000", "de_icrs", "dec_deg", "dedeg", "_dej2000"),
    "mag": ("mag", "magnitude", "vmag", "gmag", "phot_g_mean_mag", "vtmag", "v", "g", "hpmag"),
}
"""What columns are called, whatever the case of letters: the usual names of catalogues."""


class Catalogue(NamedTuple):
    """Stars, the brightest first.

    Attributes:
        directions: float64 (n, 3), unit vectors of ICRS.
        magnitudes: float64 (n,); all 0 where none are known.
    """

    directions: np.ndarray
    magnitudes: np.ndarray

    def near(self, centre: np.ndarray, radius_rad: float) -> Catalogue:
        """Those within a distance of a direction (3,)."""
        inside = self.directions @ centre >= np.cos(min(radius_rad, np.pi))
        return Catalogue(self.directions[inside], self.magnitudes[inside])

    def brightest(self, most: int) -> Catalogue:
        """The brightest so many."""
        return Catalogue(self.directions[:most], self.magnitudes[:most])


def read_catalogue(path: Path) -> Catalogue:
    """A table with columns of NAMES, by content or ending: csv, ecsv, fits, VOTable. Angles are ICRS, in degrees or in the units
    of their columns.

    Raises InputError: it cannot be read, a column is missing (but for magnitudes), or it holds no star.
    """
    from astropy import units
    from astropy.table import Table

    try:
        with warnings.catch_warnings(action="ignore"):
            table = Table.read(path, **({"format": "ascii.csv"} if path.suffix.lower() in (".csv", ".txt") else {}))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; --catalogue takes a table of stars: csv, ecsv or FITS") from None
    except Exception as error:  # readers of all formats, each with errors of its own
        reason = str(error).strip().splitlines()
        raise InputError(f"{path}: cannot be read as a table ({reason[0] if reason else type(error).__name__})") from None
    found: dict[str, np.ndarray] = {}
    for field, names in NAMES.items():
        known = {name.lower(): name for name in reversed(table.colnames)}
        name = next((known[name] for name in names if name in known), None)
        if name is None:
            if field == "mag":
                continue
            raise InputError(f"{path}: has no column {field}; found {', '.join(table.colnames[:12])}; call it {names[0]}")
        column = table[name]
        try:
            values = np.ma.filled(np.ma.asarray(column, np.float64), np.nan)
            if field != "mag" and column.unit not in (None, "", units.deg):
                values = (values * units.Unit(column.unit)).to_value(units.deg)
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: column {name}: expected angles in degrees ({error})") from None
        found[field] = np.asarray(values)
    good = np.isfinite(found["ra"]) & np.isfinite(found["dec"]) & (np.abs(found["dec"]) <= 90)
    if not good.any():
        raise InputError(f"{path}: holds no star with ra and dec in degrees")
    magnitudes = np.nan_to_num(found["mag"][good], nan=99.0) if "mag" in found else np.zeros(int(good.sum()))
    order = np.argsort(magnitudes, kind="stable")
    return Catalogue(directions_of(found["ra"][good], found["dec"][good])[order], magnitudes[order])
