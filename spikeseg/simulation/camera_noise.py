"""Noise of event cameras that is not Poisson: variants of one mean rate, for testing whether a false-alarm rate holds.

Each is a pure function (rng, sensor_size, duration_s, noise_hz) -> events, EVENT_TRUTH_DTYPE in no order, of which a pixel sends
``noise_hz`` events/s on average over the sensor and over many recordings. Hot pixels alone come on top of that rate. Half of the
events are ON, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikeseg.data.recording import SOURCE_HOT, SOURCE_NOISE

from .pixels import EVENT_TRUTH_DTYPE, US_PER_S

NoiseMaker = Callable[[np.random.Generator, tuple[int, int], float, float], np.ndarray]

HOT_SHARE, HOT_HZ = 3e-4, (10.0, 300.0)
"""Share of pixels that are hot, and the range of their rates, events/s (log-uniform)."""
WARM_SHARE, WARM_TIMES = 0.01, (3.0, 30.0)
"""Share of pixels that are warm, and by how many times the mean rate they exceed it (log-uniform)."""
BURST_SHARE, BURST_S, BURST_DENSITY = 0.3, (0.001, 0.005), (0.01, 0.1)
"""Of bursts: share of all events, length of one (s), share of a region's pixels that fire in it."""
WHOLE_SENSOR = 0.25
"""Share of the bursts that take the whole sensor; the others take rectangles of BURST_SIDE of its sides."""
BURST_SIDE = (0.1, 0.6)
PAIR_SHARE, PAIR_S = 0.3, (0.001, 0.02)
"""Share of events that are followed by a second one of their pixel, and after how long (log-uniform)."""
ROW_SHARE, ROW_DENSITY, ROW_S = 0.3, 0.2, 0.001
"""Of rows that fire together: share of all events, share of the row's pixels, and within what time, s."""
FLICKER_HZ, FLICKER_AREAS, FLICKER_SIDE, FLICKER_TIMES = (50.0, 100.0), (2, 5), (0.15, 0.4), 3.0
"""Of flicker: rates of modulation, how many areas (from, below), their sides as shares of the sensor's, and the rate of a pixel
there over that of one outside."""
DRIFT_FACTOR = 3.0
"""Highest over lowest rate within a recording with drifting rates."""
DRIFT_TURNS = (0.5, 1.5)
"""How often the wave of drifting rates passes in a recording."""

MEASURED_SIGMA = 0.415
"""Standard deviation of the logarithm of a pixel's rate, within the rows of one kind."""
MEASURED_ROWS = 1.94
"""Rate of every second row over that of the others."""
MEASURED_ON = 0.58
"""Share of ON events."""
MEASURED_SHAPES, MEASURED_SHARES, MEASURED_MEANS = (2.39, 2.04), (0.545, 0.455), (1.0, 2.34)
"""Of the two gammas that intervals are drawn from: shape, share of the intervals, and mean relative to the first."""


def poisson(rng: np.random.Generator, sensor_size: tuple[int, int], duration_s: float, noise_hz: float) -> np.ndarray:
    """Every pixel for itself at the same rate, without memory: what the other variants are compared with."""
    width, height = sensor_size
    pixel = rng.integers(0, width * height, rng.poisson(noise_hz * duration_s * width * height))
    return _events(rng, pixel, rng.random(len(pixel)) * duration_s, sensor_size, duration_s)


