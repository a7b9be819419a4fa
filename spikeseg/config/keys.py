"""Keys of a section, and a section as a plain dictionary."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

COUNT_MAX = 10**9
"""Where a count has no bound of its own."""
DAY_MS = 86_400_000.0
"""No length of time is longer."""
Choices = Sequence[Any] | Mapping[str, Any]


def key(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: Choices | None = None,
    omit_default: bool = False,
) -> Any:
    """A field of a section with its limits; the entries of a list are checked one by one.

    Args:
        default: the value of a key that is left out.
        low: the least value allowed.
        high: the greatest.
        above: a bound that the value must exceed.
        choices: the values allowed: a sequence, or a registry, whose names they are.
        omit_default: leave the key out of dictionaries while it has its default, so that files written before the key was
            introduced and stage keys stay as they are.
    """
    metadata = {"low": low, "high": high, "above": above, "choices": choices, "omit_default": omit_default}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def section_dict(section: Any) -> dict[str, Any]:
    """A section, and the sections inside it, as dictionaries; tuples and enums stay what they are.

    This is what configurations are dumped from and what the keys of stages hold."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if field.metadata.get("omit_default") and value == field.default:
            continue
        values[field.name] = section_dict(value) if dataclasses.is_dataclass(value) else _copy(value)
    return values


def _copy(value: Any) -> Any:
    """A copy whose lists and dictionaries are its own."""
    if isinstance(value, dict):
        return {name: _copy(inner) for name, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value
