# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled parts of `camera_tiles`: images of events, what tiles have of them, and the motion that tiles agree with."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled


@compiled()
def count_events(x, y, on, row, column, signed, total):
    """Add events to float32 images (rows, columns): ON less OFF, and all.

    Args:
        x: integers (n,), px.
        y: integers (n,), px.
        on: bool (n,), or (0,): signed is then left alone.
        row: int32 (H,), of each row of pixels the row of cells; -1: its events do not count.
        column: int32 (W,), the same of columns.
        signed: changed in place.
        total: changed in place.
    """
    known = on.size > 0
    for k in range(len(x)):
        i, j = row[y[k]], column[x[k]]
        if i >= 0 and j >= 0:
            total[i, j] += 1
            if known:
                signed[i, j] += 1 if on[k] else -1


@compiled()
def cap(signed, total, most):
    """Scale both float32 images (rows, columns) down where a cell counts for more than `most`, 1 or more."""
    for i in range(total.shape[0]):
        for j in range(total.shape[1]):
            share = min(total[i, j], most) / max(total[i, j], np.float32(1))
            total[i, j] *= share
            signed[i, j] *= share


@compiled()
def in_noise(signed, total, mean, floor, values):
    """Images in units of their noise: complex64 (rows, columns), ON less OFF, and as the imaginary part what is above the mean;
    filled. All float32."""
    for i in range(total.shape[0]):
        for j in range(total.shape[1]):
            unit = np.float32(1) / np.sqrt(mean[i, j] + floor)
            values[i, j] = np.complex64(complex(signed[i, j] * unit, (total[i, j] - mean[i, j]) * unit))


@compiled()
def spread_over(total, corner, side, block, held, spread):
    """Of each tile its events, and over how much of it they are spread: as many blocks, of the cells with events in each.

    Args:
        total: float32 (rows, columns).
        corner: int64 (n, 2), first row and column of each tile.
        side: of a tile, cells.
        block: of a block, cells.
        held: float64 (n,), filled.
        spread: float64 (n,), filled.
    """
    across = side // block
    for n in range(len(corner)):
        sums, some, squares = 0.0, 0, 0
        for i in range(corner[n, 0], corner[n, 0] + side):
            for j in range(corner[n, 1], corner[n, 1] + side):
                sums += total[i, j]
        for a in range(across):
            for b in range(across):
                own = 0
                for i in range(corner[n, 0] + a * block, corner[n, 0] + (a + 1) * block):
                    for j in range(corner[n, 1] + b * block, corner[n, 1] + (b + 1) * block):
                        own += total[i, j] > 0
                some += own
                squares += own * own
        held[n], spread[n] = sums, some * some / max(across * across * squares, 1)


@compiled()
def peaks(surface, guess, near, least, found):
    """The peak of each tile's correlation near a first guess, as a paraboloid.

    Args:
        surface: float32 (n, m, m), by row and column of the displacement.
        guess: int64 (n, 2), column and row.
        near: so far from the guess it is looked for.
        least: of both curvatures.
        found: float64 (n, 6), filled: column and row of the peak, its height (0 at least), the curvatures along columns and rows
            and the mixed one.
    """
    last = surface.shape[1] - 1
    for n in range(len(guess)):
        own, x, y, best = surface[n], 0, 0, np.float32(-np.inf)
        for i in range(-near, near + 1):
            for j in range(-near, near + 1):
                value = own[min(max(guess[n, 1] + i, 0), last), min(max(guess[n, 0] + j, 0), last)]
                if value > best:
                    best, x, y = value, guess[n, 0] + j, guess[n, 1] + i
        x, y = min(max(x, 1), last - 1), min(max(y, 1), last - 1)
        left, right, above, below = max(x - 1, 0), min(x + 1, last), max(y - 1, 0), min(y + 1, last)
        x, y = max(x, 0), max(y, 0)
        middle = np.float64(own[y, x])
        west, east = np.float64(own[y, left]), np.float64(own[y, right])
        north, south = np.float64(own[above, x]), np.float64(own[below, x])
        bend_x, bend_y = max(2 * middle - east - west, least), max(2 * middle - south - north, least)
        twist = -(np.float64(own[below, right]) - own[below, left] - own[above, right] + own[above, left]) / 4
        limit = 0.9 * np.sqrt(bend_x * bend_y)
        twist = min(max(twist, -limit), limit)
        slope_x, slope_y = (east - west) / 2, (south - north) / 2
        whole = bend_x * bend_y - twist * twist
        found[n, 0] = x + min(max((bend_y * slope_x - twist * slope_y) / whole, -1.0), 1.0)
        found[n, 1] = y + min(max((bend_x * slope_y - twist * slope_x) / whole, -1.0), 1.0)
        found[n, 2], found[n, 3], found[n, 4], found[n, 5] = max(middle, 0.0), bend_x, bend_y, twist


