"""What `doctor` looks at: versions, extras, GPU, folders, kept kernels, and a recording whose answer is known."""

from __future__ import annotations

import logging
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement

from spikeseg.core.dry_run import DryRun, is_dry
from spikeseg.core.files import writing
from spikeseg.core.memory import GIB, available
from spikeseg.core.text import many
from spikeseg.errors import InputError

from ..runtime.remote import is_url

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

log = logging.getLogger(__name__)

OF_DEVELOPERS = ("test", "docs", "benchmarks", "interop")
"""Extras that no command asks for."""
SHOWN = ("torch", "numpy", "numba", "norse", "tonic", "zarr")
"""Packages whose versions are printed; those of all are compared with what is required."""
LITTLE = GIB
"""Bytes of free disk below which a recording may find no room."""
DRIVER = Path("/proc/driver/nvidia/version")
NIGHT = {"duration_s": 4.0, "difficulty": "easy", "sensor": "DAVIS", "seed": 4}
"""The simulated recording of the self-test."""


@dataclass(frozen=True)
class Finding:
    """One line of the answer.

    Attributes:
        what: what was looked at.
        text: what was found.
        remedy: what to do; empty where nothing need be done.
        fault: whether spikeseg does not work, or not as it should, until that is done.
    """

    what: str
    text: str
    remedy: str = ""
    fault: bool = False


@dataclass(frozen=True)
class Expected:
    """The one object of the self-test's recording, by `spikeseg detect` on the machine on which this was written.

    Attributes:
        start, end: places at which it is first and last seen, px.
        speed: px/s.
        tolerance: by how much either may differ on another machine, px and px/s: numpy's sines may round otherwise there.
    """

    start: tuple[float, float] = (236.1, 175.4)
    end: tuple[float, float] = (79.3, 76.7)
    speed: float = 84.2
    tolerance: float = 2.0


def findings(cfg: Config) -> Iterator[Finding]:
    """Everything but the self-test, each as soon as it is known."""
    yield Finding("machine", f"{platform.platform()}, {many(os.cpu_count() or 1, 'core')}{_memory()}")
    yield Finding("Python", f"{platform.python_version()}, {sys.executable}")
    yield from packages()
    yield gpu()
    yield folder("cache", cfg.cache_dir, "cache_dir")
    yield folder("runs", cfg.output_dir, "output_dir")
    yield kernels()


def _memory() -> str:
    free = available()
    return "" if free is None else f", {free / GIB:.1f} GiB of memory free"


# -- packages ------------------------------------------------------------------------------------------


def packages() -> Iterator[Finding]:
    """The packages that are required, and those of each extra."""
    try:
        needed = [Requirement(line) for line in metadata.requires("spikeseg") or ()]
        version = metadata.version("spikeseg")
    except metadata.PackageNotFoundError:
        yield Finding(
            "spikeseg", "its code is here, but it is not installed", "pip install -e . where setup.cfg lies", fault=True
        )
        return
    wrong = _lacking(needed, "")
    shown = ", ".join(f"{name} {_version(name)}" for name in SHOWN)
    if wrong:
        again = " ".join(f"'{need.name}{need.specifier}'" for need, _ in wrong)
        yield Finding("packages", "; ".join(text for _, text in wrong), f"pip install {again}", fault=True)
    yield Finding("spikeseg", f"{version} with {shown}")
    for extra in sorted(_extras(needed).difference(OF_DEVELOPERS)):
        lacking = _lacking(needed, extra)
        if lacking:
            yield Finding(f"[{extra}]", "; ".join(text for _, text in lacking), f"pip install 'spikeseg[{extra}]'")
        else:
            here = (need.name for need in needed if _applies(need, extra))
            yield Finding(f"[{extra}]", ", ".join(f"{name} {_version(name)}" for name in here))


def _extras(needed: list[Requirement]) -> set[str]:
    """Names of extras."""
    return {name for need in needed if need.marker for name in re.findall(r'extra == "([\w-]+)"', str(need.marker))}


def _applies(need: Requirement, extra: str) -> bool:
    """Whether a requirement belongs to an extra, on this system; to none, where it is empty."""
    if need.marker is None:
        return not extra
    return need.marker.evaluate({"extra": extra}) and not (extra and need.marker.evaluate({"extra": ""}))


def _lacking(needed: list[Requirement], extra: str) -> list[tuple[Requirement, str]]:
    """What of an extra is not there, or of another version, in words."""
    lacking = []
    for need in needed:
        if _applies(need, extra):
            version = _version(need.name)
            if not version:
                lacking.append((need, f"{need.name} is missing"))
            elif not need.specifier.contains(version, prereleases=True):
                lacking.append((need, f"{need.name} is {version}, must be {need.specifier}"))
    return lacking


def _version(name: str) -> str:
    """Of a distribution; empty where it is not installed."""
    try:
        return metadata.version(name) or ""
    except metadata.PackageNotFoundError:
        return ""


def gpu() -> Finding:
    """Which GPU torch can use, or why none."""
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library that it links to
        return Finding("GPU", f"torch cannot be loaded ({error})", "pip install --force-reinstall torch", fault=True)
    if torch.cuda.is_available():
        cards = (torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count()))
        named = ", ".join(f"{card.name} ({card.total_memory / GIB:.0f} GiB)" for card in cards)
        if not _version("triton"):
            return Finding("GPU", f"{named}, but triton is missing", "pip install triton, or --backend cpu", fault=True)
        return Finding("GPU", f"{named}, CUDA {torch.version.cuda}")
    if torch.version.cuda is None and DRIVER.exists():
        advice = "for the GPU, install torch anew without constraints-cpu.txt"
        return Finding("GPU", f"a driver of NVIDIA is here, but torch {torch.__version__} is a build for the CPU", advice)
    return Finding("GPU", "none that torch can use; the CPU does all the work")


