"""The filter against values by hand, against itself over split times, and against least squares."""

import numpy as np
import pytest
from point_filter import begin, predict, update

from spikeseg.tracking import kalman
from spikeseg.tracking.kalman import Beliefs, Motion

MOTION = Motion(acceleration=20.0, first_speed_px_s=50.0)


def filtered(times_s, positions, motion=MOTION):
    """Beliefs after each measurement of one point."""
    beliefs = [begin(positions[:1], motion)]
    for before, now, position in zip(times_s, times_s[1:], positions[1:], strict=False):
        beliefs.append(update(predict(beliefs[-1], now - before, motion), position[None]))
    return beliefs


def matrices(beliefs):
    """Covariances (n, 2, 2) of position and velocity."""
    place, both, speed = beliefs.covariance.T
    return np.stack([place, both, both, speed], 1).reshape(-1, 2, 2)


def test_a_first_measurement_is_believed_and_says_nothing_of_the_velocity():
    beliefs = begin(np.array([[3.0, 4.0], [5.0, 6.0]]), MOTION)
    assert beliefs.mean.tolist() == [[[3, 4], [0, 0]], [[5, 6], [0, 0]]]
    assert beliefs.covariance.tolist() == [[kalman.MEASUREMENT_PX**2, 0, 2500]] * 2


def test_prediction_by_hand():
    beliefs = Beliefs(np.array([[[1.0, 2.0], [10.0, -20.0]]]), np.array([[1.0, 0.5, 4.0]]))
    ahead = predict(beliefs, 0.5, Motion(24.0, 0.0))
    assert ahead.mean.tolist() == [[[6, -8], [10, -20]]]
    np.testing.assert_allclose(ahead.covariance, [[1 + 2 * 0.5 * 0.5 + 0.25 * 4 + 24 / 24, 0.5 + 0.5 * 4 + 24 / 8, 4 + 24 / 2]])
    assert beliefs.mean.tolist() == [[[1, 2], [10, -20]]]  # left as it was


def test_update_by_hand():
    beliefs = Beliefs(np.array([[[0.0, 0.0], [10.0, 0.0]]]), np.array([[3.0, 2.0, 8.0]]))
    assert 3 + kalman.MEASUREMENT_PX**2 == 4  # the variance of what is measured
    after = update(beliefs, np.array([[4.0, -2.0]]))
    np.testing.assert_allclose(after.mean, [[[3, -1.5], [12, -1]]])
    np.testing.assert_allclose(after.covariance, [[0.75, 0.5, 7]])


def test_time_may_be_divided_at_will():
    belief = update(predict(begin(np.array([[5.0, 5.0]]), MOTION), 0.1, MOTION), np.array([[7.0, 4.0]]))
    once = predict(belief, 0.5, MOTION)
    twice = predict(predict(belief, 0.2, MOTION), 0.3, MOTION)
    np.testing.assert_allclose(once.mean, twice.mean)
    np.testing.assert_allclose(once.covariance, twice.covariance)
    np.testing.assert_array_equal(predict(belief, 0.0, MOTION).covariance, belief.covariance)


def test_points_know_nothing_of_each_other():
    positions = np.random.default_rng(0).normal(size=(6, 3, 2))
    together = begin(positions[0], MOTION)
    for now in positions[1:]:
        together = update(predict(together, 0.1, MOTION), now)
    for k in range(3):
        alone = filtered(np.arange(6) * 0.1, positions[:, k])[-1]
        np.testing.assert_allclose(alone.mean[0], together.mean[k])
        np.testing.assert_allclose(alone.covariance[0], together.covariance[k])


def test_the_smoother_knows_the_velocity_from_the_first_measurement_on():
    times = np.array([0.0, 0.1, 0.2, 0.4, 0.5])
    positions = np.array([20.0, 30.0]) + times[:, None] * np.array([80.0, -40.0])
    mean = kalman.smooth(times, positions, MOTION._replace(first_speed_px_s=300.0)).mean
    np.testing.assert_allclose(mean[:, 0], positions, atol=0.01)
    np.testing.assert_allclose(mean[:, 1], np.tile([80.0, -40.0], (5, 1)), rtol=1e-3)


