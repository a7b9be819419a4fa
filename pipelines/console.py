"""What the user sees: log lines and progress bars on stderr, results on stdout."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

LOGGER = logging.getLogger("spikeseg")
TERMINAL_SECONDS, FILE_SECONDS = 0.2, 10.0
"""Least time between two updates of a bar: on a terminal, and in a log file, which keeps every one of them."""


class _Handler(logging.Handler):
    """Writes to whatever stderr is now, above a running progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if record.levelno >= logging.WARNING:
            line = f"{record.levelname.lower()}: {line}"
        tqdm.write(line, file=sys.stderr)


@contextlib.contextmanager
def logging_to_stderr(level: str) -> Iterator[None]:
    """Show log records of `level` and above, and each Python warning as one line, while the block runs."""
    handler = _Handler()
    earlier = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(level)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: LOGGER.warning("%s", message)
        try:
            yield
        finally:
            LOGGER.removeHandler(handler)
            LOGGER.setLevel(earlier)


def progress(items: Iterable[Item], what: str, unit: str, total: int | None = None) -> Iterator[Item]:
    """Pass items through under a progress bar on stderr with rate and remaining time; none below log level INFO.

    Args:
        items: what to go through.
        what: what is being done ("framing recordings").
        unit: name of one item ("recording").
        total: how many there are, where `items` has no length.
    """
    seconds = TERMINAL_SECONDS if sys.stderr.isatty() else FILE_SECONDS
    quiet = not LOGGER.isEnabledFor(logging.INFO)
    yield from tqdm(
        items, desc=what, unit=f" {unit}", total=total, file=sys.stderr, mininterval=seconds, disable=quiet, leave=False
    )
