"""Simulated scenes: textured shapes that move before a background, with the object of every event and boxes.

``scene_recording(SceneConfig(), 0)`` gives the first one, in memory; ``condition("crossing", seed=1)`` is what a condition sets.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from spikeseg.data.recording import LABEL_DTYPE, SOURCE_OBJECT, SOURCE_STAR, Recording
from spikeseg.data.sensors import EBSSA_SIZES

from ..camera_noise import KINDS
from ..draws import log_uniform
from ..noise import hot_events
from ..pixels import EVENT_TRUTH_DTYPE, START_SPREAD, US_PER_S, Sensor
from ..recordings import events_and_truth
from .config import SceneConfig, SceneSet
from .kernels import LOOK, Ground, Patches, Pixels, Schedule, awake, play
from .paths import STEP_PX, Passing, Path, draw_passing, draw_path, renderings
from .shapes import Shape, draw_shape, pillar, texture
from .walking import draw_walker, reflection

BOX_DTYPE = np.dtype([("t", "<i8"), ("id", "<i4")] + [(name, "<f8") for name in "xywh"])
"""A box of object ``id`` at time t (µs): centre and size, px; it holds whole pixels, so that one of a single pixel is 1 wide."""
BOX_INTERVAL_US = 10_000
"""Time between two boxes of an object."""
SENSOR = Sensor(threshold_std=0.02, refractory_us=300)
"""Constants of the pixels; they have no low pass."""
STREAMS = ("number", "objects", "paths", "background", "pixels", "noise", "hot")
"""Independent random streams of a seed."""
LARGEST = 0.6
"""Diameter of an object in the shorter side of the sensor, at most."""
GROUND_SPREAD, GROUND_PX = (0.1, 0.25), (8.0, 80.0)
"""Of the background: range of the standard deviation of the logarithm of intensity; shortest and longest wavelength."""
LAMPS, LAMP_PX, LAMP_HZ, LAMP_DEPTH, LAMP_STEPS = (1, 4), (6.0, 30.0), (50.0, 100.0), (0.15, 0.35), 16
"""Lamps: how many, their sides, rates, amplitudes of the logarithm of intensity, and renderings in a period."""
APART = np.radians(40.0)
"""Headings of objects that cross differ by this at least."""
HIDDEN_S = (0.1, 0.4)
"""How long an object that fills its circle is hidden, if its speed allows it; smaller ones longer."""
STEEPEST, SLOWER = np.radians(60.0), 0.3
"""What passes behind a pillar flies no steeper than this; a larger object behind which another passes is slower by this."""
REFLECTING, REFLECTED = 0.5, (0.4, 0.7)
"""Share of recordings with walkers whose floor reflects; contrast of the reflections in that of the walkers, uniform."""


@dataclass(frozen=True)
class SceneRecording(Recording):
    """A recording of a scene.

    Attributes:
        boxes: BOX_DTYPE, sorted by time and object, at multiples of BOX_INTERVAL_US: around what is seen of each object, from its
            first event to its last. An object that is hidden has none; one that stands still has.
    """

    boxes: np.ndarray = field(default_factory=lambda: np.zeros(0, BOX_DTYPE))


class Cast(NamedTuple):
    """The shapes of a scene, the topmost first, with their paths and object ids: one for all parts of an object, 0 for a part of
    the background."""

    shapes: list[Shape]
    paths: list[Path]
    ids: list[int]


def scene_recording(config: SceneConfig, index: int) -> SceneRecording:
    """Recording ``index`` of a set, ``scene_0000`` and so on; depends on the configuration and the index alone.

    Labels are the centres of the boxes. ``truth["object_id"]`` is the object that lies on top at the event's pixel, or that has
    just uncovered it; 0 for background and noise. ``truth["source"]`` is SOURCE_OBJECT for these, SOURCE_STAR for what the
    background and its lamps send, and those of noise and hot pixels.
    """
    cast = draw_cast(config, index)
    made, boxes = _events(config, index, cast)
    rng = _random(config, "noise", index)
    noise = KINDS[config.noise](rng, config.sensor_size, config.duration_s, config.noise_hz)
    hot = hot_events(config, SENSOR, _random(config, "hot", index))
    events, truth = events_and_truth(np.concatenate([made, noise, hot]))
    width, height = config.sensor_size
    kept = awake(events["t"], events["y"].astype(np.int64) * width + events["x"], width * height, SENSOR.refractory_us)
    events, truth = events[kept], truth[kept]
    boxes = _while_seen(boxes, events["t"], truth["object_id"])
    labels = np.zeros(len(boxes), LABEL_DTYPE)
    for name in LABEL_DTYPE.names or ():
        labels[name] = boxes[name]
    return SceneRecording(
        events=events,
        sensor_size=config.sensor_size,
        labels=labels,
        name=f"scene_{index:04d}",
        source=f"simulated scene, {config.background} background, {config.meet}, seed {config.seed}",
        sensor=next((name for name, size in EBSSA_SIZES.items() if size == tuple(config.sensor_size)), ""),
        truth=truth,
        boxes=boxes,
    )


def recording_of(scenes: SceneSet, index: int) -> SceneRecording:
    """Recording ``index`` of a set, named by its condition and number, as in ``crossing_0000``."""
    return replace(scene_recording(scenes.config(index), index), name=f"{scenes.name(index)}_{index:04d}")


# -- what is drawn ------------------------------------------------------------------------------------


def draw_cast(config: SceneConfig, index: int) -> Cast:
    """Shapes and paths of a recording; ids are 1, 2, ... from the topmost object down, reflections last."""
    number = int(_random(config, "number", index).integers(config.objects[0], config.objects[1] + 1))
    rng, path_rng = _random(config, "objects", index), _random(config, "paths", index)
    diameters = [min(log_uniform(rng, config.size_px), LARGEST * min(config.sensor_size)) for _ in range(number)]
    passings = [draw_passing(path_rng, config) for _ in range(number)]
    bars: list[tuple[Shape, Path]] = []
    for first in range(0, number - 1, 2) if config.meet == "cross" else ():
        passings[first + 1] = _crossing(path_rng, passings[first], passings[first + 1])
    for first in range(0, number, 2) if config.meet == "occlude" else ():
        before_bar = path_rng.random() < 0.5 or first + 1 == number
        hidden = path_rng.uniform(*HIDDEN_S)
        if before_bar:
            heading = path_rng.choice([0.0, np.pi]) + path_rng.uniform(-STEEPEST, STEEPEST)
            passings[first] = passings[first]._replace(heading=float(heading))
            bars.append(_bar(path_rng, config, passings[first], diameters[first], hidden))
        else:  # the first lies on top of the second, is larger, slower, and comes by at the same time
            large = diameters[first + 1] + (1 - SLOWER) * hidden * passings[first + 1].speed_px_s
            diameters[first] = float(np.clip(large, 1.3 * diameters[first + 1], LARGEST * min(config.sensor_size)))
            over = _crossing(path_rng, passings[first + 1], passings[first])
            passings[first] = over._replace(speed_px_s=min(over.speed_px_s, SLOWER * passings[first + 1].speed_px_s))
    cast = Cast([bar for bar, _ in bars], [path for _, path in bars], [0] * len(bars))
    walkers: list[tuple[list[tuple[Shape, Path]], float]] = []
    for diameter, passing in zip(diameters, passings, strict=True):
        sign, contrast = rng.choice([-1, 1]), rng.uniform(*config.contrast)
        style, spread = str(rng.choice(config.styles)), rng.uniform(*config.texture)
        if config.meet == "occlude" and style == "hollow":
            style = "plain"
        motion, surface = str(path_rng.choice(config.motions)), (float(sign * contrast), float(spread))
        if motion == "walk":
            parts = draw_walker(rng, path_rng, config, passing, diameter, style, *surface)
            walkers.append((parts, float(passing.point[1])))
        else:
            parts = [(draw_shape(rng, style, diameter, *surface), draw_path(path_rng, config, motion, passing))]
        _enter(cast, parts)
    if walkers and path_rng.random() < REFLECTING:
        weight = float(path_rng.uniform(*REFLECTED))
        for parts, floor in walkers:
            _enter(cast, reflection(parts, floor, weight))
    return cast


def _enter(cast: Cast, parts: list[tuple[Shape, Path]]) -> None:
    """Puts an object below those that are there, with the next id."""
    cast.ids.extend([max(cast.ids, default=0) + 1] * len(parts))
    for shape, path in parts:
        cast.shapes.append(shape)
        cast.paths.append(path)


def _crossing(rng: np.random.Generator, other: Passing, own: Passing) -> Passing:
    """The same, through the point of another at the same time, in another direction."""
    heading = other.heading + rng.choice([-1, 1]) * rng.uniform(APART, np.pi)
    return Passing(other.point, other.at_s, own.speed_px_s, float(heading))


def _bar(
    rng: np.random.Generator, config: SceneConfig, passing: Passing, diameter_px: float, hidden_s: float
) -> tuple[Shape, Path]:
    """A pillar at the point through which an object passes, behind which it is hidden for a while, and its path: none."""
    width = diameter_px + hidden_s * passing.speed_px_s * abs(np.cos(passing.heading))
    width = int(min(width, 0.4 * config.sensor_size[0]))
    shape = pillar(width, config.sensor_size[1] * 2, float(np.exp(rng.uniform(-0.3, 0.3))))
    place = np.array([np.floor(passing.point[0]) + 0.5 * (width % 2), config.sensor_size[1] / 2, 0.0, 1.0])
    return shape, Path(np.array([0.0, config.duration_s]), np.stack([place, place]))


# -- from what is drawn to events ---------------------------------------------------------------------


def _events(config: SceneConfig, index: int, cast: Cast) -> tuple[np.ndarray, np.ndarray]:
    """Events of shapes and background, EVENT_TRUTH_DTYPE, in no order, and boxes, BOX_DTYPE, by time and object."""
    ground, changes = _background(config, _random(config, "background", index), len(cast.shapes))
    schedule = _schedule(config, cast, changes)
    pixels = _pixels(_random(config, "pixels", index), ground)
    when, place, on, shape, boxes = play(schedule, _patches(cast.shapes), ground, pixels)
    ids = np.array([*cast.ids, 0], np.int32)[shape]  # -1, the background, is the last
    events = np.zeros(len(when), EVENT_TRUTH_DTYPE)
    events["t"], events["p"], events["object_id"] = when, on, ids
    events["y"], events["x"] = np.divmod(place, config.sensor_size[0])
    events["source"] = np.where(ids > 0, SOURCE_OBJECT, SOURCE_STAR)
    return events[events["t"] < config.duration_s * US_PER_S], _joined(boxes, np.array(cast.ids, np.int64))


def _joined(boxes: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Boxes of shapes, see play, as those of objects, BOX_DTYPE: around what is seen of all shapes of an id (K,)."""
    look, which = np.nonzero((boxes[:, :, 1] >= 0) & (ids > 0))
    seen, own = np.unique(np.column_stack([look, ids[which]]), axis=0, return_inverse=True)
    low, high = np.full((len(seen), 2), np.iinfo(np.int32).max), np.full((len(seen), 2), -1)
    np.minimum.at(low, own.ravel(), boxes[look, which][:, ::2])
    np.maximum.at(high, own.ravel(), boxes[look, which][:, 1::2])
    found = np.zeros(len(seen), BOX_DTYPE)
    found["t"], found["id"] = seen[:, 0] * BOX_INTERVAL_US, seen[:, 1]
    found["x"], found["y"] = (low + high).T / 2
    found["w"], found["h"] = (high - low).T + 1
    return found


