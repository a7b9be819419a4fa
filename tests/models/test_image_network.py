"""The network for images: shapes, backends, limits."""

import numpy as np
import pytest
from hypothesis import given as given_
from hypothesis import settings
from hypothesis import strategies as st

from spikeseg.config.sections import ImagesConfig, STDPConfig
from spikeseg.core.sparse import SpikeLists
from spikeseg.errors import InputError
from spikeseg.models.image_network import ImageNetwork

SMALL = {"maps": (5, 7), "thresholds": (3.0, 4.0), "grid": 2}


def sizes(layers):
    """Sections of one to three layers."""
    every = {"maps": (5, 7, 4), "kernels": (5, 3, 1), "thresholds": (3.0, 2.0, 2.0), "pools": (2, 3, 1), "strides": (2, 2, 1),
             "winners": (1, 1, 1), "radii": (1, 1, 1)}  # fmt: skip
    return {name: value[:layers] for name, value in every.items()}


def network(seed=0, **changes):
    return ImageNetwork(ImagesConfig(**{**SMALL, **changes}), STDPConfig(weight_init_std=0.2), seed=seed)


def lists(samples=3, size=(10, 11), steps=4):
    rng = np.random.default_rng(0)
    when = rng.integers(0, 3 * steps, (samples, 2, *size))
    return SpikeLists.of(np.arange(steps)[:, None, None, None] == when[:, None])


def test_features_of_both_backends_are_the_same_bits():
    one, other = network(), network()
    other.backend = "reference"
    found = one.features(lists())
    assert found.shape == (3, 7 * 4) and found.dtype == np.float32 and (found > 0).any()
    np.testing.assert_array_equal(found, other.features(lists()))


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("samples", [0, 1, 5])
def test_features_have_one_row_per_image(layers, samples):
    """Also for no image at all; spikes that do not come make features of 0."""
    one, other = network(grid=2, **sizes(layers)), network(grid=2, **sizes(layers))
    other.backend = "reference"
    given = lists(5).part(0, samples)
    found = one.features(given)
    assert found.shape == (samples, sizes(layers)["maps"][-1] * 4) and found.dtype == np.float32
    np.testing.assert_array_equal(found, other.features(given))
    np.testing.assert_array_equal(found, one.features(lists(5))[:samples])
    silent = SpikeLists.of(np.zeros((1, 4, 2, 10, 11), np.uint8))
    assert not one.features(silent).any()
    for between, again in zip(one.inputs(given), other.inputs(given), strict=True):
        np.testing.assert_array_equal(between.dense(), again.dense())


@settings(max_examples=25, deadline=None)
@given_(st.integers(0, 2**32 - 1), st.integers(1, 3), *[st.integers(7, 16)] * 2, st.integers(1, 6), st.integers(1, 2))
def test_backends_agree_bit_for_bit(seed, layers, height, width, steps, grid):
    one, other = network(seed, grid=grid, **sizes(layers)), network(seed, grid=grid, **sizes(layers))
    other.backend = "reference"
    given = lists(2, (height, width), steps)
    assert one.features(given).tobytes() == other.features(given).tobytes()


def test_features_by_hand():
    """One layer, a grid of one cell: the highest sum of the weights under the spikes."""
    made = network(grid=1, **{**sizes(1), "maps": (2,), "kernels": (3,)})
    made.weights[0][:] = 0.0
    made.weights[0][0, 1, 1, 1], made.weights[0][0, 1, 1, 2] = 1.0, 0.5
    made.weights[0][1, 0] = -0.25
    dense = np.zeros((2, 3, 2, 4, 5), np.uint8)
    dense[0, 0, 1, 1, 1] = dense[0, 2, 1, 1, 2] = 1  # ON twice in a row, at different times
    dense[1, 1, 0] = 1  # OFF everywhere
    assert made.features(SpikeLists.of(dense)).tolist() == [[1.5, 0.0], [0.0, -1.0]]


