"""--dry-run: nothing is written, whatever the command, and what would be the first to be done is said, with the reason."""

import shutil
from pathlib import Path

import pytest

from spikeseg.core.dry_run import DryRun, dry_run, is_dry
from spikeseg.core.files import atomic_write, make_folder
from spikeseg.pipelines.commands import COMMANDS

WORDS = {
    "simulate": ("-o", "night"), "train-layer": ("conv2",), "detect": ("night.npz",), "info": ("night.npz",), "classes": (),
    "compare": ("--all", "-o", "runs.csv"), "watch": ("incoming", "-o", "found", "--once", "--every", "0"),
    "plot": ("training",),
}  # fmt: skip
"""Further words of commands."""
OF_RUNS = {"plot", "reproduce"}
"""Commands whose first word is a run."""
OF_A_RUN = {"cache", "detect", "export", "info", "classes", "classify", "plot", "reproduce", "watch"}
"""Commands that take no configuration here."""


def everything(folder: Path) -> dict[str, bytes]:
    """All files by path, and folders."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def with_recording(chain):
    """The chain, and a recording beside it."""
    chain.ok("simulate", "--format", "npz", "-o", "night", "--set", "simulate.recordings=1")
    (recording,) = (chain.folder / "night").glob("*.npz")
    shutil.copy(recording, chain.folder / "night.npz")
    (chain.folder / "incoming").mkdir()
    shutil.copy(recording, chain.folder / "incoming")
    shutil.rmtree(chain.folder / "night")
    return chain


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_writes_anything(with_recording, command):
    (run,) = (with_recording.folder / "runs").glob("tiny-*")
    words = (*((str(run),) if command in OF_RUNS else ()), *WORDS.get(command, ()))
    before = everything(with_recording.folder)
    typed = ["cache", "clean", "--all"] if command == "cache" else [command, *words]
    said = with_recording.ok(*typed, "--dry-run", config=command not in OF_A_RUN)
    assert everything(with_recording.folder) == before
    done = {"prepare", "train", "evaluate", "status", "info", "train-layer", "cache", "cross-validate", "demo"}
    if command not in done:
        assert said.splitlines()[-1].startswith("would ") and said.splitlines()[-1].endswith("; nothing was done"), said


def test_the_reason_is_said(chain, place):
    said = chain.ok("train-layer", "conv2", "--set", "stdp.lr_plus=0.004", "--dry-run")
    assert "would run the stage train-layer into " in said and "stdp.lr_plus 0.04 → 0.004" in said
    assert "(--force)" in chain.ok("prepare", "--force", "--dry-run")
    assert said.count("\n") == 1
    assert "would run the stage prepare into " in place.ok("train", "--dry-run") and not (place.folder / "data_cache").exists()


def test_a_copy_that_is_there_is_not_written_again(chain):
    chain.ok("evaluate", "-o", "copy.json")
    assert "would" not in chain.ok("evaluate", "-o", "copy.json", "--dry-run")
    (chain.folder / "copy.json").write_text("{}")
    assert "would write copy.json; nothing was done" in chain.ok("evaluate", "-o", "copy.json", "--dry-run")
    assert (chain.folder / "copy.json").read_text() == "{}"


def test_nothing_reaches_the_disk_within_a_dry_run(tmp_path):
    with dry_run():
        assert is_dry() and make_folder(tmp_path) == tmp_path
        with pytest.raises(DryRun, match="make the folder "):
            make_folder(tmp_path / "new")
        with pytest.raises(DryRun, match="write "):
            atomic_write(tmp_path / "file", b"1")
        with pytest.raises(DryRun):
            atomic_write(tmp_path / "file", lambda file: file.write(b"1"))
    assert not is_dry() and not list(tmp_path.iterdir())