def _schedule(config: SceneConfig, cast: Cast, changes: list[tuple[np.ndarray, int, np.ndarray]]) -> Schedule:
    """All renderings of shapes, those of the background, and looks for boxes."""
    parts = list(changes)
    for k, (shape, path) in enumerate(zip(cast.shapes, cast.paths, strict=True)):
        when, pose = renderings(path, shape.radius_px, config.sensor_size)
        parts.append((when * US_PER_S, k, pose))
    looks = np.arange(0, int(config.duration_s * US_PER_S), BOX_INTERVAL_US).astype(np.float64)
    parts.append((looks, LOOK, np.zeros((len(looks), 4))))
    t = np.concatenate([when for when, _, _ in parts])
    which = np.concatenate([np.full(len(when), number, np.int64) for when, number, _ in parts])
    order = np.lexsort((which, t))
    first = np.array([path.pose[0] for path in cast.paths]).reshape(-1, 4)
    return Schedule(t[order], which[order], np.concatenate([pose for _, _, pose in parts])[order], first)


def _background(
    config: SceneConfig, rng: np.random.Generator, shapes: int
) -> tuple[Ground, list[tuple[np.ndarray, int, np.ndarray]]]:
    """The background and when it changes: times (m,), µs, the number in the schedule, and what it changes to (m, 4)."""
    width, height = config.sensor_size
    spread, longest = rng.uniform(*GROUND_SPREAD), min(GROUND_PX[1], max(config.sensor_size) / 2)
    intensity = np.exp(spread * texture(rng, (height, width), (GROUND_PX[0], longest))).astype(np.float32)
    lamp, boxes = np.zeros((height, width), np.int8), np.zeros((0, 4), np.int64)
    changes: list[tuple[np.ndarray, int, np.ndarray]] = []
    if config.background == "moving":
        speed, angle = log_uniform(rng, config.background_speed_px_s), rng.uniform(0, 2 * np.pi)
        when = np.arange(STEP_PX / speed, config.duration_s, STEP_PX / speed)
        way = (speed * when)[:, None] * np.array([np.cos(angle), np.sin(angle), 0, 0])
        changes.append((when * US_PER_S, shapes, way))
    elif config.background == "flicker":
        number = int(rng.integers(LAMPS[0], LAMPS[1] + 1))
        boxes = np.zeros((number, 4), np.int64)
        for k in range(number):
            side = np.minimum(rng.uniform(*LAMP_PX, 2), 0.4 * min(config.sensor_size)).astype(np.int64) + 1
            corner = rng.integers(0, np.array(config.sensor_size) - side)
            boxes[k] = *corner, *(corner + side)
            lamp[corner[1] : corner[1] + side[1], corner[0] : corner[0] + side[0]] = k + 1
            rate, depth, phase = rng.choice(LAMP_HZ), rng.uniform(*LAMP_DEPTH), rng.uniform(0, 2 * np.pi)
            when = np.arange(0, config.duration_s, 1 / (LAMP_STEPS * rate))
            gain = np.exp(depth * np.cos(2 * np.pi * rate * when + phase))
            changes.append((when * US_PER_S, shapes + 1 + k, np.repeat(gain[:, None], 4, 1)))
    return Ground(intensity, lamp, boxes), changes


