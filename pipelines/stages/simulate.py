"""Stage `simulate`: labelled night-sky recordings in EBSSA's formats, in the cache or in a folder of the user's."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.config.keys import section_dict
from spikeseg.errors import InputError

from ..runtime.console import progress
from ..runtime.manifest import Ingredients
from ..runtime.parallel import Workers, ordered
from ..runtime.stage import StageResult, run_in_folder, run_stage

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.recording import Recording
    from spikeseg.simulation.limit import LimitConfig
    from spikeseg.simulation.recordings import SimulationConfig
    from spikeseg.simulation.scenes import SceneSet

STAGE, VERSION = "simulate", 2


def simulation(cfg: Config) -> SimulationConfig:
    """What the configuration asks to simulate; its own seed, or the top-level one."""
    from spikeseg.simulation.recordings import SimulationConfig

    section = cfg.simulate
    return SimulationConfig(
        recordings=section.recordings,
        duration_s=section.duration_s,
        difficulty=section.difficulty,
        sensor=section.sensor,
        seed=seed_of(cfg),
        noise=section.noise,
    )


def seed_of(cfg: Config) -> int:
    """The seed of what is simulated."""
    return cfg.seed if cfg.simulate.seed is None else cfg.simulate.seed


def config_values(cfg: Config, format: str = "h5", instead: LimitConfig | SceneSet | None = None) -> dict[str, Any]:
    """The configuration values that decide what is written: a night's, or those of what is simulated instead."""
    if instead is not None:
        kind = "limit" if hasattr(instead, "rate_hz") else "scenes"
        return {"kind": kind, "recordings": cfg.simulate.recordings, **dataclasses.asdict(instead), "format": format}
    values = dataclasses.asdict(simulation(cfg))
    if "noise" not in section_dict(cfg.simulate):
        del values["noise"]
    return {**values, "format": format}


def ingredients(cfg: Config, format: str = "h5", instead: LimitConfig | SceneSet | None = None) -> Ingredients:
    """What simulated recordings are made from."""
    return Ingredients(STAGE, VERSION, config_values(cfg, format, instead), {})


def key_in_cache(cfg: Config) -> str:
    """The key under which `into_cache` stores its recordings."""
    return ingredients(cfg).key


def folder_in_cache(cfg: Config) -> Path:
    """Where `into_cache` stores its recordings."""
    return Path(cfg.cache_dir) / "simulated" / key_in_cache(cfg)


def into_cache(cfg: Config, *, force: bool = False) -> StageResult:
    """Simulated recordings (HDF5) in ``cache_dir/simulated/<key>/``, made now unless they are there."""

    def build(folder: Path) -> Mapping[str, Any]:
        from spikeseg.simulation.write import write

        with contextlib.closing(_recordings(cfg)) as recordings:
            write(folder, recordings, format="h5")
        return {"seed": seed_of(cfg), "device": "cpu"}

    return run_stage(Path(cfg.cache_dir) / "simulated", ingredients(cfg), build, force)


def into_folder(
    cfg: Config, out: Path, *, format: str = "h5", force: bool = False, instead: LimitConfig | SceneSet | None = None
) -> StageResult:
    """Simulated recordings in a folder of the user's, beside a manifest ``simulate-<format>.manifest.json``.

    Both formats may share a folder if they hold the same recordings. With `instead` these are recordings for measuring the
    faintest object, or scenes, as many as the configuration asks for, instead of nights.

    Raises InputError when out cannot be written or holds other recordings that this command did not write."""
    from spikeseg.simulation.write import FORMATS, write

    if format not in FORMATS:
        raise InputError(f"--format {format}: unknown; allowed: {', '.join(FORMATS)}")

    def build(folder: Path) -> Mapping[str, Any]:
        with contextlib.closing(_recordings(cfg, instead)) as recordings:
            write(folder, recordings, format=format)
        return {"seed": seed_of(cfg) if instead is None else instead.seed, "device": "cpu"}

    return run_in_folder(out, ingredients(cfg, format, instead)._replace(stage=f"{STAGE}-{format}"), build, force)


def _recordings(cfg: Config, instead: LimitConfig | SceneSet | None = None) -> Generator[Recording, None, None]:
    from spikeseg.simulation.limit import LimitConfig, limit_recording
    from spikeseg.simulation.recordings import simulate_recording
    from spikeseg.simulation.scenes import recording_of

    total = cfg.simulate.recordings
    make: Callable[[int], Recording]
    if instead is None:
        make = functools.partial(simulate_recording, simulation(cfg))
    elif isinstance(instead, LimitConfig):
        make = functools.partial(limit_recording, instead)
    else:
        make = functools.partial(recording_of, instead)
    yield from progress(ordered(make, range(total), Workers.of(cfg)), "simulating", "recording", total=total)
