"""Thresholds that fall with the drive, by hand and within their bounds."""

import numpy as np
import pytest
import torch

from spikeseg.core.grid import SCALE
from spikeseg.core.sparse import SpikeLists
from spikeseg.models.adaptive_threshold import BLOCK, local_drive, lowered_threshold, typical_drive


def lists(samples=3, size=(40, 37), density=0.05, seed=0):
    """(samples, 4, 3, *size), the top left corner ten times as dense."""
    rng = np.random.default_rng(seed)
    spikes = rng.random((samples, 4, 3, *size)) < density
    spikes[..., :8, :8] |= rng.random((samples, 4, 3, 8, 8)) < 10 * density
    return SpikeLists.of(spikes)


def test_drive_is_the_density_in_the_blocks_around():
    spikes = lists()
    dense, found = spikes.dense(), local_drive(spikes)
    assert found.shape == (3, 3, 3) and found.dtype == np.float64
    for row in range(3):
        for column in range(3):
            top, left = max(0, row - 1) * BLOCK, max(0, column - 1) * BLOCK
            around = dense[..., top : (row + 2) * BLOCK, left : (column + 2) * BLOCK]
            assert found[:, row, column] == pytest.approx(around.mean((1, 2, 3, 4)))
    assert found[0, 0, 0] > found[0, 2, 2]


def test_typical_drive_is_the_mean_over_spikes_whatever_their_order():
    spikes, others = lists(), lists(2, (20, 50), 0.01, seed=1)
    drives = []
    for part in (spikes, others):
        steps, _, height, width = part.shape
        at = np.repeat(np.arange(len(part.offsets) - 1) // steps, np.diff(part.offsets))
        y, x = part.sites // width % height, part.sites % width
        drives.append(local_drive(part)[at, y // BLOCK, x // BLOCK])
    one = typical_drive([spikes, others])
    assert one == pytest.approx(np.concatenate(drives).mean())
    assert one == typical_drive([others, *(spikes.part(n, n + 1) for n in (2, 0, 1))])
    assert typical_drive([]) == typical_drive([lists(density=0.0)]) == 0.0


def test_thresholds_lie_between_rest_and_what_was_trained_on_the_grid():
    spikes, trained = lists(), torch.tensor([9.3, 4.0, 3.5])
    drive = local_drive(spikes)
    theta = lowered_threshold(trained, 4.0, 2 * float(drive.max()), spikes)
    assert theta.block == BLOCK and theta.values.shape == (3, 3, 3, 3) and theta.values.dtype == torch.float32
    assert torch.equal(theta.values * SCALE, (theta.values * SCALE).round())
    gain = torch.from_numpy(drive / (2 * drive.max()))
    assert torch.allclose(theta.values[:, 0].double(), 4.0 + gain * 5.3, atol=1 / SCALE)
    assert (theta.values[:, 1] == 4.0).all() and (theta.values[:, 2] == 3.5).all()  # what is not raised is not lowered


def test_silence_brings_thresholds_to_rest_and_dense_input_leaves_them_as_trained():
    trained = torch.tensor([9.3, 12.0])
    silent = lowered_threshold(trained, 4.0, 0.05, lists(density=0.0)).values
    dense = lowered_threshold(trained, 4.0, 0.05, lists(density=0.5)).values
    assert (silent == 4.0).all()
    assert torch.equal(dense, ((trained * SCALE).round() / SCALE)[None, :, None, None].expand_as(dense))


def test_a_dense_object_does_not_hide_a_sparse_one():
    frames = np.zeros((1, 4, 1, 96, 96), bool)
    frames[..., 80:, 80:] = True
    both = lowered_threshold(torch.tensor([9.0]), 4.0, 0.1, SpikeLists.of(frames)).values[0, 0]
    assert both[0, 0] == 4.0 and both[5, 5] == 9.0
