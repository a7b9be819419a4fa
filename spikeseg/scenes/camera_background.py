"""Which events come from a static scene before a moving camera, or from lamps before one that stands still."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .camera import CameraMotion
from .camera_kernels import box_sums, count_cells, flicker, usual_there, whose_majority
from .camera_tiles import Events
from .camera_window import SceneWindow

WINDOW_S = 1.0
"""A place of the scene is compared with itself so much earlier and later."""
CORE_S = 2.0
"""So much is looked at at once, beside what lies about it."""
NEAR = 3
"""Events of a place: those of a box of 2 NEAR + 1 px."""
SIDED = 0.4
"""An event is explained in the end where no more than this share of those at its place and time is not."""


BUSY, SAMPLED = 0.98, 17
"""Where a place is seen too shortly, at the sensor's edges as a recording begins or ends, this quantile of other places (one in
SAMPLED of them) is what it may send."""


class Rules(NamedTuple):
    """When a place's events are no more than usual there.

    Attributes:
        share: of the other parts compared, so large a share has to have sent enough: what passes is there for a shorter time.
        factor: of n events now and u in another part, u is enough where n = factor u + root_factor sqrt(u) + constant; where the
            scene moves farther now, u is scaled up to it.
        root_factor: see there.
        constant: see there; so few events are never more than usual.
        turn: parts are compared if the cosine between the scene's directions, or their opposites, is no less.
        least: so many parts at least, own one among them, have to be compared.
    """

    share: float = 0.4
    factor: float = 1.25
    root_factor: float = 3.0
    constant: float = 3.0
    turn: float = 0.6
    least: int = 4


class Lamps(NamedTuple):
    """How a pixel that sees a lamp on the mains is told.

    Attributes:
        rates_hz: lamps flicker at these rates, or at whole parts of them: twice those of the mains.
        jitter: how far from the beat a change may lie, periods.
        longest_s: changes farther apart say nothing, s.
        regular: share of a pixel's changes that keep time.
        fewest: so many changes at least ...
        few: ... and in pixels next to others that do: such a pixel may send for a while only.
        window_s: a lamp is looked for in windows of about this length, s.
        part_s: these are cut into parts, s.
        lasting: share of the parts in which the pixel sends.
        phases: a period is cut into so many.
        coherent: length of the mean of a pixel's phases, as vectors, from which it keeps phase.
        in_phase: share of a pixel's events of one polarity in a phase and its neighbours where the lamp sends.
        side_px: events are about each other in squares of this side, px ...
        moment_s: ... and for so long, s.
    """

    rates_hz: tuple[float, float] = (100.0, 120.0)
    jitter: float = 0.12
    longest_s: float = 0.0225
    regular: float = 0.6
    fewest: int = 8
    few: int = 2
    window_s: float = 1.0
    part_s: float = 0.1
    lasting: float = 0.8
    phases: int = 16
    coherent: float = 0.4
    in_phase: float = 0.3
    side_px: int = 6
    moment_s: float = 1 / 32


def background_events(t_s: np.ndarray, x: np.ndarray, y: np.ndarray, on: np.ndarray, motion: CameraMotion) -> np.ndarray:
    """Events that a static scene before the moving camera explains, or lamps where it stands still: bool (n,).

    In the frame of the scene, a place of it keeps sending as long as it is seen, in proportion to how far the scene moves over
    the sensor; what moves on its own passes. An event is explained if there are no more events at its place just then than
    there usually are, WINDOW_S before and after. Noise is explained like the rest where the camera moves; an object is not, as
    long as it stays at a place of the scene for less than two fifths of that time.

    Args:
        t_s: float64 (n,), s, never falling.
        x: integers (n,), px.
        y: integers (n,), px.
        on: bool (n,), polarities.
        motion: of the same events.
    """
    events = Events(np.asarray(t_s, np.float64), x, y, on)
    explained = np.zeros(len(events.t_s), bool)
    if not len(explained):
        return explained
    first, last = float(events.t_s[0]), float(events.t_s[-1])
    before = first
    for begin, end in [*((max(b, first), min(e, last)) for b, e in motion.spans()), (last, last)]:
        _mark_lamps(events, (before, begin), motion.sensor_size, explained)
        before = end
        if end > begin:
            edges = np.linspace(begin, end, max(1, round((end - begin) / CORE_S)) + 1)
            for core in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
                _mark_scene(events, motion, (begin, end), core, explained)
    return explained


# -- a moving camera ----------------------------------------------------------------------------------


def _mark_scene(
    events: Events, motion: CameraMotion, span_s: tuple[float, float], core: tuple[float, float], explained: np.ndarray
) -> None:
    """Mark what a moving scene explains in `core`, by what lies about it in the span in which the camera moves."""
    window = SceneWindow.of(motion, (max(span_s[0], core[0] - WINDOW_S), min(span_s[1], core[1] + WINDOW_S)))
    (begin, end), (rows, columns) = window.span_s, window.size
    about = slice(*np.searchsorted(events.t_s, [begin, np.nextafter(end, np.inf)]).tolist())
    window = window.aligned(events, about)
    cell, part = window.cells(events, about), window.part_of(events.t_s[about])
    counts = np.zeros((rows * columns, window.parts), np.uint16)
    count_cells(cell, part, counts)
    box_sums(counts.reshape(rows, columns, window.parts), NEAR)
    flow, block = window.flow()
    inner = slice(*np.searchsorted(events.t_s, [core[0], core[1] if core[1] < span_s[1] else np.nextafter(end, np.inf)]).tolist())
    own = slice(inner.start - about.start, inner.stop - about.start)
    cell, part, here = cell[own], part[own], explained[inner]
    some = np.arange(0, len(counts), SAMPLED)
    ways = flow[block[some], 0]
    busy = counts[some][ways > 0] / ways[ways > 0]
    typical = np.float32(np.quantile(busy, BUSY) if len(busy) else 0)
    usual_there(cell, part, counts, flow, block, Rules(), typical, here)
    if not here.all():
        first = int(part[0])
        kept = np.zeros((rows * columns, int(part[-1]) + 1 - first), np.uint16)
        count_cells(cell[~here], part[~here] - first, kept)
        box_sums(kept.reshape(rows, columns, -1), NEAR)
        whose_majority(cell, part, first, counts, kept, SIDED, here)


# -- a camera that stands still -----------------------------------------------------------------------


def _mark_lamps(events: Events, span_s: tuple[float, float], size: tuple[int, int], explained: np.ndarray) -> None:
    """Mark the events of lamps in a stretch in which the camera stands still."""
    rules, (width, height) = Lamps(), size
    if span_s[1] - span_s[0] < 2 * rules.part_s:
        return
    edges = np.linspace(*span_s, max(1, round((span_s[1] - span_s[0]) / rules.window_s)) + 1)
    edges[-1] = np.nextafter(edges[-1], np.inf)
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = events.between(begin, end)
        tallies = np.zeros((4, width * height), np.int32)
        flicker(events, part.start, part.stop, width, rules, np.zeros((3, width * height)), tallies)
        turns, beats, active = tallies[0], tallies[1:3].max(0), tallies[3]
        regular = (turns >= rules.few) & (beats >= rules.regular * turns)
        sure = regular & (turns >= rules.fewest) & (active >= rules.lasting * np.ceil((end - begin) / rules.part_s))
        if not sure.any():  # as in most recordings
            continue
        lamp, about = (_closed(own.reshape(height, width)) for own in (sure, regular))
        lamp = ndimage.binary_propagation(lamp, np.ones((3, 3), bool), lamp | about)
        lit = part.start + np.flatnonzero(lamp[events.y[part], events.x[part]])
        if len(lit):
            explained[lit[_in_phase(events, lit, width, rules)]] = True


def _closed(pixels: np.ndarray) -> np.ndarray:
    """Pixels, bool (H, W), and those that they enclose within squares of 3 px."""
    return np.asarray(ndimage.binary_closing(np.pad(pixels, 2), np.ones((3, 3), bool))[2:-2, 2:-2])


def _in_phase(events: Events, lit: np.ndarray, width: int, rules: Lamps) -> np.ndarray:
    """Which events of lamps' pixels, int64 (n,), come with most of those about them when their pixels usually send: bool (n,).

    The others come from something that passes before the lamp. Pixels that keep no phase, as where the mains drift, are left."""
    x, y, t_s = events.x[lit].astype(np.int64), events.y[lit].astype(np.int64), events.t_s[lit]
    pixels, which = np.unique(y * width + x, return_inverse=True)
    which = which * 2 + events.on[lit]
    turn = np.exp(2j * np.pi * np.arange(rules.phases) / rules.phases)
    fits, keeps = np.zeros(len(lit), bool), np.zeros(2 * len(pixels), bool)
    for rate_hz in (*rules.rates_hz, *(0.5 * rate for rate in rules.rates_hz)):
        phase = (t_s * rate_hz % 1 * rules.phases).astype(np.int64)
        counts = np.bincount(which * rules.phases + phase, minlength=2 * len(pixels) * rules.phases).reshape(-1, rules.phases)
        whole = np.maximum(counts.sum(1), 1)
        near = (np.roll(counts, 1, 1) + counts + np.roll(counts, -1, 1)) / whole[:, None]
        coherent = np.abs(counts @ turn) / whole > rules.coherent
        fits |= coherent[which] & (near[which, phase] >= rules.in_phase)
        keeps |= coherent
    fits |= ~keeps[which]
    moment = ((t_s - t_s[0]) / rules.moment_s).astype(np.int64)
    about = (moment * (width // rules.side_px + 1) + x // rules.side_px) * (
        int(y.max()) // rules.side_px + 1
    ) + y // rules.side_px
    place = np.unique(about, return_inverse=True)[1]
    return np.asarray((np.bincount(place, fits) > 0.5 * np.bincount(place))[place])
