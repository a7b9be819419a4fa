"""Stage `train-layer`: one layer learns from the spikes of the frozen layers below it.

What comes out of the frozen layers is computed once and cached (`data_cache/spikes/<key>/`); the run's folder holds the
checkpoints, and ``<layer>.manifest.json``, written last, says that the layer is finished.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
import time
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.config import section_dict
from spikeseg.config.estimate import require_network_memory, windows_at_once
from spikeseg.core.files import remove_partials
from spikeseg.core.names import MANIFEST_BESIDE
from spikeseg.errors import InputError
from spikeseg.learning.run_files import (
    BEST,
    CONFIG,
    LATEST,
    METRICS,
    MOTION_LAYER,
    checkpoint_folder,
    epoch_checkpoint,
    final_checkpoint,
    manifest_path,
)

from ..runtime.console import bar
from ..runtime.files import sha256_file
from ..runtime.manifest import (
    BESIDE,
    Ingredients,
    damaged,
    damaged_beside,
    describe_beside,
    describe_file,
    read_manifest,
    write_manifest,
)
from ..runtime.stage import StageResult, one_writer, refuse_if_dry, run_stage
from . import prepare

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.store.frames import Frames
    from spikeseg.models import SpikeSEG

log = logging.getLogger(__name__)

STAGE, VERSION = "train-layer", 2
SPIKES_STAGE, SPIKES_VERSION = "spikes", 2


def layer_before(cfg: Config, layer: str) -> str | None:
    """The learned layer below this one, or None."""
    index = cfg.model.layer(layer).index
    below = [spec.name for spec in cfg.layers() if spec.learned and spec.index < index]
    return below[-1] if below else None


# -- keys ------------------------------------------------------------------------------------------


def training_config(cfg: Config) -> dict[str, Any]:
    """The configuration values that decide what a layer learns."""
    return {
        "model": section_dict(cfg.model),
        "stdp": section_dict(cfg.stdp),
        "wta": section_dict(cfg.wta),
        "homeostasis": section_dict(cfg.homeostasis),
        "convergence": section_dict(cfg.convergence),
        "augmentation": section_dict(cfg.data.augmentation),
        "input_channels": cfg.data.input_channels,
        "batch_size": cfg.data.batch_size,
        "max_epochs": cfg.max_epochs,
        "learned": cfg.learned_layers(),
        "seed": cfg.seed,
        **_samples_ingredients(cfg),
    }


def _samples_ingredients(cfg: Config) -> dict[str, Any]:
    """Which windows are learned from, and in which order, as an ingredient; {} where it is all of them, shuffled."""
    chosen: dict[str, Any] = {**_windows_ingredients(cfg)}
    if not cfg.data.shuffle_train:
        chosen["shuffle_train"] = False
    if cfg.max_samples_per_epoch is not None:
        chosen["max_samples_per_epoch"] = cfg.max_samples_per_epoch
    return chosen


def _windows_ingredients(cfg: Config) -> dict[str, Any]:
    """How many windows of a recording are learned from, as an ingredient; {} where it is all of them."""
    most = cfg.data.windows_per_recording
    return {} if most is None else {"windows_per_recording": most}


def layer_ingredients(cfg: Config, layer: str, frames_key: str) -> Ingredients:
    """What a trained layer is made from: its configuration, the frames, and every learned layer below."""
    return Ingredients(STAGE, VERSION, {**training_config(cfg), "layer": layer}, layer_inputs(cfg, layer, frames_key))


def layer_key(cfg: Config, layer: str, frames_key: str) -> str:
    """The key of a trained layer."""
    return layer_ingredients(cfg, layer, frames_key).key


def layer_inputs(cfg: Config, layer: str, frames_key: str) -> dict[str, str]:
    """Keys of what a layer is trained on."""
    below = layer_before(cfg, layer)
    inputs = {"frames": frames_key}
    return {**inputs, below: layer_key(cfg, below, frames_key)} if below else inputs


def run_folder(cfg: Config, frames_key: str, name: str = "auto") -> Path:
    """Folder of a run. 'auto' names it after the experiment and what decides its result, so that commands chain.

    Raises InputError for a name that is none, such as one with a slash."""
    origin, part = ("--name", name) if name != "auto" else ("experiment_name", cfg.experiment_name)
    if part != Path(part).name or part in ("", ".", ".."):
        raise InputError(f"{origin}: found {part!r}, must be a plain name; the folder above it is output_dir")
    if name == "auto":
        name = f"{part}-{Ingredients('run', VERSION, training_config(cfg), {'frames': frames_key}).key[:8]}"
    return Path(cfg.output_dir) / name


def trained(cfg: Config, run_dir: Path, layer: str, frames_key: str) -> bool:
    """Whether the run holds this very layer, finished and whole."""
    manifest = read_manifest(manifest_path(run_dir, layer))
    if manifest is None or manifest["key"] != layer_key(cfg, layer, frames_key):
        return False
    fault = fault_of_layer(cfg, run_dir, layer, manifest)
    if fault:
        log.warning("%s: %s is damaged (%s) and does not count as trained", run_dir, layer, fault)
    return not fault


def fault_of_layer(cfg: Config, run_dir: Path, layer: str, manifest: Mapping[str, Any]) -> str | None:
    """The first file of a trained layer that is not as it was written, or None; of the last layer, the files that the layers
    share, too, unless the motion layer has rewritten them."""
    if layer == cfg.learned_layers()[-1]:
        motion = read_manifest(manifest_path(run_dir, MOTION_LAYER)) or {"outputs": {}}
        rewritten = {*motion["outputs"], *motion.get(BESIDE, {}), *([METRICS] if cfg.model.motion else [])}
    else:
        rewritten = {name for name in manifest.get(BESIDE, {}) if not fnmatch(name, f"*/{epoch_checkpoint('*', layer)}")}
    return damaged(manifest, run_dir) or damaged_beside(manifest, run_dir, rewritten)


def layer_checkpoint(cfg: Config, run_dir: Path, layer: str) -> Path:
    """The finished layer's checkpoint: it and all layers below; where its manifest says, or else where the configuration does."""
    manifest = read_manifest(manifest_path(run_dir, layer))
    if manifest is not None:
        return run_dir / next(iter(manifest["outputs"]))
    return checkpoint_folder(cfg, run_dir) / final_checkpoint(layer)


