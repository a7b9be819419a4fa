"""Stage `prepare`: recordings become cached frames, with their events, labels and split."""

from __future__ import annotations

import functools
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.config import section_dict
from spikeseg.config.estimate import require_frames_memory
from spikeseg.core.names import MANIFEST
from spikeseg.core.text import many
from spikeseg.errors import InputError, WriteError, one_line

from ..runtime.console import progress
from ..runtime.manifest import Ingredients, finished, read_manifest
from ..runtime.parallel import Workers, ordered
from ..runtime.stage import StageResult, run_stage
from . import simulate

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.datasets import Entry
    from spikeseg.data.frames.framing import FrameSpec
    from spikeseg.data.store.frames import StagedRecording
    from spikeseg.data.store.plan import FilePlan

log = logging.getLogger(__name__)

STAGE, VERSION = "prepare", 1
STORE = "frames.zarr"
"""Name of the zarr store inside the stage's folder."""
LONG_BYTES = 32 * 2**20
"""Larger files are read part by part, where their format and the transforms allow it."""
PROBE_SIZE = (240, 180)
"""Sensor on which the transforms are tried before any recording is read."""


@dataclass(frozen=True)
class Plan:
    """What the frames are made from, and the recordings of the dataset."""

    ingredients: Ingredients
    entries: list[Entry]


def plan(cfg: Config) -> Plan:
    """What `prepare` would do. Raises InputError for a folder that is missing or empty, or an unknown dataset."""
    from spikeseg.data.windows import frame_spec

    data = cfg.data
    config = {
        "dataset": data.dataset,
        "sensor": data.sensor,
        "lenient": data.lenient,
        "transforms": data.transforms,
        "frames": section_dict(frame_spec(cfg.data)),
        "train_ratio": data.train_ratio,
        "test_ratio": data.test_ratio,
        "seed": cfg.seed,
    }
    config |= layout_key(cfg)
    if data.folds or data.fold:
        config["fold"] = [data.fold, data.folds]
    if data.train_recordings is not None:
        config["listed"] = _listed(cfg)
    if not data.include_unlabelled:
        config["include_unlabelled"] = False
    if _simulated(cfg):
        return Plan(Ingredients(STAGE, VERSION, config, {"simulated": simulate.key_in_cache(cfg)}), [])
    entries = _entries(cfg, data.data_root)
    return Plan(Ingredients(STAGE, VERSION, config, {entry.name: entry.fingerprint for entry in entries}), entries)


class NotMadeError(InputError):
    """What another command makes is not there; the message names that command.

    missing: what it is, in words. command: that makes it, without the options."""

    def __init__(self, missing: str, command: str) -> None:
        super().__init__(f"{missing}; run `spikeseg {command}` with the same options first")
        self.missing, self.command = missing, command


class NoFramesError(NotMadeError):
    """Frames are not prepared."""

    def __init__(self, missing: str) -> None:
        super().__init__(missing, "prepare")


def find_frames(cfg: Config) -> StageResult:
    """The frames of this configuration, already prepared. Raises NoFramesError."""
    key = plan(cfg).ingredients.key
    folder = Path(cfg.cache_dir) / "frames" / key
    if not finished(folder):
        raise NoFramesError(f"no prepared frames of this configuration ({folder / MANIFEST} is missing)")
    return StageResult(folder, key, ran=False)


def prepare(cfg: Config, *, force: bool = False) -> StageResult:
    """Frames of every recording in ``cache_dir/frames/<key>/frames.zarr``, made now unless they are there.

    With the dataset "synthetic" and no data_root the recordings are simulated first, into the cache.
    Recordings that cannot be read are left out, counted and named in the manifest.

    Raises InputError when nothing can be read, or the cache cannot be written."""
    if cfg.data.dataset == "synthetic" and cfg.data.data_root:
        log.warning(
            "data.dataset: synthetic, data.data_root: %s: nothing is simulated, recordings of `spikeseg simulate` are read from "
            "there; leave data_root out to simulate, or name what it holds (--dataset files, ebssa, ...)",
            cfg.data.data_root,
        )
    planned = plan(cfg)
    _check_memory(cfg, len(planned.entries) or cfg.simulate.recordings)
    if _simulated(cfg) and simulate.folder_in_cache(cfg).exists():
        simulate.into_cache(cfg)  # made again where it is damaged, so that nothing stays that `status` calls stale
    build = functools.partial(_build, cfg, planned)
    return run_stage(Path(cfg.cache_dir) / "frames", planned.ingredients, build, force)


