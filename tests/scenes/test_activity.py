"""Coincidence neurons against dense references, bit for bit."""

import numpy as np
import pytest
from scipy import ndimage, stats
from scipy.sparse import csgraph

from spikeseg.scenes import activity
from spikeseg.scenes.activity import (
    BLOCK_PX,
    CHANCE,
    FAVOURED_CHANCE,
    FAVOURED_FLOOR,
    FEW_STEPS,
    FLOOR,
    HOT_EVENTS,
    HOT_TIMES,
    QUIET,
    REACH_PX,
    Activity,
    background_per_window,
    coarser,
    hot_pixels,
    places_of,
    thresholds_of,
)


def counted(x, y, size):
    """Events in the 5 x 5 pixels around each, by convolution."""
    width, height = size
    image = np.bincount(y * width + x, minlength=width * height).reshape(height, width)
    return ndimage.convolve(image, np.ones((5, 5), np.int64), mode="constant")


def reference(x, y, background, favoured, size):
    """Pixels, begins and boxes, every pair of active pixels compared with each other."""
    counts = counted(x, y, size)
    active = (counts >= thresholds_of(background)) | ((favoured > 0) & (counts >= thresholds_of(background, favoured=True)))
    flat = np.flatnonzero(active)
    rows, columns = np.divmod(flat, size[0])
    near = np.maximum(np.abs(rows[:, None] - rows), np.abs(columns[:, None] - columns)) <= REACH_PX
    number, part = csgraph.connected_components(near, directed=False) if len(flat) else (0, flat)
    first = {int(k): int(flat[part == k].min()) for k in range(number)}
    parts = [flat[part == k] for k in sorted(first, key=first.__getitem__)]
    boxes = [
        [(own % size[0]).min(), (own // size[0]).min(), (own % size[0]).max() + 1, (own // size[0]).max() + 1] for own in parts
    ]
    return (
        np.concatenate([np.zeros(0, np.int64), *parts]),
        np.cumsum([0, *map(len, parts)]),
        np.array(boxes, np.int64).reshape(-1, 4),
    )


def clusters(rng, size, n):
    """Events about a few places, one of which is a corner of the sensor, and all over it."""
    width, height = size
    centres = np.concatenate([rng.uniform(0, size, (5, 2)), [(0, height - 1), (width - 1, 0)]])
    places = centres[rng.integers(0, len(centres), n)] + rng.normal(0, 2.5, (n, 2))
    everywhere = rng.random(n) < 0.2
    places[everywhere] = rng.uniform(0, size, (np.count_nonzero(everywhere), 2))
    x, y = np.clip(np.round(places), 0, np.array(size) - 1).astype(np.int64).T
    return x, y


SIZES = [(34, 34), (61, 23), (5, 40), (1, 1), (96, 64)]


@pytest.mark.parametrize("size", SIZES)
def test_equal_to_the_reference_whatever_comes_and_goes(size):
    rng = np.random.default_rng(size[0])
    background = rng.exponential(0.04, (size[1], size[0]))
    activity, kept, seen = Activity(background), [], 0
    for step in range(25):
        coming = clusters(rng, size, int(rng.integers(0, 120)))
        activity.add(places_of(*coming))
        kept += list(zip(*map(np.ndarray.tolist, coming), strict=True))
        going = sorted(rng.choice(len(kept), int(rng.integers(0, len(kept) + 1)) // 3, replace=False).tolist(), reverse=True)
        gone = [kept.pop(k) for k in going]
        activity.remove(places_of(*(np.array([place[axis] for place in gone], np.int64) for axis in (0, 1))))
        activity.favoured[:] = (rng.random(background.shape) < 0.2) if step % 3 == 0 else 0
        x, y = (np.array([place[axis] for place in kept], np.int64) for axis in (0, 1))
        found = activity.components()
        expected = reference(x, y, background, activity.favoured, size)
        for own, other in zip(found, expected, strict=True):
            assert own.dtype == np.int64 and np.array_equal(own, other)
        assert len(found) == len(expected[2])
        for k in range(len(found)):
            assert np.array_equal(found.of(k), expected[0][expected[1][k] : expected[1][k + 1]])
        seen += len(found)
    assert seen > 25 or size == (1, 1)


def test_the_order_of_events_does_not_matter():
    rng = np.random.default_rng(1)
    x, y = clusters(rng, (50, 40), 400)
    background, order = np.zeros((40, 50)), rng.permutation(400)
    one, other = Activity(background), Activity(background)
    one.add(places_of(x, y))
    other.add(places_of(x[order][:250], y[order][:250]))
    other.remove(places_of(x[order][:100], y[order][:100]))
    other.add(places_of(x[order][250:], y[order][250:]))
    other.add(places_of(x[order][:100], y[order][:100]))
    one, other = one.components(), other.components()
    assert len(one) > 2 and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("by", [1, 2, 3])
def test_places_of_coarser_pixels(by):
    x, y = np.array([0, 1, 2, 3, 5, 1279, 65_535]), np.array([7, 1, 0, 3, 719, 2, 65_535])
    assert np.array_equal(coarser(places_of(x, y), by), places_of(x // by, y // by))


@pytest.mark.parametrize("size", [(150, 40), (16, 16), (33, 70)])
def test_blocks_stand_for_their_pixels_and_neurons_may_rest_on_another_background(size):
    rng = np.random.default_rng(2)
    width, height = size
    x, y = clusters(rng, size, 900)
    blocks = rng.exponential(0.05, (2, -(-height // BLOCK_PX), -(-width // BLOCK_PX)))
    by_block = Activity(blocks[0], size)
    for background in blocks:
        by_pixel = Activity(np.kron(background, np.ones((BLOCK_PX, BLOCK_PX)))[:height, :width])
        by_block.rests_on(background)
        for own in (by_block, by_pixel):
            own.favoured[height // 2 :] = 1
            own.add(places_of(x, y))
        found = by_block.components()
        by_block.remove(places_of(x, y))
        assert len(found) and all(np.array_equal(a, b) for a, b in zip(found, by_pixel.components(), strict=True))
    assert not len(by_block.components())


def components_of(*places, size=(40, 30)):
    """Components where as many events fell at each place as its neurons need to be active."""
    activity = Activity(np.zeros((size[1], size[0])))
    x, y = np.repeat(np.array(places, np.int64), FLOOR, axis=0).T
    activity.add(places_of(x, y))
    return activity.components()


@pytest.mark.parametrize("way", [(1, 0), (0, 1), (1, 1), (-1, 1)])
def test_components_reach_so_far_and_no_further(way):
    """Around a place 5 x 5 neurons are active: those of two lie `gap` px apart."""
    for gap, number in ((REACH_PX, 1), (REACH_PX + 1, 2)):
        step = 4 + gap
        assert len(components_of((15, 10), (15 + way[0] * step, 10 + way[1] * step))) == number


def test_a_u_and_a_spiral_are_one_component_each():
    u = [(5, y) for y in range(5, 25, 3)] + [(20, y) for y in range(5, 25, 3)] + [(x, 24) for x in range(5, 21, 3)]
    assert len(components_of(*u)) == 1
    assert len(components_of(*(place for place in u if place[1] < 18))) == 2


def test_a_row_does_not_go_on_at_the_other_edge():
    found = components_of((39, 10), (0, 11))
    assert len(found) == 2 and found.boxes.tolist() == [[37, 8, 40, 13], [0, 9, 3, 14]]


def test_less_is_enough_where_a_track_is_expected():
    activity = Activity(np.zeros((20, 20)))
    activity.add(places_of(np.full(FAVOURED_FLOOR, 10), np.full(FAVOURED_FLOOR, 10)))
    assert FAVOURED_FLOOR < FLOOR and len(activity.components()) == 0
    activity.favoured[10, 11] = 1
    assert activity.components().pixels.tolist() == [10 * 20 + 11]
    activity.remove(places_of(np.full(1, 10), np.full(1, 10)))
    assert len(activity.components()) == 0


# -- thresholds and the background --------------------------------------------------------------------


@pytest.mark.parametrize(("favoured", "chance", "floor"), [(False, CHANCE, FLOOR), (True, FAVOURED_CHANCE, FAVOURED_FLOOR)])
def test_the_background_reaches_a_threshold_by_chance_alone(favoured, chance, floor):
    events = np.concatenate([[0.0], np.geomspace(1e-5, 100, 39)]).reshape(5, 8)
    thresholds, means = thresholds_of(events, favoured=favoured), 25 * events
    assert thresholds.dtype == np.int32 and thresholds.shape == events.shape and thresholds.min() == floor
    assert (np.diff(thresholds.reshape(-1)) >= 0).all() and thresholds.max() > 2500
    assert (stats.poisson.sf(thresholds - 1, means) <= chance).all()  # of so many events or more
    higher = thresholds > floor
    assert higher.any() and (stats.poisson.sf(thresholds - 2, 1.02 * means) > chance)[higher].all()  # and no higher than that


def test_hardly_any_neuron_is_active_in_noise():
    """So rare that none is to be expected among 20 moments of 10,000 neurons."""
    rng, size, mean = np.random.default_rng(4), (100, 100), 0.2
    for _ in range(20):
        n = rng.poisson(mean * 10_000)
        activity = Activity(np.full((100, 100), mean))
        activity.add(places_of(rng.integers(0, 100, n), rng.integers(0, 100, n)))
        assert len(activity.components()) == 0
    activity.add(places_of(*clusters(rng, size, 400)))
    assert len(activity.components())


def background_reference(t, x, y, size, window):
    """Block by block, in plain Python."""
    duration = int(t[-1] - t[0]) + 1
    steps = max(1, duration // window)
    rows, columns = -(-size[1] // BLOCK_PX), -(-size[0] // BLOCK_PX)
    rate = np.zeros((steps, rows, columns))
    for when, column, row in zip(t.tolist(), x.tolist(), y.tolist(), strict=True):
        rate[min((when - int(t[0])) * steps // duration, steps - 1), row // BLOCK_PX, column // BLOCK_PX] += 1
    for row in range(rows):
        for column in range(columns):
            area = min(BLOCK_PX, size[1] - row * BLOCK_PX) * min(BLOCK_PX, size[0] - column * BLOCK_PX)
            rate[:, row, column] *= window * steps / duration / area
    usual = np.median(rate)
    quiet = np.array(
        [[np.quantile(rate[:, r, c], QUIET) if steps >= FEW_STEPS else usual for c in range(columns)] for r in range(rows)]
    )
    quiet = np.pad(np.maximum(quiet, usual), 1, mode="symmetric")
    out = np.zeros((size[1], size[0]))
    for row in range(size[1]):
        for column in range(size[0]):
            r, c = row // BLOCK_PX, column // BLOCK_PX
            around = quiet[r : r + 3, c : c + 3]
            out[row, column] = 0.5 * (around.max() + around.mean())
    return out


@pytest.mark.parametrize(("size", "duration_us"), [((50, 40), 1_000_000), ((34, 34), 250_000), ((16, 70), 30_000), ((9, 7), 5)])
def test_the_background_is_that_of_the_reference(size, duration_us):
    rng = np.random.default_rng(duration_us)
    n = 3000
    t = np.sort(rng.integers(0, duration_us, n)) + 77
    x, y = rng.integers(0, size[0], n), (rng.random(n) ** 2 * size[1]).astype(np.int64)
    for window in (10_000, 20_000, 80_000):
        found = background_per_window(t, x, y, size, window)
        assert found.shape == (size[1], size[0]) and found.dtype == np.float64
        assert np.allclose(found, background_reference(t, x, y, size, window), rtol=1e-12, atol=0)


def test_the_background_of_even_noise_is_its_rate():
    rng, n = np.random.default_rng(0), 80_000
    t, x, y = np.sort(rng.integers(0, 2_000_000, n)), rng.integers(0, 80, n), rng.integers(0, 64, n)
    mean = n / (80 * 64) * 20_000 / 2e6
    found = background_per_window(t, x, y, (80, 64), 20_000)
    assert found.min() >= 0.9 * mean and found.max() <= 1.4 * mean


def test_what_passes_is_no_background_and_what_always_sends_is():
    rng, n = np.random.default_rng(0), 20_000
    t, x, y = np.sort(rng.integers(0, 2_000_000, n)), rng.integers(0, 80, n), rng.integers(0, 64, n)
    plain = background_per_window(t, x, y, (80, 64), 20_000)

    passing = np.sort(rng.integers(900_000, 1_000_000, 3000))
    always = np.sort(rng.integers(0, 2_000_000, 3000))
    changed = []
    for more in (passing, always):
        when = np.concatenate([t, more])
        order = np.argsort(when, kind="stable")
        column, row = (np.concatenate([own, np.full(len(more), 40)])[order] for own in (x, y))
        changed.append(background_per_window(when[order], column, row, (80, 64), 20_000)[40, 40] / plain[40, 40])
    assert changed[0] < 1.2 and changed[1] > 1.4


def test_there_is_no_background_without_events():
    none = np.zeros(0, np.int64)
    assert not background_per_window(none, none, none, (20, 10), 20_000).any()
    one = np.ones(1, np.int64)
    found = background_per_window(one, one, one, (20, 10), 20_000)
    assert np.isfinite(found).all() and found.shape == (10, 20)


def test_the_events_of_the_window_are_counted_where_they_fall_until_it_is_emptied():
    activity = Activity(np.zeros((20, 30)))
    activity.add(places_of(np.array([3, 3, 9, 29]), np.array([2, 2, 2, 19])))
    assert activity.events_at(np.array([2 * 30 + 3, 19 * 30 + 29, 0])) == 3 and activity.events_at(np.zeros(0, np.int64)) == 0
    activity.clear()
    assert activity.events_at(np.arange(600)) == 0
    activity.add(places_of(np.full(9, 5), np.full(9, 5)))
    assert 5 * 30 + 5 in activity.pixels().tolist()
    activity.clear()
    assert not len(activity.pixels())


# -- hot pixels ---------------------------------------------------------------------------------------


def test_hot_pixels_are_those_that_stand_out_among_their_neighbours():
    rng, size = np.random.default_rng(2), (30, 20)
    counts = rng.integers(0, 4, (20, 30))
    for row, column, many in ((0, 0, 60), (10, 10, 60), (19, 29, 16), (5, 29, 200), (5, 5, 30)):
        counts[row, column] = many
    counts[4:7, 4:7] = 30  # all of a block are bright
    y, x = (np.repeat(own.reshape(-1), counts.reshape(-1)) for own in np.mgrid[:20, :30])
    padded = np.pad(counts, 1, mode="symmetric")
    expected = np.zeros((20, 30), bool)
    for row in range(20):
        for column in range(30):
            around = (padded[row : row + 3, column : column + 3].sum() - counts[row, column]) / 8
            expected[row, column] = counts[row, column] > HOT_TIMES * around + HOT_EVENTS
    found = hot_pixels(x, y, size)
    assert found.dtype == bool and np.array_equal(found, expected)
    assert expected[10, 10] and expected[5, 29] and not expected[4:7, 4:7].any()
    assert not hot_pixels(np.zeros(0, np.int64), np.zeros(0, np.int64), size).any()


def test_the_background_of_a_long_recording_is_looked_at_in_some_windows(monkeypatch):
    """As in all of them, where it is steady; in no more memory than these take."""
    rng = np.random.default_rng(5)
    t = np.sort(rng.integers(0, 4_000_000, 40_000))
    x, y = rng.integers(0, 40, 40_000), rng.integers(0, 30, 40_000)
    all_of_them = activity.background_per_window(t, x, y, (40, 30), 10_000)
    monkeypatch.setattr(activity, "MOST_STEPS", 50)
    some = activity.background_per_window(t, x, y, (40, 30), 10_000)
    assert some.shape == (30, 40) and np.abs(some / all_of_them - 1).max() < 0.15
