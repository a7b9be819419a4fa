"""From nested dictionaries to sections: unknown keys, wrong types and forbidden values are refused by name."""

from __future__ import annotations

import dataclasses
import difflib
import math
import reprlib
import types
import typing
import warnings
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from spikeseg.errors import InputError
from spikeseg.registry import Registry

WITHOUT_EFFECT = {
    "data.pin_memory": "frames go to the device in blocks",
    "data.shuffle_val": "validation does not depend on the order",
    "clear_cache_interval": "memory is bounded",
    "gradient_checkpointing": "there are no gradients",
    "logging.print_model_summary": "the log has one",
}
"""Keys of configurations of another implementation (docs/other-implementation.md) that steer its loader alone: dotted name -> why
nothing has to be steered here."""

Fail = Callable[[str, Any, str], typing.NoReturn]
"""`Checker.fail`."""
ENTRIES_MAX = 64
"""Entries of a list, at most."""
SHOWN = 500
"""Characters of a value that an error shows, at most."""
LONGEST_TEXT = 4095
"""Characters of a text, at most: those of a path."""


class Checker:
    """Turns nested dictionaries into sections, naming the source of what is wrong.

    Args:
        origins: what an error says first of a key: where its value comes from, and its dotted name, by which it is found here.
        origin: where the keys come from that are not among them.
    """

    def __init__(self, origins: Mapping[str, str], origin: str) -> None:
        self.origins, self.origin = origins, origin

    def fail(self, name: str, value: Any, allowed: str) -> typing.NoReturn:
        """Raise InputError for a key's value: where it comes from, what it is, what is allowed."""
        raise InputError(f"{self._where(name)}: found {_shown(value)}, must be {allowed}")

    def _where(self, name: str) -> str:
        return self.origins.get(name, f"{self.origin}: {name}")

    def section(self, kind: type[Any], content: Any, prefix: str = "") -> Any:
        """A section of this dataclass; keys that are missing have their defaults. Raises InputError, see `fail`."""
        if not isinstance(content, Mapping):
            self.fail(prefix.rstrip("."), content, "a section of keys and values")
        hints = typing.get_type_hints(kind)
        fields = {f.name: f for f in dataclasses.fields(kind)}
        if not prefix and len(content) > 2 and not {*content} & {*fields, *WITHOUT_EFFECT}:
            names = ", ".join(_shown(name) for name in list(content)[:3])
            raise InputError(f"{self.origin}: no configuration; none of its keys ({names}, ...) is one of a configuration")
        for name in content:
            if (why := WITHOUT_EFFECT.get(f"{prefix}{name}")) is not None:
                warnings.warn(f"{self._where(f'{prefix}{name}')}: has no effect; {why}", stacklevel=2)
            elif name not in fields:
                shown = name if isinstance(name, str) and name.isprintable() and len(name) <= SHOWN else _shown(name)
                key = f"{prefix}{shown}"
                raise InputError(f"{self._where(key)}: unknown key; the nearest is {prefix}{_nearest(shown, hints)}")
        values = {}
        for name, value in content.items():
            if name not in fields:
                continue
            if dataclasses.is_dataclass(hints[name]):
                values[name] = self.section(hints[name], value, f"{prefix}{name}.")
            else:
                values[name] = self._value(hints[name], value, f"{prefix}{name}", fields[name].metadata)
        return kind(**values)

    def _value(self, hint: Any, value: Any, name: str, limits: Mapping[str, Any]) -> Any:
        args = typing.get_args(hint)
        if isinstance(hint, types.UnionType):
            return None if value is None else self._value(args[0], value, name, limits)
        if typing.get_origin(hint) is tuple:
            if not isinstance(value, (list, tuple)):
                self.fail(name, value, f"a list, each entry {_kind(args[0])}")
            if len(value) > ENTRIES_MAX:
                self.fail(name, f"{len(value)} entries", f"a list of at most {ENTRIES_MAX}")
            return tuple(self._value(args[0], entry, name, limits) for entry in value)
        if typing.get_origin(hint) is list:
            if not isinstance(value, list) or not all(isinstance(v, Mapping) and isinstance(v.get("name"), str) for v in value):
                self.fail(name, value, "a list of {name: ..., argument: ...}")
            if len(value) > ENTRIES_MAX:
                self.fail(name, f"{len(value)} entries", f"a list of at most {ENTRIES_MAX}")
            return [dict(entry) for entry in value]
        if isinstance(hint, type) and issubclass(hint, Enum):
            names = [member.value for member in hint]
            if value not in names:
                self.fail(name, value, f"one of {', '.join(names)}")
            return hint(value)
        if hint is float and isinstance(value, (int, str)) and not isinstance(value, bool):
            value = self._number(value, name)
        if type(value) is not hint or (hint is float and not math.isfinite(value)):
            self.fail(name, value, _kind(hint))
        return self._limited(value, name, limits)

    def _number(self, value: int | str, name: str) -> float:
        """A whole number, or one such as 1e-4, which YAML 1.1 reads as text."""
        try:
            return float(value)
        except (ValueError, OverflowError):
            self.fail(name, value, _kind(float))

    def _limited(self, value: Any, name: str, limits: Mapping[str, Any]) -> Any:
        low, high, above, choices = (limits.get(k) for k in ("low", "high", "above", "choices"))
        if isinstance(value, str) and choices is None:
            if not value.strip() or "\0" in value or len(value) > LONGEST_TEXT:
                self.fail(name, value, f"text of 1 to {LONGEST_TEXT} characters")
            return value
        if choices is not None and value not in choices:
            if isinstance(choices, Registry):
                self.fail(name, value, choices.allowed(value))
            allowed = list(map(str, choices))
            self.fail(name, value, f"one of {', '.join(allowed)}" if len(allowed) > 1 else allowed[0])
        if low is not None and value < low:
            self.fail(name, value, f"at least {low:.15g}")
        if above is not None and value <= above:
            self.fail(name, value, f"above {above:.15g}")
        if high is not None and value > high:
            self.fail(name, value, f"at most {high:.15g}")
        return value


def _nearest(name: str, hints: Mapping[str, Any]) -> str:
    """The key that a mistyped one is most like: one of these, or one of a section among them, whose name was left out."""
    keys = {key: key for key, hint in hints.items() if not key.startswith("_")}
    for section, hint in hints.items():
        if dataclasses.is_dataclass(hint):
            keys = {**{key.name: f"{section}.{key.name}" for key in dataclasses.fields(hint)}, **keys}
    return keys[difflib.get_close_matches(name, keys, 1, 0.0)[0]]


def _shown(value: Any) -> str:
    """The value in an error: long ones are cut."""
    shown = reprlib.Repr()
    shown.maxstring = shown.maxlong = shown.maxother = SHOWN
    shown.maxlist = shown.maxdict = 16
    try:
        return shown.repr(value)
    except ValueError:  # Python writes no numbers of thousands of digits
        return "a number of thousands of digits"


def _kind(hint: Any) -> str:
    kinds: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return kinds[hint]
