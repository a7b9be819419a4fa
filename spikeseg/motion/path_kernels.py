# mypy: allow-untyped-defs, no-check-untyped-defs
"""Loops of paths that bend: a filter that goes on along one, knot by knot, and a smoother of all of it."""

from __future__ import annotations

import math

import numpy as np

from spikeseg.core.compiled import compiled

from .event_kernels import BLOCK_PX, insert
from .footprint import REACH
from .line_kernels import STILL_PX_S, density, sees

NEAR, TAIL = 3, 0.1
"""Nearer to its path than this, px, a point source has nearly all of its events; further off this share of those, at most."""

STATE = 10
"""Numbers of a filter's state: x, y, vx, vy, variances of position, both, velocity; events/s; evidence, its highest for the rule
by which a path ends."""

KNOT = 8
"""Numbers of a knot: t, x, y, vx, vy, evidence gained, events of the object, whether anything could be seen."""


@compiled()
def near(events, index, low, high, centre, since, reach, out):
    """Events from a time `low` until before `high` within `reach` of a moving centre (x, y, vx, vy at time `since`), along each
    axis: their numbers, rising, filled in; -> how many, or -1 where `out` is too short."""
    first, last = np.searchsorted(events.t, low), np.searchsorted(events.t, high)
    ticks = (len(index.begins) - 1) // (index.columns * index.rows)
    from_tick = min(max(int((low - index.start_s) / index.tick_s), 0), ticks - 1)
    to_tick = min(max(int((high - index.start_s) / index.tick_s), 0), ticks - 1)
    x0, x1 = centre[0] + centre[2] * (low - since), centre[0] + centre[2] * (high - since)
    y0, y1 = centre[1] + centre[3] * (low - since), centre[1] + centre[3] * (high - since)
    about = reach + 1.0  # more than rounding
    left, right = max(int(min(x0, x1) - about) // BLOCK_PX, 0), min(int(max(x0, x1) + about) // BLOCK_PX, index.columns - 1)
    top, bottom = max(int(min(y0, y1) - about) // BLOCK_PX, 0), min(int(max(y0, y1) + about) // BLOCK_PX, index.rows - 1)
    n = 0
    if left > right:
        return 0
    for tick in range(from_tick, to_tick + 1):
        began = n
        for row in range(top, bottom + 1):
            at = (tick * index.rows + row) * index.columns
            for j in range(index.begins[at + left], index.begins[at + right + 1]):
                i = index.order[j]
                if i < first or i >= last:
                    continue
                t = events.t[i] - since
                if abs(events.x[i] - centre[0] - centre[2] * t) > reach or abs(events.y[i] - centre[1] - centre[3] * t) > reach:
                    continue
                if n == len(out):
                    return -1
                insert(out, began, n, i)
                n += 1
    return n


@compiled()
def advance(events, index, owner, claim, table, sight, state, start, until, step, wander, settings, knots, used, scratch):
    """Go on along a path, knot by knot, forwards or backwards in time: a Kalman filter of position and velocity (see
    `tracking.kalman`) that takes every event by the probability that it is the object's, and gains, before it takes it, the
    logarithm of one and the ratio of the densities that the object and the background predict for it.

    Args:
        events: `Events`.
        index: `Index` of them.
        owner: whose events may be taken, besides those of nobody.
        claim: whether events close to the path become the owner's.
        table: `FootprintTable`.
        sight: `Sight`.
        state: float64 (STATE,), changed.
        start: time of the state, s.
        until: time at which to stop, s; before start: backwards.
        step: between knots, s.
        wander: spectral density of the acceleration, px²/s³.
        settings: float64 (4,): evidence whose loss ends a path, nat; most events/s that count for that; time over which the
            rate is estimated, s; distance within which events are explained, px.
        knots: float64 (room, KNOT), filled from `used` on.
        used: how many knots are filled already.
        scratch: int64 (room,), used.

    Returns:
        how many knots are filled then, and whether the path goes on.
    """
    sign = 1.0 if until >= start else -1.0
    lost, most, memory, explained = settings
    goes_on = True
    t = start
    while used < len(knots) and sign * (until - t) > 1e-9:
        seconds = min(step, abs(until - t))
        state[0] += sign * seconds * state[2]
        state[1] += sign * seconds * state[3]
        p, b, v = state[4], state[5], state[6]
        state[4] = p + seconds * (2 * sign * b + seconds * v) + wander * seconds**3 / 3
        state[5] = b + sign * seconds * v + sign * wander * seconds**2 / 2
        state[6] = v + wander * seconds
        low, high = (t, t + seconds) if sign > 0 else (t - seconds, t)
        middle = 0.5 * (low + high)
        t += sign * seconds
        if not (-1.0 <= state[0] <= table.width and -1.0 <= state[1] <= table.height):
            return used, False
        seen = sees(sight, table, middle, state[0], state[1])
        speed = math.hypot(state[2], state[3])
        ux, uy = (state[2] / speed, state[3] / speed) if speed > STILL_PX_S else (0.0, 0.0)
        variance = table.sigma * table.sigma + state[4]
        reach = min(max(4.0 * math.sqrt(variance), explained), 24.0)
        w = mx = my = gain = robust = 0.0
        slow = min(state[7], most)
        n = near(events, index, low, high, state, t, reach, scratch)
        first = 0 if n >= 0 else np.searchsorted(events.t, low)
        for j in range(first, n if n >= 0 else np.searchsorted(events.t, high)):
            i = scratch[j] if n >= 0 else j
            since = events.t[i] - t
            rx, ry = events.x[i] - state[0] - state[2] * since, events.y[i] - state[1] - state[3] * since
            if abs(rx) > reach or abs(ry) > reach:
                continue
            if (events.owner[i] != 0 and events.owner[i] != owner) or events.rate[i] == np.inf:
                continue
            squared = rx * rx + ry * ry
            ahead = table.on if events.on[i] else table.off
            sx, sy = rx - ahead * ux, ry - ahead * uy
            share = 0.5 * math.exp(-0.5 * (sx * sx + sy * sy) / variance) / (2 * math.pi * variance)
            ratio = state[7] * share / events.rate[i]
            gain += math.log1p(ratio)
            robust += math.log1p(slow * share / events.rate[i])
            ratio /= 1.0 + ratio
            w += ratio
            mx += ratio * sx
            my += ratio * sy
            if claim and squared <= explained * explained:
                events.owner[i] = owner
        if seen:
            gain -= state[7] * seconds
            robust -= slow * seconds
            keep = math.exp(-seconds / memory)
            state[7] = max(0.3, keep * state[7] + (1 - keep) * w / seconds)
        if w > 0.05:
            noise = 1.2 * table.sigma * table.sigma / w
            p, b, v = state[4], state[5], state[6]
            scale = p + noise
            state[0] += p / scale * mx / w
            state[1] += p / scale * my / w
            state[2] += b / scale * mx / w
            state[3] += b / scale * my / w
            state[4], state[5], state[6] = p - p * p / scale, b - p * b / scale, v - b * b / scale
        state[8] += robust
        state[9] = max(state[9], state[8])
        knot = knots[used]
        knot[0], knot[1], knot[2], knot[3], knot[4] = t, state[0], state[1], state[2], state[3]
        knot[5], knot[6], knot[7] = gain, w, 1.0 if seen else 0.0
        used += 1
        if state[9] - state[8] > lost:
            goes_on = False
            break
    return used, goes_on


@compiled(allocates=True)
def polish(
    events, index, owner, table, sight, times, path, wander, rounds, mean, gained, responsibility, certainty, raised, scratch
):
    """The smoothed path of an object, from all of its events: expectation (which events are the object's) and maximisation (a
    Kalman filter, then the smoother of Rauch, Tung and Striebel), in turn.

    Args:
        events: `Events`.
        index: `Index` of them.
        owner: whose events these are.
        table: `FootprintTable`.
        sight: `Sight`.
        times: float64 (k,), of the knots, s, at equal distances.
        path: float64 (k, 2), where the object about is, px.
        wander: spectral density of the acceleration, px²/s³.
        rounds: how often.
        mean: float64 (k, 4), filled: x, y, vx, vy.
        gained: float64 (k, 3), filled: evidence (nat), events of the object around each knot, and the variance of x and of y
            there, px².
        responsibility: float32 (n,), raised to the probability that an event is the object's, times `certainty`; not touched
            where that is 0.
        certainty: 0 to 1.
        raised: float64 (parts, 2), in parts of the path's time: what the background of OFF and of ON events is multiplied by.
        scratch: int64 (room,), used.
    """
    k = len(times)
    half = 0.5 * (times[1] - times[0]) if k > 1 else 0.05
    for j in range(k):
        before, after = max(j - 1, 0), min(j + 1, k - 1)
        seconds = max(times[after] - times[before], 1e-6)
        for axis in range(2):
            mean[j, axis] = path[j, axis]
            mean[j, 2 + axis] = (path[after, axis] - path[before, axis]) / seconds if k > 1 else 0.0
    rate = np.zeros(k)
    filtered, covariance = np.zeros((k, 4)), np.zeros((k, 3))
    ahead, ahead_covariance = np.zeros((k, 4)), np.zeros((k, 3))
    for turn in range(rounds + 1):
        final = turn == rounds
        variance = table.sigma**2 + (2.0 if turn == 0 else 0.0)
        weight, offset = np.zeros(k), np.zeros((k, 2))
        usual = rate.sum() / k if turn else 8.0
        for j in range(k):
            moves = math.hypot(mean[j, 2], mean[j, 3]) > STILL_PX_S
            speed = math.hypot(mean[j, 2], mean[j, 3]) if moves else 1.0
            ux, uy = (mean[j, 2] / speed, mean[j, 3] / speed) if moves else (1.0, 0.0)
            expected = max(rate[j], 0.5 * usual) if turn else usual
            gain = 0.0
            n = near(events, index, times[j] - half, times[j] + half, mean[j], times[j], REACH, scratch)
            first = 0 if n >= 0 else np.searchsorted(events.t, times[j] - half)
            for m in range(first, n if n >= 0 else np.searchsorted(events.t, times[j] + half)):
                i = scratch[m] if n >= 0 else m
                since = events.t[i] - times[j]
                rx, ry = events.x[i] - mean[j, 0] - mean[j, 2] * since, events.y[i] - mean[j, 1] - mean[j, 3] * since
                if abs(rx) > REACH or abs(ry) > REACH:
                    continue
                if (events.owner[i] != 0 and events.owner[i] != owner) or events.rate[i] == np.inf:
                    continue
                ahead_px = table.on if events.on[i] else table.off
                sx, sy = (rx - ahead_px * ux, ry - ahead_px * uy) if moves else (rx, ry)
                background = events.rate[i] * raised[j * len(raised) // k, events.on[i]]
                if final:
                    ratio = expected * density(table, rx, ry, ux, uy, events.on[i], moves) / background
                    gain += math.log1p(ratio)
                    if certainty > 0.0:
                        responsibility[i] = max(responsibility[i], certainty * ratio / (1.0 + ratio))
                else:
                    squared = sx * sx + sy * sy
                    ratio = expected * 0.5 * math.exp(-0.5 * squared / variance) / (2 * math.pi * variance) / background
                ratio /= 1.0 + ratio
                weight[j] += ratio
                offset[j, 0] += ratio * sx
                offset[j, 1] += ratio * sy
            if final:
                shown = sees(sight, table, times[j], mean[j, 0], mean[j, 1])
                gained[j, 0] = gain - (expected * 2 * half if shown else 0.0)
                gained[j, 1] = weight[j]
        if final:
            break
        memory = max(1, int(0.5 / (2 * half)))
        for j in range(k):
            low, high = max(j - memory, 0), min(j + memory, k - 1)
            total = 0.0
            for i in range(low, high + 1):
                total += weight[i]
            rate[j] = total / ((high - low + 1) * 2 * half)
        _smooth(times, weight, offset, mean, table.sigma**2, wander, filtered, covariance, ahead, ahead_covariance)
    for j in range(k):
        gained[j, 2] = covariance[j, 0]


@compiled()
def around(events, index, table, times, states, ring, scratch):
    """Events that move along with a path in the ring between `NEAR` and `REACH` from it, without those of stars, less what may be
    a point's own, `TAIL` of those nearer: how many, and the sum of the times in which the background sends one, s. None where the
    sensor's edge cuts the ring off, and images.

    Args:
        events: `Events`.
        index: `Index` of them.
        table: `FootprintTable`.
        times: float64 (k,), of the path's knots, s, at equal distances.
        states: float64 (k, 4), there: x, y (px), vx, vy (px/s).
        ring: float64 (parts, 2, 2), changed: parts of the path's time; OFF and ON; events, seconds.
        scratch: int64 (room,), used.
    """
    half = 0.5 * (times[1] - times[0])
    for j in range(len(times)):
        part = ring[j * len(ring) // len(times)]
        x, y = states[j, 0], states[j, 1]
        if min(x, y, table.width - 1 - x, table.height - 1 - y) < REACH:
            continue
        n = near(events, index, times[j] - half, times[j] + half, states[j], times[j], REACH, scratch)
        first = 0 if n >= 0 else np.searchsorted(events.t, times[j] - half)
        for m in range(first, n if n >= 0 else np.searchsorted(events.t, times[j] + half)):
            i = scratch[m] if n >= 0 else m
            since = events.t[i] - times[j]
            rx, ry = events.x[i] - x - states[j, 2] * since, events.y[i] - y - states[j, 3] * since
            squared = rx * rx + ry * ry
            if squared <= REACH * REACH and events.owner[i] >= 0 and events.rate[i] < np.inf:
                share = 1.0 if squared > NEAR * NEAR else -TAIL
                part[events.on[i], 0] += share
                part[events.on[i], 1] += share / events.rate[i]


@compiled(allocates=True)
def _smooth(times, weight, offset, mean, noise, wander, filtered, covariance, ahead, ahead_covariance):
    """Filter forwards and smooth backwards: places mean[:, :2] + offset / weight, measured with a variance of noise / weight.
    In the end `covariance` is that of the smoothed states."""
    k = len(times)
    filtered[0] = mean[0]
    covariance[0] = 25.0, 0.0, 2500.0
    for j in range(k):
        if j:
            s = times[j] - times[j - 1]
            p, b, v = covariance[j - 1]
            ahead[j, :2] = filtered[j - 1, :2] + s * filtered[j - 1, 2:]
            ahead[j, 2:] = filtered[j - 1, 2:]
            ahead_covariance[j] = p + s * (2 * b + s * v) + wander * s**3 / 3, b + s * v + wander * s**2 / 2, v + wander * s
            filtered[j], covariance[j] = ahead[j], ahead_covariance[j]
        if weight[j] > 0.05:
            p, b, v = covariance[j]
            scale = p + 1.2 * noise / weight[j]
            for axis in range(2):
                off = mean[j, axis] + offset[j, axis] / weight[j] - filtered[j, axis]
                filtered[j, axis] += p / scale * off
                filtered[j, 2 + axis] += b / scale * off
            covariance[j] = p - p * p / scale, b - p * b / scale, v - b * b / scale
    mean[k - 1] = filtered[k - 1]
    for j in range(k - 2, -1, -1):
        s = times[j + 1] - times[j]
        p, b, v = covariance[j]
        # gain = covariance F' (ahead covariance)^-1
        cp, cb = p + s * b, b
        dp, dv = b + s * v, v
        ap, ab, av = ahead_covariance[j + 1]
        det = ap * av - ab * ab
        g00, g01 = (cp * av - cb * ab) / det, (cb * ap - cp * ab) / det
        g10, g11 = (dp * av - dv * ab) / det, (dv * ap - dp * ab) / det
        for axis in range(2):
            e0 = mean[j + 1, axis] - ahead[j + 1, axis]
            e1 = mean[j + 1, 2 + axis] - ahead[j + 1, 2 + axis]
            mean[j, axis] = filtered[j, axis] + g00 * e0 + g01 * e1
            mean[j, 2 + axis] = filtered[j, 2 + axis] + g10 * e0 + g11 * e1
        e0, e1, e2 = covariance[j + 1, 0] - ap, covariance[j + 1, 1] - ab, covariance[j + 1, 2] - av
        covariance[j, 0] = p + g00 * (g00 * e0 + g01 * e1) + g01 * (g00 * e1 + g01 * e2)
        covariance[j, 1] = b + g10 * (g00 * e0 + g01 * e1) + g11 * (g00 * e1 + g01 * e2)
        covariance[j, 2] = v + g10 * (g10 * e0 + g11 * e1) + g11 * (g10 * e1 + g11 * e2)
