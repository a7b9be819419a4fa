"""Exported graphs in Norse, spikingjelly, snnTorch and sinabs: equal spikes on 50 random and 20 recorded inputs, or why not."""

import importlib.util
import sys

import numpy as np
import pytest

from spikeseg.errors import InputError
from spikeseg.export import nir_graph, simulators
from spikeseg.export.description import Description
from spikeseg.export.simulators import INSTALL, SIMULATORS, simulated

EXACT = ("no leak", "subtractive", "share", "thresholds", "scales", "pool", "odd pool", "wide pool")


@pytest.fixture(params=SIMULATORS)
def simulator(request):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed: {INSTALL[request.param]}")
    return request.param


@pytest.mark.parametrize("kind", EXACT)
def test_all_spikes_are_equal(simulator, kind, kinds, inputs, ours, tmp_path):
    network = kinds[kind]
    frames = inputs(network.size)
    if (simulator, kind) == ("sinabs", "share"):
        with pytest.raises(ValueError, match="truth value of an array"):  # 3.1.3 knows an LIF of one axis alone
            simulated(nir_graph.nir_graph(network), simulator, frames)
        return
    expected = ours(network, frames)
    assert len(frames) == 70 and 0.005 < expected[:50].mean() < 0.95 and expected[50:].any()
    with open(tmp_path / "network.nir", "wb") as file:
        nir_graph.write_nir(file, network)
    found = simulated(nir_graph.read_nir(tmp_path / "network.nir"), simulator, frames)
    assert found.shape == expected.shape and np.array_equal(found, expected)
    assert "torchvision" not in sys.modules


@pytest.mark.parametrize("name", ["norse", "spikingjelly"])
def test_as_imported_a_leak_that_takes_a_share_differs_by_our_rounding_alone(name, kinds, inputs, ours):
    """Half of a potential on a grid of 2^-8 needs 4 more bits in as many steps: ours rounds nothing, and all is equal."""
    pytest.importorskip(name)
    (layer,) = kinds["share"].layers
    frames = inputs(kinds["share"].size)
    coarse = layer._replace(weight=np.round(layer.weight * 256) / np.float32(256), threshold=np.ones(3, np.float32), leak=0.5)
    exact = Description((coarse,), kinds["share"].size)
    expected = ours(exact, frames[:, :4])
    assert 0.005 < expected.mean() and np.array_equal(
        simulated(nir_graph.nir_graph(exact), name, frames[:, :4], as_imported=True), expected
    )
    expected = ours(kinds["share"], frames)
    different = simulated(nir_graph.nir_graph(kinds["share"]), name, frames, as_imported=True) != expected
    assert different.sum() <= 1e-3 * expected.sum()


def test_without_the_floor_a_neuron_fires_no_earlier(kinds, inputs, ours):
    """The bound of what is lost where nobody puts it back: up to a neuron's first spike its potential is at most ours."""
    network = kinds["subtractive"]
    frames = inputs(network.size)
    expected = ours(network, frames)
    found = simulated(nir_graph.nir_graph(network), "norse", frames, as_imported=True)
    assert not np.array_equal(found, expected)

    def first(spikes):
        return np.where(spikes.any(1), spikes.argmax(1), spikes.shape[1])

    assert (first(found) >= first(expected)).all()


def test_sinabs_as_it_imports_says_something_else(kinds, inputs, ours):
    pytest.importorskip("sinabs", reason=INSTALL["sinabs"])
    network = kinds["no leak"]
    frames = inputs(network.size)
    found = simulated(nir_graph.nir_graph(network), "sinabs", frames, as_imported=True)
    assert found.max() > 1 and not np.array_equal(found, ours(network, frames))


def test_what_is_not_there_is_said(kinds, monkeypatch):
    graph = nir_graph.nir_graph(kinds["no leak"])
    with pytest.raises(InputError, match="simulator: found 'brian', must be one of norse, spikingjelly, snntorch, sinabs"):
        simulated(graph, "brian", np.zeros((1, 1, 2, 12, 14)))

    def missing(*_):
        raise ModuleNotFoundError("no", name="snntorch")

    monkeypatch.setitem(simulators.SIMULATORS, "snntorch", missing)
    with pytest.raises(InputError, match="snntorch is not installed; install the extra 'interop'"):
        simulated(graph, "snntorch", np.zeros((1, 1, 2, 12, 14)))
