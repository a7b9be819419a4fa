"""Shapes: their edges, tones and outlines."""

import numpy as np
import pytest

from spikeseg.simulation.scenes.shapes import capsule, draw_shape, pillar, texture


def test_a_shape_fills_a_part_of_its_circle_and_has_its_tone():
    for seed in range(30):
        shape = draw_shape(np.random.default_rng(seed), "plain", 40.0, -1.0, 0.3)
        inside = shape.distance < 0
        y, x = np.indices(inside.shape) - (len(inside) - 1) / 2
        assert 0.2 < inside.sum() / (np.pi * 20**2) < 1.02 and np.hypot(x, y)[inside].max() <= 20.01
        assert shape.tone == pytest.approx(np.exp(-1.0)) and shape.outline_px == 0


def test_the_distance_to_the_edge_is_about_that_to_the_nearest_pixel_outside():
    from scipy import ndimage

    for seed in range(10):
        shape = draw_shape(np.random.default_rng(seed), "plain", 60.0, 1.0, 0.3)
        real = ndimage.distance_transform_edt(shape.distance < 0)
        near = (shape.distance < -1) & (shape.distance > -4)
        assert np.abs(-shape.distance - real + 0.5)[near].mean() < 1.0


@pytest.mark.parametrize("seed", [960, 1445])
def test_a_polygon_with_two_parallel_sides_ends_somewhere(seed):
    shape = draw_shape(np.random.default_rng(seed), "plain", 60.0, 1.0, 0.3)
    assert np.isfinite(shape.distance).all() and (shape.distance < 0).any()


def test_textures_have_their_spread_and_no_wavelengths_but_theirs():
    field = texture(np.random.default_rng(0), (64, 96), (6.0, 20.0))
    assert field.mean() == pytest.approx(0, abs=1e-9) and field.std() == pytest.approx(1)
    power = np.abs(np.fft.fft2(field)) ** 2
    frequency = np.hypot(np.fft.fftfreq(96), np.fft.fftfreq(64)[:, None])
    assert power[(frequency < 1 / 20) | (frequency > 1 / 6)].sum() < 1e-9 * power.sum()
    assert not texture(np.random.default_rng(0), (5, 5), (100.0, 200.0)).any()
    shape = draw_shape(np.random.default_rng(1), "textured", 60.0, 0.5, 0.3)
    assert np.log(shape.tone).std() == pytest.approx(0.3, abs=0.01) and np.log(shape.tone).mean() == pytest.approx(0.5, abs=0.01)


def test_hollow_shapes_have_an_outline_and_pillars_are_fixed():
    assert draw_shape(np.random.default_rng(0), "hollow", 30.0, 1.0, 0.3).outline_px > 1
    bar = pillar(9, 40, 0.8)
    assert bar.fixed and np.count_nonzero(bar.distance[len(bar.distance) // 2] < 0) == 9


def test_a_capsule_has_its_length_radius_and_tone():
    shape = capsule(np.random.default_rng(0), "plain", 20.0, 4.5, 0.7, 0.3)
    inside = shape.distance < 0
    half = len(inside) // 2
    assert np.count_nonzero(inside[half]) == 29 and np.all(np.count_nonzero(inside[:, half - 10 : half + 11], axis=0) == 9)
    assert shape.radius_px == 14.5 and shape.distance[half, half] == -4.5 and shape.distance.min() == -4.5
    assert shape.tone == pytest.approx(np.exp(0.7)) and not shape.fixed and shape.outline_px == 0
    field = np.log(capsule(np.random.default_rng(0), "textured", 20.0, 4.5, 0.7, 0.3).tone)
    assert field.std() == pytest.approx(0.3, abs=0.01) and field.mean() == pytest.approx(0.7, abs=0.01)
