"""The pixels of a simulated event camera: from a scene to events.

Model [Lichtsteiner, Posch, Delbruck 2008, IEEE J. Solid-State Circuits 43(2):566; v2e: Hu, Liu, Delbruck 2021, CVPRW]:
a pixel fires ON when its low-passed log intensity has risen by its ON threshold above the level at its last event,
OFF when it has fallen by its OFF threshold below it; thresholds differ from pixel to pixel.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from .scene import Scene, brightness, positions, time_step

EVENT_TRUTH_DTYPE = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?"), ("source", "<i1"), ("object_id", "<i4")])
"""An event with what caused it: t in µs, x and y in px (0-based), p True for ON."""

CROSSING_DTYPE = np.dtype(
    [("step", "<i8"), ("pixel", "<i8"), ("count", "<i8")] + [(n, "<f8") for n in ("size", "memory", "before", "after")]
)
"""A pixel that crosses its threshold ``count`` times within a time step; sizes and levels in log intensity."""
NO_CROSSINGS = np.zeros(0, CROSSING_DTYPE)

US_PER_S = 1_000_000
STEPS_PER_BLOCK = 256
"""Time steps computed at once; bounds the memory, changes no event."""
FAINT = 0.01
"""Light below this share of the sky is left out."""
START_SPREAD = 0.95
"""Share of the way to a threshold that a pixel may have come when the recording starts."""


@dataclass(frozen=True)
class Sensor:
    """Constants of the simulated pixels.

    Attributes:
        threshold: mean contrast threshold, in the logarithm of intensity.
        threshold_std: spread of the ON and of the OFF thresholds over the pixels, same unit.
        photoreceptor_s: time constant of the low pass, s; dim light makes pixels slow.
        refractory_us: shortest time between two events of a pixel, µs; 0 for none.
        noise_spread: standard deviation of the logarithm of a pixel's noise rate.
        noise_gradient: strength of the smooth gradient of noise over the sensor.
        noise_on: range of the share of ON events in a recording's noise.
        hot_share: share of pixels that are hot.
        hot_hz: range of a hot pixel's rate, events/s.
        hot_on: share of ON events of a hot pixel.
    """

    threshold: float = 0.2
    threshold_std: float = 0.01
    photoreceptor_s: float = 0.003
    refractory_us: int = 200
    noise_spread: float = 0.5
    noise_gradient: float = 0.3
    noise_on: tuple[float, float] = (0.35, 0.65)
    hot_share: float = 3e-4
    hot_hz: tuple[float, float] = (10.0, 300.0)
    hot_on: float = 0.8


class Pixels:
    """State of all pixels, on a frame whose border holds sources that are just out of view.

    Only pixels within ``reach`` of a source are computed. Arrays are float64 (H' * W',), in log intensity unless said
    otherwise: ``sky`` and ``image`` (intensity), ``on`` and ``off`` (thresholds, > 0), ``level`` (after the low pass),
    ``memory`` (level at the last event).
    """

    def __init__(self, scene: Scene, sensor: Sensor, dt: float, reach: int, rng: np.random.Generator) -> None:
        self.sigma_px = scene.sigma_px
        self.border = 2 * reach + 1
        self.offset = np.arange(-reach, reach + 1)
        self.width = scene.sensor_size[0] + 2 * self.border
        self.sky = np.pad(scene.sky, self.border, mode="edge").ravel()
        self.image = self.sky.copy()
        self.on = _thresholds(rng, sensor, self.sky.size)
        self.off = _thresholds(rng, sensor, self.sky.size)
        self.level = np.log(self.sky)
        self.memory = self.level.copy()
        self.share = -np.expm1(-dt / sensor.photoreceptor_s)

    def start(self, centre: np.ndarray, contrast: np.ndarray, rng: np.random.Generator) -> None:
        """Sources lit since long ago; each pixel somewhere between its last event and the next."""
        flat, now = self.lit(centre, contrast)
        self.level[flat] = now
        way = rng.uniform(-START_SPREAD, START_SPREAD, self.level.size)
        away = way * np.where(rng.random(self.level.size) < 0.5, self.on, self.off)
        self.memory = np.clip(self.level + away, self.level - START_SPREAD * self.on, self.level + START_SPREAD * self.off)

    def lit(self, centre: np.ndarray, contrast: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels near sources at centre (A, 2) px with contrast (A,): flat indices, with repeats, and log intensity."""
        nearest = np.rint(centre).astype(np.int64)
        gap = self.offset - (centre - nearest)[:, :, None]
        profile = np.exp(-0.5 * (gap / self.sigma_px) ** 2)
        patch = (contrast[:, None] * profile[:, 1])[:, :, None] * profile[:, 0, None, :]
        columns, rows = (nearest[:, axis, None] + self.offset + self.border for axis in (0, 1))
        flat = (rows[:, :, None] * self.width + columns[:, None, :]).ravel()
        self.image[flat] = self.sky[flat]
        np.add.at(self.image, flat, patch.ravel())
        return flat, np.log(self.image[flat])

    def step(self, number: int, centre: np.ndarray, contrast: np.ndarray) -> np.ndarray:
        """Go on by one time step; the crossings in it, CROSSING_DTYPE, each pixel once."""
        flat, now = self.lit(centre, contrast)
        before = self.level[flat]
        after = before + self.share * (now - before)
        self.level[flat] = after
        change = after - self.memory[flat]
        crossed = np.flatnonzero((change >= self.on[flat]) | (change <= -self.off[flat]))
        if not len(crossed):
            return NO_CROSSINGS
        pixel, first = np.unique(flat[crossed], return_index=True)
        crossings = np.zeros(len(pixel), CROSSING_DTYPE)
        crossed = crossed[first]
        crossings["step"], crossings["pixel"] = number, pixel
        crossings["before"], crossings["after"], crossings["memory"] = before[crossed], after[crossed], self.memory[pixel]
        crossings["size"] = np.where(change[crossed] > 0, self.on[pixel], -self.off[pixel])
        crossings["count"] = np.floor(change[crossed] / crossings["size"])
        self.memory[pixel] += crossings["count"] * crossings["size"]
        return crossings

    def events(self, crossings: np.ndarray, dt: float) -> np.ndarray:
        """The events of crossings, EVENT_TRUTH_DTYPE, at the times at which the level passed the thresholds.

        The level is taken to change evenly within a step of dt s. source and object_id stay 0; pixels of the border
        are out of the sensor's range.
        """
        each = np.repeat(crossings, crossings["count"])
        nth = np.arange(len(each)) - np.repeat(np.cumsum(crossings["count"]) - crossings["count"], crossings["count"]) + 1
        part = (each["memory"] + nth * each["size"] - each["before"]) / (each["after"] - each["before"])
        events = np.zeros(len(each), EVENT_TRUTH_DTYPE)
        events["t"] = np.floor((each["step"] - 1 + np.clip(part, 0, 1)) * dt * US_PER_S)
        y, x = np.divmod(each["pixel"], self.width)
        events["x"], events["y"] = x - self.border, y - self.border
        events["p"] = each["size"] > 0
        return events


