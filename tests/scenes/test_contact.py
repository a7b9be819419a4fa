"""What touches is one."""

import itertools

import numpy as np
import pytest

from spikeseg.scenes.activity import places_of
from spikeseg.scenes.contact import FEWEST, SEEN, TOUCH, Components, touching
from spikeseg.scenes.kinship import TOGETHER_SHARE, TOGETHER_US
from spikeseg.scenes.scales import Objects, combined
from spikeseg.scenes.scene import _tracked

HOP_US = 20_000
LIFE = (0.0, 1.0)
N = 50
"""Moments of a second."""


def became(courses, *moments):
    """Which object each has become. moments: of each {(object, component): events}, both from 1, 0 for none."""
    parts = [np.repeat(np.array(list(own)), list(own.values()), axis=0) if own else np.zeros((0, 2), int) for own in moments]
    of_event, component = np.concatenate([np.zeros((0, 2), int), *parts]).astype(np.int32).T.copy()
    begins = np.cumsum([0, *(len(part) for part in parts)])
    return touching([[own] for own in courses], of_event, Components(component, begins, HOP_US)).tolist()


@pytest.fixture
def still(course):
    """A function: so many things beside each other, that stand."""
    return lambda n: [course(LIFE, (20 + 20 * k, 50)) for k in range(n)]


JOINT, ALONE = {(1, 1): 10, (2, 1): 10}, {(1, 1): 10, (2, 2): 10}


@pytest.mark.parametrize(("joint", "number"), [(round(TOUCH * N), [0, 0]), (round(TOUCH * N) - 1, [0, 1])])
def test_two_that_share_a_component_for_much_of_their_time_are_one(still, joint, number):
    assert became(still(2), *[JOINT] * joint, *[ALONE] * (N - joint)) == number


def test_moments_at_which_one_of_them_is_not_seen_say_nothing(still):
    hidden = {(1, 1): 10, (2, 2): SEEN - 1}
    assert became(still(2), *[JOINT] * 20, *[hidden] * 20) == [0, 0]
    assert became(still(2), *[JOINT] * 20, *[hidden | {(2, 2): SEEN}] * 35) == [0, 1]
    assert became(still(2), *[JOINT] * 20, *[{(1, 1): 10, (2, 0): 99}] * 20) == [0, 0]  # its events are in no component


def test_a_thing_is_in_the_component_that_has_most_of_its_events(still):
    assert became(still(2), *[{(1, 1): 10, (2, 1): 6, (2, 2): 5}] * N) == [0, 0]
    assert became(still(2), *[{(1, 1): 10, (2, 1): 5, (2, 2): 6}] * N) == [0, 1]
    assert became(still(2), *[{(1, 1): 10, (2, 1): SEEN - 2, (2, 2): 2}] * N) == [0, 0]  # seen in both together


