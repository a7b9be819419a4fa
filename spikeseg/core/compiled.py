"""Functions compiled by numba: kept on disk, announced when they are not there yet."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
from pickle import UnpicklingError
from types import ModuleType
from typing import Any

from numba import njit
from numba.core import typeinfer
from numba.core.event import Event, Listener, register

from .compiling import WATCHERS


class _Announcement(Listener):
    """Logs once that numba compiles (half a minute on a fresh installation), and tells the watchers of every function; loading
    compiled code from disk is silent."""

    made, depth, count = False, 0, 0

    def on_start(self, event: Event) -> None:  # noqa: ARG002
        if not self.made:
            self.made = True
            logging.getLogger("spikeseg").info("compiling kernels for this machine (each once; takes up to a minute)")
        self.depth += 1
        self._tell(self.count, True)

    def on_end(self, event: Event) -> None:  # noqa: ARG002
        self.depth -= 1
        self.count += 1
        self._tell(self.count, self.depth > 0)

    def _tell(self, count: int, another: bool) -> None:
        for watcher in WATCHERS:
            watcher(count, another)


register("numba:compile", _Announcement())


def compiled(*signatures: Any, allocates: bool = False, inlined: bool = False) -> Any:
    """Decorator: compile, at once for these signatures, or without any at first use; kept beside the package or in
    NUMBA_CACHE_DIR, where that can be written. The code runs without the interpreter's lock and without bounds checks.

    allocates: whether it makes or returns arrays. If not, numba's reference counting is off, which is atomic and at every slice
    costs several times as much as adding 32 numbers.
    """
    options: Any = {"nogil": True, "boundscheck": False, "_nrt": allocates, "forceinline": inlined}

    def decorate(function: Any) -> Any:
        kernel = njit(**options)(function)
        if kernel is function:  # NUMBA_DISABLE_JIT
            return kernel
        try:
            kernel.enable_caching()
        except (RuntimeError, OSError) as error:
            _not_kept(error)
            source = os.stat(function.__code__.co_filename)
            kernel.stamp = _stamp(function, (source.st_mtime, source.st_size))
        else:
            kernel.stamp = _stamp(function, kernel._cache._cache_file._source_stamp)
            kernel._cache._cache_file._source_stamp = kernel.stamp
            _forgiving(kernel)
        if signatures:
            with typeinfer.register_dispatcher(kernel):
                for signature in signatures:
                    kernel.compile(signature)
                kernel.disable_compile()
        return kernel

    return decorate


def _stamp(function: Any, of_file: tuple[float, int]) -> tuple[Any, ...]:
    """What compiled code is kept for: the state of its own file, and of what it uses of others: compiled functions, constants,
    intrinsics and modules. numba looks at the first alone, and would go on with what another file had before."""
    used = [(name, function.__globals__[name]) for name in sorted(function.__code__.co_names) if name in function.__globals__]
    return (*of_file, *((name, _state(value)) for name, value in used))


def _state(value: Any) -> Any:
    """That of something that compiled code uses: its own stamp, its value, or the size and time of the file that defines it."""
    if isinstance(getattr(value, "stamp", None), tuple):
        return value.stamp
    if isinstance(value, (bool, int, float, str, tuple)):
        return repr(value)
    module = value if isinstance(value, ModuleType) else sys.modules.get(getattr(value, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    return None if file is None else (os.stat(file).st_mtime_ns, os.stat(file).st_size)


def _forgiving(kernel: Any) -> None:
    """Recompile kept code that cannot be loaded, as another version of this package or a full disk may have left it, and go on
    where code cannot be kept; numba would fail."""
    cache = kernel._cache
    load, save = cache.load_overload, cache.save_overload

    def load_overload(signature: Any, context: Any) -> Any:
        try:
            return load(signature, context)
        except (AttributeError, ImportError, EOFError, ValueError, KeyError, IndexError, TypeError, OSError, UnpicklingError):
            with contextlib.suppress(OSError):
                cache.flush()
            return None

    def save_overload(signature: Any, data: Any) -> None:
        try:
            save(signature, data)
        except OSError as error:
            _not_kept(error)

    cache.load_overload, cache.save_overload = load_overload, save_overload


@functools.cache
def _cannot_be_kept(reason: str) -> None:
    logging.getLogger("spikeseg").info("compiled kernels cannot be kept (%s), so the next command compiles them again", reason)


def _not_kept(error: Exception) -> None:
    """Log, once, that compiled code is not on the disk."""
    _cannot_be_kept((getattr(error, "strerror", None) or str(error)).lower())
