"""Objects of both directions of time."""

import numpy as np
import pytest

from spikeseg.scenes import directions
from spikeseg.scenes.directions import of_both, turned
from spikeseg.scenes.scales import Objects
from spikeseg.scenes.track import Seen

LIFE = (0.0, 1.0)
LEFT, RIGHT = [(60, 50), (0, 50)], [(80, 50), (140, 50)]


def objects(courses, of_event):
    return Objects([own if isinstance(own, list) else [own] for own in courses], np.array(of_event, np.int32))


def chosen(ahead, back, events):
    """Which objects are taken, ("ahead" or "back", place) in their order, and by (ahead, back) object, from 1, 0 for none, the
    number that its events get; events: how many of each there are."""
    pairs = np.repeat(np.array(list(events)), list(events.values()), axis=0)
    pairs = pairs[np.random.default_rng(0).permutation(len(pairs))]
    one, other = objects(ahead, pairs[:, 0]), objects(back, pairs[:, 1])
    found = of_both(one, other)
    assert found.of_event.dtype == np.int32 and found.of_event.shape == (len(pairs),)
    origin = {id(own): ("ahead", k) for k, own in enumerate(one.courses)} | {
        id(own): ("back", k) for k, own in enumerate(other.courses)
    }
    ids = {pair: set(found.of_event[(pairs == pair).all(1)].tolist()) for pair in events}
    assert all(len(own) == 1 for own in ids.values())
    return [origin[id(own)] for own in found.courses], {pair: own.pop() for pair, own in ids.items()}


@pytest.fixture
def parting(course):
    """Two that come apart: ahead, one that holds both for 0.4 s and goes on as the left one, and the right one from then on; and
    both, back."""
    left, right = course(LIFE, LEFT), course(LIFE, RIGHT)
    joint = course((0.0, 0.4, 0.42, 1.0), [(70, 50), (70, 50), (35, 50), (0, 50)], [(32, 12), (80, 12), (12, 12), (12, 12)])
    return [joint, course((0.42, 1.0), [(105, 50), (140, 50)])], [left, right]


EVENTS = {(1, 1): 500, (1, 2): 250, (2, 2): 250}


def test_what_comes_apart_is_told_apart_from_the_end(parting):
    taken, ids = chosen(*parting, EVENTS)
    assert taken == [("back", 0), ("back", 1)] and ids == {(1, 1): 1, (1, 2): 2, (2, 2): 2}


def test_what_meets_is_told_apart_from_the_beginning(parting):
    """The same, the other way around."""
    back, ahead = parting
    taken, _ = chosen(ahead, back, {(b, a): n for (a, b), n in EVENTS.items()})
    assert taken == [("ahead", 0), ("ahead", 1)]


def test_others_stay_as_they_are(parting, course):
    """A third, far away, of which the other direction sees less."""
    ahead, back = parting
    third = course(LIFE, (70, 110))
    taken, ids = chosen(
        [third, *ahead], [*back, third], {(1, 3): 300, (1, 0): 90, (2, 1): 500, (2, 2): 250, (3, 2): 250, (0, 0): 40}
    )
    assert taken == [("ahead", 0), ("back", 0), ("back", 1)]
    assert ids == {(1, 3): 1, (1, 0): 1, (2, 1): 2, (2, 2): 3, (3, 2): 3, (0, 0): 0}


