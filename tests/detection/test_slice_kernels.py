"""Pixels that the events of scenes' objects light up, against their definitions."""

import numpy as np

from spikeseg.detection.slice_kernels import first_come, lit_pixels, scores_of

WIDTH, HEIGHT = 37, 11


def test_each_pixel_of_each_stretch_comes_once_and_rising():
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 2 * WIDTH, 500), rng.integers(0, HEIGHT, 500)
    own, ranges = np.flatnonzero(rng.random(500) < 0.5), np.array([[0, 90], [90, 90], [60, 200]])
    cells, marks = (np.arange(2 * WIDTH) // 2, np.arange(HEIGHT) * WIDTH), np.zeros(WIDTH * HEIGHT // 64 + 1, np.uint64)
    begins, pixels = lit_pixels(own, (x, y), cells, ranges, marks)
    for k, (first, last) in enumerate(ranges.tolist()):
        events = own[first:last]
        assert pixels[begins[k] : begins[k + 1]].tolist() == np.unique(y[events] * WIDTH + x[events] // 2).tolist()
    assert begins[1] == begins[2] > 0 and begins[3] == len(pixels) and pixels.dtype == np.int32 and not marks.any()


def test_a_pixel_of_two_goes_to_the_first():
    rng = np.random.default_rng(4)
    pixel = np.concatenate([np.sort(rng.choice(WIDTH * HEIGHT, n, replace=False)) for n in (120, 200, 90)]).astype(np.int32)
    number = np.repeat(np.arange(1, 4, dtype=np.int32), (120, 200, 90))
    owner, marks = np.zeros(WIDTH * HEIGHT, np.int32), np.zeros(WIDTH * HEIGHT // 64 + 1, np.uint64)
    wanted, first = np.unique(pixel, return_index=True)
    for _ in range(2):  # what the first call leaves does not disturb the second
        pixels, numbers = first_come(pixel, number, owner, marks)
        assert np.array_equal(pixels, wanted) and np.array_equal(numbers, number[first]) and numbers.dtype == np.int32
    assert len(wanted) < len(pixel) and len(first_come(pixel[:0], number[:0], owner, marks)[0]) == 0


def test_an_events_score_is_that_of_its_object_or_a_small_one_by_its_saliency():
    ids, score, out = np.array([0, 2, 0, 1], np.int32), np.array([0.0, 0.6, 0.9]), np.empty(4)
    saliency = np.array([0.0, 5.0, 4.0, 0.0])
    scores_of(ids, score, saliency, 0.1, out)
    assert out.tolist() == [0.0, 0.9, 0.1 * 4 / 5, 0.6]
