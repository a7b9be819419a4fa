"""Skies of known sources, and searches over them."""

from typing import NamedTuple

import numpy as np
import pytest


class Sky(NamedTuple):
    """Events of known sources.

    Attributes:
        t: float64 (n,), rising, s.
        x, y: int64 (n,), px.
        on: bool (n,).
        source: int64 (n,), row of the source; -1: noise.
        size: (width, height), px.
    """

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    on: np.ndarray
    source: np.ndarray
    size: tuple[int, int]


def make_sky(seed, sources, *, size=(120, 90), seconds=8.0, noise_hz=0.1, ahead_px=0.7):
    """Poisson noise and Poisson points. sources: rows of x, y at time 0, vx, vy, events/s, and perhaps first and last second."""
    rng = np.random.default_rng(seed)
    parts = []
    n = rng.poisson(noise_hz * size[0] * size[1] * seconds)
    parts.append((rng.random(n) * seconds, rng.integers(0, size[0], n), rng.integers(0, size[1], n), np.full(n, -1)))
    on = [rng.random(n) < 0.5]
    for k, (x, y, vx, vy, rate, *span) in enumerate(sources):
        first, last = span or (0.0, seconds)
        n = rng.poisson(rate * (last - first))
        t, is_on = rng.uniform(first, last, n), rng.random(n) < 0.5
        speed = np.hypot(vx, vy)
        shift = np.where(is_on, ahead_px, -ahead_px) / max(speed, 1e-9) * (speed > 0)
        px = np.rint(x + vx * (t + shift) + rng.standard_normal(n)).astype(np.int64)
        py = np.rint(y + vy * (t + shift) + rng.standard_normal(n)).astype(np.int64)
        seen = (px >= 0) & (py >= 0) & (px < size[0]) & (py < size[1])
        parts.append((t[seen], px[seen], py[seen], np.full(seen.sum(), k)))
        on.append(is_on[seen])
    t, x, y, source = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(t, kind="stable")
    return Sky(t[order], x[order], y[order], np.concatenate(on)[order], source[order], size)


def star_rows(seed, n, velocity=(0.0, 0.0), *, size=(120, 90), seconds=8.0, rates=(20.0, 100.0)):
    """Rows of stars that move together, about n of them in view at any time."""
    rng = np.random.default_rng(seed)
    way = np.array(velocity) * seconds
    low, high = np.minimum(0, -way), np.array(size) - 1 + np.maximum(0, -way)
    places = rng.uniform(low, high, (round(n * np.prod(high - low) / np.prod(size)), 2))
    return [(*place, *velocity, rate) for place, rate in zip(places, rng.uniform(*rates, len(places)), strict=True)]


def make_events(sky, explained=None, share=0.0, owner=None):
    """Events of the motion layer, with their background, and the index."""
    from spikeseg.motion.background import background_rates
    from spikeseg.motion.events import events_of, index_of

    explained = np.zeros(len(sky.t), bool) if explained is None else explained
    events = events_of(sky.t, sky.x, sky.y, sky.on, background_rates(sky.t, sky.x, sky.y, sky.size, explained, share), owner)
    return events, index_of(events, sky.size)


def make_frame(velocity=(0.0, 0.0), *, size=(120, 90), seconds=8.0):
    """The frame of stars that move together."""
    from spikeseg.motion.frame import Frame
    from spikeseg.tracking.star_field import StarField

    return Frame.of(StarField(np.array([0.0, 1e6]), np.array([velocity], float)), (0.0, seconds), size)


def make_stars(sky, frame=None):
    """`find_stars` in a sky, and the events, whose owners it has changed. frame: of the stars; None: they stand still."""
    from spikeseg.motion.footprint import Footprint
    from spikeseg.motion.stars import find_stars

    events, _ = make_events(sky)
    return find_stars(events, sky.size, frame or make_frame(size=sky.size), Footprint.point().table(sky.size), True), events


class Result(NamedTuple):
    """A finished search, its paths smoothed, each one's evidence that it is no star's, each event's responsibility, the stars
    that were left out, and the evidence that makes an object."""

    search: object
    paths: list
    nats: list
    own: np.ndarray
    stars: object
    threshold: float

    @property
    def objects(self):
        """The paths of objects."""
        return [path for path, nats in zip(self.paths, self.nats, strict=True) if nats >= self.threshold]


def make_search(sky, frame=None, **settings):
    """Search a sky as detection does it: stars first, then paths, pieces joined."""
    from spikeseg.motion.footprint import Footprint
    from spikeseg.motion.paths import against_stars, joined
    from spikeseg.motion.probability import threshold_nats
    from spikeseg.motion.scales import DEFAULT_SCALES
    from spikeseg.motion.search import MotionSearch, SearchSettings

    stars, events = make_stars(sky, frame)
    events, index = make_events(sky, stars.explained, stars.share, events.owner)
    frame, threshold = frame or make_frame(size=sky.size), threshold_nats(0.1, sky.size)
    settings = SearchSettings(**{"scales": DEFAULT_SCALES, "spike_nats": 9.0, "path_nats": threshold - 2.5, **settings})
    search = MotionSearch(events, index, stars.sight, sky.size, Footprint.point(), settings)
    search.run()
    search.paths = joined(search.paths, search.events)
    paths = search.smoothed()
    own = search.claimed({path.id: 1.0 for path in paths})
    return Result(search, paths, [against_stars(path, frame, stars.spans, sky.size) for path in paths], own, stars, threshold)


class Tools(NamedTuple):
    """The functions above."""

    sky: object
    star_rows: object
    events: object
    frame: object
    stars: object
    search: object


@pytest.fixture(scope="session")
def skies():
    """`make_sky`, `star_rows`, `make_events`, `make_frame`, `make_stars`, `make_search`."""
    return Tools(make_sky, star_rows, make_events, make_frame, make_stars, make_search)