def hot(rng: np.random.Generator, sensor_size: tuple[int, int], duration_s: float, noise_hz: float) -> np.ndarray:
    """Poisson noise with warm pixels in it, of WARM_TIMES the mean rate, and hot ones of HOT_HZ on top; 80 % ON in these."""
    width, height = sensor_size
    rate = np.ones(width * height)
    warm = rng.choice(rate.size, rng.binomial(rate.size, WARM_SHARE), replace=False)
    rate[warm] = _log_uniform(rng, WARM_TIMES, len(warm))
    background = _uneven(rng, rate * (noise_hz / rate.mean()), sensor_size, duration_s)
    rate[:] = 0
    chosen = rng.choice(rate.size, rng.binomial(rate.size, HOT_SHARE), replace=False)
    rate[chosen] = _log_uniform(rng, HOT_HZ, len(chosen))
    pixel = np.repeat(np.arange(rate.size), rng.poisson(rate * duration_s))
    of_hot = _events(rng, pixel, rng.random(len(pixel)) * duration_s, sensor_size, duration_s, on=0.8)
    of_hot["source"] = SOURCE_HOT
    return np.concatenate([background, of_hot])


def bursts(rng: np.random.Generator, sensor_size: tuple[int, int], duration_s: float, noise_hz: float) -> np.ndarray:
    """Poisson noise, and BURST_SHARE of the events in bursts of milliseconds, of the whole sensor or of a rectangle of it."""
    width, height = sensor_size
    sides = (0.5 * sum(BURST_SIDE)) ** 2
    in_one = width * height * (WHOLE_SENSOR + (1 - WHOLE_SENSOR) * sides) * 0.5 * sum(BURST_DENSITY)
    made = [poisson(rng, sensor_size, duration_s, (1 - BURST_SHARE) * noise_hz)]
    for _ in range(rng.poisson(BURST_SHARE * noise_hz * width * height * duration_s / in_one)):
        share = np.ones(2) if rng.random() < WHOLE_SENSOR else rng.uniform(*BURST_SIDE, 2)
        size = np.maximum(1, np.rint(share * sensor_size)).astype(np.int64)
        left, top = rng.integers(0, np.array(sensor_size) - size + 1)
        n = rng.poisson(size.prod() * rng.uniform(*BURST_DENSITY))
        pixel = (top + rng.integers(0, size[1], n)) * width + left + rng.integers(0, size[0], n)
        seconds = rng.random() * duration_s + rng.random(n) * rng.uniform(*BURST_S)
        made.append(_events(rng, pixel, seconds, sensor_size, duration_s))
    return np.concatenate(made)


def refractory(rng: np.random.Generator, sensor_size: tuple[int, int], duration_s: float, noise_hz: float) -> np.ndarray:
    """Poisson noise in which PAIR_SHARE of the events are followed by another of their pixel after milliseconds."""
    first = poisson(rng, sensor_size, duration_s, noise_hz / (1 + PAIR_SHARE))
    second = first[rng.random(len(first)) < PAIR_SHARE]
    second["t"] += np.ceil(_log_uniform(rng, PAIR_S, len(second)) * US_PER_S).astype(np.int64)
    second["p"] = rng.random(len(second)) < 0.5
    return np.concatenate([first, second[second["t"] < duration_s * US_PER_S]])


def rows(rng: np.random.Generator, sensor_size: tuple[int, int], duration_s: float, noise_hz: float) -> np.ndarray:
    """Poisson noise, and ROW_SHARE of the events from rows whose pixels fire together, ROW_DENSITY of them within ROW_S."""
    width, height = sensor_size
    readouts = rng.poisson(ROW_SHARE * noise_hz * height * duration_s / ROW_DENSITY)
    row, start = rng.integers(0, height, readouts), rng.random(readouts) * duration_s
    which, column = np.nonzero(rng.random((readouts, width)) < ROW_DENSITY)
    together = _events(rng, row[which] * width + column, start[which] + rng.random(len(which)) * ROW_S, sensor_size, duration_s)
    return np.concatenate([poisson(rng, sensor_size, duration_s, (1 - ROW_SHARE) * noise_hz), together])


