"""Stars found in all events of a recording, each laid where the star stood that it may come from.

A star that stands nearly still, or a faint one, sends too few events for a track; over a recording it sends many, all from one
place on the sky. Events are put on a plane that follows the sky, as the stars' tracks tell how it moves; there, stars are what
stands out of the background, and their places are means of their events (ours; shift-and-stack, as for images).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spikeseg.core.interrupts import check

from .stars import TICK_S, Stars, distinct, followed

if TYPE_CHECKING:
    from spikeseg.detection.result import Detections

    from .attitude import Followed

PIXEL_RAD = 1e-4
"""Side of a pixel, rad, of the camera that stands for the real one while nobody knows where it looks: small turns of the sky are
shifts and turns of the plane, whatever a pixel's side."""

STILL_PX, MOVING_PX = 2.0, 2.5
"""Standard deviation of the Gaussian by which a star's events count, px: of a star that stands still, and of one that moves,
which sends ON events from before it and OFF events from behind."""

LOOK, REACH = 0.8, 2.4
"""Of that, the standard deviation of the Gaussian that stars are looked for with, and how far a star's events reach."""

SIGNIFICANT, LEAST_EVENTS = 6.0, 15.0
"""A star stands out of the background's scatter by so many standard deviations, and by so many events."""

AROUND_PX = 31
"""Side of the square in which the background is taken, px."""

APART_PX = 7
"""Side of the square in which only the brightest counts, px."""

EDGE_PX = 4.0
"""A star so near to the sensor's edge is not seen whole, px."""

SETTLED_PX = 1.0
"""A star that the recording starts with has sent events from both its sides once it has moved so far, px."""

SPREAD_PX, FLOOR_PX = 1.2, 0.1
"""Standard deviations of a star's events from it, and of what no number of events mends, px."""

A_ROW, ROW_S = 40.0, 0.5
"""Events of a star, and seconds, of a place of it, at least."""

AT_ONCE = 1 << 19
"""Events that are laid on the plane together."""

ROUNDS = 5
"""In which places are found."""

ENOUGH = 5
"""Stars that have to be found in the events, or as many as have tracks: else those of the tracks count."""

LONE = 4.0
"""A pixel that sends so many times as many events as its neighbours is no star."""


class _Camera(NamedTuple):
    """A pinhole camera, in the place of a Projection. middle: (2,), px."""

    middle: np.ndarray

    def directions(self, pixels: np.ndarray) -> np.ndarray:
        """See Projection.directions."""
        seen = np.insert((pixels - self.middle) * PIXEL_RAD, 0, 1.0, axis=1)
        return np.asarray(seen / np.linalg.norm(seen, axis=1)[:, None])

    def pixels(self, directions: np.ndarray) -> np.ndarray:
        """Its inverse."""
        return np.asarray(directions[:, 1:] / directions[:, :1] / PIXEL_RAD + self.middle)


