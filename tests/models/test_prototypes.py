"""What classes look for, by their weights alone."""

import numpy as np
import pytest
import torch

from spikeseg.config import load_config
from spikeseg.learning import checkpoint
from spikeseg.models.decoder import decode
from spikeseg.models.prototypes import ReceptiveField, prototypes


def network(**changes):
    return checkpoint.build(load_config(None, {"device": "cpu", "model.n_classes": 2, "model.conv2_channels": 3, **changes}))


SHAPES = [
    {},
    {"model.kernel_sizes": [3, 5, 3]},
    {"model.pool1_kernel": 3, "model.pool2_stride": 1},
    {"model.pool1_kernel": 1, "model.pool1_stride": 1, "model.pool2_kernel": 3, "model.pool2_stride": 3},
]


@pytest.mark.parametrize("changes", SHAPES)
def test_a_receptive_field_is_what_a_spike_can_be_traced_back_to(changes):
    """All events, all weights: a spike in the middle of a large frame is traced back to just these pixels, the outermost of which
    only an inhibiting rim of conv1's filters may keep dark."""
    model = network(**changes)
    encoder, field = model.encoder, ReceptiveField.of(model.encoder.specs)
    with torch.no_grad():
        encoder.conv1.weight.fill_(1.0)
        for layer in (encoder.conv1, encoder.conv2, encoder.conv3):
            layer.threshold.fill_(0.1)
    frames = np.ones((1, 2, 2, 64, 80), np.uint8)
    spikes = encoder.infer(frames)
    shape = spikes["conv3"].lists.shape
    row, column = shape[2] // 2, shape[3] // 2
    lists = spikes["conv3"].lists
    chosen = np.flatnonzero(lists.sites == row * shape[3] + column)[:1]
    offsets = np.searchsorted(chosen, lists.offsets)
    spikes["conv3"] = spikes["conv3"]._replace(lists=lists._replace(sites=lists.sites[chosen], offsets=offsets))
    (lit,) = decode(encoder, frames, spikes).sum(1) > 0
    rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    low_y, low_x = field.stride * row + field.first, field.stride * column + field.first
    assert low_y <= rows[0] and rows[-1] < low_y + field.size and low_x <= columns[0] and columns[-1] < low_x + field.size
    margin = (
        sum(spec.pool.kernel - 1 for spec in encoder.specs if spec.pool) * field.stride
    )  # which input a pool keeps is the pool's
    assert rows[-1] - rows[0] + 1 > field.size - margin


@pytest.mark.parametrize("changes", SHAPES)
def test_a_prototype_fills_the_receptive_field(changes):
    model = network(**changes)
    with torch.no_grad():
        model.encoder.conv1.weight.fill_(1.0)
    drive = prototypes(model.encoder)
    size = ReceptiveField.of(model.encoder.specs).size
    assert drive.shape == (2, 2, size, size) and (drive > 0).all()
    assert np.allclose(drive, drive[:, :, ::-1, ::-1], rtol=0.2)  # all weights near 0.8: the same from either side


def test_a_prototype_is_where_its_weights_are_and_of_their_polarity():
    """One synapse in each layer: from a map of conv1 that takes ON alone to the top left of class 1, from OFF to class 0's
    bottom."""
    model = network(**{"model.conv1_channels": 2})
    encoder = model.encoder
    with torch.no_grad():
        for layer in (encoder.conv1, encoder.conv2, encoder.conv3):
            layer.weight.zero_()
        middle = encoder.conv1.weight.shape[-1] // 2
        encoder.conv1.weight[0, 1, middle, middle] = 1.0  # ON
        encoder.conv1.weight[1, 0, middle, middle] = 0.5  # OFF
        encoder.conv2.weight[0, 0, 2, 2], encoder.conv2.weight[1, 1, 2, 2] = 1.0, 1.0
        encoder.conv3.weight[1, 0, 0, 0], encoder.conv3.weight[0, 1, 6, 3] = 1.0, 1.0
    (class0, class1), field = prototypes(encoder), ReceptiveField.of(encoder.specs)
    assert (class0[1] == 0).all() and (class1[0] == 0).all()
    assert class0[0].sum() == pytest.approx(0.5) and class1[1].sum() == pytest.approx(1.0)
    reach = 4  # pixels that one neuron of pool2 stands for, any of which may be kept
    top = 2 + middle  # what conv1 and conv2 need at the edge: pixels and, behind a pool of 2, twice as many
    rows, columns = np.nonzero(class1[1])
    assert (np.ptp(rows), np.ptp(columns)) == (reach - 1, reach - 1)
    assert rows[0] == columns[0] == 2 * 2 + middle and top <= rows[0] and np.allclose(class1[1][rows, columns], 1 / 16)
    rows, columns = np.nonzero(class0[0])
    assert rows.max() == field.size - 1 - (2 * 2 + middle) and columns.min() == 2 * 2 + middle + 3 * reach


def test_what_is_inhibited_drives_nothing():
    model = network()
    with torch.no_grad():
        model.encoder.conv1.weight.fill_(-1.0)
    assert (prototypes(model.encoder) == 0).all()


def test_every_backend_gives_the_same():
    model = network()
    model.encoder.backend = "reference"
    reference = prototypes(model.encoder)
    model.encoder.backend = "cpu"
    assert np.allclose(prototypes(model.encoder), reference, rtol=1e-5)


def test_the_maps_of_a_layer_below_are_traced_through_the_layers_below_it():
    """A map of conv2 with one synapse, from the map of conv1 that takes OFF at its middle; a map of conv1 is its own filter."""
    encoder = network(**{"model.conv1_channels": 2}).encoder
    with torch.no_grad():
        encoder.conv1.weight.zero_(), encoder.conv2.weight.zero_()
        middle = encoder.conv1.weight.shape[-1] // 2
        encoder.conv1.weight[1, 0, middle, 0], encoder.conv1.weight[1, 1, 0, 0] = 0.5, -1.0
        encoder.conv2.weight[2, 1, 2, 4] = 1.0
    first, second = prototypes(encoder, "conv1"), prototypes(encoder, "conv2")
    assert first.shape == (2, 2, 2 * middle + 1, 2 * middle + 1) and first[1, 0, middle, 0] == 0.5 and first.sum() == 0.5
    size = ReceptiveField.of(encoder.specs[:2]).size
    assert second.shape == (3, 2, size, size) and (second[:2] == 0).all() and (second[2, 1] == 0).all()
    rows, columns = np.nonzero(second[2, 0])
    assert np.ptp(rows) == np.ptp(columns) == 1 and np.allclose(second[2, 0][rows, columns], 0.5 / 4)
    assert rows[0] == 2 * 2 + middle and columns[0] == 2 * 4  # of a pool of 2, any input of which may be kept
