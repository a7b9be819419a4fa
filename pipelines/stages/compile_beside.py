"""On a new machine a second process compiles what detection needs last, see `spikeseg.detection.ahead`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from spikeseg.core.compiling import WATCHERS

from ..runtime.process import ends_children

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

_started: list[subprocess.Popen[bytes]] = []

COMMAND = "from spikeseg.detection.ahead import compile_last; compile_last({})"


@contextlib.contextmanager
def compiled_beside(cfg: Config) -> Iterator[None]:
    """Start that process as soon as this one has to compile in the block, where there is a core for it; it ends with the block.

    Args:
        cfg: what detection is run with.
    """
    from spikeseg.ops.device import network_device

    here = cfg.data.dask is None and network_device(cfg.device, cfg.backend).type == "cpu"
    if not here or cores() < 2 or not (cfg.tracking.scenes or cfg.model.motion):
        yield
        return

    def start(*_: object) -> None:
        if not _started:
            words = [sys.executable, "-P", "-c", COMMAND.format(cfg.tracking.scenes)]
            nowhere = subprocess.DEVNULL
            with contextlib.suppress(OSError):  # then this process compiles everything
                _started.append(subprocess.Popen(words, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True))

    ends_children(_end)
    WATCHERS.append(start)
    try:
        yield
    finally:
        WATCHERS.remove(start)
        _end()
        while _started:
            _started.pop().wait()


def _end() -> None:
    for process in _started:
        process.kill()


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
