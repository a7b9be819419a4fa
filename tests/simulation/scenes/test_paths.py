"""Paths of shapes, and how often they are rendered."""

from dataclasses import replace

import numpy as np
import pytest

from spikeseg.simulation.scenes import SceneConfig
from spikeseg.simulation.scenes.paths import STEP_PX, draw_passing, draw_path, renderings

CONFIG = SceneConfig(sensor_size=(100, 80), duration_s=1.0, speed_px_s=(50.0, 3000.0))


@pytest.mark.parametrize("motion", ["straight", "turn", "stop", "grow"])
def test_a_path_passes_its_point_at_its_speed(motion):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        passing = draw_passing(rng, CONFIG)
        path = draw_path(rng, CONFIG, motion, passing)
        at = [np.interp(passing.at_s, path.t_s, path.pose[:, axis]) for axis in (0, 1)]
        assert at == pytest.approx(passing.point, abs=0.5)
        speed = np.hypot(*np.diff(path.pose[:, :2], axis=0).T) / np.diff(path.t_s)
        assert speed.max() == pytest.approx(passing.speed_px_s, rel=0.02)
        assert (speed.min() < 1e-6 * speed.max()) == (motion == "stop")
        assert path.pose[:, 3].max() == pytest.approx(1.0)
        assert (np.ptp(path.pose[:, 3]) > 0.4) == (motion == "grow")


def test_no_part_of_a_shape_moves_further_than_half_a_pixel_between_two_renderings():
    for seed, motion in enumerate(("straight", "turn", "stop", "grow")):
        rng = np.random.default_rng(seed)
        path = draw_path(rng, CONFIG, motion, draw_passing(rng, CONFIG))
        when, pose = renderings(path, 10.0, CONFIG.sensor_size)
        assert len(when) > 50 and np.all(np.diff(when) > 0)
        moved = np.hypot(*np.diff(pose[:, :2], axis=0).T) + 10 * np.abs(np.diff(pose[:, 2:], axis=0)).sum(1)
        inside = np.all((pose[:, :2] > 0) & (pose[:, :2] < CONFIG.sensor_size), axis=1)
        assert moved[inside[1:] & inside[:-1]].max() <= STEP_PX + 1e-6


def test_off_the_sensor_nothing_is_rendered():
    config = replace(CONFIG, duration_s=10.0, speed_px_s=(200.0, 200.0))
    rng = np.random.default_rng(0)
    path = draw_path(rng, config, "straight", draw_passing(rng, config))
    when, pose = renderings(path, 5.0, config.sensor_size)
    assert np.all((pose[:, :2] > -10) & (pose[:, :2] < np.array(config.sensor_size) + 10))
    assert len(when) < 2 * 2.5 * np.hypot(*config.sensor_size)
