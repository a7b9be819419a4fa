"""Events that stars explain (ours).

Stars are taken out before anything is looked for among them: where many of them stream through the picture, their streaks
cross, and the crossings would look like slow objects. A star is found where, in the frame of the field, more events fall at one
place than the background sends there, in most parts of a span of time. Each is then fitted by a line of its own; what moves
differently from the lines of the others is no star.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from . import line_kernels as kernels
from .events import Events, Index, Sight, index_of
from .footprint import FootprintTable
from .frame import EDGE_PX, Frame
from .line_kernels import LINE
from .maps import median
from .star_kernels import drifted, placed, summed
from .star_motion import ALIKE_PX_S, TELLS_NATS, Span, Told, common

SPAN_S = 8.0
"""A star is looked for in spans of this length, s: longer ones would ask for a better known velocity of the field."""

PARTS = 8
"""Parts of a span: a star shows in most of them, what passes in one or two."""

SIGMAS, FLOOR = 5.0, 5.0
"""A star has more than m + SIGMAS sqrt(m) + FLOOR events in 3 x 3 px where the background has m ..."""

SHARE_OF_PARTS = 0.5
"""... and is brighter than the background in this share of the parts in which its place is seen ..."""

STEPS = 16
"""Steps of a part in which the place of the sensor in the sky is followed."""

STEADY = 0.2
"""... by at least this share of its mean brightness: what shows in two parts alone is no star."""

LONE = 0.6
"""Where one pixel sends more than this share of the events of 3 x 3, it is a warm pixel."""

MOST_STARS = 400
"""Lines fitted in a span, the brightest first."""

ALIKE_PX, UNKNOWN_PX_S = 1.5, 0.5
"""A star's velocity agrees with the others' within ALIKE_PX_S, and what its fit leaves open; or it strays by less than ALIKE_PX
in the span. One that surely is there, and no noise, may be off by UNKNOWN_PX_S where the stars do not tell how they move (with
care, by FOLLOWS_PX_S where the telescope follows them)."""

FOLLOWS_PX_S = 0.1
"""How far from rest stars may be that the telescope is thought to follow, px/s."""

TELLS_S = 0.5
"""A star that is seen for less than this, s, away from the sensor's edge does not tell how the stars move."""

HALO_PX = 5.0
"""A star that is so near to the sensor, px, still sends events."""

TICK_S = 0.25
"""What is hidden behind stars is known at this interval, s."""

ROOM = 40000


