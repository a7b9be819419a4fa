"""Reading of checkpoints that may come from anywhere: everything in a file is checked before it is used.

In this order, so that no file makes more work than a sound one of its size: the file's directory; types and shapes of tensors, of
which nothing is read yet; the configuration, and that the shapes are its; checksums; and last the numbers.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from spikeseg.config.load import from_dict
from spikeseg.config.sections import Config
from spikeseg.core.exact_range import LIMIT, THRESHOLD_LIMIT
from spikeseg.errors import InputError
from spikeseg.motion.footprint import SIDE, Footprint
from spikeseg.ops.device import usable_device

from .checkpoint_files import FORMAT, form_of, other_kind

VERSION = 1
REMEDY = "damaged, or changed since training; train anew or take another checkpoint"


def read(path: str | Path) -> tuple[dict[str, Any], Config]:
    """What a checkpoint holds, checked, and its configuration.

    Raises:
        InputError: no such file, not a checkpoint, cut off or damaged, tensors that are not those of its configuration, or
            numbers that no training gives.
    """
    form = form_of(path)
    described = form.described(path)
    kind = described.get("format") if isinstance(described, dict) else None
    if not isinstance(kind, str) or kind != FORMAT:
        other_kind(path, "not a spikeseg checkpoint")
    if type(version := described.get("version")) is not int or version != VERSION:
        raise InputError(f"{path}: checkpoint version {reprlib.repr(version)}, this program reads {VERSION}")
    if not all(isinstance(described.get(part), dict) for part in ("model", "config")):
        raise InputError(f"{path}: not a spikeseg checkpoint (no model and config)")
    try:
        config = from_dict({"device": usable_device(), **described["config"]}, str(path))
    except InputError as error:
        raise InputError(str(error) if str(error).startswith(f"{path}: ") else f"{path}: {error}") from None
    check_tensors(described["model"], shapes_of(config), str(path))
    if described.get("footprint") is not None:
        check_tensors({"footprint": described["footprint"]}, {"footprint": (2, SIDE, SIDE)}, str(path), torch.float64)
    content = form.content(path, described)
    _check_numbers(content["model"], config, path)
    _check_drives(content.get("drives", {}), config, path)
    _check_readout(content.get("readout"), config, path)
    if not isinstance(content.get("progress", {}), dict):
        raise InputError(f"{path}: progress is a {type(content['progress']).__name__}, must be what training wrote: {REMEDY}")
    return content, config


def shapes_of(config: Config) -> dict[str, tuple[int, ...]]:
    """The tensors of a configuration's network: name -> shape."""
    shapes: dict[str, tuple[int, ...]] = {}
    fan_in = config.data.input_channels
    for layer in config.layers():
        shapes[f"{layer.name}.weight"] = (layer.channels, fan_in, layer.kernel, layer.kernel)
        shapes[f"{layer.name}.threshold"] = (layer.channels,)
        fan_in = layer.channels
    return shapes


def check_tensors(
    tensors: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], source: str, dtype: torch.dtype = torch.float32
) -> None:
    """Compare names, types and shapes of tensors, which need not hold anything.

    Raises:
        InputError: missing, unknown or different ones, by name.
    """
    for name in sorted(set(shapes) | set(map(str, tensors))):
        if name not in tensors or name not in shapes:
            where = "checkpoint" if name not in tensors else "configuration"
            raise InputError(f"{source}: {name} is missing in the {where}")
        tensor = tensors[name]
        if not isinstance(tensor, Tensor):
            raise InputError(f"{source}: {name} is a {type(tensor).__name__}, must be a tensor")
        if tuple(tensor.shape) != shapes[name]:
            raise InputError(
                f"{source}: {name} is {tuple(tensor.shape)} in the checkpoint, but the configuration asks for {shapes[name]}; "
                "use the configuration that it was trained with"
            )
        if tensor.dtype != dtype or tensor.layout != torch.strided or tensor.is_quantized:
            raise InputError(f"{source}: {name} holds {tensor.dtype}, {tensor.layout}; must be dense {dtype}: {REMEDY}")


def check_values(name: str, values: Tensor, low: float, high: float, source: str | Path) -> None:
    """Raise InputError, naming the first place and its value, unless all values are numbers within low..high."""
    fine = (values >= low) & (values <= high)  # not so for nan
    if bool(fine.all()):
        return
    place = torch.nonzero(~fine)[0].tolist()
    found = float(values[tuple(place)])
    raise InputError(f"{source}: {name}{place}: found {found:g}, must be a number from {low:g} to {high:g}: {REMEDY}")


def _check_numbers(tensors: dict[str, Tensor], config: Config, path: str | Path) -> None:
    """Weights within what STDP allows, thresholds above 0, potentials within exact arithmetic."""
    for layer in config.layers():
        weight, threshold = tensors[f"{layer.name}.weight"], tensors[f"{layer.name}.threshold"]
        low, high = config.stdp.weight_min, config.stdp.weight_max  # of layers that do not learn, too: they are drawn within them
        if layer.name == "conv1":
            bound = float(max(config.model.conv1_scales))  # a fixed filter's positive part and its negative part sum to this
            low, high = (min(low, -bound), max(high, bound)) if layer.learned else (-bound, bound)
        check_values(f"{layer.name}.weight", weight, float(np.float32(low)), float(np.float32(high)), path)
        check_values(f"{layer.name}.threshold", threshold, 0.0, THRESHOLD_LIMIT, path)
        reach = weight.abs().flatten(1).double().sum(1) + threshold
        if not bool((reach < LIMIT).all()):
            worst = int(reach.argmax())
            raise InputError(
                f"{path}: {layer.name}.weight[{worst}]: potentials could reach {float(reach[worst]):g}, but exact arithmetic "
                f"ends at {LIMIT:g}: {REMEDY}"
            )


