"""Functions compiled by numba: kept on disk, announced when they are not there yet."""

from __future__ import annotations

import logging
from typing import Any

from numba import njit
from numba.core.event import Event, Listener, register


class _Announcement(Listener):
    """Logs once that numba compiles (half a minute on a fresh installation); loading compiled code from disk is silent."""

    made = False

    def on_start(self, event: Event) -> None:  # noqa: ARG002
        if not self.made:
            self.made = True
            logging.getLogger("spikeseg").info("compiling kernels for this machine (once; takes up to a minute)")

    def on_end(self, event: Event) -> None:
        pass


register("numba:compile", _Announcement())


def compiled(*signatures: Any, allocates: bool = False, inlined: bool = False) -> Any:
    """Decorator: compile, at once for these signatures, or without any at first use; kept beside the package or in
    NUMBA_CACHE_DIR. The code runs without the interpreter's lock and without bounds checks.

    allocates: whether it makes or returns arrays. If not, numba's reference counting is off, which is atomic and at every slice
    costs several times as much as adding 32 numbers.
    """
    options: Any = {"cache": True, "nogil": True, "boundscheck": False, "_nrt": allocates, "forceinline": inlined}
    decorate = njit(list(signatures), **options) if signatures else njit(**options)
    return lambda function: _forgiving(decorate(function))


def _forgiving(function: Any) -> Any:
    """Recompile cached code that names types which no longer exist, as another version of this package may have left it;
    numba would fail to load it."""
    cache = getattr(function, "_cache", None)
    if cache is None:  # NUMBA_DISABLE_JIT
        return function
    load = cache.load_overload

    def load_overload(signature: Any, context: Any) -> Any:
        try:
            return load(signature, context)
        except (AttributeError, ImportError):
            cache.flush()
            return None

    cache.load_overload = load_overload
    return function
