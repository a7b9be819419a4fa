"""The code of docs/export.md, executed as it stands there: each block gives our spikes."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import spikeseg as ss
from spikeseg.export import files

TEXT = (Path(__file__).parents[2] / "docs/export.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
STEPS = "state, spikes = None, []\n" + BLOCKS[0].partition("state, spikes = None, []\n")[2]
"""What later blocks leave to the first."""


@pytest.mark.parametrize("kind", ["thresholds", "odd pool"])
@pytest.mark.parametrize(
    "needed", ["norse.torch.from_nir", "spikingjelly", "snntorch", "sinabs", "np.load"], ids=lambda word: word.partition(".")[0]
)
def test_a_file_is_run_as_shown(needed, kind, kinds, inputs, ours, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package = needed.partition(".")[0]
    if package != "np" and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    (code,) = (block for block in BLOCKS if needed in block)
    network = kinds[kind]
    for name in ("nir", "npz"):
        files.write(f"network.{name}", network, name)
    frames = inputs(network.size)[40:60]
    names = {"frames": torch.from_numpy(frames).float().transpose(0, 1).contiguous()}
    exec(compile(code if "spikes" in code else f"{code}import torch\n{STEPS}", "export.md", "exec"), names)
    spikes = names["spikes"]
    found = torch.stack(spikes) if isinstance(spikes, list) else spikes
    assert np.array_equal(found.transpose(0, 1).numpy(), ours(network, frames))


def test_a_leak_that_takes_a_share_is_run_as_shown(kinds, inputs, ours, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = (block for block in BLOCKS if "np.load" in block)
    network = kinds["share"]
    files.write("network.npz", network, "npz")
    frames = inputs(network.size)
    names = {"frames": torch.from_numpy(frames).float().transpose(0, 1)}
    exec(compile(code, "export.md", "exec"), names)
    assert np.array_equal(names["spikes"].transpose(0, 1).numpy(), ours(network, frames))


def test_a_network_is_a_norse_network_as_shown():
    (code,) = (block for block in BLOCKS if "to_norse" in block)
    frames = (np.random.default_rng(0).random((2, 10, 2, 24, 32)) < 0.1).astype(np.uint8)
    names = {"frames": torch.from_numpy(frames).float().transpose(0, 1)}
    exec(compile(code, "export.md", "exec"), names)
    expected = ss.load("nights", {"device": "cpu"}).model.infer(frames)["conv3"].lists.dense()
    assert expected.any() and np.array_equal(names["spikes"].transpose(0, 1).numpy(), expected)
