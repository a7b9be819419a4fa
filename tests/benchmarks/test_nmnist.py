"""The benchmark of N-MNIST: who learns from what, how figures are compared, and that it runs."""

import dataclasses

import numpy as np
import pytest

from spikeseg.config.load import load_config, parse_overrides
from spikeseg.core.sparse import SpikeLists
from spikeseg.evaluation.images import LabelledSpikes
from spikeseg.learning.image_training import untrained_network


@pytest.fixture(scope="module")
def nmnist(script):
    return script("nmnist")


@pytest.fixture(scope="module")
def settings(nmnist):
    return load_config(nmnist.CONFIG, overrides={**parse_overrides(nmnist.QUICK), "device": "cpu", "backend": "cpu"})


def digits(count, seed=0):
    """Spikes at random, (15, 2, 34, 34), labelled 0, 1, 2, ... so that a label tells which digit it is."""
    dense = np.random.default_rng(seed).random((count, 15, 2, 34, 34)) < 0.02
    dense &= dense.cumsum(1) == 1
    return LabelledSpikes(SpikeLists.of(dense), np.arange(count))


def test_no_digit_is_scored_by_what_has_seen_it(nmnist, settings, monkeypatch):
    seen = []

    def noted(cfg, train, test):
        seen.append((train.labels.tolist(), test.labels.tolist()))
        return {("one", 1): test.labels % 3 == 0}

    monkeypatch.setattr(nmnist, "scored", noted)
    every = digits(11)
    found = nmnist.cross_validated(settings, every, 3)
    assert [sorted(train + test) for train, test in seen] == [list(range(11))] * 3
    assert sorted(digit for _, test in seen for digit in test) == list(range(11))
    np.testing.assert_array_equal(found["one", 1], every.labels % 3 == 0)


def test_controls_differ_from_the_trained_network_in_the_layers_that_they_name(nmnist, settings):
    found = nmnist.networks(settings, digits(12))
    trained = [weight.numpy() for weight in found[nmnist.TRAINED].weights]
    for layer in (0, 1):
        control = [weight.numpy() for weight in found[nmnist.shuffled_title(layer, 2)].weights]
        assert (control[1 - layer] == trained[1 - layer]).all() and (control[layer] != trained[layer]).any()
        np.testing.assert_array_equal(*(np.sort(w[layer].reshape(len(w[layer]), -1), 1) for w in (control, trained)))
    for weight, drawn in zip(trained, found[nmnist.RANDOM].weights, strict=True):
        assert set(np.unique(drawn)) <= {0, 1} and abs(float(drawn.mean()) - weight.mean()) < 0.1


def test_a_coarser_grid_is_that_of_the_network(nmnist, settings):
    spikes = digits(3).lists
    network = untrained_network(settings, spikes)
    network.config = dataclasses.replace(settings.images, grid=12)
    fine = network.features(spikes)
    for grid in nmnist.GRIDS:
        network.config = dataclasses.replace(settings.images, grid=grid)
        np.testing.assert_array_equal(nmnist.coarser(fine, 12, grid), network.features(spikes))


def test_differences_are_paired(nmnist):
    """A network that is right where the other is, and on one digit of ten more, is surely better, whatever both are worth."""
    rng = np.random.default_rng(0)
    control = rng.random((5, 1000)) < 0.5
    trained = control | (np.arange(1000) % 10 == 0)
    runs = [{(nmnist.TRAINED, 2): a, ("other", 2): b, ("other", 3): ~b} for a, b in zip(trained, control, strict=True)]
    own, other = nmnist.compared(runs, 2)
    assert own["trained_better"] == [0, 0, 0] and own["accuracy"][0] == trained.mean()
    mean, low, high = other["trained_better"]
    assert mean == pytest.approx(trained.mean() - control.mean()) and 0 < low < mean < high < 2 * mean
    assert high - low < own["accuracy"][2] - own["accuracy"][1] and other["by_seed"] == control.mean(1).tolist()


def test_a_quick_run(quick):
    printed, found = quick("nmnist", "--markdown")
    assert found["digits"] == {"train": 40, "test": 12} and found["networks"] == found["folds"] == 2
    rows = {row["network"]: row for row in found["rows"]["cross-validated"] if row["grid"] == found["grid"]}
    assert len(rows) == 6 and rows["trained network"]["accuracy"][0] > 0.9
    assert "| the same, in layer 2 of 2 alone |" in printed and "| 1 x 1 |" in printed
