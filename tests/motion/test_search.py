"""The search: what is found, where, how surely, and what is not."""

import numpy as np
import pytest

from spikeseg.motion.events import Events, index_of
from spikeseg.motion.evidence import Spikes
from spikeseg.motion.footprint import Footprint
from spikeseg.motion.maps import AT_ONCE, MotionMaps, strongest
from spikeseg.motion.path import SmoothPath
from spikeseg.motion.receptive_field import ReceptiveField
from spikeseg.motion.scales import DEEP_SCALES, DEFAULT_SCALES, MEDIUM, Scale
from spikeseg.motion.search import MotionSearch, SearchSettings
from spikeseg.motion.stars import find_stars

SECONDS = 8.0
TABLE = Footprint.point().table((120, 90))


def through_the_middle(velocity, rate=8.0):
    """A row of a source that is in the middle of the sensor at half time."""
    vx, vy = velocity
    return (60 - 4 * vx, 45 - 4 * vy, vx, vy, rate)


def away(path, row):
    """How far a path is from its source, px (k,), and by how much the velocities differ in the mean, px/s."""
    x, y, vx, vy = row[:4]
    there = np.hypot(path.states[:, 0] - x - vx * path.t_s, path.states[:, 1] - y - vy * path.t_s)
    return there, float(np.hypot(*(path.states[:, 2:].mean(0) - (vx, vy))))


def follows(path, row):
    """Whether a path is that of a source."""
    there, velocity = away(path, row)
    return np.median(there) <= 2 and velocity <= 1


@pytest.fixture(scope="module")
def singles(skies):
    """Searches for one object of 8 events/s each, and its row."""
    velocities = [(6.0, 4.0), (-15.0, 8.0), (2.5, 1.5), (-3.0, -5.0), (9.0, -12.0)]
    rows = [through_the_middle(velocity) for velocity in velocities for _ in range(2)]
    skied = [(skies.sky(seed, [row]), row) for seed, row in enumerate(rows)]
    return [(sky, row, skies.search(sky)) for sky, row in skied]


@pytest.fixture(scope="module")
def crowd(skies):
    """Three objects at once among six stars: the sky, the number of stars, the rows, the search."""
    stars = skies.star_rows(1, 6)
    rows = [(10.0, 15.0, 10.0, 2.0, 14.0), (100.0, 20.0, -8.0, 4.0, 14.0), (20.0, 80.0, 5.0, -7.0, 14.0)]
    sky = skies.sky(5, stars + rows)
    return sky, len(stars), rows, skies.search(sky)


def test_a_faint_object_is_found_by_one_path_at_its_place_and_velocity(singles):
    for _, row, found in singles:
        (path,) = found.objects
        assert follows(path, row), away(path, row)
        assert path.t_s[0] < 2.5 and path.t_s[-1] > SECONDS - 2.5 and path.found_s <= path.t_s[-1] + 1e-6
        assert path.evidence > found.threshold and path.nats.shape == path.events.shape == path.t_s.shape
        assert path.events.sum() == pytest.approx(8 * (path.t_s[-1] - path.t_s[0]), rel=0.4)


def test_a_path_knows_how_well_its_places_are_known(singles):
    """Of 8 events a second with a spread of about 1 px: its errors are as large as it says, and largest at its ends."""
    shares = []
    for _, row, found in singles:
        (path,) = found.objects
        middle, inner = len(path.t_s) // 2, slice(3, -3)
        assert path.variance.shape == path.t_s.shape and path.variance[middle] < path.variance[[0, -1]].min()
        there = np.add(row[:2], path.t_s[:, None] * row[2:4])
        shares.append(((path.states[:, :2] - there)[inner] ** 2 / path.variance[inner, None]).mean())
        assert 0.02 < path.variance[middle] < 1.0
    assert 0.2 < np.mean(shares) < 3.0


