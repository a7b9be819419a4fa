"""Why a finished stage is not what would be made now: which values and which inputs differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .manifest import Ingredients, plain, read_manifest

NAMED = 3
"""Differences that are named; of further ones the number is given."""
ABSENT = "nothing"
"""Stands for a value that is there on one side only."""


def stale_reason(ingredients: Ingredients, manifests: Iterable[Path]) -> str | None:
    """How the ingredients differ from those of the most similar of the finished ones; None when there is none."""
    others = [(path, manifest) for path in sorted(manifests) if (manifest := read_manifest(path))]
    if not others:
        return None
    compared = [(differences(manifest, ingredients), path.parent) for path, manifest in others]
    reasons, folder = min(compared, key=lambda pair: len(pair[0]))
    more = f" and {len(reasons) - NAMED} more" if len(reasons) > NAMED else ""
    return f"{folder}: {'; '.join(reasons[:NAMED]) or 'damaged'}{more}"


def differences(manifest: Mapping[str, Any], ingredients: Ingredients) -> list[str]:
    """What is different now from what a finished stage was made from, a phrase each, such as "stdp.lr_plus 0.04 → 0.004"."""
    then, now = dict(leaves(manifest["config"])), dict(leaves(plain(ingredients.config)))
    keys = sorted(key for key in then | now if then.get(key, ABSENT) != now.get(key, ABSENT))
    phrases = [f"{key} {then.get(key, ABSENT)} → {now.get(key, ABSENT)}" for key in keys]
    if manifest.get("version", ingredients.version) != ingredients.version:
        phrases.insert(0, f"version of the stage {manifest['version']} → {ingredients.version}")
    return phrases + _input_phrases(manifest["inputs"], ingredients.inputs)


def _input_phrases(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Of inputs by name: which were added, are gone or have changed."""
    changed = sorted(name for name in before.keys() & now.keys() if before[name] != now[name])
    kinds: dict[str, Sequence[str]] = {
        "added": sorted(now.keys() - before.keys()), "gone": sorted(before.keys() - now.keys()), "changed": changed,
    }  # fmt: skip
    return [
        f"{names[0]} {kind}" if len(names) == 1 else f"{len(names)} inputs {kind} ({names[0]}, ...)"
        for kind, names in kinds.items()
        if names
    ]


def leaves(value: Any, name: str = "", *, lists: bool = False) -> Iterator[tuple[str, Any]]:
    """The values inside of nested mappings, by dotted name; those inside of lists, too, by [index], where asked for."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else str(key), lists=lists)
    elif lists and isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{name}[{index}]", lists=True)
    else:
        yield name, value
