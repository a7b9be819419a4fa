"""Checkpoints come back whole or are refused in one line, and run no code."""

import dataclasses
import io
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from rewriting import rewrite

import spikeseg
from spikeseg.config.load import from_dict, load_config, to_dict
from spikeseg.detection.network import load_network
from spikeseg.errors import InputError
from spikeseg.learning import checkpoint
from spikeseg.learning.footprint import untrained_footprint
from spikeseg.motion.footprint import Footprint
from spikeseg.ops.device import usable_device

SMALL = {"model.conv2_channels": 5, "model.n_classes": 2, "wta.enable_homeostasis": False}
CONFIG = load_config(None, {**SMALL, "device": usable_device()})


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self.marker}'",)


def trained():
    model = checkpoint.build(CONFIG)
    model.encoder.conv2.weight.mul_(0.5)
    model.encoder.conv3.threshold.add_(torch.tensor([0.25, 3.0]))
    return model


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "some.pt"
    checkpoint.save(path, trained(), CONFIG, progress={"epoch": 3, "best": 0.125, "last": None, "names": ["a"]})
    return path


def refused(path) -> str:
    with pytest.raises(InputError) as caught:
        checkpoint.load(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and "\n" not in line
    return line


def same(a, b) -> bool:
    ours, theirs = a.encoder.state_dict(), b.encoder.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_was_saved_comes_back(saved):
    model, meta = checkpoint.load(saved)
    assert same(model, trained()) and not same(model, checkpoint.build(CONFIG))
    assert meta == {"config": CONFIG, "progress": {"epoch": 3, "best": 0.125, "last": None, "names": ["a"]}}


def test_saving_takes_a_copy(tmp_path):
    model = trained()
    with open(tmp_path / "some.pt", "wb") as file:
        checkpoint.save(file, model, CONFIG)
    model.encoder.conv2.weight.zero_()
    assert same(checkpoint.load(tmp_path / "some.pt")[0], trained())


def test_equal_content_is_equal_bytes_whichever_objects_hold_it(saved):
    """Pickle writes references where an object occurs twice, and equal strings are one object or two, as they came."""
    model, meta = checkpoint.load(saved)
    config = to_dict(meta["config"])
    word = "".join(("con", "v2"))
    shared, apart = [word, word, [1.5, 2]], ["".join(("conv", "2")), "conv2", [1.5, 2]]
    one, other = io.BytesIO(), io.BytesIO()
    checkpoint.save(one, model, from_dict(config, "one"), layer=shared, again=shared)
    checkpoint.save(other, model, from_dict(json.loads(json.dumps(config)), "other"), layer=apart, again=[*apart])
    assert one.getvalue() == other.getvalue()


def test_loads_with_weights_only(saved):
    content = torch.load(saved, weights_only=True)
    assert content["format"] == "spikeseg-checkpoint" and content["config"]["model"]["conv2_channels"] == 5
    assert torch.equal(content["model"]["conv3.threshold"], trained().encoder.conv3.threshold)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_bomb_is_refused_and_does_not_go_off(tmp_path, zipped):
    marker, path = tmp_path / "exploded", tmp_path / "bomb.pt"
    if zipped:
        torch.save({"format": "spikeseg-checkpoint", "version": 1, "model": Bomb(marker)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(marker)))
    assert "not a readable checkpoint" in refused(path)
    assert not marker.exists()
    if zipped:  # it is a bomb
        torch.load(path, weights_only=False)
        assert marker.exists()


def test_a_changed_byte_is_found_or_does_not_matter(saved):
    whole, original = saved.read_bytes(), trained()
    refusals = 0
    for position in range(0, len(whole), len(whole) // 150):
        rewrite(saved, whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        try:
            model, _ = checkpoint.load(saved)
        except InputError:
            refusals += 1
        else:
            assert same(model, original), position
    assert refusals > 100


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    assert "not a readable checkpoint" in refused(saved)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    assert "no such checkpoint; `spikeseg train` makes one" in refused(tmp_path / "missing.pt")
    assert "not a readable checkpoint" in refused(tmp_path)
    (tmp_path / "text.pt").write_text("weights")
    assert "not a readable checkpoint" in refused(tmp_path / "text.pt")
    for content, message in (
        ([1, 2], "not a spikeseg checkpoint"),
        ({"weight": torch.zeros(2)}, "not a spikeseg checkpoint"),
        ({"format": "spikeseg-checkpoint", "version": 99}, "version 99, this program reads 1"),
        ({"format": "spikeseg-checkpoint", "version": 1}, "no model and config"),
        ({"format": "spikeseg-checkpoint", "version": 1, "model": [], "config": {}}, "no model and config"),
        ({"format": "spikeseg-checkpoint", "version": 1, "model": {}, "config": {"sedd": 1}}, "the nearest is seed"),
    ):
        torch.save(content, tmp_path / "other.pt")
        assert message in refused(tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv2.weight": torch.zeros(6, 4, 5, 5)}, "(6, 4, 5, 5) in the checkpoint, but the configuration asks"),
        ({"conv9.weight": torch.zeros(1)}, "conv9.weight is missing in the configuration"),
        ({"conv3.threshold": None}, "conv3.threshold is a NoneType, must be a tensor"),
    ],
)
def test_tensors_of_another_network_are_named(saved, change, message):
    content = torch.load(saved, weights_only=True)
    content["model"].update(change)
    torch.save(content, saved)
    assert message in refused(saved)


def test_a_missing_tensor_is_named(saved):
    content = torch.load(saved, weights_only=True)
    del content["model"]["conv2.threshold"]
    torch.save(content, saved)
    assert "conv2.threshold is missing in the checkpoint" in refused(saved)


def test_the_untrained_control_keeps_filters_and_thresholds():
    model = trained()
    model.encoder.conv1.weight.mul_(0.5)
    control, fresh = checkpoint.untrained(model, CONFIG), checkpoint.build(CONFIG)
    for name, tensor in control.encoder.state_dict().items():
        drawn = name in ("conv2.weight", "conv3.weight")
        assert torch.equal(tensor, (fresh if drawn else model).encoder.state_dict()[name]), name
    assert not torch.equal(model.encoder.conv2.weight, control.encoder.conv2.weight)


# -- the footprint of the motion layer ----------------------------------------------------------------


def with_footprint(path, footprint):
    """A checkpoint whose entry "footprint" is this."""
    checkpoint.save(path, trained(), CONFIG, footprint=footprint)
    return path


def test_a_footprint_comes_back(tmp_path):
    model, path = trained(), tmp_path / "a.pt"
    model.footprint = untrained_footprint(7).share
    checkpoint.save(path, model, CONFIG)
    read, meta = checkpoint.load(path)
    assert read.footprint.tobytes() == model.footprint.tobytes() and read.footprint.dtype == np.float64
    assert meta == {"config": CONFIG}
    assert load_network(CONFIG, str(path), torch.device("cpu")).footprint.tobytes() == model.footprint.tobytes()
    assert spikeseg.load(path).model.footprint.tobytes() == model.footprint.tobytes()


def test_a_network_without_one_has_no_such_entry(saved):
    assert "footprint" not in torch.load(saved, weights_only=True)
    assert checkpoint.load(saved)[0].footprint is None and checkpoint.build(CONFIG).footprint is None


@pytest.mark.parametrize(
    ("footprint", "said"),
    [
        (
            torch.ones(2, 3, 3).double() / 18,
            "footprint is (2, 3, 3) in the checkpoint, but the configuration asks",
        ),
        (torch.full((2, 13, 13), float("nan")).double(), "footprint[0, 0, 0]: found nan, must be a number from 0 to 1"),
        (-torch.ones(2, 13, 13).double(), "footprint[0, 0, 0]: found -1"),
        (torch.ones(2, 13, 13).double(), "sum to 338, must be 1"),
        (torch.ones(2, 13, 13) / 338, "footprint holds torch.float32, torch.strided; must be dense torch.float64"),
        ("flat", "footprint is a str, must be a tensor"),
    ],
)
def test_what_is_no_footprint_is_refused(tmp_path, footprint, said):
    assert said in refused(with_footprint(tmp_path / "b.pt", footprint))


def test_an_untrained_network_has_an_untrained_footprint_where_it_has_a_motion_layer():
    model = trained()
    model.footprint = Footprint.point(1.0).share
    assert checkpoint.untrained(model, CONFIG).footprint is None
    moving = dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, motion=True))
    control = checkpoint.untrained(model, moving)
    assert control.footprint.tobytes() == untrained_footprint(CONFIG.seed).share.tobytes()