def test_the_events_of_a_path_are_the_objects(singles):
    chosen = np.concatenate([found.own >= 0.5 for _, _, found in singles])
    own = np.concatenate([sky.source == 0 for sky, _, _ in singles])
    assert own[chosen].mean() >= 0.6 and chosen[own].mean() >= 0.7
    share = np.concatenate([found.own for _, _, found in singles])
    assert share.min() >= 0 and share.max() <= 1
    sure = share >= 0.3
    assert share[sure].mean() == pytest.approx(own[sure].mean(), abs=0.12)  # it is a probability


def test_events_belong_to_the_path_they_lie_on(singles):
    for sky, row, found in singles:
        owner, (path,) = found.search.events.owner, found.objects
        assert set(np.unique(owner)) <= {0, *(known.id for known in found.search.paths)}
        far = np.hypot(sky.x - row[0] - row[2] * sky.t, sky.y - row[1] - row[3] * sky.t)
        own, near = owner == np.median(owner[(far < 2) & (owner > 0)]), (far < 2)
        assert own[near & (sky.t >= path.t_s[0]) & (sky.t <= path.t_s[-1])].mean() > 0.9 and not own[far > 12].any()


def test_noise_alone_gives_nothing(skies):
    for seed in range(3):
        found = skies.search(skies.sky(seed + 20, []))
        assert not found.objects and found.search.candidates > 0 and len(found.paths) < 3


@pytest.mark.parametrize("n", [2, 3])
def test_several_objects_at_once(skies, crowd, n):
    rows = crowd[2][:n]
    found = skies.search(skies.sky(6, rows))
    assert len(found.objects) == n and all(sum(follows(path, row) for path in found.objects) == 1 for row in rows)


def test_objects_among_stars(crowd):
    sky, stars, rows, found = crowd
    assert len(found.objects) == 3 and all(sum(follows(path, row) for path in found.objects) == 1 for row in rows)
    chosen = found.own >= 0.5
    assert (sky.source[chosen] >= stars).mean() >= 0.7


def test_a_slow_object_among_stars(skies):
    row = (56.0, 43.0, 1.2, 0.6, 10.0)
    found = skies.search(skies.sky(11, [*skies.star_rows(11, 6), row]))
    (nats,) = (nats for path, nats in zip(found.paths, found.nats, strict=True) if follows(path, row))
    assert nats > 0


def test_an_object_in_a_drifting_field(skies):
    frame = skies.frame((16.0, 0.0))
    stars = skies.star_rows(2, 6, (16.0, 0.0))
    for row in ((20.0, 20.0, 8.0, 6.0, 12.0), (70.0, 50.0, 0.0, 0.0, 12.0)):  # the second rests on the sensor
        found = skies.search(skies.sky(2, [*stars, row]), frame)
        (path,) = found.objects
        assert follows(path, row)


def test_a_path_lasts_as_long_as_its_object(skies):
    for first, last in ((0.0, 5.0), (3.0, SECONDS), (2.0, 6.0)):
        row = (20.0, 30.0, 6.0, 2.0, 16.0, first, last)
        (path,) = skies.search(skies.sky(3, [row])).objects
        assert follows(path, row)
        assert path.t_s[0] == pytest.approx(first, abs=0.5) and path.t_s[-1] == pytest.approx(last, abs=0.5)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_path_is_followed_back_to_where_its_object_came_from(skies, seed):
    """It is found where it flares up, and was faint before."""
    row = through_the_middle((9.0, 3.0))
    found = skies.search(skies.sky(seed, [row, (*row[:4], 40.0, 5.5, SECONDS)]), path_nats=60.0)
    (path,) = found.objects
    assert 5.5 < path.found_s < 7 and path.t_s[0] < 1.0 and follows(path, row)


def test_a_path_ends_where_its_object_leaves_the_sensor(skies):
    row = (80.0, 30.0, 9.0, 2.0, 16.0)  # at x = 119.5 after 4.4 s
    found = skies.search(skies.sky(4, [row]))
    (path,) = found.objects
    assert path.t_s[-1] == pytest.approx(4.4, abs=0.5) and path.states[-1, 0] < 121
    assert not any(known.alive for known in found.search.paths)


