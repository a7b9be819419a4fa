"""Networks that come with the package, NAME.safetensors each; `spikeseg reproduce NAME` trains one again, byte for byte."""

from __future__ import annotations

from pathlib import Path

NIGHTS, SCENES = NAMES = ("nights", "scenes")
"""For points on a night sky, trained with the configuration `demo`; and for whole objects of any size, with `files`."""

SUFFIX = ".safetensors"


def file_of(name: str) -> Path:
    """The file of a packaged network, one of NAMES."""
    return Path(__file__).with_name(f"{name}{SUFFIX}")
