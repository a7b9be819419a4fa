"""Recordings for measuring the faintest object that is found: noise, twinkling stars, and objects of a known rate of events.

Unlike `recordings`, where events follow from light and thresholds, events here are drawn with the rates asked for, so that a
physical limit can be computed: an object of R events/s sends Poisson events, ON ahead of its place and OFF behind, spread by the
point-spread function, over noise of a known rate. ``limit_recording(LimitConfig(), 0)`` gives the first one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from numbers import Integral, Real
from typing import Any

import numpy as np

from spikeseg.config.sections import SEED_MAX
from spikeseg.data.recording import LABEL_DTYPE, SOURCE_OBJECT, SOURCE_STAR, Recording
from spikeseg.data.sensors import EBSSA_SIZES
from spikeseg.errors import InputError

from .camera_noise import KINDS
from .draws import MOST_EVENTS, log_uniform
from .field_motion import FieldMotion
from .pixels import EVENT_TRUTH_DTYPE, US_PER_S
from .recordings import LABEL_INTERVAL_US, events_and_truth

FIELDS = ("still", "drift", "turn")
STREAMS = ("field", "paths", "objects", "places of stars", "stars", "noise")
"""Independent random streams of a seed: without objects, the stars and the noise of a recording stay the same."""
STAR_HZ = (5.0, 200.0)
"""Events/s of a star, log-uniform."""
MIDDLE = (0.2, 0.8)
"""The part of each side of the sensor in which the point lies through which an object passes."""
IN_VIEW_S = 5.0
"""An object is in view for at least this long, or half of the recording, if its speed allows it, see `LimitConfig`."""
CANDIDATES = 100
"""Paths that are drawn for an object."""
STEP_S = 0.02
"""Step in which time in view is measured."""
NEAR_SIGMAS = 5.0
"""Sources further off the sensor than this send no events to it."""
RESTS_PX_S = 0.1
"""What is slower than this on the sensor has no ahead and no behind."""
TURN_S = 0.5
"""How long a change of the field's direction takes."""
SHORTEST_S, LONGEST_S = 0.5, 3600.0


@dataclass(frozen=True)
class LimitConfig:
    """What to simulate. Same values, same bytes.

    Attributes:
        rate_hz: events/s of each object.
        noise_hz: mean rate of noise of a pixel, events/s.
        duration_s: length of a recording, s.
        speed_px_s: range of the objects' speeds, log-uniform; on the sensor where the field is still, else relative to the stars.
        objects: how many; 0 for stars and noise alone.
        stars: how many are in view; the mean over time where the field moves.
        field: "still"; "drift": at constant velocity; "turn": rotates about a point of the sensor or, in half of the recordings,
            drawn at random, changes its direction once.
        field_speed_px_s: speed of the stars; where the field rotates, the root mean square over the sensor.
        at_rest: whether objects stand still on the sensor while the stars move.
        displacement_px: how far ON events lie ahead of a moving source and OFF events behind it, along its motion on the sensor.
        sigma_px: standard deviation of the point-spread function.
        noise: "poisson" or a key of camera_noise.VARIANTS.
        sensor_size: (width, height), px.
        seed: 0 or more.

    An object moves at constant velocity, on the sensor or among the stars, and passes through a uniformly drawn point of the
    sensor's MIDDLE at a uniformly drawn time, so that it may enter and leave. Of CANDIDATES such paths of its speed the first is
    taken on which it is in view for at least IN_VIEW_S, half of the recording, and the time in which it moves by 0.8 of the
    sensor's longer side, whichever is shortest; if there is none, the one on which it is in view the longest.

    Raises InputError for values that are not allowed.
    """

    rate_hz: float = 8.0
    noise_hz: float = 0.1
    duration_s: float = 20.0
    speed_px_s: tuple[float, float] = (4.0, 40.0)
    objects: int = 1
    stars: int = 15
    field: str = "still"
    field_speed_px_s: float = 16.0
    at_rest: bool = False
    displacement_px: float = 0.7
    sigma_px: float = 1.0
    noise: str = "poisson"
    sensor_size: tuple[int, int] = (240, 180)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rate_hz", 0.0, 1e5), ("noise_hz", 0.0, 1e3), ("duration_s", SHORTEST_S, LONGEST_S), ("field_speed_px_s", 0.0, 1e4),
            ("displacement_px", 0.0, 100.0), ("sigma_px", 0.0, 100.0),
        ):  # fmt: skip
            if not _number(getattr(self, name), low, high):
                self._refuse(name, f"a number from {low:g} to {high:g}")
        for name, most in (("objects", 1000), ("stars", 100_000), ("seed", SEED_MAX)):
            if not isinstance(getattr(self, name), Integral) or not 0 <= getattr(self, name) <= most:
                self._refuse(name, f"a whole number from 0 to {most}")
        if not _pair(self.speed_px_s) or not all(_number(v, 1e-3, 1e4) for v in self.speed_px_s):
            self._refuse("speed_px_s", "two numbers from 0.001 to 10000")
        if self.speed_px_s[0] > self.speed_px_s[1]:
            self._refuse("speed_px_s", "the lower first")
        if not _pair(self.sensor_size) or not all(isinstance(v, Integral) and 8 <= v <= 8192 for v in self.sensor_size):
            self._refuse("sensor_size", "width and height from 8 to 8192")
        per_second = self.noise_hz * prod(self.sensor_size) + self.rate_hz * self.objects + STAR_HZ[1] * self.stars
        if per_second * self.duration_s > MOST_EVENTS:
            some = f"{per_second * self.duration_s:.2g} events in all"
            self._refuse("duration_s", f"less for noise_hz, rate_hz, objects and stars ({some}, at most {MOST_EVENTS:g})")
        if self.field not in FIELDS:
            self._refuse("field", ", ".join(FIELDS))
        if self.noise not in KINDS:
            self._refuse("noise", ", ".join(KINDS))
        if self.at_rest and self.field == "still":
            self._refuse("at_rest", f"only with a field that moves: {', '.join(FIELDS[1:])}")

    def _refuse(self, name: str, allowed: str) -> None:
        raise InputError(f"limit.{name}: {getattr(self, name)!r}; allowed: {allowed}")