def test_an_object_that_passes_behind_a_star_is_one(skies):
    star, row = (60.0, 45.0, 0.0, 0.0, 120.0), through_the_middle((9.0, 4.0), 16.0)
    found = skies.search(skies.sky(7, [star, row]))
    (path,) = found.objects
    assert follows(path, row)
    assert path.t_s[0] < 1.5 and path.t_s[-1] > 6.5
    assert found.stars.sight.visible[found.stars.sight.frame[16], 45, 60] == 0


@pytest.mark.parametrize("speed", [60.0, 110.0])
def test_a_fast_object_is_found_while_it_crosses(skies, speed):
    row = (2.0, 40.0, speed, 3.0, 60.0, 0.0, 110 / speed)
    found = skies.search(skies.sky(8, [row], seconds=4.0))
    (path,) = found.objects
    there, velocity = away(path, row)
    assert np.median(there) <= 2 and velocity <= 0.08 * speed


def test_the_deep_scales_find_what_the_default_ones_do(skies):
    row = through_the_middle((6.0, 4.0))
    for matched in (False, True):
        found = skies.search(skies.sky(0, [row]), scales=DEEP_SCALES, spike_nats=7.5, matched=matched)
        (path,) = found.objects
        assert follows(path, row)
        assert all(maps.field.flat != matched for maps in found.search.maps)


def search_of(sky, skies, upto=None, **settings):
    """A finished search without stars; upto: over events up to this time, with the background of all."""
    events, index = skies.events(sky)
    sight = find_stars(events, sky.size, skies.frame(), Footprint.point().table(sky.size)).sight
    if upto is not None:
        events = Events(*(column[events.t <= upto].copy() for column in events))
        index = index_of(events, sky.size)
    search = MotionSearch(
        events,
        index,
        sight,
        sky.size,
        Footprint.point(),
        SearchSettings(**{"scales": DEFAULT_SCALES, "spike_nats": 9.0, "path_nats": 22.0, **settings}),
    )
    search.run()
    return search


def test_nothing_looks_ahead(skies):
    """Paths that are found by a time are found without the events behind it, at the same moments."""
    rows = [(10.0, 15.0, 10.0, 2.0, 12.0), (100.0, 20.0, -8.0, 4.0, 10.0), (20.0, 80.0, 5.0, -7.0, 12.0)]
    sky = skies.sky(9, rows)
    full = search_of(sky, skies)
    assert len(full.paths) == 3
    for upto in (2.0, 3.0, 4.0, 6.0):
        start = sky.t[0]
        part = search_of(sky, skies, start + upto + 0.1)
        known = [path.found_s for path in full.paths if path.found_s <= start + upto + 1e-6]
        assert [path.found_s for path in part.paths if path.found_s <= start + upto + 1e-6] == known


def test_backends_find_the_same_to_the_last_bit(skies):
    sky = skies.sky(1, [through_the_middle((-5.0, 3.0), 14.0)], seconds=5.0)
    first, second = (search_of(sky, skies, scales=[Scale(1.0, 2, 0.0, 12.0)], backend=name) for name in ("reference", "auto"))
    assert len(first.paths) == len(second.paths) == 1 and first.candidates == second.candidates
    assert np.array_equal(first.paths[0].knots, second.paths[0].knots) and first.paths[0].nats == second.paths[0].nats
    assert np.array_equal(first.events.owner, second.events.owner)


def test_equal_events_give_equal_paths(skies):
    sky = skies.sky(2, [through_the_middle((6.0, 4.0))])
    first, second = (skies.search(sky) for _ in range(2))
    assert np.array_equal(first.own, second.own)
    assert [path.states.tobytes() for path in first.paths] == [path.states.tobytes() for path in second.paths]


def test_a_higher_threshold_leaves_less(skies):
    sky = skies.sky(0, [through_the_middle((6.0, 4.0))])
    assert len(skies.search(sky, path_nats=22.0).paths) == 1
    assert not skies.search(sky, path_nats=1000.0).paths and not skies.search(sky, spike_nats=31.9).paths