# -- spikes of the frozen layers ---------------------------------------------------------------------


def frozen_spikes(cfg: Config, layer: str, frames: StageResult, model: SpikeSEG, inputs: Mapping[str, str]) -> StageResult:
    """Output spikes of the layers below `layer` for every training window, in order, cached on disk."""
    from spikeseg.learning.encoding import frozen_below

    below = frozen_below(cfg, layer)
    random_below = below is not None and cfg.model.layer(below.name).learned and below.name not in inputs
    config = {
        "layer": layer,
        "model": section_dict(cfg.model),
        "untrained": _untrained_ingredients(cfg) if random_below else None,
        "augmentation": section_dict(cfg.data.augmentation),
        "seed": cfg.seed,
        **_windows_ingredients(cfg),
    }
    build = functools.partial(_encode, cfg, layer, frames.path / prepare.STORE, model)
    return run_stage(Path(cfg.cache_dir) / "spikes", Ingredients(SPIKES_STAGE, SPIKES_VERSION, config, inputs), build)


def _untrained_ingredients(cfg: Config) -> dict[str, Any]:
    """What an untrained layer is made from, besides the model section and the seed."""
    return {"stdp": section_dict(cfg.stdp), "homeostasis": section_dict(cfg.homeostasis)}


def _encode(cfg: Config, layer: str, store: Path, model: SpikeSEG, folder: Path) -> Mapping[str, Any]:
    from spikeseg.data.store.frames import Frames
    from spikeseg.data.store.spikes import SpikeWriter
    from spikeseg.learning.encoding import training_spikes, windows_used

    frames = Frames.open(store)
    for recording in frames.recordings:
        require_network_memory(cfg, frames.spec.size(recording.sensor_size))
    used = [set(windows_used(info.n_windows, cfg.data.windows_per_recording).tolist()) for info in frames.recordings]
    samples = [(r, k) for r, k in frames.samples("train") if k in used[r]]
    with (
        SpikeWriter(folder / "spikes.zarr", {"layer": layer}) as writer,
        bar(f"encoding for {layer}", "window", len(samples)) as progress,
    ):
        for r, ks in _batches(cfg, frames, samples):
            _, windows, rates = frames.read(r, ks)
            writer.add(training_spikes(model, cfg, layer, windows, rates, [(r, k) for k in ks]))
            progress.update(len(ks))
    return {"samples": len(samples), "seed": cfg.seed, "device": str(model.encoder.conv1.weight.device)}


