"""Recordings, their readers, framing and the cache.

For users of tonic: `ToSpikes` and `DropPixel` are transforms, `Recordings` is a dataset of its kind; see `tonic_style`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tonic_style import Recordings, ToSpikes
    from .transforms import DropPixel

__all__ = ["DropPixel", "Recordings", "ToSpikes"]

_HOME = {"DropPixel": "transforms", "Recordings": "tonic_style", "ToSpikes": "tonic_style"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