def test_without_acceleration_the_smoother_is_a_straight_line_by_least_squares():
    times = np.array([0.0, 0.1, 0.3, 0.4, 0.7, 0.8])
    positions = np.random.default_rng(3).normal(size=(6, 2)) + times[:, None] * 50
    smoothed = kalman.smooth(times, positions, Motion(1e-9, 1e3))
    slope, offset = np.polyfit(times, positions, 1)
    np.testing.assert_allclose(smoothed.mean[:, 1], np.tile(slope, (6, 1)), rtol=1e-4)
    np.testing.assert_allclose(smoothed.mean[:, 0], offset + times[:, None] * slope, rtol=1e-4)
    spread = ((times - times.mean()) ** 2).sum()
    np.testing.assert_allclose(smoothed.covariance[:, 2], kalman.MEASUREMENT_PX**2 / spread, rtol=1e-4)
    expected = kalman.MEASUREMENT_PX**2 * (1 / 6 + (times - times.mean()) ** 2 / spread)
    np.testing.assert_allclose(smoothed.covariance[:, 0], expected, rtol=1e-4)


def test_smoothing_ends_at_the_filter_and_adds_no_doubt():
    times, positions = np.arange(8) * 0.1, np.random.default_rng(0).normal(size=(8, 2))
    beliefs, smoothed = filtered(times, positions), kalman.smooth(times, positions, MOTION)
    np.testing.assert_array_equal(smoothed.mean[-1], beliefs[-1].mean[0])
    np.testing.assert_array_equal(smoothed.covariance[-1], beliefs[-1].covariance[0])
    before = np.concatenate([belief.covariance for belief in beliefs])
    assert (smoothed.covariance[:-1, [0, 2]] < before[:-1, [0, 2]]).all()
    assert (np.linalg.eigvalsh(matrices(smoothed)) > 0).all()


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_smooth(n):
    smoothed = kalman.smooth([0.0] * n, np.full((n, 2), 7.0), MOTION)
    assert smoothed.mean.shape == (n, 2, 2) and smoothed.mean[:, 0].tolist() == [[7, 7]] * n
    assert smoothed.covariance.tolist() == [[1, 0, 2500]] * n


def test_no_points_at_all():
    none = update(predict(begin(np.zeros((0, 2)), MOTION), 0.1, MOTION), np.zeros((0, 2)))
    assert none.mean.shape == (0, 2, 2) and none.covariance.shape == (0, 3)


def test_errors_are_as_large_as_the_filter_and_the_smoother_say():
    rng = np.random.default_rng(1)
    n = 800
    still = Beliefs(np.zeros((1, 2, 2)), np.zeros((1, 3)))
    kicks = np.linalg.cholesky(matrices(predict(still, 0.1, MOTION))[0])
    truth = np.stack([np.full((n, 2), 50.0), rng.normal(0, MOTION.first_speed_px_s, (n, 2))], 1)
    path, seen = [truth], [truth[:, 0] + rng.normal(0, kalman.MEASUREMENT_PX, (n, 2))]
    belief = begin(seen[0], MOTION)
    for _ in range(8):
        truth = np.stack([truth[:, 0] + 0.1 * truth[:, 1], truth[:, 1]], 1) + kicks @ rng.normal(size=(n, 2, 2))
        path.append(truth)
        seen.append(truth[:, 0] + rng.normal(0, kalman.MEASUREMENT_PX, (n, 2)))
        belief = update(predict(belief, 0.1, MOTION), seen[-1])

    def normalised(found, error):
        """Chi-squared of two numbers, whose mean is 2, for each axis of each point."""
        return np.einsum("nia,nij,nja->na", error, np.linalg.inv(matrices(found)), error)

    assert normalised(belief, belief.mean - truth).mean() == pytest.approx(2, abs=0.2)  # 1600 numbers: spreads by 0.05
    smoothed = [kalman.smooth(np.arange(9) * 0.1, np.array(seen)[:, k], MOTION) for k in range(100)]
    middle = Beliefs(np.array([one.mean[4] for one in smoothed]), np.array([one.covariance[4] for one in smoothed]))
    assert normalised(middle, middle.mean - path[4][:100]).mean() == pytest.approx(2, abs=0.5)  # 200: spreads by 0.14
