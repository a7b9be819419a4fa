"""The chain of commands that `robustness` breaks: in a folder of its own, each command a process of its own, fast to start.

Commands run in forks of this process, which has imported everything already; their output goes to a file. Forks end as the
process of a command does, by its exit code or the signal that killed it.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from spikeseg.core import interrupts
from spikeseg.pipelines import cli  # noqa: F401 - imported now, so that no command has to
from spikeseg.pipelines.start import main

CONFIG = """
experiment_name: tiny
device: cpu
max_epochs: 2
model: {conv2_channels: 4, thresholds: [0.2, 1.0, 0.0], leaks: [0.18, 0.1, 0.0]}
homeostasis: {theta_rest: 1.0, theta_max: 100.0}
wta: {enable_homeostasis: false}
data:
  dataset: synthetic
  n_timesteps: 4
  timestep_ms: 25.0
  input_height: 45
  input_width: 60
  train_ratio: 1.0
  test_ratio: 0.4
  transforms: [{name: DropPixel, hot_pixel_frequency: 40}]
evaluation: {bootstrap: 20}
tracking: {min_hits: 2}
logging: {tensorboard: false}
simulate: {recordings: 5, duration_s: 0.5, difficulty: easy}
"""
COMMANDS = (
    ("simulate", "-o", "night"),
    ("prepare",),
    ("train-layer", "conv2"),
    ("train-layer", "conv3"),
    ("evaluate",),
    ("sweep",),
    ("detect", "night", "-o", "found"),
)
"""What is run, one after another."""
UNDIGESTED = (".log", ".lock", ".digests")
"""Endings of files that tell of a time, hold nothing, or remember what was looked at."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code, negative for the signal that killed it, and what it said."""

    code: int
    said: str

    @property
    def errors(self) -> list[str]:
        """Lines of errors; one for each exit with 3, none else."""
        return [line for line in self.said.splitlines() if line.startswith("error")]

    @property
    def crashed(self) -> bool:
        """Whether it ended in a way that no command may: a signal of its own making, a traceback, an error of the program."""
        return self.code not in (0, 3, 130) or "Traceback" in self.said or "spikeseg itself" in self.said


class Chain:
    """A folder in which the chain runs.

    Attributes:
        folder: of the data, the runs and what is found.
        spoken: file outside of the folder that takes what commands say.
    """

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder, self.spoken = folder, scratch
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tiny.yaml").write_text(CONFIG)

    def start(self, words: Sequence[str], said: Path | None = None) -> int:
        """Start a command. -> its process."""
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, interrupts.SIGNALS)
        pid = os.fork()
        if not pid:
            _be(["spikeseg", words[0], "-c", "tiny.yaml", *words[1:]], self.folder, said or self.spoken)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, interrupts.SIGNALS)
        return pid

    def wait(self, pid: int, said: Path | None = None) -> Outcome:
        """The end of a command that was started."""
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return Outcome(status, (said or self.spoken).read_text(errors="replace") if (said or self.spoken).exists() else "")

    def run(self, words: Sequence[str]) -> Outcome:
        """A command from its start to its end."""
        return self.wait(self.start(words))

    def finish(self, commands: Sequence[Sequence[str]] = COMMANDS) -> Outcome:
        """The chain from wherever it is; the outcome of the first command that fails, or of the last."""
        done = Outcome(0, "")
        for words in commands:
            done = self.run(words)
            if done.code:
                break
        return done

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file, by its path; of manifests without what tells of the time and the machine."""
        return {path.relative_to(self.folder).as_posix(): digest(path) for path in self.files()}

    def files(self) -> list[Path]:
        """Every file that has a content of its own."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file() and not path.name.endswith(UNDIGESTED))

    def leftovers(self) -> list[str]:
        """What an unfinished command left."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if "partial" in path.name)

    def clear(self) -> None:
        """Empty the folder but for its configuration."""
        for path in self.folder.iterdir():
            if path.name != "tiny.yaml":
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _be(command: list[str], folder: Path, said: Path) -> NoReturn:
    """Be a process that runs a command. Signals wait until it handles them, as it does first of all."""
    hold_back = interrupts.hold_back

    def hold_back_now(**options: bool) -> Any:
        earlier = hold_back(**options)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, interrupts.SIGNALS)
        return earlier

    code = 1
    atexit._clear()  # what the parent wants to have done at its own end
    try:
        os.setsid()
        os.chdir(folder)
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.argv, interrupts.hold_back = command, hold_back_now
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()
    finally:
        os._exit(code)


def digest(path: Path) -> str:
    """SHA-256 of a file; of a manifest that is one, of its key and its outputs."""
    content = path.read_bytes()
    if path.name.endswith("manifest.json"):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            manifest = json.loads(content)
            content = json.dumps([manifest["key"], manifest["outputs"]], sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def unequal(first: dict[str, str], second: dict[str, str]) -> list[str]:
    """Files that only one has, or whose contents differ."""
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def kill(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def flip(path: Path, rng: np.random.Generator) -> int:
    """Flip one bit of a file, in place. -> which."""
    content = bytearray(path.read_bytes())
    bit = int(rng.integers(len(content) * 8))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    return bit
