"""Keys, which name the output of a stage by its ingredients, and manifests, which record what was made and how."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import logging
import math
import os
import platform
import subprocess
from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from spikeseg.core.digests import is_intact, manifest_digest
from spikeseg.core.files import atomic_write
from spikeseg.core.names import MANIFEST
from spikeseg.core.regular import require_regular
from spikeseg.errors import InputError

from .files import sha256_file
from .remote import fetch

log = logging.getLogger(__name__)

KEY_DIGITS = 16
"""Hexadecimal digits of a key: 64 bits of SHA-256, so a million keys collide with probability 3e-8."""

BESIDE = "beside"
"""Entry of a manifest for files that a stage leaves besides its outputs and that need not stay: path -> `describe_file`."""

PACKAGES = ("spikeseg", "numpy", "torch", "norse", "tonic", "zarr", "numba", "scipy", "h5py")
"""The packages whose versions can change what a stage computes."""


def plain(value: Any) -> Any:
    """The value in JSON's types: enums by value, paths and keys as text, tuples as lists.

    Raises TypeError for what has no canonical JSON form (an array, a set, a nan)."""
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise TypeError(f"{value!r} ({type(value).__name__}) cannot be part of a stage's key")


class Ingredients(NamedTuple):
    """What a stage's output is made from. Equal ingredients give equal output.

    Attributes:
        stage: the stage's name.
        version: of its code; raised when the meaning of the output changes.
        config: the configuration values that the stage reads.
        inputs: keys of earlier stages and fingerprints of raw files, by name.
    """

    stage: str
    version: int
    config: Mapping[str, Any]
    inputs: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """The ingredients in JSON's types. Raises TypeError for what has no canonical form."""
        return {"stage": self.stage, "version": self.version, "config": plain(self.config), "inputs": plain(self.inputs)}

    @property
    def key(self) -> str:
        """KEY_DIGITS of SHA-256 over the canonical JSON; the order of config and inputs does not matter."""
        text = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter, read without importing them."""
    version_of = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            version_of[name] = importlib.metadata.version(name)
    return version_of


def git_revision() -> str | None:
    """The commit of the checkout this file is tracked in ("-dirty" when changed), or None."""
    here = Path(__file__).resolve()
    tracked = ["git", "ls-files", "--error-unmatch", here.name]
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        for command in (tracked, describe):
            completed = subprocess.run(command, cwd=here.parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return completed.stdout.strip() or None


def list_outputs(root: Path) -> dict[str, dict[str, Any]]:
    """Every file below root but the manifest: relative path -> its SHA-256 and its size in bytes."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and p != root / MANIFEST)
    return {p.relative_to(root).as_posix(): describe_file(p) for p in files}


def describe_file(path: Path) -> dict[str, Any]:
    """SHA-256 and size in bytes of one file, as a manifest lists it."""
    return {"sha256": sha256_file(path), "bytes": path.stat().st_size}


def write_manifest(
    path: Path,
    ingredients: Ingredients,
    outputs: Mapping[str, Mapping[str, Any]],
    seconds: float,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a stage's manifest, whole or not at all.

    Args:
        path: of the manifest.
        ingredients: what the outputs were made from.
        outputs: path relative to the manifest's folder -> `describe_file`.
        seconds: wall time, s.
        extra: further entries (seed, device, counts).

    Returns:
        the manifest.

    Raises:
        ValueError: an entry of extra has the name of one that every manifest has.
    """
    manifest: dict[str, Any] = {
        "key": ingredients.key,
        **ingredients.as_json(),
        "outputs": plain(outputs),
        "versions": versions(),
        "git_revision": git_revision(),
        "platform": platform.platform(),
        "seconds": round(seconds, 3),
    }
    for name, value in (extra or {}).items():
        if name in manifest:
            raise ValueError(f"{name!r} is an entry of every manifest and cannot be replaced")
        manifest[name] = plain(value)
    manifest["sha256"] = manifest_digest(manifest)
    atomic_write(path, as_text(manifest))
    return manifest


def as_text(manifest: Mapping[str, Any]) -> str:
    """The content of a manifest's file."""
    return json.dumps(manifest, indent=2) + "\n"


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest at path, or None when there is none, or one that is not as it was written, which is logged as a warning.

    Raises InputError when it cannot be read."""
    if os.path.exists(path):
        require_regular(path)
    try:
        content = Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return parsed_manifest(content)
    except ValueError as error:
        log.warning("%s: damaged (%s) and does not count; the stage that wrote it has to be run again", path, error)
        return None


def parsed_manifest(content: bytes) -> dict[str, Any]:
    """The manifest in a file's content. Raises ValueError unless it is, byte for byte, as it was written."""
    manifest: Any = json.loads(content)
    entries = {"key", "outputs", "sha256", *Ingredients._fields}
    if not isinstance(manifest, dict) or entries - set(manifest):
        raise ValueError("entries are missing")
    if manifest["sha256"] != manifest_digest(manifest) or content != as_text(manifest).encode():
        raise ValueError("its checksum does not match")
    return manifest


def damaged(manifest: Mapping[str, Any], root: Path) -> str | None:
    """The first output that is missing below root or not as it was written, or None; see `fault_of`."""
    faults = (fault_of(root / name, name, recorded) for name, recorded in manifest["outputs"].items())
    return next(filter(None, faults), None)


def describe_beside(root: Path, paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """The entry BESIDE of a manifest in root, for those of the paths that are there."""
    return {path.relative_to(root).as_posix(): describe_file(path) for path in paths if path.is_file()}


def damaged_beside(manifest: Mapping[str, Any], root: Path, rewritten: Collection[str] = ()) -> str | None:
    """As `damaged`, of the files that a stage leaves besides its outputs; those that are gone do not count, nor those that a
    later stage has rewritten."""
    there = {name: told for name, told in manifest.get(BESIDE, {}).items() if name not in rewritten and (root / name).is_file()}
    return damaged({"outputs": there}, root)


def fault_of(path: Path, name: str, recorded: Mapping[str, Any]) -> str | None:
    """How a file differs from what `describe_file` recorded of it, or None. Its SHA-256 is taken where it has changed since it
    was last taken (see `spikeseg.core.digests`)."""
    try:
        size = path.stat().st_size
        if size != recorded["bytes"]:
            return f"{name} has {size} bytes, not {recorded['bytes']}"
        return None if is_intact(path, recorded["sha256"]) else f"{name} is not as it was written"
    except (FileNotFoundError, NotADirectoryError):
        return f"{name} is missing"
    except OSError as error:
        return f"{name} cannot be read: {(error.strerror or str(error)).lower()}"


def finished(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished stage folder with all of its files, or None; a damaged one is logged as a warning.

    A folder that belongs to a URL, and is finished there, is fetched first."""
    if not folder.exists():
        fetch(folder)
    manifest = read_manifest(folder / MANIFEST)
    fault = damaged(manifest, folder) if manifest else None
    if fault:
        log.warning("%s is damaged (%s) and does not count as finished", folder, fault)
        return None
    return manifest
