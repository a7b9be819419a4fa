"""The filter against values by hand, against itself over split times, and against least squares."""

import numpy as np
import pytest

from spikeseg.algorithms import kalman


def filtered(times_s, positions):
    """Beliefs after each measurement."""
    beliefs = [kalman.begin(positions[0])]
    for before, now, position in zip(times_s, times_s[1:], positions[1:], strict=False):
        beliefs.append(kalman.update(kalman.predict(beliefs[-1], now - before), position))
    return beliefs


def test_a_first_measurement_is_believed_and_says_nothing_of_the_velocity():
    state = kalman.begin(np.array([3.0, 4.0]))
    assert state.mean.tolist() == [[3, 4], [0, 0]]
    assert state.covariance.tolist() == [[kalman.MEASUREMENT_PX**2, 0], [0, kalman.FIRST_SPEED_PX_S**2]]


def test_prediction_by_hand():
    state = kalman.State(np.array([[1.0, 2.0], [10.0, -20.0]]), np.array([[1.0, 0.5], [0.5, 4.0]]))
    ahead = kalman.predict(state, 0.5)
    assert ahead.mean.tolist() == [[6, -8], [10, -20]]
    q = kalman.ACCELERATION
    expected = [[1 + 2 * 0.5 * 0.5 + 0.25 * 4 + q / 24, 0.5 + 0.5 * 4 + q / 8], [0.5 + 0.5 * 4 + q / 8, 4 + q / 2]]
    np.testing.assert_allclose(ahead.covariance, expected)


def test_update_by_hand():
    state = kalman.State(np.array([[0.0, 0.0], [10.0, 0.0]]), np.array([[3.0, 2.0], [2.0, 8.0]]))
    assert kalman.innovation_variance(state) == 3 + kalman.MEASUREMENT_PX**2 == 4
    after = kalman.update(state, np.array([4.0, -2.0]))
    np.testing.assert_allclose(after.mean, [[3, -1.5], [12, -1]])
    np.testing.assert_allclose(after.covariance, [[0.75, 0.5], [0.5, 7]])


def test_time_may_be_divided_at_will():
    state = kalman.update(kalman.predict(kalman.begin(np.array([5.0, 5.0])), 0.1), np.array([7.0, 4.0]))
    once = kalman.predict(state, 0.5)
    twice = kalman.predict(kalman.predict(state, 0.2), 0.3)
    np.testing.assert_allclose(once.mean, twice.mean)
    np.testing.assert_allclose(once.covariance, twice.covariance)
    np.testing.assert_array_equal(kalman.predict(state, 0.0).covariance, state.covariance)


def test_the_smoother_knows_the_velocity_from_the_first_measurement_on():
    times = np.array([0.0, 0.1, 0.2, 0.4, 0.5])
    positions = np.array([20.0, 30.0]) + times[:, None] * np.array([80.0, -40.0])
    smoothed = kalman.smooth(filtered(times, positions), times)
    means = np.array([state.mean for state in smoothed])
    np.testing.assert_allclose(means[:, 0], positions, atol=0.01)
    np.testing.assert_allclose(means[:, 1], np.tile([80.0, -40.0], (5, 1)), rtol=1e-3)


def test_without_acceleration_the_smoother_is_a_straight_line_by_least_squares(monkeypatch):
    monkeypatch.setattr(kalman, "ACCELERATION", 1e-9)
    monkeypatch.setattr(kalman, "FIRST_SPEED_PX_S", 1e5)
    times = np.array([0.0, 0.1, 0.3, 0.4, 0.7, 0.8])
    positions = np.random.default_rng(3).normal(size=(6, 2)) + times[:, None] * 50
    smoothed = np.array([state.mean for state in kalman.smooth(filtered(times, positions), times)])
    slope, offset = np.polyfit(times, positions, 1)
    np.testing.assert_allclose(smoothed[:, 1], np.tile(slope, (6, 1)), rtol=1e-4)
    np.testing.assert_allclose(smoothed[:, 0], offset + times[:, None] * slope, rtol=1e-4)


def test_smoothing_ends_at_the_filter_and_adds_no_doubt():
    times = np.arange(8) * 0.1
    beliefs = filtered(times, np.random.default_rng(0).normal(size=(8, 2)))
    smoothed = kalman.smooth(beliefs, times)
    assert smoothed[-1] is beliefs[-1]
    for before, after in zip(beliefs[:-1], smoothed[:-1], strict=True):
        assert (np.diag(after.covariance) < np.diag(before.covariance)).all()
        assert (np.linalg.eigvalsh(after.covariance) > 0).all()


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_smooth(n):
    beliefs = [kalman.begin(np.zeros(2))] * n
    assert kalman.smooth(beliefs, [0.0] * n) == beliefs


def test_errors_are_as_large_as_the_filter_says():
    rng = np.random.default_rng(1)
    still = kalman.State(np.zeros((2, 2)), np.zeros((2, 2)))
    kicks = np.linalg.cholesky(kalman.predict(still, 0.1).covariance)
    normalised = []
    for _ in range(400):
        truth = np.stack([np.full(2, 50.0), rng.normal(0, kalman.FIRST_SPEED_PX_S, 2)])
        belief = kalman.begin(truth[0] + rng.normal(0, kalman.MEASUREMENT_PX, 2))
        for _ in range(8):
            truth = np.stack([truth[0] + 0.1 * truth[1], truth[1]]) + kicks @ rng.normal(size=(2, 2))
            measured = truth[0] + rng.normal(0, kalman.MEASUREMENT_PX, 2)
            belief = kalman.update(kalman.predict(belief, 0.1), measured)
        error = belief.mean - truth
        normalised += [error[:, k] @ np.linalg.solve(belief.covariance, error[:, k]) for k in (0, 1)]
    assert np.mean(normalised) == pytest.approx(2, abs=0.2)  # chi-squared of two numbers; 800 samples spread by 0.07
