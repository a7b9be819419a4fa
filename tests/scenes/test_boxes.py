"""Boxes around an object's events."""

from functools import partial

import numpy as np
import pytest

from spikeseg.scenes.box_kernels import extents, outermost
from spikeseg.scenes.boxes import boxes as boxes_in
from spikeseg.scenes.course import Course
from spikeseg.scenes.track import Seen

NONE = np.zeros(0, np.int64)
boxes = partial(boxes_in, sensor_size=(400, 300))


def course_of(thing, times, how=None):
    """The course that a perfect tracker gives, at times in µs."""
    times = np.asarray(times, np.float64)
    size = np.broadcast_to(thing.size, (len(times), 2))
    return Course(times, thing.at(times), size, np.full(len(times), int(Seen.ALONE)) if how is None else np.array(how))


def events_of(scene, thing, duration_s=1.0):
    made = scene([thing], (400, 300), duration_s, noise_hz=0.0)
    return made.t, made.x, made.y


@pytest.mark.parametrize(("speed_px_s", "side"), [(100, 12), (1600, 12), (3000, 8), (800, (30, 10))])
@pytest.mark.parametrize("heading", [(1, 0), (0, 1), (0.6, 0.8)])
def test_a_fast_object_is_no_smear(thing, scene, speed_px_s, side, heading):
    seconds = 200 / speed_px_s
    way = 200 * np.array(heading)
    own = thing((0, seconds), ((50, 50), tuple(50 + way)), side, 100)
    t, x, y = events_of(scene, own, seconds)
    times = np.arange(0, seconds * 1e6, min(5000, seconds * 1e6 / 10))
    moments = np.linspace(0.2 * seconds, 0.8 * seconds, 7) * 1e6
    found = boxes(t, x, y, [course_of(own, times)], moments.astype(np.int64))
    assert np.array_equal(found.t, moments.astype(np.int64))
    assert np.abs(found.size - own.size).max() <= 0.25 * own.size.max()
    assert np.abs(found.place - own.at(moments)).max() <= 0.15 * own.size.max() + 0.5
    assert found.velocity == pytest.approx(np.tile(speed_px_s * np.array(heading), (7, 1)), abs=0.02 * speed_px_s)
    if speed_px_s * 8e-3 > max(own.size):  # with no velocity it would be one
        windows = np.array([4_000, 8_000, 16_000])
        smear = extents(t, x, y, found.t, np.zeros((7, 2)), windows, np.full(7, 20), 0.01, 0.3)
        assert np.max(smear[:, 2:] - smear[:, :2] + 1) > 1.5 * own.size.max()


def test_the_box_stays_while_it_stands(thing, scene):
    own = thing((0, 0.5, 1.0, 1.5), ((50, 60), (110, 60), (110, 60), (170, 60)), 14, 100)
    t, x, y = events_of(scene, own, 1.5)
    times = np.r_[np.arange(0, 500_001, 10_000), np.arange(1_000_000, 1_500_000, 10_000)]
    how = np.where(times == 1_000_000, int(Seen.STOPPED), int(Seen.ALONE))
    moments = np.arange(100_000, 1_400_000, 50_000)
    found = boxes(t, x, y, [course_of(own, times, how)], moments)
    assert np.array_equal(found.t, moments)
    assert np.abs(found.place - own.at(moments)).max() <= 2 and np.abs(found.size - 14).max() <= 4
    standing = (found.t > 560_000) & (found.t < 940_000)
    assert np.abs(found.velocity[standing]).max() == 0 and found.velocity[~standing, 0].mean() > 90


def test_there_is_none_while_it_is_hidden(thing, scene):
    own = thing((0, 1.5), ((50, 60), (200, 60)), 14, 40)
    t, x, y = events_of(scene, own, 1.5)
    seen = (t < 500_000) | (t >= 1_000_000)
    times = np.r_[np.arange(0, 500_001, 10_000), np.arange(1_000_000, 1_500_000, 10_000)]
    how = np.where(times == 1_000_000, int(Seen.HIDDEN), int(Seen.ALONE))
    moments = np.arange(0, 1_500_000, 50_000)
    found = boxes(t[seen], x[seen], y[seen], [course_of(own, times, how)], moments)
    assert np.array_equal(found.t, moments[(moments <= 510_000) | (moments >= 990_000)])


