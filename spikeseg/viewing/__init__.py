"""Results to look at and to judge: a page per recording, a video, a file for rerun (the extras 'view' and 'rerun')."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from spikeseg.errors import InputError

VIDEOS = ("mp4", "gif")
"""Formats of videos."""
PACKAGES = {"view": ("plotly.offline",), "video": ("imageio_ffmpeg", "PIL.ImageDraw"), "rrd": ("rerun",)}
"""What is made -> the modules that it needs."""
EXTRAS = {"view": "view", "video": "view", "rrd": "rerun"}


def require(what: str) -> list[ModuleType]:
    """The modules of PACKAGES that the page ("view"), the video or the file for rerun ("rrd") needs.

    Raises InputError, naming the extra, where one is not installed."""
    try:
        return [import_module(name) for name in PACKAGES[what]]
    except ImportError as error:
        package = (error.name or PACKAGES[what][0]).partition(".")[0]
        raise InputError(f"--{what} needs {package}; install it with: pip install 'spikeseg[{EXTRAS[what]}]'") from None