def prepare_split(cfg: Config, frames: StageResult) -> StageResult:
    """Frames of this configuration, made from those of one that differs in nothing but how recordings are split: nothing is read
    or framed again, and the files of the arrays are shared.

    Raises InputError when frames are damaged or the cache cannot be written."""
    planned, manifest = plan(cfg), read_manifest(frames.path / MANIFEST)
    assert manifest is not None
    kept = ("device", "recordings", "windows", "dropped", "skipped", "classes")
    counts = {name: manifest[name] for name in kept if name in manifest}

    def build(folder: Path) -> Mapping[str, Any]:
        from spikeseg.data.store.frames import resplit

        parts = splits_of(cfg, manifest["splits"], planned.entries)
        resplit(frames.path / STORE, folder / STORE, parts)
        return {"seed": cfg.seed, **counts, "splits": parts}

    return run_stage(Path(cfg.cache_dir) / "frames", planned.ingredients, build)


def splits_of(cfg: Config, names: Iterable[str], entries: Iterable[Entry] = ()) -> dict[str, str]:
    """Recording -> "train", "val" or "test": as the dataset splits its entries, and for the rest as the configuration says."""
    from spikeseg.data.splits import split
    from spikeseg.registries import DATASETS

    data, names = cfg.data, list(names)
    if not DATASETS[data.dataset].own_split:
        return split(names, data.train_ratio, data.test_ratio, cfg.seed, folds=data.folds, fold=data.fold)
    theirs = {entry.name: entry.part for entry in entries}
    own = {name: theirs[name] for name in names if theirs.get(name) == "test" or (theirs.get(name) == "val" and not data.folds)}
    train_ratio = 1.0 if "val" in own.values() else data.train_ratio
    test_ratio = 0.0 if "test" in own.values() else data.test_ratio
    rest = [name for name in names if name not in own]
    return dict(sorted({**split(rest, train_ratio, test_ratio, cfg.seed, folds=data.folds, fold=data.fold), **own}.items()))


def _listed(cfg: Config) -> dict[str, list[str]]:
    """What the lists of data.train_recordings and data.val_recordings name, by split."""
    from spikeseg.data.splits import read_list

    paths = {"train": cfg.data.train_recordings, "val": cfg.data.val_recordings}
    return {split: read_list(path) for split, path in paths.items() if path is not None}


def _check_memory(cfg: Config, recordings: int) -> None:
    """Refuse, before recordings are simulated or read, frames of a set size that do not fit the memory; those of the sensor's
    size are checked when it is known."""
    data = cfg.data
    if data.input_height is None or data.input_width is None:
        return
    workers = max(1, min(data.num_workers, recordings))
    shape = (data.n_timesteps, data.input_channels, data.input_height, data.input_width)
    require_frames_memory(shape, 1 if data.normalize else 2, 1 if data.dask else workers)


def _simulated(cfg: Config) -> bool:
    return cfg.data.dataset == "synthetic" and not cfg.data.data_root


def _entries(cfg: Config, root: str | Path | None) -> list[Entry]:
    from spikeseg.data.readers import Layout
    from spikeseg.registries import DATASETS

    if not root:
        raise InputError(f"data.data_root: missing; the dataset {cfg.data.dataset!r} needs --data-root PATH")
    list_entries: Callable[..., list[Entry]] | None = DATASETS[cfg.data.dataset].entries
    if list_entries is None:
        raise InputError(f"data.dataset: {cfg.data.dataset} holds images; spikeseg classify learns from them")
    layout = {name: Layout.of(cfg.data) for name in layout_key(cfg)}
    if layout and not DATASETS[cfg.data.dataset].layouts:
        raise InputError(f"data.columns, data.time_unit: recordings of the dataset {cfg.data.dataset} tell both themselves")
    try:
        return list_entries(Path(root).expanduser().absolute(), sensor=cfg.data.sensor, **layout)
    except InputError as error:
        if cfg.data.dataset != "synthetic":
            raise
        raise InputError(
            f"{error}; data.dataset is synthetic: name --dataset files or another for recordings of your own"
        ) from None


def layout_key(cfg: Config) -> dict[str, Any]:
    """What files of plain rows do not tell, as an ingredient of a stage; {} where the configuration says nothing of it."""
    from spikeseg.data.readers import AS_USUAL, Layout

    layout = Layout.of(cfg.data)
    return {} if layout == AS_USUAL else {"layout": [list(layout.columns), layout.time_unit]}


