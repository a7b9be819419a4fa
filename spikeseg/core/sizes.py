"""Sizes of maps; imports no torch, so that a configuration can be checked before anything is loaded."""

from __future__ import annotations


def pooled_size(size: int, kernel: int, stride: int) -> int:
    """Outputs along one axis so that every input is seen: windows are added until the last one reaches the border."""
    return max(0, -(-(size - kernel) // stride)) + 1
