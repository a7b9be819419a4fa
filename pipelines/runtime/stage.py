"""Stages on disk, each finished or absent.

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

from spikeseg.core.files import fsync_folder, make_folder, writing
from spikeseg.core.names import MANIFEST, MANIFEST_BESIDE
from spikeseg.errors import InputError

from .files import fsync_tree, sha256_file
from .manifest import Ingredients, damaged, finished, list_outputs, read_manifest, write_manifest
from .remote import send

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageResult:
    """A finished stage: its folder, its key, and whether this call ran it (False: it was up to date)."""

    path: Path
    key: str
    ran: bool


Build = Callable[[Path], Mapping[str, Any]]
"""Writes a stage's files into the folder it is given; returns further entries for the manifest."""


def run_stage(root: Path, ingredients: Ingredients, build: Build, force: bool = False) -> StageResult:
    """Make ``root/<key>``, unless it is there already.

    Whatever stops it (an error, an interruption), nothing is left behind. One process at a time builds a key; others wait and
    take its result.

    Args:
        root: folder of this stage's artefacts (``data_cache/frames``).
        ingredients: what the artefact is made from; they give the key.
        build: makes it.
        force: build again and replace what is there.

    Raises:
        InputError: root cannot be written. And whatever build raises.
    """
    key = ingredients.key
    folder = Path(root) / key
    if not force and finished(folder):
        return StageResult(folder, key, ran=False)
    make_folder(folder.parent)
    with locked(folder):
        if not force and finished(folder):
            return StageResult(folder, key, ran=False)
        remove_stale(folder.parent, locked_key=key)
        with _partial_folder(folder.parent, key) as partial:
            started = time.monotonic()
            extra = build(partial)
            fsync_tree(partial)
            write_manifest(partial / MANIFEST, ingredients, list_outputs(partial), time.monotonic() - started, extra)
            with writing(folder):
                _replace(partial, folder)
            send(folder)
    return StageResult(folder, key, ran=True)


def run_in_folder(out: Path, ingredients: Ingredients, build: Build, force: bool = False) -> StageResult:
    """As `run_stage`, but into a folder of the user's, beside whatever else it holds; the manifest is ``<stage>.manifest.json``.

    Files appear once all of them are written. Those of an earlier run of the stage are replaced; any other file is not.

    Args:
        out: the folder.
        ingredients: what the files are made from.
        build: makes them.
        force: build again, and replace files of the same names that the stage did not write.

    Raises:
        InputError: out cannot be written, or, without force, a file of that name is there that the stage did not write and
            that differs. And whatever build raises.
    """
    key, path = ingredients.key, out / MANIFEST_BESIDE.format(ingredients.stage)
    if not force and done_in_folder(out, ingredients):
        return StageResult(out, key, ran=False)
    with _partial_folder(make_folder(out), ingredients.stage) as partial:
        started = time.monotonic()
        extra = build(partial)
        outputs = list_outputs(partial)
        written_before = _outputs(path)
        if written_before:  # and if not, a thousand manifests of other recordings are not read for each of them
            others = [other for other in out.glob(MANIFEST_BESIDE.format("*")) if other != path]
            written_before = written_before.difference(*map(_outputs, others))
        for name, output in outputs.items():
            if (out / name).exists() and name not in written_before and not force and not _same(out / name, output):
                raise InputError(f"{out / name}: is there already, from elsewhere; give another folder, or --force to replace it")
        with writing(out):
            for name in written_before - set(outputs):
                (out / name).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            for name in outputs:
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(partial / name, out / name)
        write_manifest(path, ingredients, outputs, time.monotonic() - started, extra)
    return StageResult(out, key, ran=True)


def done_in_folder(out: Path, ingredients: Ingredients) -> bool:
    """Whether `run_in_folder` has nothing to do."""
    before = read_manifest(out / MANIFEST_BESIDE.format(ingredients.stage))
    return bool(before and before["key"] == ingredients.key and not damaged(before, out))


def _outputs(manifest: Path) -> set[str]:
    """Names of the files that a manifest lists; none without a manifest."""
    return set((read_manifest(manifest) or {"outputs": ()})["outputs"])


def _same(path: Path, output: Mapping[str, Any]) -> bool:
    """Whether a file is the one that `describe_file` described."""
    return path.stat().st_size == output["bytes"] and sha256_file(path) == output["sha256"]


@contextlib.contextmanager
def _partial_folder(parent: Path, name: str) -> Iterator[Path]:
    """An empty folder in parent to write into, removed at the end unless it was renamed."""
    partial = parent / f".{name}.partial-{os.getpid()}"
    try:
        with writing(parent):
            partial.mkdir()
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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


def remove_stale(root: Path, locked_key: str | None = None) -> None:
    """Remove partial folders in root that no living process is writing.

    Those of ``locked_key`` are stale because the caller holds its lock; those of another key if its lock is free."""
    for partial in root.glob(".*.partial-*"):
        key = partial.name[1:].partition(".")[0]
        if key == locked_key:
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
