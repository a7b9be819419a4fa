"""What scenes are made of: the settings of a recording, and the conditions that are measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

from spikeseg.config.sections import SEED_MAX
from spikeseg.errors import InputError

from ..camera_noise import KINDS
from ..draws import MOST_EVENTS

RIGID = ("straight", "turn", "stop", "grow")
MOTIONS = (*RIGID, "walk")
STYLES = ("textured", "plain", "hollow")
MEETINGS = ("free", "cross", "occlude")
BACKGROUNDS = ("still", "moving", "flicker")
SHORTEST_S, LONGEST_S = 0.05, 60.0


@dataclass(frozen=True)
class SceneConfig:
    """What to simulate. Same values, same bytes.

    Attributes:
        objects: fewest and most objects of a recording, uniform; (0, 0): background and noise alone.
        size_px: range of their diameters, or heights of those that walk, log-uniform; never more than 0.6 of the sensor's shorter
            side.
        speed_px_s: range of their speeds on the sensor, log-uniform.
        contrast: range of the logarithm of their mean intensity over that of the background, brighter or darker, uniform.
        texture: range of the standard deviation of the logarithm of intensity within a textured object, uniform.
        styles: some of STYLES, one is drawn for each object: textured; plain (one tone: events at its edges alone); hollow (an
            outline, through which one sees what lies behind).
        motions: some of MOTIONS, one is drawn for each: straight; turn (a curved path along which it rotates); stop (stands still
            for 0.2 to 1 s and goes on); grow (approaches, up to four times as large at the end); walk (goes sideways on two legs,
            with a body above or none, by three strides a second at most; in half of the recordings the floor reflects).
        meet: free; cross (two and two pass through one point at one time); occlude (one passes behind a larger one, or behind a
            pillar that belongs to the background, for 0.5 s at most).
        background: still; moving (a camera that pans over a textured background); flicker (lamps of 50 or 100 Hz).
        background_speed_px_s: range of the background's speed where it moves, log-uniform.
        noise_hz: mean rate of noise of a pixel, events/s.
        noise: a key of camera_noise.KINDS.
        sensor_size: (width, height), px.
        duration_s: length of a recording.
        seed: 0 or more.

    Raises InputError for values that are not allowed.
    """

    objects: tuple[int, int] = (1, 4)
    size_px: tuple[float, float] = (10.0, 80.0)
    speed_px_s: tuple[float, float] = (30.0, 500.0)
    contrast: tuple[float, float] = (0.5, 1.5)
    texture: tuple[float, float] = (0.15, 0.4)
    styles: tuple[str, ...] = STYLES
    motions: tuple[str, ...] = RIGID
    meet: str = "free"
    background: str = "still"
    background_speed_px_s: tuple[float, float] = (5.0, 60.0)
    noise_hz: float = 0.3
    noise: str = "measured"
    sensor_size: tuple[int, int] = (346, 260)
    duration_s: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("size_px", 1.0, 1000.0), ("speed_px_s", 0.1, 10_000.0), ("contrast", 0.0, 5.0), ("texture", 0.0, 2.0),
            ("background_speed_px_s", 0.1, 10_000.0),
        ):  # fmt: skip
            if not _range(getattr(self, name), low, high):
                self._refuse(name, f"two numbers from {low:g} to {high:g}, the lower first")
        if not _range(self.objects, 0, 100) or not all(isinstance(v, Integral) for v in self.objects):
            self._refuse("objects", "two whole numbers from 0 to 100, the lower first")
        lists: dict[str, tuple[str, ...]] = {"styles": STYLES, "motions": MOTIONS}
        for name, allowed in lists.items():
            values = getattr(self, name)
            if not isinstance(values, (tuple, list)) or not values or not set(values) <= set(allowed):
                self._refuse(name, f"some of {', '.join(allowed)}")
        choices: dict[str, tuple[str, ...]] = {"meet": MEETINGS, "background": BACKGROUNDS, "noise": tuple(KINDS)}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                self._refuse(name, ", ".join(allowed))
        if not _number(self.noise_hz, 0.0, 1e3):
            self._refuse("noise_hz", "a number from 0 to 1000")
        if not _number(self.duration_s, SHORTEST_S, LONGEST_S):
            self._refuse("duration_s", f"a number from {SHORTEST_S:g} to {LONGEST_S:g}")
        size = self.sensor_size
        if not _pair(size) or not all(isinstance(v, Integral) and 16 <= v <= 4096 for v in size):
            self._refuse("sensor_size", "width and height from 16 to 4096")
        if not isinstance(self.seed, Integral) or not 0 <= self.seed <= SEED_MAX:
            self._refuse("seed", f"a whole number from 0 to {SEED_MAX}")
        noise = self.noise_hz * size[0] * size[1] * self.duration_s
        if noise > MOST_EVENTS:
            self._refuse(
                "noise_hz", f"less for this sensor_size and duration_s ({noise:.2g} events of noise, at most {MOST_EVENTS:g})"
            )

    def _refuse(self, name: str, allowed: str) -> None:
        raise InputError(f"scenes.{name}: {getattr(self, name)!r}; allowed: {allowed}")


def _number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and low <= float(value) <= high


def _pair(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2


def _range(value: Any, low: float, high: float) -> bool:
    return _pair(value) and all(_number(v, low, high) for v in value) and value[0] <= value[1]


BASE = SceneConfig(motions=("straight", "turn"))
CONDITIONS: dict[str, SceneConfig] = {
    "crossing": replace(BASE, objects=(2, 4), meet="cross", motions=("straight",), speed_px_s=(60.0, 400.0)),
    "occluding": replace(BASE, objects=(2, 3), meet="occlude", motions=("straight",), speed_px_s=(80.0, 400.0)),
    "growing": replace(BASE, objects=(1, 3), motions=("grow",), size_px=(30.0, 150.0), speed_px_s=(10.0, 100.0)),
    "stopping": replace(BASE, objects=(1, 3), motions=("stop",), duration_s=3.0),
    "turning": replace(BASE, objects=(1, 4), motions=("turn",)),
    "faint": replace(BASE, contrast=(0.25, 0.4), texture=(0.02, 0.1), styles=("textured", "plain"), noise_hz=3.0),
    "fast": replace(BASE, objects=(2, 5), speed_px_s=(700.0, 3000.0), duration_s=1.0),
    "tiny": replace(BASE, objects=(2, 6), size_px=(3.0, 8.0), contrast=(0.7, 1.5)),
    "many": replace(BASE, objects=(5, 8), size_px=(6.0, 60.0), motions=RIGID, sensor_size=(640, 480)),
    "moving": replace(BASE, objects=(1, 3), background="moving", speed_px_s=(80.0, 500.0)),
    "flicker": replace(BASE, objects=(1, 3), background="flicker"),
    "small": replace(BASE, objects=(1, 2), size_px=(4.0, 14.0), speed_px_s=(20.0, 200.0), sensor_size=(34, 34), duration_s=1.0),
    "large": replace(
        BASE, objects=(2, 6), size_px=(6.0, 150.0), speed_px_s=(50.0, 1500.0), sensor_size=(1280, 720), duration_s=0.5
    ),
    "empty": replace(BASE, objects=(0, 0), duration_s=4.0),
    "empty_moving": replace(BASE, objects=(0, 0), background="moving", duration_s=4.0),
    "empty_flicker": replace(BASE, objects=(0, 0), background="flicker", duration_s=4.0),
    "walking": replace(
        BASE, objects=(1, 3), motions=("walk",), size_px=(60.0, 200.0), speed_px_s=(60.0, 400.0), sensor_size=(640, 480)
    ),
}
"""What scenes are measured under, by name; a recording of a condition has `seed` replaced. A new one comes last: the place of a
condition is a part of what its recordings are drawn from."""


def condition(name: str, **changes: Any) -> SceneConfig:
    """The settings of a condition, with changes.

    Raises InputError for a name that is not one of CONDITIONS, or values that are not allowed."""
    if name not in CONDITIONS:
        raise InputError(f"scenes: condition {name!r}; allowed: {', '.join(CONDITIONS)}")
    return replace(CONDITIONS[name], **changes)


@dataclass(frozen=True)
class SceneSet:
    """Scenes of several conditions in turn. Same values, same bytes.

    Attributes:
        conditions: names of CONDITIONS; recording k is of the k-th of them, and then from the first again.
        seed: 0 or more.
        changes: fields of SceneConfig that replace those of every condition, with their values.

    Raises InputError for anything else.
    """

    conditions: tuple[str, ...] = tuple(CONDITIONS)
    seed: int = 0
    changes: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if not self.conditions:
            raise InputError(f"scenes.conditions: none; allowed: {', '.join(CONDITIONS)}")
        for index in range(len(self.conditions)):
            self.config(index)

    def name(self, index: int) -> str:
        """The condition of a recording."""
        return self.conditions[index % len(self.conditions)]

    def config(self, index: int) -> SceneConfig:
        """The settings of a recording."""
        return condition(self.name(index), seed=self.seed, **dict(self.changes))
