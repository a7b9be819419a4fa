"""Made-up scenes: shapes of random points that send events as they move along given ways, and noise."""

from typing import NamedTuple

import numpy as np
import pytest

from spikeseg.scenes.course import Course
from spikeseg.scenes.scene import find_objects
from spikeseg.scenes.track import Seen


class Thing(NamedTuple):
    """A square that moves.

    Attributes:
        t_s: times of the corners of its way, s.
        way: its centre there, (x, y), px.
        side: px, or (width, height).
        events_per_px: that it sends for each pixel that it moves.
        hidden: (left, right), x between which nothing of it is seen; or None.
    """

    t_s: tuple
    way: tuple
    side: float | tuple
    events_per_px: float
    hidden: tuple | None = None

    def at(self, t_us):
        """Its centre: float64 (n, 2)."""
        t_s = np.asarray(t_us) * 1e-6
        return np.stack([np.interp(t_s, self.t_s, [point[axis] for point in self.way]) for axis in (0, 1)], 1)

    @property
    def size(self):
        """Width, height."""
        return np.broadcast_to(np.asarray(self.side, float), 2)

    def events(self, rng):
        """t (µs), x, y: events spread evenly over its way, so that it sends none while it stands."""
        way = np.array(self.way, float)
        length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(way, axis=0).T))])
        n = round(self.events_per_px * length[-1])
        gone = length + 1e-9 * np.arange(len(length))  # rising, where it stands
        t_s = np.interp(rng.uniform(0, gone[-1], n), gone, self.t_s)
        x, y = np.round(self.at(t_s * 1e6) + rng.uniform(-0.5, 0.5, (n, 2)) * (self.size - 1)).astype(np.int64).T
        seen = np.ones(n, bool) if self.hidden is None else (x < self.hidden[0]) | (x >= self.hidden[1])
        return (t_s[seen] * 1e6).astype(np.int64), x[seen], y[seen]


class Scene(NamedTuple):
    """Events, int64 t (µs, rising), x, y and bool on; the number of the thing of each, from 1, 0 for noise."""

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    on: np.ndarray
    truth: np.ndarray
    sensor_size: tuple
    things: tuple

    def found(self, **settings):
        """What is found in it."""
        return find_objects(self.t, self.x, self.y, self.on, self.sensor_size, **settings)


def made_up(things, sensor_size=(160, 120), duration_s=1.0, noise_hz=0.3, seed=0):
    """A scene. noise_hz: events of noise per pixel and second."""
    rng = np.random.default_rng(seed)
    width, height = sensor_size
    n = rng.poisson(noise_hz * width * height * duration_s)
    noise = (rng.integers(0, round(duration_s * 1e6), n), rng.integers(0, width, n), rng.integers(0, height, n))
    parts = [noise, *(thing.events(rng) for thing in things)]
    t, x, y = (np.concatenate([part[k] for part in parts]) for k in range(3))
    truth = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    kept = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    order = np.flatnonzero(kept)[np.argsort(t[kept], kind="stable")]
    on = rng.random(len(t)) < 0.5
    return Scene(t[order], x[order], y[order], on[order], truth[order], sensor_size, tuple(things))


@pytest.fixture
def thing():
    """`Thing`."""
    return Thing


@pytest.fixture
def scene():
    """`made_up`."""
    return made_up


@pytest.fixture
def course():
    """A `Course` with a row every 20 ms from t_s[0] to t_s[-1], s. place, size: everywhere, or one for each of t_s; how: for all
    rows."""

    def of(t_s, place, size=12.0, how=Seen.ALONE):
        t = np.linspace(t_s[0], t_s[-1], max(round((t_s[-1] - t_s[0]) / 0.02), 1) + 1)
        place, size = (np.broadcast_to(np.asarray(own, float), (len(t_s), 2)) for own in (place, size))
        place, size = (np.stack([np.interp(t, t_s, own[:, axis]) for axis in (0, 1)], 1) for own in (place, size))
        return Course(t * 1e6, place, size, np.full(len(t), int(how)))

    return of


@pytest.fixture
def iou():
    """Intersection over union of the events of object `number` and those of thing `own`."""

    def of(found, scene, number, own):
        a, b = found.ids == number, scene.truth == own
        return np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1)

    return of
