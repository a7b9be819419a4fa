"""The compiled steps of the Kalman filter as functions that change no argument."""

import numpy as np

from spikeseg.tracking.kalman import MEASUREMENT_PX, Beliefs
from spikeseg.tracking.kalman_kernels import begin_all, predict_all, update_all


def begin(positions, motion):
    """Beliefs after one measurement each, (n, 2), px: there, and of unknown velocity."""
    begun = Beliefs(np.empty((len(positions), 2, 2)), np.empty((len(positions), 3)))
    begin_all(np.asarray(positions, np.float64), MEASUREMENT_PX**2, motion.first_speed_px_s**2, *begun)
    return begun


def predict(beliefs, seconds, motion):
    """Beliefs after a time of 0 or more without a measurement."""
    q = motion.acceleration
    ahead = Beliefs(np.empty_like(beliefs.mean), np.empty_like(beliefs.covariance))
    predict_all(*beliefs, float(seconds), q * seconds**3 / 3, q * seconds**2 / 2, q * seconds, *ahead)
    return ahead


def update(beliefs, positions):
    """Beliefs after a measured position each, (n, 2), px."""
    after = Beliefs(np.empty_like(beliefs.mean), np.empty_like(beliefs.covariance))
    update_all(*beliefs, np.asarray(positions, np.float64), MEASUREMENT_PX**2, *after)
    return after
