"""Loading, merging and checking configurations.

Values come, later over earlier, from: the defaults of `spikeseg.config.sections`, a YAML file, a paper's preset, overrides. A
wrong key, type or value is one line that names the file, the key, what was found and what is allowed.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
import warnings
from collections.abc import Iterable, Mapping
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from spikeseg.errors import InputError

from .sections import Config

PAPERS = ("igarss2023", "kheradpisheh2018")


def load_config(source: str | Path | None = None, overrides: Mapping[str, Any] | None = None, paper: str | None = None) -> Config:
    """The configuration of a file with a preset and overrides on top.

    Args:
        source: path of a YAML file, name of a built-in configuration ('demo', 'config'), or None for the defaults.
        overrides: nested (``{"stdp": {"lr_plus": 0.004}}``), flat or dotted (``{"stdp.lr_plus": 0.004}``).
        paper: 'igarss2023' or 'kheradpisheh2018'.

    Raises:
        InputError: no such file, not YAML, or a key, type or value that is not allowed.
    """
    content: dict[str, Any] = {}
    sources: dict[str, str] = {}

    def add(values: Mapping[str, Any], origin: str) -> None:
        nonlocal content
        values = _undotted(values, origin)
        sources.update(dict.fromkeys(_names(values), origin))
        content = merge_configs(content, values)

    if source is not None:
        add(*_read(source))
    if paper is not None:
        if paper not in PAPERS:
            raise InputError(f"paper: {paper!r}, must be one of {', '.join(PAPERS)}")
        add(*_read(paper))
    if overrides:
        add(overrides, "overrides")
    return _build(content, sources, str(source or "defaults"))


def from_dict(content: Mapping[str, Any], origin: str) -> Config:
    """A configuration from a nested dictionary, such as `to_dict` gives; `origin` names it in errors."""
    return _build(content, {}, origin)


def merge_configs(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """`override` over `base`, section by section; lists are replaced. Neither argument is changed."""
    merged = {name: _copy(value) for name, value in base.items()}
    for name, value in override.items():
        if isinstance(value, Mapping) and isinstance(merged.get(name), dict):
            merged[name] = merge_configs(merged[name], value)
        else:
            merged[name] = _copy(value)
    return merged


def to_dict(config: Config) -> dict[str, Any]:
    """Plain numbers, strings, lists and dictionaries, fit for YAML and JSON."""
    plain = _plain(dataclasses.asdict(config))
    assert isinstance(plain, dict)
    return plain


def dump(config: Config) -> str:
    """The resolved configuration as YAML; `load_config` reads it back to an equal one."""
    return yaml.safe_dump(to_dict(config), sort_keys=False)


def parse_overrides(pairs: Iterable[str]) -> dict[str, Any]:
    """``["stdp.lr_plus=0.004"]`` -> ``{"stdp.lr_plus": 0.004}``; values are read as YAML.

    Raises InputError for a pair without '=' or a value that is not YAML."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise InputError(f"--set {pair!r}: must be KEY=VALUE, such as stdp.lr_plus=0.004")
        found[name.strip()] = _parse(value, f"--set {name.strip()}")
    return found


# -- reading -----------------------------------------------------------------------------------------


def _read(source: str | Path) -> tuple[dict[str, Any], str]:
    path = Path(source)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise InputError(f"{path}: no such configuration file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as a configuration ({error})") from None
    else:
        builtin = resources.files("spikeseg.configs") / f"{source}.yaml"
        if not builtin.is_file():
            names = sorted(p.name[:-5] for p in resources.files("spikeseg.configs").iterdir() if p.name.endswith(".yaml"))
            raise InputError(f"{source}: no such configuration; a YAML file, or one of {', '.join(names)}")
        text = builtin.read_text(encoding="utf-8")
    content = _parse(text, str(source))
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise InputError(f"{source}: holds a {type(content).__name__}, must be a mapping of keys to values")
    return content, str(source)


class _Loader(yaml.SafeLoader):
    """The safe loader, which also refuses a key that stands twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for name, _ in node.value:
            if isinstance(name, yaml.ScalarNode):
                if name.value in seen:
                    raise yaml.constructor.ConstructorError(problem=f"{name.value} stands twice", problem_mark=name.start_mark)
                seen.add(name.value)
        return super().construct_mapping(node, deep)


def _parse(text: str, origin: str) -> Any:
    """What YAML text holds; PyYAML also raises ValueError (a 13th month) and RecursionError (thousands of brackets)."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        place, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f" at line {place.line + 1}" if place else ""
        why = f" ({problem})" if problem else ""
        raise InputError(f"{origin}: not valid YAML{where}{why}") from None


def _undotted(values: Mapping[str, Any], origin: str) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in values.items():
        if not isinstance(name, str):
            raise InputError(f"{origin}: key {name!r}, must be text")
        for part in reversed(name.split(".")):
            value = {part: value}
        nested = merge_configs(nested, value)
    return nested


def _names(values: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    """The dotted names of all keys, sections included."""
    for name, value in values.items():
        yield f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _names(value, f"{prefix}{name}.")


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copy(inner) for name, inner in value.items()}
    return list(value) if isinstance(value, (list, tuple)) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value.value if isinstance(value, Enum) else value


# -- checking ----------------------------------------------------------------------------------------


