"""What two scales see together."""

from dataclasses import replace

import numpy as np
import pytest

from spikeseg.scenes import scales
from spikeseg.scenes.contact import FEWEST, Components
from spikeseg.scenes.scales import FAR, FREE, HELD, LEAST_PX, MAIN, SHARE, STEADY, UNSEEN, Objects, combined
from spikeseg.scenes.track import Seen

LIFE = (0.0, 1.0)


def seen(fine, coarse, events):
    """What fine and coarse neurons see: courses, one for each object or a list of them; events: by (fine, coarse) object, from 1,
    0 for none, how many there are."""
    pairs = np.repeat(np.array(list(events)), list(events.values()), axis=0)[
        np.random.default_rng(0).permutation(sum(events.values()))
    ]
    of_fine, of_coarse = pairs.astype(np.int32).T
    both = (([own if isinstance(own, list) else [own] for own in courses]) for courses in (fine, coarse))
    return *(Objects(courses, of_event) for courses, of_event in zip(both, (of_fine, of_coarse), strict=True)), apart(len(pairs))


def apart(n):
    """Components of n events of which nothing is seen."""
    return Components(np.zeros(n, np.int32), np.zeros(1, np.int64), 20_000)


def joint(fine, coarse, events):
    """How many objects are seen together, and by (fine, coarse) object that of its events, 0 for none, where it is the same for
    all of them."""
    made = seen(fine, coarse, events)
    found = combined(*made)
    assert found.of_event.dtype == np.int32 and found.of_event.shape == made[0].of_event.shape
    ids = {}
    for pair in events:
        (ids[pair],) = set(found.of_event[(made[0].of_event == pair[0]) & (made[1].of_event == pair[1])].tolist())
    return len(found.courses), ids


def same(found, courses):
    """Whether these are the courses of an object, in any order."""
    return {id(own) for own in found} == {id(own) for own in courses} and len(found) == len(courses)


@pytest.fixture
def strips(course):
    """Two upright strips 20 px apart that move together, and what holds both."""
    one, other = (course(LIFE, ((x, 50), (x + 60, 50)), (10, 40)) for x in (25, 55))
    return [one, other], [course(LIFE, ((40, 50), (100, 50)), (40, 40))]


@pytest.fixture
def parting(course):
    """A function: two strips next to each other, the second of which is a gap of so many px away from the first from some time
    on, s, and a coarse object that is 60 px wide."""

    def of(gap_px, since_s):
        one = course(LIFE, (15, 50), (10, 40))
        other = course((0, since_s - 0.001, since_s, 1), ((25, 50), (25, 50), (25 + gap_px, 50), (25 + gap_px, 50)), (10, 40))
        return [one, other], [course(LIFE, (40, 50), (60, 40))]

    return of


# -- pieces of one thing ------------------------------------------------------------------------------


def test_two_pieces_of_one_thing_are_one(strips):
    fine, coarse = strips
    count, ids = joint(fine, coarse, {(1, 1): 400, (2, 1): 350, (0, 1): 60, (2, 0): 50, (0, 0): 70})
    assert count == 1 and ids == {(1, 1): 1, (2, 1): 1, (0, 1): 1, (2, 0): 1, (0, 0): 0}
    (own,) = combined(*seen(fine, coarse, {(1, 1): 400, (2, 1): 350})).courses
    assert same(own, coarse + fine) and own[0] is coarse[0]  # it tells most of where it was


@pytest.mark.parametrize(("side", "count"), [(LEAST_PX - 1, 2), (LEAST_PX, 1)])
def test_coarse_neurons_say_nothing_of_what_is_smaller_than_they_reach(course, side, count):
    halves = [course(LIFE, ((x, 50), (x + 60, 50)), (side / 2, side)) for x in (25, 25 + side / 2)]
    whole = course(LIFE, ((25 + side / 4, 50), (85 + side / 4, 50)), (side, side))
    assert joint(halves, [whole], {(1, 1): 300, (2, 1): 300})[0] == count


