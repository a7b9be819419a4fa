"""Datasets by name: each ``entries(root, *, sensor="all") -> list[Entry]``, one file per dataset."""

from __future__ import annotations

from collections.abc import Callable

from . import ebssa, files, nmnist
from .entry import Entry, fingerprint

__all__ = ["DATASETS", "Entry", "fingerprint"]

DATASETS: dict[str, Callable[..., list[Entry]]] = {
    "ebssa": ebssa.entries,
    "files": files.entries,
    "nmnist": nmnist.entries,
    "synthetic": ebssa.entries,
}
"""``synthetic`` is what simulate writes, which is EBSSA's format with the truth beside."""