@compiled()
def agree_on(found, weight, basis, cell_px, firm, rounds, system, motion):
    """The affine motion of greatest sum of the tiles' paraboloids; one that a tile misses counts for less, round by round.

    Args:
        found: float64 (n, 6), see `peaks`; columns and rows from the displacement 0.
        weight: float64 (n,), of each tile.
        basis: float64 (n, 3), place of each tile, of the order of 1, and 1.
        cell_px: px.
        firm: weight of a motion without turning, shearing and zooming, in that of the tiles.
        rounds: how many.
        system: float64 (6, 7), scratch.
        motion: float64 (6,), filled: for each of x and y, px for each of the basis.
    """
    held = 0.0
    for n in range(len(found)):
        held += weight[n] * (found[n, 3] + found[n, 4])
    motion[:] = 0.0
    for again in range(rounds):
        system[:] = 0.0
        for n in range(len(found)):
            x, y, bend_x, bend_y, twist = found[n, 0] * cell_px, found[n, 1] * cell_px, found[n, 3], found[n, 4], found[n, 5]
            w = weight[n]
            if w == 0.0:
                continue
            if again:
                off_x, off_y = x, y
                for a in range(3):
                    off_x -= basis[n, a] * motion[a]
                    off_y -= basis[n, a] * motion[3 + a]
                away = (bend_x * off_x * off_x + 2 * twist * off_x * off_y + bend_y * off_y * off_y) / max(found[n, 2], 1e-6)
                away /= cell_px * cell_px
                w /= 1 + away * away
            for a in range(3):
                for b in range(3):
                    both = basis[n, a] * basis[n, b] * w
                    system[a, b] += both * bend_x
                    system[a, 3 + b] += both * twist
                    system[3 + a, b] += both * twist
                    system[3 + a, 3 + b] += both * bend_y
                system[a, 6] += basis[n, a] * w * (bend_x * x + twist * y)
                system[3 + a, 6] += basis[n, a] * w * (twist * x + bend_y * y)
        for a in range(6):
            system[a, a] += 1e-9 + (firm * held if a % 3 < 2 else 0.0)
        solve(system, motion)


@compiled()
def solve(system, solution):
    """The solution, float64 (n,), filled, of n linear equations (n, n + 1), which are changed (Gauss, with pivots by column)."""
    n = len(solution)
    for k in range(n):
        pivot = k
        for i in range(k + 1, n):
            if abs(system[i, k]) > abs(system[pivot, k]):
                pivot = i
        for j in range(k, n + 1):
            system[k, j], system[pivot, j] = system[pivot, j], system[k, j]
        for i in range(k + 1, n):
            factor = system[i, k] / system[k, k]
            for j in range(k, n + 1):
                system[i, j] -= factor * system[k, j]
    for k in range(n - 1, -1, -1):
        value = system[k, n]
        for j in range(k + 1, n):
            value -= system[k, j] * solution[j]
        solution[k] = value / system[k, k]