def _batches(cfg: Config, frames: Frames, samples: list[tuple[int, int]]) -> Iterator[tuple[int, list[int]]]:
    """Windows of one recording, as many at a time as `windows_at_once` says."""
    for r, group in itertools.groupby(samples, key=lambda sample: sample[0]):
        ks = [k for _, k in group]
        size = frames.spec.size(frames.recordings[r].sensor_size)
        at_once = windows_at_once(cfg.model, (cfg.data.n_timesteps, cfg.data.input_channels, *size))
        for first in range(0, len(ks), at_once):
            yield r, ks[first : first + at_once]


# -- the stage ---------------------------------------------------------------------------------------


def starting_model(cfg: Config, layer: str, run_dir: Path, frames_key: str) -> SpikeSEG:
    """The network with all layers below `layer` as trained. Raises InputError naming the command that is missing."""
    from spikeseg.learning import checkpoint
    from spikeseg.learning.encoding import prepare_first_layer

    below = layer_before(cfg, layer)
    if below is None:
        model = checkpoint.build(cfg)
    else:
        if not trained(cfg, run_dir, below, frames_key):
            raise prepare.NotMadeError(f"{run_dir}: {below} of this configuration is not trained", f"train-layer {below}")
        model, _ = checkpoint.load(layer_checkpoint(cfg, run_dir, below))
    if layer == "conv1":
        prepare_first_layer(model, cfg)
    return model


def resumed_run(cfg: Config, resume: str | Path, name: str) -> tuple[Config, str, Path]:
    """Which run a checkpoint continues: its own, in its own folder, unless a name is given.

    Args:
        cfg: the configuration.
        resume: a checkpoint, or a run's folder, which means its ``checkpoint_latest.pt``.
        name: of the run to write, or 'auto'.

    Returns:
        the configuration and the name of the run to write, and the checkpoint.
    """
    path, depth = Path(resume), len(Path(cfg.checkpoint.save_dir).parts)
    checkpoint = path / cfg.checkpoint.save_dir / LATEST if path.is_dir() else path
    parents = checkpoint.absolute().parents
    if name != "auto" or len(parents) <= depth or not (parents[depth] / CONFIG).is_file():
        return cfg, name, checkpoint
    run = parents[depth]
    if run.parent.resolve() != Path(cfg.output_dir).resolve():
        cfg = dataclasses.replace(cfg, output_dir=str(run.parent))
    return cfg, run.name, checkpoint


