"""A tiny chain, run once: five recordings of half a second, a network of four maps."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spikeseg.pipelines.cli import main

TINY = """
experiment_name: tiny
device: cpu
max_epochs: 1
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
simulate: {recordings: 5, duration_s: 0.5, difficulty: easy}
"""


@dataclass(frozen=True)
class Place:
    """A folder with tiny.yaml in it, in which commands are run."""

    folder: Path

    def __call__(self, *words: str, config: bool = True) -> Result:
        """Run the command line in the folder; config: with the tiny configuration."""
        command = words[0]
        options = ["-c", "tiny.yaml"] if config else []
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            return CliRunner().invoke(main, [command, *options, *map(str, words[1:])])
        finally:
            os.chdir(before)

    def ok(self, *words: str, config: bool = True) -> str:
        """Run a command that must succeed; what it printed on stdout."""
        result = self(*words, config=config)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *words: str, config: bool = True) -> str:
        """Run a command that must be refused with one line and exit code 3; that line."""
        result = self(*words, config=config)
        assert result.exit_code == 3, result.output
        lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1 and "Traceback" not in result.output, result.output
        return lines[0]


def new_place(folder: Path) -> Place:
    """A folder with nothing but tiny.yaml."""
    folder.mkdir(exist_ok=True)
    (folder / "tiny.yaml").write_text(TINY)
    return Place(folder)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty folder to run commands in."""
    return new_place(tmp_path / "place")


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder in which everything up to `evaluate` has been run; tests leave it as it is."""
    place = new_place(tmp_path_factory.mktemp("chain"))
    place.ok("prepare")
    place.ok("train-layer", "conv2")
    place.ok("train-layer", "conv3")
    place.ok("evaluate")
    return place


@pytest.fixture
def copied(chain: Place, tmp_path: Path) -> Place:
    """A copy of the chain's folder, to change at will."""
    shutil.copytree(chain.folder, tmp_path / "copied")
    return Place(tmp_path / "copied")