def source_events(scene: Scene, sensor: Sensor, rng: np.random.Generator) -> np.ndarray:
    """Events that stars and satellites cause: EVENT_TRUTH_DTYPE, in no particular order.

    An event is attributed to the source that lights its pixel most.
    """
    width, height = scene.sensor_size
    dt = time_step(scene)
    steps = int(np.ceil(scene.duration_s / dt)) + 1
    blocks = [np.arange(k, min(k + STEPS_PER_BLOCK, steps)) for k in range(0, steps, STEPS_PER_BLOCK)]
    again = copy.deepcopy(rng)
    brightest = max(light.max(initial=0.0) for light in brightness(scene, blocks, dt, rng))
    reach = _reach(scene.sigma_px, brightest)
    pixels = Pixels(scene, sensor, dt, reach, rng)
    edge = np.array(scene.sensor_size) - 0.5 + reach
    made = []
    for block, light in zip(blocks, brightness(scene, blocks, dt, again), strict=True):
        position = positions(scene, block * dt)
        near = np.all((position > -0.5 - reach) & (position < edge), axis=2)
        sources = np.flatnonzero(near.any(axis=0))
        position, near, light = position[:, sources], near[:, sources], light[:, sources]
        if scene.clouds is not None:
            light *= scene.clouds.transmission(position, (block * dt)[:, None])
        steps_crossings = []
        for k, number in enumerate(block.tolist()):
            active = np.flatnonzero(near[k])
            if number == 0:
                pixels.start(position[k, active], light[k, active], rng)
            elif len(active):
                steps_crossings.append(pixels.step(number, position[k, active], light[k, active]))
        crossings = np.concatenate([NO_CROSSINGS, *(some for some in steps_crossings if len(some))])
        events = pixels.events(crossings, dt)
        row = np.repeat(crossings["step"], crossings["count"]) - block[0]
        if len(events):
            cause = sources[_brightest(events, row, position, light, scene.sigma_px)]
            events["source"], events["object_id"] = scene.source[cause], scene.object_id[cause]
        inside = (events["x"] >= 0) & (events["x"] < width) & (events["y"] >= 0) & (events["y"] < height)
        made.append(events[inside & (events["t"] < scene.duration_s * US_PER_S)])
    return np.concatenate(made)


def _reach(sigma_px: float, brightest: float) -> int:
    """Pixels from a source beyond which it adds less than FAINT to the sky; 2 at least."""
    return max(2, int(np.ceil(sigma_px * np.sqrt(2 * np.log(max(brightest, 2 * FAINT) / FAINT)))))


def _thresholds(rng: np.random.Generator, sensor: Sensor, n: int) -> np.ndarray:
    """Normal, but never under a quarter of the mean: float64 (n,)."""
    return np.maximum(rng.normal(sensor.threshold, sensor.threshold_std, n), 0.25 * sensor.threshold)


def _brightest(events: np.ndarray, row: np.ndarray, position: np.ndarray, light: np.ndarray, sigma_px: float) -> np.ndarray:
    """Index of the source that adds most light to each event's pixel: int64 (n,).

    row (n,) indexes the time steps of position (K, S, 2) and light (K, S).
    """
    cause = np.zeros(len(events), np.int64)
    best = np.full(len(events), -np.inf)
    for s in range(light.shape[1]):
        far = (events["x"] - position[row, s, 0]) ** 2 + (events["y"] - position[row, s, 1]) ** 2
        value = np.log(light[row, s]) - far / (2 * sigma_px**2)
        better = value > best
        cause[better], best[better] = s, value[better]
    return cause
