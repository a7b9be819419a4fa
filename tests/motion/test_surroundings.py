"""Against its surroundings: a clump of something extended is no object, a point is one, there as well."""

import numpy as np
import pytest
from scipy import ndimage

from spikeseg.motion import path_kernels as kernels
from spikeseg.motion.footprint import REACH
from spikeseg.motion.path_kernels import NEAR
from spikeseg.motion.paths import against_stars
from spikeseg.motion.surroundings import PARTS, RING_PX2, raised_by

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
    _, found, _ = crossed
    path, events = found.paths[0], found.search.events
    ring, short = np.zeros((2, PARTS, 2, 2))
    for room, out in ((40000, ring), (2, short)):
        kernels.around(events, found.search._index, path.t_s, path.states, out, np.empty(room, np.int64))
    knot = np.rint((events.t - path.t_s[0]) / (path.t_s[1] - path.t_s[0])).astype(int)
    inside = np.flatnonzero((knot >= 0) & (knot < len(path.t_s)) & (events.owner >= 0) & np.isfinite(events.rate))
    knot = knot[inside]
    at = path.states[knot, :2] + path.states[knot, 2:] * (events.t[inside] - path.t_s[knot])[:, None]
    away = np.hypot(events.x[inside] - at[:, 0], events.y[inside] - at[:, 1])
    inside, knot = inside[(away > NEAR) & (away <= REACH)], knot[(away > NEAR) & (away <= REACH)]
    expected = np.zeros((PARTS, 2, 2))
    np.add.at(
        expected, (knot * PARTS // len(path.t_s), events.on[inside]), np.stack([np.ones(len(inside)), 1 / events.rate[inside]], 1)
    )
    np.testing.assert_array_equal(ring, short)
    np.testing.assert_allclose(ring, expected)
    assert ring[..., 0].sum() > 100
