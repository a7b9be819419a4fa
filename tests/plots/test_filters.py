"""What maps prefer to see."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from spikeseg.config.sections import ImagesConfig, STDPConfig
from spikeseg.models.filters import edge_bank
from spikeseg.models.image_network import ImageNetwork
from spikeseg.plots.filters import filters_png, preferred


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


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_second_layer_is_the_sum_over_its_synapses(stride):
    """By a loop over every pair of synapses, OFF against ON."""
    made = network(kernels=(3, 5), pools=(3, 1), strides=(stride, 1))
    first, second = (weight.double().numpy() for weight in made.weights)
    side = 3 + stride * 4
    wanted = np.zeros((3, side, side))
    for top, middle, y, x, v, u in np.ndindex(3, 2, 5, 5, 3, 3):
        seen = first[middle, 1, v, u] - first[middle, 0, v, u]
        wanted[top, y * stride + v, x * stride + u] += second[top, middle, y, x] * seen
    found = preferred(made, 1)
    assert found.shape == wanted.shape and found.dtype == np.float64
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(preferred(made, 1, 2), found[:2])


def test_strides_of_all_layers_below_multiply():
    three = {"maps": (1, 1, 1), "kernels": (1, 1, 3), "thresholds": (1.0,) * 3, "pools": (2, 3, 1), "strides": (2, 3, 1)}
    made = network(**three, winners=(1,) * 3, radii=(1,) * 3)
    for weight in made.weights:
        weight[:] = 0.0
    made.weights[0][0, 0, 0, 0] = 1.0  # OFF
    made.weights[1][:] = 0.5
    made.weights[2][0, 0, 0, 2] = 1.0
    found = preferred(made, 2)
    assert found.shape == (1, 13, 13) and np.argwhere(found).tolist() == [[0, 0, 12]] and found[0, 0, 12] == -0.5


def test_the_picture_is_a_png():
    pytest.importorskip("matplotlib")
    made = network(maps=(2, 70))
    found = filters_png(made)
    assert found.startswith(b"\x89PNG\r\n\x1a\n")
    assert Image.open(io.BytesIO(found)).convert("L").getextrema() == (0, 255)
    made.weights[1][:] = 0.0  # nothing to prefer
    assert filters_png(made) != found


def test_the_first_layer_behind_gabor_filters_prefers_them_at_the_stride_of_their_pool():
    config = {"filters": "gabor", "gabor_sizes": (3, 5), "gabor_orientations": 2, "gabor_stride": 2, "kernels": (3, 3)}
    made = ImageNetwork(ImagesConfig(**{"maps": (2, 3), "thresholds": (1.0, 1.0), **config}), STDPConfig(), in_channels=4)
    made.weights[0][:] = 0.0
    made.weights[0][1, 2, 0, 2] = 0.5
    found = preferred(made, 0)
    wanted = np.zeros((2, 9, 9))
    wanted[1, :5, 4:] = 0.5 * edge_bank((3, 5), 2)[2].numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-12)
