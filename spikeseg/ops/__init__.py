"""The hot loops, chosen by name; every backend gives the same bits as `reference`."""

from __future__ import annotations

from types import ModuleType

from . import reference

BACKENDS: dict[str, ModuleType] = {"reference": reference}


def backend(name: str) -> ModuleType:
    """The backend asked for, never a substitute.

    Raises:
        ValueError: no backend of this name.
    """
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}; here: {', '.join(BACKENDS)}")
    return BACKENDS[name]
