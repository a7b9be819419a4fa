# mypy: allow-untyped-defs, no-check-untyped-defs
"""The pixels of a scene: what they see, when they fire, and who makes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikeseg.core.compiled import compiled

TOUCHES = 0.02
"""Share of a pixel that a shape covers from which its events are the shape's."""
COVERS = 0.2
"""Share of a pixel that a shape covers from which the pixel lies in the shape's box."""
FAR = np.float32(1e3)
LOOK = -1
"""An entry of a schedule at which boxes are measured."""


class Schedule(NamedTuple):
    """What changes when; K shapes, of which the first lies on top.

    Attributes:
        t: float64 (M,), µs, rising.
        which: int64 (M,): a shape, K for the background, K + 1 + l for lamp l, LOOK.
        pose: float64 (M, 4): x, y, angle, scale of a shape; how far the background has moved (x, y); (gain, ...) of a lamp.
        first: float64 (K, 4), poses at the start.
    """

    t: np.ndarray
    which: np.ndarray
    pose: np.ndarray
    first: np.ndarray


class Patches(NamedTuple):
    """The shapes' rasters one behind the other, see shapes.Shape.

    Attributes:
        begin, side: int64 (K,).
        distance, tone: float32 (n,).
        outline, radius: float32 (K,), px.
        fixed: bool (K,).
    """

    begin: np.ndarray
    side: np.ndarray
    distance: np.ndarray
    tone: np.ndarray
    outline: np.ndarray
    radius: np.ndarray
    fixed: np.ndarray


class Ground(NamedTuple):
    """The background: intensity float32 (H, W), periodic; lamp int8 (H, W), 1 + l or 0; boxes of the lamps int64 (L, 4): x0, y0,
    x1, y1, the latter not part of it."""

    intensity: np.ndarray
    lamp: np.ndarray
    lamp_box: np.ndarray


class Pixels(NamedTuple):
    """Thresholds on, off float32 (H, W), > 0; start float32 (H, W): memory less level at the start; refractory period, µs."""

    on: np.ndarray
    off: np.ndarray
    start: np.ndarray
    refractory_us: float


@compiled(inlined=True)
def _bilinear(raster, begin, side, u, v):
    i, j = np.int64(u), np.int64(v)
    a, b = np.float32(u - i), np.float32(v - j)
    at = begin + j * side + i
    top = raster[at] + a * (raster[at + 1] - raster[at])
    below = raster[at + side] + a * (raster[at + side + 1] - raster[at + side])
    return top + b * (below - top)


@compiled(inlined=True)
def _cover(patches, k, pose, trig, x, y):
    """Share of a pixel that shape k covers, and its place in the raster."""
    dx, dy = x - pose[k, 0], y - pose[k, 1]
    side = patches.side[k]
    middle = 0.5 * (side - 1)
    u = (trig[k, 0] * dx + trig[k, 1] * dy) / pose[k, 3] + middle
    v = (trig[k, 0] * dy - trig[k, 1] * dx) / pose[k, 3] + middle
    if u < 0 or v < 0 or u >= side - 1 or v >= side - 1:
        return np.float32(0.0), u, v
    distance = _bilinear(patches.distance, patches.begin[k], side, u, v) * np.float32(pose[k, 3])
    if patches.fixed[k]:
        return np.float32(1.0 if distance < 0 else 0.0), u, v
    outline = patches.outline[k]
    if outline > 0:
        distance = abs(distance + np.float32(0.5) * outline) - np.float32(0.5) * outline
    return min(max(np.float32(0.5) - distance, np.float32(0.0)), np.float32(1.0)), u, v