def test_without_the_coarse_one_they_are_two(strips):
    fine, _ = strips
    assert joint(fine, [], {(1, 0): 400, (2, 0): 350, (0, 0): 60}) == (2, {(1, 0): 1, (2, 0): 2, (0, 0): 0})


@pytest.mark.parametrize(
    ("share", "since_s", "count"),
    [
        (1.02, 0.7, 2),  # apart for 30 % of the time
        (1.02, 0.95, 1),  # for 5 %
        (0.98, 0.5, 1),  # not far enough
        (1.02, 0.5, 2),
    ],
)
def test_two_things_that_come_apart_stay_two(parting, share, since_s, count):
    fine, coarse = parting(share * FAR * 60, since_s)
    fine[1].how[: round(1.2 * FREE * 51)] = Seen.MET
    found, ids = joint(fine, coarse, {(1, 1): 400, (2, 1): 350, (0, 1): 60})
    assert found == count and ids == ({(1, 1): 1, (2, 1): 2, (0, 1): 0} if count == 2 else {(1, 1): 1, (2, 1): 1, (0, 1): 1})
    if count == 2:
        one, other = combined(*seen(fine, coarse, {(1, 1): 400, (2, 1): 350})).courses
        assert one == fine[:1] and other == fine[1:]


@pytest.mark.parametrize(("met", "count"), [(5, 2), (6, 1)])
def test_those_that_hardly_share_components_need_not_come_that_far(parting, met, count):
    """They would come 30 px apart, half the size of the whole."""
    fine, coarse = parting(30, 0.5)
    fine[1].how[:met] = Seen.MET  # of 51 rows
    assert joint(fine, coarse, {(1, 1): 400, (2, 1): 400})[0] == count


def test_two_that_grow_and_drift_apart_stay_two(course):
    """Two that come nearer, each on a way of its own: they are close to each other all the time, for their size."""
    fine = [course(LIFE, ((30, 50), (50, 20)), ((20, 20), (50, 50))), course(LIFE, ((65, 50), (95, 115)), ((20, 20), (50, 50)))]
    whole = [course(LIFE, ((47, 50), (72, 67)), ((55, 20), (95, 145)))]
    assert joint(fine, whole, {(1, 1): 400, (2, 1): 400, (0, 1): 60})[0] == 2


def test_pieces_of_one_of_two_things_in_a_coarse_one_are_one(course):
    """The third leaves; the first two, side by side, stay one, and a speck goes with what it is next to."""
    edges = zip((20, 66), (0.3, -0.3), strict=True)  # one sends ON, the other OFF
    one, other = (replace(course(LIFE, (x, 50), (10, 40)), events=400, surplus=surplus) for x, surplus in edges)
    third = course(LIFE, ((84, 50), (134, 50)), (20, 40))
    speck = course(LIFE, ((84, 74), (134, 74)), (4, 4))
    whole = [course(LIFE, ((54, 50), (79, 50)), ((80, 40), (130, 80)))]
    events = {(1, 1): 400, (2, 1): 400, (3, 1): 900, (4, 1): 50}
    assert joint([one, other, third, speck], whole, events)[1] == {(1, 1): 1, (2, 1): 1, (3, 1): 2, (4, 1): 2}


@pytest.mark.parametrize(("share", "count"), [(0.98 * SHARE, 1), (1.02 * SHARE, 2)])
def test_a_speck_that_goes_its_own_way_is_no_thing(parting, share, count):
    fine, coarse = parting(50, 0.5)
    events = {(1, 1): round(10_000 * (1 - share)), (2, 1): round(10_000 * share)}
    assert joint(fine, coarse, events)[0] == count


@pytest.mark.parametrize(("met", "count"), [(25, 2), (26, 1)])
def test_what_shares_components_for_most_of_the_time_is_no_thing_of_its_own(parting, met, count):
    fine, coarse = parting(50, 0.5)
    fine[1].how[:met] = Seen.MET  # of 51 rows
    assert joint(fine, coarse, {(1, 1): 400, (2, 1): 400})[0] == count