def test_drives_come_back_and_go_where_the_network_goes(tmp_path, caplog):
    config = load_config(None, {"model.conv2_channels": 5, "model.n_classes": 2, "model.adaptive_thresholds": True})
    model = trained()
    checkpoint.save(tmp_path / "without.pt", model, CONFIG)
    assert "drives" not in torch.load(tmp_path / "without.pt", weights_only=True)
    model.encoder.drives = {"conv2": 0.25, "conv3": 0.125}
    checkpoint.save(tmp_path / "with.pt", model, config)
    saved, meta = checkpoint.load(tmp_path / "with.pt")
    assert saved.encoder.drives == model.encoder.drives and "drives" not in meta
    device = torch.device("cpu")
    assert load_network(config, str(tmp_path / "with.pt"), device).encoder.drives == model.encoder.drives
    assert spikeseg.load(tmp_path / "with.pt", {"device": "cpu"}).model.encoder.drives == model.encoder.drives
    assert checkpoint.untrained(saved, config).encoder.drives == model.encoder.drives
    assert not caplog.messages
    assert load_network(config, str(tmp_path / "without.pt"), device).encoder.drives == {}
    (line,) = caplog.messages
    assert "without.pt: trained without model.adaptive_thresholds: those of conv3 stay as they are" in line
    checkpoint.save(tmp_path / "untrained.pt", checkpoint.build(config), config)
    load_network(config, str(tmp_path / "untrained.pt"), device)
    load_network(CONFIG, str(tmp_path / "without.pt"), device)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("drives", [3, {"conv9": 1.0}, {"conv2": "x"}, {"conv2": -1.0}, {"conv2": float("nan")}])
def test_drives_that_are_none_are_refused(saved, drives):
    content = torch.load(saved, weights_only=True)
    torch.save({**content, "drives": drives}, saved)
    assert "drives: found" in refused(saved)


def test_where_and_how_a_network_was_trained_changes_no_byte(tmp_path):
    elsewhere = {"device": "cuda:1", "backend": "cpu", "data.num_workers": 3, "cache_dir": "x", "data.data_root": "y",
                 "output_dir": "z", "experiment_name": "w", "logging.log_interval": 7, "checkpoint.keep_last_n": 9}  # fmt: skip
    for folder, more in (("a", {}), ("b", elsewhere)):
        (tmp_path / folder).mkdir()
        checkpoint.save(tmp_path / folder / "network.pt", trained(), load_config(None, {**SMALL, **more}))
    assert (tmp_path / "a/network.pt").read_bytes() == (tmp_path / "b/network.pt").read_bytes()
    assert checkpoint.load(tmp_path / "b/network.pt")[1]["config"].device == usable_device()