def footprint_of(content: Mapping[str, Any], path: str | Path) -> np.ndarray | None:
    """The footprint of a checkpoint, float64 (2, side, side); None where it has none."""
    saved = content.get("footprint")
    if saved is None:
        return None
    check_values("footprint", saved, 0.0, 1.0, path)
    try:
        return Footprint(saved.numpy()).share
    except ValueError as error:
        raise InputError(f"{path}: {error}: {REMEDY}") from None


def _check_drives(drives: Any, config: Config, path: str | Path) -> None:
    """Spikes per neuron and step, by layer."""
    names = [layer.name for layer in config.layers()]
    if not isinstance(drives, dict) or not all(
        name in names and isinstance(drive, float) and 0 <= drive <= 1 for name, drive in drives.items()
    ):
        raise InputError(
            f"{path}: drives: found {reprlib.repr(drives)}, must be numbers from 0 to 1, of some of {', '.join(names)}"
        )


def _check_readout(readout: Any, config: Config, path: str | Path) -> None:
    """The calibration that `sweep` writes."""
    if readout is None:
        return
    known = isinstance(readout, dict) and set(readout) >= {"object_threshold", "classes"}
    threshold, classes = (readout["object_threshold"], readout["classes"]) if known else (None, None)
    n = config.model.n_classes
    fine = isinstance(threshold, (int, float)) and 0 <= threshold <= 1
    fine &= classes is None or (isinstance(classes, list) and all(type(c) is int and 0 <= c < n for c in classes))
    if not fine:
        raise InputError(
            f"{path}: readout: found {reprlib.repr(readout)}, must hold an object_threshold from 0 to 1 and classes below {n}; "
            "run `spikeseg sweep` again"
        )


def check_progress(progress: Any, config: Config, layer: str, path: str | Path) -> None:
    """The state of training that a checkpoint keeps for resuming, as `TrainingLoop` writes it.

    Args:
        progress: as it is in the file.
        config: of the checkpoint.
        layer: that is to go on.
        path: of the file.

    Raises:
        InputError: a part is missing, of another type or shape, or beyond what training gives.
    """

    def fail(part: str, allowed: str) -> NoReturn:
        raise InputError(f"{path}: progress.{part}: {allowed}: {REMEDY}")

    def whole(values: Mapping[str, Any], name: str, prefix: str = "", low: int = 0) -> None:
        if type(values.get(name)) is not int or not low <= values[name] < 2**62:
            fail(f"{prefix}{name}", f"found {reprlib.repr(values.get(name))}, must be a whole number from {low}")

    if not isinstance(progress, dict) or not isinstance(progress.get("trainer"), dict):
        fail("trainer", "is missing")
    trainer = progress["trainer"]
    for name in ("epoch", "position"):
        whole(progress, name)
    for name in ("samples", "recovered", "stale"):
        whole(trainer, name, "trainer.")
    for values, prefix in ((progress, ""), (trainer, "trainer.")):
        if not isinstance(values.get("best"), float) or math.isnan(values["best"]):
            fail(f"{prefix}best", f"found {reprlib.repr(values.get('best'))}, must be a number")
    if not isinstance(progress.get("reason"), (str, type(None))):
        fail("reason", f"found {reprlib.repr(progress.get('reason'))}, must be text or null")
    maps = shapes_of(config)[f"{layer}.threshold"][0]
    source, generator = f"{path}: progress.trainer", torch.Generator()
    check_tensors({"theta": trainer.get("theta")}, {"theta": (maps,)}, source)
    check_values("progress.trainer.theta", trainer["theta"], 0.0, THRESHOLD_LIMIT, path)
    for name in ("wins", "recent_wins", "seen"):
        check_tensors({name: trainer.get(name)}, {name: (maps,)}, source, torch.int64)
        check_values(f"progress.trainer.{name}", trainer[name], 0, 2**62, path)
    state = generator.get_state()
    check_tensors({"generator": trainer.get("generator")}, {"generator": tuple(state.shape)}, source, state.dtype)
    try:
        generator.set_state(trainer["generator"])
    except RuntimeError as error:
        fail("trainer.generator", str(error).splitlines()[0])
    if trainer.get("last_check") is not None:
        check_tensors({"last_check": trainer["last_check"]}, {"last_check": shapes_of(config)[f"{layer}.weight"]}, source)
    competition = trainer.get("competition")
    if competition is not None:
        shape = tuple(competition.shape) if isinstance(competition, Tensor) else (0,)
        check_tensors({"competition": competition}, {"competition": (maps, *shape[1:3])}, source)
        check_values("progress.trainer.competition", competition, 0.0, config.wta.threshold_max, path)