@pytest.mark.parametrize(("drift", "met", "count"), [(50, (30, 20), 2), (50, (30, 30), 1), (20, (30, 20), 1)])
@pytest.mark.parametrize(("steady", "surplus"), [(False, 0.0), (True, 0.0), (False, 0.3)])
def test_two_that_keep_near_and_meet_are_two_where_their_ways_are_far_from_one(course, drift, met, count, steady, surplus):
    """Side by side all the time, one passes the other; one of them at least is seen by itself for most of the time, they send ON
    and OFF, and what they are together does not keep its size."""
    ways = (((x, 50 - way), (x, 50 + way)) for x, way in ((50, 0), (72, drift)))
    fine = [replace(course(LIFE, way, (20, 40)), events=400, surplus=surplus) for way in ways]
    for own, rows in zip(fine, met, strict=True):
        own.how[:rows] = Seen.MET  # of 51
    whole = [course(LIFE, (60, 50), (45, 60) if steady else ((45, 90), (45, 40)))]
    assert joint(fine, whole, {(1, 1): 400, (2, 1): 400})[0] == (1 if steady or surplus else count)


# -- pieces that take turns ---------------------------------------------------------------------------


def turns(course, sizes, over_s=0.0):
    """The first is there until 0.5 s, the second from then on, or from so much earlier; the coarse one's size over time."""
    fine = [course((0, 0.5), (50, 50), (20, 30)), course((0.5 - over_s, 1), (74, 50), (20, 30))]
    t_s, side = zip(*sizes, strict=True)
    return fine, [course(t_s, (62, 50), [(own, own) for own in side])]


TURNS = {(1, 1): 400, (2, 1): 400}
GROWS = 40 * STEADY


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        (((0, 40), (1, 40)), 1),
        (((0, 40), (0.49, 40), (0.51, GROWS - 1), (1, GROWS - 1)), 1),
        (((0, 40), (0.49, 40), (0.51, GROWS + 1), (1, GROWS + 1)), 2),  # the second is of another size
        (((0, GROWS + 1), (0.49, GROWS + 1), (0.51, 40), (1, 40)), 2),
        (((0, 40), (0.44, 40), (0.46, 60), (0.54, 60), (0.56, 40), (1, 40)), 2),  # larger while they are there both
        (((0, 40), (0.48, 40), (0.5, 60), (0.52, 40), (1, 40)), 1),  # for a moment alone
    ],
)
def test_pieces_that_take_turns_are_one_where_the_whole_keeps_its_size(course, sizes, count):
    assert joint(*turns(course, sizes), TURNS)[0] == count


@pytest.mark.parametrize(("share", "count"), [(0.98 * MAIN, 1), (1.02 * MAIN, 2)])
def test_a_small_piece_takes_no_turns(course, share, count):
    events = {(1, 1): round(10_000 * (1 - share)), (2, 1): round(10_000 * share)}
    assert joint(*turns(course, ((0, 40), (0.49, 40), (0.51, 60), (1, 60))), events)[0] == count


@pytest.mark.parametrize(("over_s", "count"), [(0.1, 2), (0.2, 1)])
def test_pieces_that_are_there_together_for_long_do_not_take_turns(course, over_s, count):
    """For 0.2 s of 0.5 s: how far they are from each other tells."""
    assert joint(*turns(course, ((0, 40), (0.49, 40), (0.51, 60), (1, 60)), over_s), TURNS)[0] == count


@pytest.mark.filterwarnings("error")
def test_a_piece_that_is_there_while_the_whole_is_not_takes_no_turns_with_another(course):
    fine, coarse = (
        [course((0, 0.3), (50, 50)), course((0.4, 0.6), (74, 50))],
        [[course((0, 0.3), (62, 50)), course((0.7, 1), (62, 50))]],
    )
    assert joint(fine, coarse, TURNS)[0] == 2


# -- one piece, or none -------------------------------------------------------------------------------


