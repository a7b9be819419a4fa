"""Configurations as text: YAML files, the built-in ones, and nested dictionaries of their values.

PyYAML is imported when there is text to read: sections with their defaults need only Python."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from spikeseg.core.kinds import kind_of
from spikeseg.core.names import CONFIG
from spikeseg.errors import InputError, nearest

EXPECTED = "YAML with keys and values, such as `seed: 1`, or the name of a built-in one"
PAPERS = ("igarss2023", "kheradpisheh2018")


def read(source: str | Path) -> dict[str, Any]:
    """The content of a YAML file, or of a built-in configuration.

    Raises:
        InputError: no such file, not readable, not YAML, or no mapping of keys to values.
    """
    path = Path(source)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise InputError(f"{path}: no such configuration file") from None
        except UnicodeDecodeError:
            raise InputError(f"{path}: no configuration, but {kind_of(path)}; expected {EXPECTED}") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read as a configuration ({error})") from None
    elif (path / CONFIG).is_file():
        raise InputError(f"{path}: is a folder; name the configuration in it, {path / CONFIG}")
    else:
        built_in = resources.files("spikeseg.configs") / f"{source}.yaml"
        if not built_in.is_file():
            names = sorted(p.name[:-5] for p in resources.files("spikeseg.configs").iterdir() if p.name.endswith(".yaml"))
            raise InputError(
                f"{source}: no such configuration; a YAML file, or one of {', '.join(names)}{nearest(source, names)}"
            )
        text = built_in.read_text(encoding="utf-8")
    content = parse_yaml(text, str(source))
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise InputError(
            f"{source}: holds {'a list' if isinstance(content, list) else kind_of(path)} without keys; expected {EXPECTED}"
        )
    return content


def read_paper(paper: str) -> dict[str, Any]:
    """The content of a paper's preset. Raises InputError for a paper that has none."""
    if paper not in PAPERS:
        raise InputError(f"paper: {paper!r}, must be one of {', '.join(PAPERS)}")
    return read(paper)


VALUES_MAX = 100_000
"""Values of a configuration, at most."""


def parse_yaml(text: str, origin: str) -> Any:
    """What YAML text holds; PyYAML also raises ValueError (a 13th month) and RecursionError (thousands of brackets).

    Raises InputError, naming the origin and the line, where the text is not valid YAML, or holds more than VALUES_MAX values."""
    import yaml

    try:
        return copy.deepcopy(_loaded(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        position, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f" at line {position.line + 1}" if position else ""
        why = f" ({problem})" if problem else ""
        raise InputError(f"{origin}: not valid YAML{where}{why}") from None


@functools.lru_cache(16)
def _loaded(text: str) -> Any:
    """What YAML text holds, in which no value may be changed: a command reads the configuration of a run several times."""
    import yaml

    from .yaml_loader import Loader

    content = yaml.load(text, Loader=Loader)
    _expanded(content, {})
    return content


def _expanded(content: Any, sizes: dict[int, int]) -> int:
    """Values in content with all aliases written out, of which a line of YAML can make 10**9.

    Raises ValueError where they are more than VALUES_MAX, or where something holds itself."""
    if not isinstance(content, (list, dict)):
        return 1
    if id(content) not in sizes:
        sizes[id(content)] = VALUES_MAX  # until it is counted
        inner = content.values() if isinstance(content, dict) else content
        sizes[id(content)] = 1 + sum(_expanded(value, sizes) for value in inner)
        if sizes[id(content)] > VALUES_MAX:
            raise ValueError(f"more than {VALUES_MAX} values")
    return sizes[id(content)]


def merged(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """`override` over `base`, section by section; lists are replaced. Neither argument is changed."""
    result = {name: _copy(value) for name, value in base.items()}
    for name, value in override.items():
        if isinstance(value, Mapping) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], value)
        else:
            result[name] = _copy(value)
    return result


def undotted(values: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """``{"stdp.lr_plus": 0.004}`` -> ``{"stdp": {"lr_plus": 0.004}}``. Raises InputError for no mapping, and a key that is
    not text."""
    if not isinstance(values, Mapping):
        raise InputError(f"{origin}: found {values!r}, must be a mapping of keys to values")
    nested: dict[str, Any] = {}
    for name, value in values.items():
        if not isinstance(name, str):
            raise InputError(f"{origin}: key {name!r}, must be text")
        for part in reversed(name.split(".")):
            value = {part: value}
        nested = merged(nested, value)
    return nested


class Stack:
    """Contents of configurations laid over each other, later over earlier, with the origin of every key.

    Attributes:
        content: the merged, nested dictionary.
        origins: what an error says first of each key, sections included: where its value comes from, and its dotted name.
    """

    def __init__(self) -> None:
        self.content: dict[str, Any] = {}
        self.origins: dict[str, str] = {}

    def add(self, values: Mapping[str, Any], origin: str, told: Mapping[str, str] | None = None) -> None:
        """Lay values, nested or dotted, over what there is; told: see `load_config`."""
        nested = undotted(values, origin)
        self.origins.update({name: _origin(name, origin, told or {}) for name in _names(nested)})
        self.content = merged(self.content, nested)


def _origin(name: str, origin: str, told: Mapping[str, str]) -> str:
    """What an error says first of a key."""
    if name in told:
        return told[name]
    section = next((key for key in told if name.startswith(f"{key}.")), None)
    return f"{origin if section is None else told[section]}: {name}"


def _names(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The dotted names of all keys, sections included."""
    names: list[str] = []
    for name, value in values.items():
        names.append(f"{prefix}{name}")
        if isinstance(value, Mapping):
            names += _names(value, f"{prefix}{name}.")
    return names


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copy(inner) for name, inner in value.items()}
    return list(value) if isinstance(value, (list, tuple)) else value