# -- folders -------------------------------------------------------------------------------------------


def folder(what: str, path: str, key: str) -> Finding:
    """How much a folder of the configuration holds, how much room there is, and whether it can be written.

    Args:
        what: it is called.
        path: of the folder, which need not exist, or a URL.
        key: of the configuration that names it.
    """
    if is_url(path):
        return Finding(what, f"{path}, in a local copy")
    place = Path(path).absolute()
    there = next(parent for parent in (place, *place.parents) if parent.exists())
    other = f"--set {key}=FOLDER names another place"
    if refused := _refused(there):
        return Finding(what, f"{place}: {refused}", other, fault=True)
    free = shutil.disk_usage(there).free
    held = f"{_size(place)} held" if there == place else "not there yet"
    return Finding(what, f"{place}: {held}, {free / GIB:.1f} GiB free", f"little room; {other}" if free < LITTLE else "")


def _size(place: Path) -> str:
    """Of all files below a folder, in words."""
    size = 0
    for above, _, names in os.walk(place):
        for name in names:
            try:
                size += os.lstat(os.path.join(above, name)).st_size
            except OSError:  # somebody has removed it
                continue
    return f"{size / 2**20:.1f} MiB"


def _refused(place: Path) -> str:
    """Why nothing can be written into an existing folder; empty where it can."""
    if not place.is_dir():
        return f"{place} is no folder"
    if is_dry():
        return "" if os.access(place, os.W_OK) else "cannot be written"
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"1")
    except OSError as error:
        return f"cannot be written ({(error.strerror or str(error)).lower()})"
    return ""


def kernels() -> Finding:
    """Where compiled kernels are kept."""
    remedy = "every command compiles for up to a minute; let the variable NUMBA_CACHE_DIR name a folder that can be written"
    try:
        from spikeseg.core.union_kernels import root
    except (ImportError, OSError, RuntimeError) as error:
        return Finding("kernels", f"numba cannot be loaded ({error})", "pip install --force-reinstall numba llvmlite", fault=True)
    if not hasattr(root, "stats"):
        return Finding("kernels", "numba is switched off by NUMBA_DISABLE_JIT", "unset it: spikeseg is slow without", fault=True)
    kept: str | None = root.stats.cache_path
    if kept is None:
        return Finding("kernels", "numba finds no folder to keep them in", remedy, fault=True)
    if refused := _refused(Path(kept)):
        return Finding("kernels", f"{kept}: {refused}", remedy, fault=True)
    return Finding("kernels", f"compiled ones are kept beside the code, as in {kept}")


# -- the self-test -------------------------------------------------------------------------------------


def self_test(cfg: Config) -> Finding:
    """Simulate a night of four seconds, detect in it with the packaged network, and compare with what is known.

    Raises DryRun where nothing is to be done."""
    if is_dry():
        raise DryRun("simulate a short night in a temporary folder and detect in it")
    log.info("self-test: simulating 4 s of a night and detecting in it; up to a minute more where kernels have to be compiled")
    began = time.monotonic()
    try:
        objects = _objects(cfg)
    except Exception as error:  # whatever is broken in this installation
        if isinstance(error, InputError):
            return Finding("self-test", str(error), "see above", fault=True)
        advice = "install spikeseg into a fresh virtual environment; if it stays, report it with this output"
        return Finding("self-test", f"{type(error).__name__}: {error}", advice, fault=True)
    differs = difference(objects)
    if differs:
        advice = "a package computes otherwise than where spikeseg was tested: install with -c constraints-cpu.txt; " \
            "if it stays, report it with this output"  # fmt: skip
        return Finding("self-test", differs, advice, fault=True)
    seconds = time.monotonic() - began
    return Finding("self-test", f"a simulated satellite was found where it is, {seconds:.0f} s with loading and compiling")


def _objects(cfg: Config) -> Any:
    """Objects of the simulated night: written to a file, read, detected in, written, read again (structured, with names)."""
    import numpy as np

    from spikeseg.api import load, simulate
    from spikeseg.detection.schema import OBJECTS
    from spikeseg.networks import NIGHTS
    from spikeseg.simulation.write import write

    with tempfile.TemporaryDirectory(prefix="spikeseg-doctor-") as made, writing(Path(made)):
        (night,) = write(made, simulate(**NIGHT), format="npz")  # type: ignore[arg-type]
        network = load(NIGHTS, {"device": cfg.device, "backend": cfg.backend})
        network.detect([night]).save(Path(made) / "found")
        return np.atleast_1d(
            np.genfromtxt(Path(made) / "found" / OBJECTS, delimiter=",", names=True, dtype=None, encoding="utf-8")
        )


def difference(objects: Any, expected: Expected | None = None) -> str:
    """How the objects that were found differ from the one expected; empty where they do not.

    Args:
        objects: (n,) rows of objects.csv, with the names of its columns.
        expected: the object.
    """
    known = expected or Expected()
    if len(objects) != 1:
        return f"{many(len(objects), 'object')} found in a simulated night, must be 1"
    pairs = (
        ("x_start", known.start[0]), ("y_start", known.start[1]), ("x_end", known.end[0]), ("y_end", known.end[1]),
        ("speed", known.speed),
    )  # fmt: skip
    for name, value in pairs:
        if not abs(float(objects[name][0]) - value) <= known.tolerance:
            return f"{name} of a simulated satellite is {float(objects[name][0]):.1f}, must be {value} ± {known.tolerance:g}"
    return ""
