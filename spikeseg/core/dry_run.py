"""Working without writing: what a command would be the first to do or write is raised instead, see `--dry-run`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_DRY: ContextVar[bool] = ContextVar("dry", default=False)


class DryRun(Exception):
    """Raised within `dry_run` in place of the first thing that would be done or written; its text says what."""


@contextlib.contextmanager
def dry_run() -> Iterator[None]:
    """Within the block nothing is written: what would be the first to be written raises DryRun."""
    token = _DRY.set(True)
    try:
        yield
    finally:
        _DRY.reset(token)


def is_dry() -> bool:
    """Whether nothing may be written, see `dry_run`."""
    return _DRY.get()
