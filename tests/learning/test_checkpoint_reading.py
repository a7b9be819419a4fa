"""Nothing in a checkpoint is used before it is checked: numbers, shapes, types, sizes; the first fault is named in one line."""

import copy
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rewriting import rewrite

from spikeseg.config.load import load_config
from spikeseg.errors import InputError
from spikeseg.learning import checkpoint
from spikeseg.learning.checkpoint_reading import check_progress, shapes_of
from spikeseg.learning.class_names import name_classes, names_in
from spikeseg.learning.run_files import CLASS_NAMES
from spikeseg.learning.trainer import LayerTrainer

CONFIG = load_config(None, {"model.conv2_channels": 5, "model.n_classes": 2, "wta.enable_homeostasis": False})
MODEL = checkpoint.build(CONFIG)
WEIGHT, THRESHOLD = "conv2.weight", "conv3.threshold"


@pytest.fixture
def path(tmp_path):
    checkpoint.save(tmp_path / "some.pt", MODEL, CONFIG)
    return tmp_path / "some.pt"


def changed(path: Path, change: Any) -> Path:
    """The checkpoint, whose content has gone through a function."""
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        checkpoint.load(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and "\n" not in line and len(line) < 900
    return line


@pytest.mark.parametrize(
    ("name", "place", "value", "said"),
    [
        (WEIGHT, (3, 0, 2, 1), float("nan"), "conv2.weight[3, 0, 2, 1]: found nan, must be a number from 0 to 1"),
        (WEIGHT, (0, 0, 0, 0), float("inf"), "conv2.weight[0, 0, 0, 0]: found inf"),
        (WEIGHT, (4, 3, 4, 4), -0.25, "conv2.weight[4, 3, 4, 4]: found -0.25"),
        (WEIGHT, (0, 0, 0, 1), 1.5, "conv2.weight[0, 0, 0, 1]: found 1.5"),
        ("conv1.weight", (1, 1, 0, 0), 3.0, "conv1.weight[1, 1, 0, 0]: found 3, must be a number from -1 to 1"),
        (THRESHOLD, (1,), float("nan"), "conv3.threshold[1]: found nan, must be a number from 0 to 2048"),
        (THRESHOLD, (0,), -1.0, "conv3.threshold[0]: found -1"),
        (THRESHOLD, (0,), 1e9, "conv3.threshold[0]: found 1e+09"),
        ("conv1.threshold", (2,), float("-inf"), "conv1.threshold[2]: found -inf"),
    ],
)
def test_a_number_that_no_training_gives_is_named_with_its_place(path, name, place, value, said):
    def change(content):
        content["model"][name][place] = value

    line = refused(changed(path, change))
    assert said in line and "train anew or take another checkpoint" in line


@pytest.mark.parametrize("bounds", [(-0.5, 0.5), (0.0, 1.0)])
def test_weights_may_reach_the_bounds_of_their_configuration(tmp_path, bounds):
    config = load_config(None, {"stdp.weight_min": bounds[0], "stdp.weight_max": bounds[1], "stdp.weight_init_mean": 0.25})
    model = checkpoint.build(config)
    model.encoder.conv2.weight[:10] = bounds[0]
    model.encoder.conv2.weight[10:] = bounds[1]
    checkpoint.save(tmp_path / "a.pt", model, config)
    assert torch.equal(checkpoint.load(tmp_path / "a.pt")[0].encoder.conv2.weight, model.encoder.conv2.weight)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("conv2_channels", 10**9, "model.conv2_channels: found 1000000000, must be at most 4095"),
        ("kernel_sizes", [5, 10**6 + 1, 7], "model.kernel_sizes: found 1000001, must be at most 63"),
        ("thresholds", [float("nan")] * 3, "model.thresholds: found nan, must be a number"),
        ("conv2_channels", 7, "conv2.threshold is (5,) in the checkpoint, but the configuration asks for (7,)"),
        ("conv2_channels", torch.ones(1), "model.conv2_channels: found"),
        ("kernel_sizes", [5] * 10**6, "model.kernel_sizes: found '1000000 entries', must be a list of at most 64"),
    ],
)
def test_the_configuration_inside_is_checked_before_anything_is_made_from_it(path, key, value, said):
    assert said in refused(changed(path, lambda content: content["config"]["model"].update({key: value})))


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (torch.zeros(5, 4, 5, 5, dtype=torch.float64), "conv2.weight holds torch.float64"),
        (torch.zeros(5, 4, 5, 5, dtype=torch.complex64), "conv2.weight holds torch.complex64"),
        (torch.zeros(5, 4, 5, 5).to_sparse(), "conv2.weight holds torch.float32, torch.sparse_coo"),
        (torch.zeros(1).expand(10**9, 4, 5, 5), "conv2.weight is (1000000000, 4, 5, 5) in the checkpoint"),
        (torch.zeros(0), "conv2.weight is (0,) in the checkpoint"),
    ],
)
def test_tensors_of_another_type_or_size_are_refused_unread(path, tensor, said):
    assert said in refused(changed(path, lambda content: content["model"].update({WEIGHT: tensor})))