def test_weights_are_drawn_by_seed_and_within_bounds():
    one, same, other = network(), network(), network(seed=1)
    assert all((a == b).all() and (a != c).any() for a, b, c in zip(one.weights, same.weights, other.weights, strict=True))
    assert [tuple(weight.shape) for weight in one.weights] == [(5, 2, 5, 5), (7, 5, 5, 5)]
    assert all(0 <= float(weight.min()) and float(weight.max()) <= 1 for weight in one.weights)


def test_a_layer_runs_with_the_weights_it_has_when_the_next_one_asks():
    known, changed = network(), network()
    changed.weights[0][:] = 1.0
    wanted, before = list(changed.inputs(lists()))[1], list(known.inputs(lists()))[1]
    assert len(wanted.sites) != len(before.sites)
    for number, given in enumerate(known.inputs(lists())):
        if number == 0:
            known.weights[0][:] = 1.0
        else:
            np.testing.assert_array_equal(given.sites, wanted.sites)
            np.testing.assert_array_equal(given.offsets, wanted.offsets)
    assert wanted.shape == (4, 5, 5, 6)


def test_controls_may_change_what_every_layer_sees():
    seen = []

    def note(given):
        seen.append(given.shape)
        return given

    np.testing.assert_array_equal(network().features(lists(), note), network().features(lists()))
    assert seen == [(4, 2, 10, 11), (4, 5, 5, 6)]


def test_what_a_control_gives_back_is_what_the_layers_see():
    found = network().features(lists(), lambda given: SpikeLists.of(np.zeros_like(given.dense())))
    assert not found.any() and network().features(lists()).any()


def test_weights_outside_the_bounds_are_drawn_to_them():
    made = ImageNetwork(ImagesConfig(**SMALL), STDPConfig(weight_min=-0.5, weight_max=0.5, weight_init_std=3.0), seed=4)
    assert all(float(weight.min()) == -0.5 and float(weight.max()) == 0.5 for weight in made.weights)
    assert ImageNetwork(ImagesConfig(**SMALL), STDPConfig(), in_channels=3).weights[0].shape == (5, 3, 5, 5)


def test_the_range_depends_on_the_largest_weight_and_the_threshold():
    """2 x 5 x 5 inputs: 50 times the weight plus the threshold has to stay below 4096."""
    for low, high, threshold, fits in ((0, 1, 2047.0, True), (0, 1, 2048.0, False), (0, 80, 90.0, True), (0, 80, 97.0, False),
                                       (-82, 1, 3.0, False)):  # fmt: skip
        config, stdp = ImagesConfig(**{**sizes(1), "thresholds": (threshold,)}), STDPConfig(weight_min=low, weight_max=high)
        if fits:
            assert ImageNetwork(config, stdp).features(lists()).shape == (3, 45)
        else:
            with pytest.raises(InputError, match="images: layer 1: potentials could reach"):
                ImageNetwork(config, stdp)


def test_limits():
    with pytest.raises(InputError, match=r"images.grid: a grid of 9 x 9 cells over maps of 5 x 6"):
        network(grid=9).features(lists())
    with pytest.raises(InputError, match="layer 2: potentials could reach"):
        network(maps=(300, 7), kernels=(5, 5))
    for changes, message in (
        ({"maps": (5,)}, "one entry per layer each"),
        ({"kernels": (5, 4)}, "must be odd"),
        ({"dog_size": 6}, "images.dog_size: found 6, must be odd"),
        ({"strides": (3, 1)}, "must not exceed pools"),
    ):
        with pytest.raises(InputError, match=message):
            network(**changes)


def test_the_backend_is_the_one_asked_for():
    """`cuda` does not become `cpu`; auto is `cpu` for a network on the CPU."""
    made = network()
    assert made.backend == "auto" and made.device.type == "cpu" and made.features(lists()).any()
    made.backend = "cuda"
    with pytest.raises(ValueError, match="backend 'cuda' runs on a cuda device, but the network lies on 'cpu'"):
        made.features(lists())


def test_a_network_moves_with_all_that_its_layers_are():
    made = network()
    assert made.to("meta") is made and made.device.type == "meta"
    assert {part.device.type for k in (0, 1) for part in (made.layer(k).weight, made.layer(k).threshold)} == {"meta"}
