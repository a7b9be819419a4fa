"""What a network for images is compared with: the numbers of a comparison, and shuffled spike times."""

import numpy as np
from scipy.stats import binomtest

from spikeseg.core.sparse import SpikeLists
from spikeseg.evaluation.image_controls import _compared, shuffled_times


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
