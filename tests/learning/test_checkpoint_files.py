"""Networks as safetensors files: the same bytes again, and checked as any checkpoint is."""

import io
import json

import numpy as np
import pytest
import torch
from rewriting import rewrite
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from spikeseg.config.load import load_config
from spikeseg.errors import InputError
from spikeseg.learning import checkpoint
from spikeseg.learning.checkpoint_files import FORMAT, INDEX_BYTES
from spikeseg.motion.footprint import Footprint

CONFIG = load_config(None, {"model.conv2_channels": 5, "model.n_classes": 2, "wta.enable_homeostasis": False})


@pytest.fixture(scope="module")
def model():
    built = checkpoint.build(CONFIG)
    built.footprint = Footprint.point(0.7).share
    built.encoder.drives = {"conv2": 0.1 / 3, "conv3": 0.25}
    return built


@pytest.fixture
def path(tmp_path, model):
    with (tmp_path / "some.safetensors").open("wb") as file:
        checkpoint.save_safetensors(file, model, CONFIG)
    return tmp_path / "some.safetensors"


def refused(path) -> str:
    with pytest.raises(InputError) as caught:
        checkpoint.load(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and "\n" not in line and len(line) < 900
    return line


def changed(path, tensors=lambda _: None, texts=lambda _: None):
    """The file with changed tensors and texts, written by safetensors itself."""
    content = load_file(path)
    with safe_open(path, "pt") as opened:
        told = json.loads(opened.metadata()[FORMAT])
    tensors(content)
    texts(told)
    save_file(content, path, {FORMAT: json.dumps(told)})
    return path


def test_what_was_saved_is_loaded_and_saved_to_the_same_bytes(path, model):
    loaded, meta = checkpoint.load(path)
    own = model.encoder.state_dict()
    assert all(torch.equal(tensor, own[name]) for name, tensor in loaded.encoder.state_dict().items())
    assert np.array_equal(loaded.footprint, model.footprint) and loaded.encoder.drives == model.encoder.drives
    assert meta.keys() == {"config"}
    again = io.BytesIO()
    checkpoint.save_safetensors(again, loaded, meta["config"])
    assert again.getvalue() == path.read_bytes()


def test_it_is_the_network_of_a_checkpoint(path, tmp_path, model):
    checkpoint.save(tmp_path / "some.pt", model, CONFIG)
    (first, one), (second, other) = checkpoint.load(path), checkpoint.load(tmp_path / "some.pt")
    assert one["config"] == other["config"] and first.encoder.drives == second.encoder.drives
    assert {name: value.tolist() for name, value in first.encoder.state_dict().items()} == {
        name: value.tolist() for name, value in second.encoder.state_dict().items()
    }


def test_without_a_footprint_and_drives_it_has_none(tmp_path):
    with (tmp_path / "a.safetensors").open("wb") as file:
        checkpoint.save_safetensors(file, checkpoint.build(CONFIG), CONFIG)
    loaded, _ = checkpoint.load(tmp_path / "a.safetensors")
    assert loaded.footprint is None and loaded.encoder.drives == {}


@pytest.mark.parametrize(
    ("tensors", "texts", "said"),
    [
        (lambda t: t["conv2.weight"].mul_(0.5), lambda _: None, "its checksum is not that of its content"),
        (lambda _: None, lambda told: told["drives"].update(conv2=0.5), "its checksum is not that of its content"),
        (lambda _: None, lambda told: told.pop("sha256"), "its checksum is not that of its content"),
        (lambda t: t.pop("conv3.threshold"), lambda _: None, "conv3.threshold is missing in the checkpoint"),
        (lambda t: t.update(more=torch.ones(3)), lambda _: None, "more is missing in the configuration"),
        (lambda t: t.update({"conv2.weight": torch.zeros(5, 4, 5, 5).half()}), lambda _: None, "conv2.weight holds"),
        (lambda t: t.update(footprint=torch.zeros(2, 3, 3)), lambda _: None, "footprint is (2, 3, 3)"),
        (lambda _: None, lambda told: told["config"]["model"].update(conv2_channels=7), "the configuration asks for (7,)"),
        (lambda _: None, lambda told: told["config"]["model"].update(conv2_channels=10**9), "must be at most 4095"),
        (lambda _: None, lambda told: told.update(version=2), "checkpoint version 2, this program reads 1"),
        (lambda _: None, lambda told: told.pop("config"), "no model and config"),
    ],
)
def test_what_is_not_as_it_was_written_is_refused(path, tensors, texts, said):
    assert said in refused(changed(path, tensors, texts))


def test_a_number_that_no_training_gives_is_refused_though_the_checksum_holds(tmp_path, model):
    wrong = checkpoint.build(CONFIG)
    wrong.encoder.conv2.weight[0, 0, 0, 0] = float("nan")
    with (tmp_path / "a.safetensors").open("wb") as file:
        checkpoint.save_safetensors(file, wrong, CONFIG)
    assert "conv2.weight[0, 0, 0, 0]: found nan, must be a number from 0 to 1" in refused(tmp_path / "a.safetensors")


def test_a_file_of_somebody_else_is_refused(path):
    save_file({"a": torch.ones(3)}, path)
    assert "not a spikeseg checkpoint" in refused(path)
    save_file({"a": torch.ones(3)}, path, {FORMAT: "[" * 100_000})
    assert "not a readable checkpoint" in refused(path)
    save_file({"a": torch.ones(3)}, path, {FORMAT: "3"})
    assert "not a spikeseg checkpoint" in refused(path)


def test_an_index_that_is_too_large_is_refused_unread(path):
    path.write_bytes((INDEX_BYTES + 1).to_bytes(8, "little") + b"{" + bytes(100))
    assert "its index is larger" in refused(path)


@pytest.mark.parametrize("seed", range(3))
def test_random_flips_and_cuts_are_found_or_do_not_matter(path, model, seed):
    whole, rng = path.read_bytes(), np.random.default_rng(seed)
    for _ in range(60):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole) if rng.random() < 0.5 else 4000, rng.integers(1, 5)).tolist():
            damaged[at] ^= 1 << int(rng.integers(8))
        if rng.random() < 0.3:
            del damaged[int(rng.integers(len(whole))) :]
        rewrite(path, damaged)
        try:
            loaded, _ = checkpoint.load(path)
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
        else:
            own = model.encoder.state_dict()
            assert all(torch.equal(tensor, own[name]) for name, tensor in loaded.encoder.state_dict().items())