class _FieldView(NamedTuple):
    """Events of a span in the frame of the star field.

    Attributes:
        events: their places in the frame, less the corner.
        by_place: index of them.
        frame: of the field.
        times: float64 (k,), over the span, s.
        motion: angle (k,) and shift (k, 2) of the frame at these times.
        corner: float64 (2,), place in the frame at which the picture begins, px.
        size: (width, height) of the picture, px.
        sensor_size: (width, height), px.
    """

    events: Events
    by_place: Index
    frame: Frame
    times: np.ndarray
    motion: tuple[np.ndarray, np.ndarray]
    corner: np.ndarray
    size: tuple[int, int]
    sensor_size: tuple[int, int]

    @classmethod
    def of(cls, events: Events, span: tuple[float, float], sensor_size: tuple[int, int], frame: Frame) -> _FieldView:
        low, high = span
        chosen = slice(*np.searchsorted(events.t, [low, np.nextafter(high, np.inf)]))
        times = np.linspace(low, high, 16 * PARTS + 1)
        width, height = sensor_size
        corners = np.array([(x, y) for x in (-1, width) for y in (-1, height)], np.float64)
        swept = np.concatenate([frame.to_sky(times, np.broadcast_to(corner, (len(times), 2))) for corner in corners])
        least, most = np.floor(swept.min(0)) - 1, np.ceil(swept.max(0)) + 1
        size = int(most[0] - least[0]), int(most[1] - least[1])
        t_s, x, y, *others = (column[chosen] for column in events)
        if frame.drifts:
            places = np.empty((2, len(t_s)))
            drifted(t_s, x, y, frame.times_s, frame.shift, least, places)
        else:
            places = np.ascontiguousarray((frame.to_sky(t_s, np.stack([x, y], 1)) - least).T)
        own = Events(t_s, *places, *others)
        return cls(own, index_of(own, size), frame, times, frame.at(times), least, size, sensor_size)

    def seen(self, place: np.ndarray, beyond_px: float) -> tuple[float, float] | None:
        """First and last time at which a place of the picture is on the sensor, or no further off, from the span's start, s."""
        on_sensor = self.frame.moved((place + self.corner)[None], *self.motion)
        inside = np.flatnonzero(((on_sensor >= -beyond_px) & (on_sensor <= np.array(self.sensor_size) - 1 + beyond_px)).all(1))
        if len(inside) < 2:
            return None
        return float(self.times[inside[0]] - self.times[0]), float(self.times[inside[-1]] - self.times[0])

    def on_sensor(self, line: np.ndarray, since: float) -> np.ndarray:
        """Where a line of the picture is on the sensor, so long after the span's start: (2,), px."""
        place = line[:2] + line[2:4] * since + self.corner
        return self.frame.to_sensor(np.array([self.times[0] + since]), place[None])[0]

    def share_seen(self) -> np.ndarray:
        """float32 (PARTS, height, width), share of each part of the span in which a pixel of the picture is on the sensor."""
        width, height = self.size
        seen = np.zeros((PARTS, height, width), np.float32)
        side_x, side_y = self.sensor_size
        steps = STEPS if self.frame.drifts else 4
        middles = self.times[0] + (np.arange(PARTS * steps) + 0.5) * (self.times[-1] - self.times[0]) / (PARTS * steps)
        if self.frame.drifts:
            corners = np.rint(-self.frame.at(middles)[1] - self.corner).astype(np.int64)
            for part, own in enumerate(corners.reshape(PARTS, steps, 2)):
                for (left, top), n in Counter(map(tuple, own.tolist())).items():  # any order: sums of 1/16 are exact
                    seen[part, max(top, 0) : max(top + side_y, 0), max(left, 0) : max(left + side_x, 0)] += n / steps
            return seen
        x, y = np.arange(width) + self.corner[0] - self.frame.centre[0], np.arange(height) + self.corner[1] - self.frame.centre[1]
        for k, (angle, shift) in enumerate(zip(*self.frame.at(middles), strict=True)):
            cos, sin, (left, top) = np.cos(angle), np.sin(angle), self.frame.centre + shift
            column, row = cos * x - (sin * y - left)[:, None], sin * x + (cos * y + top)[:, None]
            inside = (column > -0.5) & (column < side_x - 0.5) & (row > -0.5) & (row < side_y - 0.5)
            seen[k // steps] += inside.astype(np.float32) / steps
        return seen


class Stars(NamedTuple):
    """explained: bool (n,), events of stars; sight: what they hide; share: of area and time that they cover; spans: how they
    move."""

    explained: np.ndarray
    sight: Sight
    share: float
    spans: list[Span]


def find_stars(events: Events, sensor_size: tuple[int, int], frame: Frame, table: FootprintTable, careful: bool = False) -> Stars:
    """Which events are those of stars.

    Args:
        events: all of them; nobody's.
        sensor_size: (width, height), px.
        frame: in which the stars about stand still.
        table: of a round source, of either polarity.
        careful: whether a star reaches no further than to the events of another source beside it, and only what surely is
            there, away from the sensor's edge, tells how the stars move.
    """
    width, height = sensor_size
    explained = np.zeros(len(events.t), bool)
    if not len(events.t):
        return Stars(explained, Sight(np.ones((1, height, width), np.uint8), np.zeros(1, np.int64), 0.0, TICK_S), 0.0, [])
    start, end = float(events.t[0]), float(events.t[-1])
    edges = np.linspace(start, end, max(1, round((end - start) / SPAN_S)) + 1)
    painter = _Painter(start, end, sensor_size)
    spans, scratch = [], np.empty(ROOM, np.int64)
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        view = _FieldView.of(events, (low, high), sensor_size, frame)
        lines, told = _fitted(view, _candidates(view), table, careful)
        span, own = _moving_alike(view, lines, told, careful)
        spans.append(span)
        for line in own:
            kernels.claim_along(view.events, view.by_place, STAR, low, line, line[7], scratch)
        painter.paint(view, own)
    explained = events.owner == STAR
    sight = painter.sight()
    return Stars(explained, sight, float(1 - sight.visible.mean((1, 2))[sight.frame].mean()), spans)


STAR = -1
"""Owner of the events of stars."""


def _candidates(view: _FieldView) -> np.ndarray:
    """Places of the picture at which stars seem to be, px, the brightest first: float64 (n, 2)."""
    width, height = view.size
    seen = view.share_seen()
    events, span_s = view.events, float(view.times[-1] - view.times[0])
    counts, rates = np.zeros((PARTS, height, width), np.float32), np.empty(len(events.t))
    n = placed(events, float(view.times[0]), max(span_s, 1e-6), counts, rates)
    if not n:
        return np.zeros((0, 2))
    around = np.empty_like(counts)
    summed(counts, np.zeros(width + 2, np.float32), around)
    expected = 9 * (2 * median(rates[:n])) * span_s / PARTS * seen
    whole, total, mean = counts.sum(0), around.sum(0), expected.sum(0)
    y, x = np.nonzero(total > mean + SIGMAS * np.sqrt(mean) + FLOOR)
    around, expected, usual, bright = around[:, y, x], expected[:, y, x], seen[:, y, x] > 0.5, total[y, x]
    parts = np.maximum(usual.sum(0), 1)
    own = STEADY * np.maximum(bright - mean[y, x], 0) / parts
    lit = ((around > expected + np.maximum(np.sqrt(expected), own)) & usual).sum(0)
    stars = (lit >= SHARE_OF_PARTS * parts) & usual.any(0)
    peaks = stars & (_highest(whole, x, y, 1) <= LONE * bright) & (bright >= _highest(total, x, y, 2))
    order = np.flatnonzero(peaks)[np.argsort(-bright[peaks], kind="stable")[:MOST_STARS]]
    return np.stack([x[order], y[order]], 1).astype(np.float64)


def _highest(image: np.ndarray, x: np.ndarray, y: np.ndarray, reach: int) -> np.ndarray:
    """The highest value of an image within so many pixels of places (n,), along each axis: (n,)."""
    around = np.arange(-reach, reach + 1)[:, None]
    rows, columns = (np.clip(at + around, 0, side - 1) for at, side in zip((y, x), image.shape, strict=True))
    return np.asarray(image[rows[:, None], columns].max((0, 1)))


def _fitted(view: _FieldView, places: np.ndarray, table: FootprintTable, careful: bool) -> tuple[np.ndarray, Told]:
    """Lines through the candidates, times from the span's start, the reach of their events (px) in the place of their evidence:
    float64 (n, LINE); and what they tell of the stars' motion. Bright ones keep their events."""
    events, low = view.events, float(view.times[0])
    lines, told, scratch = [], [], np.empty(ROOM, np.int64)
    for place in places:
        seen = view.seen(place, HALO_PX)
        if seen is None:
            continue
        line = np.zeros(LINE)
        line[:2], line[5:7] = place, seen
        n = kernels.gather(events, view.by_place, 0, low + line[5], low + line[6], low, line, 5.0, 0.0, True, scratch)
        if n < 5:
            continue
        line[4] = max(n / max(line[6] - line[5], 0.1) * 0.5, 1.0)
        if not kernels.fit(events, scratch, n, low, table, line, 8, 1.0):
            continue
        line[8] = line[4] * (line[6] - line[5])
        if careful:
            told.append(_told(view, line, table, scratch))
        line[7] = kernels.reach_of(events, view.by_place, 0, low, table, line, careful, scratch)
        kernels.claim_along(events, view.by_place, CANDIDATE, low, line, line[7], scratch)
        lines.append(line)
    events.owner[events.owner == CANDIDATE] = 0
    fitted = np.array(lines).reshape(-1, LINE)
    return fitted, Told.of(np.array(told).reshape(-1, LINE), view.corner) if careful else Told.by_lines(fitted, view.corner)


def _told(view: _FieldView, line: np.ndarray, table: FootprintTable, scratch: np.ndarray) -> np.ndarray:
    """A line again, by events that the sensor's edge does not cut off; in the place of its reach its evidence against the
    background, and of its events how well they tell its velocity, s²/px²."""
    own, low = line.copy(), float(view.times[0])
    own[7:9] = 0.0
    seen = view.seen(line[:2] + line[2:4] * ((line[5] + line[6]) / 2), -EDGE_PX)
    if seen is None or seen[1] - seen[0] < TELLS_S:
        return own
    own[5:7] = seen
    n = kernels.gather(view.events, view.by_place, 0, low + seen[0], low + seen[1], low, own, 5.0, 0.0, True, scratch)
    if n >= 5 and kernels.fit(view.events, scratch, n, low, table, own, 4, 1.0):
        own[7:9] = kernels.tells(view.events, scratch, n, low, table, own)
    return own


CANDIDATE = -2
"""Owner of events while lines are fitted: no second line takes them."""


def _moving_alike(view: _FieldView, lines: np.ndarray, told: Told, careful: bool) -> tuple[Span, list[np.ndarray]]:
    """How the stars of a span move, and the lines that move so."""
    centre = view.frame.to_sky(view.times[:1], np.array(view.sensor_size)[None] / 2.0)[0]
    all_told = Told.by_lines(lines, view.corner)
    motion = common(Span(float(view.times[0]), float(view.times[-1]), np.zeros(2), 0.0, centre, False), told, careful)
    if not len(lines):
        return motion, []
    away = all_told.away(motion)
    surely = told.nats >= TELLS_NATS
    unknown = FOLLOWS_PX_S if careful and not view.frame.rates.any() else UNKNOWN_PX_S
    within = np.where(surely & (not motion.known), unknown, ALIKE_PX_S)
    stars = (away <= within + 3 * all_told.error) | (away * all_told.seconds <= ALIKE_PX)
    return motion._replace(stars=int((stars & surely).sum())), list(lines[stars])


class _Painter:
    """What stars hide, tick by tick."""

    def __init__(self, start: float, end: float, sensor_size: tuple[int, int]) -> None:
        self.start, (self.width, self.height) = start, sensor_size
        self.ticks = max(1, int(np.ceil((end - start) / TICK_S + 1e-9)))
        self.frames: list[np.ndarray] = []
        self.frame_of = np.zeros(self.ticks, np.int64)

    def paint(self, view: _FieldView, stars: list[np.ndarray]) -> None:
        """The ticks of a span."""
        low, high = float(view.times[0]), float(view.times[-1])
        middles = self.start + (np.arange(self.ticks) + 0.5) * TICK_S
        ticks = np.flatnonzero((middles >= low) & (middles < high + TICK_S))
        since = middles[ticks] - low
        discs = np.zeros((len(stars), len(ticks), 3), np.int64)
        shown = np.zeros((len(stars), len(ticks)), bool)
        for n, line in enumerate(stars):
            places = line[:2] + line[2:4] * since[:, None] + view.corner
            discs[n, :, :2] = np.rint(view.frame.to_sensor(middles[ticks], places))
            discs[n, :, 2] = int(np.ceil(line[7]))
            shown[n] = (line[5] - TICK_S <= since) & (since <= line[6] + TICK_S)
        before: bytes | None = None  # of this span: another one's last frame may show stars
        for k, tick in enumerate(ticks.tolist()):
            own = discs[shown[:, k], k]
            if own.tobytes() != before:
                visible = np.ones((self.height, self.width), np.uint8)
                for x, y, radius in own.tolist():
                    kernels.hide(visible, x, y, radius)
                self.frames.append(visible)
                before = own.tobytes()
            self.frame_of[tick] = len(self.frames) - 1

    def sight(self) -> Sight:
        """All ticks."""
        if not self.frames:
            self.frames = [np.ones((self.height, self.width), np.uint8)]
        return Sight(np.stack(self.frames), self.frame_of, self.start, TICK_S)
