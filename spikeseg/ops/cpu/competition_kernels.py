# mypy: allow-untyped-defs, no-check-untyped-defs
"""Winner-take-all: candidates, each a number that sorts, and winners among them."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled
from spikeseg.core.grid import SCALE32

from .neuron_kernels import reaches

SCAN = 64
"""Potentials looked at together, when some neuron of a tile has fired."""
ADDRESS = np.int64(2**31 - 1)
"""The address in a `key`."""


@compiled()
def key(potential, address):
    """Sorts candidates: highest potential first, then lowest flat address (m*H + y)*W + x."""
    return (np.int64(2**31) - potential) << 31 | address


@compiled()
def candidates(v, theta, level, row, first, contest, later, cap):
    """Reset what has fired in a part of a row, and list those that may win; -> whether they are known and there is room.

    Args:
        v: the potentials, from number `first` of the row on.
        theta: their thresholds.
        level: offset of the potentials above their true values.
        row: the row.
        first: number of the first one in the row.
        contest: `Contest`.
        later: added to each key.
        cap: of v; a potential at it is saturated, so not known.
    """
    keys, n_keys, won, inhibited = contest.keys, contest.n_keys, contest.won, contest.inhibited
    spent, competing, by_map = contest.spent, contest.competing, contest.rule.by_map
    maps, half = won.size, contest.half
    height, width = inhibited.shape
    for start in range(0, v.size, SCAN):
        if not reaches(v[start : start + SCAN], theta[start : start + SCAN], level):
            continue
        for i in range(start, min(start + SCAN, v.size)):
            potential = np.int32(v[i] - level)
            if potential < theta[i]:
                continue
            if v[i] >= cap:
                return False
            v[i] = level
            column = (first + i) // maps - half
            m = (first + i) % maps
            if column < 0 or column >= width or (by_map and won[m]) or inhibited[row, column]:
                continue
            if competing.size:
                if spent[row, column, m]:
                    continue
                spent[row, column, m] = True
                if np.float32(potential) / SCALE32 < competing[m, row, column]:
                    continue
            if n_keys[m] == keys.shape[1]:
                return False
            keys[m, n_keys[m]] = key(potential, (m * height + row) * width + column) + later
            n_keys[m] += 1
    return True


@compiled()
def sink(heap, at, size):
    """Let the number at `at` sink to its place in a heap (lowest first) of `size` numbers."""
    moved = heap[at]
    child = 2 * at + 1
    while child < size:
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= moved:
            break
        heap[at] = heap[child]
        at, child = child, 2 * child + 1
    heap[at] = moved


@compiled()
def greedy(contest, n_winners, t, below=63):
    """Winners of one step among candidates, strongest first; -> winners so far.

    Args:
        contest: `Contest`; its candidates are consumed, their wins are added.
        n_winners: winners so far.
        t: the step, or the first of several.
        below: bits of a key below its step, where it has one; else all.
    """
    keys, n_keys, won, inhibited, winners = contest.keys, contest.n_keys, contest.won, contest.inhibited, contest.winners
    limit, by_map, by_position, radius = contest.rule.limit, contest.rule.by_map, contest.rule.by_position, contest.rule.radius
    height, width = inhibited.shape
    for m in range(won.size):  # a heap each: few candidates are ever taken out
        if by_map and won[m]:
            n_keys[m] = 0
        for at in range(n_keys[m] // 2 - 1, -1, -1):
            sink(keys[m], at, n_keys[m])
    while n_winners < limit:
        best = -1
        for m in range(won.size):
            while n_keys[m]:
                address = keys[m, 0] & ADDRESS
                if not inhibited[address // width % height, address % width]:
                    break
                n_keys[m] -= 1
                keys[m, 0] = keys[m, n_keys[m]]
                sink(keys[m], 0, n_keys[m])
            if n_keys[m] and (best < 0 or keys[m, 0] < keys[best, 0]):
                best = m
        if best < 0:
            break
        address = keys[best, 0] & ADDRESS
        y, x = address // width % height, address % width
        step = t + (keys[best, 0] >> below)
        winners[n_winners, 0], winners[n_winners, 1], winners[n_winners, 2], winners[n_winners, 3] = step, best, y, x
        n_winners += 1
        won[best] = True
        if by_position:
            inhibited[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1] = True
        if by_map:
            n_keys[best] = 0
    return n_winners
