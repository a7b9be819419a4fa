"""Exported networks as files: one function to write any of them, and what of a network each leaves out."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from spikeseg.core.files import atomic_write
from spikeseg.core.grid import HALF_STEP
from spikeseg.core.leak import LeakMode
from spikeseg.errors import InputError

from . import nir_graph
from .arrays import write_npz, write_safetensors
from .description import FORMAT, Description, Loss, from_geometry

SUFFIXES = {"nir": ".nir", "safetensors": ".safetensors", "npz": ".npz", "norse": ".pt"}
"""Of the formats."""


def format_of(path: str | Path) -> str:
    """The format that a name stands for. Raises InputError where it stands for none."""
    for name, suffix in SUFFIXES.items():
        if Path(path).suffix == suffix:
            return name
    raise InputError(f"{path}: says no format; name one with --format, or a file that ends in {', '.join(SUFFIXES.values())}")


def write(path: str | Path, network: Description, kind: str) -> Path:
    """Write a network; -> the file.

    Args:
        path: where it goes, whatever its suffix.
        network: see `description.describe`.
        kind: of SUFFIXES.

    Raises:
        InputError: an unknown format, a layer that the format cannot say, or a file that cannot be written.
    """
    writers: dict[str, Callable[[BinaryIO, Description], None]] = {
        "nir": nir_graph.write_nir, "safetensors": write_safetensors, "npz": write_npz, "norse": write_norse,
    }  # fmt: skip
    if kind not in writers:
        raise InputError(f"format: found {kind!r}, must be one of {', '.join(SUFFIXES)}")
    content = io.BytesIO()
    writers[kind](content, network)
    return atomic_write(Path(path), content.getvalue())


def losses(network: Description, kind: str) -> list[Loss]:
    """What a file of this format does not say of the network."""
    return [*network.losses, *(nir_graph.losses(network) if kind == "nir" else [])]


def norse_of(network: Description) -> nn.Module:
    """A plain Norse network, see `spikeseg.models.SpikeSEG.to_norse`."""
    from spikeseg.core.norse_network import norse_layer, norse_network

    return norse_network(
        module
        for layer in network.layers
        for module in norse_layer(
            torch.from_numpy(layer.weight), torch.from_numpy(layer.threshold), layer.mode, layer.leak, layer.pool
        )
    )


def write_norse(file: BinaryIO, network: Description) -> None:
    """Write the state of the Norse network with the geometry, for `read_norse`; loads under ``weights_only=True``."""
    state = dict(norse_of(network).state_dict())
    torch.save({"format": FORMAT, "geometry": json.dumps(network.geometry(), sort_keys=True), "state": state}, file)


def read_norse(path: str | Path) -> nn.Module:
    """The Norse network of a file that `write_norse` wrote.

    Raises:
        InputError: no such file, or no such network.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        geometry, state = json.loads(content["geometry"]), content["state"]
        arrays = _arrays(geometry, state)
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except Exception as error:  # whatever it is, the file is at fault
        text = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a Norse network that spikeseg exported ({type(error).__name__}: {text})") from None
    return norse_of(from_geometry(geometry, arrays, str(path)))


def _arrays(geometry: dict[str, Any], state: dict[str, Tensor]) -> dict[str, Any]:
    """Weights and thresholds out of the state: of each layer a convolution, a cell, and a pool if it has one."""
    arrays, place = {}, 0
    for layer in geometry["layers"]:
        arrays[f"{layer['name']}.weight"] = state[f"{place}.weight"].numpy()
        arrays[f"{layer['name']}.threshold"] = (state[f"{place + 1}.v_th"].flatten() + HALF_STEP).numpy()
        if LeakMode(layer["leak_mode"]).has_floor and float(state[f"{place}.bias"][0]) != -float(layer["leak"]):
            raise ValueError(f"the bias of {layer['name']} is not its leak")
        place += 2 + (layer["pool"] is not None)
    return arrays
