"""What is carried out of a network, and what is said to be left out."""

import numpy as np
import pytest
import torch

import spikeseg as ss
from spikeseg.core.leak import LeakMode
from spikeseg.errors import InputError
from spikeseg.export.description import describe, from_geometry


def named(network):
    return {loss.name: loss.text for loss in network.losses}


def test_layers_are_those_that_convolve():
    network = ss.load("nights", {"device": "cpu"})
    described = describe(network.model, network.config)
    assert described.size == (180, 240) and described.sizes == [(180, 240), (90, 120), (45, 60)]
    for layer, own in zip(described.layers, network.model.encoder.chain(), strict=True):
        assert np.array_equal(layer.weight * 4096, np.round(own.weight.numpy() * 4096)) and layer[3:] == own[2:]
        assert np.array_equal(layer.threshold * 4096, np.round(own.threshold.numpy() * 4096))
    assert described.notes["step_ms"] == 100.0 and "counts of events" in described.notes["input"]


def test_what_follows_the_input_is_named_as_lost():
    nights, scenes = (ss.load(name, {"device": "cpu"}) for name in ("nights", "scenes"))
    assert set(named(describe(nights.model, nights.config))) == {"background", "decoder", "motion"}
    lost = named(describe(scenes.model, scenes.config))
    assert set(lost) == {"drive", "decoder"} and "conv2 and conv3" in lost["drive"]


def test_an_even_background_gives_the_thresholds_that_it_gives_in_inference():
    network = ss.load("nights", {"device": "cpu"})
    model, rate = network.model, 0.02
    raised = describe(model, network.config, (24, 32), background=rate)
    assert "even background of 0.02" in named(raised)["background"]
    frames = (np.random.default_rng(0).random((4, 10, 2, 24, 32)) < 0.05).astype(np.uint8)
    expected = model.infer(frames, np.full((4, 2, 3, 4), rate, np.float32))["pool1"].lists
    model.encoder.conv1.threshold.copy_(torch.from_numpy(raised.layers[0].threshold))
    assert len(expected.sites) and np.array_equal(model.infer(frames)["pool1"].lists.sites, expected.sites)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (0, 10)}, "size: found 10x0, sides must be 1 to 8192 px"),
        ({"background": -1.0}, "background: found -1, must be 0 to 1000 events"),
        ({"background": float("nan")}, "background: found nan"),
    ],
)
def test_what_no_network_runs_at_is_refused(options, message):
    network = ss.load("nights", {"device": "cpu"})
    with pytest.raises(InputError, match=message):
        describe(network.model, network.config, **options)


def test_a_background_that_thresholds_do_not_follow_is_refused():
    scenes = ss.load("scenes", {"device": "cpu"})
    with pytest.raises(InputError, match="thresholds do not follow it"):
        describe(scenes.model, scenes.config, background=0.1)


def test_neurons_that_fire_without_input_are_refused():
    network = ss.load("nights", {"device": "cpu"})
    network.model.encoder.conv3.threshold.fill_(0.0001)
    with pytest.raises(InputError, match=r"conv3.threshold\[0\]: 0 on the grid"):
        describe(network.model, network.config)


def test_a_leak_that_no_format_knows_is_refused(monkeypatch):
    """A new mode of the neurons has to be thought of here, too."""
    network = ss.load("nights", {"device": "cpu"})
    monkeypatch.setattr(LeakMode, "has_floor", False)
    with pytest.raises(InputError, match=r"model.leak_mode: subtractive, which no format of export knows"):
        describe(network.model, network.config)


def test_geometry_stands_for_the_network(kinds):
    for network in kinds.values():
        arrays = {}
        for layer in network.layers:
            arrays |= {f"{layer.name}.weight": layer.weight, f"{layer.name}.threshold": layer.threshold}
        again = from_geometry(network.geometry(), arrays, "x")
        assert again.geometry() == network.geometry() and again.size == network.size
        with pytest.raises(InputError, match=r"x: not a network that spikeseg exported .*conv1.weight"):
            from_geometry(network.geometry(), arrays | {"conv1.weight": np.full_like(arrays["conv1.weight"], np.nan)}, "x")
    for geometry in (
        {},
        {"format": "other", "version": 1},
        {**network.geometry(), "layers": 3},
        {**network.geometry(), "version": 2},
    ):
        with pytest.raises(InputError, match="not a network that spikeseg exported"):
            from_geometry(geometry, arrays, "x")