def flicker(rng: np.random.Generator, sensor_size: tuple[int, int], duration_s: float, noise_hz: float) -> np.ndarray:
    """Areas lit by lamps: their pixels send FLICKER_TIMES as many events, in step with 50 or 100 Hz: rate ∝ 1 + cos."""
    width, height = sensor_size
    x, y = np.arange(width), np.arange(height)[:, None]
    rate, beat = np.ones((height, width)), np.zeros((height, width))
    for _ in range(rng.integers(*FLICKER_AREAS)):
        centre, half = rng.random(2) * sensor_size, 0.5 * rng.uniform(*FLICKER_SIDE, 2) * sensor_size
        area = (np.abs(x - centre[0]) <= half[0]) & (np.abs(y - centre[1]) <= half[1])
        rate[area], beat[area] = FLICKER_TIMES, rng.choice(FLICKER_HZ)
    events = _uneven(rng, (rate * (noise_hz / rate.mean())).ravel(), sensor_size, duration_s)
    lit = beat[events["y"], events["x"]]
    events["t"] = np.where(lit > 0, _in_step(rng, events["t"], lit), events["t"])
    return events[events["t"] < duration_s * US_PER_S]


def drifting(rng: np.random.Generator, sensor_size: tuple[int, int], duration_s: float, noise_hz: float) -> np.ndarray:
    """A wave of rates that passes over the sensor: exp(ln(DRIFT_FACTOR) / 2 · sin), so that each pixel's rate changes by
    DRIFT_FACTOR where the wave passes once or more."""
    width, height = sensor_size
    angle, phase, turns = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi), rng.uniform(*DRIFT_TURNS)
    along = np.pi * np.array([np.cos(angle), np.sin(angle)]) / max(sensor_size)

    def rate(x: np.ndarray, y: np.ndarray, share: np.ndarray) -> np.ndarray:
        wave = np.sin(phase + x * along[0] + y * along[1] + 2 * np.pi * turns * share)
        return np.asarray(np.exp(0.5 * np.log(DRIFT_FACTOR) * wave))

    grid = np.meshgrid(np.arange(width)[::4], np.arange(height)[::4], (np.arange(200) + 0.5) / 200, sparse=True)
    mean, highest = float(rate(*grid).mean()), np.sqrt(DRIFT_FACTOR)
    events = poisson(rng, sensor_size, duration_s, noise_hz * highest / mean)
    share = events["t"] / (duration_s * US_PER_S)
    return events[rng.random(len(events)) < rate(events["x"], events["y"], share) / highest]


def measured(rng: np.random.Generator, sensor_size: tuple[int, int], duration_s: float, noise_hz: float) -> np.ndarray:
    """Noise as a real sensor has it in the dark, at any mean rate.

    A model of 8 numbers, fitted by maximum likelihood to the noise that was published with IEBCS (Joubert et al. 2021, Front.
    Neurosci. 15:702765): histograms of 1/interval of 2500 pixels at 0.1 lux, 242,741 intervals, ON and OFF apart. A pixel's rate
    is log-normal (MEASURED_SIGMA), the same for ON and OFF (correlation of the counts 0.96) but for MEASURED_ON, and
    MEASURED_ROWS times as high in every second row. Intervals of one polarity are independent, from a mixture of two gammas; they
    are more regular than those of a Poisson process. Largest distance of the distributions of all intervals (Kolmogorov-Smirnov):
    0.016 ON, 0.009 OFF; of exponential intervals with the same model of rates: 0.080 and 0.096. The sensor sent 11 events/s per
    pixel; intervals are scaled to ``noise_hz``, which assumes that their form does not depend on the rate. ON and OFF are drawn
    independently, which the histograms do not tell.
    """
    width, height = sensor_size
    rate = np.exp(MEASURED_SIGMA * rng.standard_normal((height, width)))
    rate[rng.integers(2) :: 2] *= MEASURED_ROWS
    rate = (rate * (noise_hz / rate.mean())).ravel()
    made = []
    for on, share in ((True, MEASURED_ON), (False, 1 - MEASURED_ON)):
        pixel, seconds = _renewal(rng, rate * share, duration_s)
        events = _events(rng, pixel, seconds, sensor_size, duration_s)
        events["p"] = on
        made.append(events)
    return np.concatenate(made)


