"""What the pixels of a simulated event camera make of a scene, and the noise they add.

Model: a pixel fires ON when its low-passed log intensity rises by its ON threshold above the level of its
last event, OFF when it falls by its OFF threshold [Lichtsteiner et al. 2008; Hu et al. 2021 (v2e)].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeseg.data.recording import SOURCE_HOT, SOURCE_NOISE
from spikeseg.data.simulate_scene import Scene, brightness, log_uniform, positions, smooth_field, time_step

EVENT_TRUTH_DTYPE = np.dtype(
    [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?"), ("source", "<i1"), ("object_id", "<i4")]
)
"""An event with what caused it: t in µs, x and y in px (0-based), p True for ON."""

US_PER_S = 1_000_000


@dataclass(frozen=True)
class Sensor:
    """Constants of the simulated pixels.

    threshold: mean contrast threshold, in the logarithm of intensity.
    threshold_std: spread of ON and OFF thresholds over the pixels, same unit.
    photoreceptor_s: time constant of the low pass, s.
    refractory_us: shortest time between two events of a pixel, µs; 0 for none.
    noise_spread: standard deviation of the logarithm of a pixel's noise rate.
    noise_gradient: strength of the smooth gradient of noise over the sensor.
    noise_on: range of the share of ON events in the noise.
    hot_share: share of pixels that are hot.
    hot_hz: range of a hot pixel's rate, events/s.
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


def source_events(scene: Scene, sensor: Sensor, rng: np.random.Generator) -> np.ndarray:
    """Events that stars and satellites cause: EVENT_TRUTH_DTYPE, in no particular order.

    Only pixels near a source are computed, step by step, on a frame with a border that holds sources which
    are just out of view. An event is put down to the source that lights its pixel most.
    """
    width, height = scene.sensor_size
    dt = time_step(scene)
    t = np.arange(0, int(np.ceil(scene.duration_s / dt)) + 1) * dt
    where, light = positions(scene, t), brightness(scene, t, rng)
    reach = _reach(scene.sigma_px, light.max(initial=0.0))
    border = 2 * reach + 1
    sky = np.pad(scene.sky, border, mode="edge").ravel()
    shape = (height + 2 * border, width + 2 * border)
    on = _thresholds(rng, sensor, shape)
    off = _thresholds(rng, sensor, shape)
    offset = np.arange(-reach, reach + 1)
    edge = np.array(scene.sensor_size) - 0.5 + reach
    near = np.all((where > -0.5 - reach) & (where < edge), axis=2)
    image = sky.copy()

    def lit(k: int) -> tuple[np.ndarray, np.ndarray]:
        """Flat indices (repeats allowed) of the pixels near a source at step k, and their log intensity."""
        active = np.flatnonzero(near[k])
        centre = where[k, active]
        nearest = np.rint(centre).astype(np.int64)
        gap = offset - (centre - nearest)[:, :, None]
        profile = np.exp(-0.5 * (gap / scene.sigma_px) ** 2)
        patch = (light[k, active, None] * profile[:, 1])[:, :, None] * profile[:, 0, None, :]
        rows, columns = nearest[:, 1, None] + offset + border, nearest[:, 0, None] + offset + border
        flat = (rows[:, :, None] * shape[1] + columns[:, None, :]).ravel()
        image[flat] = sky[flat]
        np.add.at(image, flat, patch.ravel())
        return flat, np.log(image[flat])

    level = np.log(sky)
    flat, now = lit(0)
    level[flat] = now
    memory = level + rng.uniform(-0.95, 0.95, level.size) * np.where(rng.random(level.size) < 0.5, on, off)
    memory = np.clip(memory, level - 0.95 * on, level + 0.95 * off)
    share = -np.expm1(-dt / sensor.photoreceptor_s)
    found: list[tuple[np.ndarray, ...]] = []
    for k in range(1, len(t)):
        flat, now = lit(k)
        before = level[flat]
        after = before + share * (now - before)
        level[flat] = after
        change = after - memory[flat]
        crossed = np.flatnonzero((change >= on[flat]) | (change <= -off[flat]))
        if not crossed.size:
            continue
        pixel, first = np.unique(flat[crossed], return_index=True)
        crossed, rise = crossed[first], change[crossed[first]] > 0
        size = np.where(rise, on[pixel], -off[pixel])
        count = np.floor(change[crossed] / size).astype(np.int64)
        found.append((np.full(len(pixel), k), pixel, size, count, memory[pixel], before[crossed], after[crossed]))
        memory[pixel] += count * size
    if not found:
        return np.zeros(0, EVENT_TRUTH_DTYPE)
    step, pixel, size, count, base, before, after = (np.concatenate(part) for part in zip(*found, strict=True))
    each = np.repeat(np.arange(len(count)), count)
    nth = np.arange(len(each)) - np.repeat(np.cumsum(count) - count, count) + 1
    part = (base[each] + nth * size[each] - before[each]) / (after - before)[each]
    events = np.zeros(len(each), EVENT_TRUTH_DTYPE)
    events["t"] = np.floor((step[each] - 1 + np.clip(part, 0, 1)) * dt * US_PER_S)
    y, x = np.divmod(pixel[each], shape[1])
    events["x"], events["y"] = x - border, y - border
    events["p"] = size[each] > 0
    cause = _brightest(scene, where, light, step[each], events)
    events["source"], events["object_id"] = scene.source[cause], scene.object_id[cause]
    inside = (events["x"] >= 0) & (events["x"] < width) & (events["y"] >= 0) & (events["y"] < height)
    return events[inside & (events["t"] < scene.duration_s * US_PER_S)]


