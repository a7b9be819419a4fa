"""How fast something goes along its way: straight on, in circles, and where its positions jitter."""

import numpy as np
import pytest

from spikeseg.tracking.way import mean_speed, rows_to_average

STEP_US = 25_000


def straight(n, velocity=(-3.6, 3.0), jitter=0.0, seed=0):
    """t_us (n,) and positions (n, 2), every 25 ms, with white jitter of so many px in x and y."""
    t_us = np.arange(n) * STEP_US + 1_600_000_000_000_000
    positions = np.outer((t_us - t_us[0]) * 1e-6, velocity) + 280
    return t_us, positions + jitter * np.random.default_rng(seed).normal(size=(n, 2))


@pytest.mark.parametrize("velocity", [(0.0, 0.0), (0.3, 0.4), (300.0, 400.0)])
def test_what_does_not_jitter_is_not_smoothed(velocity):
    t_us, positions = straight(40, velocity)
    assert rows_to_average(positions) == 1
    assert mean_speed(t_us, positions, 1) == pytest.approx(np.hypot(*velocity))


def test_nor_is_what_turns():
    t_us, _ = straight(40)
    angle = 500 / 80 * (t_us - t_us[0]) * 1e-6
    circle = 80 * np.stack([np.cos(angle), np.sin(angle)], 1)
    assert rows_to_average(circle) == 1 and mean_speed(t_us, circle, 1) == pytest.approx(500, rel=0.01)


@pytest.mark.parametrize("jitter", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_jitter_is_no_way(jitter, seed):
    t_us, positions = straight(431, jitter=jitter, seed=seed)
    rows = rows_to_average(positions)
    assert mean_speed(t_us, positions, 1) > 4 * np.hypot(3.6, 3.0)
    assert rows > 1 and mean_speed(t_us, positions, rows) == pytest.approx(np.hypot(3.6, 3.0), rel=0.1)


def test_the_more_jitter_the_more_rows():
    rows = [rows_to_average(straight(431, jitter=jitter)[1]) for jitter in (0.0, 0.1, 0.5, 2.0)]
    assert rows == sorted(set(rows))


def test_where_no_steps_agree_nothing_is_averaged():
    assert rows_to_average(straight(431, (0.0, 0.0), jitter=2.0)[1]) == 1
    assert [rows_to_average(straight(n, jitter=2.0)[1]) for n in (1, 2)] == [1, 1]


def test_steps_over_a_time_in_which_it_was_not_seen():
    t_us, positions = straight(80, (30.0, -40.0))
    seen = np.r_[0:20, 60:80]
    assert mean_speed(t_us[seen], positions[seen], 4) == pytest.approx(50)
