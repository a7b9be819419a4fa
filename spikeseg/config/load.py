"""Loading and dumping configurations.

Values come, later over earlier, from: the defaults of `spikeseg.config.sections`, a YAML file, a paper's preset, overrides. A
wrong key, type or value is one line that names the file, the key, the value and what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, overload

from spikeseg.errors import InputError

from .files import Stack, merged, parse_yaml, read, read_paper, undotted
from .keys import section_dict
from .sections import Config


def load_config(
    source: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    paper: str | None = None,
    *,
    told: Mapping[str, str] | None = None,
) -> Config:
    """The configuration of a file with a preset and overrides on top.

    Args:
        source: path of a YAML file, name of a built-in configuration ('demo', 'config'), or None for the defaults.
        overrides: nested (``{"stdp": {"lr_plus": 0.004}}``), flat or dotted (``{"stdp.lr_plus": 0.004}``).
        paper: 'igarss2023' or 'kheradpisheh2018'.
        told: what errors call overrides, by dotted key, such as the option of a command; others "overrides: KEY".

    Raises:
        InputError: no such file, not YAML, or a key, type or value that is not allowed.
    """
    stack = Stack()
    if source is not None:
        stack.add(read(source), str(source))
    if paper is not None:
        stack.add(read_paper(paper), paper)
    if overrides:
        stack.add(overrides, "overrides", told)
    return Config.checked(stack.content, str(source or "defaults"), stack.origins)


def from_dict(content: Mapping[str, Any], origin: str) -> Config:
    """A configuration from a nested dictionary, such as `to_dict` gives; `origin` names it in errors."""
    return Config.checked(content, origin)


@overload
def merge_configs(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]: ...


@overload
def merge_configs(base: Config, override: Mapping[str, Any] | Config) -> Config: ...


@overload
def merge_configs(base: Mapping[str, Any], override: Config) -> Config: ...


def merge_configs(base: Mapping[str, Any] | Config, override: Mapping[str, Any] | Config) -> dict[str, Any] | Config:
    """`override` over `base`, section by section; lists are replaced. Neither argument is changed.

    Args:
        base: a nested dictionary, or a configuration.
        override: likewise; over a configuration also with dotted keys. A configuration has all keys, so that of it nothing is
            left of the base.

    Returns:
        a dictionary of two dictionaries; a configuration where one of them is one.

    Raises:
        InputError: a key, type or value that is not allowed in a configuration.
    """
    if isinstance(override, Config):
        return override
    if isinstance(base, Config):
        return from_dict(merged(to_dict(base), undotted(override, "overrides")), "overrides")
    return merged(base, override)


def to_dict(config: Config) -> dict[str, Any]:
    """Plain numbers, strings, lists and dictionaries, fit for YAML and JSON."""
    return {name: _plain(value) for name, value in section_dict(config).items()}


def dump(config: Config) -> str:
    """The resolved configuration as YAML; `load_config` reads it back to an equal one."""
    import yaml

    return yaml.safe_dump(to_dict(config), sort_keys=False)


def parse_overrides(pairs: Iterable[str]) -> dict[str, Any]:
    """``["stdp.lr_plus=0.004"]`` -> ``{"stdp.lr_plus": 0.004}``; values are read as YAML.

    Raises InputError for a pair without '=' or a value that is not YAML."""
    overrides: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise InputError(f"--set {pair!r}: must be KEY=VALUE, such as stdp.lr_plus=0.004")
        overrides[name.strip()] = parse_yaml(value, f"--set {name.strip()}")
    return overrides


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value.value if isinstance(value, Enum) else value
