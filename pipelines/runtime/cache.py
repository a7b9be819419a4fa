"""What lies in the cache, whether it is as it was written, and how to be rid of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spikeseg.errors import InputError

from .manifest import MANIFEST, describe_file, manifest_digest, read_manifest, stage_key
from .stage import locked, remove_stale


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

    def told(self) -> str:
        """What its manifest says that it holds."""
        manifest = read_manifest(self.path / MANIFEST) or {}
        counted = {name: manifest.get(name) for name in ("recordings", "windows", "samples")}
        return ", ".join(f"{count} {name}" for name, count in counted.items() if isinstance(count, int))


def artefacts(cache_dir: str | Path) -> list[Artefact]:
    """All finished ones, by stage and key. Raises InputError where there is no cache."""
    root = Path(cache_dir)
    if not root.is_dir():
        raise InputError(f"{root}: no cache here; set cache_dir, or run `spikeseg prepare` first")
    found = sorted(path.parent for path in root.glob("*/*/" + MANIFEST) if not path.parent.name.startswith("."))
    return [Artefact(path.parent.name, path) for path in found]


def faults(folder: Path) -> Iterator[str]:
    """What in a finished folder is not as it was written: files that differ from the SHA-256 in its manifest, are missing or came
    later, and the manifest itself."""
    path = folder / MANIFEST
    try:
        manifest = read_manifest(path)
        content = path.read_bytes()
    except (InputError, OSError) as error:
        yield f"{MANIFEST}: {error}"
        return
    assert manifest is not None
    text = (json.dumps(manifest, indent=2) + "\n").encode()
    try:
        key = stage_key(*(manifest[name] for name in ("stage", "version", "config", "inputs")))
    except (KeyError, TypeError):
        key = ""
    if content != text or manifest.get("sha256") != manifest_digest(manifest) or not manifest["key"] == key == folder.name:
        yield f"{MANIFEST}: not as it was written"
        return
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p != path}
    for name, told in manifest["outputs"].items():
        if name not in there:
            yield f"{name}: missing"
        elif describe_file(folder / name) != told:
            yield f"{name}: not as it was written"
    for name in sorted(there - set(manifest["outputs"])):
        yield f"{name}: came later"


def remove(artefact: Artefact) -> None:
    """Remove an artefact, once nobody writes it."""
    with locked(artefact.path):
        shutil.rmtree(artefact.path)


def remove_unfinished(cache_dir: str | Path) -> int:
    """Remove what interrupted stages left, unless somebody is writing it; -> how many folders."""
    before = len(_unfinished(cache_dir))
    for stage in {path.parent for path in _unfinished(cache_dir)}:
        remove_stale(stage, held="")
    return before - len(_unfinished(cache_dir))


def _unfinished(cache_dir: str | Path) -> list[Path]:
    return sorted(Path(cache_dir).glob("*/.*.partial-*"))
