"""Simulated night-sky recordings, labelled, with the cause of every event.

``simulate_recording(SimulationConfig(), 0)`` gives the first one, in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

from spikeseg.config.sections import SEED_MAX, Config, SimulateConfig
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, SOURCE_OBJECT, TRUTH_DTYPE, Recording
from spikeseg.data.sensors import EBSSA_SIZES
from spikeseg.errors import InputError

from .camera_noise import measured
from .noise import background_events, background_rates, hot_events, hot_rates, refractory
from .pixels import US_PER_S, Sensor, source_events
from .scene import DIFFICULTIES, MODES, Scene, draw_scene, positions, time_step

SENSORS = (*EBSSA_SIZES, "both")
LABEL_INTERVAL_US = 100_000
"""Time between two label points of a satellite in view, µs."""
EDGE_CONTRAST = 1.0
"""A satellite whose centre lies outside of the picture is seen while it adds so much to a pixel within, times the sky's level."""
SATELLITES_PER_BLOCK = (0, 1, 1, 1, 1, 2)
"""Of six recordings in a row one holds no satellite, one holds two."""
GOLDEN = (np.sqrt(5) - 1) / 2
"""Multiples of it fill the unit interval evenly, so that few recordings suffice to span the noise rates."""
STREAMS = ("kinds", "noise rates", "scene", "sources", "background", "hot")
"""Independent random streams of a seed: a change to one leaves the others as they were."""


def _measured_background(scene: Scene, _: Sensor, rng: np.random.Generator) -> np.ndarray:
    return measured(rng, scene.sensor_size, scene.duration_s, scene.noise_hz)


BACKGROUNDS = {"poisson": background_events, "measured": _measured_background}
"""Background activity, by name."""


@dataclass(frozen=True)
class SimulationConfig:
    """What to simulate.

    recordings: how many. duration_s: length of each, s. difficulty: a key of DIFFICULTIES.
    sensor: "DAVIS", "ATIS" or "both" (in turn). seed: 0 or more; same seed, same bytes. noise: "poisson", or "measured", see
    camera_noise.measured.

    Raises InputError for anything else.
    """

    recordings: int = SimulateConfig.recordings
    duration_s: float = SimulateConfig.duration_s
    difficulty: str = SimulateConfig.difficulty
    sensor: str = SimulateConfig.sensor
    seed: int = Config.seed
    noise: str = SimulateConfig.noise

    def __post_init__(self) -> None:
        if self.difficulty not in DIFFICULTIES:
            raise InputError(f"simulate.difficulty: {self.difficulty!r}; allowed: {', '.join(DIFFICULTIES)}")
        if self.sensor not in SENSORS:
            raise InputError(f"simulate.sensor: {self.sensor!r}; allowed: {', '.join(SENSORS)}")
        if not isinstance(self.recordings, Integral) or not 1 <= self.recordings <= 100_000:
            raise InputError(f"simulate.recordings: {self.recordings!r}; allowed: 1 to 100000")
        if not isinstance(self.duration_s, Real) or not 0.1 <= self.duration_s <= 600:
            raise InputError(f"simulate.duration_s: {self.duration_s!r}; allowed: 0.1 to 600 s")
        if not isinstance(self.seed, Integral) or not 0 <= self.seed <= SEED_MAX:
            raise InputError(f"simulate.seed: {self.seed!r}; allowed: 0 to {SEED_MAX}")
        if self.noise not in BACKGROUNDS:
            raise InputError(f"simulate.noise: {self.noise!r}; allowed: {', '.join(BACKGROUNDS)}")


def recording_name(config: SimulationConfig, index: int) -> str:
    """Sensor and number, as in ``DAVIS_0003``."""
    return f"{_sensor(config, index)}_{index:04d}"


def simulate_scene(config: SimulationConfig, index: int) -> Scene:
    """The sky of recording ``index``; depends on the configuration's seed and the index alone."""
    block, number = divmod(index, len(SATELLITES_PER_BLOCK))
    shuffle = _random(config, "kinds", block)
    satellites = shuffle.permutation(SATELLITES_PER_BLOCK)[number]
    mode = MODES[shuffle.permutation(len(SATELLITES_PER_BLOCK))[number] % len(MODES)]
    difficulty = DIFFICULTIES[config.difficulty]
    first = _random(config, "noise rates").random()
    low, high = difficulty.noise_hz
    noise_hz = low * (high / low) ** ((first + GOLDEN * index) % 1)
    rng, size = _random(config, "scene", index), EBSSA_SIZES[_sensor(config, index)]
    return draw_scene(rng, mode, int(satellites), noise_hz, difficulty, size, config.duration_s)