@dataclass(frozen=True, eq=False)
class Drift:
    """How places on the sensor go over into places on a plane that follows the sky: an affine mapping, linear between knots.

    Attributes:
        knots_us: float64 (k,), µs, rising; 2 or more.
        matrices: float64 (k, 2, 3), of (x, y, 1).
    """

    knots_us: np.ndarray
    matrices: np.ndarray

    @classmethod
    def of(cls, turn: Followed | None, first_us: float, last_us: float, sensor_size: tuple[int, int]) -> Drift:
        """Of the turn of a telescope between two times, seen through `_Camera`; the plane is the sensor at their middle. None:
        it follows the stars."""
        if turn is None:
            return cls(np.array([first_us, max(last_us, first_us + 1)]), np.repeat(np.eye(2, 3)[None], 2, 0))
        within = (turn.knots_s > first_us * 1e-6) & (turn.knots_s < last_us * 1e-6)
        knots_s = np.unique(np.concatenate([[first_us * 1e-6], turn.knots_s[within], [last_us * 1e-6]]))
        camera = _Camera((np.array(sensor_size) - 1) / 2)
        grid = np.stack(np.meshgrid(*(np.linspace(0.0, side - 1.0, 3) for side in sensor_size)), -1).reshape(-1, 2)
        there = turn.since((first_us + last_us) / 2e6)
        seen = camera.directions(np.tile(grid, (len(knots_s), 1)))
        onto = camera.pixels(there.turned(np.repeat(knots_s, len(grid)) * 1e6, seen)).reshape(len(knots_s), len(grid), 2)
        columns = np.insert(grid, 2, 1.0, axis=1)
        return cls(knots_s * 1e6, np.array([np.linalg.lstsq(columns, one, rcond=None)[0].T for one in onto]))

    def at(self, t_us: np.ndarray) -> np.ndarray:
        """Matrices (n, 2, 3) at times (n,), µs."""
        k = np.clip(np.searchsorted(self.knots_us, t_us, side="right") - 1, 0, len(self.knots_us) - 2)
        share = np.clip((t_us - self.knots_us[k]) / (self.knots_us[k + 1] - self.knots_us[k]), 0.0, 1.0)[:, None, None]
        return np.asarray(self.matrices[k] * (1 - share) + self.matrices[k + 1] * share)

    def onto(self, t_us: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """Places (n, 2) on the plane of pixels (n, 2)."""
        matrices = self.at(t_us)
        return np.asarray(np.einsum("nij,nj->ni", matrices[:, :, :2], pixels) + matrices[:, :, 2])

    def back(self, t_us: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Its inverse."""
        matrices = self.at(t_us)
        return np.asarray(np.linalg.solve(matrices[:, :, :2], (places - matrices[:, :, 2])[..., None])[..., 0])


def stars_of_events(detections: Detections, tracked: Stars, follows: bool) -> Stars:
    """The stars, with their places over time; those of the tracks, where they are more.

    Args:
        detections: of a recording, with its events.
        tracked: its stars by their tracks.
        follows: whether the telescope follows the stars.
    """
    size, columns = detections.sensor_size, detections.event_columns
    turn = None
    if not follows:
        turn = followed(tracked, _Camera((np.array(size) - 1) / 2), PIXEL_RAD)
        if turn is None:
            return tracked
    t_us, x, y = (columns[name] for name in "txy")
    counted = np.isin(columns["object_id"], detections.object_ids, invert=True)
    counted &= ~_lone(x, y, size)[y, x]
    events = _Events(t_us[counted], x[counted], y[counted])
    width = STILL_PX if follows else MOVING_PX
    sections = _sections(events, turn, (float(t_us[0]), float(t_us[-1])), size)
    parts = [_of_section(section, Drift.of(turn, *span_us, size), size, width) for section, span_us in sections]
    found = _joined([part for part in parts if len(part)])
    return tracked if found is None or len(found) < min(len(tracked), ENOUGH) else found


class _Events(NamedTuple):
    """Events (n,), in order of time: µs, px."""

    t_us: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def laid(self, drift: Drift) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Times float64 (m,) and places on the plane (m, 2), part by part."""
        for start in range(0, len(self.t_us), AT_ONCE):
            check()
            t_us, x, y = (column[start : start + AT_ONCE] for column in self)
            yield t_us.astype(np.float64), drift.onto(t_us, np.stack([x, y], -1))


def _lone(x: np.ndarray, y: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels that send much more than their neighbours, as no star makes them: bool (H, W)."""
    from scipy.ndimage import convolve

    counts = np.bincount(y.astype(np.int64) * size[0] + x, minlength=size[0] * size[1])
    counts = counts.reshape(size[::-1]).astype(np.float64)
    around = convolve(counts, np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]) / 4, mode="nearest")
    return np.asarray(counts > LONE * around + LONE * np.sqrt(np.mean(np.minimum(counts, 2 * np.median(counts) + 5))) + LONE)


def _sections(
    events: _Events, turn: Followed | None, span_us: tuple[float, float], size: tuple[int, int]
) -> list[tuple[_Events, tuple[float, float]]]:
    """Events, divided so that in each part the sky moves by the sensor's longer side at most, with the time of each part, µs:
    further, and a plane is no picture of the sky any more. span_us: of all of it."""
    if turn is None:
        return [(events, span_us)] if len(events.t_us) else []
    knots_us = np.concatenate([span_us[:1], turn.knots_s * 1e6, span_us[1:]]).clip(*span_us)
    looks = turn.turned(knots_us, np.tile([1.0, 0.0, 0.0], (len(knots_us), 1)))
    gone = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(looks, axis=0), axis=1))) / PIXEL_RAD
    number = int(gone[-1] // max(size)) + 1
    edges = np.concatenate([span_us[:1], np.interp(np.linspace(0, gone[-1], number + 1)[1:-1], gone, knots_us), span_us[1:]])
    ends = [0, *np.searchsorted(events.t_us, edges[1:-1]).tolist(), len(events.t_us)]
    rows, times = (list(zip(of, of[1:], strict=False)) for of in (ends, edges.tolist()))
    return [(_Events(*(column[a:b] for column in events)), time) for (a, b), time in zip(rows, times, strict=True) if b > a]


def _of_section(events: _Events, drift: Drift, size: tuple[int, int], width: float) -> Stars:
    """The stars of a part of a recording. width: STILL_PX or MOVING_PX."""
    span_us = float(events.t_us[0]), float(events.t_us[-1])
    low, shape = _plane(drift, span_us, size)
    counts = np.zeros(shape[0] * shape[1])
    for _, places in events.laid(drift):
        cell = np.rint(places).astype(np.int64) - low
        counts += np.bincount(cell[:, 1] * shape[1] + cell[:, 0], minlength=len(counts))
    counts = counts.reshape(shape)
    peaks, background = _peaks(counts, _seen(drift, span_us, low, shape, size), width)
    nearest = _nearest(peaks, counts.shape, REACH * width)
    parts = []
    for t_us, places in events.laid(drift):
        cell = np.rint(places).astype(np.int64) - low
        star = nearest[cell[:, 1], cell[:, 0]]
        parts.append((star[star >= 0], t_us[star >= 0], places[star >= 0]))
    own = _Own(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    at = (peaks[:, ::-1] + low).astype(np.float64)
    for _ in range(ROUNDS):
        at += _step(own.star, own.places - at[own.star], background, width)[0]
    return _placed(own, at, background, drift, size, width)


def _plane(drift: Drift, span_us: tuple[float, float], size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """The lowest x and y of the plane on which the sensor lies in a time, and the plane's shape (height, width)."""
    knots = drift.knots_us[(drift.knots_us > span_us[0]) & (drift.knots_us < span_us[1])]
    times = np.concatenate([span_us[:1], knots, span_us[1:]])
    corners = np.array([[x, y] for x in (-1.0, size[0]) for y in (-1.0, size[1])])
    places = drift.onto(np.repeat(times, 4), np.tile(corners, (len(times), 1)))
    low = np.floor(places.min(0)).astype(np.int64) - APART_PX
    width, height = (np.ceil(places.max(0)).astype(np.int64) - low + APART_PX + 1).tolist()
    return low, (height, width)


def _seen(
    drift: Drift, span_us: tuple[float, float], low: np.ndarray, shape: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """For how long, s, each place of the plane was on the sensor: float64 of a shape."""
    step = 4
    y, x = np.mgrid[0 : shape[0] : step, 0 : shape[1] : step]
    places = np.stack([x.ravel(), y.ravel()], -1) + low + (step - 1) / 2
    ends = drift.onto(np.array(span_us), np.repeat((np.array(size) - 1)[None] / 2, 2, 0))
    times = np.linspace(*span_us, int(min(200, 2 + np.hypot(*(ends[1] - ends[0])) / 2)))
    total = np.zeros(len(places))
    for t in times:
        pixels = drift.back(np.full(len(places), t), places)
        total += ((pixels > -0.5) & (pixels < np.array(size) - 0.5)).all(1)
    total *= (span_us[1] - span_us[0]) * 1e-6 / len(times)
    return np.kron(total.reshape(x.shape), np.ones((step, step)))[: shape[0], : shape[1]]


def _peaks(counts: np.ndarray, seen_s: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Places (n, 2), row and column, that stand out, the brightest first; and the background there, events per pixel: float64
    (n,)."""
    from scipy.ndimage import gaussian_filter, maximum_filter, uniform_filter

    quiet, expected = counts, counts
    for _ in range(3):
        rate = uniform_filter(quiet, AROUND_PX) / np.maximum(uniform_filter(seen_s, AROUND_PX), 1e-9)
        expected = np.maximum(rate * seen_s, 1e-3)
        quiet = np.minimum(counts, expected + 3 * np.sqrt(expected) + 0.5)
    look = LOOK * width
    stands = gaussian_filter(counts - expected, look)
    above = stands / np.sqrt(gaussian_filter(expected, look / np.sqrt(2)) / (4 * np.pi * look**2))
    good = (above == maximum_filter(above, APART_PX)) & (above > SIGNIFICANT) & (stands * 4 * np.pi * look**2 > LEAST_EVENTS)
    peaks = np.argwhere(good)
    order = np.argsort(-stands[good], kind="stable")
    return peaks[order], expected[good][order]


def _nearest(peaks: np.ndarray, shape: tuple[int, ...], reach_px: float) -> np.ndarray:
    """Of each place the number of the peak that is nearest, within reach_px; -1: none. int64 of a shape."""
    reach = int(reach_px)
    found, nearest = np.full(shape, -1), np.full(shape, np.inf)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    for k, (row, column) in enumerate(peaks.tolist()):
        y, x = row + dy, column + dx
        inside = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
        away = np.hypot(dy, dx)[inside]
        y, x = y[inside], x[inside]
        closer = (away < nearest[y, x]) & (away <= reach_px)
        found[y[closer], x[closer]], nearest[y[closer], x[closer]] = k, away[closer]
    return found


class _Own(NamedTuple):
    """Events near stars, (n,) of each: the number of their star; when, µs; where on the plane, (n, 2), px."""

    star: np.ndarray
    t_us: np.ndarray
    places: np.ndarray

    def chosen(self, which: np.ndarray) -> _Own:
        """Those, or in that order."""
        return _Own(*(column[which] for column in self))


def _step(of: np.ndarray, off: np.ndarray, background: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """From where groups were taken to be, to the weighted means of their events, but for the background: float64 (groups, 2), px;
    and how many events were more than the background: (groups,).

    Args:
        of: int64 (n,), the group of each event.
        off: float64 (n, 2), how far it is from where its group was taken to be, px.
        background: float64 (groups,), events per pixel.
        width: standard deviation of the Gaussian that weighs them, px.
    """
    weight = np.exp(-0.5 * (off**2).sum(1) / width**2)
    sums = np.stack([np.bincount(of, weight * column, len(background)) for column in off.T], -1)
    more = np.bincount(of, weight, len(background)) - background * 2 * np.pi * width**2
    return np.clip(sums / np.maximum(more, 1.0)[:, None], -1.0, 1.0), more


def _placed(events: _Own, at: np.ndarray, background: np.ndarray, drift: Drift, size: tuple[int, int], width: float) -> Stars:
    """Stars: their places over time. at: (stars, 2), where they are on the plane."""
    once = distinct(at, np.arange(len(at)))
    events = events.chosen(np.isin(events.star, once))
    events = events.chosen(_whole(events, at, drift, size))
    events = events.chosen(np.argsort(events.star, kind="stable"))
    number = np.bincount(events.star, minlength=len(at))
    starts, filled = np.cumsum(number) - number, np.flatnonzero(number)
    lasts = np.zeros(len(at))
    lasts[filled] = (events.t_us[starts[filled] + number[filled] - 1] - events.t_us[starts[filled]]) * 1e-6
    more = number - background * np.pi * (REACH * width) ** 2
    rows = np.where(more >= LEAST_EVENTS, np.clip(np.minimum(more / A_ROW, lasts / ROW_S).astype(np.int64), 1, None), 0)
    rank = np.arange(len(events.star)) - starts[events.star]
    row = (np.cumsum(rows) - rows)[events.star] + rank * rows[events.star] // np.maximum(number[events.star], 1)
    kept = rows[events.star] > 0
    row, events = row[kept], events.chosen(kept)
    of = np.repeat(np.arange(len(at)), rows)
    when = np.bincount(row, events.t_us) / np.bincount(row)
    there = at[of].copy()
    for _ in range(ROUNDS):
        step, counted = _step(row, events.places - there[row], (background / np.maximum(rows, 1))[of], width)
        there += step
    variance = SPREAD_PX**2 * (counted + 2 * np.pi * width**2 * (background / np.maximum(rows, 1))[of])
    variance = variance / np.maximum(counted, 1.0) ** 2 + FLOOR_PX**2
    ahead, behind = (drift.back(when + sign * TICK_S * 1e6, there) for sign in (1, -1))
    has = rows > 0
    return Stars(
        star=(np.cumsum(has) - 1)[of],
        t_us=when,
        pixels=drift.back(when, there),
        velocities=(ahead - behind) / (2 * TICK_S),
        brightness=(more / np.maximum(lasts, ROW_S))[has],
        weight=1 / variance,
    )


def _whole(events: _Own, at: np.ndarray, drift: Drift, size: tuple[int, int]) -> np.ndarray:
    """Which events come while their star is clear of the sensor's edges and, where it moves far enough, of where it stood when
    the recording, or this part of it, began: bool (n,)."""
    pixels = drift.back(events.t_us, at[events.star])
    inside = ((pixels > EDGE_PX) & (pixels < np.array(size) - 1 - EDGE_PX)).all(1)
    ends = [drift.back(np.full(len(at), t), at) for t in drift.knots_us[[0, -1]]]
    far = np.hypot(*(ends[1] - ends[0]).T) > 3 * SETTLED_PX
    settled = np.hypot(*(pixels - ends[0][events.star]).T) > SETTLED_PX
    return np.asarray(inside & (settled | ~far[events.star]))


def _joined(parts: list[Stars]) -> Stars | None:
    """Stars of several parts, as different ones."""
    if not parts:
        return None
    first = np.cumsum([0, *(len(part) for part in parts)])
    numbers = np.concatenate([part.star + k for part, k in zip(parts, first.tolist(), strict=False)])
    names = ("t_us", "pixels", "velocities", "brightness", "weight")
    return Stars(numbers, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))
