"""Which network a command means: a named one, this configuration's, the newest run's, or one that comes with the package."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.config import section_dict
from spikeseg.errors import InputError, nearest
from spikeseg.learning.run_files import (
    BEST,
    CALIBRATED,
    CLASS_NAMES,
    CONFIG,
    MANIFESTS,
    MOTION_LAYER,
    checkpoint_folder,
    config_file,
    manifest_path,
    motion_checkpoint,
    run_of,
)
from spikeseg.networks import NAMES, NIGHTS, SCENES, file_of

from ..runtime.files import sha256_file
from ..runtime.manifest import damaged, fault_of, read_manifest
from .prepare import NoFramesError, find_frames
from .recordings import read_source
from .train_layer import fault_of_layer, layer_checkpoint, trained, training_config

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.datasets.folders import Source

METRICS = "metrics.json"
"""In the folder of an evaluation, and of a run of `classify`."""
PACKAGED = "packaged-{}"
"""The folder, below output_dir, of what is made with a packaged network."""


class NoNetworkError(InputError):
    """Nobody has trained a network that a command could mean.

    recordings: what is wrong with those that it would have been trained on, or None."""

    def __init__(self, message: str, recordings: InputError | None = None) -> None:
        super().__init__(message)
        self.recordings = recordings


@dataclass(frozen=True)
class SavedNetwork:
    """A checkpoint and where what belongs to it lies.

    checkpoint: the file. folder: of its run (its own folder when it lies in none; PACKAGED for one that comes with the package).
    frames_key: of the frames it was trained on, None when unknown.
    packaged: the name of one that comes with the package."""

    checkpoint: Path
    folder: Path
    frames_key: str | None
    packaged: str | None = None

    @property
    def beside(self) -> Path:
        """The folder of checkpoints that are made from it."""
        return self.folder if self.packaged else self.checkpoint.parent

    @property
    def name(self) -> str:
        """What --network calls it."""
        return self.packaged or str(self.folder)


def newest_run(output_dir: str | Path) -> Path | None:
    """The folder of the run whose last layer was finished last, None when no run is finished."""
    return next(iter(_finished_runs(output_dir)), None)


def _finished_runs(output_dir: str | Path) -> list[Path]:
    """Folders of runs whose last layer is finished, the newest first."""
    manifests = [path for path in Path(output_dir).glob(f"*/{MANIFESTS}") if _last(path.parent) == path]
    return [path.parent for path in sorted(manifests, key=lambda path: (_written_ns(path), path.name), reverse=True)]


def _written_ns(path: Path) -> int:
    """When a file was written; 0 where another process has just removed it."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _last(run: Path) -> Path | None:
    """The manifest of the last layer a run has to learn, as its configuration says; None without a configuration."""
    cfg = config_beside(run) if (run / CONFIG).is_file() else None
    learned = cfg.learned_layers() if cfg else []
    return manifest_path(run, learned[-1]) if learned else None


def network_in(cfg: Config, run: Path) -> SavedNetwork:
    """The best checkpoint of a finished run (see `best_of_layers`), with its motion layer where that is trained, calibrated where
    the configuration asks for it, see `as_read`."""
    manifest = intact_manifest(cfg, run)
    checkpoint = motion_checkpoint(cfg, run) or best_of_layers(cfg, run)
    return as_read(cfg, SavedNetwork(checkpoint, run, manifest["inputs"].get("frames")))


def intact_manifest(cfg: Config, run: Path) -> dict[str, Any]:
    """The manifest of a finished run's last layer. Raises InputError, naming the file and the command that makes it anew, where
    anything of the run that is read is not as it was written."""
    last = cfg.learned_layers()[-1]
    manifest = read_manifest(manifest_path(run, last))
    fault = f"{last}.manifest.json" if manifest is None else fault_of_layer(cfg, run, last, manifest)
    layer = last
    if not fault and motion_checkpoint(cfg, run) is not None:
        motion, layer = read_manifest(manifest_path(run, MOTION_LAYER)), MOTION_LAYER
        fault = f"{layer}.manifest.json" if motion is None else damaged(motion, run)
    if fault or manifest is None:
        raise InputError(
            f"{run}: damaged ({fault}); `spikeseg train-layer {layer}` with the options it was trained with makes it again"
        )
    return manifest