@compiled(inlined=True)
def _sky(ground, shift, gain, x, y):
    height, width = ground.intensity.shape
    if shift[0] == 0 and shift[1] == 0:
        value = ground.intensity[y, x]
    else:
        u, v = (x + shift[0]) % width, (y + shift[1]) % height
        i, j = np.int64(u), np.int64(v)
        a, b = np.float32(u - i), np.float32(v - j)
        i, j = min(i, width - 1), min(j, height - 1)
        i1, j1 = (i + 1) % width, (j + 1) % height
        g = ground.intensity
        top, below = g[j, i] + a * (g[j, i1] - g[j, i]), g[j1, i] + a * (g[j1, i1] - g[j1, i])
        value = top + b * (below - top)
    lamp = ground.lamp[y, x]
    return value * np.float32(gain[lamp - 1]) if lamp > 0 else value


@compiled(inlined=True)
def _box(patches, k, pose, size):
    """Columns and rows that shape k may touch: x0, y0, x1, y1."""
    reach = patches.radius[k] * pose[k, 3] + 2.0
    x0, x1 = np.int64(np.floor(pose[k, 0] - reach)), np.int64(np.ceil(pose[k, 0] + reach)) + 1
    y0, y1 = np.int64(np.floor(pose[k, 1] - reach)), np.int64(np.ceil(pose[k, 1] + reach)) + 1
    return max(x0, 0), max(y0, 0), min(x1, size[1]), min(y1, size[0])


