"""Stage `prepare`: recordings become cached frames, with their events, labels and split."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.errors import InputError

from . import simulate
from .console import progress
from .parallel import ordered
from .run import MANIFEST, Done, finished, read_manifest, run_stage, stage_key

if TYPE_CHECKING:
    import numpy as np

    from spikeseg.data.datasets import Entry
    from spikeseg.data.frames import FrameSpec, Windows
    from spikeseg.data.recording import Recording
    from spikeseg.sections import Config

log = logging.getLogger(__name__)

STAGE, VERSION = "prepare", 1
STORE = "frames.zarr"
"""Name of the zarr store inside the stage's folder."""


@dataclass(frozen=True)
class Plan:
    """What the stage reads: configuration values and inputs, which together give its key."""

    config: dict[str, Any]
    inputs: dict[str, str]
    entries: list[Entry]

    @property
    def key(self) -> str:
        """The key of the frames."""
        return stage_key(STAGE, VERSION, self.config, self.inputs)


def plan(cfg: Config) -> Plan:
    """What `prepare` would do. Raises InputError for a folder that is missing or empty, or an unknown dataset."""
    data = cfg.data
    config = {
        "dataset": data.dataset,
        "sensor": data.sensor,
        "lenient": data.lenient,
        "transforms": data.transforms,
        "frames": dataclasses.asdict(frame_spec(cfg)),
        "train_ratio": data.train_ratio,
        "test_ratio": data.test_ratio,
        "seed": cfg.seed,
    }
    if data.folds or data.fold:
        config["fold"] = [data.fold, data.folds]
    if _simulated(cfg):
        return Plan(config, {"simulated": simulate.key_in_cache(cfg)}, [])
    found = _entries(cfg, data.data_root)
    return Plan(config, {entry.name: entry.fingerprint for entry in found}, found)


def frame_spec(cfg: Config) -> FrameSpec:
    """How the configuration cuts events into frames."""
    from spikeseg.data.frames import FrameSpec

    data = cfg.data
    return FrameSpec(
        n_timesteps=data.n_timesteps,
        timestep_us=round(data.timestep_ms * 1000),
        height=data.input_height,
        width=data.input_width,
        overlap=data.window_overlap,
        normalize=data.normalize,
    )


def find_frames(cfg: Config) -> Done:
    """The frames of this configuration, already prepared. Raises InputError naming the command that makes them."""
    key = plan(cfg).key
    folder = Path(cfg.cache_dir) / "frames" / key
    if not finished(folder):
        raise InputError(
            f"no prepared frames of this configuration ({folder / MANIFEST} is missing); run `spikeseg prepare` "
            "with the same options first"
        )
    return Done(folder, key, ran=False)


def prepare(cfg: Config, *, force: bool = False) -> Done:
    """Frames of every recording in ``cache_dir/frames/<key>/frames.zarr``, made now unless they are there.

    With the dataset "synthetic" and no data_root the recordings are simulated first, into the cache.
    In the dataset "files", files that cannot be read are left out, counted and named in the manifest.

    Raises InputError when nothing can be read, or the cache cannot be written."""
    planned = plan(cfg)
    build = functools.partial(_build, cfg, planned)
    return run_stage(
        Path(cfg.cache_dir) / "frames", STAGE, VERSION, planned.config, planned.inputs, build, force
    )  # fmt: skip


def prepare_split(cfg: Config, frames: Done) -> Done:
    """Frames of this configuration, made from those of one that differs in nothing but how recordings are split: nothing is read
    or framed again, and the files of the arrays are shared.

    Raises InputError when frames are damaged or the cache cannot be written."""
    planned, told = plan(cfg), read_manifest(frames.path / MANIFEST)
    assert told is not None
    counted = {name: told[name] for name in ("device", "recordings", "windows", "dropped", "skipped")}

    def build(folder: Path) -> Mapping[str, Any]:
        from spikeseg.data.store import resplit

        parts = splits_of(cfg, told["splits"])
        resplit(frames.path / STORE, folder / STORE, parts)
        return {"seed": cfg.seed, **counted, "splits": parts}

    return run_stage(Path(cfg.cache_dir) / "frames", STAGE, VERSION, planned.config, planned.inputs, build)


def splits_of(cfg: Config, names: Iterable[str]) -> dict[str, str]:
    """Recording -> "train", "val" or "test", as the configuration says."""
    from spikeseg.data.splits import split

    data = cfg.data
    return split(names, data.train_ratio, data.test_ratio, cfg.seed, folds=data.folds, fold=data.fold)


def _simulated(cfg: Config) -> bool:
    return cfg.data.dataset == "synthetic" and not cfg.data.data_root


def _entries(cfg: Config, root: str | Path | None) -> list[Entry]:
    from spikeseg.data.datasets import DATASETS

    if not root:
        raise InputError(f"data.data_root: missing; the dataset {cfg.data.dataset!r} needs --data-root PATH")
    return DATASETS[cfg.data.dataset](Path(root).expanduser().absolute(), sensor=cfg.data.sensor)