def best_of_layers(cfg: Config, run: Path) -> Path:
    """The checkpoint of lowest C_l; without one, that of the last layer's end."""
    best = checkpoint_folder(cfg, run) / BEST
    return best if best.is_file() else layer_checkpoint(cfg, run, cfg.learned_layers()[-1])


def as_read(cfg: Config, network: SavedNetwork) -> SavedNetwork:
    """The same network with its calibrated readout, where evaluation.readout asks for one and `sweep` has written it for this
    very checkpoint; else as it is."""
    path = network.beside / CALIBRATED
    if cfg.evaluation.readout != "calibrated" or not path.is_file() or not network.checkpoint.is_file():
        return network
    from spikeseg.learning import checkpoint

    _, meta = checkpoint.load(path)
    return replace(network, checkpoint=path) if meta.get("calibrated_from") == sha256_file(network.checkpoint) else network


def named_run(named: Path, output_dir: str | Path) -> Path:
    """A run by its path or, in output_dir, by its name, also where a folder of that name is something else; other paths as they
    are."""
    inside = Path(output_dir) / named
    known = named.is_file() or any((named / name).is_file() for name in (CONFIG, METRICS))
    return named if known or not inside.exists() else inside


def names_of_runs(output_dir: str | Path) -> list[str]:
    """All that a run can be called by."""
    runs = [path.parent for path in sorted(Path(output_dir).glob(f"*/{CONFIG}"))]
    return [name for run in runs for name in (run.name, str(run))]


def network_at(path: Path, known: Iterable[str] = NAMES) -> SavedNetwork:
    """The network in a checkpoint file, or the best one in a run's folder. Raises InputError when there is none.

    Args:
        path: the file, or the folder.
        known: names of which the nearest is told where the path is mistyped.
    """
    if path.is_dir():
        last = _last(path)
        if last is None:
            raise InputError(
                f"{path}: no run's folder ({CONFIG} is missing); name a run, a checkpoint file, {' or '.join(NAMES)}"
                f"{nearest(path, known)}"
            )
        if not last.is_file():
            raise InputError(f"{path}: training is not finished; go on with `spikeseg train --resume {path}`")
        cfg = config_beside(path)
        assert cfg is not None
        return network_in(cfg, path)
    if not path.is_file():
        raise InputError(
            f"{path}: no such checkpoint; `spikeseg train` makes one, {' and '.join(NAMES)} come with the package"
            f"{nearest(path, known)}"
        )
    run = run_of(path)
    manifests = [manifest for beside in sorted(run.glob(MANIFESTS)) if (manifest := read_manifest(beside))]
    _refuse_damaged(run, path, manifests)
    keys = {manifest["inputs"].get("frames") for manifest in manifests}
    return SavedNetwork(path, run, keys.pop() if len(keys) == 1 else None)


def _refuse_damaged(run: Path, path: Path, manifests: Iterable[Mapping[str, Any]]) -> None:
    """Raise InputError for a checkpoint that is an output of a layer of its run and not as it was written, or whose run is
    finished and has changed since."""
    for manifest in manifests:
        for name, recorded in manifest["outputs"].items():
            if (run / name).resolve() == path.resolve() and (fault := fault_of(path, str(path), recorded)):
                raise InputError(f"{fault}: damaged; train again, or name another with --network")
    last = _last(run)
    if last is not None and last.is_file():
        cfg = config_beside(run)
        assert cfg is not None
        intact_manifest(cfg, run)


def config_beside(path: Path) -> Config | None:
    """The configuration of the run that a folder or a checkpoint belongs to, or None."""
    from spikeseg.config.load import load_config

    config = config_file(path)
    with warnings.catch_warnings(action="ignore"):  # shown when it was trained
        return load_config(config) if config else None


def own_config(network: SavedNetwork) -> Config:
    """The configuration a network was trained with: its run's, or the one inside the checkpoint."""
    of_run = config_beside(network.checkpoint)
    if of_run is not None:
        return of_run
    from spikeseg.learning import checkpoint

    _, meta = checkpoint.load(network.checkpoint)
    saved: Config = meta["config"]
    return saved