@pytest.mark.parametrize(("unseen", "does"), [(UNSEEN, True), (UNSEEN - 0.001, False)])
def test_one_piece_gives_way_where_much_is_seen_by_coarse_neurons_alone(course, unseen, does):
    fine, coarse = [course(LIFE, (50, 50), (20, 20))], [course(LIFE, (60, 50), (40, 40))]
    events = {(1, 1): round(1000 * (1 - unseen)), (0, 1): round(1000 * unseen), (1, 0): 50}
    assert joint(fine, coarse, events) == (1, {(1, 1): 1, (0, 1): int(does), (1, 0): 1})
    (own,) = combined(*seen(fine, coarse, events)).courses
    assert same(own, coarse + fine if does else fine)


@pytest.mark.parametrize(("others", "does"), [(60, True), (61, False)])
def test_a_coarse_one_takes_no_place_where_it_has_more_of_another_thing(course, others, does):
    """It reaches over another thing, of which it has as many events, or one more, as it adds to the one that it holds."""
    fine, coarse = [course(LIFE, (50, 50), (20, 20)), course(LIFE, (200, 50), (20, 20))], [course(LIFE, (60, 50), (40, 40))]
    events = {(1, 1): 200, (0, 1): 60, (2, 1): others, (2, 0): 700}
    expected = {(1, 1): 2, (0, 1): 2, (2, 1): 1, (2, 0): 1} if does else {(1, 1): 1, (0, 1): 0, (2, 1): 2, (2, 0): 2}
    assert joint(fine, coarse, events) == (2, expected)
    assert [len(own) for own in combined(*seen(fine, coarse, events)).courses] == ([1, 2] if does else [1, 1])


@pytest.mark.parametrize(("others", "does"), [(410, True), (411, False)])
def test_pieces_are_one_where_the_coarse_one_has_more_of_another_thing(strips, course, others, does):
    """Two pieces are one, but where they were is what they say themselves."""
    fine, coarse = strips
    events = {(1, 1): 400, (2, 1): 350, (0, 1): 60, (3, 1): others, (3, 0): 700}
    expected = {(1, 1): 1, (2, 1): 1, (0, 1): 0, (3, 1): 2, (3, 0): 2}
    if does:
        expected = {(1, 1): 2, (2, 1): 2, (0, 1): 2, (3, 1): 1, (3, 0): 1}
    far = course(LIFE, (200, 200))
    assert joint([*fine, far], coarse, events) == (2, expected)
    (own,) = (own for own in combined(*seen([*fine, far], coarse, events)).courses if far not in own)
    assert same(own, coarse + fine if does else fine)


def test_a_coarse_object_that_holds_no_fine_one_is_none(course):
    fine, coarse = [course(LIFE, (20, 20))], [course(LIFE, (60, 60), (40, 40))]
    assert joint(fine, coarse, {(1, 0): 300, (0, 1): 500}) == (1, {(1, 0): 1, (0, 1): 0})
    assert joint([], coarse, {(0, 1): 500, (0, 0): 10}) == (0, {(0, 1): 0, (0, 0): 0})


@pytest.mark.parametrize(("share", "does"), [(HELD, True), (HELD - 0.001, False)])
def test_it_holds_what_has_most_of_its_events_in_it(course, share, does):
    fine, coarse = [course(LIFE, (50, 50), (20, 20))], [course(LIFE, (60, 50), (40, 40))]
    events = {(1, 1): round(1000 * share), (1, 0): round(1000 * (1 - share)), (0, 1): 500}
    assert joint(fine, coarse, events)[1] == {(1, 1): 1, (1, 0): 1, (0, 1): int(does)}


def test_few_events_are_not_looked_at(course):
    fine, coarse = [course(LIFE, (50, 50), (20, 20))], [course(LIFE, (60, 50), (40, 40))]
    for events, does in ((FEWEST, 1), (FEWEST - 1, 0)):
        assert joint(fine, coarse, {(1, 1): events, (0, 1): 500})[1] == {(1, 1): 1, (0, 1): does}
        lean = {(1, 1): 36, (1, 0): 24, (0, 1): events - 36}  # the coarse one has few
        assert joint(fine, coarse, lean)[1] == {(1, 1): 1, (1, 0): 1, (0, 1): does}


