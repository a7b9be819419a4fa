"""Loading, merging and refusing configurations."""

import dataclasses
import hashlib
import typing

import pytest
import yaml

from spikeseg.config import PAPERS, dump, files, from_dict, load_config, merge_configs, parse_overrides, section_dict, to_dict
from spikeseg.config.sections import Config, ImagesConfig, ModelConfig, SimulateConfig, STDPConfig, WTAMode
from spikeseg.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:wta.threshold_min")  # one test expects it


def leaves(kind=Config, prefix=""):
    """(dotted key, type) of every value of the configuration."""
    for name, hint in typing.get_type_hints(kind).items():
        if name.startswith("_"):
            continue
        if dataclasses.is_dataclass(hint):
            yield from leaves(hint, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", hint


def test_the_reference_configuration_holds_the_defaults():
    assert load_config("config", {"data.data_root": None}) == Config()


def test_every_built_in_configuration_loads():
    for name in ("demo", "config", "files", "ebssa"):
        assert load_config(name).data.n_timesteps == 10
    for paper in PAPERS:
        assert load_config("demo", paper=paper) != load_config("demo")


def test_order_defaults_file_paper_overrides(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("stdp: {lr_plus: 0.5, lr_minus: 0.25}\nseed: 7\n")
    config = load_config(file, {"stdp.lr_minus": 0.125}, paper="kheradpisheh2018")
    assert (config.stdp.lr_plus, config.stdp.lr_minus, config.seed) == (0.004, 0.125, 7)
    assert load_config(file).stdp.lr_plus == 0.5


def test_overrides_may_be_flat_dotted_or_nested():
    for overrides in ({"stdp.lr_plus": 0.5, "max_epochs": 100}, {"stdp": {"lr_plus": 0.5}, "max_epochs": 100}):
        config = load_config(None, overrides)
        assert config.stdp.lr_plus == 0.5 and config.max_epochs == 100 and config.stdp.lr_minus == 0.03


def test_merge_changes_neither_argument():
    base, override = {"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"b": 5}, "e": {"f": 1}}
    merged = merge_configs(base, override)
    assert merged == {"a": {"b": 5, "c": [1]}, "d": 2, "e": {"f": 1}}
    merged["a"]["c"].append(2)
    merged["e"]["f"] = 9
    assert base == {"a": {"b": 1, "c": [1]}, "d": 2} and override == {"a": {"b": 5}, "e": {"f": 1}}


@pytest.mark.parametrize("name", ["demo", "config"])
def test_a_dumped_configuration_reads_back_equal(tmp_path, name):
    config = load_config(name)
    file = tmp_path / "config.yaml"
    file.write_text(dump(config))
    assert load_config(file) == config == from_dict(to_dict(config), "test")


def test_values_on_the_command_line_are_yaml():
    overrides = parse_overrides(["stdp.lr_plus=0.004", "data.input_height=null", "model.kernel_sizes=[3, 3, 3]", "device=cpu"])
    assert overrides == {"stdp.lr_plus": 0.004, "data.input_height": None, "model.kernel_sizes": [3, 3, 3], "device": "cpu"}
    assert load_config(None, parse_overrides(["convergence.delta_threshold=1e-4"])).convergence.delta_threshold == 1e-4
    for bad in ("stdp.lr_plus", "=3", "a=[1", "a=2026-13-45", "a=0x_", "a=" + "[" * 5000, "a={b: 1, b: 2}"):
        with pytest.raises(InputError, match="--set"):
            parse_overrides([bad])


@pytest.mark.parametrize(("key", "hint"), list(leaves()))
def test_every_key_refuses_another_type_by_name(key, hint):
    wrong = {"a": "mapping"} if hint is str or hint == str | None else "certainly not"
    with pytest.raises(InputError, match=rf"^overrides: {key}: found .* must be"):
        load_config(None, {key: wrong} if not isinstance(wrong, dict) else {key: [1]})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"stdp.lr_pluss": 1}, "overrides: stdp.lr_pluss: unknown key; the nearest is stdp.lr_plus"),
        ({"sedd": 1}, "overrides: sedd: unknown key; the nearest is seed"),
        ({"sdtp": {"lr_plus": 1}}, "overrides: sdtp: unknown key; the nearest is stdp"),
        ({"lr_plus": 1}, "overrides: lr_plus: unknown key; the nearest is stdp.lr_plus"),
        ({"n_clases": 1}, "overrides: n_clases: unknown key; the nearest is model.n_classes"),
        ({"data.transforms": {"name": "Denoise"}}, "overrides: data.transforms: found .* must be a list of"),
        ({"seed": 2**32}, "overrides: seed: found 4294967296, must be at most 4294967295"),
        ({"stdp.lr_plus": 10**400}, "overrides: stdp.lr_plus: found 10*, must be a number"),
        ({"seed": True}, "overrides: seed: found True, must be a whole number"),
        ({"train_conv2": 1}, "overrides: train_conv2: found 1, must be true or false"),
        ({"stdp.lr_plus": float("nan")}, "overrides: stdp.lr_plus: found nan, must be a number"),
        ({"stdp": 3}, "overrides: stdp: found 3, must be a section"),
        ({"stdp.rule": "mine"}, "overrides: stdp.rule: found 'mine', must be one of multiplicative, additive"),
        ({"stdp.rule": 3}, "overrides: stdp.rule: found 3, must be text"),
        ({"wta.mode": "all"}, "overrides: wta.mode: found 'all', must be one of global, local, both"),
        ({"model.n_classes": 0}, "overrides: model.n_classes: found 0, must be at least 1"),
        ({"data.train_ratio": 1.5}, "overrides: data.train_ratio: found 1.5, must be at most 1"),
        ({"data.timestep_ms": 0.0}, "data.timestep_ms: found 0.0, must be at least 0.001"),
        ({"data.sensor": "DVS"}, "data.sensor: found 'DVS', must be one of ATIS, DAVIS, all"),
        ({"data.transforms": ["DropPixel"]}, "data.transforms: found .* must be a list of"),
        ({"model.thresholds": [1.0, 2.0]}, "model.thresholds: found .* three values, one per layer"),
        ({"model.kernel_sizes": [4, 5, 7]}, "model.kernel_sizes: found .* odd"),
        ({"model.conv1_scales": []}, "model.conv1_scales: found .* different scales"),
        ({"model.conv1_scales": [1, 2, 2]}, "model.conv1_scales: found .* different scales"),
        ({"model.conv1_scales": [0]}, "model.conv1_scales: found 0, must be at least 1"),
        ({"model.conv1_scales": [2], "train_conv1": True}, r"model.conv1_scales: found \[2\].* with train_conv1"),
        ({"model.pool1_stride": 3}, "model.pool1_stride: found 3, must be at most model.pool1_kernel = 2"),
        ({"stdp.weight_min": 1.0}, "stdp.weight_min: found 1.0, must be below stdp.weight_max = 1"),
        ({"stdp.weight_init_mean": 2.0}, "stdp.weight_init_mean: found 2.0, must be within 0 to 1"),
        ({"wta.threshold_min": 200.0}, "wta.threshold_min: found 200.0, must be below"),
        ({"homeostasis.theta_rest": 11.0}, "homeostasis.theta_rest: found 11.0, must be at most theta_max = 10"),
        ({"model.thresholds": [0.0, 1.0, 1.0]}, "model.thresholds: .* conv1 ends above 0"),
        ({"model.leak_mode": "multiplicative", "model.leaks": [2.0, 0.0, 0.0]}, "model.leaks: .* at most 1"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(overrides, message):
    with pytest.raises(InputError, match=message) as caught:
        load_config(None, overrides)
    assert "\n" not in str(caught.value)


def test_the_file_is_named(tmp_path):
    file = tmp_path / "mine.yaml"
    for text, message in (
        ("stdp: {lr_plus: fast}", r"mine.yaml: stdp.lr_plus: found 'fast', must be a number"),
        ("stdp: {lr_plus: 0.1", r"mine.yaml: not valid YAML at line \d"),
        ("seed: 1\nseed: 2", r"mine.yaml: not valid YAML at line 2 \(seed stands twice\)"),
        ("- 1", r"mine.yaml: holds a list"),
        ("1: 2", r"mine.yaml: key 1, must be text"),
        ("!!python/object/apply:os.system ['true']", r"mine.yaml: not valid YAML"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=message):
            load_config(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"mine.yaml"):
        load_config(file)
    file.write_text("")
    assert load_config(file) == Config()


def test_unknown_sources_list_what_there_is():
    with pytest.raises(InputError, match=r"demoo: no such configuration; .*demo.*igarss2023.*; nearest: demo"):
        load_config("demoo")
    with pytest.raises(InputError, match=r"nowhere.yaml: no such configuration file"):
        load_config("nowhere.yaml")
    with pytest.raises(InputError, match="paper: 'kirkland', must be one of igarss2023, kheradpisheh2018"):
        load_config(None, paper="kirkland")


def test_contradicting_thresholds_warn():
    with pytest.warns(UserWarning, match=r"wta.threshold_min = 1 exceeds the lowest threshold of a learned layer \(0.2\)"):
        load_config("config")


def test_presets_hold_what_the_papers_say():
    igarss, kherad = load_config(None, paper="igarss2023"), load_config(None, paper="kheradpisheh2018")
    assert (igarss.stdp.lr_plus, igarss.stdp.lr_minus) == (0.04, 0.03)
    assert (igarss.stdp.weight_init_mean, igarss.stdp.weight_init_std) == (0.8, 0.01)
    assert igarss.model.leaks[0] == pytest.approx(0.9 * igarss.model.thresholds[0]) and igarss.model.leaks[2] == 0
    assert igarss.model.kernel_sizes == (5, 5, 7) and igarss.data.n_timesteps == 10
    assert (kherad.stdp.lr_plus, kherad.stdp.lr_minus, kherad.stdp.weight_init_std) == (0.004, 0.003, 0.05)
    assert kherad.model.leaks == (0, 0, 0) and kherad.wta.mode is WTAMode.BOTH


def test_yaml_of_the_dump_is_plain():
    assert yaml.safe_load(dump(Config()))["wta"]["mode"] == "both"


def test_a_folder_named_like_a_built_in_configuration_does_not_hide_it(tmp_path, monkeypatch):
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_config("demo").experiment_name == "demo"


DUMPS = {
    "demo": "3199fda425a6707d4db060cfb65619bbfb80c4a8f2aa875e32dcf621f7968037",
    "config": "70179d9e5898c1615161e9c125805ce4ce3cdf4eb1f110e1152d46849cdee532",
    "kheradpisheh2018_mnist": "6fa54c9575781043480f4f94e5f646bf940b487d51db522c5d460d86aad7b8a9",
}
"""SHA-256 of the dumps before stdp.rule came, on the device that was the default then: a new key must not change what runs,
manifests and checkpoints hold."""


@pytest.mark.parametrize("name", DUMPS)
def test_a_dump_is_byte_for_byte_what_it_was(name):
    assert hashlib.sha256(dump(load_config(name, {"device": "cuda"})).encode()).hexdigest() == DUMPS[name]


def test_a_key_that_is_omitted_at_its_default_shows_when_it_is_set():
    assert "rule" not in section_dict(STDPConfig()) and "rule" not in to_dict(Config())["stdp"]
    config = load_config(None, {"stdp.rule": "additive"})
    assert "noise" not in section_dict(SimulateConfig()) and section_dict(SimulateConfig(noise="measured"))["noise"] == "measured"
    assert section_dict(config.stdp)["rule"] == to_dict(config)["stdp"]["rule"] == "additive"
    assert from_dict(to_dict(config), "test") == config
    assert not {"conv1_scales", "adaptive_thresholds"} & set(to_dict(Config())["model"])
    config = load_config(None, {"model.conv1_scales": [1, 2], "model.adaptive_thresholds": True})
    assert from_dict(to_dict(config), "test") == config
    assert [(layer.channels, layer.kernel) for layer in config.layers()] == [(8, 9), (36, 5), (1, 7)]


def test_the_dictionary_of_a_section_is_its_own():
    config = Config()
    section_dict(config)["data"]["transforms"][0]["name"] = "changed"
    assert config.data.transforms[0]["name"] == "DropPixel"
    assert {**dataclasses.asdict(config.evaluation)} == section_dict(config.evaluation)
    assert dataclasses.asdict(config.wta)["mode"] is section_dict(config.wta)["mode"] is WTAMode.BOTH


def test_the_list_of_layers():
    config = load_config(
        None, {"model.conv2_channels": 7, "model.n_classes": 2, "model.pool2_kernel": 3, "model.leaks": [0.3, 0.2, 0.1]}
    )
    layers = config.model.layers()
    assert [(s.name, s.index, s.channels, s.kernel, s.leak) for s in layers] == [
        ("conv1", 1, 4, 5, 0.3), ("conv2", 2, 7, 5, 0.2), ("conv3", 3, 2, 7, 0.1),
    ]  # fmt: skip
    assert [s.pool and tuple(s.pool) for s in layers] == [("pool1", 2, 2), ("pool2", 3, 2), None]
    assert [s.output for s in layers] == ["pool1", "pool2", "conv3"]
    assert [s.learned for s in layers] == [False, True, True]
    assert config.model.layer("conv2") == layers[1]
    with pytest.raises(InputError, match="layer: 'conv4', must be one of conv1, conv2, conv3"):
        config.model.layer("conv4")


def test_what_is_trained_is_said_by_the_switches():
    config = load_config(None, {"train_conv1": True, "train_conv2": False})
    assert config.learned_layers() == ["conv1", "conv3"] and [s.learned for s in config.layers()] == [True, False, True]
    assert Config().learned_layers() == ["conv2", "conv3"] and Config().layers() == Config().model.layers()


def test_a_section_of_a_paper_with_changes():
    assert ModelConfig.from_paper("igarss2023", n_classes=1) == load_config(None, {"model.n_classes": 1}, "igarss2023").model
    assert ImagesConfig.from_paper("kheradpisheh2018") == load_config(None, paper="kheradpisheh2018").images
    with pytest.raises(InputError, match=r"overrides: stdp.lr_pluss: unknown key; the nearest is stdp.lr_plus"):
        STDPConfig.from_paper("igarss2023", lr_pluss=1)
    with pytest.raises(InputError, match=r"overrides: model.kernel_sizes: found .* odd"):
        ModelConfig.from_paper("igarss2023", kernel_sizes=(4, 5, 7))
    with pytest.raises(InputError, match="paper: 'kirkland', must be one of"):
        STDPConfig.from_paper("kirkland")


def test_what_is_done_with_a_configuration_does_not_show_in_the_next_reading(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("model: {thresholds: [1, 2, 3]}")
    files.read(path)["model"]["thresholds"].append(4)
    assert files.read(path) == {"model": {"thresholds": [1, 2, 3]}}