@pytest.mark.parametrize("number", [1, 2])
def test_not_if_there_are_more_pieces(parting, course, number):
    """Ahead there is one, the right one from where it is seen by itself."""
    ahead, (left, *_) = parting
    cuts = np.linspace(0, 1, number + 1)
    pieces = [course((a, b), np.array([(80 + 60 * a, 50), (80 + 60 * b, 50)])) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    events = {(1, 1): 500, (1, 2): 250, (2, number + 1): 250, (2, 2): 60}
    assert [of for of, _ in chosen(ahead, [left, *pieces], events)[0]] == (["back"] * 2 if number == 1 else ["ahead"] * 2)


def test_not_if_a_fragment_comes_off(parting, course):
    """Back, the left one comes in two, the lesser of them for a while only; ahead it is in one."""
    (joint, second), (left, right) = parting
    fragment = course((0.0, 0.5), [(60, 80), (30, 80)])
    events = {(1, 1): 500, (1, 2): 250, (2, 2): 250}
    assert chosen([joint, second], [left, right, fragment], events)[0] == [("back", 0), ("back", 1)]
    assert chosen([joint, second], [left, right, fragment], events | {(1, 3): 200})[0] == [("ahead", 0), ("ahead", 1)]


def test_what_is_brief_in_both_is_no_fragment(parting, course):
    """A third has to do with them, as some events of the right one are its own ahead."""
    (joint, second), (left, right) = parting
    brief = course((0.2, 0.6), (100, 90))
    taken, _ = chosen([joint, second, brief], [left, right, brief], EVENTS | {(3, 3): 300, (3, 2): 55})
    assert taken == [("back", 0), ("back", 1), ("back", 2)]


def test_what_goes_on_elsewhere_is_no_fragment(parting, course):
    """The right one leaves before the end."""
    (joint, _), (left, _) = parting
    second, right = course((0.42, 0.8), [(105, 50), (128, 50)]), course((0.0, 0.8), [(80, 50), (128, 50)])
    taken, _ = chosen([joint, second], [left, right], {(1, 1): 700, (1, 2): 150, (2, 2): 150})
    assert taken == [("back", 0), ("back", 1)]


def test_fewer_pieces_of_things_that_are_as_mixed_are_better(parting):
    """Most of the right one is seen by itself ahead, so that it is as large a part of the joint one as that is of it."""
    taken, _ = chosen(*parting, {(1, 1): 500, (1, 2): 400, (2, 2): 500})
    assert taken == [("back", 0), ("back", 1)]


def test_not_if_nothing_of_them_goes_on_elsewhere(parting):
    """What one direction has in one piece from first to last may be in two pieces in the other."""
    ahead, back = parting
    taken, _ = chosen(ahead[:1], back, {(1, 1): 500, (1, 2): 250})
    assert taken == [("ahead", 0)]


def test_not_if_their_motion_does_not_tell_them_apart(parting, course):
    """They swing."""
    ahead, (left, _) = parting
    t_s = np.linspace(0, 1, 21)
    beside = [(60 * (1 - t) + 20 + 4 * np.sin(20 * t), 50) for t in t_s]
    assert chosen(ahead, [left, course(tuple(t_s), beside)], EVENTS)[0] == [("ahead", 0), ("ahead", 1)]


def test_not_if_the_other_direction_mixes_as_much(course):
    """Either has one that holds most of both of the other one."""
    two = [course(LIFE, LEFT), course(LIFE, RIGHT)]
    assert chosen(two, two[:], {(1, 1): 500, (1, 2): 250, (2, 1): 250})[0] == [("ahead", 0), ("ahead", 1)]
    assert chosen(two, two[:], {(1, 1): 500, (1, 2): 250, (2, 1): 200})[0] == [("back", 0), ("back", 1)]


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_at_all(course, n):
    none = Objects([], np.zeros(5, np.int32))
    one = objects([course(LIFE, LEFT)] * n, [n] * 5)
    assert of_both(one, none) is one and of_both(none, one) is none


def test_turned_twice_is_as_it_was(course):
    before = objects([course((0.1, 0.5), LEFT, [(4, 6), (8, 6)]), course((0.2, 0.6), RIGHT, how=Seen.MET)], [0, 1, 1, 2, 0, 2])
    once = turned(before, 700_000)
    assert once.of_event.tolist() == [2, 0, 2, 1, 1, 0] and once.courses[0][0].t[0] == pytest.approx(0.2e6)
    assert once.courses[0][0].place[0].tolist() == [0, 50] and once.courses[0][0].size[0].tolist() == [8, 6]
    twice = turned(once, 700_000)
    assert twice.of_event.tolist() == before.of_event.tolist()
    for (own,), (again,) in zip(before.courses, twice.courses, strict=True):
        assert all(np.allclose(getattr(own, name), getattr(again, name)) for name in ("t", "place", "size", "how"))


# -- of a whole scene ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_two_that_go_side_by_side_and_part_are_two_from_the_first(thing, scene, iou, seed):
    """Squares of 24 px with 2 px between them go down together, then different ways: the first is not two until then."""
    ways = [((88, 40), (84, 80), (10, 100)), ((114, 40), (118, 80), (190, 100))]
    made = scene([thing((0, 0.7, 1.5), way, 24, 150) for way in ways], (200, 140), 1.5, seed=seed)
    found = made.found()
    assert len(found.courses) == 2
    order = sorted((1, 2), key=lambda number: found.courses[number - 1][0].place[-1, 0])
    assert min(iou(found, made, number, own) for own, number in enumerate(order, 1)) >= 0.85


@pytest.mark.parametrize("others", [0, 1])
def test_one_object_alone_is_looked_at_in_one_direction(thing, scene, monkeypatch, others):
    """Something that trembles is none, however much it sends."""
    trembles = thing((0, 1), ((40, 20), (40.5, 20)), 16, 8000)
    made = scene([thing((0, 1), ((20, 90), (140, 90)), 16, 60), *[trembles] * others])
    with monkeypatch.context() as patch:
        patch.setattr("spikeseg.scenes.scene.of_both", None)
        assert len(made.found().courses) == 1


def test_what_meets_in_the_middle_is_the_same_in_both(thing, scene):
    """Two that cross: nothing is taken from the other direction."""
    made = scene([thing((0, 1), ((20, 40), (140, 80)), 16, 60), thing((0, 1), ((140, 40), (20, 80)), 16, 60)])
    taken = []
    original = directions.of_both
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spikeseg.scenes.scene.of_both", lambda ahead, back: taken.append(original(ahead, back) is ahead) or ahead)
        assert len(made.found().courses) == 2
    assert taken == [True]
