"""Known event cameras: their sizes, and how the sensor of a file that does not name it is found."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from spikeseg.errors import InputError

SENSOR_SIZES: dict[str, tuple[int, int]] = {
    "N-MNIST": (34, 34),
    "DVS128": (128, 128),
    "DAVIS240C": (240, 180),
    "ATIS": (304, 240),
    "DVXplorer Lite": (320, 240),
    "DAVIS346": (346, 260),
    "Gen3": (640, 480),
    "Gen4": (1280, 720),
}
"""Sensor -> (width, height) in pixels, smallest first."""

EBSSA_SIZES: dict[str, tuple[int, int]] = {"DAVIS": SENSOR_SIZES["DAVIS240C"], "ATIS": SENSOR_SIZES["ATIS"]}
"""The two cameras of EBSSA (Afshar et al. 2020), smallest first."""

FIT_SHARE = 0.99
"""A sensor that holds this share of the events will do when none holds all; the checks drop the rest."""


def fitting_sensor(source: str, x: np.ndarray, y: np.ndarray, sizes: Mapping[str, tuple[int, int]] = SENSOR_SIZES) -> str:
    """The name of the smallest sensor in ``sizes`` that holds the coordinates (0-based, (N,) each).

    Coordinates below 0 and non-finite ones count for no sensor: the checks drop them. Raises InputError,
    opening with ``source``, if x and y are no columns of numbers of one length, there are no events, or no
    sensor holds FIT_SHARE of them.
    """
    if x.shape != y.shape or x.dtype.kind not in "buif" or y.dtype.kind not in "buif":
        columns = f"x {x.shape} of {x.dtype}, y {y.shape} of {y.dtype}"
        raise InputError(f"{source}: events: {columns}; expected columns of numbers of one length")
    fit = Fit(sizes)
    fit.add(x, y)
    return fit.sensor(source)


class Fit:
    """Which sensor holds coordinates that come part by part."""

    def __init__(self, sizes: Mapping[str, tuple[int, int]] = SENSOR_SIZES) -> None:
        self.sizes = sizes
        self._usable, self._top = 0, [0.0, 0.0]
        self._inside = dict.fromkeys(sizes, 0)

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        """Take in coordinates (N,) each; those below 0 and non-finite ones count for no sensor."""
        usable = (x >= 0) & (y >= 0) & (x < np.inf) & (y < np.inf) if "f" in x.dtype.kind + y.dtype.kind else (x >= 0) & (y >= 0)
        if not usable.all():
            x, y = x[usable], y[usable]
        self._usable += len(x)
        top = [column.max(initial=0) for column in (x, y)]
        self._top = [max(pair) for pair in zip(self._top, top, strict=True)]
        for name, (width, height) in self.sizes.items():
            fits = top[0] < width and top[1] < height
            self._inside[name] += len(x) if fits else int(((x < width) & (y < height)).sum())

    def sensor(self, source: str) -> str:
        """The name of the smallest that holds all, or else FIT_SHARE of them. Raises InputError where there is none."""
        if not self._usable:
            raise InputError(f"{source}: holds no events, so its sensor size cannot be told; in Python, `read` takes sensor_size")
        for share in (1.0, FIT_SHARE):
            for name, inside in self._inside.items():
                if inside >= share * self._usable:
                    return name
        largest = " x ".join(str(side) for side in list(self.sizes.values())[-1])
        raise InputError(
            f"{source}: coordinates reach x = {self._top[0]}, y = {self._top[1]}, the largest sensor known is {largest}: "
            "check format and order of columns (--columns), or give `read` its sensor_size, in Python"
        )


def named_sensor(path: str) -> str:
    """ "DAVIS" or "ATIS" if a part of ``path`` says so, the last part first; "" if none does."""
    for part in reversed(re.split(r"[/\\]", path)):
        names = re.findall(r"(?<![A-Za-z])(davis|atis)(?![A-Za-z])", part, flags=re.IGNORECASE)
        if names:
            return str(names[-1]).upper()
    return ""
