"""No room for a file, whichever it is, at every stage: one line with its path and sizes; all goes on when there is room."""

import json
import re
import resource
import shutil
import signal

import pytest

STAGES = {
    "simulate h5": ["simulate", "--set", "simulate.recordings=1", "-o", "sim-h5"],
    "simulate mat": ["simulate", "--set", "simulate.recordings=1", "--format", "mat", "-o", "sim-mat"],
    "simulate npz": ["simulate", "--set", "simulate.recordings=1", "--format", "npz", "-o", "sim-npz"],
    "simulated and prepared": ["prepare", "--seed", "5"],
    "prepare": ["prepare", "--set", "data.n_timesteps=5"],
    "train": ["train-layer", "conv2", "--name", "other"],
    "evaluate": ["evaluate", "--force"],
    "sweep": ["sweep"],
    "detect": ["detect", "night.npz", "-o", "out"],
    "detect in the run": ["detect", "night.npz"],
    "classes": ["classes"],
    "copy": ["evaluate", "-o", "copy.json"],
}


@pytest.fixture(scope="module")
def night(chain):
    chain.ok("simulate", "--set", "simulate.recordings=1", "--format", "npz", "-o", "one")
    shutil.copy(next((chain.folder / "one").glob("*.npz")), chain.folder / "night.npz")
    return chain


@pytest.fixture
def mine(night, tmp_path):
    shutil.copytree(night.folder, tmp_path / "copy")
    return type(night)(tmp_path / "copy")


@pytest.fixture
def room():
    """A function that lets no file grow beyond so many bytes."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (before[0] if size is None else size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def artefacts(folder):
    """What the manifests list, with its bytes."""
    paths = [path for path in folder.rglob("*manifest.json") if ".partial-" not in str(path)]
    listed = {path: json.loads(path.read_text())["outputs"] for path in paths}
    return {path.parent / name: (path.parent / name).read_bytes() for path, names in listed.items() for name in names}


@pytest.mark.parametrize("stage", STAGES)
def test_no_room_is_one_line_and_costs_nothing(mine, room, stage):
    """At each size that some file of the stage does not fit."""
    words, before, size, refused = STAGES[stage], artefacts(mine.folder), 0, 0
    while True:
        room(size)
        result = mine(*words)
        room(None)
        if result.exit_code == 0:
            break
        refused += 1
        (line,) = [line for line in result.output.splitlines() if line.startswith("error")]
        assert result.exit_code == 3 and "Traceback" not in result.output and "Logging error" not in result.output, result.output
        assert re.fullmatch(
            r"error: cannot write \S+: file too large \(.*free\); free some, or write to another disk .*", line
        ), line
        assert {path: path.read_bytes() for path in before} == before
        assert not [path for path in mine.folder.rglob(".*.partial-*")]
        size = 16 * size + 100
    assert refused
    assert set(before) <= set(artefacts(mine.folder))
    assert all(not json.loads(path.read_text()).get("skipped") for path in mine.folder.rglob("frames/*/manifest.json"))
