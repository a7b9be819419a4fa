"""The artefacts in the cache: listed, compared with their checksums, removed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spikeseg.core.files import remove_partials
from spikeseg.core.names import MANIFEST
from spikeseg.errors import InputError

from .manifest import Ingredients, describe_file, parsed_manifest, read_manifest
from .stage import locked

COUNTS = ("recordings", "windows", "samples")
"""Entries of manifests that say how much an artefact holds."""


@dataclass(frozen=True)
class Artefact:
    """A finished folder of the cache.

    Attributes:
        stage: the folder it lies in, such as "frames".
        path: its folder; its name is its key.
    """

    stage: str
    path: Path

    @property
    def size(self) -> int:
        """Bytes of all its files; those that two artefacts share count for both."""
        return sum(p.stat().st_size for p in self.path.rglob("*") if p.is_file())

    def summary(self) -> str:
        """How much it holds, by its manifest, such as "24 recordings, 360 windows"."""
        manifest = read_manifest(self.path / MANIFEST) or {}
        return ", ".join(f"{manifest[name]} {name}" for name in COUNTS if isinstance(manifest.get(name), int))


def artefacts(cache_dir: str | Path) -> list[Artefact]:
    """All finished artefacts, by stage and key. Raises InputError where there is no cache."""
    root = Path(cache_dir)
    if not root.is_dir():
        raise InputError(f"{root}: no cache here; set cache_dir, or run `spikeseg prepare` first")
    folders = sorted(path.parent for path in root.glob("*/*/" + MANIFEST) if not path.parent.name.startswith("."))
    return [Artefact(folder.parent.name, folder) for folder in folders]


def faults(folder: Path) -> Iterator[str]:
    """How a finished folder differs from what its manifest lists: a line per file that is missing, has another SHA-256 or was
    added later, and one where the manifest itself was changed."""
    path = folder / MANIFEST
    try:
        manifest = parsed_manifest(path.read_bytes())
        key = Ingredients(*(manifest[name] for name in Ingredients._fields)).key
    except OSError as error:
        yield f"{MANIFEST}: cannot be read ({error.strerror or error})"
        return
    except (ValueError, TypeError):
        key = ""
    if not key or not manifest["key"] == key == folder.name:
        yield f"{MANIFEST}: not as it was written"
        return
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p != path}
    for name, recorded in manifest["outputs"].items():
        if name not in present:
            yield f"{name}: missing"
        elif describe_file(folder / name) != recorded:
            yield f"{name}: not as it was written"
    for name in sorted(present - set(manifest["outputs"])):
        yield f"{name}: came later"


def remove(artefact: Artefact) -> None:
    """Remove an artefact, after waiting for a process that writes it."""
    with locked(artefact.path):
        shutil.rmtree(artefact.path)


def remove_unfinished(*roots: str | Path) -> int:
    """Remove the files and folders that interrupted commands left below the roots, but those that a process is writing; -> how
    many were removed."""
    return sum(remove_partials(Path(root), below=True) for root in roots)