def class_names(network: SavedNetwork) -> dict[int, str]:
    """What the classes of a network are called; the checkpoint is read only where its run names any.

    Raises InputError: the names or the checkpoint cannot be read."""
    if not (network.folder / CLASS_NAMES).is_file():
        return {}
    from spikeseg.learning.checkpoint import load
    from spikeseg.learning.class_names import names_in

    return names_in(network.folder, load(network.checkpoint)[0])


def network_of(cfg: Config) -> SavedNetwork:
    """The newest network trained with this very configuration and data.

    Raises InputError: NoNetworkError when frames or a layer are missing; no layer learns."""
    try:
        frames = find_frames(cfg)
    except NoFramesError:
        raise NoNetworkError(f"no network of this configuration in {cfg.output_dir}") from None
    except InputError as error:
        raise NoNetworkError(f"no trained network: {error}", error) from None
    layers = cfg.learned_layers()
    if not layers:
        raise InputError("train_conv1, train_conv2, train_conv3: all false, so no network is trained; name one with --network")
    runs = [path for path in Path(cfg.output_dir).glob("*") if path.is_dir()]
    trained_runs = {layer: [run for run in runs if trained(cfg, run, layer, frames.key)] for layer in layers}
    missing = next((layer for layer in layers if not trained_runs[layer]), None)
    if missing:
        raise NoNetworkError(f"no network of this configuration in {cfg.output_dir}, whose {missing} is not trained")
    return network_in(cfg, max(trained_runs[layers[-1]], key=lambda run: _written_ns(manifest_path(run, layers[-1]))))


def network_by_settings(cfg: Config) -> SavedNetwork:
    """The newest network trained with these settings, on whatever recordings: data_root is not looked at.

    Raises NoNetworkError where there is none."""
    settings = _settings(cfg)
    for run in _finished_runs(cfg.output_dir):
        own = config_beside(run)
        if own is not None and _settings(own) == settings:
            return network_in(cfg, run)
    raise NoNetworkError(f"no network of this configuration in {cfg.output_dir}")


def _settings(cfg: Config) -> dict[str, Any]:
    """All that decides what a network learns but the recordings."""
    from spikeseg.data.windows import frame_spec

    return {**training_config(cfg), "frames": section_dict(frame_spec(cfg.data)), "transforms": cfg.data.transforms}


# -- networks that come with the package --------------------------------------------------------------


def packaged_network(name: str, output_dir: str | Path) -> SavedNetwork:
    """One of `spikeseg.networks.NAMES`."""
    return SavedNetwork(file_of(name), Path(output_dir) / PACKAGED.format(name), None, name)


def fits(cfg: Config, name: str) -> bool:
    """Whether a packaged network has the shape that a configuration asks for."""
    from spikeseg.learning.checkpoint_reading import shapes_of

    return shapes_of(cfg) == shapes_of(own_config(packaged_network(name, cfg.output_dir)))


def suited(cfg: Config, recordings: Sequence[Source]) -> tuple[str, str]:
    """Which packaged network suits recordings, by the first that can be read: SCENES where much of its activity is extended (see
    `spikeseg.data.extent`), else NIGHTS; and why, in words.

    Args:
        cfg: how the recordings are read.
        recordings: see `recordings.given`.
    """
    from spikeseg.data.extent import EXTENDED, extended_share

    leniently = replace(cfg, data=replace(cfg.data, lenient=True))
    for source in recordings:
        try:
            recording = read_source(leniently, source)
            share = extended_share(recording.events, recording.sensor_size)
        except (InputError, OSError):
            continue
        means = "points" if share < EXTENDED else "whole objects"
        all_of_them = f", and so in all {len(recordings)} recordings" if len(recordings) > 1 else ""
        why = f"{means} are looked for, as {share:.0%} of the activity in {source.name} is extended{all_of_them}"
        return (NIGHTS if share < EXTENDED else SCENES), why
    return NIGHTS, "no recording can be read"