def background_events(scene: Scene, sensor: Sensor, rng: np.random.Generator) -> np.ndarray:
    """Poisson background activity with rates that differ from pixel to pixel: EVENT_TRUTH_DTYPE.

    A pixel's rate is log-normal around a smooth gradient; the mean over the sensor is ``scene.noise_hz``.
    """
    width, height = scene.sensor_size
    rate = smooth_field(rng, scene.sensor_size, sensor.noise_gradient)
    rate *= np.exp(sensor.noise_spread * rng.standard_normal((height, width)))
    rate *= scene.noise_hz / rate.mean()
    return _poisson(rate, scene, rng.uniform(*sensor.noise_on), SOURCE_NOISE, rng)


def hot_events(scene: Scene, sensor: Sensor, rng: np.random.Generator) -> np.ndarray:
    """Events of hot pixels, mostly ON: EVENT_TRUTH_DTYPE."""
    width, height = scene.sensor_size
    rate = np.zeros(width * height)
    hot = rng.choice(rate.size, rng.poisson(sensor.hot_share * rate.size), replace=False)
    rate[hot] = [log_uniform(rng, sensor.hot_hz) for _ in hot]
    return _poisson(rate.reshape(height, width), scene, 0.8, SOURCE_HOT, rng)


def refractory(events: np.ndarray, period_us: int) -> np.ndarray:
    """Bool (n,): the events that survive when a pixel is blind for ``period_us`` after each of them.

    events: structured with t (µs), x, y, in any order.
    """
    order = np.lexsort((events["t"], events["x"], events["y"]))
    keep = np.ones(len(events), bool)
    while period_us > 0:
        e = events[order]
        same = (np.diff(e["x"]) == 0) & (np.diff(e["y"]) == 0)
        late = np.r_[False, same & (np.diff(e["t"]) < period_us)]
        drop = late & ~np.r_[False, late[:-1]]
        if not drop.any():
            break
        keep[order[drop]] = False
        order = order[~drop]
    return keep


def _reach(sigma_px: float, brightest: float) -> int:
    """Pixels from a source beyond which it adds less than 1 % to the sky."""
    return max(2, int(np.ceil(sigma_px * np.sqrt(2 * np.log(max(brightest, 0.02) / 0.01)))))


def _thresholds(rng: np.random.Generator, sensor: Sensor, shape: tuple[int, int]) -> np.ndarray:
    drawn = rng.normal(sensor.threshold, sensor.threshold_std, shape[0] * shape[1])
    return np.maximum(drawn, 0.25 * sensor.threshold)


def _brightest(
    scene: Scene, where: np.ndarray, light: np.ndarray, step: np.ndarray, events: np.ndarray
) -> np.ndarray:
    """Index of the source that adds most light to each event's pixel at its step: int64 (n,)."""
    cause = np.zeros(len(events), np.int64)
    best = np.full(len(events), -np.inf)
    for s in range(len(scene.contrast)):
        far = (events["x"] - where[step, s, 0]) ** 2 + (events["y"] - where[step, s, 1]) ** 2
        value = np.log(light[step, s]) - far / (2 * scene.sigma_px**2)
        better = value > best
        cause[better], best[better] = s, value[better]
    return cause


def _poisson(
    rate: np.ndarray, scene: Scene, on_share: float, source: int, rng: np.random.Generator
) -> np.ndarray:
    """Independent Poisson events of rate (H, W), events/s."""
    pixel = np.repeat(np.arange(rate.size), rng.poisson(rate.ravel() * scene.duration_s))
    events = np.zeros(len(pixel), EVENT_TRUTH_DTYPE)
    events["t"] = rng.integers(0, int(scene.duration_s * US_PER_S), len(pixel))
    events["y"], events["x"] = np.divmod(pixel, rate.shape[1])
    events["p"] = rng.random(len(pixel)) < on_share
    events["source"] = source
    return events
