# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled parts of the camera's motion and of what it explains."""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled


@compiled()
def stabilise(events, first, last, clock, matrices, centre, size, out):
    """Cells of a scene's frame in which events [first, last) lie, into int32 out (last - first,): row * columns + column, or -1
    outside. clock: (start, step) of the matrices float64 (k, 2, 3), s; centre: of the sensor (x, y), px, and of the frame, cells;
    size: (rows, columns)."""
    start, step = clock
    final = len(matrices) - 1
    for k in range(first, last):
        j = min(max(np.int64((events.t_s[k] - start) / step), 0), final)
        m = matrices[j]
        x, y = events.x[k] - centre[0], events.y[k] - centre[1]
        column = np.int64(np.floor(m[0, 0] * x + m[0, 1] * y + m[0, 2] + centre[2] + 0.5))
        row = np.int64(np.floor(m[1, 0] * x + m[1, 1] * y + m[1, 2] + centre[3] + 0.5))
        out[k - first] = row * size[1] + column if 0 <= row < size[0] and 0 <= column < size[1] else -1


@compiled()
def count_cells(cell, part, counts):
    """Add events to counts uint16 (cells, parts): cell int32 (n,), -1 for none; part int32 (n,)."""
    for k in range(len(cell)):
        if cell[k] >= 0:
            counts[cell[k], part[k]] += 1


@compiled(allocates=True)
def box_sums(counts, near):
    """Replace uint16 counts (rows, columns, parts) by their sums over boxes of (2 near + 1)^2 cells."""
    rows, columns, parts = counts.shape
    width = 2 * near + 1
    old = np.zeros((width, columns, parts), np.uint16)
    lately = np.zeros((width, parts), np.uint16)
    total, run = np.zeros((columns, parts), np.uint16), np.zeros(parts, np.uint16)
    for i in range(rows):
        run[:] = 0
        for j in range(columns + near):
            if j < columns:
                for s in range(parts):
                    run[s] += counts[i, j, s]
            if j - width >= 0:
                for s in range(parts):
                    run[s] -= lately[(j - width) % width, s]
            if j < columns:
                for s in range(parts):
                    lately[j % width, s] = counts[i, j, s]
            if j >= near:
                for s in range(parts):
                    counts[i, j - near, s] = run[s]
    for i in range(rows + near):
        if i < rows:
            for j in range(columns):
                for s in range(parts):
                    total[j, s] += counts[i, j, s]
        if i - width >= 0:
            for j in range(columns):
                for s in range(parts):
                    total[j, s] -= old[(i - width) % width, j, s]
        if i < rows:
            for j in range(columns):
                for s in range(parts):
                    old[i % width, j, s] = counts[i, j, s]
        if i >= near:
            for j in range(columns):
                for s in range(parts):
                    counts[i - near, j, s] = total[j, s]


@compiled()
def usual_there(cell, part, counts, flow, block, rules, typical, out):
    """Which events are no more than their place sends in other parts, into bool out (n,).

    cell, part: int32 (n,). counts: uint16 (cells, parts). block: int32 (cells,). flow: float32 (blocks, 3, parts): how far the
    scene moves in a part, px, and in which direction (cosine and sine); less than 0 px where the block lies at the sensor's edge,
    where others are not compared with it, 0 beyond.
    rules: see camera_background.Rules. typical: events that a place may send for each px where too few parts are compared.
    """
    parts = counts.shape[1]
    factor, root_factor, constant = rules.factor, rules.root_factor, rules.constant
    turn = np.float32(rules.turn)
    for k in range(len(cell)):
        c = cell[k]
        if c < 0:
            out[k] = False
            continue
        more = counts[c, part[k]] - constant
        if more <= 0:
            out[k] = True
            continue
        root = (np.sqrt(root_factor**2 + 4 * factor * more) - root_factor) / (2 * factor)
        way, cosine, sine = flow[block[c]]
        mine = part[k]
        if way[mine] == 0:
            out[k] = False
            continue
        most = np.float32(root * root)
        enough = most / abs(way[mine])
        x, y = cosine[mine], sine[mine]
        here = counts[c]
        others, active = np.int32(0), np.int32(0)
        for s in range(parts):
            alike = np.int32((way[s] > 0) & (abs(x * cosine[s] + y * sine[s]) >= turn))
            others += alike
            active += alike & np.int32(np.float32(here[s]) >= min(enough * way[s], most))
        if others > rules.least:
            out[k] = active >= rules.share * others
        else:
            out[k] = enough <= typical


@compiled()
def whose_majority(cell, part, first, counts, kept, share, out):
    """Set bool out (n,) where events have a cell and no more than a share of their place's events is kept: cell, part int32 (n,);
    counts uint16 (cells, parts); kept uint16 (cells, parts from the first)."""
    for k in range(len(cell)):
        if cell[k] >= 0:
            out[k] = kept[cell[k], part[k] - first] <= share * counts[cell[k], part[k]]


@compiled()
def flicker(events, first, last, width, rules, state, tallies):
    """Go through events [first, last) of one window: how regularly pixels turn from OFF to ON, into int32 tallies (4, pixels):
    turns that follow another, those of them in the beat of the first and of the second rate of rules, parts of the window in
    which the pixel sends. state: float64 (3, pixels), empty: time of the last turn, last polarity, last part. rules: see
    camera_background.Lamps; width: of the sensor, px."""
    begin = events.t_s[first] if last > first else 0.0
    for k in range(first, last):
        p, now = np.int64(events.y[k]) * width + events.x[k], events.t_s[k]
        part = 1.0 + np.floor((now - begin) / rules.part_s)
        if state[2, p] != part:
            state[2, p] = part
            tallies[3, p] += 1
        polarity = 1.0 if events.on[k] else -1.0
        if polarity > 0 and state[1, p] < 0:
            since = now - state[0, p]
            if 0 < state[0, p] and since <= rules.longest_s:
                tallies[0, p] += 1
                for r in range(2):
                    beats = since * rules.rates_hz[r]
                    nearest = np.floor(beats + 0.5)
                    tallies[1 + r, p] += 1 if nearest > 0 and abs(beats - nearest) <= rules.jitter else 0
            state[0, p] = now
        state[1, p] = polarity
