"""Noise events: background activity and hot pixels; and the pixels' refractory period."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from spikeseg.data.recording import SOURCE_HOT, SOURCE_NOISE

from .draws import log_uniform, smooth_field
from .pixels import EVENT_TRUTH_DTYPE, US_PER_S, Sensor
from .scene import Scene


class Extent(Protocol):
    """How large a sensor is, and how long it looks."""

    @property
    def sensor_size(self) -> tuple[int, int]:
        """(width, height), px."""

    @property
    def duration_s(self) -> float:
        """Length of the recording."""


def background_rates(scene: Scene, sensor: Sensor, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Rate of each pixel's background activity, events/s, and the share of it that is ON: float64 (H, W), float.

    A pixel's rate is log-normal around a smooth gradient; the mean over the sensor is ``scene.noise_hz``.
    """
    width, height = scene.sensor_size
    rate = smooth_field(rng, scene.sensor_size, sensor.noise_gradient)
    rate *= np.exp(sensor.noise_spread * rng.standard_normal((height, width)))
    rate *= scene.noise_hz / rate.mean()
    return rate, float(rng.uniform(*sensor.noise_on))


def background_events(scene: Scene, sensor: Sensor, rng: np.random.Generator) -> np.ndarray:
    """Poisson background activity of `background_rates`: EVENT_TRUTH_DTYPE, in no order."""
    rate, on_share = background_rates(scene, sensor, rng)
    return _poisson(rate, scene, on_share, SOURCE_NOISE, rng)


def hot_rates(scene: Extent, sensor: Sensor, rng: np.random.Generator) -> np.ndarray:
    """Rate of each hot pixel, events/s, 0 elsewhere: float64 (H, W)."""
    width, height = scene.sensor_size
    rate = np.zeros(width * height)
    hot = rng.choice(rate.size, rng.poisson(sensor.hot_share * rate.size), replace=False)
    rate[hot] = [log_uniform(rng, sensor.hot_hz) for _ in hot]
    return rate.reshape(height, width)


def hot_events(scene: Extent, sensor: Sensor, rng: np.random.Generator) -> np.ndarray:
    """Events of hot pixels: EVENT_TRUTH_DTYPE, in no order."""
    return _poisson(hot_rates(scene, sensor, rng), scene, sensor.hot_on, SOURCE_HOT, rng)


def refractory(events: np.ndarray, period_us: int) -> np.ndarray:
    """Bool (n,): the events that remain when a pixel is blind for ``period_us`` after each that it sends.

    events: structured with t (µs), x, y, in any order.
    """
    order = np.lexsort((events["t"], events["x"], events["y"]))
    keep = np.ones(len(events), bool)
    while period_us > 0:
        e = events[order]
        same = (np.diff(e["x"]) == 0) & (np.diff(e["y"]) == 0)
        late = np.r_[False, same & (np.diff(e["t"]) < period_us)]
        drop = late & ~np.r_[False, late[:-1]]  # the first of a run: the one before it is certain to remain
        if not drop.any():
            break
        keep[order[drop]] = False
        order = order[~drop]
    return keep


def _poisson(rate: np.ndarray, scene: Extent, on_share: float, source: int, rng: np.random.Generator) -> np.ndarray:
    """Independent Poisson events of rate (H, W), events/s."""
    pixel = np.repeat(np.arange(rate.size), rng.poisson(rate.ravel() * scene.duration_s))
    events = np.zeros(len(pixel), EVENT_TRUTH_DTYPE)
    events["t"] = rng.integers(0, int(scene.duration_s * US_PER_S), len(pixel))
    events["y"], events["x"] = np.divmod(pixel, rate.shape[1])
    events["p"] = rng.random(len(pixel)) < on_share
    events["source"] = source
    return events
