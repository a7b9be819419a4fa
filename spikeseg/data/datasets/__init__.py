"""Datasets, one file each; by name they are `spikeseg.registries.DATASETS`."""

from __future__ import annotations

from .dataset import Dataset, ImageOptions
from .entry import Entry, fingerprint

__all__ = ["Dataset", "Entry", "ImageOptions", "fingerprint"]
