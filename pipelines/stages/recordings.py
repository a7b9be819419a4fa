"""Recordings that a command is given on its command line: which they are, how they are read, and what they are as ingredients."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from spikeseg.config import section_dict
from spikeseg.errors import InputError

from .prepare import PROBE_SIZE, layout_key

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.datasets.folders import Source
    from spikeseg.data.recording import Recording

log = logging.getLogger(__name__)


def given(recordings: Sequence[str]) -> list[Source]:
    """The recordings that paths stand for; see `spikeseg.data.datasets.folders.sources`. No network is needed for this, so a
    command asks for it first.

    Raises InputError: a path that is not there, or a folder without files."""
    from spikeseg.data.datasets.folders import sources

    return sources(recordings)


def settings_of(cfg: Config) -> dict[str, Any]:
    """Of the ingredients of a stage that reads recordings: how they are read and framed.

    Raises InputError for transforms that suit no recording, which is not to be taken for a fault of each."""
    from spikeseg.data.transforms import build
    from spikeseg.data.windows import frame_spec

    build(list(cfg.data.transforms), PROBE_SIZE)
    return {
        "frames": section_dict(frame_spec(cfg.data)),
        "transforms": cfg.data.transforms,
        "lenient": cfg.data.lenient,
        **layout_key(cfg),
    }


def fingerprints(sources: Iterable[Source]) -> tuple[dict[str, str], dict[str, str]]:
    """The fingerprint of each recording's file, by the recording's name; and why there is none, where it cannot be read."""
    from spikeseg.data.datasets import fingerprint

    of_file: dict[str, str] = {}
    found, refused = {}, {}
    for path, name, error in sources:
        try:
            if error:
                raise InputError(error)
            if path.file not in of_file:
                of_file[path.file] = fingerprint(path.file)
            found[name] = of_file[path.file]
        except InputError as why:
            refused[name] = str(why)
    return found, refused


def pass_over(skipped: Mapping[str, str], total: int) -> None:
    """Say which of so many recordings cannot be read, and why. Raises InputError where none can."""
    for name, reason in skipped.items() if total > 1 else ():
        log.warning("skipped %s: %s", name, reason)
    if len(skipped) == total:
        first = next(iter(skipped.values()))
        raise InputError(first if total == 1 else f"none of the {total} recordings can be read; {first}")


def read_source(cfg: Config, source: Source) -> Recording:
    """A recording as the configuration reads it, under the name that it has among the others.

    Raises InputError: see ``readers.read``."""
    from spikeseg.data.readers import Layout, read

    path = source.path if cfg.data.dask is None else source.path._replace(file=os.path.abspath(source.path.file))
    recording = read(str(path), lenient=cfg.data.lenient, layout=Layout.of(cfg.data))
    return dataclasses.replace(recording, name=source.name)
