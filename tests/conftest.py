"""Fixtures of all tests: a tiny world, and a chain of commands (tests/shared/worlds.py).

What they need is imported by the fixtures, so that tests of the CUDA kernels start where there is only torch, triton and numpy.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from turns import pytest_configure  # noqa: F401 - a hook

if TYPE_CHECKING:
    from worlds import Place, World

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in a shell's background; a command ignores what was ignored before
    signal.signal(signal.SIGINT, signal.default_int_handler)
if importlib.util.find_spec("hypothesis"):
    from hypothesis import HealthCheck, settings

    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")  # a slow machine is no error


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A file's content is no name of a test: where it holds the time, the two processes of the suite collect different tests."""
    return argname if isinstance(val, bytes) and len(val) > 24 else None


@pytest.fixture(scope="session", autouse=True)
def no_waiting() -> Iterator[None]:
    """git is asked once, and os.fsync does not wait for the disk (core/test_durability.py has the real one)."""
    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch("os.fsync", os.fstat))
        if importlib.util.find_spec("click"):  # else no command runs
            from spikeseg.pipelines.runtime import manifest

            patches.enter_context(mock.patch.object(manifest, "git_revision", functools.cache(manifest.git_revision)))
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The tiny world of all tests."""
    from worlds import World, write_recording

    root = tmp_path_factory.mktemp("world")
    (root / "recordings").mkdir()
    for seed in range(4):
        write_recording(root / "recordings" / f"r{seed}.npz", seed)
    return World(root)


@pytest.fixture
def interrupt() -> Any:
    """`interrupted_after` of tests/shared/worlds.py."""
    from worlds import interrupted_after

    return interrupted_after


@pytest.fixture
def reseal() -> Any:
    """`resealed` of tests/shared/worlds.py."""
    from worlds import resealed

    return resealed


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty folder to run commands in."""
    from worlds import new_place

    return new_place(tmp_path / "place")


@pytest.fixture(scope="session")
def chain_of_session(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder in which everything up to `evaluate` has been run, once; see `chain`."""
    from worlds import new_place

    place = new_place(tmp_path_factory.mktemp("chain"))
    place.ok("prepare")
    place.ok("train-layer", "conv2")
    place.ok("train-layer", "conv3")
    place.ok("evaluate")
    return place


@pytest.fixture(scope="module")
def chain(chain_of_session: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder in which everything up to `evaluate` has been run: a copy for each file of tests, which may add to it."""
    from worlds import Place

    folder = tmp_path_factory.mktemp("copy") / "chain"
    shutil.copytree(chain_of_session.folder, folder)
    return Place(folder)


@pytest.fixture
def copied(chain: Place, tmp_path: Path) -> Place:
    """A copy of the chain's folder, to change at will."""
    from worlds import Place

    shutil.copytree(chain.folder, tmp_path / "copied")
    return Place(tmp_path / "copied")