def _build(cfg: Config, planned: Plan, folder: Path) -> Mapping[str, Any]:
    from spikeseg.data.splits import split_by_lists
    from spikeseg.data.store.frames import FramesWriter
    from spikeseg.data.windows import frame_spec
    from spikeseg.registries import DATASETS

    entries = planned.entries
    if _simulated(cfg):
        entries = _entries(cfg, simulate.into_cache(cfg).path)
    listed = None if cfg.data.train_recordings is None else split_by_lists((entry.name for entry in entries), _listed(cfg))
    files = _identified(cfg, entries)
    scratch = folder.absolute() / ".staged"
    staged, skipped, dropped = _staged(cfg, entries, scratch)
    if staged and not cfg.data.include_unlabelled:
        staged = _labelled(staged)
    if not staged:
        first = next(iter(skipped.values()))
        raise InputError(f"data.data_root: none of the {len(entries)} files in {cfg.data.data_root} can be read; {first}")
    windows = sum(len(recording.start_us) for recording in staged)
    if not windows:
        raise InputError(f"data.data_root: the {len(staged)} recordings hold no events")
    names = [recording.name for recording in staged]
    splits = splits_of(cfg, names, entries) if listed is None else {name: listed[name] for name in sorted(names)}
    shown = {entry.name: entry.class_name for entry in entries if entry.class_name and entry.name in splits}
    attrs = {"dataset": cfg.data.dataset, "transforms": list(cfg.data.transforms), "seed": cfg.seed}
    with FramesWriter(folder / STORE, frame_spec(cfg.data), attrs, functools.partial(_write, Workers.of(cfg))) as writer:
        for recording in staged:
            writer.add(recording, splits[recording.name])
    shutil.rmtree(scratch)
    return {
        "seed": cfg.seed,
        "device": "cpu",
        "recordings": len(staged),
        "windows": windows,
        "splits": splits,
        "dropped": dropped,
        "skipped": skipped,
        **({"files": files} if files else {}),
        **({"classes": shown} if shown and DATASETS[cfg.data.dataset].own_split else {}),
    }


def _labelled(staged: Sequence[StagedRecording]) -> list[StagedRecording]:
    """The recordings that somebody has labelled. Raises InputError where there is none."""
    labelled = [recording for recording in staged if recording.labels is not None]
    if not labelled:
        raise InputError(f"data.include_unlabelled: false, but none of the {many(len(staged), 'recording')} is labelled")
    if len(labelled) < len(staged):
        log.info("%s without labels left out (data.include_unlabelled: false)", many(len(staged) - len(labelled), "recording"))
    return labelled


def _identified(cfg: Config, entries: list[Entry]) -> dict[str, str]:
    """What the files are, where the dataset can tell; logged, too."""
    from spikeseg.registries import DATASETS

    identified = DATASETS[cfg.data.dataset].identified
    if identified is None:
        return {}
    identities: dict[str, str] = {one_line(path): told for path, told in identified(entries).items()}
    for path, identity in identities.items():
        log.log(logging.WARNING if identity.endswith("again") else logging.INFO, "%s: %s", path, identity)
    return identities


def _staged(
    cfg: Config, entries: list[Entry], scratch: Path
) -> tuple[list[StagedRecording], dict[str, str], dict[str, dict[str, int]]]:
    """The recordings that can be read, written to scratch; the others with the reason; what was dropped of each."""
    from spikeseg.data.windows import frame_spec

    task = functools.partial(
        _stage, spec=frame_spec(cfg.data), transforms=list(cfg.data.transforms), lenient=cfg.data.lenient, scratch=scratch
    )
    staged, skipped, dropped = [], {}, {}
    results = progress(ordered(task, list(enumerate(entries)), Workers.of(cfg)), "framing", "recording", total=len(entries))
    for entry, (recording, outcome) in zip(entries, results, strict=True):
        if recording is None:
            skipped[entry.name] = str(outcome)
            continue
        staged.append(recording)
        if outcome == 0:
            log.warning("%s: none of its %d events is left after data.transforms", recording.name, len(recording.events["t"]))
        if recording.dropped:
            dropped[recording.name] = dict(recording.dropped)
            reasons = ", ".join(f"{count} {reason}" for reason, count in recording.dropped.items())
            log.warning("%s: %s", recording.name, reasons)
    return staged, skipped, dropped


def _stage(
    numbered: tuple[int, Entry], spec: FrameSpec, transforms: list[dict[str, Any]], lenient: bool, scratch: Path
) -> tuple[StagedRecording | None, int | str]:
    """A recording written to scratch, and how many of its events passed the transforms; or None, and why it cannot be read."""
    from spikeseg.data.readers import streamed
    from spikeseg.data.store.staging import stage, stage_long, streams
    from spikeseg.data.transforms import build

    number, entry = numbered
    build(transforms, PROBE_SIZE)  # settings that suit no recording: not the fault of this one
    folder = scratch / str(number)
    shutil.rmtree(folder, ignore_errors=True)  # of a worker that died
    try:
        if entry.long is not None and entry.path.stat().st_size > LONG_BYTES and streamed(entry.path):
            events = entry.long(lenient)
            chain = build(transforms, events.sensor_size)
            if streams(chain):
                return stage_long(events, entry.name, spec, chain, folder, lenient=lenient)
        recording = entry.load(lenient)
        return stage(recording, spec, build(transforms, recording.sensor_size), folder)
    except WriteError:
        raise
    except (InputError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        return None, one_line(str(error))


def _write(workers: Workers, files: Sequence[FilePlan]) -> None:
    for _ in progress(ordered(_write_file, files, workers), "writing", "file", total=len(files)):
        pass


def _write_file(file: FilePlan) -> None:
    file.write()
