"""Stages on disk that can be trusted: keys, manifests, locks and writes that happen whole or not at all.

A stage's folder is named by its key and appears by one rename once everything in it is written, so
a folder with a manifest is finished, and one without is not an artefact.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import logging
import math
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from spikeseg.errors import InputError

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
KEY_DIGITS = 16
"""Hexadecimal digits of a key: 64 bits of SHA-256, so a million keys collide with probability 3e-8."""

PACKAGES = ("spikeseg", "numpy", "torch", "norse", "tonic", "zarr", "numba", "scipy", "h5py")
"""The packages whose versions can change what a stage computes."""


@dataclass(frozen=True)
class Done:
    """A finished stage: its folder, its key, and whether this call ran it (False: it was up to date)."""

    path: Path
    key: str
    ran: bool


# -- keys ------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """The value as JSON knows it: enums by value, paths and keys as text, tuples as lists.

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


def stage_key(stage: str, version: int, config: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """The key of a stage: KEY_DIGITS of SHA-256 over the canonical JSON of its ingredients.

    config holds the configuration values the stage reads, inputs the keys of earlier stages and the
    fingerprints of raw files, by name. The order of either does not matter."""
    text = json.dumps(_ingredients(stage, version, config, inputs), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def _ingredients(stage: str, version: int, config: Mapping[str, Any], inputs: Mapping[str, str]) -> dict[str, Any]:
    return {"stage": stage, "version": version, "config": plain(config), "inputs": plain(inputs)}


# -- files -----------------------------------------------------------------------------------------


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write at path into a one-line InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}; choose a folder you can write to"
        ) from error


def make_folder(path: Path) -> Path:
    """path as an existing folder; InputError when it cannot be made."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def atomic_write(path: Path, content: bytes | str | Callable[[BinaryIO], Any]) -> Path:
    """Write a whole file or nothing: temporary file beside it, fsync, rename.

    content is the bytes, the text (UTF-8), or a function that writes into the open binary file
    (``lambda f: torch.save(state, f)``). Raises InputError when path cannot be written."""
    path = Path(path)
    make_folder(path.parent)
    partial = path.parent / f".{path.name}.partial-{os.getpid()}"
    try:
        with writing(path):
            with open(partial, "wb") as file:
                if callable(content):
                    content(file)
                else:
                    file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
            _fsync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _fsync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fsync_tree(root: Path) -> None:
    for folder, _, files in os.walk(root):
        for name in files:
            with open(Path(folder) / name, "rb") as file:
                os.fsync(file.fileno())
        _fsync_folder(Path(folder))


# -- manifests -------------------------------------------------------------------------------------


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter, read without importing them."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def git_revision() -> str | None:
    """The commit of the checkout this file is tracked in ("-dirty" when changed), or None."""
    here = Path(__file__).resolve()
    tracked = ["git", "ls-files", "--error-unmatch", here.name]
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        for command in (tracked, describe):
            done = subprocess.run(command, cwd=here.parent, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def list_outputs(root: Path) -> dict[str, dict[str, Any]]:
    """Every file below root but the manifest: relative path -> its SHA-256 and its size in bytes."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and p != root / MANIFEST)
    return {p.relative_to(root).as_posix(): describe_file(p) for p in files}


def describe_file(path: Path) -> dict[str, Any]:
    """SHA-256 and size in bytes of one file, as a manifest lists it."""
    return {"sha256": sha256_file(path), "bytes": path.stat().st_size}


