"""Every number has bounds, values contradict each other nowhere, and files of any size or depth are refused in one line."""

import dataclasses
import typing

import pytest

from spikeseg.config import load_config, parse_overrides
from spikeseg.config.sections import Config
from spikeseg.errors import InputError
from spikeseg.models import SpikeSEG


def numbers(kind=Config, prefix=""):
    """(dotted key, default, limits) of every key that holds numbers."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from numbers(hint, f"{prefix}{field.name}.")
        elif {int, float} & {hint, *typing.get_args(hint)} and field.metadata["choices"] is None:
            yield f"{prefix}{field.name}", field.default, field.metadata


@pytest.mark.parametrize(("key", "default", "limits"), list(numbers()))
def test_every_number_is_bounded_on_both_sides(key, default, limits):
    assert limits["high"] is not None and (limits["low"] is not None or limits["above"] is not None), key
    for value in (10**18, -(10**18), 1e300, float("inf")):
        given = [value] * len(default) if isinstance(default, tuple) else value
        with pytest.raises(InputError, match=rf"^overrides: {key}: found .*, must be"):
            load_config(None, {key: given})


TRIED = {
    "data.n_timesteps": 10**5, "data.timestep_ms": 1e15, "data.input_height": 10**6, "model.conv2_channels": 10**9,
    "model.kernel_sizes": [10**6 + 1] * 3, "evaluation.slice_ms": 1e-30, "evaluation.radius_px": 1e30, "data.num_workers": 10**5,
    "evaluation.max_label_gap_ms": 1e30, "tracking.false_alarms_per_minute": 1e-300,
}  # fmt: skip
"""Values that were accepted once, and ended in a traceback or never."""


@pytest.mark.parametrize("key", TRIED)
def test_values_that_ended_in_a_traceback_are_refused(key):
    with pytest.raises(InputError, match=rf"^overrides: {key}: found .*, must be at"):
        load_config(None, {key: TRIED[key]})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"model.kernel_sizes": [1, 5, 7]}, "model.kernel_sizes: .* 3 or more for conv1"),
        ({"model.conv1_channels": 26}, "model.conv1_channels: found 26, must be at most 24 with use_dog_filters"),
        ({"model.kernel_sizes": [5, 63, 7]}, "model: conv2: potentials could reach .* use smaller kernels, fewer maps"),
        ({"model.conv2_channels": 2000}, "model: conv3: potentials could reach"),
        ({"stdp.weight_max": 10.0}, "model: conv3: potentials could reach .* weight 10"),
        ({"model.pool1_kernel": 64, "data.input_width": 32}, "model.pool1_kernel: found 64, .* data.input_width = 32"),
        (
            {"model.pool2_kernel": 64, "data.input_height": 100},
            "model.pool2_kernel: found 64, must be at most 50, all that is left",
        ),
        ({"data.fold": 3, "data.folds": 2}, "data.fold: found 3, must be at most data.folds = 2"),
        (
            {"data.n_timesteps": 1, "data.timestep_ms": 0.001, "data.window_overlap": 0.9},
            "data.window_overlap: .* not advance",
        ),
        ({"data.data_root": ""}, "data.data_root: found '', must be text"),
        ({"experiment_name": " "}, "experiment_name: found ' ', must be text"),
        ({"cache_dir": "a\0b"}, "cache_dir: found .*, must be text"),
        ({"output_dir": "a" * 5000}, "output_dir: found .*, must be text of 1 to 4095"),
        ({"model.conv1_scales": [1] * 65}, "model.conv1_scales: found '65 entries', must be a list of at most 64"),
        ({"seed": 16**6000}, "seed: found a number of thousands of digits, must be at most"),
        ({"a\nb": 3}, r"'a\\nb': unknown key"),
    ],
)
def test_values_that_contradict_each_other_are_refused(overrides, message):
    with pytest.raises(InputError, match=message) as caught:
        load_config(None, overrides)
    assert "\n" not in str(caught.value)


def test_a_line_of_yaml_that_grows_when_its_aliases_are_written_out_is_refused(tmp_path):
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    laughs += "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]\n" for k in range(1, 12))
    for text in (laughs, "model: &m {thresholds: *m}\n", "model: &m [*m]\n"):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(InputError, match=r"a.yaml: not valid YAML"):
            load_config(tmp_path / "a.yaml")
    with pytest.raises(InputError, match="--set model"):
        parse_overrides(["model=&m [*m]"])


def test_a_network_is_checked_for_the_weights_that_learning_may_reach():
    config = load_config(None, {"stdp.weight_max": 2.0})
    with pytest.raises(InputError, match=r"model: conv3: potentials could reach .* weight 3"):
        SpikeSEG.from_config(config.model, stdp=dataclasses.replace(config.stdp, weight_max=3.0))