@dataclass(frozen=True, eq=False)
class Sources:
    """Point sources that move evenly within a field.

    Attributes:
        motion: of the field.
        start: float64 (S, 2), place in the field (its place on the sensor) at time 0, px.
        velocity: float64 (S, 2), in the field, px/s.
        rate_hz: float64 (S,), events/s.
        kind: SOURCE_STAR or SOURCE_OBJECT.
    """

    motion: FieldMotion
    start: np.ndarray
    velocity: np.ndarray
    rate_hz: np.ndarray
    kind: int

    def at(self, t_s: np.ndarray, which: Any = slice(None)) -> np.ndarray:
        """Positions on the sensor at times that broadcast with the sources (S,), or those in `which`: float64 (..., 2), px."""
        t = np.asarray(t_s, np.float64)
        return self.motion.place(self.start[which] + t[..., None] * self.velocity[which], t)


def limit_recording(config: LimitConfig, index: int) -> Recording:
    """Recording ``index`` of the set, ``limit_0000`` and so on, with labels every LABEL_INTERVAL_US while an object is in view
    and the cause of every event; no event depends on any other recording."""
    objects, stars = _scene(config, index)
    made = np.concatenate(
        [
            _source_events(objects, config, _random(config, "objects", index)),
            _source_events(stars, config, _random(config, "stars", index)),
            KINDS[config.noise](_random(config, "noise", index), config.sensor_size, config.duration_s, config.noise_hz),
        ]
    )
    events, truth = events_and_truth(made)
    return Recording(
        events=events,
        sensor_size=config.sensor_size,
        labels=_labels(objects, config),
        name=f"limit_{index:04d}",
        source=f"simulated limit, {config.rate_hz:g} events/s, {config.noise} {config.noise_hz:g} Hz, seed {config.seed}",
        sensor=next((name for name, size in EBSSA_SIZES.items() if size == tuple(config.sensor_size)), ""),
        truth=truth,
    )


