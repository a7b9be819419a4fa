"""Stages on disk that can be trusted.

A stage's folder is named by its key and appears by one rename once everything in it is written, so
a folder with a manifest is finished, and one without is not an artefact.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from spikeseg.errors import InputError

from .files import atomic_write, fsync_folder, fsync_tree, make_folder, sha256_file, writing
from .manifest import (
    MANIFEST,
    damaged,
    describe_file,
    finished,
    git_revision,
    list_outputs,
    read_manifest,
    stage_key,
    versions,
    write_manifest,
)
from .remote import send

__all__ = [
    "MANIFEST",
    "StageResult",
    "atomic_write",
    "damaged",
    "describe_file",
    "finished",
    "git_revision",
    "list_outputs",
    "make_folder",
    "read_manifest",
    "run_in_folder",
    "run_stage",
    "sha256_file",
    "stage_key",
    "versions",
    "write_manifest",
    "writing",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageResult:
    """A finished stage: its folder, its key, and whether this call ran it (False: it was up to date)."""

    path: Path
    key: str
    ran: bool


def run_stage(
    root: Path,
    stage: str,
    version: int,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    build: Callable[[Path], Mapping[str, Any]],
    force: bool = False,
) -> StageResult:
    """Make ``root/<key>``, unless it is there already, by calling ``build(partial_folder)``.

    root is the folder of this stage's artefacts (``data_cache/frames``). build writes its files into
    the folder it is given and returns extra entries for the manifest. Whatever stops it (an error, an
    interruption), nothing is left behind. One process at a time builds a key; others wait and take
    its result. force builds again and replaces.

    Raises InputError when root cannot be written, and whatever build raises."""
    key = stage_key(stage, version, config, inputs)
    folder = Path(root) / key
    if not force and finished(folder):
        return StageResult(folder, key, ran=False)
    make_folder(folder.parent)
    with locked(folder):
        if not force and finished(folder):
            return StageResult(folder, key, ran=False)
        remove_stale(folder.parent, held=key)
        partial = folder.parent / f".{key}.partial-{os.getpid()}"
        started = time.monotonic()
        try:
            with writing(folder.parent):
                partial.mkdir()
            extra = build(partial)
            fsync_tree(partial)
            write_manifest(
                partial / MANIFEST, stage=stage, version=version, config=config, inputs=inputs,
                outputs=list_outputs(partial), seconds=time.monotonic() - started, extra=extra,
            )  # fmt: skip
            with writing(folder):
                _replace(partial, folder)
            send(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return StageResult(folder, key, ran=True)


def run_in_folder(
    out: Path,
    stage: str,
    version: int,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    build: Callable[[Path], Mapping[str, Any]],
    force: bool = False,
) -> StageResult:
    """As `run_stage`, but into a folder of the user's, beside whatever else it holds; the manifest is ``<stage>.manifest.json``.

    Files appear once all of them are written. Those of an earlier run of the stage are replaced; any other file is not.

    Raises InputError when out cannot be written, or a file of that name is there that the stage did not write and that differs
    (force replaces it), and whatever build raises."""
    key, path = stage_key(stage, version, config, inputs), out / f"{stage}.manifest.json"
    before = read_manifest(path)
    if before and before["key"] == key and not damaged(before, out) and not force:
        return StageResult(out, key, ran=False)
    partial = make_folder(out) / f".{stage}.partial-{os.getpid()}"
    started = time.monotonic()
    try:
        with writing(out):
            partial.mkdir()
        extra = build(partial)
        outputs = list_outputs(partial)
        manifests = [other for other in out.glob("*.manifest.json") if other != path]
        others = set().union(*map(_outputs, manifests))
        ours = _outputs(path) - others
        for name, told in outputs.items():
            if (out / name).exists() and name not in ours and not force and not _same(out / name, told):
                raise InputError(f"{out / name}: is there already, from elsewhere; give another folder, or --force to replace it")
        with writing(out):
            for name in ours - set(outputs):
                (out / name).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            for name in outputs:
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(partial / name, out / name)
        write_manifest(
            path, stage=stage, version=version, config=config, inputs=inputs,
            outputs=outputs, seconds=time.monotonic() - started, extra=extra,
        )  # fmt: skip
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return StageResult(out, key, ran=True)


def _outputs(manifest: Path) -> set[str]:
    return set((read_manifest(manifest) or {"outputs": ()})["outputs"])


def _same(path: Path, told: Mapping[str, Any]) -> bool:
    return path.stat().st_size == told["bytes"] and sha256_file(path) == told["sha256"]


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
    fsync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)