def test_what_another_holds_keeps_its_events(strips, course):
    """Some events of the third are the coarse object's as well: they stay the third's."""
    fine, coarse = strips
    third = course(LIFE, (200, 200))
    events = {(1, 1): 400, (2, 1): 350, (0, 1): 60, (3, 0): 300, (3, 1): 90}
    assert joint([*fine, third], coarse, events) == (2, {(1, 1): 2, (2, 1): 2, (0, 1): 2, (3, 0): 1, (3, 1): 1})


def test_each_coarse_object_for_itself(strips, course):
    """The first holds two that come apart, the second two pieces of one thing, the third nothing."""
    fine, coarse = strips
    apart = [course(LIFE, ((200, 200), (x, 200))) for x in (120, 280)]
    large = [course(LIFE, (200, 200), (60, 20)), *coarse, course(LIFE, (400, 400))]
    events = {(1, 1): 300, (2, 1): 300, (3, 2): 200, (4, 2): 200, (0, 3): 100, (0, 2): 50, (0, 1): 50, (1, 2): 20}
    expected = {(1, 1): 1, (2, 1): 2, (3, 2): 3, (4, 2): 3, (0, 3): 0, (0, 2): 3, (0, 1): 0, (1, 2): 1}
    assert joint([*apart, *fine], large, events) == (3, expected)


# -- what belongs together in the end -----------------------------------------------------------------


def test_a_small_one_that_stays_by_a_large_one_is_part_of_it(course):
    large, small = course(LIFE, ((50, 50), (110, 50)), (40, 40)), course(LIFE, ((78, 50), (138, 50)), (6, 6))
    leaves = course(LIFE, ((78, 50), (78, 150)), (6, 6))
    for third, events, ids in (
        (small, 100, {(1, 0): 1, (2, 0): 1}),
        (small, 101, {(1, 0): 1, (2, 0): 2}),
        (leaves, 50, {(1, 0): 1, (2, 0): 2}),
    ):
        assert joint([large, third], [], {(1, 0): 500, (2, 0): events}) == (max(ids.values()), ids)
    (own,) = combined(*seen([small, large], [], {(1, 0): 50, (2, 0): 500})).courses
    assert same(own, [large, small])


def test_how_many_events_a_large_one_has_with_what_lies_over_it(course):
    large, over = course(LIFE, (50, 50), (40, 40)), course((0, 0.8), (55, 50), (20, 20))
    small = course(LIFE, (78, 50), (6, 6))
    for events, own in ((190, 1), (201, 2)):
        ids = {(1, 0): 1, (2, 0): 1, (3, 0): own}
        assert joint([large, over, small], [], {(1, 0): 500, (2, 0): 500, (3, 0): events})[1] == ids


def test_what_lies_over_a_thing_and_its_part_is_one_with_them(course):
    thing, part, between = (course(LIFE, (50, y), (40, height)) for y, height in ((40, 20), (64, 20), (52, 24)))
    number, _ = joint([thing, part, between], [], {(1, 0): 1000, (2, 0): 100, (3, 0): 480})
    assert number == 1
    assert joint([thing, between], [], {(1, 0): 1000, (2, 0): 480})[0] == 2  # over neither of them by itself
    assert joint([part, between], [], {(1, 0): 300, (2, 0): 480})[0] == 2


def test_a_coarse_one_over_another_object_is_one_with_it(strips, course):
    """The third is hardly in the coarse object's events, but lies where it is."""
    fine, coarse = strips
    inside = course((0.2, 0.8), ((52, 40), (88, 40)), (8, 8))
    assert joint([inside, *fine], coarse, {(1, 0): 200, (2, 1): 400, (3, 1): 350})[1] == {(1, 0): 1, (2, 1): 1, (3, 1): 1}
    assert joint([inside, *fine], [], {(1, 0): 200, (2, 0): 400, (3, 0): 350})[0] == 3


def test_short_pieces_stay_what_they_are(course):
    short, long = course((0.5, 0.54), (50, 50)), course(LIFE, (50, 50), (40, 40))
    assert joint([short, long], [], {(1, 0): 10, (2, 0): 500}) == (2, {(1, 0): 1, (2, 0): 2})
    assert joint([short], [], {(1, 0): 10}) == (1, {(1, 0): 1})
    assert joint([[short, long]], [], {(1, 0): 10}) == (1, {(1, 0): 1})


