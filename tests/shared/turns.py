"""Processes that compile the same functions, in turn."""

import contextlib
import fcntl
import importlib.util
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def compiled_in_turn(path: Path) -> Iterator[None]:
    """While another process compiles a function of numba, wait, and load what it has kept: two would compile it twice.

    Args:
        path: any file, which stays as it is. The processes lock bytes of it, one for each function; who dies leaves none locked.
    """
    from numba.core.dispatcher import Dispatcher

    plain, held = Dispatcher.compile, set()

    def in_turn(dispatcher: Dispatcher, signature: object) -> object:
        place = zlib.crc32(f"{dispatcher.__module__}.{dispatcher.__qualname__}".encode())
        if place in held:  # a function that is compiled within itself
            return plain(dispatcher, signature)
        held.add(place)
        with contextlib.suppress(OSError):  # no locks here, or each would wait for the other
            fcntl.lockf(file, fcntl.LOCK_EX, 1, place)
        try:
            return plain(dispatcher, signature)
        finally:
            with contextlib.suppress(OSError):
                fcntl.lockf(file, fcntl.LOCK_UN, 1, place)
            held.remove(place)

    with path.open("r+b") as file:
        Dispatcher.compile = in_turn
        try:
            yield
        finally:
            Dispatcher.compile = plain


def pytest_configure(config: pytest.Config) -> None:
    """The processes of the suite (pytest-xdist) compile in turn."""
    if hasattr(config, "workerinput") and importlib.util.find_spec("numba"):
        turns = compiled_in_turn(Path(__file__))
        turns.__enter__()
        config.add_cleanup(lambda: turns.__exit__(None, None, None))
