"""Our own manifests beside recordings: which files the commands have made, and which of them are the truth of which recording.

What writes manifests is `pipelines.runtime.manifest`; here they are only looked at, as files that anybody may have put there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spikeseg.core.digests import manifest_digest
from spikeseg.core.names import MANIFEST, MANIFEST_BESIDE
from spikeseg.core.regular import fault_of
from spikeseg.errors import InputError

SIMULATE = "simulate"
"""Of `spikeseg simulate`: its stage; in a folder of the user's followed by a hyphen and the format."""
TRUTH_FOLDER = "truth"
ENTRIES = ("key", "stage", "outputs", "sha256")
"""Of every manifest of ours."""


def outputs_of(folder: Path) -> set[Path]:
    """Files that manifests of a folder list and that are no recordings: all that was made by commands other than `simulate`, and
    the truth of what was simulated. What is no manifest of ours, or damaged, lists nothing."""
    ours: set[Path] = set()
    for manifest in filter(None, map(_manifest, _manifests(folder, "*"))):
        simulated = str(manifest["stage"]).startswith(SIMULATE)
        ours |= {folder / name for name in manifest["outputs"] if not simulated or name.startswith(f"{TRUTH_FOLDER}/")}
    return ours


class Truths:
    """Where the truth of simulated recordings lies; each folder's manifests are read once."""

    def __init__(self) -> None:
        self._of_folder: dict[Path, list[Mapping[str, Any]]] = {}

    def of(self, file: Path, name: str) -> Path | None:
        """The truth of a recording; None where no manifest of `simulate` lists it together with the recording's file.

        Args:
            file: that the recording lies in.
            name: of the recording.

        Raises InputError where such a manifest, beside the file or beside its folder, is damaged."""
        for folder in (file.parent, file.parent.parent):
            if folder not in self._of_folder:
                self._of_folder[folder] = list(_simulated(folder))
            truth, own = f"{TRUTH_FOLDER}/{name}.npz", file.relative_to(folder).as_posix()
            for manifest in self._of_folder[folder]:
                if {truth, own} <= manifest["outputs"].keys() and (folder / truth).is_file():
                    return folder / truth
        return None


def _simulated(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The manifests of `simulate` in a folder. Raises InputError for a damaged one."""
    for path in _manifests(folder, f"{SIMULATE}-*"):
        manifest = _manifest(path)
        intact = manifest is not None and manifest["sha256"] == manifest_digest(manifest)
        if manifest is not None and intact and str(manifest["stage"]).startswith(SIMULATE):
            yield manifest
        elif path.name != MANIFEST:
            raise InputError(f"{path}: damaged; simulate again, or remove it to do without the truth of what was simulated")


def _manifests(folder: Path, stage: str) -> list[Path]:
    """Files of a folder that are named like manifests."""
    try:
        return sorted([*folder.glob(MANIFEST), *folder.glob(MANIFEST_BESIDE.format(stage))])
    except OSError:
        return []


def _manifest(path: Path) -> Mapping[str, Any] | None:
    """A manifest of ours; None where the file is none."""
    if fault_of(path):
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    known = isinstance(manifest, dict) and all(name in manifest for name in ENTRIES) and isinstance(manifest["outputs"], dict)
    return manifest if known else None
