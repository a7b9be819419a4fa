"""Checkpoints: weights, thresholds, the drive that layers were trained under where thresholds adapt to it, the footprint of the
motion layer, the configuration they belong to and, while training, all that resuming needs.

They hold tensors, numbers, strings, lists and dictionaries, and load under ``torch.load(weights_only=True)``, or are safetensors
files: nothing in a file can run code.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from spikeseg.config.circumstances import CIRCUMSTANCES, with_defaults
from spikeseg.config.load import to_dict
from spikeseg.config.sections import Config
from spikeseg.models import SpikeSEG

from .checkpoint_files import FORMAT, write_safetensors
from .checkpoint_reading import VERSION, check_tensors, footprint_of, read
from .footprint import untrained_footprint

log = logging.getLogger(__name__)


def save(file: str | Path | BinaryIO, model: SpikeSEG, config: Config, **meta: Any) -> None:
    """Write a checkpoint.

    Args:
        file: path or open binary file.
        model: its weights and thresholds are saved, from any device.
        config: the resolved configuration; of it is kept what says what the network is and how it is read, see
            `spikeseg.config.circumstances`.
        meta: what else to keep, such as ``trained=["conv2"]``, ``trainer=trainer.state_dict()``.
    """
    torch.save(_canonical(_content(model, config, meta)), file)


def save_safetensors(file: BinaryIO, model: SpikeSEG, config: Config) -> None:
    """Write a network as a safetensors file, which `load` reads as it does a checkpoint; the same network gives the same bytes.

    Args:
        file: open, binary.
        model: see `save`.
        config: see `save`.
    """
    write_safetensors(file, _content(model, config, {}))


def _content(model: SpikeSEG, config: Config, meta: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint holds."""
    tensors = dict(model.encoder.state_dict())
    settings = to_dict(with_defaults(config, CIRCUMSTANCES))  # where and how it was trained changes no byte
    del settings["device"]  # `load` takes one that is there
    learned: dict[str, Any] = (
        {} if model.footprint is None else {"footprint": torch.from_numpy(np.array(model.footprint, np.float64))}
    )
    if model.encoder.drives:
        learned["drives"] = dict(model.encoder.drives)
    return {"format": FORMAT, "version": VERSION, "model": tensors, "config": settings, **learned, **meta}


def _canonical(value: Any) -> Any:
    """An equal value that is pickled to the same bytes wherever it comes from: pickle writes an object that it meets again as a
    reference, so equal strings have to be one object, and containers and tensors none that occurs twice."""
    if isinstance(value, str):
        return sys.intern(str(value))
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {_canonical(name): _canonical(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_canonical(inner) for inner in value])
    return value


def load(path: str | Path) -> tuple[SpikeSEG, dict[str, Any]]:
    """Read a checkpoint. -> the network on the CPU, and everything else that `save` was given, with "config" as a Config.

    Raises:
        InputError: see `checkpoint_reading.read`.
    """
    content, config = read(path)
    model = build(config)
    restore(model, content["model"], str(path))
    model.footprint = footprint_of(content, path)
    model.encoder.drives = dict(content.get("drives", {}))
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


def build(config: Config) -> SpikeSEG:
    """The untrained network of a configuration."""
    return SpikeSEG.from_config(config)


def restore(model: SpikeSEG, tensors: dict[str, torch.Tensor], source: str) -> None:
    """Put saved tensors into a network of the same shape.

    Raises:
        InputError: missing, unknown or differently shaped tensors, by name.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in model.encoder.state_dict().items()}
    check_tensors(tensors, shapes, source)
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
