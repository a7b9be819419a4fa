"""What fits a Speck chip, and a network in its integers."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import spikeseg as ss
from spikeseg.core.leak import LeakMode
from spikeseg.core.sparse import SparseFrames
from spikeseg.errors import InputError
from spikeseg.export import speck
from spikeseg.export.description import Description, describe


@pytest.fixture(scope="module")
def nights():
    network = ss.load("nights", {"device": "cpu"})
    return network, describe(network.model, network.config, (64, 64))


def test_the_demos_network_fits_at_64_px(nights):
    _, network = nights
    chip = speck.fitted(network)
    assert all(layer.fits for layer in chip) and len({layer.core for layer in chip}) == 3
    for layer, (kernel, neurons) in zip(chip, [(512, 16384), (8192, 36864), (2304, 256)], strict=True):
        assert (layer.kernel, layer.neurons) == (kernel, neurons)
        assert layer.kernel <= speck.CORES[layer.core][0] and layer.neurons <= speck.CORES[layer.core][1]
    report = speck.report(network, chip, (180, 240), 42)
    assert report["fits"] and report["tiles"] == 12 and json.dumps(report)


def test_memory_is_what_sinabs_says(nights):
    validate = pytest.importorskip("sinabs.validate_memory_speck")
    for layer, own in zip(speck.fitted(nights[1]), nights[1].layers, strict=True):
        maps, channels, kernel = own.weight.shape[:3]
        side = 64 >> "123".index(own.name[-1])
        theirs = validate.ValidateMapping(
            channels, maps, (kernel, kernel), (1, 1), (kernel // 2, kernel // 2), [side, side], conv_2d=True
        )
        assert (theirs.calculate_kernel_memory(), theirs.calculate_neuron_memory()) == (layer.kernel, layer.neurons)


def test_what_does_not_fit_is_named(nights, kinds):
    whole = speck.fitted(replace(nights[1], size=(180, 240)))
    assert [check.name for check in whole[0].checks if not check.holds] == ["height of a map", "width of a map", "neuron memory"]
    assert not any(layer.fits for layer in whole[:2]) and "no core has both memories" in whole[1].faults
    (share,), (wide, _) = speck.fitted(kinds["share"]), speck.fitted(kinds["wide pool"])
    assert "takes a share" in share.faults[0] and "its pool is 3, every 2 px" in wide.faults[0]
    (layer,) = kinds["subtractive"].layers
    crowded = Description(tuple(layer._replace(name=f"conv{k}") for k in range(10)), (8, 8))
    assert [one.core for one in speck.fitted(crowded)].count(None) == 1
    assert any("the cores that hold it are taken" in one.faults for one in speck.fitted(crowded))
    faint = Description((layer._replace(leak=1 / 4096),), (8, 8))
    assert "less than half of the smallest" in speck.fitted(faint)[0].faults[0]


def test_integers_have_the_bits_of_the_chip(nights):
    for layer in speck.fitted(nights[1]):
        assert layer.weight.dtype == np.int8 and np.abs(layer.weight.astype(int)).max() == 127
        assert layer.leak.dtype == np.int8 and (layer.leak <= 0).all() and 0 < layer.threshold < 2**15


def test_the_network_in_integers_fires_as_integers_do(kinds):
    """One layer, step by step in whole numbers, beside the float network that is scored."""
    network = ss.new("demo", {"device": "cpu", "model.thresholds": [0.3, 1.0, 1.0], "model.leaks": [0.05, 0.1, 0.0]})
    chip = speck.fitted(describe(network.model, network.config, (20, 24)))
    model = speck.fixed_thresholds(speck.quantised(network.model, chip))
    frames = (np.random.default_rng(1).random((3, 6, 2, 20, 24)) < 0.1).astype(np.uint8)
    layer, own = chip[0], model.encoder.chain()[0]
    assert len(np.unique(layer.leak)) == 1 and own.mode is LeakMode.SUBTRACTIVE
    current = torch.nn.functional.conv2d(
        torch.from_numpy(frames).double().flatten(0, 1), torch.from_numpy(layer.weight).double(), padding=3
    ).unflatten(0, (3, 6))
    v, fired = torch.zeros_like(current[:, 0]), []
    for t in range(6):
        u = (v + current[:, t] + torch.from_numpy(layer.leak).double()[:, None, None]).clamp(min=0)
        fired.append(u >= layer.threshold)
        v = torch.where(fired[-1], 0.0, u)
    spikes = torch.stack(fired, 1)
    assert 0 < spikes.double().mean() < 1
    assert speck.input_spikes(model, SparseFrames.of(frames))[:2] == [int(frames.sum()), int(spikes.sum())]


def test_leaks_of_all_maps_come_out_nearly_alike(nights):
    network, description = nights
    chip = speck.fitted(description)
    model = speck.quantised(network.model, chip)
    for own, before, layer in zip(model.encoder.chain(), network.model.encoder.chain(), chip, strict=True):
        assert own.leak == pytest.approx(before.leak, rel=0.03)
        assert torch.allclose(own.weight, before.weight, atol=0.03) and torch.allclose(own.threshold, before.threshold, rtol=0.03)
        units = own.threshold.numpy() * 4096 / layer.threshold
        assert np.array_equal(units, np.round(units))
    assert network.model.encoder.config.background_adaptive
    assert not speck.fixed_thresholds(network.model).encoder.config.background_adaptive


def test_a_tile_that_no_chip_takes_in_is_refused():
    speck.check_tile((64, 128))
    with pytest.raises(InputError, match="size: found 240x180, must be at most 128x128 px"):
        speck.check_tile((180, 240))
