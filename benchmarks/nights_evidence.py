"""How much evidence simulated nights hold for a satellite: what a matched filter gathers that knows its path and footprint.

Everything is read from the simulator: path, rate of the noise of each pixel and polarity, places of the stars, and, from
simulations of the satellite alone, where its events lie and how many it is expected to send.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from footprint_scoring import evidence
from scipy.spatial.distance import pdist

from spikeseg.data.recording import SOURCE_OBJECT, SOURCE_STAR, Recording
from spikeseg.motion.footprint import REACH, SIDE, Footprint
from spikeseg.motion.line_kernels import STILL_PX_S
from spikeseg.simulation.pixels import Sensor, source_events
from spikeseg.simulation.scene import Scene, positions

ENOUGH_EVENTS, FEWEST, MOST = 2000, 4, 30
"""A satellite is simulated alone until it has sent so many events, FEWEST to MOST times."""
RATE_S = 1.0
"""Its rate is taken to be constant for this long, s: clouds and turns of the telescope are known, tumbling is not."""
STEP_S = 0.01
"""Step in which what is expected is added up, s."""
FAINT = 0.1
"""Where another source adds less than this share of the sky, it hides nothing: half of a pixel's threshold."""
PLACES = 40
"""Places of the sky along a satellite's way at which a star might be instead."""
AMPLITUDES = np.geomspace(0.05, 4, 25)
"""How bright that star may be, in units of the satellite."""
ASIDE_PX = 20.0
"""How far beside the path the filter is tried on noise, px."""
STAR_EVENTS, STAR_PX = 10, 5.0
"""A star counts as seen if it sends so many events within this distance while the satellite is in view."""
OF_SOURCES = (
    "start", "velocity", "bend", "at_s", "contrast", "tumble_hz", "tumble_depth", "tumble_phase", "source", "object_id",
)  # fmt: skip
"""Fields of a scene that have an entry for each source."""

Place = Callable[[np.ndarray], np.ndarray]
"""Times (n,), s -> places on the sensor (n, 2), px."""


class Signal(NamedTuple):
    """What a satellite is expected to send.

    Attributes:
        density: float64 (2, SIDE, SIDE), share of the events of a polarity by place, as in `Footprint`.
        still: the same of what stands still: round, both polarities alike.
        rate: float64 (2, n), OFF and ON, events/s, while in view, in steps of RATE_S.
        width_px: spread of the events of a polarity.
    """

    density: np.ndarray
    still: np.ndarray
    rate: np.ndarray
    width_px: float

    def rates(self, t_s: np.ndarray) -> np.ndarray:
        """Rates (2, n) at times (n,)."""
        return np.asarray(self.rate[:, np.clip((t_s / RATE_S).astype(np.int64), 0, self.rate.shape[1] - 1)])


class Evidence(NamedTuple):
    """What a recording holds for one of its satellites.

    Attributes:
        object_id: of the labels.
        events: that it sent while in view.
        seconds: in view.
        moved_px: the farthest that two of its places among the stars are apart.
        width_px: of its footprint: twice the spread of its events.
        stars: seen meanwhile.
        nats: log-likelihood ratio against noise.
        star_nats: of this, what the star at rest on the satellite's way that explains most would explain, too.
        aside_nats: log-likelihood ratio that the same filter gathers ASIDE_PX beside the path, the greater of both sides.
    """

    object_id: int
    events: int
    seconds: float
    moved_px: float
    width_px: float
    stars: int
    nats: float
    star_nats: float
    aside_nats: float

    @property
    def own_nats(self) -> float:
        """What tells it from noise and from a star."""
        return self.nats - self.star_nats


