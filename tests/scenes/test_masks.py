"""Masks against dense images."""

import numpy as np
import pytest
from scipy import ndimage

from spikeseg.scenes.mask_kernels import beside, look_for, mark, move, move_all, near, pixels_on
from spikeseg.scenes.masks import box_of, gap, grown, nearest

SIZE = (23, 17)


def image_of(mask):
    image = np.zeros(SIZE[::-1], bool)
    image[mask] = True
    return image


def some(seed, n=30):
    return np.nonzero(np.random.default_rng(seed).random(SIZE[::-1]) < n / (SIZE[0] * SIZE[1]))


def moved(mask, way, size):
    """A mask, moved by a way (x, y), as far as it is on a sensor of (width, height)."""
    return move(*mask, round(way[1]), round(way[0]), size[1], size[0])


@pytest.mark.parametrize("by", [0, 1, 3, 15, 40])
def test_grown_as_a_square_grows_it(by):
    for seed in range(4):
        found = grown(some(seed), by, SIZE)
        assert np.array_equal(image_of(found), ndimage.binary_dilation(image_of(some(seed)), np.ones((2 * by + 1, 2 * by + 1))))
        assert len(found[0]) == image_of(found).sum()
    none = np.zeros(0, np.int64), np.zeros(0, np.int64)
    assert len(grown(none, by, SIZE)[0]) == 0


@pytest.mark.parametrize("way", [(0.0, 0.0), (2.4, -1.6), (-22.0, 3.0), (0.0, 17.0), (500.0, -500.0)])
def test_moved_as_far_as_it_is_on_the_sensor(way):
    image, found, marked = image_of(some(1)), moved(some(1), way, SIZE), np.zeros(SIZE[::-1], np.int32)
    mark(*some(1), round(way[1]), round(way[0]), 7, marked)
    assert np.array_equal(marked, 7 * image_of(found))
    expected = np.zeros_like(image)
    for y, x in zip(*np.nonzero(image), strict=True):
        row, column = y + round(way[1]), x + round(way[0])
        if 0 <= row < SIZE[1] and 0 <= column < SIZE[0]:
            expected[row, column] = True
    assert np.array_equal(image_of(found), expected) and len(found[0]) == expected.sum()


def test_boxes_and_what_lies_between_them():
    assert box_of((np.array([3, 5, 4]), np.array([7, 7, 10]))).tolist() == [7, 3, 11, 6]
    one = np.array([0, 0, 10, 10])
    for other, px in (([12, 0, 20, 10], 2), ([12, 15, 20, 20], 5), ([5, 5, 8, 8], 0), ([10, 0, 12, 4], 0), ([-9, -8, -4, -3], 4)):
        assert gap(one, np.array(other)) == gap(np.array(other), one) == px


def test_each_pixel_goes_to_the_nearest_mask():
    rng = np.random.default_rng(0)
    masks = [(rng.integers(0, 5, 8), rng.integers(0, 5, 8)), (rng.integers(10, 16, 8), rng.integers(12, 20, 8))]
    pixels = np.nonzero(np.ones(SIZE[::-1], bool))
    found = nearest(pixels, np.array([0, 0, *SIZE]), masks)
    away = [np.hypot(pixels[0][:, None] - y, pixels[1][:, None] - x).min(1) for y, x in masks]
    assert np.array_equal(found == 0, away[0] <= away[1]) and {0, 1} == set(found.tolist())
    outside = [(np.array([30]), np.array([30])), masks[1]]
    assert (nearest(pixels, np.array([0, 0, *SIZE]), outside) == 1).all()