@pytest.mark.parametrize("n", [0, 1, 2, 40])
def test_hardly_any_events_give_no_path(skies, n):
    sky = skies.sky(10, [])
    found = skies.search(type(sky)(*(column[:n] for column in sky[:5]), sky.size))
    assert found.paths == [] and found.own.shape == (n,)


def test_evidence_along_a_known_way(singles):
    _, row, found = singles[0]
    t = np.linspace(0.1, 7.9, 60)
    x, y, vx, vy = row[:4]
    found.search.events.owner[:] = 0
    nats = {}
    for beside in (0.0, 1.5, 15.0):
        states = np.stack([x + vx * t + beside, y + vy * t - beside, np.full(60, vx), np.full(60, vy)], 1)
        nats[beside] = found.search.along(t, states).nats.sum()
    assert nats[0.0] > 40 and nats[1.5] > 0.7 * nats[0.0] and nats[15.0] < 10
    assert found.search.along(t[:1], np.zeros((1, 4))) is None


def test_a_smooth_path_is_the_same_to_the_last_bit_without_room_for_the_events_nearby(singles):
    search = singles[1][2].search
    room = search._scratch
    assert len(search.paths)
    with_room = [(path.states, path.nats, path.events) for path in search.smoothed()]
    own = search.claimed({path.id: 0.9 for path in search.paths})
    search._scratch = room[:1]
    try:
        for arrays, again in zip(with_room, search.smoothed(), strict=True):
            assert all(np.array_equal(*pair) for pair in zip(arrays, (again.states, again.nats, again.events), strict=True))
        assert np.array_equal(search.claimed({path.id: 0.9 for path in search.paths}), own) and own.max() > 0.5
    finally:
        search._scratch = room


def test_a_smooth_path_is_linear_between_its_knots():
    t = np.array([1.0, 2.0, 4.0])
    path = SmoothPath(2.0, t, np.stack([t, 2 * t, 0 * t, t**2], 1), np.zeros(3), 0.0, np.zeros(3), 3.0)
    assert path.at(np.array([1.5, 3.0])).tolist() == [[1.5, 3.0, 0.0, 2.5], [3.0, 6.0, 0.0, 10.0]]


def test_candidates_begin_and_end_away_from_stronger_ones():
    rng, n, field = np.random.default_rng(0), 3000, ReceptiveField.box(MEDIUM.cell_px, Footprint.point())
    maps = MotionMaps(MEDIUM, (240, 180), field, "auto")
    slow = rng.choice(np.flatnonzero(np.hypot(*maps.wiring.velocity.T) < 12), n)
    spikes = Spikes(slow, rng.integers(50, 70, n), rng.integers(30, 60, n), rng.integers(72, 255, n))
    place, velocity = strongest(maps, spikes)
    assert 5 < len(place) <= AT_ONCE and place.shape == velocity.shape
    every, moves = maps.place(spikes)
    top = spikes.potential == spikes.potential.max()
    assert (every[top] == place[0]).all(1).any() and (moves[top] == velocity[0]).all(1).any()
    ends = np.concatenate([place, place - velocity], 1)
    apart = np.abs(ends[:, None] - ends)
    apart = np.maximum(apart[..., :2].max(-1), apart[..., 2:].max(-1))
    assert apart[~np.eye(len(place), dtype=bool)].min() > 8


def test_what_is_explained_already_gives_no_candidates(skies):
    """The events of a bright object that belong to something else."""
    sky = skies.sky(12, [through_the_middle((6.0, 4.0), 80.0)], seconds=5.0)
    candidates = {}
    for owner in (0, 7):
        events, index = skies.events(sky, owner=np.where(sky.source == 0, owner, 0))
        sight = find_stars(events._replace(owner=np.ones_like(events.owner)), sky.size, skies.frame(), TABLE).sight
        search = MotionSearch(events, index, sight, sky.size, Footprint.point(), SearchSettings(DEFAULT_SCALES, 9.0, 1e6))
        assert not search.run()
        candidates[owner] = search.candidates
    assert candidates[7] < 0.8 * candidates[0]
