"""The network for images: shapes, backends, limits."""

import numpy as np
import pytest

from spikeseg.errors import InputError
from spikeseg.models.image_network import ImageNetwork
from spikeseg.ops.lists import SpikeLists
from spikeseg.sections import ImagesConfig, STDPConfig

SMALL = {"maps": (5, 7), "thresholds": (3.0, 4.0), "grid": 2}


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


def test_weights_are_drawn_by_seed_and_within_bounds():
    one, same, other = network(), network(), network(seed=1)
    assert all((a == b).all() and (a != c).any() for a, b, c in zip(one.weights, same.weights, other.weights, strict=True))
    assert [tuple(weight.shape) for weight in one.weights] == [(5, 2, 5, 5), (7, 5, 5, 5)]
    assert all(0 <= float(weight.min()) and float(weight.max()) <= 1 for weight in one.weights)


def test_a_layer_runs_with_the_weights_it_has_when_the_next_one_asks():
    known, changed = network(), network()
    changed.weights[0][:] = 1.0
    wanted = list(changed.inputs(lists()))[1]
    for number, given in enumerate(known.inputs(lists())):
        if number == 0:
            known.weights[0][:] = 1.0
        else:
            np.testing.assert_array_equal(given.sites, wanted.sites)
    assert wanted.shape == (4, 5, 5, 6)


def test_controls_may_change_what_every_layer_sees():
    seen = []

    def note(given):
        seen.append(given.shape)
        return given

    np.testing.assert_array_equal(network().features(lists(), note), network().features(lists()))
    assert seen == [(4, 2, 10, 11), (4, 5, 5, 6)]


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
