"""Stage `watch`: `detect`, again and again, in whatever is complete of what arrives in a folder.

It keeps no books: what is done is what the manifests of `detect` say, so it goes on after any end, and the tables are those that
`detect` writes of the same recordings. A file is taken once it has not changed from one look to the next. That saves work, and no
more depends on it: what is made of a recording is kept with the fingerprint that its file had before it was read, so one that
goes on growing is done again.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spikeseg.core import interrupts
from spikeseg.core.dry_run import is_dry
from spikeseg.core.names import MANIFEST_BESIDE
from spikeseg.core.text import many
from spikeseg.data.datasets.folders import Found, files_below, sources_of, without_ours
from spikeseg.errors import InputError

from ..runtime.manifest import plain, read_manifest, versions
from .detect import STAGE, VERSION, Job, Place, finish, parts_of, put_together, ready
from .runs import SavedNetwork

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.datasets.folders import Source
    from spikeseg.detection.result import Detections
    from spikeseg.sky.request import SkyRequest

log = logging.getLogger(__name__)

SHARE = 10
"""While many wait, the tables are put together each time that one recording in so many has been added."""

State = tuple[int, ...] | str
"""Device, inode, size (bytes) and time of the last change (ns) of a file, whatever it is called; or why it cannot be opened."""


def watch(
    cfg: Config,
    network: SavedNetwork,
    folder: Path,
    output: Path,
    *,
    every_s: float,
    once: bool = False,
    plot: str | None = None,
    sky: SkyRequest | None = None,
) -> None:
    """Detect in what is complete below a folder, and go on as more arrives.

    Args:
        cfg: how to frame and track; of the network it must have the shape.
        network: the checkpoint.
        folder: what arrives there; see `spikeseg.data.datasets.folders`.
        output: takes what `detect` would write, and is not looked into for recordings.
        every_s: from one look to the next, s.
        once: end after the second look, which is the first to tell what is complete.
        plot: see `detect`.
        sky: see `detect`.

    Raises:
        InputError: see `check_folders` and `detect`; not for a recording.
        KeyboardInterrupt: an interrupt came."""
    check_folders(folder, output)
    standing, looks = Standing(cfg, network, output, plot=plot, sky=sky), Looks(folder, output)
    files: dict[Found, State] = {}
    ran = False
    looks.complete()
    while True:
        if not is_dry():
            _wait(every_s)
        before, files = files, looks.complete()
        if files and (
            files != before or ran
        ):  # once more after work: what had changed when it was taken shows by its fingerprint
            ran = standing.work(sources_of(files))
        if once or is_dry():
            return


def check_folders(folder: Path, output: Path) -> None:
    """Raises InputError: there is no such folder, or it lies in the one that is written to."""
    if not folder.is_dir():
        raise InputError(
            f"{folder}: {'is a file; name the folder in which recordings arrive' if folder.exists() else 'no such folder'}"
        )
    if folder.resolve().is_relative_to(output.resolve()):
        raise InputError(f"--output {output}: recordings arrive in {folder}; name a folder of its own for what is found")


class Looks:
    """What lies below a folder, from one look to the next."""

    def __init__(self, folder: Path, output: Path) -> None:
        """output: a folder that is passed over, wherever it lies."""
        self._folder = folder
        self._output = folder / os.path.relpath(output.resolve(), folder.resolve())
        self._seen: set[State] = set()
        self._gone = False

    def complete(self) -> dict[Found, State]:
        """The files that are as they were at the last look, if under another name: nobody seems to write them any more. And what
        cannot be opened."""
        states = dict(self._states())
        complete = {found: state for found, state in states.items() if found.error or state in self._seen}
        self._seen = set(states.values())
        return complete

    def _states(self) -> Iterator[tuple[Found, State]]:
        gone = not self._folder.is_dir()  # a disk may be unplugged for a while
        if gone and not self._gone:
            log.warning("%s: is not there any more; waiting for it", self._folder)
        self._gone = gone
        below = () if gone else files_below(self._folder)
        for found in without_ours(found for found in below if not found.path.is_relative_to(self._output)):
            interrupts.check()
            if found.error:
                yield found, found.error
                continue
            try:
                told = os.stat(found.path)
            except OSError:  # gone again
                continue
            yield found, (told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns)


class Standing:
    """A network that stands ready for what comes, and a folder of the user's that takes what it detects.

    The folder's manifests are its whole state: of each recording that is done its own; of those that cannot be read, with reason
    and fingerprint, that of the tables. An error of the program's own over a recording counts as one that cannot be read."""

    def __init__(
        self, cfg: Config, network: SavedNetwork, output: Path, *, plot: str | None = None, sky: SkyRequest | None = None
    ) -> None:
        """See `stages.detect.detect`."""
        self._job = dataclasses.replace(ready(cfg, network, plot, sky), tolerated=(Exception,))
        self._place = Place(output, True)
        self._told, self._unread = _passed_over(self._job, output)
        if not is_dry():
            _ = self._job.model  # a checkpoint that does not serve is said now, and one that is trained anew changes nothing
        if self._told:
            log.info(
                "%d recordings could not be read before and are passed over until they change; spikeseg detect tries them again",
                len(self._told),
            )

    def work(self, recordings: Sequence[Source]) -> bool:
        """Do what is not done of these recordings, and put together the tables of those that are: before it, after it, and in
        between (see SHARE). -> whether anything was done.

        Raises InputError: the folder cannot be written, or holds tables from elsewhere."""
        job, place = self._job, self._place
        parts, unread = parts_of(job, place, recordings)
        with place.writer(""):
            place.refuse_strangers()
            done = {part.source.name for part in parts if place.is_done(part)}
            todo = [part for part in parts if part.source.name not in done]
            for part in todo:
                if (part.source.name, part.content) in self._unread:
                    unread[part.source.name] = self._unread[part.source.name, part.content]
            todo = [part for part in todo if part.source.name not in unread]
            ran = False
            while True:
                self._tell(unread, done)
                skipped = {source.name: unread[source.name] for source in recordings if source.name in unread}
                known = [part for part in parts if part.source.name in done or part.source.name in unread]
                ran |= bool(done) and put_together(job, place, known, skipped, False)[0].ran
                if not todo:
                    return ran
                batch = todo[: max(1, job.cfg.data.num_workers, len(done) // SHARE)]
                del todo[: len(batch)]
                failed, _ = finish(job, place, batch, False, _say)
                for part in batch:
                    if part.source.name in failed:
                        self._unread[part.source.name, part.content] = failed[part.source.name]
                    else:
                        done.add(part.source.name)
                unread |= failed
                ran = True

    def _tell(self, unread: Mapping[str, str], done: Iterable[str]) -> None:
        """Name each recording that cannot be read, once for each reason until it is done."""
        for name in done:
            self._told.pop(name, None)
        for name, reason in unread.items():
            if self._told.get(name) != reason:
                log.warning("skipped %s: %s", name, reason)
            self._told[name] = reason


def _passed_over(job: Job, output: Path) -> tuple[dict[str, str], dict[tuple[str, str], str]]:
    """What the manifest of the tables says of recordings that could not be read in the same way by the same program.

    Returns:
        why, by name; and by name and fingerprint, where there is one."""
    manifest, shared = read_manifest(output / MANIFEST_BESIDE.format(STAGE)), job.shared
    if manifest is None or manifest["version"] != VERSION or manifest["versions"] != versions():
        return {}, {}
    same = plain({**shared.config, **shared.inputs})
    written = {**manifest["config"], **manifest["inputs"]}
    if any(written.get(name) != same[name] for name in same):
        return {}, {}
    skipped: dict[str, str] = manifest["skipped"]
    return dict(skipped), {(name, manifest["inputs"][name]): skipped[name] for name in skipped if name in manifest["inputs"]}


def _say(detections: Detections) -> None:
    """A line for a recording that is done."""
    log.info("%s: %s", detections.recording, many(len(detections.objects), "object"))


def _wait(seconds: float) -> None:
    """Wait; an interrupt ends it at once."""
    with interrupts.at_once():
        time.sleep(seconds)
