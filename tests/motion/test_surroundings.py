"""Against its surroundings: a clump of something extended is no object, a point is one, there as well."""

import numpy as np
import pytest
from scipy import ndimage

from spikeseg.motion import path_kernels as kernels
from spikeseg.motion.footprint import REACH, Footprint
from spikeseg.motion.online import NewEvents, OnlineSearch
from spikeseg.motion.path_kernels import NEAR
from spikeseg.motion.paths import against_stars
from spikeseg.motion.surroundings import PARTS, RING_PX2, raised_by
from spikeseg.tracking.star_field import StarField

SIZE, SECONDS = (150, 120), 8.0


def ghost(skies, seed, sources, velocity=(3.0, -3.0), rate_hz=0.7, clump_px=5.0):
    """A sky with a ring about its middle that drifts: smooth, with clumps, of one polarity in each place; in the mean of
    rate_hz, several times the noise's. Its events have the source -2."""
    sky, rng = skies.sky(seed, sources, size=SIZE, seconds=SECONDS), np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    way = np.array(velocity) * SECONDS
    away = np.hypot(x - SIZE[0] / 2 + way[0] / 2, y - SIZE[1] / 2 + way[1] / 2)
    clumps, sign = (ndimage.gaussian_filter(rng.standard_normal(x.shape), px, mode="wrap") for px in (clump_px, 2 * clump_px))
    density = np.exp(-0.5 * ((away - 30) / 16) ** 2 + 0.8 * clumps / clumps.std())
    density *= rate_hz / density[away < 46].mean()
    n = rng.poisson(density.sum() * SECONDS)
    pixel = rng.choice(density.size, n, p=(density / density.sum()).ravel())
    t = rng.uniform(0, SECONDS, n)
    px, py = (
        np.rint(part.ravel()[pixel] + rng.random(n) - 0.5 + v * t).astype(np.int64)
        for part, v in zip((x, y), velocity, strict=True)
    )
    seen = (px >= 0) & (py >= 0) & (px < SIZE[0]) & (py < SIZE[1])
    own = t, px, py, sign.ravel()[pixel] > 0, np.full(n, -2)
    columns = [np.concatenate([old, new[seen]]) for old, new in zip(sky[:5], own, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return sky._replace(**{name: column[order] for name, column in zip(sky._fields[:5], columns, strict=True)})


@pytest.fixture(scope="module")
def crossed(skies):
    """A ghost and stars that an object of 14 events/s crosses: its row, the search, the paths' evidence against surroundings
    and stars."""
    row = (20.0, 100.0, 14.0, -9.0, 14.0)
    sky = ghost(skies, 3, [row, *skies.star_rows(1, 5, size=SIZE)])
    found, frame = skies.search(sky), skies.frame(size=SIZE)
    judged = [found.search.against_surroundings(path) for path in found.paths]
    return row, found, [against_stars(path, frame, found.stars.spans, SIZE) for path in judged]


@pytest.mark.parametrize(
    ("counts", "raised"),
    [
        ([30] * 8, [3] * 8),
        ([10] * 8, [1] * 8),
        ([14] * 8, [1] * 8),  # 80 expected, 112 found: less than 4 + 4 standard deviations beyond
        ([16] * 8, [1.6] * 8),
        ([200] * 3 + [10] * 5, [1] * 8),  # what crosses
        ([40, 30, 20, 2, 50, 30, 0, 30], [4, 3, 2, 1, 5, 3, 1, 3]),
        ([0] * 8, [1] * 8),
    ],
)
def test_the_background_is_raised_part_by_part_where_the_median_is_no_chance(counts, raised):
    """Ten events are expected in each part, of one second."""
    ring = np.stack([counts, np.array(counts) * RING_PX2 / 10], -1)
    usual = np.stack([np.full(PARTS, 10.0), np.full(PARTS, RING_PX2)], -1)
    for order, own in (((ring, usual), 0), ((usual, ring), 1)):
        result = raised_by(np.stack(order, 1), float(PARTS))
        np.testing.assert_allclose(result[:, own], raised)
        np.testing.assert_array_equal(result[:, 1 - own], 1)


def test_clumps_of_what_is_extended_are_no_objects_and_a_point_before_it_is_one(crossed):
    row, found, nats = crossed
    there = [np.add(row[:2], path.t_s.mean() * np.array(row[2:4])) for path in found.paths]
    own = np.array([np.hypot(*(path.states[:, :2].mean(0) - place)) < 3 for path, place in zip(found.paths, there, strict=True)])
    before, after = np.array(found.nats) > found.threshold, np.array(nats) > found.threshold
    assert np.count_nonzero(before & ~own) == 11
    assert after[own].tolist() == [True] and not after[~own].any()


def test_a_path_through_noise_and_stars_keeps_its_evidence(skies):
    rows = [(10.0, 15.0, 10.0, 2.0, 10.0), (20.0, 80.0, 5.0, -7.0, 100.0), (60.0, 10.0, -3.0, 5.0, 14.0)]
    found = skies.search(skies.sky(5, skies.star_rows(1, 6) + rows))
    assert len(found.objects) == 3
    for path in found.paths:
        assert found.search.against_surroundings(path) is path


def test_events_in_the_ring_are_counted_by_polarity_and_part_of_the_time(crossed):
    """Less a tenth of those nearer; none where the edge cuts the ring off."""
    _, found, _ = crossed
    path = max(found.paths, key=lambda path: len(path.t_s))
    search, states = found.search, path.states.copy()
    events = search.events
    states[: len(states) // PARTS + 1, 1] = REACH - 0.5
    ring, short = np.zeros((2, PARTS, 2, 2))
    for room, out in ((40000, ring), (2, short)):
        kernels.around(events, search._index, search.table, path.t_s, states, out, np.empty(room, np.int64))
    expected = np.zeros((PARTS, 2, 2))
    step = path.t_s[1] - path.t_s[0]
    for j, (t_s, (x, y, vx, vy)) in enumerate(zip(path.t_s, states, strict=True)):
        if min(x, y, SIZE[0] - 1 - x, SIZE[1] - 1 - y) < REACH:
            continue
        during = slice(*np.searchsorted(events.t, [t_s - step / 2, t_s + step / 2]))
        since, rate = events.t[during] - t_s, events.rate[during]
        away = np.hypot(events.x[during] - x - vx * since, events.y[during] - y - vy * since)
        share = np.where(away <= NEAR, -0.1, 1.0) * ((away <= REACH) & (events.owner[during] >= 0) & np.isfinite(rate))
        np.add.at(expected[j * PARTS // len(states)], events.on[during], np.stack([share, share / rate], 1))
    np.testing.assert_array_equal(ring, short)
    np.testing.assert_allclose(ring, expected, atol=1e-9)
    assert (ring[0] == 0).all() and ring[..., 0].sum() > 100


def test_clumps_are_no_objects_while_they_are_followed(crossed):
    row, found, _ = crossed
    events, settings = found.search.events, found.search.settings
    online = OnlineSearch(SIZE, Footprint.point(), settings)
    for low in np.arange(SECONDS):
        part = slice(*np.searchsorted(events.t, [low, low + 1]))
        columns = events.t[part], *(column[part].astype(np.int64) for column in (events.x, events.y, events.on))
        online.step(NewEvents(*columns), low + 1, StarField.still())
    told = [known.smooth for known in online.known.values() if known.nats >= found.threshold]
    (one,) = (path for path in told if np.hypot(*path.states[:, 2:].mean(0)) > 1)  # the others are stars
    assert np.hypot(*(one.states[:, :2].mean(0) - np.add(row[:2], one.t_s.mean() * np.array(row[2:4])))) < 3
