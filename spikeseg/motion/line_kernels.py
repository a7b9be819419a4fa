# mypy: allow-untyped-defs, no-check-untyped-defs
"""Loops of straight lines through events: the likelihood of events along one, the one that fits best, and what belongs to it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from spikeseg.core.compiled import compiled

from .event_kernels import BLOCK_PX, insert
from .footprint import REACH

FAR_PX = 3.0
"""How far a velocity may be off at the far end of a span, px: by so much it is varied."""

STILL_PX_S = 0.3
"""A motion slower than this in the frame has no direction."""

LINE = 9
"""Numbers of a line: x, y at time 0, vx, vy, events/s, first and last time of the evidence, its log-likelihood ratio, events."""


@compiled(inlined=True)
def density(table, rx, ry, ux, uy, on, moves):
    """Share of an object's events per px² at a place relative to its path, linear between the places of the table."""
    if moves:
        along, across, part = rx * ux + ry * uy, ry * ux - rx * uy, on
    else:
        along, across, part = rx, ry, 2
    a, c, last = (along + REACH) * table.per_px, (across + REACH) * table.per_px, table.density.shape[1] - 1
    if a < 0.0 or c < 0.0 or a >= last or c >= last:
        return 0.0
    i, j = int(c), int(a)
    fc, fa = c - i, a - j
    of_part = table.density[part]
    return (1 - fc) * ((1 - fa) * of_part[i, j] + fa * of_part[i, j + 1]) + fc * (
        (1 - fa) * of_part[i + 1, j] + fa * of_part[i + 1, j + 1]
    )