# -- any input ----------------------------------------------------------------------------------------


def test_nothing_at_all(course):
    none = Objects([], np.zeros(0, np.int32))
    found = combined(none, none, apart(0))
    assert found.courses == [] and found.of_event.shape == (0,) and found.of_event.dtype == np.int32
    dark = Objects([], np.zeros(5, np.int32))
    found = combined(dark, dark, apart(5))
    assert found.courses == [] and found.of_event.tolist() == [0] * 5
    own = [course(LIFE, (50, 50))]
    for fine, coarse in (([own], []), ([], [own]), ([own], [own])):
        found = combined(Objects(fine, np.zeros(0, np.int32)), Objects(coarse, np.zeros(0, np.int32)), apart(0))
        assert found.courses == fine and found.of_event.shape == (0,)


@pytest.mark.parametrize("seed", range(20))
def test_no_fine_object_comes_apart_and_none_is_lost(course, seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 9), rng.integers(0, 6)
    fine, coarse = (
        [
            [
                course(
                    np.add(np.sort(rng.uniform(0, 1, 2)), (0, 0.1)), rng.uniform(0, 300, (2, 2)), rng.uniform(3, 12 * scale, 2)
                )
                for _ in range(rng.integers(1, 3))
            ]
            for _ in range(count)
        ]
        for count, scale in ((n, 1), (m, 4))
    )
    of_fine = rng.integers(0, n + 1, 3000).astype(np.int32)
    mostly = rng.integers(0, m + 1, n + 1)[of_fine]
    of_coarse = np.where(rng.random(3000) < 0.8, mostly, rng.integers(0, m + 1, 3000)).astype(np.int32)
    components = Components(rng.integers(0, 3, 3000).astype(np.int32), np.arange(0, 3001, 100), 20_000)
    before = of_fine.copy(), of_coarse.copy()
    found = combined(Objects(fine, of_fine), Objects(coarse, of_coarse), components)
    assert np.array_equal(of_fine, before[0]) and np.array_equal(of_coarse, before[1])
    assert set(found.of_event.tolist()) - {0} == set(range(1, len(found.courses) + 1))
    place = {id(own): number for number, courses in enumerate(found.courses, 1) for own in courses}
    assert len(place) == sum(map(len, found.courses))  # no course is in two objects
    for number, courses in enumerate(fine, 1):
        (where,) = {place[id(own)] for own in courses}
        assert set(found.of_event[of_fine == number].tolist()) == {where}
    for number, courses in enumerate(coarse, 1):
        (where,) = {place.get(id(own), 0) for own in courses}
        alone = found.of_event[(of_fine == 0) & (of_coarse == number)]
        assert set(alone.tolist()) == {where}
    assert not found.of_event[(of_fine == 0) & (of_coarse == 0)].any()


@pytest.mark.parametrize("seed", range(4))
def test_specks_far_from_a_thing_need_not_be_compared_with_it(course, seed, monkeypatch):
    rng = np.random.default_rng(seed)
    coarse = [course((0, 1), ((100, 100), (150, 100)), (180, 180))]
    corners = [(40, 40), (160, 40), (40, 160), (160, 160)]
    held = [[course((0, 1), (at, (at[0] + 50 * (-1) ** k, at[1])), 30.0)] for k, at in enumerate(corners)]
    held += [[course((0, 1), (at, at + rng.normal(0, 20, 2)), 6.0)] for at in rng.uniform(10, 190, (30, 2))]
    shares = np.array([0.2] * 4 + [0.005] * 30)
    asked, compared = scales.outlines_terms, []
    monkeypatch.setattr(scales, "outlines_terms", lambda *pair: compared.append(pair) or asked(*pair))
    part, few = scales._parts(coarse, held, shares), len(compared)
    monkeypatch.setattr(scales, "most", lambda _, other: np.full(len(other[0]), np.inf))
    assert scales._parts(coarse, held, shares).tolist() == part.tolist() and few < 0.95 * (len(compared) - few)
    assert 4 <= len(np.unique(part)) < 34