@compiled(allocates=True)
def play(schedule, patches, ground, pixels):
    """Events and boxes of a scene.

    Returns times float64 (n,), µs; place int32 (n,), y * width + x; ON bool (n,); shape int16 (n,), -1 for the background, in no
    order; and boxes int32 (looks, K, 4): first and last column, first and last row of what is seen of each shape, the last -1
    where nothing is.

    An event belongs to the shape that lies on top at its pixel, before or after the change, whichever of these lies higher.
    """
    height, width = ground.intensity.shape
    size = (height, width)
    shapes, lamps = len(patches.begin), len(ground.lamp_box)
    pose, shift, gain = schedule.first.copy(), np.zeros(2), np.ones(max(lamps, 1))
    trig = np.empty((shapes, 2))
    for k in range(shapes):
        trig[k, 0], trig[k, 1] = np.cos(pose[k, 2]), np.sin(pose[k, 2])
    level, memory = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    blind = np.zeros((height, width))
    owner = np.full((height, width), np.int16(-1))
    before = np.zeros(shapes + 1 + lamps)
    active = np.empty(shapes, np.int64)
    looks = 0
    for m in range(len(schedule.t)):
        looks += schedule.which[m] == LOOK
    boxes = np.full((looks, shapes, 4), np.int32(-1))
    looks = 0
    n = 0
    times, places = np.empty(1 << 16), np.empty(1 << 16, np.int32)
    on, cause = np.empty(1 << 16, np.bool_), np.empty(1 << 16, np.int16)
    for m in range(-1, len(schedule.t)):
        which = shapes if m < 0 else schedule.which[m]
        now = 0.0 if m < 0 else schedule.t[m]
        if which == LOOK:
            for k in range(shapes):
                x0, y0, x1, y1 = _box(patches, k, pose, size)
                left, right, top, bottom = x1, np.int64(-1), y1, np.int64(-1)
                for y in range(y0, y1):
                    for x in range(x0, x1):
                        if owner[y, x] == k and _cover(patches, k, pose, trig, x, y)[0] >= COVERS:
                            left, right = min(left, x), max(right, x)
                            top, bottom = min(top, y), max(bottom, y)
                if right >= 0:
                    boxes[looks, k, 0], boxes[looks, k, 1] = left, right
                    boxes[looks, k, 2], boxes[looks, k, 3] = top, bottom
            looks += 1
            continue
        since = before[which]
        before[which] = now
        x0, y0, x1, y1 = np.int64(0), np.int64(0), np.int64(width), np.int64(height)
        if which < shapes:
            a0, b0, a1, b1 = _box(patches, which, pose, size)
            for column in range(4):
                pose[which, column] = schedule.pose[m, column]
            trig[which, 0], trig[which, 1] = np.cos(pose[which, 2]), np.sin(pose[which, 2])
            x0, y0, x1, y1 = _box(patches, which, pose, size)
            if a0 < a1 and b0 < b1:
                if x0 < x1 and y0 < y1:
                    x0, y0, x1, y1 = min(x0, a0), min(y0, b0), max(x1, a1), max(y1, b1)
                else:
                    x0, y0, x1, y1 = a0, b0, a1, b1
        elif which == shapes:
            if m >= 0:
                shift[0], shift[1] = schedule.pose[m, 0], schedule.pose[m, 1]
        else:
            lamp = which - shapes - 1
            gain[lamp] = schedule.pose[m, 0]
            x0, y0 = ground.lamp_box[lamp, 0], ground.lamp_box[lamp, 1]
            x1, y1 = ground.lamp_box[lamp, 2], ground.lamp_box[lamp, 3]
        here = 0
        for k in range(shapes - 1, -1, -1):
            a0, b0, a1, b1 = _box(patches, k, pose, size)
            if a0 < x1 and x0 < a1 and b0 < y1 and y0 < b1:
                active[here] = k
                here += 1
        for y in range(y0, y1):
            for x in range(x0, x1):
                value, top = _sky(ground, shift, gain, x, y), np.int16(-1)
                for a in range(here):
                    k = active[a]
                    cover, u, v = _cover(patches, k, pose, trig, x, y)
                    if cover > 0:
                        tone = _bilinear(patches.tone, patches.begin[k], patches.side[k], u, v)
                        value += cover * (tone - value)
                        if cover > TOUCHES:
                            top = np.int16(k)
                last, new = level[y, x], np.float32(np.log(value))
                level[y, x] = new
                if m < 0:
                    memory[y, x] = new + pixels.start[y, x]
                    owner[y, x] = top
                    continue
                was = owner[y, x]
                owner[y, x] = top
                if new == last and blind[y, x] == 0:
                    continue
                cause_here = was if top < 0 or (was >= 0 and was < top) else top
                begin, slope = since, (new - last) / (now - since) if now > since else np.float64(0.0)
                if blind[y, x] > 0:
                    if blind[y, x] >= now:
                        continue
                    if blind[y, x] <= since:
                        memory[y, x] = last
                    else:
                        begin = blind[y, x]
                        memory[y, x] = last + np.float32((begin - since) * slope)
                    blind[y, x] = 0
                while True:
                    change = new - memory[y, x]
                    rises = change >= pixels.on[y, x]
                    if not rises and change > -pixels.off[y, x]:
                        break
                    target = memory[y, x] + (pixels.on[y, x] if rises else -pixels.off[y, x])
                    when = now if slope == 0 else min(max(since + (target - last) / slope, begin), now)
                    if n == len(times):
                        more = 2 * n
                        times_, places_ = np.empty(more), np.empty(more, np.int32)
                        on_, cause_ = np.empty(more, np.bool_), np.empty(more, np.int16)
                        times_[:n], places_[:n], on_[:n], cause_[:n] = times, places, on, cause
                        times, places, on, cause = times_, places_, on_, cause_
                    times[n], places[n], on[n], cause[n] = when, y * width + x, rises, cause_here
                    n += 1
                    begin = when + pixels.refractory_us
                    if begin >= now:
                        blind[y, x] = max(begin, 1e-9)
                        break
                    memory[y, x] = last + np.float32((begin - since) * slope)
    return times[:n], places[:n], on[:n], cause[:n], boxes


@compiled(allocates=True)
def awake(t, pixel, pixels, refractory_us):
    """Bool (n,): which events remain when a pixel is blind for a while after each that it sends, as noise.refractory has it.

    t: int64 (n,), µs, never falling. pixel: int64 (n,), below pixels.
    """
    last = np.full(pixels, np.int64(-(2**62)))
    keep = np.empty(len(t), np.bool_)
    for k in range(len(t)):
        keep[k] = t[k] - last[pixel[k]] >= refractory_us
        if keep[k]:
            last[pixel[k]] = t[k]
    return keep
