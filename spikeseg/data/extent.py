"""How much of a recording's activity is extended: much where whole things move, little on a night sky of points (ours)."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

WINDOW_US = 20_000
"""Pixels are active together that send events within one window of this length, µs."""

REACH = 2
"""Pixels up to so far apart, px, along both axes, are neighbours."""

NEIGHBOURS = 5
"""A pixel with fewer active neighbours is noise, or the rim of a point."""

EXTENT_PX, OF_SENSOR = 12, 4
"""A connected group of the others is extended that is EXTENT_PX wide or high, or the OF_SENSOR-th part of the sensor's shorter
side where that is less. The image of a point is narrower, and in a window the fastest satellite comes 3 px far."""

WHOLE_EVENTS, ONE_OF = 250_000, 8
"""Every window is looked at among the first WHOLE_EVENTS, and one of ONE_OF after them."""

EXTENDED = 0.2
"""From this share on a recording is a scene."""


def extended_share(events: np.ndarray, sensor_size: tuple[int, int]) -> float:
    """The share of active pixels, those without enough active neighbours left out, that lie in extended groups; 0 without any.

    Args:
        events: EVENT_DTYPE (n,), sorted by t.
        sensor_size: (width, height), px.
    """
    if not len(events):
        return 0.0
    window = (events["t"] - events["t"][0]) // WINDOW_US
    looked_at = (np.arange(len(events)) < WHOLE_EVENTS) | (window % ONE_OF == 0)
    chosen, window = events[looked_at], window[looked_at]
    width, height = int(chosen["x"].max()) + 1 + REACH, int(chosen["y"].max()) + 1 + REACH
    pixels = np.unique(
        (window * height + chosen["y"]) * width + chosen["x"]
    )  # no neighbour lies across an edge, for REACH is added
    first, second = _neighbours(pixels, width)
    core = np.bincount(np.concatenate([first, second]), minlength=len(pixels)) >= NEIGHBOURS
    if not core.any():
        return 0.0
    joined = core[first] & core[second]
    pairs = coo_array((joined[joined], (first[joined], second[joined])), shape=(len(pixels), len(pixels)))
    group = connected_components(pairs, directed=False)[1][core]
    x, y = pixels[core] % width, pixels[core] // width
    extent = np.maximum(_extents(x, group), _extents(y, group))
    return float((extent >= min(EXTENT_PX, min(sensor_size) / OF_SENSOR)).mean())


def _neighbours(pixels: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of neighbours, each once: indices into pixels, which are sorted."""
    steps = [dy * width + dx for dy in range(REACH + 1) for dx in range(-REACH, REACH + 1) if dy * width + dx > 0]
    firsts, seconds = [], []
    for step in steps:
        at = np.minimum(np.searchsorted(pixels, pixels + step), len(pixels) - 1)
        found = np.flatnonzero(pixels[at] == pixels + step)
        firsts.append(found)
        seconds.append(at[found])
    return np.concatenate(firsts), np.concatenate(seconds)


def _extents(places: np.ndarray, group: np.ndarray) -> np.ndarray:
    """By pixel, how many px its group spans along one axis."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    spans = np.maximum.reduceat(places[order], starts) - np.minimum.reduceat(places[order], starts) + 1
    of_pixel = np.empty(len(group), spans.dtype)
    of_pixel[order] = np.repeat(spans, np.diff(starts, append=len(group)))
    return of_pixel
