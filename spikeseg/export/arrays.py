"""Exported networks as arrays: .safetensors and .npz, which hold numbers and one text of JSON, and nothing that could run."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spikeseg.errors import InputError

from .description import FORMAT, Description, from_geometry

GEOMETRY = "geometry"
"""Of an .npz, the entry with the JSON: uint8, UTF-8."""


def arrays_of(network: Description) -> dict[str, np.ndarray]:
    """'conv1.weight' (C_out, C_in, K, K), 'conv1.threshold' (C_out,), ..., float32."""
    arrays = {}
    for layer in network.layers:
        arrays[f"{layer.name}.weight"], arrays[f"{layer.name}.threshold"] = layer.weight, layer.threshold
    return arrays


def write_safetensors(file: BinaryIO, network: Description) -> None:
    """Write a .safetensors file; its metadata holds the geometry, under 'spikeseg-export'."""
    from safetensors.numpy import save

    file.write(save({name: np.ascontiguousarray(array) for name, array in arrays_of(network).items()}, {FORMAT: _json(network)}))


def write_npz(file: BinaryIO, network: Description) -> None:
    """Write an .npz file; its entry 'geometry' is the geometry, as UTF-8."""
    text = np.frombuffer(_json(network).encode(), np.uint8)
    content = io.BytesIO()
    arrays: dict[str, Any] = {**arrays_of(network), GEOMETRY: text}
    np.savez(content, **arrays)
    file.write(content.getvalue())


def read(path: str | Path) -> Description:
    """Read what `write_safetensors` or `write_npz` wrote.

    Raises:
        InputError: no such file, or no exported network.
    """
    try:
        with open(path, "rb") as file:
            zipped = file.read(2) == b"PK"
        geometry, arrays = _npz(path) if zipped else _safetensors(path)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: not a network that spikeseg exported ({reason[:200]})") from None
    return from_geometry(geometry, arrays, str(path))


def _npz(path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(arrays.pop(GEOMETRY).tobytes()), arrays


def _safetensors(path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}
            text = (file.metadata() or {})[FORMAT]
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    return json.loads(text), arrays


def _json(network: Description) -> str:
    return json.dumps(network.geometry(), sort_keys=True, allow_nan=False)
