"""Whole scenes: one object, one id, whatever it meets, hides behind or does."""

import numpy as np
import pytest

from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.scenes.camera import CameraMotion
from spikeseg.scenes.course import Course
from spikeseg.scenes.scene import (
    A_ROW,
    DOUBTFUL,
    LEAST_EVENTS,
    LEAST_ROWS,
    MOVES_PX,
    MOVES_SIZES,
    events_of,
    find_objects,
    object_probability,
    those,
)
from spikeseg.scenes.track import Seen

MAKE = {
    "one": lambda thing, scene: scene([thing((0, 1), ((20, 60), (140, 60)), 20, 40)]),
    "dot": lambda thing, scene: scene([thing((0, 1), ((20, 20), (140, 90)), 3, 10)]),
    "slow": lambda thing, scene: scene([thing((0, 2), ((40, 60), (70, 60)), 12, 200)], duration_s=2.0),
    "fast": lambda thing, scene: scene([thing((0.1, 0.3), ((-15, 60), (315, 60)), 10, 20)], (300, 120), 0.4),
    "small sensor": lambda thing, scene: scene([thing((0, 1), ((6, 17), (28, 17)), 6, 30)], (34, 34)),
    "small ones that pass": lambda thing, scene: scene(
        [thing((0, 1), ((4, 13), (29, 13)), 4, 40), thing((0, 1), ((29, 21), (4, 21)), 4, 40)], (34, 34)
    ),
    "turns back": lambda thing, scene: scene([thing((0, 0.5, 1), ((20, 60), (120, 60), (20, 60)), 16, 40)]),
    "bends": lambda thing, scene: scene([thing((0, 0.5, 1), ((20, 20), (120, 20), (120, 100)), 16, 40)]),
    "three": lambda thing, scene: scene(
        [thing((0, 1), ((20 + 120 * (k == 1), y), (140 - 120 * (k == 1), y)), 12, 30) for k, y in enumerate((20, 60, 100))]
    ),
    "another speed": lambda thing, scene: scene(
        [thing((0, 1), ((20, 40), (140, 40)), 12, 30), thing((0, 1), ((20, 70), (80, 70)), 12, 60)]
    ),
    "cross": lambda thing, scene: scene(
        [thing((0, 1), ((20, 60), (140, 60)), 16, 40), thing((0, 1), ((80, 10), (80, 110)), 16, 40)]
    ),
    "cross aslant": lambda thing, scene: scene(
        [thing((0, 1), ((20, 30), (140, 80)), 14, 40), thing((0, 1), ((20, 80), (140, 30)), 14, 40)]
    ),
    "head on": lambda thing, scene: scene(
        [thing((0, 1), ((15, 60), (145, 60)), 12, 40), thing((0, 1), ((145, 62), (15, 62)), 12, 40)]
    ),
    "overtakes": lambda thing, scene: scene(
        [thing((0, 1), ((10, 60), (150, 60)), 10, 40), thing((0, 1), ((60, 60), (100, 60)), 24, 160)], (180, 120)
    ),
    "hidden": lambda thing, scene: scene(
        [thing((0, 1.2), ((15, 60), (165, 60)), 16, 40, (60, 114))], (180, 120), 1.2
    ),  # wholly for (54 - 16) / 125 s
    "two hidden": lambda thing, scene: scene(
        [
            thing((0, 1.2), ((15, 30), (165, 30)), 16, 40, (60, 114)),
            thing((0, 1.2), ((165, 90), (15, 90)), 16, 40, (60, 114)),
        ],
        (180, 120),
        1.2,
    ),
    "stops": lambda thing, scene: scene(
        [thing((0, 0.6, 1.1, 1.7), ((15, 60), (80, 60), (80, 60), (150, 60)), 16, 40)], (180, 120), 1.7
    ),
    "from one place": lambda thing, scene: scene(
        [thing((0, 1), ((80, 60), (20, 20)), 12, 40), thing((0, 1), ((80, 60), (140, 100)), 12, 40)]
    ),
}
BESIDE = {
    "in two pieces": lambda thing, scene: scene(
        [thing((0, 1), ((20, 60), (150, 60)), (10, 8), 20), thing((0, 1), ((20, 76), (150, 76)), (10, 8), 20)], (180, 120)
    ),
    "starts in pieces": lambda thing, scene: scene(
        [
            thing((0, 1), ((20, 60), (140, 60)), (8, 24), 30),
            thing((0, 1), ((40, 60), (160, 60)), (8, 24), 30),
            thing((0.2, 1), ((54, 60), (150, 60)), (12, 24), 30),
        ],
        (180, 120),
    ),
}
PART = {
    "parts": lambda thing, scene: scene(
        [
            thing((0, 0.6, 1.4), ((20, 60), (80, 60), (130, 20)), 12, 40),
            thing((0, 0.6, 1.4), ((20, 73), (80, 73), (130, 110)), 12, 40),
        ],
        duration_s=1.4,
    )
}


