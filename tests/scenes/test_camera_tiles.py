"""Motions between two images, in tiles."""

import numpy as np
import pytest

from spikeseg.scenes.camera_tiles import Events, Tiles

SIZE = (160, 120)


def dots(seed, number, size=SIZE):
    rng = np.random.default_rng(seed)
    return rng.uniform(-20, 20 + np.array(size), (number, 2)), rng.random(number) < 0.5


def image(tiles, places, on, size=SIZE):
    at = np.floor(places).astype(int)
    seen = np.all((at >= 0) & (at < size), 1)
    return tiles.image(Events(np.zeros(seen.sum()), at[seen, 0], at[seen, 1], on[seen]), slice(0, int(seen.sum())))


@pytest.mark.parametrize("size", [(34, 34), (160, 120), (346, 260), (640, 480), (1280, 720)])
def test_tiles_cover_the_sensor(size):
    tiles = Tiles.of(size)
    covered = np.zeros(tiles.shape, bool)
    for i, j in tiles.corner:
        covered[i : i + tiles.side, j : j + tiles.side] = True
    assert covered.all() and tiles.shape[0] * tiles.shape[1] <= 46_000
    np.testing.assert_allclose(tiles.place[:, :2].mean(0), 0, atol=2 * tiles.bin_px)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.0, -2.0), (-9.0, 5.0), (1.5, 0.5)])
def test_a_shift_is_found(shift):
    tiles, (places, on) = Tiles.of(SIZE), dots(1, 4000)
    step = tiles.step(image(tiles, places, on), image(tiles, places + shift, on))
    np.testing.assert_allclose(step.motion[:, 2], shift, atol=0.25)
    np.testing.assert_allclose(step.motion[:, :2] * 80, 0, atol=0.25)
    assert step.support > 0.95 and abs(step.shift - np.hypot(*shift)) < 0.3
    assert step.covered > 0.8 if any(shift) else step.covered <= 0


def test_turn_and_zoom_are_found():
    tiles, (places, on) = Tiles.of(SIZE), dots(1, 4000)
    matrix, centre = np.array([[1.03, -0.04], [0.04, 1.03]]), np.array(SIZE) / 2
    step = tiles.step(image(tiles, places, on), image(tiles, (places - centre) @ matrix.T + centre, on))
    np.testing.assert_allclose(step.motion[:, :2], matrix - np.eye(2), atol=0.005)


def test_a_few_that_differ_do_not_turn_the_rest():
    """A quarter of the sensor moves elsewhere, and has five times as many events."""
    tiles, (places, on), (others, other_on) = Tiles.of(SIZE), dots(1, 4000), dots(2, 20_000)
    rest, quarter = ~np.all(places < np.array(SIZE) / 2, 1), np.all(others < np.array(SIZE) / 2, 1)
    first = np.concatenate([places[rest], others[quarter]])
    second = np.concatenate([places[rest] + (4, 0), others[quarter] + (-3, 5)])
    both = np.concatenate([on[rest], other_on[quarter]])
    step = tiles.step(image(tiles, first, both), image(tiles, second, both))
    np.testing.assert_allclose(step.motion[:, 2], (4, 0), atol=0.4)
    assert 0.5 < step.support < 0.9


def test_what_stands_still_speaks_against_a_motion():
    """Left half moves, right half stands."""
    tiles, (places, on) = Tiles.of(SIZE), dots(1, 6000)
    left = places[:, 0] < 80
    step = tiles.step(image(tiles, places, on), image(tiles, places + left[:, None] * (5, 0), on))
    assert step.covered < 0.25


def test_noise_agrees_with_nothing():
    tiles = Tiles.of(SIZE)
    step = tiles.step(image(tiles, *dots(1, 3000)), image(tiles, *dots(2, 3000)))
    assert step.support < 0.3 and step.covered < 0.25


def test_tiles_with_few_events_say_nothing():
    tiles, (places, on) = Tiles.of(SIZE), dots(1, 300)
    assert not tiles.correlation(image(tiles, places, on), image(tiles, places, on)).any()
    assert tiles.step(image(tiles, places, on), image(tiles, places, on)).support == 0