@compiled()
def gather(events, index, owner, first, last, origin, line, reach, grow, counted, out):
    """Events between two times that belong to nobody (or to `owner`) near a line: their numbers, rising, filled in; -> how many.

    reach + grow * |t - origin|: how near, px, along each axis. line: x, y, vx, vy at origin. counted: leave out events that do
    not count.
    """
    n = 0
    ticks = (len(index.begins) - 1) // (index.columns * index.rows)
    from_tick = min(max(int((first - index.start_s) / index.tick_s), 0), ticks - 1)
    to_tick = min(max(int((last - index.start_s) / index.tick_s), 0), ticks - 1)
    for tick in range(from_tick, to_tick + 1):
        began = n
        early, late = index.start_s + tick * index.tick_s - origin, index.start_s + (tick + 1) * index.tick_s - origin
        near = reach + grow * max(abs(early), abs(late))
        x0, x1 = line[0] + line[2] * early, line[0] + line[2] * late
        y0, y1 = line[1] + line[3] * early, line[1] + line[3] * late
        left, right = max(int(min(x0, x1) - near) // BLOCK_PX, 0), min(int(max(x0, x1) + near) // BLOCK_PX, index.columns - 1)
        top, bottom = max(int(min(y0, y1) - near) // BLOCK_PX, 0), min(int(max(y0, y1) + near) // BLOCK_PX, index.rows - 1)
        for row in range(top, bottom + 1):
            at = (tick * index.rows + row) * index.columns
            for j in range(index.begins[at + left], index.begins[at + right + 1] if right >= left else index.begins[at + left]):
                i = index.order[j]
                t = events.t[i]
                since = t - origin
                close = reach + grow * abs(since)
                if abs(events.x[i] - line[0] - line[2] * since) > close or abs(events.y[i] - line[1] - line[3] * since) > close:
                    continue
                if (events.owner[i] != 0 and events.owner[i] != owner) or (counted and events.rate[i] == np.inf):
                    continue
                if t < first or t > last or n == len(out):
                    continue
                insert(out, began, n, i)
                n += 1
    return n


class Near(NamedTuple):
    """Events near a line, in the order of their times.

    Attributes:
        since: float64 (n,), since the line's origin, s.
        x, y, on, rate: see `Events`.
        moved_x, moved_y, squared: float64 (n,), used: where they lie by what is known of their polarity, px, and their distance
            from the line, px².
        chosen: int64 (n,), used.
    """

    since: np.ndarray
    x: np.ndarray
    y: np.ndarray
    on: np.ndarray
    rate: np.ndarray
    moved_x: np.ndarray
    moved_y: np.ndarray
    squared: np.ndarray
    chosen: np.ndarray


@compiled(allocates=True)
def packed(events, index, n, origin):
    """`Near`, of n events of these numbers."""
    since, x, y, on, rate = np.empty(n), np.empty(n), np.empty(n), np.empty(n, np.int64), np.empty(n)
    for j in range(n):
        i = index[j]
        since[j] = events.t[i] - origin
        x[j], y[j], on[j], rate[j] = events.x[i], events.y[i], events.on[i], events.rate[i]
    return Near(since, x, y, on, rate, np.empty(n), np.empty(n), np.empty(n), np.empty(n, np.int64))


@compiled(allocates=True)
def fit(events, index, n, origin, table, line, rounds, least):
    """The line of greatest likelihood near `line`, in place, of n events of these numbers: see `fit_near`."""
    return fit_near(packed(events, index, n, origin), table, line, rounds, least)


@compiled()
def fit_near(near, table, line, rounds, least):
    """The line of greatest likelihood near `line`, in place, of events whose times lie in its interval: expectation and
    maximisation with a Gaussian footprint that is wide at first. -> False where fewer than two events are the object's."""
    first, last = line[5], line[6]
    middle, seconds = 0.5 * (first + last), max(last - first, 1e-3)
    n = len(near.since)
    for k in range(rounds):
        wide = 3.0 * (1.0 - k / (rounds - 1.0)) ** 2 if k < rounds - 1 else 0.0
        variance = table.sigma * table.sigma + wide
        speed = math.hypot(line[2], line[3])
        ux, uy = (line[2] / speed, line[3] / speed) if speed > STILL_PX_S else (0.0, 0.0)
        x_on, y_on, x_off, y_off = table.on * ux, table.on * uy, table.off * ux, table.off * uy
        lx, ly, vx, vy = line[0], line[1], line[2], line[3]
        for j in range(n):
            on = near.on[j] != 0
            x, y = near.x[j] - (x_on if on else x_off), near.y[j] - (y_on if on else y_off)
            rx, ry = x - lx - vx * near.since[j], y - ly - vy * near.since[j]
            near.moved_x[j], near.moved_y[j], near.squared[j] = x, y, rx * rx + ry * ry
        m, most = 0, 12.0 * variance
        for j in range(n):
            near.chosen[m] = j
            m += (near.squared[j] <= most) & (near.since[j] >= first) & (near.since[j] <= last)
        s0 = s1 = s2 = x0 = x1 = y0 = y1 = 0.0
        for c in range(m):
            j = near.chosen[c]
            expected = 0.5 * line[4] * math.exp(-0.5 * near.squared[j] / variance) / (2 * math.pi * variance)
            w = expected / (expected + near.rate[j])
            b = near.since[j] - middle
            s0 += w
            s1 += w * b
            s2 += w * b * b
            x0 += w * near.moved_x[j]
            x1 += w * b * near.moved_x[j]
            y0 += w * near.moved_y[j]
            y1 += w * b * near.moved_y[j]
        if s0 < 1.5:
            return False
        spread = s0 * s2 - s1 * s1
        if spread > 1e-9:
            line[2], line[3] = (s0 * x1 - s1 * x0) / spread, (s0 * y1 - s1 * y0) / spread
        line[0] = (x0 - line[2] * s1) / s0 - line[2] * middle
        line[1] = (y0 - line[3] * s1) / s0 - line[3] * middle
        line[4] = max(least, s0 / seconds)
    return True


@compiled()
def tells(events, index, n, origin, table, line):
    """Of n events of these numbers near a line of something round: its log-likelihood ratio against the background, nat, and how
    well they tell its velocity, one over the variance, s²/px²."""
    middle, variance = 0.5 * (line[5] + line[6]), table.sigma * table.sigma
    nats, s0, s1, s2 = -line[4] * (line[6] - line[5]), 0.0, 0.0, 0.0
    for j in range(n):
        i = index[j]
        since = events.t[i] - origin
        rx, ry = events.x[i] - line[0] - line[2] * since, events.y[i] - line[1] - line[3] * since
        ratio = line[4] * 0.5 * math.exp(-0.5 * (rx * rx + ry * ry) / variance) / (2 * math.pi * variance) / events.rate[i]
        nats += math.log1p(ratio)
        w = (ratio / (1.0 + ratio)) ** 2
        b = since - middle
        s0 += w
        s1 += w * b
        s2 += w * b * b
    return nats, (s2 - s1 * s1 / s0) / variance if s0 > 0.0 else 0.0


@compiled(inlined=True)
def sees(sight, table, t, x, y):
    """Whether something at a place and time could be seen: on the sensor, and not in front of a star."""
    if x < -0.5 or y < -0.5 or x > table.width - 0.5 or y > table.height - 0.5:
        return False
    tick = min(max(int((t - sight.start_s) / sight.tick_s), 0), len(sight.frame) - 1)
    return sight.visible[sight.frame[tick], int(y + 0.5), int(x + 0.5)] != 0


@compiled()
def seen_seconds(sight, table, line, first, last, origin):
    """For how long, between two times, something on the line could be seen, s."""
    steps = max(1, int((last - first) / 0.05))
    width, total = (last - first) / steps, 0.0
    for k in range(steps):
        at = first + (k + 0.5) * width
        if sees(sight, table, origin + at, line[0] + line[2] * at, line[1] + line[3] * at):
            total += width
    return total


@compiled()
def best_span(near, origin, table, sight, low, high, line):
    """The stretch of a line with the most evidence: fills in its first and last time and log-likelihood ratio, nat.

    The ratio of a stretch is the sum over its events of ln(1 + R F / rate), less R times the time in which it could be seen.
    """
    speed = math.hypot(line[2], line[3])
    moves = speed > STILL_PX_S
    ux, uy = (line[2] / speed, line[3] / speed) if moves else (1.0, 0.0)
    best = run = count = counted = 0.0
    first = last = start = before = low
    for j in range(len(near.since)):
        since = near.since[j]
        if since < low or since > high:
            continue
        share = density(table, near.x[j] - line[0] - line[2] * since, near.y[j] - line[1] - line[3] * since,
                        ux, uy, near.on[j], moves)  # fmt: skip
        ratio = line[4] * share / near.rate[j]
        if ratio < 1e-3:
            continue
        if since > before:
            run -= line[4] * seen_seconds(sight, table, line, before, since, origin)
            before = since
        if run <= 0.0:
            run, start, count = 0.0, since, 0.0
        run += math.log1p(ratio)
        count += ratio / (1.0 + ratio)
        if run > best:
            best, first, last, counted = run, start, since, count
    line[5], line[6], line[7], line[8] = first, last, best, counted


@compiled(allocates=True)
def refine(events, index, owner, origin, table, sight, start, spans, aside, hopeless, scratch, result):
    """The line of most evidence near a start, among events of several spans of time before `origin`.

    Args:
        events: `Events`.
        index: `Index` of them.
        owner: whose events may be taken, besides those of nobody.
        origin: time 0 of lines, s.
        table: `FootprintTable`.
        sight: `Sight`.
        start: float64 (4,), x, y, vx, vy.
        spans: float64 (s,), s, rising.
        aside: by which the velocity is varied for further starts, px/s; less in long spans.
        hopeless: float64 (h,), after each of the first spans the evidence under which the search ends, nat.
        scratch: int64 (room,).
        result: float64 (LINE,), filled.
    """
    line, centre = np.empty(LINE), start.copy()
    result[7] = 0.0
    for k in range(len(spans)):
        span = spans[k]
        aside = min(aside, FAR_PX / span)
        n = gather(events, index, owner, origin - span, origin, origin, centre, 5.0, 1.2 * aside, True, scratch)
        near = packed(events, scratch, n, origin)
        for trial in range(5 if k == 0 or (k == 1 and result[7] < hopeless[1]) else 1):
            line[:4] = centre
            line[4] = 4.0
            if trial == 1:
                line[2] += aside
            elif trial == 2:
                line[2] -= aside
            elif trial == 3:
                line[3] += aside
            elif trial == 4:
                line[3] -= aside
            line[5], line[6] = -span, 0.0
            if not fit_near(near, table, line, 6, 1.0):
                continue
            best_span(near, origin, table, sight, -span, 0.0, line)
            if line[7] > 0.6 * result[7] and line[6] - line[5] > 0.1 and fit_near(near, table, line, 3, 1.0):
                best_span(near, origin, table, sight, -span, 0.0, line)
            if line[7] > result[7]:
                result[:] = line
        if k < len(hopeless) and result[7] < hopeless[k]:
            return
        if result[7] > 0.0:
            centre[:] = result[:4]


@compiled()
def claim_along(events, index, owner, origin, line, explained, scratch):
    """Make events of nobody near a line, within its interval, the owner's."""
    n = gather(events, index, 0, origin + line[5], origin + line[6], origin, line, explained, 0.0, False, scratch)
    for j in range(n):
        i = scratch[j]
        since = events.t[i] - origin
        rx, ry = events.x[i] - line[0] - line[2] * since, events.y[i] - line[1] - line[3] * since
        if rx * rx + ry * ry <= explained * explained:
            events.owner[i] = owner


@compiled()
def hide(visible, x, y, radius):
    """Set a disc of uint8 (height, width) to 0."""
    height, width = visible.shape
    for row in range(max(y - radius, 0), min(y + radius + 1, height)):
        for column in range(max(x - radius, 0), min(x + radius + 1, width)):
            if (row - y) ** 2 + (column - x) ** 2 <= radius * radius:
                visible[row, column] = 0


MOST_REACH_PX = 12
"""An object's events reach no further than this from its path, px."""


@compiled(allocates=True)
def reach_of(events, index, owner, origin, table, line, falls, scratch):
    """How far from its path a line's events reach, px: to where a round source of its brightness sinks into the background, or
    further, while there are more events than the background's; and, if it `falls`, no more of them than further in."""
    counts, rates = np.zeros(MOST_REACH_PX), np.zeros(MOST_REACH_PX)
    n = gather(events, index, owner, origin + line[5], origin + line[6], origin, line, MOST_REACH_PX, 0.0, True, scratch)
    for j in range(n):
        i = scratch[j]
        since = events.t[i] - origin
        rx, ry = events.x[i] - line[0] - line[2] * since, events.y[i] - line[1] - line[3] * since
        squared = rx * rx + ry * ry
        if squared < MOST_REACH_PX * MOST_REACH_PX:
            ring = int(math.sqrt(squared))
            counts[ring] += 1.0
            rates[ring] += 2.0 * events.rate[i]
    total = counts.sum()
    usual = max(rates.sum() / total, 1e-4) if total else 1.0
    seconds = max(line[6] - line[5], 1e-3)
    variance = table.sigma * table.sigma
    excess = line[4] / (2 * math.pi * variance) / (0.1 * usual)
    reach = max(3.0, table.sigma * math.sqrt(2 * math.log(max(excess, math.e))))
    for ring in range(3, MOST_REACH_PX):
        expected = usual * math.pi * (2 * ring + 1) * seconds
        if ring < reach - 1:
            continue
        if ring > reach + 1 or counts[ring] <= expected + 3 * math.sqrt(expected) + 3:
            break
        inner = counts[ring - 1] * (2 * ring + 1) / (2 * ring - 1)
        if falls and counts[ring] > inner + 3 * math.sqrt(inner) + 3:  # another source's
            break
        reach = max(reach, ring + 1.0)
    return min(reach, float(MOST_REACH_PX))