def _patches(shapes: list[Shape]) -> Patches:
    sides = np.array([len(shape.distance) for shape in shapes], np.int64)
    none = np.zeros(0, np.float32)
    return Patches(
        begin=np.cumsum(np.r_[0, sides**2])[:-1],
        side=sides,
        distance=np.concatenate([none, *(shape.distance.ravel() for shape in shapes)]),
        tone=np.concatenate([none, *(shape.tone.ravel() for shape in shapes)]),
        outline=np.array([shape.outline_px for shape in shapes], np.float32),
        radius=np.array([shape.radius_px for shape in shapes], np.float32),
        fixed=np.array([shape.fixed for shape in shapes], bool),
    )


def _pixels(rng: np.random.Generator, ground: Ground) -> Pixels:
    """Thresholds, and how far each pixel has come from its last event when the recording starts."""
    size = ground.intensity.shape
    on, off = (
        np.maximum(rng.normal(SENSOR.threshold, SENSOR.threshold_std, size), 0.25 * SENSOR.threshold).astype(np.float32)
        for _ in range(2)
    )
    way = rng.uniform(-START_SPREAD, START_SPREAD, size).astype(np.float32)
    return Pixels(on, off, np.where(way < 0, way * on, way * off).astype(np.float32), float(SENSOR.refractory_us))


def _while_seen(boxes: np.ndarray, t_us: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The boxes of each object between its first event and its last, to BOX_INTERVAL_US."""
    keep = np.zeros(len(boxes), bool)
    for number in np.unique(boxes["id"]):
        own = t_us[ids == number]
        if len(own):
            late, early = boxes["t"] > own[0] - BOX_INTERVAL_US, boxes["t"] < own[-1] + BOX_INTERVAL_US
            keep |= (boxes["id"] == number) & late & early
    return boxes[keep]


def _random(config: SceneConfig, stream: str, index: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, STREAMS.index(stream), index])
