"""The graph: its nodes, thresholds, and what stands in its metadata."""

import io

import nir
import numpy as np
import pytest

from spikeseg.core.grid import HALF_STEP
from spikeseg.errors import InputError
from spikeseg.export.nir_graph import exact_inputs, losses, metadata_of, nir_graph, one_threshold, read_nir, write_nir


def test_a_layer_is_a_convolution_with_the_leak_as_bias_and_neurons_that_fire_at_their_threshold(kinds):
    network = kinds["subtractive"]
    graph = nir_graph(network)
    assert graph.edges == [("input", "conv1"), ("conv1", "conv1_neurons"), ("conv1_neurons", "output")]
    (layer,), convolution, neurons = network.layers, graph.nodes["conv1"], graph.nodes["conv1_neurons"]
    assert isinstance(convolution, nir.Conv2d) and np.array_equal(convolution.weight, layer.weight)
    assert np.unique(convolution.bias).tolist() == [-layer.leak]
    assert isinstance(neurons, nir.IF) and neurons.v_threshold.shape == (3, *network.size)
    assert np.unique(neurons.v_threshold).tolist() == [1.0 - HALF_STEP]
    assert np.unique(neurons.v_reset).tolist() == [0.0] and np.unique(neurons.r).tolist() == [1.0]
    assert neurons.metadata == {"floor": 0.0} and nir_graph(kinds["no leak"]).nodes["conv1_neurons"].metadata == {}


def test_a_pool_is_a_sum_and_neurons_that_fire_for_one(kinds):
    even, odd = (nir_graph(kinds[kind]) for kind in ("pool", "odd pool"))
    assert isinstance(even.nodes["pool1"], nir.SumPool2d) and isinstance(odd.nodes["pool1"], nir.Conv2d)
    assert even.nodes["pool1_neurons"].r.shape == (3, 6, 7) and odd.nodes["pool1_neurons"].r.shape == (3, 6, 7)
    assert 0 < even.nodes["pool1_neurons"].v_threshold.max() < 1


def test_maps_with_thresholds_of_their_own_are_divided_by_them(kinds):
    (layer,) = kinds["thresholds"].layers
    shared = one_threshold(layer)
    assert shared.scaled and shared.threshold == 1.0
    divided = layer.weight / (layer.threshold - HALF_STEP)[:, None, None, None]
    assert np.abs(shared.weight - divided).max() <= 2.0**-23 and np.abs(shared.weight * 2**22 % 1).max() == 0
    assert exact_inputs(layer) == int(1024 / 4.7)
    assert not one_threshold(kinds["no leak"].layers[0]).scaled


def test_what_is_lost_is_said_in_the_metadata_and_survives_the_file(kinds, tmp_path):
    assert {name: [loss.name for loss in losses(network)] for name, network in kinds.items()} == {
        **{name: ["floor"] for name in ("subtractive", "scales", "pool", "odd pool", "wide pool")},
        "no leak": [],
        "thresholds": ["floor", "thresholds"],
        "share": ["rounding", "thresholds"],
    }
    with open(tmp_path / "x.nir", "wb") as file:
        write_nir(file, kinds["thresholds"])
    graph = read_nir(tmp_path / "x.nir")
    content = metadata_of(graph)
    assert set(content["losses"]) == {"floor", "thresholds"} and content["layers"][0]["leak_mode"] == "subtractive"
    assert graph.nodes["conv1_neurons"].metadata == {"floor": 0.0}
    again = io.BytesIO()
    write_nir(again, kinds["thresholds"])
    assert again.getvalue() == (tmp_path / "x.nir").read_bytes()


def test_a_file_that_is_no_graph_is_refused(kinds, tmp_path):
    (tmp_path / "x.nir").write_bytes(b"no graph")
    for name in ("x.nir", "missing.nir"):
        with pytest.raises(InputError, match=f"{name}: not a NIR graph"):
            read_nir(tmp_path / name)


def test_a_node_whose_name_is_a_program_is_refused(kinds, tmp_path):
    """Simulators make programs of graphs, in which names of nodes stand."""
    graph = nir_graph(kinds["no leak"])
    name = "conv1(__import__('os').system('true'))"
    nodes = {name if key == "conv1" else key: node for key, node in graph.nodes.items()}
    edges = [tuple(name if end == "conv1" else end for end in edge) for edge in graph.edges]
    nir.write(tmp_path / "x.nir", nir.NIRGraph(nodes, edges, metadata={}))
    with pytest.raises(InputError, match="names must be letters"):
        read_nir(tmp_path / "x.nir")