def test_there_is_none_before_and_after(thing, scene):
    own = thing((0, 1), ((50, 60), (150, 60)), 14, 40)
    course = course_of(own, np.arange(300_000, 700_001, 10_000))
    found = boxes(*events_of(scene, own), [course], np.arange(0, 1_000_000, 40_000))
    assert found.t[0] == 320_000 and found.t[-1] == 680_000
    none = boxes(*events_of(scene, own), [course], np.array([0, 100_000, 900_000]))
    assert none.t.shape == (0,) and none.place.shape == none.size.shape == none.velocity.shape == (0, 2)
    assert len(boxes(*events_of(scene, own), [course], NONE).t) == 0


@pytest.mark.parametrize("way", [((370, 60), (450, 60)), ((30, 60), (-50, 60)), ((50, 270), (50, 350)), ((50, 30), (50, -50))])
def test_there_is_none_outside_the_picture(thing, scene, way):
    own = thing((0, 0.1), way, 14, 60)
    found = boxes(*events_of(scene, own, 0.1), [course_of(own, np.arange(0, 100_000, 5000))], np.arange(0, 100_000, 2500))
    inside = ((found.place + found.size / 2 > 0) & (found.place - found.size / 2 < (399, 299))).all(1)
    assert inside.all() and 42_500 <= found.t[-1] <= 47_500  # 7 px beyond the edge nothing of it is left


def test_without_events_it_is_where_its_course_is(thing):
    own = thing((0, 1), ((50, 60), (150, 80)), (14, 8), 40)
    moments = np.arange(100_000, 900_000, 50_000)
    found = boxes(NONE, NONE, NONE, [course_of(own, np.arange(0, 1_000_000, 10_000))], moments)
    assert found.place == pytest.approx(own.at(moments)) and found.size == pytest.approx(np.tile((14.0, 8.0), (len(moments), 1)))
    assert found.velocity == pytest.approx(np.tile((100.0, 20.0), (len(moments), 1)))


@pytest.mark.parametrize("n", [1, 3, 5, 6, 25])
def test_a_few_events_give_numbers(n):
    t = np.arange(n) * 1000 + 50_000
    course = Course(np.array([50_000.0]), np.array([[20.0, 30.0]]), np.array([[5.0, 5.0]]), np.array([int(Seen.ALONE)]))
    found = boxes(t, 40 + np.arange(n) % 3, np.full(n, 7), [course], np.array([50_000, 55_000]))
    assert len(found.t) == 2
    for values in found:
        assert np.isfinite(values).all()
    assert (found.size >= 1).all() and (found.velocity == 0).all()
    assert found.place.tolist() == pytest.approx(np.tile((20.0, 30.0) if n < 6 else (41.0, 7.0), (2, 1)), abs=0.51)


def test_the_events_of_all_pieces_make_one_box(thing, scene):
    pieces = [thing((0, 1), ((50, y), (150, y)), (14, 6), 60) for y in (50, 66)]
    made = scene(pieces, (400, 300), 1.0, noise_hz=0.0)
    times = np.arange(0, 1_000_000, 10_000)
    found = boxes(made.t, made.x, made.y, [course_of(own, times) for own in pieces], np.array([300_000, 600_000]))
    assert found.place[:, 1] == pytest.approx([58, 58], abs=1) and found.size == pytest.approx(np.tile((14, 22), (2, 1)), abs=2)


def test_a_few_events_beside_it_are_left_out(thing, scene):
    own = thing((0, 1), ((50, 60), (150, 60)), 14, 120)
    t, x, y = events_of(scene, own)
    more = np.arange(20_000, 1_000_000, 20_000)
    order = np.argsort(np.r_[t, more], kind="stable")
    x, y = np.r_[x, np.full(len(more), 300)][order], np.r_[y, np.full(len(more), 5)][order]
    found = boxes(
        np.r_[t, more][order], x, y, [course_of(own, np.arange(0, 1_000_000, 10_000))], np.arange(100_000, 900_000, 100_000)
    )
    assert np.abs(found.size - 14).max() <= 4