def seconds_in_view(config: LimitConfig, index: int) -> np.ndarray:
    """How long each object of a recording is in view, s: float64 (objects,). No event is drawn for it."""
    grid = np.arange(0.5 * STEP_S, config.duration_s, STEP_S)
    objects, _ = _scene(config, index)
    return np.asarray(_inside(objects.at(grid[:, None]), config.sensor_size).sum(0) * STEP_S)


def _scene(config: LimitConfig, index: int) -> tuple[Sources, Sources]:
    """The objects and the stars."""
    motion = _field_motion(config, _random(config, "field", index))
    rng = _random(config, "places of stars", index)
    places = _star_places(config, motion, rng)
    rates = np.exp(rng.uniform(np.log(STAR_HZ[0]), np.log(STAR_HZ[1]), len(places)))
    stars = Sources(motion, places, np.zeros_like(places), rates, SOURCE_STAR)
    of_objects = _still() if config.at_rest else motion
    rng = _random(config, "paths", index)
    paths = np.array([_path(config, of_objects, rng) for _ in range(config.objects)]).reshape(-1, 2, 2)
    return Sources(of_objects, paths[:, 0], paths[:, 1], np.full(len(paths), config.rate_hz), SOURCE_OBJECT), stars


def _moving(velocities: Any, turns_s: Any = (), rotation: float = 0.0, pivot: Any = (0.0, 0.0)) -> FieldMotion:
    """A field of these velocities (n + 1, 2), px/s, between turns, which does not shake."""
    shake = np.zeros(0), np.zeros(0), np.zeros((0, 2))
    return FieldMotion(np.array(velocities), np.array(turns_s, np.float64), TURN_S, rotation, np.array(pivot), *shake)


def _still() -> FieldMotion:
    return _moving([(0.0, 0.0)])


def _field_motion(config: LimitConfig, rng: np.random.Generator) -> FieldMotion:
    """A field that moves as the configuration says, in a direction of its own."""
    angle, sense, share = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0]), rng.uniform(0.3, 0.7)
    rotates, bend, pivot = rng.random() < 0.5, rng.uniform(np.pi / 3, np.pi), rng.random(2) * config.sensor_size
    if config.field == "still":
        return _still()
    before = config.field_speed_px_s * _direction(angle)
    if config.field == "drift":
        return _moving([before])
    if rotates:
        size = np.array(config.sensor_size)
        far = np.sqrt((size**2 / 12 + (pivot - size / 2) ** 2).sum())  # root mean square distance of the sensor's pixels
        return _moving([(0.0, 0.0)], rotation=float(sense * config.field_speed_px_s / far), pivot=pivot)
    return _moving([before, config.field_speed_px_s * _direction(angle + sense * bend)], [share * config.duration_s])


def _star_places(config: LimitConfig, motion: FieldMotion, rng: np.random.Generator) -> np.ndarray:
    """Places in the field, even over the box of all that comes into view: float64 (n, 2), px."""
    width, height = config.sensor_size
    low, high = np.array([-0.5, -0.5]), np.array([width, height]) - 0.5
    if config.field != "still":
        corners = np.array([[low[0], low[1]], [low[0], high[1]], [high[0], low[1]], [high[0], high[1]]])
        seen = motion.sky(corners, np.linspace(0, config.duration_s, 257)[:, None]).reshape(-1, 2)
        margin = NEAR_SIGMAS * config.sigma_px
        low, high = seen.min(0) - margin, seen.max(0) + margin
    return rng.uniform(low, high, (round(config.stars * float(np.prod(high - low)) / (width * height)), 2))


def _path(config: LimitConfig, motion: FieldMotion, rng: np.random.Generator) -> np.ndarray:
    """Place at time 0 and velocity of one object in the field, see `LimitConfig`: float64 (2, 2)."""
    size = np.array(config.sensor_size)
    speed = log_uniform(rng, config.speed_px_s)
    point = rng.uniform(*MIDDLE, (CANDIDATES, 2)) * size
    at_s = rng.random(CANDIDATES) * config.duration_s
    velocity = (0.0 if config.at_rest else speed) * _direction(rng.uniform(0, 2 * np.pi, CANDIDATES))
    sources = Sources(motion, motion.sky(point, at_s) - at_s[:, None] * velocity, velocity, np.ones(CANDIDATES), SOURCE_OBJECT)
    grid = np.arange(0.5 * STEP_S, config.duration_s, STEP_S)
    in_view = _inside(sources.at(grid[:, None]), config.sensor_size).sum(0) * STEP_S
    seen_px_s = np.hypot(*_sensor_velocity(sources, at_s, slice(None)).T)
    needed = np.minimum(min(IN_VIEW_S, 0.5 * config.duration_s), 0.8 * size.max() / np.maximum(seen_px_s, 1e-9))
    long_enough = in_view >= needed
    chosen = int(np.argmax(long_enough if long_enough.any() else in_view))
    return np.stack([sources.start[chosen], velocity[chosen]])


