"""Where the network runs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from spikeseg.errors import InputError

if TYPE_CHECKING:
    import torch


AUTO = "auto"
"""The device that is chosen where none is named."""

ALLOWED = "auto, cpu, cuda, cuda:0, cuda:1, ..."


def torch_device(name: str) -> torch.device:
    """The torch device of this name: auto is a GPU where there is one; cuda without a GPU becomes the CPU, with a warning.

    On the CPU torch uses one thread: its small convolutions gain little from two, and lose much when the cores are busy.

    Raises InputError for a name that torch does not know."""
    import torch

    device = _parse(usable_device() if name == AUTO else name)
    if device.type == "cuda" and not _usable(device):
        warnings.warn(f"device {name}: no such GPU here; running on the CPU", stacklevel=2)
        device = torch.device("cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)
    return device


def usable_device() -> str:
    """The name of the device that is used where none is chosen: cuda, or cpu without a GPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def network_device(name: str, backend: str) -> torch.device:
    """The device of a network under this backend (`spikeseg.ops`): `name`, or the CPU for the backend `cpu`.

    Raises InputError where the backend cannot run, see `require_backend`."""
    require_backend(name, backend)
    device = torch_device("cpu" if backend == "cpu" else name)
    if device.type == "cuda" and backend != "reference":
        _import_backend(backend, device)
    return device


def require_backend(name: str, backend: str) -> None:
    """Raise InputError where `cuda` is the backend and cannot run on the device of this name; nothing is warned of.

    That is: without a GPU that torch can use, or without triton."""
    if backend != "cuda":
        return
    import torch

    device = _parse(usable_device() if name == AUTO else name)
    if device.type == "cuda" and _usable(device):
        _import_backend(backend, device)
        return
    where = f"device {name} is not one here"
    if name == AUTO or (device.type == "cuda" and not torch.cuda.is_available()):
        cpu_build = f" that torch {torch.__version__}, a build for the CPU, can use" if torch.version.cuda is None else ""
        where = f"there is none here{cpu_build}"
    raise InputError(f"backend: cuda needs a GPU, but {where}; use backend: auto")


def _import_backend(backend: str, device: torch.device) -> None:
    from spikeseg.ops import backend as ops_backend

    try:
        ops_backend(backend, device)
    except ImportError as error:
        raise InputError(f"backend: {error}") from None


def require_device(name: str, backend: str = "auto") -> None:
    """Raise InputError unless the device can be used: for one that was asked for on the command line."""
    if name == AUTO:
        return
    device = _parse(name)
    if device.type == "cuda" and backend == "cpu":
        raise InputError(f"--device {name}: backend: cpu runs on the CPU; leave one of them out")
    if device.type == "cuda" and not _usable(device):
        raise InputError(f"--device {name}: no such GPU here; use --device cpu, or leave --device out")


def _parse(name: str) -> torch.device:
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device: {name!r}; allowed: {ALLOWED}") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device: {name!r}; allowed: {ALLOWED}")
    return device


def _usable(device: torch.device) -> bool:
    import torch

    return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