def write_manifest(
    path: Path,
    *,
    stage: str,
    version: int,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    outputs: Mapping[str, Mapping[str, Any]],
    seconds: float,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write one stage's manifest (atomically) and return it.

    outputs maps paths relative to the manifest's folder to ``describe_file``; seconds is wall time;
    extra adds entries (seed, device, counts) and may not replace one of the fixed ones."""
    manifest: dict[str, Any] = {
        "key": stage_key(stage, version, config, inputs),
        **_ingredients(stage, version, config, inputs),
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
    atomic_write(path, json.dumps(manifest, indent=2) + "\n")
    return manifest


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest at path, or None when there is none; InputError when it is damaged."""
    try:
        manifest = json.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path}: not a manifest ({error}); delete its folder and run the stage again") from error
    if not isinstance(manifest, dict) or "key" not in manifest or "outputs" not in manifest:
        raise InputError(f"{path}: not a manifest (no key and outputs); delete its folder and run the stage again")
    return manifest


def damaged(manifest: Mapping[str, Any], root: Path) -> str | None:
    """The first output that is missing below root or has another size than recorded, or None."""
    for name, told in manifest["outputs"].items():
        try:
            size = (root / name).stat().st_size
        except OSError:
            return f"{name} is missing"
        if size != told["bytes"]:
            return f"{name} has {size} bytes, not {told['bytes']}"
    return None


def finished(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished, complete stage folder, or None; says so when one is damaged."""
    manifest = read_manifest(folder / MANIFEST)
    fault = damaged(manifest, folder) if manifest else None
    if fault:
        log.warning("%s is damaged (%s) and does not count as finished", folder, fault)
        return None
    return manifest


# -- stages ----------------------------------------------------------------------------------------


def run_stage(
    root: Path,
    stage: str,
    version: int,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    build: Callable[[Path], Mapping[str, Any]],
    force: bool = False,
) -> Done:
    """Make ``root/<key>``, unless it is there already, by calling ``build(partial_folder)``.

    root is the folder of this stage's artefacts (``data_cache/frames``). build writes its files into
    the folder it is given and returns extra entries for the manifest. Whatever stops it (an error, an
    interruption), nothing is left behind. One process at a time builds a key; others wait and take
    its result. force builds again and replaces.

    Raises InputError when root cannot be written, and whatever build raises."""
    key = stage_key(stage, version, config, inputs)
    folder = Path(root) / key
    if not force and finished(folder):
        return Done(folder, key, ran=False)
    make_folder(folder.parent)
    with locked(folder):
        if not force and finished(folder):
            return Done(folder, key, ran=False)
        remove_stale(folder.parent, held=key)
        partial = folder.parent / f".{key}.partial-{os.getpid()}"
        started = time.monotonic()
        try:
            with writing(folder.parent):
                partial.mkdir()
            extra = build(partial)
            _fsync_tree(partial)
            write_manifest(
                partial / MANIFEST, stage=stage, version=version, config=config, inputs=inputs,
                outputs=list_outputs(partial), seconds=time.monotonic() - started, extra=extra,
            )  # fmt: skip
            with writing(folder):
                _replace(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return Done(folder, key, ran=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the one writer's lock of folder (the file ``.<name>.lock`` beside it), waiting for it if need be."""
    lock = FileLock(folder.parent / f".{folder.name}.lock")
    with writing(folder.parent):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("another process is writing %s; waiting for it", folder)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def remove_stale(root: Path, held: str) -> None:
    """Remove partial folders in root that no living process is writing.

    Those of the key ``held`` are stale because the caller holds its lock; those of another key if its
    lock is free."""
    for partial in root.glob(".*.partial-*"):
        key = partial.name[1:].partition(".")[0]
        if key == held:
            shutil.rmtree(partial, ignore_errors=True)
            continue
        lock = FileLock(root / f".{key}.lock")
        with contextlib.suppress(Timeout), lock.acquire(timeout=0):
            shutil.rmtree(partial, ignore_errors=True)


def _replace(partial: Path, folder: Path) -> None:
    """Rename partial to folder, moving one that stands there out of the way first."""
    old = folder.parent / f".{folder.name}.partial-{os.getpid()}-old"
    if folder.exists():
        os.rename(folder, old)
    os.rename(partial, folder)
    _fsync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)
