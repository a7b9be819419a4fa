"""The pixels of a scene against events worked out by hand."""

import numpy as np
import pytest

from spikeseg.simulation.noise import refractory
from spikeseg.simulation.pixels import EVENT_TRUTH_DTYPE
from spikeseg.simulation.scenes.kernels import LOOK, Ground, Patches, Pixels, Schedule, awake, play

THRESHOLD = np.float32(0.25)


def ground_of(height, width, lamp=False):
    lamps = np.ones((height, width), np.int8) if lamp else np.zeros((height, width), np.int8)
    boxes = np.array([[0, 0, width, height]], np.int64) if lamp else np.zeros((0, 4), np.int64)
    return Ground(np.ones((height, width), np.float32), lamps, boxes)


def pixels_of(height, width, refractory_us=0.0):
    full = np.full((height, width), THRESHOLD)
    return Pixels(full, full, np.zeros((height, width), np.float32), refractory_us)


def patches_of(*half_sides, tone=2.0, fixed=()):
    """Squares; the first on top."""
    distance, sides = [], []
    for half in half_sides:
        axis = np.abs(np.arange(-half - 4, half + 5, dtype=np.float32))
        distance.append(np.maximum(axis[:, None], axis) - half - 0.5)
        sides.append(len(axis))
    sides = np.array(sides, np.int64)
    flat = np.concatenate([np.zeros(0, np.float32), *(d.ravel() for d in distance)]).astype(np.float32)
    radius = np.array([1.5 * half + 2 for half in half_sides], np.float32)
    still = np.array([k in fixed for k in range(len(half_sides))], bool)
    return Patches(
        np.cumsum(np.r_[0, sides**2])[:-1],
        sides,
        flat,
        np.full(len(flat), tone, np.float32),
        np.zeros_like(radius),
        radius,
        still,
    )


def schedule_of(entries, first=()):
    """entries: (t, which, pose of four)."""
    t, which, pose = zip(*entries, strict=True) if entries else ((), (), ())
    return Schedule(
        np.array(t, np.float64), np.array(which, np.int64), np.array(pose, np.float64).reshape(-1, 4),
        np.array(first, np.float64).reshape(-1, 4),
    )  # fmt: skip


def lit(gains, every_us=1000.0, refractory_us=0.0):
    """Events of a pixel under a lamp whose logarithm is gains (n,), every so often."""
    schedule = schedule_of([(k * every_us, 1, (np.exp(gain), 0, 0, 0)) for k, gain in enumerate(gains)])
    return play(schedule, patches_of(), ground_of(1, 1, lamp=True), pixels_of(1, 1, refractory_us))


def test_a_pixel_fires_when_its_logarithm_has_changed_by_the_threshold():
    t, place, on, shape, _ = lit([0.0, 1.1])
    assert t == pytest.approx(1000 * np.array([0.25, 0.5, 0.75, 1.0]) / 1.1, abs=0.1)
    assert place.tolist() == [0] * 4 and on.all() and (shape == -1).all()
    t, _, on, _, _ = lit([0.0, 0.6, 0.0, 0.0])
    assert on.tolist() == [True, True, False, False]
    assert t == pytest.approx([1000 * 0.25 / 0.6, 1000 * 0.5 / 0.6, 2000 - 1000 * 0.25 / 0.6, 2000.0], abs=0.1)


def test_a_pixel_is_blind_for_a_while_and_starts_again_from_what_it_sees_then():
    t, _, _, _, _ = lit([0.0, 1.0], refractory_us=100.0)
    assert t == pytest.approx([250.0, 600.0, 950.0], abs=0.1)
    t, _, _, _, _ = lit([0.0, 0.3, 0.3, 0.3, 0.6], refractory_us=1500.0)  # blind until 2333, when it sees 0.3
    assert t == pytest.approx([1000 * 0.25 / 0.3, 3000 + 1000 * 0.25 / 0.3], abs=0.5)
    t, _, _, _, _ = lit([0.0, 0.3, 0.6, 0.6, 0.9], refractory_us=1000.0)  # blind until 1833, when it sees 0.55
    assert t == pytest.approx([1000 * 0.25 / 0.3, 3000 + 1000 * 0.2 / 0.3], abs=0.5)