def rezipped(path: Path, compression: int, more: dict[str, bytes], without: str = "never") -> Path:
    """The same parts in another zip, with some more."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist() if without not in name} | more
    path.unlink()  # see rewriting.rewrite
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_compressed_data_is_refused_before_it_is_inflated(path, monkeypatch):
    rezipped(path, zipfile.ZIP_DEFLATED, {"some/data/99": bytes(2**26)})
    assert path.stat().st_size < 2**20

    def inflated(*_: Any) -> None:
        raise AssertionError("was read")

    monkeypatch.setattr(zipfile.ZipFile, "open", inflated)
    monkeypatch.setattr(torch, "load", inflated)
    assert "it is compressed, which checkpoints are not" in refused(path)


def test_parts_that_lie_about_their_size_are_refused(path):
    content = path.read_bytes()
    at = content.rindex(b"PK\x01\x02")  # the last entry of the directory: its two sizes lie 20 and 24 bytes on
    huge = (2**31).to_bytes(4, "little")
    path.write_bytes(content[: at + 20] + huge + huge + content[at + 28 :])
    assert "its parts are larger than the file" in refused(path)


def test_parts_that_no_tensor_needs_are_refused(path):
    rezipped(path, zipfile.ZIP_STORED, {"some/data/99": bytes(1000)})
    assert "bytes of numbers, and its tensors need" in refused(path)


def test_an_index_of_a_hundred_megabytes_is_refused_unread(path):
    rezipped(path, zipfile.ZIP_STORED, {"some/data.pkl": bytes(2**25)})
    assert "its index is larger" in refused(path)


def test_a_missing_part_is_refused(path):
    rezipped(path, zipfile.ZIP_STORED, {}, without="data/3")
    assert "not a readable checkpoint" in refused(path)


def bombs(levels: int = 40) -> list[Any]:
    """A list of 2**levels entries, written as `levels` short lists."""
    laughs: list[Any] = ["ha"]
    for _ in range(levels):
        laughs = [laughs, laughs]
    return laughs


@pytest.mark.parametrize("key", ["drives", "readout", "progress", "format", "version", "config", "model"])
def test_lists_that_grow_when_they_are_written_out_do_no_harm(path, key):
    refused(changed(path, lambda content: content.update({key: bombs()})))
    changed(path, lambda content: content.update({key: {"a": bombs()}}))
    if key == "progress":  # what it holds is checked where training goes on
        with pytest.raises(InputError, match="trainer: is missing"):
            check_progress(checkpoint.load(path)[1]["progress"], CONFIG, "conv2", path)
    else:
        refused(path)


@pytest.mark.parametrize("seed", range(3))
def test_random_flips_and_cuts_are_found_or_do_not_matter(path, seed):
    whole, rng = path.read_bytes(), np.random.default_rng(seed)
    for _ in range(60):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 5)).tolist():
            damaged[at] ^= 1 << int(rng.integers(8))
        if rng.random() < 0.3:
            del damaged[int(rng.integers(len(whole))) :]
        rewrite(path, damaged)
        try:
            model, _ = checkpoint.load(path)
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
        else:
            own = MODEL.encoder.state_dict()
            assert all(torch.equal(tensor, own[name]) for name, tensor in model.encoder.state_dict().items())


def test_changed_pickles_never_end_in_a_traceback(path):
    """Damage that the checksums do not show, because they have been made anew."""
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        index = archive.read(name)
    whole, rng = path.read_bytes(), np.random.default_rng(5)
    for _ in range(150):
        damaged = bytearray(index)
        damaged[int(rng.integers(len(index)))] = int(rng.integers(256))
        rewrite(path, whole)
        rezipped(path, zipfile.ZIP_STORED, {name: bytes(damaged)})
        try:
            checkpoint.load(path)
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


@pytest.mark.parametrize(
    "readout",
    [3, {}, {"object_threshold": "x", "classes": None}, {"object_threshold": 0.5, "classes": [2]},
     {"object_threshold": float("nan"), "classes": None}],
)  # fmt: skip
def test_a_calibration_that_is_none_is_refused(path, readout):
    assert "`spikeseg sweep` again" in refused(changed(path, lambda content: content.update(readout=readout)))


# -- the state of training -----------------------------------------------------------------------------


def state_of_training() -> dict[str, Any]:
    config = load_config(None, {"model.conv2_channels": 5, "model.n_classes": 2})
    trainer = LayerTrainer(checkpoint.build(config), "conv2", config)
    trainer.step((torch.rand(4, 4, 9, 9, generator=torch.Generator().manual_seed(1)) < 0.3).float())
    trainer.convergence.check(trainer.layer.weight)
    return {
        "layer": "conv2", "key": "k", "epoch": 1, "position": 0, "best": 0.25, "reason": None, "trainer": trainer.state_dict(),
    }  # fmt: skip


def test_the_state_of_training_passes():
    check_progress(state_of_training(), CONFIG, "conv2", "a.pt")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("epoch", -1, "progress.epoch: found -1, must be a whole number from 0"),
        ("best", float("nan"), "progress.best: found nan"),
        ("reason", 3, "progress.reason: found 3"),
        ("trainer", None, "progress.trainer: is missing"),
        ("trainer.samples", 2.5, "progress.trainer.samples: found 2.5"),
        ("trainer.theta", torch.full((5,), float("nan")), "progress.trainer.theta[0]: found nan"),
        ("trainer.theta", torch.zeros(4), "theta is (4,) in the checkpoint"),
        ("trainer.wins", torch.full((5,), -1), "progress.trainer.wins[0]: found -1"),
        ("trainer.wins", None, "wins is a NoneType, must be a tensor"),
        ("trainer.generator", torch.zeros(3, dtype=torch.uint8), "generator is (3,)"),
        ("trainer.last_check", torch.zeros(3), "last_check is (3,)"),
        ("trainer.competition", torch.full((5, 9, 9), -1.0), "progress.trainer.competition[0, 0, 0]: found -1"),
        ("trainer.competition", torch.zeros(3, 9, 9), "competition is (3, 9, 9)"),
    ],
)
def test_a_state_of_training_that_is_none_is_refused(key, value, said):
    progress = copy.deepcopy(state_of_training())
    inside = progress["trainer"] if "." in key else progress
    inside[key.rpartition(".")[2]] = value
    with pytest.raises(InputError) as caught:
        check_progress(progress, CONFIG, "conv2", "a.pt")
    assert str(caught.value).startswith("a.pt: ") and said in str(caught.value)


# -- names -----------------------------------------------------------------------------------------------


def test_a_name_of_a_class_that_is_not_there_is_refused(tmp_path):
    name_classes(tmp_path, MODEL, {1: "satellite"})
    file = tmp_path / CLASS_NAMES
    file.write_text(file.read_text().replace("1: satellite", "9: satellite"))
    with pytest.raises(InputError, match=r"names class 9: the network's classes are 0 to 1"):
        names_in(tmp_path, MODEL)


def test_shapes_are_those_of_the_network():
    for config in (CONFIG, load_config("files"), load_config(None, {"train_conv1": True})):
        built = checkpoint.build(config).encoder.state_dict()
        assert shapes_of(config) == {name: tuple(tensor.shape) for name, tensor in built.items()}
