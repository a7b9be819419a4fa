"""What users of another implementation type: its quick start and loop, as docs/other-implementation.md has them, its
configuration, its lists of recordings."""

import re
import warnings
from importlib import resources
from pathlib import Path

import torch
import yaml

from spikeseg.config import load_config
from spikeseg.pipelines.stages import prepare, runs

DOCUMENT = Path(__file__).parents[2] / "docs" / "other-implementation.md"


def test_its_quick_start_and_its_loop_run_as_they_stand_there(capsys):
    assert DOCUMENT.name == "other-implementation.md"
    torch.manual_seed(0)
    start, loop = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    known: dict = {}
    exec(compile(start, "quick start", "exec"), known)
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == [f"t={t}" for t in range(10)]
    assert known["saliency"].shape == (1, 128, 128) and known["encoder_output"].has_spikes
    before = known["model"].encoder.conv2.weight.clone()
    exec(compile(loop, "loop", "exec"), known)
    learner, wta = known["learner"], known["wta"]
    assert len(learner.convergence_history) == wta.statistics["total_winners"] > 0
    assert not torch.equal(known["model"].encoder.conv2.weight, before)


def test_its_configuration_trains_on_recordings_dealt_out_by_its_lists(chain):
    (root,) = chain.folder.glob("data_cache/simulated/*/EBSSA")
    content = yaml.safe_load((resources.files("spikeseg.configs") / "config.yaml").read_text())
    content |= {"device": "cuda", "max_epochs": 1}
    content["data"] |= {"data_root": "/path/to/EBSSA", "pin_memory": True, "input_channels": 1, "windows_per_recording": 1}
    content["logging"]["tensorboard"] = False
    (chain.folder / "config.yaml").write_text(yaml.safe_dump(content))
    (chain.folder / "train.txt").write_text("/path/to/EBSSA/DAVIS_0000.mat\nDAVIS_0003.mat\n")
    (chain.folder / "val.txt").write_text("DAVIS_0001.mat\n")
    lists = ("--train-recordings", "train.txt", "--val-recordings", "val.txt")
    with warnings.catch_warnings(action="ignore"):
        said = chain.ok(
            "train", "-c", "config.yaml", "--data-root", root, *lists, "--device", "cpu", "--name", "theirs", config=False
        )
    assert said.startswith("conv2: C_l") and "after 2 samples" in said
    with warnings.catch_warnings(action="ignore"):
        network = runs.network_at(chain.folder / "runs" / "theirs")
        cfg = load_config(network.folder / "config.yaml")
        assert cfg.data.train_recordings == "train.txt" and cfg.data.input_channels == 1
    manifest = prepare.read_manifest(chain.folder / "data_cache" / "frames" / network.frames_key / "manifest.json")
    assert [manifest["splits"][f"DAVIS_000{n}"] for n in range(5)] == ["train", "val", "test", "train", "test"]
