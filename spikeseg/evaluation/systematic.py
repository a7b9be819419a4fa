"""A network under systematic conditions: from no noise to almost nothing else, and from one object to several.

Each condition is a level, whose recordings are simulated (`spikeseg.simulation.limit`): point objects of a known rate, which move
evenly among noise that makes up a given share of all events. Recordings of one number of objects have the same paths and the same
events of objects at every level of noise. Labels are read after the network has answered.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from spikeseg.config.sections import Config
from spikeseg.core import interrupts
from spikeseg.data.windows import windowed
from spikeseg.errors import InputError
from spikeseg.metrics.mode import CountSettings, LabelledRecording, mode_named
from spikeseg.metrics.rates import Bootstrap
from spikeseg.simulation.limit import LimitConfig, limit_recording

from .detectors import Detector
from .text import cell, csv_text, text_table

if TYPE_CHECKING:
    from spikeseg.data.recording import Recording

NOISIEST = 99.0
"""Percent of all events: of more, next to nothing is left to find."""
MOST_OBJECTS = 100
MODES = ("track", "object")
"""What is scored of each level."""
SHOWN = (
    ("track", "recall"), ("track", "coverage"), ("track", "false_tracks_per_minute"), ("track", "position_error_px"),
    ("object", "f1"),
)  # fmt: skip
"""Figures in the table, in this order."""
VERSION = 1


class Level(NamedTuple):
    """A condition.

    Attributes:
        noise_percent: share of all events that are noise, 0 to NOISIEST.
        objects: in each recording.
    """

    noise_percent: float
    objects: int


@dataclass(frozen=True)
class Conditions:
    """The levels, every noise with every number of objects, and what their recordings have in common.

    Attributes:
        noise_percent: see `Level`.
        objects: see `Level`.
        recordings: of each level.
        duration_s: of each recording.
        rate_hz: events/s of an object.
        sensor_size: (width, height), px.
        seed: of all of them.

    Raises InputError for values that are not allowed.
    """

    noise_percent: tuple[float, ...]
    objects: tuple[int, ...]
    recordings: int
    duration_s: float
    rate_hz: float
    sensor_size: tuple[int, int] = (128, 128)
    seed: int = Config.seed

    def __post_init__(self) -> None:
        for name, low, high in (("noise_percent", 0, NOISIEST), ("objects", 1, MOST_OBJECTS), ("recordings", 1, 10_000)):
            values = getattr(self, name)
            for value in values if isinstance(values, tuple) else (values,):
                if not low <= value <= high:
                    raise InputError(f"systematic.{name}: {value!r}; allowed: {low} to {high:g}")
            if isinstance(values, tuple) and (not values or len(set(values)) < len(values)):
                raise InputError(f"systematic.{name}: {values!r}; allowed: different values, at least one")
        for level in self.levels():
            self.simulated(level)  # which checks the rest

    def levels(self) -> list[Level]:
        """All levels, by noise, then by objects."""
        return [Level(*level) for level in itertools.product(sorted(self.noise_percent), sorted(self.objects))]

    def noise_hz(self, level: Level) -> float:
        """Events/s of noise of a pixel at a level."""
        share = level.noise_percent / 100
        return self.rate_hz * level.objects * share / (1 - share) / prod(self.sensor_size)

    def simulated(self, level: Level) -> LimitConfig:
        """What is simulated at a level."""
        return LimitConfig(
            rate_hz=self.rate_hz,
            noise_hz=self.noise_hz(level),
            duration_s=self.duration_s,
            objects=level.objects,
            stars=0,
            sensor_size=self.sensor_size,
            seed=self.seed,
        )

    def recording(self, level: Level, index: int) -> Recording:
        """One of a level's recordings."""
        return limit_recording(self.simulated(level), index)


class LevelScores(NamedTuple):
    """What came of a level.

    Attributes:
        level: the level.
        scores: by mode, what `Mode.score` gives.
        frames: time steps of all windows of its recordings.
        seconds: that the network took for them.
    """

    level: Level
    scores: Mapping[str, Mapping[str, Any]]
    frames: int
    seconds: float

    @property
    def frames_per_second(self) -> float:
        """Time steps that the network takes in a second, on this machine."""
        return self.frames / self.seconds if self.seconds else 0.0


def measure(detector: Detector, threshold: float, cfg: Config, conditions: Conditions) -> Iterator[LevelScores]:
    """Levels scored one after the other.

    Args:
        detector: the network, see `compare.network_detector`.
        threshold: from which saliency counts.
        cfg: how recordings are framed and scored.
        conditions: the levels.
    """
    modes = [mode_named(name) for name in MODES]
    counting = CountSettings(cfg.evaluation, threshold, detector.object_threshold, detector.is_network)
    bootstrap = Bootstrap(cfg.evaluation.bootstrap, cfg.evaluation.confidence, cfg.seed)
    detector.respond(windowed(conditions.recording(conditions.levels()[0], 0), cfg.data))  # compiles, which is not to be timed
    for level in conditions.levels():
        rows: dict[str, list[Any]] = {mode.name: [] for mode in modes}
        frames, seconds = 0, 0.0
        for index in range(conditions.recordings):
            interrupts.check()
            recording = conditions.recording(level, index)
            view = windowed(recording, cfg.data)
            began = time.monotonic()
            answer = detector.respond(view)
            seconds += time.monotonic() - began
            frames += len(view.start_us) * view.spec.n_timesteps
            assert recording.labels is not None
            labelled = LabelledRecording.of(view, recording.labels, recording.truth, cfg.evaluation)
            for mode in modes:
                rows[mode.name].append(mode.count(labelled, answer, counting))
        yield LevelScores(level, {mode.name: mode.score(rows[mode.name], bootstrap) for mode in modes}, frames, seconds)


def document(conditions: Conditions, levels: Sequence[LevelScores]) -> dict[str, Any]:
    """The scores, fit for JSON: nothing in it depends on the machine."""
    return {
        "version": VERSION,
        "conditions": {name: value for name, value in vars(conditions).items()},
        "levels": [
            {**scored.level._asdict(), "noise_hz_per_pixel": conditions.noise_hz(scored.level), **scored.scores}
            for scored in levels
        ],
    }


def systematic_csv(content: Mapping[str, Any]) -> str:
    """A row per level, mode and figure; low and high are its interval over recordings."""
    rows = []
    for level in content["levels"]:
        for mode in MODES:
            for figure, value in level[mode].items():
                if value is None or isinstance(value, (int, float)):
                    low, high = level[mode]["intervals"].get(figure) or (None, None)
                    rows.append([level["noise_percent"], level["objects"], mode, figure, value, low, high])
    return csv_text(["noise_percent", "objects", "mode", "figure", "value", "low", "high"], rows)


def systematic_table(content: Mapping[str, Any], frames_per_second: Sequence[float]) -> str:
    """A line per level.

    Args:
        content: see `document`.
        frames_per_second: of each level, on this machine.
    """
    heads = ["noise, %", "objects", *(mode_named(mode).figure_title(figure) for mode, figure in SHOWN), "frames/s"]
    rows = [
        [
            f"{level['noise_percent']:g}",
            str(level["objects"]),
            *(cell(level[mode][figure]) for mode, figure in SHOWN),
            f"{speed:,.0f}",
        ]
        for level, speed in zip(content["levels"], frames_per_second, strict=True)
    ]
    return text_table(heads, rows)
