"""A cache at a URL (``s3://bucket/cache``): worked on in a local copy, fetched from and sent to where fsspec finds it.

A stage is sent once it is finished, its manifest last; so one without a manifest is no artefact there either. What is fetched is
compared with the checksums in its manifest before it appears in the local copy.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spikeseg.core.files import FULL, atomic_write, make_folder, partial_folder, refusal
from spikeseg.core.names import MANIFEST
from spikeseg.errors import InputError

from .files import sha256_file

log = logging.getLogger(__name__)

URL_FILE = ".remote"
"""File in a local copy that holds the URL; below it lie stage/key, as at the URL."""
FSSPEC_ERRORS = (OSError, ValueError, ImportError, RuntimeError)
"""What fsspec and its file systems raise."""


def is_url(location: str) -> bool:
    """Whether this is a URL for fsspec rather than a folder."""
    return "://" in location


def local_copy(url: str) -> Path:
    """The folder in the user's cache directory that stands for a URL; made, if need be."""
    import platformdirs

    name = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
    folder = make_folder(Path(platformdirs.user_cache_dir("spikeseg")) / name)
    atomic_write(folder / URL_FILE, url.rstrip("/"))
    return folder


def fetch(folder: Path) -> bool:
    """Download a stage's folder from the URL that it belongs to; False when it belongs to none, or nothing finished is there.

    Raises InputError when the URL cannot be read, or what came differs from its manifest."""
    url = _url_of(folder)
    if url is None:
        return False
    with _reaching(url, folder):
        files, base = _file_system(url)
        if not files.exists(posixpath.join(base, MANIFEST)):
            return False
        content = files.cat_file(posixpath.join(base, MANIFEST))
        try:
            checksums = {name: output["sha256"] for name, output in json.loads(content)["outputs"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("%s/%s: damaged; the stage is run again", url, MANIFEST)
            return False
        log.info("fetching %s", url)
        with partial_folder(make_folder(folder.parent), folder.name) as partial:
            for name, checksum in checksums.items():
                target = partial / name
                if not target.resolve().is_relative_to(partial.resolve()):
                    raise InputError(f"{url}: its manifest names {name!r}, outside of it")
                target.parent.mkdir(parents=True, exist_ok=True)
                files.get_file(posixpath.join(base, name), str(target))
                if sha256_file(target) != checksum:
                    raise InputError(
                        f"{url}/{name}: is not what its manifest says; damaged: remove {url} and run the stage again"
                    )
            (partial / MANIFEST).write_bytes(content)
            with contextlib.suppress(OSError):  # another process was quicker
                os.rename(partial, folder)
    return True


def send(folder: Path) -> None:
    """Upload a finished stage's folder to the URL that it belongs to, if it belongs to one; the manifest last.

    Raises InputError when the URL cannot be written."""
    url = _url_of(folder)
    if url is None:
        return
    with _reaching(url):
        files, base = _file_system(url)
        log.info("sending %s", url)
        if files.exists(posixpath.join(base, MANIFEST)):
            files.rm_file(posixpath.join(base, MANIFEST))
        manifest = json.loads((folder / MANIFEST).read_text())
        for name in [*manifest["outputs"], MANIFEST]:
            target = posixpath.join(base, name)
            files.makedirs(posixpath.dirname(target), exist_ok=True)
            files.put_file(str(folder / name), target)


def _url_of(folder: Path) -> str | None:
    """The URL of a stage's folder, by the file two levels up; None where there is none."""
    try:
        root = (folder.parent.parent / URL_FILE).read_text()
    except OSError:
        return None
    return posixpath.join(root, folder.parent.name, folder.name)


def _file_system(url: str) -> tuple[Any, str]:
    import fsspec

    files, base = fsspec.core.url_to_fs(url)
    return files, base


@contextlib.contextmanager
def _reaching(url: str, folder: Path | None = None) -> Iterator[None]:
    """Turn what fsspec raises into an InputError; folder: the local one that is written."""
    try:
        yield
    except InputError:
        raise
    except FSSPEC_ERRORS as error:
        if folder is not None and isinstance(error, OSError) and error.errno in FULL:
            raise refusal(folder, error) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        remedy = "check cache_dir, credentials, and that fsspec's package for it is installed"
        raise InputError(f"{url}: cannot be reached ({reason}); {remedy}") from error