def test_events_of_a_moving_square_are_its_own_on_both_sides():
    way = np.arange(10.0, 30.0, 0.5)
    first = [(10.0, 10.0, 0.0, 1.0)]
    schedule = schedule_of([(1000.0 * (k + 1), 0, (x, 10.0, 0.0, 1.0)) for k, x in enumerate(way)], first)
    t, place, on, shape, _ = play(schedule, patches_of(3), ground_of(21, 40), pixels_of(21, 40))
    x, y = place % 40, place // 40
    assert (shape == 0).all() and set(np.unique(y)) == set(range(7, 14)) and np.all(np.diff(np.unique(x)) == 1)
    edge = np.interp(t, 1000.0 * np.arange(len(way) + 1), np.r_[10.0, way])
    assert np.abs(x[on] - edge[on] - 3.5).max() < 1.6 and np.abs(x[~on] - edge[~on] + 3.5).max() < 1.6
    assert np.bincount(x[on])[18:28].tolist() == [14] * 10  # ln 2 / 0.25: two events of each of seven rows


def test_the_square_on_top_has_the_events_and_the_box():
    far = (10.0, 10.0, 0.0, 1.0)
    first = [(30.0, 10.0, 0.0, 1.0), far]
    moves = [(1000.0 * (k + 1), 0, (30.0 - k / 2, 10.0, 0.0, 1.0)) for k in range(41)]
    looks = [(0.5, LOOK, (0, 0, 0, 0)), (42_500.0, LOOK, (0, 0, 0, 0))]
    schedule = schedule_of([looks[0], *moves, looks[1]], first)
    _, _, _, shape, boxes = play(schedule, patches_of(5, 3), ground_of(21, 40), pixels_of(21, 40))
    assert (shape == 0).all()
    assert boxes[0].tolist() == [[25, 35, 5, 15], [7, 13, 7, 13]] and boxes[1].tolist() == [[5, 15, 5, 15], [-1] * 4]


def test_nothing_shows_behind_what_is_fixed():
    first = [(20.0, 10.0, 0.0, 1.0), (8.0, 10.0, 0.0, 1.0)]
    moves = [(1000.0 * (k + 1), 1, (8.0 + k / 2, 10.0, 0.0, 1.0)) for k in range(50)]
    _, place, _, shape, _ = play(schedule_of(moves, first), patches_of(5, 2, fixed=(0,)), ground_of(21, 40), pixels_of(21, 40))
    x = place % 40
    assert (shape == 1).all() and not np.any((x >= 15) & (x <= 25)) and x.min() < 10 and x.max() > 30


def test_events_of_the_background_are_nobodys():
    ground = ground_of(8, 8)._replace(intensity=np.exp(np.eye(8, dtype=np.float32)))
    moves = [(1000.0 * (k + 1), 0, (0.5 * (k + 1), 0.0, 0.0, 0.0)) for k in range(16)]
    _, place, on, shape, _ = play(schedule_of(moves), patches_of(), ground, pixels_of(8, 8))
    assert (shape == -1).all() and len(place) > 8 * 8 and on.any() and not on.all()


def test_who_remains_after_the_refractory_period_is_as_for_nights():
    rng = np.random.default_rng(0)
    events = np.zeros(5000, EVENT_TRUTH_DTYPE)
    events["t"], events["x"], events["y"] = (
        np.sort(rng.integers(0, 100_000, 5000)),
        rng.integers(0, 6, 5000),
        rng.integers(0, 4, 5000),
    )
    kept = awake(events["t"], events["y"].astype(np.int64) * 6 + events["x"], 24, 300)
    assert np.array_equal(kept, refractory(events, 300)) and 0.3 < kept.mean() < 0.9
