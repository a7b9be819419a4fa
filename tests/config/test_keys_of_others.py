"""Keys and calls that users of another implementation bring along (docs/other-implementation.md)."""

import numpy as np
import pytest
import yaml

from spikeseg.config import from_dict, load_config, merge_configs, to_dict
from spikeseg.config.sections import Config
from spikeseg.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:wta.threshold_min")

THEIRS = """
experiment_name: spikeseg_training
max_epochs: 10
max_samples_per_epoch: 500
clear_cache_interval: 1000
gradient_checkpointing: false
data:
  dataset: ebssa
  data_root: ./data
  include_unlabelled: true
  num_workers: 4
  pin_memory: true
  timestep_ms: 100.0
  input_channels: 1
  shuffle_train: true
  shuffle_val: false
  train_ratio: 1.0
  windows_per_recording: 5
  window_overlap: 0.5
  augmentation: {enabled: true, flip_vertical: true, drop_rate: 0.1, noise_rate: 0.05, random_crop: [96, 96]}
logging: {print_model_summary: true}
"""


def test_their_configuration_loads_and_what_steers_their_loader_is_told(tmp_path):
    file = tmp_path / "theirs.yaml"
    file.write_text(THEIRS)
    with pytest.warns(UserWarning, match="has no effect") as told:
        config = load_config(file)
    assert {str(w.message).split(": ")[1] for w in told if "no effect" in str(w.message)} == {
        "data.pin_memory", "data.shuffle_val", "clear_cache_interval", "gradient_checkpointing", "logging.print_model_summary",
    }  # fmt: skip
    assert all(str(file) in str(w.message) for w in told if "no effect" in str(w.message))
    assert config.data.input_channels == 1 and config.data.augmentation.random_crop == (96, 96)
    assert config.max_samples_per_epoch == 500 and config.data.windows_per_recording == 5
    assert from_dict(to_dict(config), "test") == config == from_dict(yaml.safe_load(yaml.safe_dump(to_dict(config))), "test")


def test_what_is_left_at_its_default_is_not_in_the_dictionary():
    held = to_dict(Config())
    assert not {"include_unlabelled", "windows_per_recording", "shuffle_train", "train_recordings"} & set(held["data"])
    assert set(held["data"]["augmentation"]) == {"enabled", "flip_horizontal", "flip_polarity"}
    assert "max_samples_per_epoch" not in held and "track_statistics" not in held["wta"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"data.augmentation.random_crop": [96]}, r"data.augmentation.random_crop: found \[96\], must be two numbers"),
        ({"data.augmentation.drop_rate": 1.0}, "data.augmentation.drop_rate: found 1.0, must be at most 0.99"),
        ({"stdp.growth_every": 10, "stdp.lr_plus": 0.2}, "stdp.lr_plus: found 0.2, must be above 0, and at most"),
        ({"data.input_channels": 3}, "data.input_channels: found 3, must be one of 1, 2"),
        ({"data.input_channels": 1, "data.augmentation.flip_polarity": True}, "flip_polarity: found True, must be false with"),
        ({"data.val_recordings": "val.txt"}, "data.val_recordings: found 'val.txt', must be given together with"),
        ({"data.train_recordings": "a.txt", "data.folds": 2, "data.fold": 1}, "data.train_recordings: .* null with data.folds"),
    ],
)
def test_what_contradicts_is_refused(overrides, message):
    with pytest.raises(InputError, match=message):
        load_config(None, overrides)


def test_configurations_are_merged_as_dictionaries_are():
    base = load_config("demo")
    merged = merge_configs(base, {"stdp": {"lr_plus": 0.5}, "data.input_channels": 1})
    assert merged == load_config("demo", {"stdp.lr_plus": 0.5, "data.input_channels": 1}) and base == load_config("demo")
    assert merge_configs(base, Config()) == Config() == merge_configs({"seed": 7}, Config())
    assert merge_configs(to_dict(base), {"seed": 7}) == {**to_dict(base), "seed": 7}
    with pytest.raises(InputError, match="overrides: sedd: unknown key"):
        merge_configs(base, {"sedd": 7})