@pytest.fixture(scope="module")
def look():
    """Of each kind the scene and what is found in it, looked at once."""
    known = {}

    def of(kind, thing, scene):
        if kind not in known:
            made = (MAKE | BESIDE | PART)[kind](thing, scene)
            known[kind] = made, made.found()
        return known[kind]

    return of


def owner(found, scene, own, begin_s=0.0, end_s=np.inf):
    """The object, or 0, to which most events of a thing belong in a time, and the share that does."""
    chosen = (scene.truth == own) & (scene.t >= begin_s * 1e6) & (scene.t < end_s * 1e6)
    counts = np.bincount(found.ids[chosen], minlength=1)
    return int(np.argmax(counts)), counts.max() / counts.sum()


@pytest.mark.parametrize("kind", MAKE)
def test_one_thing_is_one_object_from_beginning_to_end(look, thing, scene, kind):
    made, found = look(kind, thing, scene)
    things = range(1, len(made.things) + 1)
    assert len(found.courses) == len(found.probability) == len(made.things)
    owners = []
    for own in things:
        number, share = owner(found, made, own)
        assert number > 0 and share >= (0.65 if len(made.things) > 1 else 0.95)
        owners.append(number)
        first, last = made.things[own - 1].t_s[0], made.things[own - 1].t_s[-1]
        end, begin = (
            owner(found, made, own, last - 0.2 * (last - first)),
            owner(found, made, own, 0.0, first + 0.3 * (last - first)),
        )
        assert end[0] == number and end[1] >= 0.9
        if kind != "from one place":
            assert begin[0] == number and begin[1] >= 0.85
    assert sorted(owners) == list(things)


@pytest.mark.parametrize("kind", MAKE)
def test_its_events_are_hardly_any_but_its_own(look, thing, scene, kind):
    made, found = look(kind, thing, scene)
    assert found.ids.dtype == np.int32 and found.ids.shape == made.t.shape
    assert (made.truth[found.ids > 0] > 0).mean() >= 0.9
    assert (found.ids[made.truth == 0] == 0).mean() >= 0.9


@pytest.mark.parametrize("kind", [*MAKE, *BESIDE, *PART])
def test_ids_courses_and_probabilities_agree(look, thing, scene, kind):
    made, found = look(kind, thing, scene)
    assert set(found.ids.tolist()) == set(range(len(found.courses) + 1))
    assert all(0.5 <= likely <= 1 for likely in found.probability)
    for number, courses in enumerate(found.courses, 1):
        own = made.t[found.ids == number]
        assert len(own) >= LEAST_EVENTS and sum(len(course.t) for course in courses) * A_ROW <= len(own)
        assert object_probability(courses) == found.probability[number - 1]
        assert min(course.t[0] for course in courses) <= own[0] + 100_000
        assert max(course.t[-1] for course in courses) >= own[-1] - 100_000
        for course in courses:
            assert len(course.t) == len(course.place) == len(course.size) == len(course.how)
            assert (np.diff(course.t) > 0).all() and np.isfinite(course.place).all() and (course.size > 0).all()
            assert set(course.how.tolist()) <= set(Seen)


def test_a_course_goes_where_the_thing_goes(look, thing, scene):
    for kind, away_px in (("one", 3), ("bends", 6), ("small sensor", 2), ("slow", 2)):
        made, found = look(kind, thing, scene)
        (own,) = found.courses
        for course in own:
            away = np.hypot(*(course.place - made.things[0].at(course.t)).T)
            assert np.median(away) <= away_px / 2 and away[5:-5].max() <= 3 * away_px


def test_pieces_that_move_together_are_one_object(look, thing, scene):
    for kind in BESIDE:
        made, found = look(kind, thing, scene)
        assert len(found.courses) == 1
        assert all(owner(found, made, own)[1] >= 0.85 for own in range(1, len(made.things) + 1))


