"""Checkpoints: weights, thresholds, the drive that layers were trained under where thresholds adapt to it, the footprint of the
motion layer, the configuration they belong to and, while training, all that resuming needs.

They hold tensors, numbers, strings, lists and dictionaries, and load under ``torch.load(weights_only=True)``: nothing in a file
can run code.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from spikeseg.config.load import from_dict, to_dict
from spikeseg.config.sections import Config
from spikeseg.errors import InputError
from spikeseg.models import SpikeSEG
from spikeseg.motion.footprint import Footprint

from .footprint import untrained_footprint

log = logging.getLogger(__name__)

FORMAT = "spikeseg-checkpoint"
VERSION = 1
READING_FAILS = (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile, zlib.error)


def save(file: str | Path | BinaryIO, model: SpikeSEG, config: Config, **meta: Any) -> None:
    """Write a checkpoint.

    Args:
        file: path or open binary file.
        model: its weights and thresholds are saved, from any device.
        config: the resolved configuration.
        meta: what else to keep, such as ``trained=["conv2"]``, ``trainer=trainer.state_dict()``.
    """
    tensors = {name: value.detach().cpu().clone() for name, value in model.encoder.state_dict().items()}
    settings = to_dict(dataclasses.replace(config, backend="auto"))  # no backend changes a result, so none shows in the file
    learned: dict[str, Any] = (
        {} if model.footprint is None else {"footprint": torch.from_numpy(np.array(model.footprint, np.float64))}
    )
    if model.encoder.drives:
        learned["drives"] = dict(model.encoder.drives)
    torch.save({"format": FORMAT, "version": VERSION, "model": tensors, "config": settings, **learned, **meta}, file)


def load(path: str | Path) -> tuple[SpikeSEG, dict[str, Any]]:
    """Read a checkpoint. -> the network on the CPU, and everything else that `save` was given, with "config" as a Config.

    Raises:
        InputError: no such file, not a checkpoint, truncated, or tensors or a footprint that do not fit.
    """
    content = _read(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: not a spikeseg checkpoint")
    if content.get("version") != VERSION:
        raise InputError(f"{path}: checkpoint version {content.get('version')}, this program reads {VERSION}")
    if not all(isinstance(content.get(part), dict) for part in ("model", "config")):
        raise InputError(f"{path}: not a spikeseg checkpoint (no model and config)")
    config = from_dict(content["config"], str(path))
    model = build(config)
    restore(model, content["model"], str(path))
    model.footprint = _footprint(content.get("footprint"), path)
    model.encoder.drives = _drives(content.get("drives", {}), model, path)
    own = ("format", "version", "model", "config", "footprint", "drives")
    return model, {**{key: value for key, value in content.items() if key not in own}, "config": config}


def rebuilt(saved: SpikeSEG, config: Config, source: str | Path) -> SpikeSEG:
    """A network that was loaded, as a configuration runs it, on the CPU.

    Warns where thresholds should adapt and cannot, for no drive was kept when they were trained.

    Raises:
        InputError: see `restore`.
    """
    model = build(config)
    rest = {spec.name: model.encoder.layer(spec.name).threshold.clone() for spec in model.encoder.specs[1:]}
    restore(model, saved.encoder.state_dict(), str(source))
    model.footprint, model.encoder.drives = saved.footprint, dict(saved.encoder.drives)
    raised = [name for name, lowest in rest.items() if bool((model.encoder.layer(name).threshold > lowest).any())]
    fixed = [name for name in raised if name not in saved.encoder.drives]
    if config.model.adaptive_thresholds and fixed:
        log.warning("%s: trained without model.adaptive_thresholds: those of %s stay as they are", source, " and ".join(fixed))
    return model


def _read(path: str | Path) -> Any:
    """What is in the file. torch does not compare the checksums that it writes, so damaged weights are found here."""
    try:
        with zipfile.ZipFile(path) as archive:
            fault = archive.testzip()
        if fault is not None:
            raise zipfile.BadZipFile(f"{fault} is damaged")
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such checkpoint; `spikeseg train` makes one") from None
    except READING_FAILS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a readable checkpoint ({reason})") from None


def _footprint(saved: Any, path: str | Path) -> np.ndarray | None:
    """The footprint of a checkpoint, float64 (2, side, side); None where it has none."""
    if saved is None:
        return None
    if not isinstance(saved, torch.Tensor):
        raise InputError(f"{path}: footprint is a {type(saved).__name__}, must be a tensor")
    try:
        return Footprint(saved.to(torch.float64).numpy()).share
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{path}: {error}") from None


def _drives(saved: Any, model: SpikeSEG, path: str | Path) -> dict[str, float]:
    """The drives of a checkpoint, by layer."""
    names = [spec.name for spec in model.encoder.specs]
    if not isinstance(saved, dict) or not all(
        name in names and isinstance(drive, float) and 0 <= drive < math.inf for name, drive in saved.items()
    ):
        raise InputError(f"{path}: drives: found {saved!r}, must be numbers of 0 or more, of some of {', '.join(names)}")
    return dict(saved)


def build(config: Config) -> SpikeSEG:
    """The untrained network of a configuration."""
    return SpikeSEG.from_config(
        config.model,
        in_channels=config.data.input_channels,
        seed=config.seed,
        stdp=config.stdp,
        homeostasis=config.homeostasis,
    )


def restore(model: SpikeSEG, tensors: dict[str, torch.Tensor], source: str) -> None:
    """Put saved tensors into a network of the same shape.

    Raises:
        InputError: missing, unknown or differently shaped tensors, by name.
    """
    own = model.encoder.state_dict()
    for name in sorted(set(own) | set(tensors)):
        if name not in tensors or name not in own:
            where = "checkpoint" if name not in tensors else "configuration"
            raise InputError(f"{source}: {name} is missing in the {where}")
        if not isinstance(tensors[name], torch.Tensor):
            raise InputError(f"{source}: {name} is a {type(tensors[name]).__name__}, must be a tensor")
        if own[name].shape != tensors[name].shape:
            raise InputError(
                f"{source}: {name} is {tuple(tensors[name].shape)} in the checkpoint, but the configuration asks for "
                f"{tuple(own[name].shape)}; use the configuration that it was trained with"
            )
    model.encoder.load_state_dict(tensors)


def is_trained(path: str | Path) -> bool:
    """Whether the classes of a checkpoint have learned anything: the weights of conv3 are not those that it started from.

    Raises:
        InputError: see `load`.
    """
    model, meta = load(path)
    return not torch.equal(model.encoder.conv3.weight, build(meta["config"]).encoder.conv3.weight)


def untrained(model: SpikeSEG, config: Config) -> SpikeSEG:
    """A copy of a trained network with its learned weights initialised anew, conv1's too where it learned: same thresholds, no
    learning.

    Where it has a motion layer, its footprint is random about flat.
    """
    control = build(config)
    control.encoder.backend = model.encoder.backend
    control.encoder.load_state_dict(model.encoder.state_dict())
    control.encoder.drives = dict(model.encoder.drives)
    for spec in control.encoder.specs:
        if spec.learned or spec.name in config.learned_layers():
            control.initialise(spec.name, config.seed, config.stdp)
    if config.model.motion:
        control.footprint = untrained_footprint(config.seed).share
    return control
