"""The commands in their order, as a user types them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch


def test_chain_writes_what_it_says(chain):
    (frames,) = (chain.folder / "data_cache" / "frames").glob("*/frames.zarr")
    (run,) = (chain.folder / "runs").iterdir()
    assert (frames.parent / "manifest.json").is_file()
    assert (run / "checkpoints" / "checkpoint_best.pt").is_file()
    assert len(list((run / "evaluate").glob("*/metrics.json"))) == 1


@pytest.mark.parametrize(
    ("words", "following"),
    [
        (["prepare"], "spikeseg train-layer conv2 -c tiny.yaml"),
        (["train-layer", "conv2"], "spikeseg train-layer conv3 -c tiny.yaml"),
        (["train-layer", "conv3"], "spikeseg evaluate -c tiny.yaml"),
        (["train"], "spikeseg evaluate -c tiny.yaml"),
        (["evaluate"], "spikeseg detect RECORDING"),
    ],
)
def test_second_run_is_up_to_date_and_names_what_comes_next(chain, words, following):
    last = chain.ok(*words).splitlines()[-1]
    assert last.startswith("up to date: ") and last.endswith(f"next: {following}")


def test_bare_evaluate_takes_the_newest_run_with_its_own_settings(chain):
    assert chain.ok("evaluate", config=False).splitlines()[-1].startswith("up to date: ")


def test_an_up_to_date_stage_imports_neither_torch_nor_tonic(chain):
    code = (
        "import sys; from spikeseg.pipelines.cli import main\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
        "print(sorted({'torch', 'norse', 'tonic', 'zarr', 'numba'} & set(sys.modules)))"
    )
    for words in (["prepare"], ["train-layer", "conv3"], ["evaluate"]):
        command = [sys.executable, "-c", code, *words, "-c", "tiny.yaml"]
        done = subprocess.run(command, cwd=chain.folder, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]", words


def test_two_folders_give_the_same_bits(chain, place):
    for words in (["train"], ["evaluate"]):
        place.ok(*words)

    def results(folder: Path) -> dict[str, bytes]:
        (metrics,) = (folder / "runs").glob("*/evaluate/*/metrics.json")
        (manifest,) = (folder / "data_cache" / "frames").glob("*/manifest.json")
        files = [metrics, *(path for path in manifest.parent.rglob("*") if path.is_file() and path != manifest)]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    def weights(folder: Path) -> dict[str, torch.Tensor]:
        (path,) = (folder / "runs").glob("*/checkpoints/conv3.pt")
        return torch.load(path, weights_only=True)["model"]

    assert results(place.folder) == results(chain.folder)
    ours, theirs = weights(place.folder), weights(chain.folder)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["train-layer", "conv2"], "run `spikeseg prepare -c tiny.yaml` first"),
        (["evaluate"], "`spikeseg train -c tiny.yaml` trains one"),
        (["detect", "x.npz"], "`spikeseg train -c tiny.yaml` trains one"),
    ],
)
def test_without_frames_the_command_that_makes_them_is_named(place, words, command):
    columns = {"t": np.arange(3), "x": np.arange(3), "y": np.arange(3), "p": np.ones(3, bool)}
    np.savez(place.folder / "x.npz", **columns, sensor_size=np.array([240, 180]))
    assert command in place.refused(*words)
    assert [path.name for path in place.folder.iterdir() if path.name != "x.npz"] == ["tiny.yaml"]


def test_without_a_layer_the_command_that_makes_it_is_named(place):
    place.ok("prepare")
    assert "run `spikeseg train-layer conv2 -c tiny.yaml` first" in place.refused("train-layer", "conv3")
    assert "whose conv2 is not trained; `spikeseg train -c tiny.yaml` trains one" in place.refused("evaluate")
    assert not (place.folder / "runs").exists()


def test_leaving_flags_out_keeps_the_values_of_the_file(chain):
    (config,) = (chain.folder / "runs").glob("*/config.yaml")
    text = config.read_text()
    assert "max_epochs: 1\n" in text and "device: cpu\n" in text and "conv2_channels: 4\n" in text


def test_flags_change_the_values_of_the_file(place):
    words = "--epochs 2 --n-classes 3 --seed 7 --name mine --output out --no-tensorboard --set data.test_ratio=0.5".split()
    said = place.ok("train", *words)
    text = (place.folder / "out" / "mine" / "config.yaml").read_text()
    assert "max_epochs: 2\n" in text and "n_classes: 3\n" in text and "seed: 7\n" in text and "test_ratio: 0.5\n" in text
    following = said.splitlines()[-1].partition("next: ")[2]
    assert following.split()[0] == "spikeseg"
    assert place.ok(*following.split()[1:], config=False).splitlines()[-1].startswith("wrote out/mine/evaluate/")
    (manifest,) = (place.folder / "data_cache" / "frames").glob("*/manifest.json")
    splits = json.loads(manifest.read_text())["splits"]
    assert sorted(splits.values()) == ["test", "test", "test", "train", "train"]
