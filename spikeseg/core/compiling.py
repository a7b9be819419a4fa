"""Who is told while functions are compiled. It imports nothing, so that the command line can ask without loading numba."""

from __future__ import annotations

from collections.abc import Callable

WATCHERS: list[Callable[[int, bool], None]] = []
"""Called with how many functions this process has compiled so far, and whether another is being compiled now; under numba's lock,
so never by two threads at once."""