def train(world, changes, layers=("conv2",)):
    return world.run(changes, layers)


def test_merged_polarities_go_through_every_stage(world):
    both = train(world, {}, ("conv2", "conv3"))
    run = train(world, {"data.input_channels": 1}, ("conv2", "conv3"))
    assert run.error is None and run.encoder.conv1.weight.shape[1] == 1
    frames, two = run.frames.windows(0)[1], both.frames.windows(0)[1]
    assert frames.shape[2] == 1 and np.array_equal(frames[:, :, 0], two.max(2))
    counts = train(world, {"data.input_channels": 1, "data.normalize": False}, ()).frames.windows(0)[1]
    assert np.array_equal(counts[:, :, 0], train(world, {"data.normalize": False}, ()).frames.windows(0)[1].sum(2))


def test_windows_per_recording(world):
    everything, few = train(world, {}), train(world, {"data.windows_per_recording": 2})
    trained = len(few.names("train"))
    assert few.metrics["samples"] == 2 * trained < everything.metrics["samples"]
    windows = everything.metrics["samples"] // trained
    of_first = [k for k in range(windows) if any(np.array_equal(few.spikes[i], everything.spikes[k]) for i in (0, 1))]
    assert set(of_first) >= {windows // 4, 3 * windows // 4}


def test_an_epoch_of_fewer_samples(world):
    run = train(world, {"data.timestep_ms": 10.0, "max_samples_per_epoch": 5, "max_epochs": 3})
    assert run.metrics["samples"] == 15 and run.metrics["epochs"] == 3
    assert train(world, {"max_samples_per_epoch": 10_000}).digest("checkpoints/conv2.pt") == train(world, {}).digest(
        "checkpoints/conv2.pt"
    )


def test_windows_in_their_order(world):
    ordered = train(world, {"data.shuffle_train": False})
    assert not np.array_equal(ordered.weight, train(world, {}).weight)
    assert np.array_equal(ordered.weight, train(world, {"data.shuffle_train": False, "data.num_workers": 0}).weight)


@pytest.mark.parametrize(
    "change",
    [{"flip_vertical": True}, {"random_crop": [8, 8]}, {"drop_rate": 0.5}, {"noise_rate": 1.0}],
    ids=lambda change: next(iter(change)),
)
def test_every_key_of_augmentation_acts(world, change):
    run = train(world, {f"data.augmentation.{name}": value for name, value in change.items()})
    before = train(world, {})
    assert run.error is None and len(run.spikes) == len(before.spikes)
    if "random_crop" in change:
        assert run.spikes.shape[-2:] == (4, 4)
    else:
        assert not np.array_equal(run.spikes, before.spikes)


def test_recordings_without_labels_can_be_left_out(world):
    run = train(world, {"data.include_unlabelled": False}, ())
    assert run.error == "data.include_unlabelled: false, but none of the 4 recordings is labelled"


def test_recordings_dealt_out_by_lists(world, tmp_path):
    lists = {"train": "# dealt\nr2\n\n/elsewhere/r0.npz\n", "val": "r3.npz\n"}
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
    changes = {"data.train_recordings": str(tmp_path / "train"), "data.val_recordings": str(tmp_path / "val")}
    run = train(world, changes, ())
    assert [run.names(split) for split in ("train", "val", "test")] == [{"r0", "r2"}, {"r3"}, {"r1"}]
    (tmp_path / "train").write_text("r1\n")
    assert world.fresh(changes, ()).names("train") == {"r1"}
    for text, message in (
        ("r9\n", "data.train_recordings: lists r9, must be one of 4 recordings, such as r0"),
        ("r3\n", "data.val_recordings: lists r3.npz, which is already one that train has"),
        ("r1\nr1\n", f"{tmp_path}/train: lists r1 twice"),
        ("# r1\n", f"{tmp_path}/train: lists no recording; name one a line, by its name or its path"),
    ):
        (tmp_path / "train").write_text(text)
        assert world.fresh(changes, ()).error == message
    missing = world.fresh({"data.train_recordings": str(tmp_path / "none")}, ())
    assert missing.error == f"{tmp_path}/none: cannot be read as a list of recordings (No such file or directory)"