@pytest.mark.parametrize(("events", "number"), [(FEWEST, [0, 0]), (FEWEST - 1, [0, 1])])
def test_a_thing_of_few_events_is_not_asked(still, events, number):
    moments = [{(1, 1): 10, (2, 1): SEEN}] * (FEWEST // SEEN - 1)
    assert became(still(2), *moments, {(1, 1): 10, (2, 1): events - SEEN * len(moments)}) == number


@pytest.mark.parametrize(("moments", "number"), [(TOGETHER_US // HOP_US, [0, 0]), (TOGETHER_US // HOP_US - 1, [0, 1])])
def test_a_moment_together_says_nothing(still, moments, number):
    assert became(still(2), *[{(1, 1): 20, (2, 1): 20}] * moments) == number


def test_they_are_seen_together_for_much_of_the_shorter_life(still):
    alone = round(20 / TOGETHER_SHARE) - 20
    for more, number in ((0, [0, 0]), (1, [0, 1])):
        assert became(still(2), *[JOINT] * 20, *[{(2, 2): 10}] * (alone + more), *[{(1, 1): 10}] * 40) == number


def test_two_that_go_different_ways_are_two(course):
    one, other = course(LIFE, ((20, 50), (80, 50))), course(LIFE, ((80, 50), (20, 50)))
    assert became([one, other], *[JOINT] * N) == [0, 1]
    assert became([one, one], *[JOINT] * N) == [0, 0]
    early, late = course((0.0, 0.4), (20, 50)), course((0.6, 1.0), (20, 50))
    assert became([early, late], *[JOINT] * N) == [0, 0]  # nothing is known of how they move against each other


def test_what_was_made_one_is_asked_as_one(course, still):
    """The third shares a component with the first for 0.6 of the time; with the second, which has more events, for 0.3."""
    moments = [
        *[{(1, 1): 10, (2, 2): 20, (3, 1): 10}] * 3,
        *[{(1, 1): 10, (2, 1): 20, (3, 1): 10}] * 3,
        *[{(1, 1): 10, (2, 1): 20, (3, 2): 10}] * 4,
    ]
    assert became(still(3), *moments) == [0, 0, 2]  # the larger one tells where both are
    away = course(LIFE, ((60, 50), (160, 50)))
    assert became([*still(2), away], *[{(1, 1): 10, (2, 1): 20, (3, 1): 10}] * 10) == [0, 0, 2]
    assert became([*still(1), away, away], *[{(1, 1): 10, (2, 1): 20, (3, 1): 10}] * 10) == [0, 1, 1]


def test_what_touches_longest_is_made_one_first(still):
    """The second is with the first at some moments, with the third at the others: that which it goes with less is left."""
    first, third = {(1, 1): 20, (2, 1): 10, (3, 2): 11}, {(1, 2): 20, (2, 1): 10, (3, 1): 11}
    assert became(still(3), *[first] * 30, *[third] * 20) == [0, 0, 2]
    assert became(still(3), *[first] * 20, *[third] * 30) == [0, 1, 1]
    for events, number in (((20, 11), [0, 0, 2]), ((11, 20), [0, 1, 1])):  # as long: the larger two
        first, third = ({(1, own): events[0], (2, 1): 10, (3, 3 - own): events[1]} for own in (1, 2))
        assert became(still(3), *[first] * 25, *[third] * 25) == number


def test_motion_is_asked_again_of_what_was_made_one(course):
    early, goes = course((0.0, 0.1), (20, 50)), course((0.2, 1.0), ((20, 50), (120, 50)))
    assert became([early, goes], *[JOINT] * N) == [0, 0]
    assert became([early, course(LIFE, (20, 50)), goes], *[{(1, 1): 20, (2, 1): 20, (3, 1): 10}] * N) == [0, 0, 2]
    dot, wide = course(LIFE, (20, 50)), course(LIFE, (20, 50), (300, 12))
    both, apart = {(1, 1): 10, (3, 1): 10}, {(1, 1): 10, (2, 2): 10, (3, 1): 10}
    assert became([dot, wide, goes], *[both | {(2, 1): 10}] * 40, *[apart] * 10) == [0, 0, 0]  # dot and goes alone are two


def test_nothing_touches_where_there_is_nothing(still):
    assert became([]) == [] and became(still(2)) == [0, 1] and became(still(2), {}) == [0, 1]
    assert became(still(2), *[{(0, 1): 99, (1, 0): 99, (2, 0): 99}] * 10) == [0, 1]


def test_what_touches_is_one_and_what_stays_by_the_whole_belongs_to_it(course):
    """Neither half alone is large enough for the small thing to be a part of it."""
    halves = [course(LIFE, ((50, y), (110, y)), (10, 30)) for y in (50, 80)]
    small = course(LIFE, ((65, 65), (125, 65)), (4, 4))
    of_fine = np.tile(np.repeat(np.arange(1, 4), (10, 10, 3)), 50).astype(np.int32)
    shared = np.tile(np.repeat((1, 1, 2), (10, 10, 3)), 50).astype(np.int32)
    nothing = Objects([], np.zeros(len(of_fine), np.int32))
    for component, objects in ((shared, {1}), (np.where(of_fine == 2, 3, shared).astype(np.int32), {1, 2, 3})):
        fine = Objects([[own] for own in (*halves, small)], of_fine.copy())
        found = combined(fine, nothing, Components(component, np.arange(0, len(of_fine) + 1, 23), 20_000))
        assert set(found.of_event.tolist()) == objects and len(found.courses) == len(objects)


def test_events_know_the_component_that_they_are_in(thing, scene):
    """Two squares that come together: two components, then one; noise is in none."""
    made = scene([thing((0, 1), ((20, 60), (72, 60)), 16, 80), thing((0, 1), ((140, 60), (88, 60)), 16, 80)], noise_hz=0.1)
    window = 40_000
    neurons = places_of(made.x, made.y)
    components = _tracked(made.t, neurons, made.sensor_size, window)[2]
    assert components.hop_us == window // 2 and components.begins[0] == 0 and components.begins[-1] == len(made.t)
    for first, last in itertools.pairwise(components.begins.tolist()):
        assert np.ptp(made.t[first:last]) < components.hop_us
    early, late = made.t < 500_000, made.t > 970_000
    one, other = ({*components.of_event[early & (made.truth == k)].tolist()} for k in (1, 2))
    assert not one & other - {0}
    assert {*components.of_event[late & (made.truth > 0)].tolist()} <= {0, 1}
    for k in (1, 2):
        assert np.mean(components.of_event[made.truth == k] > 0) > 0.95
    far = (made.truth == 0) & (made.y < 30)
    assert far.sum() > 100 and not components.of_event[far].any()
