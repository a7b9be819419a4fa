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


def make_stars(sky, field=None):
    """`find_stars` in a sky, and the events, whose owners it has changed. field: of the stars; None: still."""
    from spikeseg.motion.footprint import Footprint
    from spikeseg.motion.stars import find_stars
    from spikeseg.tracking.star_field import StarField

    events, _ = make_events(sky)
    return find_stars(events, sky.size, field or StarField.still(), Footprint.point().table(sky.size)), events


class Result(NamedTuple):
    """A finished search, its paths smoothed, each event's responsibility, and the stars that were left out."""

    search: object
    paths: list
    own: np.ndarray
    stars: object


def make_search(sky, field=None, **settings):
    """Search a sky as detection does it: stars first, then paths, pieces joined."""
    from spikeseg.motion.footprint import Footprint
    from spikeseg.motion.paths import joined
    from spikeseg.motion.probability import threshold_nats
    from spikeseg.motion.scales import DEFAULT_SCALES
    from spikeseg.motion.search import MotionSearch, SearchSettings

    stars, events = make_stars(sky, field)
    events, index = make_events(sky, stars.explained, stars.share, events.owner)
    settings = SearchSettings(**{"scales": DEFAULT_SCALES, "path_nats": threshold_nats(0.1, sky.size), **settings})
    search = MotionSearch(events, index, stars.sight, sky.size, Footprint.point(), settings)
    search.run()
    search.paths = joined(search.paths, search.events)
    own = np.zeros(len(sky.t), np.float32)
    return Result(search, search.smoothed(own), own, stars)


class Tools(NamedTuple):
    """The functions above."""

    sky: object = staticmethod(make_sky)
    star_rows: object = staticmethod(star_rows)
    events: object = staticmethod(make_events)
    stars: object = staticmethod(make_stars)
    search: object = staticmethod(make_search)


@pytest.fixture(scope="session")
def skies():
    """`make_sky`, `star_rows`, `make_events`, `make_stars`, `make_search`."""
    return Tools(make_sky, star_rows, make_events, make_stars, make_search)
