"""Noise filters of the literature as scores of events, the higher the less like noise: what others are compared with.

Each gives the quantity that the filter compares with its threshold, so that a ROC curve over scores is that of all thresholds.
"""

from __future__ import annotations

import numpy as np

from .activity import columns


def background_activity(events: np.ndarray, sensor_size: tuple[int, int]) -> np.ndarray:
    """The background activity filter, BAF [Delbruck 2008, Int. Symp. on Secure-Life Electronics]: 1 / (1 + age / ms), where age
    is the time since the last event of the eight pixels around; 0 without any. Float64 (n,).

    Args:
        events: with t (µs, sorted), x, y (pixels), p.
        sensor_size: (width, height).

    Raises ValueError: events off the sensor.
    """
    from .noise_filters_kernels import ages

    size = int(sensor_size[0]), int(sensor_size[1])
    found = ages(*columns(events, size), size)
    return np.where(found >= 0, 1.0 / (1.0 + np.maximum(found, 0) / 1000.0), 0.0)


def ynoise(events: np.ndarray, sensor_size: tuple[int, int], window_us: int, radius_px: int) -> np.ndarray:
    """The density of YNoise [Feng et al. 2020, Applied Sciences 10:2024]: how many pixels of the square around an event had one
    of its polarity shortly before. Float64 (n,).

    Args:
        events: see `background_activity`.
        sensor_size: (width, height).
        window_us: how long before.
        radius_px: half of the square's side, 2 for 5 x 5.
    """
    from .noise_filters_kernels import densities

    size = int(sensor_size[0]), int(sensor_size[1])
    found: np.ndarray = densities(*columns(events, size), _polarity(events), size, radius_px, window_us)
    return found.astype(np.float64)


def time_surface(events: np.ndarray, sensor_size: tuple[int, int], tau_us: float, radius_px: int) -> np.ndarray:
    """The mean of the time surface around an event [Lagorce et al. 2017, IEEE TPAMI 39:1346]: exp(-age / tau) of each pixel's
    last event of the same polarity. Float64 (n,), 0 to 1.

    Args:
        events: see `background_activity`.
        sensor_size: (width, height).
        tau_us: time constant.
        radius_px: see `ynoise`.
    """
    from .noise_filters_kernels import surfaces

    size = int(sensor_size[0]), int(sensor_size[1])
    found: np.ndarray = surfaces(*columns(events, size), _polarity(events), size, radius_px, float(tau_us))
    return found


def double_window(events: np.ndarray, sensor_size: tuple[int, int], length: int, near_px: int) -> np.ndarray:
    """The double window filter [Guo and Delbruck 2022, IEEE TPAMI 45:785]: 1 / (1 + d), where d is the city-block distance to the
    nearest of the last events that passed and of the last that did not; 0 without any. Float64 (n,).

    Args:
        events: see `background_activity`.
        sensor_size: (width, height).
        length: of each of the two windows, events.
        near_px: distance up to which an event passes, and enters the window of those that did.
    """
    from .noise_filters_kernels import distances

    _, x, y = columns(events, (int(sensor_size[0]), int(sensor_size[1])))
    found = distances(x, y, length, near_px)
    return np.where(found >= 0, 1.0 / (1.0 + np.maximum(found, 0)), 0.0)


def _polarity(events: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(events["p"].astype(np.int64))
