"""Things that are chosen by name, ours and other packages': datasets, readers, learning rules, metric modes, commands.

Built-in ones are named by module and attribute, so that choosing one imports that one alone. Other packages add theirs by an
entry point of the group, in their own ``setup.cfg``::

    [options.entry_points]
    spikeseg.datasets =
        mine = my_package.mine:DATASET
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from spikeseg.errors import InputError


class Registry(Mapping[str, Any]):
    """Name -> what is registered under it, loaded when it is asked for.

    Args:
        kind: what is registered, for messages ("dataset").
        group: of the entry points.
        built_in: name -> ``module:attribute``, in the order in which names are listed.
    """

    def __init__(self, kind: str, group: str, built_in: Mapping[str, str]) -> None:
        self.kind, self.group, self._built_in = kind, group, dict(built_in)

    @cached_property
    def _entry_points(self) -> dict[str, EntryPoint]:
        """Those of other packages, by name; a built-in name cannot be taken."""
        found = sorted(entry_points(group=self.group), key=lambda point: point.name)
        return {point.name: point for point in found if point.name not in self._built_in}

    def __getitem__(self, name: str) -> Any:
        """What is registered under the name. Raises InputError, naming what there is, where nothing is or it cannot be loaded."""
        if name in self._built_in:
            module, _, attribute = self._built_in[name].partition(":")
            return getattr(import_module(module), attribute)
        if name not in self._entry_points:
            raise InputError(f"{self.kind} {name!r}: unknown, must be one of {', '.join(self)}")
        point = self._entry_points[name]
        try:
            return point.load()
        except Exception as error:
            raise InputError(
                f"{self.kind} {name!r}: entry point {point.value} of {self.group} cannot be loaded ({error})"
            ) from error

    def __iter__(self) -> Iterator[str]:
        yield from self._built_in
        yield from self._entry_points

    def __len__(self) -> int:
        return len(self._built_in) + len(self._entry_points)

    def __contains__(self, name: object) -> bool:
        return name in self._built_in or name in self._entry_points