def train_layer(
    cfg: Config,
    layer: str,
    *,
    name: str = "auto",
    force: bool = False,
    resume: str | Path | None = None,
    tensorboard: bool | None = None,
) -> StageResult:
    """Train one layer, unless the run holds it already.

    Args:
        cfg: the configuration.
        layer: 'conv1', 'conv2' or 'conv3'.
        name: of the run, 'auto' to derive it from the configuration.
        force: train again what is up to date.
        resume: checkpoint, or folder of a run, to continue (see `resumed_run`); None starts anew.
        tensorboard: overrides logging.tensorboard.

    Raises:
        InputError: frames or the layer below are missing, a checkpoint does not fit, a folder cannot be written.
        KeyboardInterrupt: after the current sample, with a checkpoint saved (checkpoint.save_on_interrupt); or, if that
            sample was the layer's last, with the layer finished.
    """
    cfg.model.layer(layer)  # refuses a name that is none
    if layer not in cfg.learned_layers():
        raise InputError(f"train_{layer}: false in the configuration; set it to true (--set train_{layer}=true) to train {layer}")
    if layer == "conv1" and not cfg.data.normalize:
        raise InputError("train_conv1: true, data.normalize: false; conv1 learns from binary frames; set data.normalize to true")
    checkpoint = None
    if resume is not None:
        cfg, name, checkpoint = resumed_run(cfg, resume, name)
    frames = prepare.find_frames(cfg)
    run_dir = run_folder(cfg, frames.key, name)
    remove_partials(run_dir, below=True)
    ingredients = layer_ingredients(cfg, layer, frames.key)
    if not force and trained(cfg, run_dir, layer, frames.key):
        return StageResult(run_dir, ingredients.key, ran=False)
    refuse_if_dry(ingredients, run_dir, Path(cfg.output_dir).glob(f"*/{MANIFEST_BESIDE.format(layer)}"), force)
    with one_writer(run_dir):
        if not force and trained(cfg, run_dir, layer, frames.key):  # another process has done it meanwhile
            return StageResult(run_dir, ingredients.key, ran=False)
        checkpoint = to_continue(cfg, run_dir, ingredients, checkpoint, force=force)
        _train(cfg, frames, run_dir, ingredients, checkpoint, tensorboard)
    return StageResult(run_dir, ingredients.key, ran=True)


def to_continue(cfg: Config, run_dir: Path, ingredients: Ingredients, given: Path | None, *, force: bool) -> Path | None:
    """The checkpoint to continue, or None to train anew: the given one, or, without, one that has come to the layer's end, of a
    run that was stopped before it said so.

    One at the layer's end is not continued where files of a finished layer are damaged: it would not bring them back.

    Raises InputError: see `saved_progress`."""
    from .training_loop import at_end, saved_progress

    layer = str(ingredients.config["layer"])
    finished = manifest_path(run_dir, layer).exists()
    path = given or checkpoint_folder(cfg, run_dir) / LATEST
    if given is None and (force or finished or not path.is_file()):
        return None
    try:
        _, progress = saved_progress(path, layer, ingredients.key)
    except InputError:
        if given is not None:
            raise
        return None
    if not at_end(progress, cfg):
        return given
    best = checkpoint_folder(cfg, run_dir) / BEST
    whole = progress.get("best_sha256") == (sha256_file(best) if best.is_file() else None)
    if force or finished or not whole:
        log.warning("%s: %s is trained anew", run_dir, layer)
        return None
    log.info("%s: %s was trained, but not finished; finishing it", run_dir, layer)
    return path


def _train(
    cfg: Config, frames: StageResult, run_dir: Path, ingredients: Ingredients, checkpoint: Path | None, tensorboard: bool | None
) -> None:
    """Train a layer, from a checkpoint or anew, and write its files. Raises KeyboardInterrupt, see `train_layer`."""
    from spikeseg.ops.device import network_device

    from .training_loop import TrainingLoop

    layer = str(ingredients.config["layer"])
    model = starting_model(cfg, layer, run_dir, frames.key).to(network_device(cfg.device, cfg.backend))
    model.encoder.backend = cfg.backend
    started = time.monotonic()
    spikes = frozen_spikes(cfg, layer, frames, model, ingredients.inputs)
    loop = TrainingLoop(cfg, layer, model, spikes.path / "spikes.zarr", run_dir, ingredients.key, tensorboard=tensorboard)
    if checkpoint is not None:
        loop.resume(checkpoint)
    loop.run()
    seconds = time.monotonic() - started
    finished = loop.finish()
    write_manifest(
        manifest_path(run_dir, layer),
        ingredients,
        outputs={str(finished.checkpoint.relative_to(run_dir)): describe_file(finished.checkpoint)},
        seconds=seconds,
        extra={
            "seed": cfg.seed,
            "device": finished.device,
            "backend": cfg.backend,
            "result": finished.report,
            BESIDE: describe_beside(run_dir, finished.beside),
        },
    )
    if loop.interrupted:
        raise KeyboardInterrupt
