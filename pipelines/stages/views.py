"""What `detect` makes for people to look at: a page, a video and a file for rerun of each recording."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.core.files import atomic_write
from spikeseg.errors import InputError

from ..runtime.files import sha256_file

if TYPE_CHECKING:
    from spikeseg.detection.result import Detections
    from spikeseg.viewing.review import Review

PAGE, RERUN = ".html", ".rrd"
"""Endings of what is made; that of a video is its format."""


@dataclass(frozen=True)
class Views:
    """What is made of each recording, and from which reviews.

    Attributes:
        page: <recording>.html.
        video: <recording>.mp4 or .gif: its format; None for no video.
        speed: of the video, seconds of the recording per second; None: so that it lasts ten.
        rerun: <recording>.rrd.
        reviews: by the name of a recording, the file of the marks that its page shows.
    """

    page: bool = False
    video: str | None = None
    speed: float | None = None
    rerun: bool = False
    reviews: Mapping[str, Path] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """Of the ingredients of a recording; none where nothing is made."""
        asked = {"view": self.page, "video": self.video, "speed": self.speed, "rerun": self.rerun}
        return {name: value for name, value in asked.items() if value}

    def inputs(self, recording: str) -> dict[str, str]:
        """Of the ingredients of a recording: its review, if there is one."""
        return {"review": self._digests[recording]} if recording in self.reviews else {}

    @property
    def all_inputs(self) -> dict[str, str]:
        """Of the ingredients of what is made of all recordings: each review."""
        return {f"review of {name}": digest for name, digest in self._digests.items()}

    @functools.cached_property
    def _digests(self) -> dict[str, str]:
        return {name: sha256_file(path) for name, path in self.reviews.items()}

    def require(self) -> None:
        """Raises InputError, naming the extra, where a package that is needed is not installed."""
        from spikeseg.viewing import require

        for what, asked in (("view", self.page), ("rrd", self.rerun)):
            if asked:
                require(what)
        if self.video:
            from spikeseg.viewing.video import require_encoder

            require_encoder(self.video)

    def files(self, recording: str) -> list[str]:
        """Names of the files that are made of a recording."""
        made = ((PAGE, self.page), (f".{self.video}", self.video), (RERUN, self.rerun))
        return [f"{recording}{ending}" for ending, asked in made if asked]

    def write(self, folder: Path, detections: Detections, *, others: str) -> None:
        """Make the files of one recording.

        Args:
            folder: where they go, which nobody reads yet.
            detections: what was detected.
            others: what a track that is no object is called.

        Raises InputError where one cannot be written."""
        name = detections.recording
        if self.page:
            from spikeseg.viewing.page import view_html

            atomic_write(folder / f"{name}{PAGE}", view_html(detections, self._review(name), others=others))
        if self.video:
            from spikeseg.viewing.video import write_video

            write_video(folder / f"{name}.{self.video}", detections, self.speed)
        if self.rerun:
            from spikeseg.viewing.rerun_file import write_rerun

            write_rerun(folder / f"{name}{RERUN}", detections)

    def _review(self, recording: str) -> Review | None:
        from spikeseg.viewing.review import read_review

        return read_review(self.reviews[recording]) if recording in self.reviews else None


def reviews_at(paths: Sequence[Path], recordings: Sequence[str]) -> dict[str, Path]:
    """The reviews that paths stand for, by the name of their recording.

    Args:
        paths: files, or folders, which stand for all of their <recording>.review.json that belong to one of the recordings.
        recordings: names of those of the command.

    Raises InputError: what is no review, or of no recording of the command, or the second of one."""
    from spikeseg.data.datasets.folders import REVIEW
    from spikeseg.viewing.review import read_review

    found: dict[str, Path] = {}
    for path in paths:
        files = sorted(path.glob(f"*{REVIEW}")) if path.is_dir() else [path]
        reviews = [(file, read_review(file).recording) for file in files]
        own = [(file, name) for file, name in reviews if name in recordings]
        if not own:
            many = f"{len(recordings)} recordings, {recordings[0]}" if len(recordings) > 1 else recordings[0]
            told = f"holds no <recording>{REVIEW} of them" if path.is_dir() else f"is the review of {reviews[0][1]}"
            raise InputError(f"--review {path}: {told}; this command detects in {many}")
        for file, name in own:
            if name in found:
                raise InputError(f"--review {file}: is the second review of {name}, after {found[name]}; give one")
            found[name] = file
    return found