VARIANTS: dict[str, NoiseMaker] = {
    "hot": hot,
    "bursts": bursts,
    "refractory": refractory,
    "rows": rows,
    "flicker": flicker,
    "drifting": drifting,
    "measured": measured,
}
"""Noise that is not Poisson, by name."""

KINDS: dict[str, NoiseMaker] = {"poisson": poisson, **VARIANTS}
"""All noise, by name."""


def _renewal(rng: np.random.Generator, rate: np.ndarray, duration_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixel and time (s) of the events of stationary renewal processes of rates (N,), events/s; intervals as in `measured`."""
    shapes, shares, means = (np.array(v) for v in (MEASURED_SHAPES, MEASURED_SHARES, MEASURED_MEANS))
    alive = np.flatnonzero(rate > 0)
    scale = np.divide(1 / (shares * means).sum(), rate, out=np.zeros(len(rate)), where=rate > 0)  # mean of the first gamma, s
    pixels, times = [], []

    def intervals(pixel: np.ndarray, of_second: float, longer: int) -> np.ndarray:
        which = (rng.random(len(pixel)) < of_second).astype(np.int64)
        shape = shapes[which]
        return np.asarray(scale[pixel] * means[which] * rng.gamma(shape + longer) / shape)

    # the interval that contains the start is longer than others: weighted by its length; a gamma stays one, of shape + 1
    now = rng.random(len(alive)) * intervals(alive, float(shares[1] * means[1] / (shares * means).sum()), 1)
    while len(alive):
        within = now < duration_s
        alive, now = alive[within], now[within]
        pixels.append(alive)
        times.append(now)
        now = now + intervals(alive, float(shares[1]), 0)
    return np.concatenate([np.zeros(0, np.int64), *pixels]), np.concatenate([np.zeros(0), *times])


def _in_step(rng: np.random.Generator, t_us: np.ndarray, beat_hz: np.ndarray) -> np.ndarray:
    """Times moved within their period, so that their density is 1 + cos of the phase: int64 (n,), µs. beat_hz 0 for none."""
    period = US_PER_S / np.where(beat_hz > 0, beat_hz, 1.0)
    phase = rng.uniform(-np.pi, np.pi, len(t_us))
    mirrored = rng.random(len(t_us)) > 0.5 * (1 + np.cos(phase))
    phase = np.where(mirrored, phase + np.pi, phase) % (2 * np.pi)
    return np.asarray(np.floor(t_us / period) * period + phase / (2 * np.pi) * period, np.int64)


def _uneven(rng: np.random.Generator, rate: np.ndarray, sensor_size: tuple[int, int], duration_s: float) -> np.ndarray:
    """Poisson events of rates (H * W,), events/s."""
    pixel = np.repeat(np.arange(rate.size), rng.poisson(rate * duration_s))
    return _events(rng, pixel, rng.random(len(pixel)) * duration_s, sensor_size, duration_s)


def _events(
    rng: np.random.Generator,
    pixel: np.ndarray,
    seconds: np.ndarray,
    sensor_size: tuple[int, int],
    duration_s: float,
    on: float = 0.5,
) -> np.ndarray:
    """Noise events of pixels (n,), row by row, at seconds (n,); what lies behind the end is left out."""
    kept = seconds < duration_s
    events = np.zeros(np.count_nonzero(kept), EVENT_TRUTH_DTYPE)
    events["t"] = seconds[kept] * US_PER_S
    events["y"], events["x"] = np.divmod(pixel[kept], sensor_size[0])
    events["p"] = rng.random(len(events)) < on
    events["source"] = SOURCE_NOISE
    return events


def _log_uniform(rng: np.random.Generator, bounds: tuple[float, float], n: int) -> np.ndarray:
    return np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]), n))
