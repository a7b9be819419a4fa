# mypy: allow-untyped-defs, no-check-untyped-defs
"""Loops of `paths`: the likelihood of events along a path, the straight line that fits best, and a filter that goes on along
it."""

from __future__ import annotations

import math

import numpy as np

from spikeseg.core.compiled import compiled

from .event_kernels import BLOCK_PX
from .footprint import REACH, SIDE

FAR_PX = 3.0
"""How far a velocity may be off at the far end of a span, px: by so much it is varied."""

STILL_PX_S = 0.3
"""A motion slower than this in the frame has no direction."""

LINE = 9
"""Numbers of a line: x, y at time 0, vx, vy, events/s, first and last time of the evidence, its log-likelihood ratio, events."""

STATE = 10
"""Numbers of a filter's state: x, y, vx, vy, variances of position, both, velocity; events/s; evidence, its highest for the rule
by which a path ends."""

KNOT = 8
"""Numbers of a knot: t, x, y, vx, vy, evidence gained, events of the object, whether anything could be seen."""


@compiled(inlined=True)
def density(table, rx, ry, ux, uy, on, moves):
    """Share of an object's events per px² at a place relative to its path, between the middles of the footprint's pixels."""
    if moves:
        along, across, part = rx * ux + ry * uy, ry * ux - rx * uy, on
    else:
        along, across, part = rx, ry, 2
    a, c = along + REACH, across + REACH
    if a < 0.0 or c < 0.0 or a >= SIDE - 1 or c >= SIDE - 1:
        return 0.0
    i, j = int(c), int(a)
    fc, fa = c - i, a - j
    of_part = table.density[part]
    return (1 - fc) * ((1 - fa) * of_part[i, j] + fa * of_part[i, j + 1]) + fc * (
        (1 - fa) * of_part[i + 1, j] + fa * of_part[i + 1, j + 1]
    )


@compiled()
def gather(events, index, owner, first, last, origin, line, reach, grow, out):
    """Events between two times that belong to nobody (or to `owner`) near a line: their numbers, rising, filled in; -> how many.

    reach + grow * |t - origin|: how near, px, along each axis. line: x, y, vx, vy at origin.
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
                if (events.owner[i] != 0 and events.owner[i] != owner) or events.rate[i] == np.inf:
                    continue
                t = events.t[i]
                since = t - origin
                close = reach + grow * abs(since)
                if abs(events.x[i] - line[0] - line[2] * since) > close or abs(events.y[i] - line[1] - line[3] * since) > close:
                    continue
                if t < first or t > last or n == len(out):
                    continue
                k = n
                while k > began and out[k - 1] > i:
                    out[k] = out[k - 1]
                    k -= 1
                out[k] = i
                n += 1
    return n


@compiled()
def fit(events, index, n, origin, table, line, rounds, least):
    """The line of greatest likelihood near `line`, in place, of events whose times lie in its interval: expectation and
    maximisation with a Gaussian footprint that is wide at first. -> False where fewer than two events are the object's."""
    first, last = line[5], line[6]
    middle, seconds = 0.5 * (first + last), max(last - first, 1e-3)
    for k in range(rounds):
        wide = 3.0 * (1.0 - k / (rounds - 1.0)) ** 2 if k < rounds - 1 else 0.0
        variance = table.sigma * table.sigma + wide
        speed = math.hypot(line[2], line[3])
        ux, uy = (line[2] / speed, line[3] / speed) if speed > STILL_PX_S else (0.0, 0.0)
        s0 = s1 = s2 = x0 = x1 = y0 = y1 = 0.0
        for j in range(n):
            i = index[j]
            since = events.t[i] - origin
            if since < first or since > last:
                continue
            ahead = table.on if events.on[i] else table.off
            x, y = events.x[i] - ahead * ux, events.y[i] - ahead * uy
            rx, ry = x - line[0] - line[2] * since, y - line[1] - line[3] * since
            if rx * rx + ry * ry > 12.0 * variance:
                continue
            expected = 0.5 * line[4] * math.exp(-0.5 * (rx * rx + ry * ry) / variance) / (2 * math.pi * variance)
            w = expected / (expected + events.rate[i])
            b = since - middle
            s0 += w
            s1 += w * b
            s2 += w * b * b
            x0 += w * x
            x1 += w * b * x
            y0 += w * y
            y1 += w * b * y
        if s0 < 1.5:
            return False
        spread = s0 * s2 - s1 * s1
        if spread > 1e-9:
            line[2], line[3] = (s0 * x1 - s1 * x0) / spread, (s0 * y1 - s1 * y0) / spread
        line[0] = (x0 - line[2] * s1) / s0 - line[2] * middle
        line[1] = (y0 - line[3] * s1) / s0 - line[3] * middle
        line[4] = max(least, s0 / seconds)
    return True


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
def best_span(events, index, n, origin, table, sight, low, high, line):
    """The stretch of a line with the most evidence: fills in its first and last time and log-likelihood ratio, nat.

    The ratio of a stretch is the sum over its events of ln(1 + R F / rate), less R times the time in which it could be seen.
    """
    speed = math.hypot(line[2], line[3])
    moves = speed > STILL_PX_S
    ux, uy = (line[2] / speed, line[3] / speed) if moves else (1.0, 0.0)
    best = run = count = counted = 0.0
    first = last = start = before = low
    for j in range(n):
        i = index[j]
        since = events.t[i] - origin
        if since < low or since > high:
            continue
        share = density(table, events.x[i] - line[0] - line[2] * since, events.y[i] - line[1] - line[3] * since,
                        ux, uy, events.on[i], moves)  # fmt: skip
        ratio = line[4] * share / events.rate[i]
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
        n = gather(events, index, owner, origin - span, origin, origin, centre, 5.0, 1.2 * aside, scratch)
        for trial in range(5 if k < 2 else 1):
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
            if not fit(events, scratch, n, origin, table, line, 6, 1.0):
                continue
            best_span(events, scratch, n, origin, table, sight, -span, 0.0, line)
            if line[7] > 0.6 * result[7] and line[6] - line[5] > 0.1 and fit(events, scratch, n, origin, table, line, 3, 1.0):
                best_span(events, scratch, n, origin, table, sight, -span, 0.0, line)
            if line[7] > result[7]:
                result[:] = line
        if k < len(hopeless) and result[7] < hopeless[k]:
            return
        if result[7] > 0.0:
            centre[:] = result[:4]


