"""What maps prefer to see."""

import numpy as np
import pytest
import torch

from spikeseg.models.image_network import ImageNetwork
from spikeseg.plots.filters import filters_png, preferred
from spikeseg.sections import ImagesConfig, STDPConfig


def network(**changes):
    sizes = {"maps": (2, 3), "kernels": (3, 3), "thresholds": (1.0, 1.0)}
    return ImageNetwork(ImagesConfig(**{**sizes, **changes}), STDPConfig())


def test_the_first_layer_prefers_on_minus_off():
    made = network()
    found = preferred(made, 0)
    np.testing.assert_allclose(found, (made.weights[0][:, 1] - made.weights[0][:, 0]).numpy(), atol=1e-6)
    assert preferred(made, 0, 1).shape == (1, 3, 3)


def test_the_second_layer_prefers_what_the_first_does_at_the_stride_of_its_pool():
    made = network()
    made.weights[0] = torch.zeros(2, 2, 3, 3)
    made.weights[0][0, 1, 1, 1] = 1.0  # map 0 sees ON in its middle
    made.weights[1] = torch.zeros(3, 2, 3, 3)
    made.weights[1][2, 0, 0, 2] = 0.5  # map 2 sees map 0 above, to the right
    found = preferred(made, 1)
    assert found.shape == (3, 7, 7)
    assert np.argwhere(found).tolist() == [[2, 1, 5]] and found[2, 1, 5] == 0.5


def test_the_picture_is_a_png():
    pytest.importorskip("matplotlib")
    assert filters_png(network(maps=(2, 70))).startswith(b"\x89PNG")
