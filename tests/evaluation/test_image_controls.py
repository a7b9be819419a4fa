"""What a network for images is compared with: the numbers of a comparison, and shuffled spike times."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from spikeseg.config.sections import Config
from spikeseg.core.sparse import SpikeLists
from spikeseg.evaluation import image_controls
from spikeseg.evaluation.image_controls import TITLES, _compared, _controls, scored_controls, shuffled_times


def test_controls_are_compared_image_by_image():
    network = [np.array([1, 1, 1, 1, 0, 1], bool), np.array([1, 1, 1, 0, 0, 1], bool)]
    control = [np.array([0, 1, 0, 1, 1, 1], bool), np.array([0, 1, 1, 1, 1, 1], bool)]
    compared = _compared(network, control)  # the network ahead on images 0 and 2, the control on 3 and 4
    assert (compared["images_network_better"], compared["images_control_better"], compared["p"]) == (2, 2, 1.0)
    one = _compared([np.ones(10, bool)], [np.zeros(10, bool)])
    assert one["p"] == binomtest(10, 10).pvalue < 0.01 and one["accuracies"] == [0.0]
    assert _compared(network, network)["p"] == 1.0


def test_shuffled_times_keep_spikes_and_counts():
    rng = np.random.default_rng(0)
    dense = rng.random((3, 5, 2, 4, 4)) < 0.2
    dense &= np.cumsum(dense, 1) == 1
    lists = SpikeLists.of(dense)
    mixed = shuffled_times(lists, rng)
    np.testing.assert_array_equal(mixed.offsets, lists.offsets)
    np.testing.assert_array_equal(mixed.dense().sum(1), lists.dense().sum(1))
    assert (mixed.sites != lists.sites).any()
    assert all((np.diff(mixed.sites[a:b]) > 0).all() for a, b in zip(mixed.offsets[:-1], mixed.offsets[1:], strict=True))


def test_weights_are_drawn_or_shuffled_in_the_layers_that_a_control_says(monkeypatch):
    rng = np.random.default_rng(0)
    weights = [torch.from_numpy(rng.random((2, 3, 4, 4))) for _ in range(3)]
    monkeypatch.setattr(image_controls, "untrained_network", lambda *_: SimpleNamespace(weights=None))
    monkeypatch.setattr(image_controls, "train_network", lambda *_, **__: None)
    controls = list(_controls(Config(), SimpleNamespace(weights=weights, device=None), None, None))
    assert [name for name, *_ in controls] == [name for name in TITLES if name != "pixels"]
    of = {name: control.weights for name, control, _ in controls}
    kept = {name: [new is old for new, old in zip(of[name], weights, strict=True)] for name in of if of[name]}
    nothing = [False] * 3
    assert kept == {"random": nothing, "shuffled_weights": nothing, "last_layer_shuffled": [True, True, False]}
    for name, layers in (("shuffled_weights", (0, 1, 2)), ("last_layer_shuffled", (2,))):
        for k in layers:
            assert not torch.equal(of[name][k], weights[k])
            assert torch.equal(of[name][k].flatten(1).sort().values, weights[k].flatten(1).sort().values)
    assert all(set(weight.unique().tolist()) == {0.0, 1.0} for weight in of["random"])


@pytest.mark.parametrize("pixels", [None, (np.zeros((4, 2, 2)), np.zeros((2, 2, 2)))])
def test_the_control_of_pixels_stands_beside_the_others_where_there_are_pixels(monkeypatch, pixels):
    monkeypatch.setattr(image_controls, "TITLES", {"untrained": "untrained", "pixels": "pixels"})
    monkeypatch.setattr(image_controls, "_controls", lambda *_: iter([("untrained", None, None)]))
    monkeypatch.setattr(image_controls, "read_out", lambda *_: (SimpleNamespace(predicted=np.array([0, 1])), None))
    train, test = (SimpleNamespace(labels=np.array(labels), lists=None) for labels in ([0, 1, 0, 1], [0, 0]))
    monkeypatch.setattr(image_controls, "_on_pixels", lambda *_: np.array([0, 0]))
    found = scored_controls(Config(), [None], [np.array([0, 0])], train, test, pixels)
    assert {name: row["accuracy"] for name, row in found.items()} == {"untrained": 0.5} | (
        {} if pixels is None else {"pixels": 1.0}
    )
