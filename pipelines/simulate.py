"""Stage `simulate`: labelled night-sky recordings in EBSSA's formats, in the cache or in a folder of the user's."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.errors import InputError

from .console import progress
from .parallel import ordered
from .run import Done, damaged, describe_file, read_manifest, run_stage, stage_key, write_manifest

if TYPE_CHECKING:
    from spikeseg.data.recording import Recording
    from spikeseg.data.simulate import SimulationConfig
    from spikeseg.sections import Config

STAGE, VERSION = "simulate", 1


def simulation(cfg: Config) -> SimulationConfig:
    """What the configuration asks to simulate; its own seed, or the top-level one."""
    from spikeseg.data.simulate import SimulationConfig

    section = cfg.simulate
    return SimulationConfig(
        recordings=section.recordings,
        duration_s=section.duration_s,
        difficulty=section.difficulty,
        sensor=section.sensor,
        seed=cfg.seed if section.seed is None else section.seed,
    )


def config_values(cfg: Config, format: str = "h5") -> dict[str, Any]:
    """The configuration values that decide what is written."""
    return {**dataclasses.asdict(simulation(cfg)), "format": format}


def key_in_cache(cfg: Config) -> str:
    """The key under which `into_cache` stores its recordings."""
    return stage_key(STAGE, VERSION, config_values(cfg), {})


def into_cache(cfg: Config, *, force: bool = False) -> Done:
    """Simulated recordings (HDF5) in ``cache_dir/simulated/<key>/``, made now unless they are there."""
    from spikeseg.data.simulate_write import write

    def build(folder: Path) -> Mapping[str, Any]:
        write(folder, _recordings(cfg), format="h5")
        return {"seed": simulation(cfg).seed, "device": "cpu"}

    return run_stage(Path(cfg.cache_dir) / "simulated", STAGE, VERSION, config_values(cfg), {}, build, force)


def into_folder(cfg: Config, out: Path, *, format: str = "h5", force: bool = False) -> Done:
    """Simulated recordings in a folder of the user's, beside a manifest ``simulate-<format>.manifest.json``.

    Both formats may share a folder if they hold the same recordings.

    Raises InputError when out cannot be written or holds other recordings (with force, earlier ones of
    the same format are replaced)."""
    from spikeseg.data.simulate_write import FORMATS, write

    if format not in FORMATS:
        raise InputError(f"--format {format}: unknown; allowed: {', '.join(FORMATS)}")
    values = config_values(cfg, format)
    key = stage_key(STAGE, VERSION, values, {})
    path = out / f"simulate-{format}.manifest.json"
    before = read_manifest(path)
    if before and before["key"] == key and not damaged(before, out) and not force:
        return Done(out, key, ran=False)
    started = time.monotonic()
    made = write(out, _recordings(cfg), format=format, force=force)
    files = [*made, *_truth_files(out, cfg)]
    outputs = {p.relative_to(out).as_posix(): describe_file(p) for p in files}
    for old in set(before["outputs"] if before else ()) - set(outputs):
        (out / old).unlink(missing_ok=True)
    write_manifest(
        path, stage=STAGE, version=VERSION, config=values, inputs={}, outputs=outputs,
        seconds=time.monotonic() - started, extra={"seed": simulation(cfg).seed, "device": "cpu"},
    )  # fmt: skip
    return Done(out, key, ran=True)


def _recordings(cfg: Config) -> Iterator[Recording]:
    from spikeseg.data.simulate import simulate_recording

    asked = simulation(cfg)
    make = functools.partial(simulate_recording, asked)
    found = ordered(make, range(asked.recordings), cfg.data.num_workers)
    return progress(found, "simulating", "recording", total=asked.recordings)


def _truth_files(out: Path, cfg: Config) -> list[Path]:
    from spikeseg.data.simulate import recording_name
    from spikeseg.data.simulate_write import TRUTH_FOLDER

    asked = simulation(cfg)
    return [out / TRUTH_FOLDER / f"{recording_name(asked, i)}.npz" for i in range(asked.recordings)]