class _Checker:
    """Turns nested dictionaries into sections, naming the source of what is wrong."""

    def __init__(self, sources: Mapping[str, str], origin: str) -> None:
        self.sources, self.origin = sources, origin

    def fail(self, name: str, found: Any, allowed: str) -> typing.NoReturn:
        raise InputError(f"{self.sources.get(name, self.origin)}: {name}: found {found!r}, must be {allowed}")

    def section(self, kind: type[Any], content: Any, prefix: str) -> Any:
        if not isinstance(content, Mapping):
            self.fail(prefix.rstrip("."), content, "a section of keys and values")
        hints = typing.get_type_hints(kind)
        fields = {f.name: f for f in dataclasses.fields(kind)}
        for name in content:
            if name not in fields:
                near = difflib.get_close_matches(str(name), fields, 1, 0.0)[0]
                key = f"{prefix}{name}"
                raise InputError(f"{self.sources.get(key, self.origin)}: {key}: unknown key; the nearest is {prefix}{near}")
        values = {}
        for name, value in content.items():
            if dataclasses.is_dataclass(hints[name]):
                values[name] = self.section(hints[name], value, f"{prefix}{name}.")
            else:
                values[name] = self.value(hints[name], value, f"{prefix}{name}", fields[name].metadata)
        return kind(**values)

    def value(self, hint: Any, value: Any, name: str, limits: Mapping[str, Any]) -> Any:
        args = typing.get_args(hint)
        if isinstance(hint, types.UnionType):
            return None if value is None else self.value(args[0], value, name, limits)
        if typing.get_origin(hint) is tuple:
            if not isinstance(value, (list, tuple)):
                self.fail(name, value, f"a list of {_kind(args[0])}")
            return tuple(self.value(args[0], entry, name, limits) for entry in value)
        if typing.get_origin(hint) is list:
            if not isinstance(value, list) or not all(isinstance(v, Mapping) and isinstance(v.get("name"), str) for v in value):
                self.fail(name, value, "a list of {name: ..., argument: ...}")
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
        return self.limited(value, name, limits)

    def _number(self, value: int | str, name: str) -> float:
        """A whole number, or one such as 1e-4, which YAML 1.1 reads as text."""
        try:
            return float(value)
        except (ValueError, OverflowError):
            self.fail(name, value, _kind(float))

    def limited(self, value: Any, name: str, limits: Mapping[str, Any]) -> Any:
        low, high, above, choices = (limits.get(k) for k in ("low", "high", "above", "choices"))
        if choices is not None and value not in choices:
            self.fail(name, value, f"one of {', '.join(map(str, choices))}" if len(choices) > 1 else str(choices[0]))
        if low is not None and value < low:
            self.fail(name, value, f"at least {low:.15g}")
        if above is not None and value <= above:
            self.fail(name, value, f"above {above:.15g}")
        if high is not None and value > high:
            self.fail(name, value, f"at most {high:.15g}")
        return value


def _kind(hint: Any) -> str:
    kinds: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return kinds[hint]


def _build(content: Mapping[str, Any], sources: Mapping[str, str], origin: str) -> Config:
    checker = _Checker(sources, origin)
    config: Config = checker.section(Config, content, "")
    _check_together(config, checker)
    return config


def _check_together(config: Config, checker: _Checker) -> None:
    """What no key can say alone."""
    model, stdp, wta, homeostasis = config.model, config.stdp, config.wta, config.homeostasis
    for name in ("kernel_sizes", "thresholds", "leaks"):
        if len(values := getattr(model, name)) != 3:
            checker.fail(f"model.{name}", list(values), "three values, one per layer")
    if any(size % 2 == 0 for size in model.kernel_sizes):
        checker.fail("model.kernel_sizes", list(model.kernel_sizes), "odd numbers ('same' padding)")
    for pool in ("pool1", "pool2"):
        kernel, stride = getattr(model, f"{pool}_kernel"), getattr(model, f"{pool}_stride")
        if stride > kernel:
            checker.fail(f"model.{pool}_stride", stride, f"at most model.{pool}_kernel = {kernel}, or inputs are lost")
    if model.leak_mode == "multiplicative" and max(model.leaks) > 1:
        checker.fail("model.leaks", list(model.leaks), "at most 1 with the multiplicative leak (a share lost per step)")
    if stdp.weight_min >= stdp.weight_max:
        checker.fail("stdp.weight_min", stdp.weight_min, f"below stdp.weight_max = {stdp.weight_max:g}")
    if not stdp.weight_min <= stdp.weight_init_mean <= stdp.weight_max:
        checker.fail("stdp.weight_init_mean", stdp.weight_init_mean, f"within {stdp.weight_min:g} to {stdp.weight_max:g}")
    if wta.threshold_min >= wta.threshold_max:
        checker.fail("wta.threshold_min", wta.threshold_min, f"below wta.threshold_max = {wta.threshold_max:g}")
    if homeostasis.theta_rest > homeostasis.theta_max:
        checker.fail("homeostasis.theta_rest", homeostasis.theta_rest, f"at most theta_max = {homeostasis.theta_max:g}")
    rest = homeostasis.theta_rest if homeostasis.enabled else 0.0
    for i, name in enumerate(("conv1", "conv2", "conv3")):
        if model.thresholds[i] + (rest if i else 0.0) <= 0:
            checker.fail("model.thresholds", list(model.thresholds), f"such that {name} ends above 0")
    lowest = min(model.thresholds[1:]) + rest
    if wta.enable_homeostasis and wta.threshold_min > lowest:
        warnings.warn(
            f"wta.threshold_min = {wta.threshold_min:g} exceeds the lowest threshold of a learned layer ({lowest:g}): with "
            "wta.enable_homeostasis, neurons whose potential lies between the two fire but never learn",
            stacklevel=2,
        )