def test_pieces_that_part_are_two_from_then_on(look, thing, scene):
    made, found = look("parts", thing, scene)
    (one, share), (other, share_b) = owner(found, made, 1, 0.9), owner(found, made, 2, 0.9)
    assert len(found.courses) == 2 and one > 0 and other > 0 and one != other and min(share, share_b) >= 0.9
    assert {owner(found, made, own, 0.0, 0.5)[0] for own in (1, 2)} <= {one, other}


@pytest.mark.parametrize(("number", "apart_px"), [(3, 14), (4, 12), (4, 14)])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_thing_whose_parts_swing_against_each_other_is_one(thing, scene, number, apart_px, seed):
    """Upright strips that swing by 8 px to and fro, every other one the other way, while all go on: fine neurons see several."""
    t_s = np.linspace(0, 1, 41)
    ways = [30 + apart_px * k + 80 * t_s + 8 * np.sin(4 * np.pi * t_s + np.pi * k) for k in range(number)]
    made = scene([thing(tuple(t_s), tuple((x, 60) for x in way), (4, 36), 30) for way in ways], (200, 120), seed=seed)
    found = made.found()
    assert len(found.courses) == 1 and (found.ids[made.truth > 0] == 1).mean() >= 0.95
    assert (found.ids[made.truth == 0] == 0).mean() >= 0.9


@pytest.mark.parametrize(("side", "events_per_px", "least"), [(50, 60, 0.9), (60, 60, 0.8), (70, 80, 0.8)])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_faint_large_thing_is_found_whole(thing, scene, iou, side, events_per_px, least, seed):
    """One event from a pixel, or hardly more, while it passes: fine neurons see a part of it, or pieces."""
    made = scene([thing((0, 1), ((50, 75), (150, 75)), side, events_per_px)], (200, 150), noise_hz=0.1, seed=seed)
    found = made.found()
    assert len(found.courses) == 1 and iou(found, made, 1, 1) >= least
    longest = max(found.courses[0], key=lambda course: len(course.t))
    assert np.median(longest.size, axis=0) == pytest.approx([side, side], rel=0.2)


def test_hidden_and_stopped_rows_say_so(look, thing, scene):
    kinds = {}
    for kind in ("hidden", "stops", "one"):
        _, found = look(kind, thing, scene)
        kinds[kind] = [int(how) for course in found.courses[0] for how in course.how]
    assert Seen.HIDDEN not in kinds["stops"] + kinds["one"] and Seen.STOPPED not in kinds["one"]
    assert Seen.STOPPED in kinds["stops"]


# -- what is no object --------------------------------------------------------------------------------


@pytest.mark.parametrize(("noise_hz", "sensor_size"), [(0.1, (160, 120)), (3.0, (160, 120)), (10.0, (34, 34)), (0.3, (346, 260))])
def test_noise_alone_is_none(scene, noise_hz, sensor_size):
    found = scene([], sensor_size, 1.0, noise_hz, seed=5).found()
    assert found.courses == [] and found.probability == [] and not found.ids.any()


def test_what_stays_where_it_is_is_none(thing, scene):
    """A thing that trembles by half a pixel and sends as many events as one that moves."""
    made = scene([thing((0, 1), ((80, 60), (80.5, 60)), 16, 8000), thing((0, 1), ((20, 20), (140, 20)), 12, 40)])
    found = made.found()
    assert len(found.courses) == 1 and owner(found, made, 2)[0] == 1 and owner(found, made, 1)[0] == 0


def test_a_flash_is_none(thing, scene):
    made = scene([thing((0.5, 0.51), ((80, 60), (81, 60)), 30, 3000)])
    assert made.found().courses == []


def test_a_hot_pixel_is_none_and_belongs_to_none(thing, scene):
    made = scene([thing((0, 1), ((20, 60), (140, 60)), 20, 40), thing((0, 1), ((80, 60), (80.01, 60)), 1, 50_000)])
    found = made.found()
    hot = (made.x == 80) & (made.y == 60)
    assert len(found.courses) == 1 and np.count_nonzero(hot) >= 500 and not found.ids[hot].any()


def test_a_hot_pixel_alone(thing, scene):
    made = scene([thing((0, 1), ((80, 60), (80.01, 60)), 1, 50_000)], noise_hz=0.0)
    found = made.found()
    assert found.courses == [] and len(found.ids) == 500 and not found.ids.any()