def noise_rates(config: SimulationConfig, index: int, sensor: Sensor | None = None) -> np.ndarray:
    """What noise recording ``index`` has: events/s by polarity (OFF, ON) and pixel, hot ones included: float64 (2, H, W).

    Raises ValueError unless the noise is Poisson's.
    """
    if config.noise != "poisson":
        raise ValueError(f"noise {config.noise!r}; rates are known of 'poisson' alone")
    scene, sensor = simulate_scene(config, index), Sensor() if sensor is None else sensor
    rate, on = background_rates(scene, sensor, _random(config, "background", index))
    hot = hot_rates(scene, sensor, _random(config, "hot", index))
    return np.stack([rate * (1 - on) + hot * (1 - sensor.hot_on), rate * on + hot * sensor.hot_on])


def simulate_recording(config: SimulationConfig, index: int, sensor: Sensor | None = None) -> Recording:
    """Recording ``index`` of the set, with labels and truth.

    Labels are the centres of the satellites' point-spread functions, at least every LABEL_INTERVAL_US
    while they are in view (see `label_points`); stars have none. ``sensor`` replaces the constants of the pixels.
    """
    scene = simulate_scene(config, index)
    sensor = Sensor() if sensor is None else sensor
    makers = {"sources": source_events, "background": BACKGROUNDS[config.noise], "hot": hot_events}
    made = np.concatenate([make(scene, sensor, _random(config, stream, index)) for stream, make in makers.items()])
    events, truth = events_and_truth(made[refractory(made, sensor.refractory_us)])
    return Recording(
        events=events,
        sensor_size=scene.sensor_size,
        labels=label_points(scene),
        name=recording_name(config, index),
        source=f"simulated, {config.difficulty}, {scene.mode}, seed {config.seed}",
        sensor=_sensor(config, index),
        truth=truth,
    )


def events_and_truth(made: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Events of EVENT_TRUTH_DTYPE, in any order, as EVENT_DTYPE sorted by time, and the truth of each, TRUTH_DTYPE."""
    made = made[np.argsort(made["t"], kind="stable")]
    events, truth = np.empty(len(made), EVENT_DTYPE), np.empty(len(made), TRUTH_DTYPE)
    for name in EVENT_DTYPE.names or ():
        events[name] = made[name]
    for name in TRUTH_DTYPE.names or ():
        truth[name] = made[name]
    return events, truth


def simulate(config: SimulationConfig) -> Iterator[Recording]:
    """All recordings of the set, one at a time."""
    for index in range(config.recordings):
        yield simulate_recording(config, index)


def label_points(scene: Scene) -> np.ndarray:
    """Where the satellites are: LABEL_DTYPE sorted by time; empty if none comes into view.

    A satellite is in view while its centre is in the picture, or so near that its image makes a pixel there brighter than the sky
    by EDGE_CONTRAST; then its place is the nearest one in the picture. Points lie on a grid of LABEL_INTERVAL_US, and on
    the first and last time step in view.
    """
    end = int(scene.duration_s * US_PER_S)
    fine = np.arange(0, end, max(1, int(time_step(scene) * US_PER_S)))
    times = np.unique(np.r_[fine, np.arange(0, end, LABEL_INTERVAL_US)])
    satellites = np.flatnonzero(scene.source == SOURCE_OBJECT)
    position, size = positions(scene, times / US_PER_S, satellites), np.array(scene.sensor_size)
    inside = np.all((position >= -0.5) & (position < size - 0.5), axis=2)
    beyond = np.square(position - np.clip(position, 0, size - 1)).sum(2)  # the middles of the outermost pixels
    seen = inside | (scene.contrast[satellites] * np.exp(-beyond / (2 * scene.sigma_px**2)) >= EDGE_CONTRAST)
    points = []
    for satellite, path, in_view in zip(satellites, np.clip(position, -0.5, size - 0.5).swapaxes(0, 1), seen.T, strict=True):
        edge = in_view & ~(np.r_[False, in_view[:-1]] & np.r_[in_view[1:], False])
        labelled = edge | (in_view & (times % LABEL_INTERVAL_US == 0))
        part = np.zeros(np.count_nonzero(labelled), LABEL_DTYPE)
        part["t"], part["id"] = times[labelled], scene.object_id[satellite]
        part["x"], part["y"] = path[labelled, 0], path[labelled, 1]
        points.append(part)
    labels = np.concatenate(points) if points else np.zeros(0, LABEL_DTYPE)
    return labels[np.lexsort((labels["id"], labels["t"]))]


def _random(config: SimulationConfig, stream: str, *index: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, STREAMS.index(stream), *index])


def _sensor(config: SimulationConfig, index: int) -> str:
    return config.sensor if config.sensor != "both" else tuple(EBSSA_SIZES)[index % 2]
