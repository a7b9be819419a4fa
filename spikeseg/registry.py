"""Things that are chosen by name, ours and other packages': datasets, readers, learning rules, metric modes, commands.

Built-in ones are named by module and attribute, so that choosing one imports that one alone. Other packages add theirs by an
entry point of the group, in their own ``setup.cfg``::

    [options.entry_points]
    spikeseg.datasets =
        mine = my_package.mine:DATASET
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from spikeseg.errors import InputError, nearest


class Registry(Mapping[str, Any]):
    """Name -> what is registered under it, loaded when it is asked for.

    Args:
        kind: what is registered, for messages ("dataset").
        group: of the entry points.
        built_in: name -> ``module:attribute``, in the order in which names are listed.
        families: prefix -> ``module:attribute`` of a mapping, whose members are called ``prefix:NAME``; they are found by name,
            but not listed.
    """

    def __init__(self, kind: str, group: str, built_in: Mapping[str, str], families: Mapping[str, str] | None = None) -> None:
        self.kind, self.group, self._built_in, self._families = kind, group, dict(built_in), dict(families or {})

    @cached_property
    def _entry_points(self) -> dict[str, EntryPoint]:
        """Those of other packages, by name; a built-in name cannot be taken."""
        found = sorted(entry_points(group=self.group), key=lambda point: point.name)
        return {point.name: point for point in found if point.name not in self._built_in}

    def __getitem__(self, name: str) -> Any:
        """What is registered under the name. Raises InputError, naming what there is, where nothing is or it cannot be loaded."""
        if name in self._built_in:
            return _loaded(self._built_in[name])
        family, member = self._family(name)
        if family is not None and member in family:
            return family[member]
        if name not in self._entry_points:
            raise InputError(f"{self.kind} {name!r}: unknown, must be {self.allowed(name)}")
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
        if name in self._built_in or name in self._entry_points:
            return True
        family, member = self._family(name)
        return family is not None and member in family

    def _family(self, name: object) -> tuple[Mapping[str, Any] | None, str]:
        """The family that a name belongs to, None where it is of none, and what it is called there."""
        prefix, colon, member = name.partition(":") if isinstance(name, str) else ("", "", "")
        return (_loaded(self._families[prefix]), member) if colon and prefix in self._families else (None, "")

    @property
    def described(self) -> list[str]:
        """All names, and how members of families are called."""
        return [*self, *(f"{prefix}:NAME" for prefix in self._families)]

    def allowed(self, name: object) -> str:
        """What may stand in the place of a name that is unknown: the names of its family, the nearest first, or all."""
        family, member = self._family(name)
        if family is None:
            return f"one of {', '.join(self.described)}{nearest(name, self)}"
        prefix, small = str(name).partition(":")[0], {known.lower(): known for known in family}
        near = [small[key] for key in difflib.get_close_matches(member.lower(), small, 3)]
        nearby = f"; nearest: {', '.join(f'{prefix}:{known}' for known in near)}" if near else ""
        return f"{prefix}:NAME, NAME one of {', '.join(family)}{nearby}"


def _loaded(target: str) -> Any:
    """What ``module:attribute`` names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