# -- any input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("sensor_size", [(34, 34), (1280, 720)])
def test_hardly_any_events(n, sensor_size):
    t = 1_000_000 + 10 * np.arange(n)
    found = find_objects(t, np.arange(n), np.arange(n), np.ones(n, bool), sensor_size)
    assert found.courses == [] and found.probability == [] and found.ids.tolist() == [0] * n


def test_events_all_at_one_time():
    x, y = np.random.default_rng(0).integers(10, 20, (2, 500))
    found = find_objects(np.full(500, 7), x, y, np.ones(500, bool), (34, 34))
    assert found.courses == [] and not found.ids.any()


def test_a_large_sensor(thing, scene, iou):
    made = scene(
        [thing((0, 0.3), ((100, 300), (700, 380)), 100, 40), thing((0, 0.3), ((900, 100), (900, 500)), 30, 40)],
        (1280, 720),
        0.3,
        0.1,
    )
    found = made.found()
    assert len(found.courses) == 2
    assert min(iou(found, made, owner(found, made, own)[0], own) for own in (1, 2)) >= 0.7


def test_at_all_four_edges_of_the_sensor(thing, scene, iou):
    for way in (((-20, 60), (180, 60)), ((80, -20), (80, 140)), ((60, 1), (100, 1)), ((159, 20), (159, 90))):
        made = scene([thing((0, 1), way, 14, 60)])
        found = made.found()
        assert len(found.courses) == 1 and iou(found, made, 1, 1) >= 0.85


def test_equal_input_gives_equal_output_whenever_it_is(look, thing, scene):
    made, first = look("cross", thing, scene)
    second = made.found()
    later = made._replace(t=made.t + 3_000_000_000).found()
    assert np.array_equal(first.ids, second.ids) and first.probability == second.probability
    assert np.array_equal(first.ids, later.ids) and first.probability == pytest.approx(later.probability, abs=1e-6)
    for one, other in zip(first.courses, second.courses, strict=True):
        for a, b in zip(one, other, strict=True):
            assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("t", "place", "size", "how"))


def test_mirrored_and_turned_it_is_the_same(look, thing, scene):
    made, first = look("cross", thing, scene)
    width, height = made.sensor_size
    mirrored = made._replace(x=width - 1 - made.x).found()
    turned = made._replace(x=made.y, y=made.x, sensor_size=(height, width)).found()
    for found in (mirrored, turned):
        assert len(found.courses) == len(first.courses)
        assert np.mean((found.ids > 0) == (first.ids > 0)) >= 0.97
        assert {owner(found, made, own)[0] for own in (1, 2)} == {1, 2}


def test_the_arrays_that_come_in_stay_as_they_are(look, thing, scene):
    made, _ = look("one", thing, scene)
    before = [own.copy() for own in (made.t, made.x, made.y, made.on)]
    made.found()
    assert all(np.array_equal(a, b) for a, b in zip(before, (made.t, made.x, made.y, made.on), strict=True))


@pytest.mark.parametrize("window_us", [10_000, 20_000, 60_000, 15_001])
def test_the_window_may_be_given(thing, scene, window_us, iou):
    made = scene([thing((0, 0.5), ((20, 60), (140, 60)), 20, 120)], duration_s=0.5)
    found = made.found(window_us=window_us)
    assert len(found.courses) == 1 and iou(found, made, 1, 1) >= 0.9
    assert found.window_us == window_us
    steps = np.diff(found.courses[0][0].t)
    assert np.median(steps) == round(0.5 * window_us) and (steps % np.median(steps) == 0).all()


# -- how surely ---------------------------------------------------------------------------------------


def course(places, size=(12.0, 12.0), how=Seen.ALONE, hop_us=20_000):
    n = len(places)
    place = np.array(places, np.float64).reshape(n, 2)
    sizes = np.broadcast_to(np.asarray(size, np.float64), (n, 2))
    return Course(20_000.0 * np.arange(n), place, sizes, np.full(n, int(how)))


