"""Event-driven neurons in integers: one spike adds a few contiguous rows, and only what was touched is looked at.

Potentials are int32 in units of 2**-12, so every sum is exact. They are laid out by row, then column and map together,
``V[row, (column + K//2) * maps + map]``: under a K x K kernel one input spike at column x adds K*maps contiguous numbers, from
x*maps on, to each of K rows. K//2 columns on either side catch what falls off the frame; their thresholds are out of reach.

Rows are cut into tiles of a few columns. A tile that receives nothing in a step cannot fire, so it is left alone, and its leak
is made up for when it is touched again (`stamps` holds the last step that saw it, plus 1; 0 before the first).
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numba import njit
from numba.core.event import Event, Listener, install_listener

NO_LEAK, SUBTRACTIVE, MULTIPLICATIVE = 0, 1, 2
NEVER = np.int32(2**30)
"""A threshold out of reach: potentials stay below 2**24."""
UNITS = np.float32(4096.0)


class _Announcement(Listener):
    """Says once that numba compiles, which takes half a minute on a fresh installation; code from the cache is not compiled."""

    def on_start(self, event: Event) -> None:
        if not self.made:
            self.made = True
            logging.getLogger("spikeseg").info("compiling kernels for this machine (once; takes up to a minute)")

    def on_end(self, event: Event) -> None:
        pass

    made = False


install_listener("numba:compile", _Announcement())


def compiled(function: Any) -> Any:
    """Compiled on first use, kept on disk, run without the interpreter's lock."""
    return njit(function, cache=True, nogil=True, boundscheck=False)


@compiled
def add(v, w):
    for i in range(v.size):
        v[i] += w[i]


@compiled
def add_times(v, w, count):
    for i in range(v.size):
        v[i] += count * w[i]


@compiled
def forget(v, mode, leak, factor, times):
    """What `times` steps without input leave of the potentials."""
    if mode == SUBTRACTIVE:
        lost = np.int32(min(np.int64(leak) * times, np.int64(NEVER)))
        for i in range(v.size):
            v[i] = max(v[i] - lost, np.int32(0))
    elif mode == MULTIPLICATIVE:
        for _ in range(times):
            for i in range(v.size):
                v[i] = np.int32(np.rint(np.float64(v[i]) * factor))


@compiled
def settle(v, theta, mode, leak):
    """End a step: leak and floor of the subtractive mode; -> how far the highest potential lies above its threshold."""
    above = -NEVER
    if mode == SUBTRACTIVE:
        for i in range(v.size):
            u = max(v[i] - leak, np.int32(0))
            v[i] = u
            above = max(above, u - theta[i])
    else:
        for i in range(v.size):
            above = max(above, v[i] - theta[i])
    return above


@compiled
def open_tile(v, tile, stamps, opened, n_open, t, mode, leak, factor):
    """Bring a tile's potentials to the present, before the input of step t; -> tiles open in this step."""
    before = stamps[tile]
    if before == 0:
        v[:] = 0
    elif mode == SUBTRACTIVE:
        if before < t:
            forget(v, mode, leak, factor, t - before)
    elif mode == MULTIPLICATIVE:
        forget(v, mode, leak, factor, t + 1 - before)
    stamps[tile] = t + 1
    opened[n_open] = tile
    return n_open + 1


@compiled
def receive(v, table, sites, counts, height, width, tiles, stamps, opened, t, mode, leak, factor):
    """Add the input of step t; -> how many tiles it opened.

    Args:
        v: int32 (H, columns * maps), see the module's text.
        table: int32 (C, K, K*maps), weights as one spike adds them.
        sites: int32, flat input addresses; counts: how often each, or empty: once.
        tiles: int32 (tiles in a row + 1,), first number of each tile in a row.
        stamps, opened: int32 (H * tiles in a row).
    """
    kernel, span = table.shape[1], table.shape[2]
    half, maps, per_row = kernel // 2, span // kernel, tiles.size - 1
    tile_size = tiles[1]
    size = height * width
    n_open = 0
    for k in range(sites.size):
        site = sites[k]
        c = site // size
        rest = site - c * size
        y = rest // width
        x = rest - y * width
        start = x * maps
        first, last = start // tile_size, (start + span - 1) // tile_size
        for j in range(max(0, half - y), min(kernel, height + half - y)):
            row = y - half + j
            for tile in range(first, last + 1):
                number = row * per_row + tile
                if stamps[number] != t + 1:
                    n_open = open_tile(
                        v[row, tiles[tile] : tiles[tile + 1]], number, stamps, opened, n_open, t, mode, leak, factor
                    )
            if counts.size:
                add_times(v[row, start : start + span], table[c, j], counts[k])
            else:
                add(v[row, start : start + span], table[c, j])
    return n_open


@compiled
def open_all(v, tiles, stamps, opened, n_open, t, mode, leak, factor):
    """Open every tile that is not open yet: where silent neurons may fire too; -> tiles open in this step."""
    per_row = tiles.size - 1
    for number in range(stamps.size):
        if stamps[number] != t + 1:
            row, tile = number // per_row, number % per_row
            n_open = open_tile(v[row, tiles[tile] : tiles[tile + 1]], number, stamps, opened, n_open, t, mode, leak, factor)
    return n_open


@compiled
def tabulate(weight, table, m):
    """Round map m's weights (C_out, C_in, K, K) into the table."""
    channels, kernel, maps = weight.shape[1], weight.shape[2], weight.shape[0]
    for c in range(channels):
        for ky in range(kernel):
            for kx in range(kernel):
                units = np.int32(np.rint(weight[m, c, ky, kx] * UNITS))
                table[c, kernel - 1 - ky, (kernel - 1 - kx) * maps + m] = units


@compiled
def spread(threshold, theta, maps, half, width):
    """Thresholds of the maps, rounded, along one row; out of reach beside the frame."""
    theta[:] = NEVER
    for column in range(half, half + width):
        for m in range(maps):
            theta[column * maps + m] = np.int32(np.rint(threshold[m] * UNITS))


@compiled
def restless(theta, mode, leak, factor):
    """Whether a neuron without input may fire, so that no tile may be left alone."""
    if (mode == SUBTRACTIVE and leak < 0) or (mode == MULTIPLICATIVE and not 0.0 <= factor <= 1.0):
        return True
    for i in range(theta.size):
        if theta[i] <= 0:
            return True
    return False


@compiled
def key(potential, address):
    """Sorts candidates: highest potential first, then lowest flat address (m*H + y)*W + x."""
    return (np.int64(2**31) - potential) << 31 | address


@compiled
def greedy(keys, n_keys, won, inhibited, winners, n_winners, t, limit, by_map, by_place, radius):
    """Winners of one step among candidates, strongest first; -> winners so far.

    Args:
        keys: int64, see `key`; sorted here.
        won: bool (maps,); inhibited: bool (H, W); both changed.
        winners: int32 rows (step, map, row, column).
    """
    height, width = inhibited.shape
    keys[:n_keys].sort()
    for k in range(n_keys):
        if n_winners == limit:
            break
        address = keys[k] & np.int64(2**31 - 1)
        m = address // (height * width)
        y = address // width % height
        x = address % width
        if (by_map and won[m]) or inhibited[y, x]:
            continue
        winners[n_winners, 0], winners[n_winners, 1], winners[n_winners, 2], winners[n_winners, 3] = t, m, y, x
        n_winners += 1
        won[m] = True
        if by_place:
            inhibited[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1] = True
    return n_winners