def test_extents_are_those_of_sorted_places():
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 100_000, 300))
    x, y = rng.integers(0, 100, 300), rng.integers(0, 50, 300)
    moments, velocity = np.array([0, 30_000, 60_000, 500_000]), rng.normal(0, 300, (4, 2))
    windows = np.array([2_000, 10_000])
    found = extents(t, x, y, moments, velocity, windows, np.full(len(moments), 20), 0.01, 0.3)
    assert np.isnan(found[3]).all()
    for k in range(3):
        for window in windows:
            near = np.abs(t - moments[k]) <= window
            if near.sum() >= 20:
                break
        off = int(0.01 * near.sum() + 0.3 * np.sqrt(near.sum()))
        for axis, place in enumerate((x, y)):
            places = np.sort(place[near] - velocity[k, axis] * (t[near] - moments[k]) * 1e-6)
            assert found[k, [axis, 2 + axis]] == pytest.approx([places[off], places[-1 - off]])


def test_the_box_of_a_large_object_is_made_of_more_events(course):
    """Of 20 events on its outline few would lie near its edges: a longer window is taken."""
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 1_000_000, 4000))
    x, y = rng.integers(0, 100, (2, len(t)))
    moments = np.arange(100_000, 900_000, 20_000)
    for side, least in ((100.0, 94), (10.0, 0)):  # a course that says how large it is
        found = boxes(t, x, y, [course((0, 1), (49.5, 49.5), (side, side))], moments)
        assert found.size.mean() > least
        assert (found.size.mean() > 94) == (side > 50)


def test_noise_in_its_place_makes_no_box_of_what_stands(thing, scene):
    own = thing((0, 0.5, 1.0, 1.5), ((50, 60), (110, 60), (110, 60), (170, 60)), 14, 100)
    t, x, y = events_of(scene, own, 1.5)
    rng, n = np.random.default_rng(0), 40
    noise = rng.integers(520_000, 980_000, n), *(rng.integers(at - 9, at + 10, n) for at in (110, 60))
    order = np.argsort(np.r_[t, noise[0]], kind="stable")
    t, x, y = (np.r_[one, other][order] for one, other in zip((t, x, y), noise, strict=True))
    times = np.r_[np.arange(0, 500_001, 10_000), np.arange(1_000_000, 1_500_000, 10_000)]
    how = np.where(times == 1_000_000, int(Seen.STOPPED), int(Seen.ALONE))
    found = boxes(t, x, y, [course_of(own, times, how)], np.arange(600_000, 900_000, 20_000))
    assert np.abs(found.place - (110, 60)).max() <= 1 and np.abs(found.size - 14).max() <= 1


@pytest.mark.parametrize("heading", [(1, 0), (0, -1), (0.8, 0.6)])
def test_a_small_box_is_as_large_as_the_thing(thing, heading):
    """As many pixels as it lies on: a pixel sends while an edge crosses it, which makes it no longer; the front is seen early."""
    own = thing((0, 1), ((50, 150), tuple(np.array((50, 150)) + 100 * np.array(heading))), 6, 60)
    t = np.repeat(np.arange(0, 1_000_000, 400), 8)
    edge = np.random.default_rng(0).uniform(-3, 3, (len(t), 2))
    edge[np.arange(len(t)), np.tile([0, 0, 0, 0, 1, 1, 1, 1], len(t) // 8)] = np.tile([-3, 3, -3, 3] * 2, len(t) // 8)
    x, y = np.rint(own.at(t) + edge).astype(np.int64).T  # pixels that its outline crosses
    moments = np.arange(100_000, 900_000, 15_000)
    found = boxes(t, x, y, [course_of(own, np.arange(0, 1_000_000, 10_000))], moments)
    assert np.abs(found.size.mean(0) - 7).max() < 0.3
    assert (found.place - own.at(moments)).mean(0) == pytest.approx(-0.2 * np.array(heading), abs=0.05)


@pytest.mark.parametrize("n", [1, 20, 127, 128, 3000])
def test_the_outermost_are_those_of_sorted_numbers(n):
    """Of few numbers and of many, by a sample of 16; of equal ones, and of some whose sample misleads."""
    rng = np.random.default_rng(n)
    misleads = rng.random(n)
    misleads[(np.arange(16) * n) // 16] = 0.5
    for values in (rng.random(n), np.round(rng.random(n) * 3), np.zeros(n), np.sort(rng.random(n)), misleads):
        for off in {0, n // 200, n // 4, (n - 1) // 2}:
            found = outermost(values.copy(), off, np.empty(16), np.empty((2, n)))
            assert found == (np.sort(values)[off], np.sort(values)[n - 1 - off])