def steps_of(way, axis=0, n=10):
    """At rest, then at rest `way` px further: smoothing changes nothing of how far it comes."""
    places = np.zeros((2 * n, 2))
    places[n:, axis] = way
    return places


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("size", [4.0, 20.0, 80.0])
def test_one_half_where_it_comes_as_far_as_it_has_to(axis, size):
    limit = max(MOVES_PX, MOVES_SIZES * size)
    likely = [
        object_probability([course(steps_of(share * limit, axis), (size, size))]) for share in (0, 0.5, 0.99, 1, 1.01, 2, 1e6)
    ]
    assert likely[0] == 0 and likely[3] == pytest.approx(0.5, abs=1e-12) and likely[-1] == pytest.approx(1)
    assert likely[1] == pytest.approx(0.2) and likely[5] == pytest.approx(0.8)
    assert likely == sorted(likely) and likely[2] < 0.5 < likely[4]


def test_one_that_comes_nearer_moves_though_its_centre_stays():
    sizes = np.full((20, 2), 10.0)
    sizes[10:, 0] += 2 * MOVES_PX
    assert object_probability([course(np.zeros((20, 2)), sizes)]) == pytest.approx(0.5)
    assert object_probability([course(np.zeros((20, 2)), np.full((20, 2), 18.0))]) == 0


def test_a_few_rows_are_no_object():
    """Rows at which it was seen count, not those at which it was found again."""
    places = 10.0 * np.stack([np.arange(LEAST_ROWS), np.zeros(LEAST_ROWS)], 1)
    assert object_probability([course(places)]) > 0.8
    assert object_probability([course(places, how=Seen.MET)]) > 0.8
    assert object_probability([course(places[1:])]) == 0
    assert object_probability([course(places, how=Seen.HIDDEN)]) == 0
    often = course(10.0 * np.stack([np.arange(9), np.zeros(9)], 1))
    often.how[LEAST_ROWS - 1 :] = Seen.HIDDEN
    assert object_probability([often]) == 0 and object_probability([often, course(places[:1])]) > 0.8


def test_its_longest_piece_tells_how_far_it_comes():
    still, moving = course(np.zeros((30, 2))), course(steps_of(40.0))
    assert object_probability([still, moving]) == 0
    assert object_probability([course(np.zeros((12, 2))), moving]) > 0.9


def test_too_few_events_are_no_object(thing, scene):
    """As many moments, but hardly an event in them."""
    made = scene([thing((0, 1), ((20, 60), (140, 60)), 20, 40)], noise_hz=0.0)
    kept = np.sort(np.random.default_rng(0).permutation(len(made.t))[: LEAST_EVENTS - 1])
    part = made._replace(**{name: getattr(made, name)[kept] for name in ("t", "x", "y", "on", "truth")})
    assert part.found().courses == []


@pytest.mark.parametrize(("speed", "does"), [(0, True), (100, False), (110, False), (-20, True), (300, True)])
def test_before_a_moving_camera_an_object_moves_against_the_scene(course, speed, does):
    """The scene goes to the right by 100 px/s; an object that the camera follows stands still in the picture."""
    rates = np.tile(np.array([[0, 0, 100.0], [0, 0, 0]]), (3, 1, 1))
    motion = CameraMotion((640, 480), np.array([0.0, 0.5, 1.0]), rates, np.ones(3, bool), np.ones(3))
    way = course((0, 1), ((300, 200), (300 + speed, 200)))
    assert (object_probability([way], motion) >= DOUBTFUL) == does
    assert (object_probability([way]) >= DOUBTFUL) == (speed != 0)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_events_of_each_object_in_their_order(n):
    ids = np.random.default_rng(7).integers(0, n + 1, 300).astype(np.int32)
    own = events_of(ids, n)
    assert len(own) == n and all(np.array_equal(events, np.flatnonzero(ids == k)) for k, events in enumerate(own, 1))
    assert [len(events) for events in events_of(ids * 0, n)] == [0] * n


def test_columns_of_some_events_whatever_their_dtypes():
    """As they lie in a recording, too, where a row is packed; and none of them."""
    rng = np.random.default_rng(8)
    events = np.zeros(50, EVENT_DTYPE)
    for name in events.dtype.names:
        events[name] = rng.integers(0, 2 if name == "p" else 30, 50)
    for chosen in (rng.random(50) < 0.5, np.ones(50, bool), np.zeros(50, bool)):
        found = those(tuple(events[name] for name in "txyp"), chosen)
        assert [own.dtype for own in found] == [np.int64, np.int64, np.int64, bool]
        assert all(np.array_equal(own, events[name][chosen]) for own, name in zip(found, "txyp", strict=True))