class _Lit(NamedTuple):
    """Events that a signal along a path reaches: events int64 (n,), which; signal and noise float64 (n,), events/s of their pixel
    and polarity; expected, events of the signal where they are counted."""

    events: np.ndarray
    signal: np.ndarray
    noise: np.ndarray
    expected: float

    def nats(self, amplitude: float = 1.0) -> float:
        """Log-likelihood ratio of so many times the signal upon noise against noise alone."""
        return evidence(1.0, amplitude * self.signal, self.noise, amplitude * self.expected)


def evidence_of(scene: Scene, noise: np.ndarray, recording: Recording, seed: int) -> list[Evidence]:
    """The evidence for every satellite that comes into view.

    Args:
        scene: what was simulated.
        noise: float64 (2, H, W), events/s by polarity and pixel.
        recording: of it.
        seed: of the simulations of single satellites.
    """
    return [
        _Filter(scene, noise, recording, which, seed).evidence()
        for which in np.flatnonzero(scene.source == SOURCE_OBJECT)
        if (recording.labels["id"] == scene.object_id[which]).any()
    ]


class _Filter:
    """The matched filter of one satellite."""

    def __init__(self, scene: Scene, noise: np.ndarray, recording: Recording, which: int, seed: int) -> None:
        self.scene, self.noise, self.recording, self.which = scene, noise, recording, which
        self.others = np.flatnonzero(np.arange(len(scene.source)) != which)
        self.steps_s = np.arange(0, scene.duration_s, STEP_S) + STEP_S / 2
        self.t_s = recording.events["t"] * 1e-6
        self.seen_s = self.steps_s[self._in_view(self.path(self.steps_s))]
        self.seen = np.flatnonzero(self._in_view(self.path(self.t_s)))
        self.hidden = np.full(len(self.t_s), -1, np.int8)
        self.signal = self._signal(seed)

    def path(self, t_s: np.ndarray) -> np.ndarray:
        """Where the satellite is at times (n,): float64 (n, 2)."""
        return np.asarray(positions(self.scene, t_s, np.array([self.which]))[:, 0])

    def evidence(self) -> Evidence:
        """Evidence along the path, of the best star, and beside the path."""
        seen = self.seen_s
        sky = self.scene.field.sky(self.path(seen), seen)
        places = sky[np.linspace(0, len(sky) - 1, PLACES).astype(np.int64)]
        along = self._lit(self.path)
        own = self.recording.truth["object_id"] == self.scene.object_id[self.which]
        return Evidence(
            object_id=int(self.scene.object_id[self.which]),
            events=int((own & (self.recording.truth["source"] == SOURCE_OBJECT)).sum()),
            seconds=len(seen) * STEP_S,
            moved_px=float(pdist(places).max()),
            width_px=2 * self.signal.width_px,
            stars=self._stars(float(seen[0]), float(seen[-1])),
            nats=along.nats(),
            star_nats=along.nats() - min(self._without_star(along, self._lit(self._rest(place))) for place in places),
            aside_nats=max(self._lit(self._beside(side * ASIDE_PX)).nats() for side in (-1, 1)),
        )

    def _rest(self, sky: np.ndarray) -> Place:
        return lambda t_s: np.asarray(self.scene.field.place(sky, t_s))

    def _beside(self, aside_px: float) -> Place:
        def place(t_s: np.ndarray) -> np.ndarray:
            ahead = _direction(self.path, t_s)[0]
            return np.asarray(self.path(t_s) + aside_px * np.stack([-ahead[:, 1], ahead[:, 0]], 1))

        return place

    def _in_view(self, places: np.ndarray) -> np.ndarray:
        return np.asarray(((places >= -0.5) & (places < np.array(self.scene.sensor_size) - 0.5)).all(-1))

    def _lit(self, place: Place) -> _Lit:
        """What the signal would send along a path. Where another source shines nothing is counted and nothing expected."""
        events, near = self.recording.events, self.seen
        knots, reach = place(self.steps_s), REACH * 2**0.5 + 1
        for axis, column in enumerate("xy"):  # nearly straight from step to step: the exact places take longer
            near = near[np.abs(events[column][near] - np.interp(self.t_s[near], self.steps_s, knots[:, axis])) <= reach]
        across, along, moving = _cells(place, self.t_s[near], self._pixels(near))
        inside = ((np.abs(across) <= REACH) & (np.abs(along) <= REACH))[:, 0]
        near, moving, row, column = near[inside], moving[inside], across[inside, 0] + REACH, along[inside, 0] + REACH
        counted = ~self._hides(near)
        near, moving, row, column = near[counted], moving[counted], row[counted], column[counted]
        on = events["p"][near].astype(np.int64)
        density = np.where(moving, self.signal.density[on, row, column], self.signal.still[on, row, column])
        signal = density * self.signal.rates(self.t_s[near])[on, np.arange(len(near))]
        return _Lit(near, signal, self.noise[on, events["y"][near], events["x"][near]], self._expected(place))

    def _without_star(self, own: _Lit, star: _Lit) -> float:
        """By how much the satellite, with this star or without it, explains all events better than the star alone."""
        bright = AMPLITUDES[int(np.argmax([star.nats(amplitude) for amplitude in AMPLITUDES]))]
        if star.nats(bright) <= 0:
            return own.nats()
        of_star = np.zeros(len(self.t_s))
        of_star[star.events] = bright * star.signal
        beside = evidence(1.0, own.signal, own.noise + of_star[own.events], own.expected)
        return max(own.nats() - star.nats(bright), beside)

    def _pixels(self, chosen: np.ndarray) -> np.ndarray:
        return np.stack([self.recording.events[axis][chosen] for axis in "xy"], 1)[:, None].astype(np.float64)

    def _hides(self, chosen: np.ndarray) -> np.ndarray:
        """Whether other sources light the pixels of chosen events (n,): bool (n,)."""
        unknown = chosen[self.hidden[chosen] < 0]
        self.hidden[unknown] = self._hidden(self.t_s[unknown], self._pixels(unknown))[:, 0]
        return np.asarray(self.hidden[chosen] > 0)

    def _expected(self, place: Place) -> float:
        """Events that the whole signal sends where they are counted."""
        where, moving = _grid(place, self.seen_s)
        seen = self._in_view(where) & ~self._hidden(self.seen_s, where)
        shares = np.stack(
            [np.where(moving, seen @ self.signal.density[p].ravel(), seen @ self.signal.still[p].ravel()) for p in (0, 1)]
        )
        return float((shares * self.signal.rates(self.seen_s)).sum() * STEP_S)

    def _hidden(self, t_s: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Whether other sources light places (n, m, 2) at times (n,): bool (n, m)."""
        scene, result = self.scene, np.zeros(places.shape[:2], bool)
        radius = scene.sigma_px * np.sqrt(2 * np.log(np.maximum(scene.contrast[self.others] / FAINT, 1))) + 0.5
        for part in _parts(len(t_s), 400):
            middle = places[part].mean(1, keepdims=True)
            reach = np.abs(places[part] - middle).max(initial=0.0)
            other = positions(scene, t_s[part], self.others)
            row, source = np.nonzero((np.abs(other - middle) <= reach + radius[:, None]).all(2))
            away = np.hypot(*np.moveaxis(places[part][row] - other[row, source][:, None], -1, 0))
            np.logical_or.at(result[part], row, away <= radius[source][:, None])
        return result

    def _stars(self, start_s: float, end_s: float) -> int:
        """Stars that are seen in that time."""
        events = self.recording.events
        lit = np.flatnonzero((self.recording.truth["source"] == SOURCE_STAR) & (self.t_s >= start_s) & (self.t_s <= end_s))
        stars = np.flatnonzero(self.scene.source == SOURCE_STAR)
        sent = np.zeros(len(stars), np.int64)
        for part in _parts(len(lit), 400):
            chosen = lit[part]
            place = np.stack([events["x"][chosen], events["y"][chosen]], 1)
            away = np.hypot(*np.moveaxis(positions(self.scene, self.t_s[chosen], stars) - place[:, None], -1, 0))
            nearest = away.argmin(1)
            sent += np.bincount(nearest[away.min(1) <= STAR_PX], minlength=len(stars))
        return int((sent >= STAR_EVENTS).sum())

    def _signal(self, seed: int) -> Signal:
        """What the satellite sends when it is alone, the mean of several simulations whose pixels differ."""
        scene, one = self.scene, np.array([self.which])
        alone = replace(scene, **{name: getattr(scene, name)[one] for name in OF_SOURCES})
        bins = round(scene.duration_s / RATE_S) + 1
        footprint, sent, turns = np.zeros((2, SIDE, SIDE)), np.zeros((2, bins)), 0
        while turns < FEWEST or (turns < MOST and sent.sum() < ENOUGH_EVENTS):
            events = source_events(alone, Sensor(), np.random.default_rng([seed, self.which, turns]))
            t_s, on = events["t"] * 1e-6, events["p"].astype(np.int64)
            across, along, _ = _cells(self.path, t_s, np.stack([events["x"], events["y"]], 1)[:, None])
            across, along = across[:, 0], along[:, 0]
            kept = (np.abs(across) <= REACH) & (np.abs(along) <= REACH) & self._in_view(self.path(t_s))
            np.add.at(footprint, (on[kept], across[kept] + REACH, along[kept] + REACH), 1)
            np.add.at(sent, (on[kept], (t_s[kept] / RATE_S).astype(np.int64)), 1)
            turns += 1
        shape = Footprint.normalised(footprint + 1e-9)
        density = shape.share / np.maximum(shape.share.sum((1, 2), keepdims=True), 1e-9)
        still = np.stack([Footprint.point(0.0, shape.sigma()).share.sum(0)] * 2)
        where, _ = _grid(self.path, self.seen_s)
        seen, step = self._in_view(where), (self.seen_s / RATE_S).astype(np.int64)
        exposed = np.stack([np.bincount(step, seen @ density[p].ravel(), bins) for p in (0, 1)]) * STEP_S
        rate = np.divide(sent / turns, exposed, out=np.zeros_like(sent), where=exposed > 0)
        return Signal(density, still, rate, shape.sigma())


def _direction(place: Place, t_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (n, 2) along the motion on the sensor, and whether there is any: bool (n,)."""
    step = 0.5e-3
    velocity = (place(t_s + step) - place(t_s - step)) / (2 * step)
    speed = np.hypot(*velocity.T)
    ahead = np.where((speed > 0)[:, None], velocity / np.maximum(speed, 1e-12)[:, None], [1.0, 0.0])
    return ahead, speed > STILL_PX_S


def _cells(place: Place, t_s: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells of the footprint, across and along (n, m), in which places (n, m, 2) lie at times (n,); whether it moves (n,)."""
    (ahead, moving), away = _direction(place, t_s), where - place(t_s)[:, None]
    along = (away * ahead[:, None]).sum(-1)
    across = away[..., 1] * ahead[:, None, 0] - away[..., 0] * ahead[:, None, 1]
    return np.rint(across).astype(np.int64), np.rint(along).astype(np.int64), moving


def _grid(place: Place, t_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places on the sensor of the footprint's cells (n, SIDE * SIDE, 2) at times (n,); whether it moves (n,)."""
    ahead, moving = _direction(place, t_s)
    across, along = (cell.ravel() for cell in np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1])
    aside = np.stack([-ahead[:, 1], ahead[:, 0]], 1)
    return place(t_s)[:, None] + along[:, None] * ahead[:, None] + across[:, None] * aside[:, None], moving


def _parts(n: int, size: int) -> Iterator[slice]:
    for begin in range(0, n, size):
        yield slice(begin, min(begin + size, n))