def test_masks_are_moved_together_as_each_alone():
    rng = np.random.default_rng(5)
    masks = [some(seed, 12) for seed in range(5)]
    masks[2] = np.zeros(0, np.int64), np.zeros(0, np.int64)
    label = rng.integers(0, 4, SIZE[::-1]).astype(np.int32)
    ways = rng.integers(-6, 7, (5, 2))
    begins = np.cumsum([0, *(len(y) for y, _ in masks)])
    flat = (np.concatenate([mask[axis] for mask in masks]) for axis in (0, 1))
    y, x, begins, shared = move_all(*flat, begins, ways[:, 1].copy(), ways[:, 0].copy(), label, 3)
    assert shared.shape == (5, 3) and shared.sum() > 0 and len(y) < sum(len(mask[0]) for mask in masks)
    for k, mask in enumerate(masks):
        rows, columns = moved(mask, ways[k], SIZE)
        own = slice(begins[k], begins[k + 1])
        assert np.array_equal(y[own], rows) and np.array_equal(x[own], columns)
        assert shared[k].tolist() == pixels_on(label, rows, columns, 3).tolist()
        assert shared[k].tolist() == [int((label[rows, columns] == number).sum()) for number in (1, 2, 3)]


def test_a_mask_that_is_lost_is_looked_for_where_it_would_be_and_where_it_was():
    rng, chosen = np.random.default_rng(7), []
    for seed in range(40):
        mask, way, by = some(seed, 3), rng.integers(-9, 10, 2), int(rng.integers(0, 4))
        label = np.where(rng.random(SIZE[::-1]) < 0.02, rng.integers(1, 4, SIZE[::-1]), 0).astype(np.int32)
        looks = [grown(moved(mask, to, SIZE), by, SIZE) for to in (way, np.zeros(2))]
        found = [[int((label[look] == number).sum()) for number in (1, 2, 3)] for look in looks]
        best = int(sum(found[1]) > sum(found[0]))
        y, x, shared = look_for(*mask, int(way[1]), int(way[0]), True, by, label, 3)
        assert shared.tolist() == found[best]
        if shared.any():
            assert np.array_equal(image_of((y, x)), image_of(looks[best])) and len(y) == len(looks[best][0])
            chosen.append(best)
    assert {0, 1} == set(chosen) and len(chosen) < 40


def test_which_masks_that_are_lost_have_any_component_near():
    """In the box about them where they would be, or where they were if they may have stayed; none of a mask without pixels."""
    rng = np.random.default_rng(9)
    none = np.zeros(0, np.int64)
    masks = [some(seed, 8) for seed in range(30)] + [(none, none)]
    ways, by, stays = rng.integers(-30, 31, (31, 2)), rng.integers(0, 4, 31), rng.random(31) < 0.5
    label = np.where(rng.random(SIZE[::-1]) < 0.01, 1, 0).astype(np.int32)
    y, x = (np.concatenate([mask[axis] for mask in masks]) for axis in (0, 1))
    begins = np.cumsum([0, *(len(mask[0]) for mask in masks)])
    found = near(y, x, begins, ways[:, 1].copy(), ways[:, 0].copy(), stays, by, label)
    padded, room = np.pad(label, 50), 50
    for k, (own_y, own_x) in enumerate(masks[:30]):
        expected = False
        for right, down in [ways[k], (0, 0)][: 1 + stays[k]]:
            rows = slice(own_y.min() + down - by[k] + room, own_y.max() + down + by[k] + 1 + room)
            columns = slice(own_x.min() + right - by[k] + room, own_x.max() + right + by[k] + 1 + room)
            expected |= bool(padded[rows, columns].any())
        assert found[k] == expected
    assert found.any() and not found[:30].all() and not found[30]


def test_what_begins_beside_what():
    rng = np.random.default_rng(6)
    where = np.hstack([rng.uniform(0, 60, (12, 2)), rng.uniform(1, 6, (12, 2))])
    pairs = set()
    for new in range(8, 12):
        for other in range(new):
            gap = (np.abs(where[new, :2] - where[other, :2]) - where[new, 2:] - where[other, 2:]).max()
            if gap <= max(3.0, 0.5 * max(where[new, 2:].max(), where[other, 2:].max())):
                pairs.add((new, other))
    found = list(zip(*(own.tolist() for own in beside(8, where, 3.0, 0.5)), strict=True))
    assert len(found) == len(pairs) and set(found) == pairs and found == sorted(found) and 0 < len(pairs) < 38
    assert not len(beside(12, where, 3.0, 0.5)[0])
