"""Stages on disk, each finished or absent.

A stage's folder is named by its key and appears by one rename once everything in it is written, so
a folder with a manifest is finished, and one without is not an artefact.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from spikeseg.core import interrupts
from spikeseg.core.dry_run import DryRun, is_dry
from spikeseg.core.files import atomic_write, fsync_folder, make_folder, partial_folder, remove_partials, writing
from spikeseg.core.names import MANIFEST, MANIFEST_BESIDE
from spikeseg.core.regular import fault_of
from spikeseg.errors import InputError

from .differences import stale_reason
from .files import fsync_tree, sha256_file
from .manifest import Ingredients, damaged, finished, list_outputs, read_manifest, write_manifest
from .remote import send

log = logging.getLogger(__name__)

LOOK_S = 0.2
"""How often a process that waits for another looks for an interrupt, s."""
LOCKED = "spikeseg"
"""Names the lock file inside a folder of the user's."""


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
    interrupts.check()
    key = ingredients.key
    folder = Path(root) / key
    remove_partials(folder.parent)
    if not force and finished(folder):
        log.debug("stage %s: up to date in %s", ingredients.stage, folder)
        return StageResult(folder, key, ran=False)
    refuse_if_dry(ingredients, folder, Path(root).glob(f"*/{MANIFEST}"), force)
    make_folder(folder.parent)
    with locked(folder):
        if not force and finished(folder):
            return StageResult(folder, key, ran=False)
        with partial_folder(folder.parent, key) as partial:
            started = time.monotonic()
            extra = build(partial)
            fsync_tree(partial)
            write_manifest(partial / MANIFEST, ingredients, list_outputs(partial), time.monotonic() - started, extra)
            with writing(folder):
                _replace(partial, folder)
            send(folder)
    return StageResult(folder, key, ran=True)


def copied(done: StageResult, name: str, output: Path | None) -> StageResult:
    """A finished stage whose file `name` also lies at `output`, if that is asked for; as one that ran, where it did not before.

    Raises InputError where it cannot be written."""
    if output is None:
        return done
    content = (done.path / name).read_bytes()
    if output.is_file() and output.read_bytes() == content:
        return done
    atomic_write(output, content)
    return replace(done, ran=True)


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
    interrupts.check()
    with contextlib.nullcontext() if is_dry() else one_writer(out):
        return _in_folder(out, ingredients, build, force)


def _in_folder(out: Path, ingredients: Ingredients, build: Build, force: bool) -> StageResult:
    key, path = ingredients.key, out / MANIFEST_BESIDE.format(ingredients.stage)
    remove_partials(out)
    if not force and done_in_folder(out, ingredients):
        log.debug("stage %s: up to date in %s", ingredients.stage, out)
        return StageResult(out, key, ran=False)
    refuse_if_dry(ingredients, out, [path], force)
    with partial_folder(make_folder(out), ingredients.stage) as partial:
        started = time.monotonic()
        extra = build(partial)
        outputs = list_outputs(partial)
        written_before = _outputs(path)
        if written_before:  # and if not, a thousand manifests of other recordings are not read for each of them
            others = [other for other in out.glob(MANIFEST_BESIDE.format("*")) if other != path and not fault_of(other)]
            written_before = written_before.difference(*map(_outputs, others))
        for name, output in outputs.items():
            if (out / name).exists() and name not in written_before and not force and not _same(out / name, output):
                raise InputError(f"{out / name}: is there already, from elsewhere; give another folder, or --force to replace it")
        fsync_tree(partial)
        write_manifest(partial / path.name, ingredients, outputs, time.monotonic() - started, extra)
        # The earlier manifest stays until the last moment: what it lists is this stage's, even if half replaced.
        with writing(out):
            for name in written_before - set(outputs):
                (out / name).unlink(missing_ok=True)
            for name in (*outputs, path.name):
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(partial / name, out / name)
            fsync_folder(out)
    return StageResult(out, key, ran=True)


