"""From evidence to a threshold and to a probability (ours; measured on simulated noise, see docs/faint-objects.md)."""

from __future__ import annotations

import math

import numpy as np

REFERENCE_NATS, MATCHED_NATS = 20.0, 21.0
"""Evidence that noise reaches REFERENCE_RATE times a minute on a sensor of REFERENCE_PIXELS: measured; the latter by maps
whose receptive field is the footprint's, and which find more of it."""

REFERENCE_RATE, REFERENCE_PIXELS = 0.1, 240 * 180

FALL = 0.6
"""By which the logarithm of that rate falls for each nat: measured. (By 1 for a path that is known; here the best of many is
taken.)"""


def threshold_nats(false_alarms_per_minute: float, sensor_size: tuple[int, int], matched: bool = False) -> float:
    """Evidence that noise on this sensor reaches so often.

    Args:
        false_alarms_per_minute: > 0.
        sensor_size: (width, height), px: more places, more chances.
        matched: whether the maps' receptive fields are the footprint's; else boxes.
    """
    pixels = sensor_size[0] * sensor_size[1]
    times = math.log(REFERENCE_RATE / false_alarms_per_minute) + math.log(pixels / REFERENCE_PIXELS)
    return max((MATCHED_NATS if matched else REFERENCE_NATS) + times / FALL, 5.0)


def probability(nats: float | np.ndarray, threshold: float) -> float | np.ndarray:
    """That a path of so much evidence is an object's: 1/2 at the threshold, where noise gives about as many as objects do; for
    each nat more, noise gives fewer by a factor of e^FALL."""
    return 1.0 / (1.0 + np.exp(-np.clip(FALL * (np.asarray(nats) - threshold), -50, 50)))