@compiled()
def advance(events, owner, claim, table, sight, state, start, until, step, wander, settings, knots, used):
    """Go on along a path, knot by knot, forwards or backwards in time: a Kalman filter of position and velocity (see
    `tracking.kalman`) that takes every event by the probability that it is the object's, and gains, before it takes it, the
    logarithm of one and the ratio of the densities that the object and the background predict for it.

    Args:
        events: `Events`.
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
        for i in range(np.searchsorted(events.t, low), np.searchsorted(events.t, high)):
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


@compiled()
def claim_along(events, owner, origin, line, explained):
    """Make events near a line, within its interval, the owner's. -> how many."""
    first, last = np.searchsorted(events.t, origin + line[5]), np.searchsorted(events.t, origin + line[6], side="right")
    n = 0
    for i in range(first, last):
        since = events.t[i] - origin
        rx, ry = events.x[i] - line[0] - line[2] * since, events.y[i] - line[1] - line[3] * since
        if events.owner[i] == 0 and rx * rx + ry * ry <= explained * explained:
            events.owner[i] = owner
            n += 1
    return n


@compiled(allocates=True)
def polish(events, owner, table, sight, times, path, wander, rounds, mean, gained, responsibility):
    """The smoothed path of an object, from all of its events: expectation (which events are the object's) and maximisation (a
    Kalman filter, then the smoother of Rauch, Tung and Striebel), in turn.

    Args:
        events: `Events`.
        owner: whose events these are.
        table: `FootprintTable`.
        sight: `Sight`.
        times: float64 (k,), of the knots, s, at equal distances.
        path: float64 (k, 2), where the object about is, px.
        wander: spectral density of the acceleration, px²/s³.
        rounds: how often.
        mean: float64 (k, 4), filled: x, y, vx, vy.
        gained: float64 (k, 2), filled: evidence (nat) and events of the object around each knot.
        responsibility: float32 (n,), raised to the probability that an event is the object's.
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
            for i in range(np.searchsorted(events.t, times[j] - half), np.searchsorted(events.t, times[j] + half)):
                since = events.t[i] - times[j]
                rx, ry = events.x[i] - mean[j, 0] - mean[j, 2] * since, events.y[i] - mean[j, 1] - mean[j, 3] * since
                if abs(rx) > REACH or abs(ry) > REACH:
                    continue
                if (events.owner[i] != 0 and events.owner[i] != owner) or events.rate[i] == np.inf:
                    continue
                ahead_px = table.on if events.on[i] else table.off
                sx, sy = (rx - ahead_px * ux, ry - ahead_px * uy) if moves else (rx, ry)
                if final:
                    ratio = expected * density(table, rx, ry, ux, uy, events.on[i], moves) / events.rate[i]
                    gain += math.log1p(ratio)
                    responsibility[i] = max(responsibility[i], ratio / (1.0 + ratio))
                else:
                    squared = sx * sx + sy * sy
                    ratio = expected * 0.5 * math.exp(-0.5 * squared / variance) / (2 * math.pi * variance) / events.rate[i]
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


@compiled(allocates=True)
def _smooth(times, weight, offset, mean, noise, wander, filtered, covariance, ahead, ahead_covariance):
    """Filter forwards and smooth backwards: places mean[:, :2] + offset / weight, measured with a variance of noise / weight."""
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
def reach_of(events, owner, origin, table, line):
    """How far from its path a line's events reach, px: to where a round source of its brightness sinks into the background, or
    further, while there are more events than the background's."""
    first, last = np.searchsorted(events.t, origin + line[5]), np.searchsorted(events.t, origin + line[6], side="right")
    counts, rates = np.zeros(MOST_REACH_PX), np.zeros(MOST_REACH_PX)
    for i in range(first, last):
        since = events.t[i] - origin
        rx, ry = events.x[i] - line[0] - line[2] * since, events.y[i] - line[1] - line[3] * since
        squared = rx * rx + ry * ry
        if (
            squared < MOST_REACH_PX * MOST_REACH_PX
            and (events.owner[i] == 0 or events.owner[i] == owner)
            and events.rate[i] != np.inf
        ):
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
        reach = max(reach, ring + 1.0)
    return min(reach, float(MOST_REACH_PX))