def refuse_if_dry(ingredients: Ingredients, folder: Path, finished_ones: Iterable[Path], force: bool) -> None:
    """Raise DryRun, saying why the stage would run, where nothing may be written; else log that as a detail.

    Args:
        ingredients: of the stage.
        folder: where its files would go.
        finished_ones: manifests of the same stage's, of whatever ingredients.
        force: whether it runs in any case.
    """
    if not (is_dry() or log.isEnabledFor(logging.DEBUG)):
        return
    reason = "--force" if force else stale_reason(ingredients, finished_ones) or "not there yet"
    if is_dry():
        raise DryRun(f"run the stage {ingredients.stage} into {folder} ({reason}), and what follows from it")
    log.debug("stage %s: runs into %s (%s)", ingredients.stage, folder, reason)


def done_in_folder(out: Path, ingredients: Ingredients) -> bool:
    """Whether `run_in_folder` has nothing to do; what is damaged is logged as a warning."""
    before = read_manifest(out / MANIFEST_BESIDE.format(ingredients.stage))
    if before is None or before["key"] != ingredients.key:
        return False
    fault = damaged(before, out)
    if fault:
        log.warning("%s is damaged (%s) and does not count as finished", out, fault)
    return not fault


def _outputs(manifest: Path) -> set[str]:
    """Names of the files that a manifest lists; none without a manifest."""
    return set((read_manifest(manifest) or {"outputs": ()})["outputs"])


def _same(path: Path, output: Mapping[str, Any]) -> bool:
    """Whether a file is the one that `describe_file` described."""
    return path.stat().st_size == output["bytes"] and sha256_file(path) == output["sha256"]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the one writer's lock of folder (the file ``.<name>.lock`` beside it), waiting for it if need be.

    Folders that are made for it are removed if an exception leaves them empty.

    Raises:
        InputError: the lock cannot be made.
        KeyboardInterrupt: an interrupt came while waiting.
        DryRun: nothing may be written."""
    if is_dry():
        raise DryRun(f"write {folder}")
    path = folder.parent / f".{folder.name}.lock"
    lock = FileLock(path)
    with _none_left_empty(folder.parent):
        _acquire(lock, folder)
        try:
            yield
        finally:
            _release(lock, path)


@contextlib.contextmanager
def _none_left_empty(folder: Path) -> Iterator[None]:
    """If the block ends with an exception, remove the folder, and those above it, that were not there before and are empty."""
    made = list(itertools.takewhile(lambda above: not above.exists(), [folder, *folder.parents]))
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for empty in made:
                empty.rmdir()
        raise


def _acquire(lock: BaseFileLock, folder: Path) -> None:
    waits = False
    while not lock.is_locked:
        interrupts.check()
        with writing(folder.parent):
            try:
                lock.acquire(timeout=LOOK_S if waits else 0)
            except Timeout:
                if not waits:
                    log.info("another process is writing %s; waiting for it", folder)
                waits = True
            except FileNotFoundError:  # whoever made the folder has failed, and removed it
                if folder.parent.is_dir():
                    raise
                folder.parent.mkdir(parents=True, exist_ok=True)


def _release(lock: BaseFileLock, path: Path) -> None:
    """Release a lock and leave no file; whoever waits for the removed one notices, and makes its own."""
    with contextlib.suppress(OSError):
        path.unlink()
    lock.release()


class _Held(threading.local):
    """The folders that this thread is the one writer of."""

    def __init__(self) -> None:
        self.folders: set[Path] = set()


_held = _Held()


@contextlib.contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Be the one process that writes into a folder of the user's, such as a run's; others wait, and find what was written.

    The folder is made, with those above it, and removed if an exception leaves it empty.
    Within such a block of the same folder it changes nothing.
    Raises as `locked`."""
    with _none_left_empty(Path(folder)):
        path = make_folder(Path(folder)).resolve()
        if path in _held.folders:
            yield
            return
        with locked(path / LOCKED):
            _held.folders.add(path)
            try:
                yield
            finally:
                _held.folders.remove(path)


def _replace(partial: Path, folder: Path) -> None:
    """Rename partial to folder, moving one that stands there out of the way first."""
    with partial_folder(folder.parent, f"{folder.name}.old") as aside:
        earlier = aside / folder.name
        if folder.exists():
            os.rename(folder, earlier)
        try:
            os.rename(partial, folder)
        except OSError:
            if earlier.exists():
                os.rename(earlier, folder)
            raise
        fsync_folder(folder.parent)
