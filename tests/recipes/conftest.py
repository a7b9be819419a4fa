"""The packages of this folder, as pip leaves packages behind: a folder on Python's path with a module and its `dist-info`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spikeseg.pipelines.commands import COMMANDS
from spikeseg.registries import DATASETS, MODES, READERS, RULES

FOLDER = Path(__file__).parent
RUN = "from spikeseg.pipelines.cli import main; main(prog_name='spikeseg')"


def run(package: str | None, folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """`spikeseg` in a process of its own, in a folder, with a package of this folder installed."""
    path = [str(FOLDER / package)] if package else []
    known = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*path, *([known] if known else [])]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN, *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def spikeseg_with() -> Callable[..., str]:
    """``spikeseg_with(package, folder, *words)``: a command that must succeed, by `run`; what it printed on stdout."""

    def command(package: str, folder: Path, *words: str | Path) -> str:
        done = run(package, folder, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return command


@pytest.fixture
def spikeseg_without() -> Callable[..., str]:
    """``spikeseg_without(folder, *words)``: one that must be refused where no package is; what it printed on stderr."""

    def command(folder: Path, *words: str | Path) -> str:
        done = run(None, folder, *words)
        assert done.returncode in (2, 3), done.stdout + done.stderr
        return done.stderr

    return command


@pytest.fixture
def installed(request, monkeypatch):
    """The package named by `pytest.mark.parametrize(..., indirect=True)`, installed in this process."""
    monkeypatch.syspath_prepend(FOLDER / request.param)
    forget_entry_points()
    yield request.param
    forget_entry_points()
    sys.modules.pop(f"my_{request.param}", None)


def forget_entry_points() -> None:
    """Registries ask once a process what other packages have registered."""
    for registry in (DATASETS, READERS, RULES, MODES, COMMANDS):
        vars(registry).pop("_entry_points", None)