def _build(cfg: Config, planned: Plan, folder: Path) -> Mapping[str, Any]:
    from spikeseg.data.store import FramesWriter

    entries = planned.entries
    skipped: dict[str, str] = {}
    if _simulated(cfg):
        entries = _entries(cfg, simulate.into_cache(cfg).path)
    if cfg.data.dataset == "files":
        entries, skipped = _readable(entries, cfg)
    parts = splits_of(cfg, [entry.name for entry in entries])
    attrs = {"dataset": cfg.data.dataset, "transforms": list(cfg.data.transforms), "seed": cfg.seed}
    windows, dropped = 0, {}
    with FramesWriter(folder / STORE, frame_spec(cfg), attrs) as writer:
        for framed in progress(_framed(cfg, entries), "framing", "recording", total=len(entries)):
            recording = framed.recording
            ones, others = itertools.tee(framed.parts)
            writer.add(
                recording, (part for part, _ in ones), framed.kept, (rates for _, rates in others), parts[recording.name]
            )
            windows += len(framed.start_us)
            if not framed.kept.any():
                log.warning("%s: none of its %d events is left after data.transforms", recording.name, len(framed.kept))
            if recording.dropped:
                dropped[recording.name] = recording.dropped
                log.warning("%s: %s", recording.name, _told(recording.dropped))
    if not windows:
        raise InputError(f"data.data_root: the {len(entries)} recordings hold no events")
    return {
        "seed": cfg.seed,
        "device": "cpu",
        "recordings": len(entries),
        "windows": windows,
        "splits": parts,
        "dropped": dropped,
        "skipped": skipped,
    }


def _told(dropped: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in dropped.items())


def _readable(entries: list[Entry], cfg: Config) -> tuple[list[Entry], dict[str, str]]:
    """The entries that can be read, and the others with the reason. Raises InputError when none can."""
    tries = ordered(functools.partial(_fault, lenient=cfg.data.lenient), entries, cfg.data.num_workers)
    faults = list(progress(tries, "checking files", "file", total=len(entries)))
    good = [entry for entry, fault in zip(entries, faults, strict=True) if fault is None]
    skipped = {entry.name: fault for entry, fault in zip(entries, faults, strict=True) if fault is not None}
    if not good:
        first = next(iter(skipped.values()))
        raise InputError(f"data.data_root: none of the {len(entries)} files in {cfg.data.data_root} can be read; {first}")
    return good, skipped


def _fault(entry: Entry, lenient: bool) -> str | None:
    """Why an entry cannot be read, or None."""
    try:
        entry.load(lenient)
    except InputError as error:
        return str(error)
    return None


@dataclass(frozen=True)
class Framed:
    """A recording with its windows.

    Attributes:
        recording: all its events.
        kept: bool (n,), those that passed the transforms.
        start_us: int64 (N,), start of every window.
        parts: the windows and their background rates, a few dozen at a time; can be gone through again.
    """

    recording: Recording
    kept: np.ndarray
    start_us: np.ndarray
    parts: Iterable[tuple[Windows, np.ndarray]]


def _framed(cfg: Config, entries: list[Entry]) -> Iterator[Framed]:
    work = functools.partial(
        _load_and_frame, spec=frame_spec(cfg), transforms=list(cfg.data.transforms), lenient=cfg.data.lenient
    )
    jobs = cfg.data.num_workers
    return ordered(functools.partial(_complete, work) if jobs > 1 else work, entries, jobs)


def _load_and_frame(
    entry: Entry, spec: FrameSpec, transforms: list[dict[str, Any]], lenient: bool, reuse: bool = True
) -> Framed:
    return frame_recording(entry.load(lenient), spec, transforms, reuse=reuse)


def _complete(work: Callable[..., Framed], entry: Entry) -> Framed:
    """All windows at once: what another process can send."""
    framed = work(entry, reuse=False)
    return dataclasses.replace(framed, parts=list(framed.parts))


def frame_recording(recording: Recording, spec: FrameSpec, chain: list[dict[str, Any]], *, reuse: bool = False) -> Framed:
    """Transforms, windows and background rates of one recording: what `prepare` stores and `detect` runs on.

    Windows count from the recording's first event, whether or not the transforms keep it. With `reuse` the frames of a part
    are gone when the next part is asked for (see ``spikeseg.data.frames.blocks``)."""
    from spikeseg.data import background, frames, transforms

    events, kept = transforms.apply(recording.events, transforms.build(chain, recording.sensor_size))
    origin = int(recording.events["t"][0]) if len(recording.events) else None

    class Parts:
        """Windows are cut anew each time."""

        def __iter__(self) -> Iterator[tuple[Windows, np.ndarray]]:
            estimator = background.Background()
            for windows in frames.blocks(events, recording.sensor_size, spec, origin_us=origin, reuse=reuse):
                yield windows, estimator.update(windows.frames)

    return Framed(recording, kept, frames.starts(events, spec, origin), Parts())