def _source_events(sources: Sources, config: LimitConfig, rng: np.random.Generator) -> np.ndarray:
    """Poisson events of sources, half of them ON: EVENT_TRUTH_DTYPE, in no order. A moving source has them displaced."""
    steps = int(np.ceil(config.duration_s / STEP_S))
    near, per_block = [], max(1, 2_000_000 // max(1, len(sources.start)))
    margin = NEAR_SIGMAS * config.sigma_px + config.displacement_px + 1
    for first in range(0, steps, per_block):  # the moments in which a source is near the sensor
        block = np.arange(first, min(first + per_block, steps))
        k, source = np.nonzero(_inside(sources.at((block[:, None] + 0.5) * STEP_S), config.sensor_size, margin))
        near.append(np.stack([block[k], source], 1))
    step, source = np.concatenate([np.zeros((0, 2), np.int64), *near]).T
    count = rng.poisson(sources.rate_hz[source] * STEP_S)
    step, source = np.repeat(step, count), np.repeat(source, count)
    t_s = (step + rng.random(len(step))) * STEP_S
    on = rng.random(len(step)) < 0.5
    spread = config.sigma_px * rng.standard_normal((len(step), 2))
    velocity = _sensor_velocity(sources, t_s, source)
    speed = np.hypot(*velocity.T)[:, None]
    ahead = np.divide(velocity, speed, out=np.zeros_like(velocity), where=speed > RESTS_PX_S)
    place = np.rint(sources.at(t_s, source) + spread + np.where(on, 1, -1)[:, None] * config.displacement_px * ahead)
    kept = _inside(place, config.sensor_size) & (t_s < config.duration_s)
    events = np.zeros(np.count_nonzero(kept), EVENT_TRUTH_DTYPE)
    events["t"] = t_s[kept] * US_PER_S
    events["x"], events["y"] = place[kept].T
    events["p"], events["source"] = on[kept], sources.kind
    events["object_id"] = source[kept] + 1 if sources.kind == SOURCE_OBJECT else 0
    return events


def _labels(objects: Sources, config: LimitConfig) -> np.ndarray:
    """LABEL_DTYPE, sorted by time and object: the place of each on a grid of LABEL_INTERVAL_US, while it is in view."""
    times = np.arange(0, int(config.duration_s * US_PER_S), LABEL_INTERVAL_US)
    position = objects.at(times[:, None] / US_PER_S)
    k, source = np.nonzero(_inside(position, config.sensor_size))
    labels = np.zeros(len(k), LABEL_DTYPE)
    labels["t"], labels["id"] = times[k], source + 1
    labels["x"], labels["y"] = position[k, source].T
    return labels


def _sensor_velocity(sources: Sources, t_s: np.ndarray, which: Any) -> np.ndarray:
    """Velocity on the sensor, float64 (n, 2), px/s."""
    return (sources.at(t_s + 5e-4, which) - sources.at(t_s - 5e-4, which)) * 1e3


def _inside(position: np.ndarray, sensor_size: tuple[int, int], margin: float = 0.0) -> np.ndarray:
    """Whether positions (..., 2) lie on the sensor, or within a margin of it: bool (...)."""
    return np.asarray(((position >= -0.5 - margin) & (position < np.array(sensor_size) - 0.5 + margin)).all(-1))


def _direction(angle: Any) -> np.ndarray:
    return np.stack([np.cos(angle), np.sin(angle)], -1)


def _number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and low <= float(value) <= high


def _pair(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2


def _random(config: LimitConfig, stream: str, index: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, STREAMS.index(stream), index])
