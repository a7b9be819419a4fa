"""Samples come in an order that seed and samples alone decide, block by block."""

import subprocess
import sys

import numpy as np
import pytest

from spikeseg import learning
from spikeseg.core.sparse import SpikeLists
from spikeseg.data.store.spikes import Spikes, SpikeWriter
from spikeseg.learning import blocks
from spikeseg.learning.blocks import Block, Blocks

SIZES = [(3, 2, 4, 5), (3, 2, 4, 5), (3, 2, 6, 3), (3, 2, 4, 5), (3, 2, 6, 3), (3, 2, 4, 5), (3, 2, 4, 5)]


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return [(rng.random(size) < 0.3).astype(np.uint8) for size in SIZES]


@pytest.fixture
def spikes(samples, tmp_path):
    with SpikeWriter(tmp_path / "spikes.zarr") as writer:
        for sample in samples:
            writer.add(SpikeLists.of(sample[None]))
    return Spikes.open(tmp_path / "spikes.zarr")


def heard(cut: Blocks, seed=(1, 2, 3), position=0, batch_size=1):
    """What a layer learns from in an epoch: dense samples, in order."""
    dense = []
    for block, order in cut.epoch(seed, position):
        for lists, rows in block.stretches(order, batch_size):
            dense.extend(lists.chosen(rows).dense())
    return dense


def indices(dense, samples):
    """Indices of dense samples; no two are alike."""
    return [next(i for i, s in enumerate(samples) if s.shape == f.shape and np.array_equal(s, f)) for f in dense]


@pytest.mark.parametrize("block_spikes", [1, 70, 2**25])
def test_an_epoch_holds_every_sample_once_in_seeded_order(spikes, samples, monkeypatch, block_spikes):
    monkeypatch.setattr(blocks, "BLOCK_SPIKES", block_spikes)
    cut = Blocks(spikes)
    assert len(cut.ranges) == {1: 7, 70: 3}.get(block_spikes, 1)
    orders = [indices(heard(cut, (42, 2, epoch)), samples) for epoch in range(6)]
    assert all(sorted(order) == list(range(7)) for order in orders) and len(set(map(tuple, orders))) > 3
    assert orders[0] == indices(heard(Blocks(spikes), (42, 2, 0)), samples)


def test_one_block_is_shuffled_whole_and_read_once(spikes, samples, monkeypatch):
    reads, read = [], Block.read
    monkeypatch.setattr(Block, "read", lambda *given: reads.append(given) or read(*given))
    cut = Blocks(spikes)
    for epoch in range(3):
        assert indices(heard(cut, (42, 2, epoch)), samples) == np.random.default_rng((42, 2, epoch)).permutation(7).tolist()
    assert len(reads) == 1


@pytest.mark.parametrize("block_spikes", [1, 70, 2**25])
@pytest.mark.parametrize("position", [0, 1, 3, 6, 7])
def test_going_on_skips_what_has_been_learned(spikes, samples, monkeypatch, block_spikes, position):
    monkeypatch.setattr(blocks, "BLOCK_SPIKES", block_spikes)
    whole = indices(heard(Blocks(spikes)), samples)
    assert indices(heard(Blocks(spikes), position=position), samples) == whole[position:]


def test_samples_of_a_block_stay_together(spikes, samples, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_SPIKES", 70)
    cut = Blocks(spikes)
    order = indices(heard(cut, (5, 5, 5)), samples)
    for first, last in cut.ranges:
        at = sorted(order.index(i) for i in range(first, last))
        assert at == list(range(at[0], at[0] + last - first))


def test_batches_hold_one_shape_and_none_reaches_beyond_its_end(spikes):
    block = Block.read(spikes, 0, 7)
    order = np.array([0, 1, 3, 2, 5, 6])
    stretches = [(lists.shape, len(rows)) for lists, rows in block.stretches(order, 2)]
    assert stretches == [(SIZES[0], 2), (SIZES[0], 1), (SIZES[2], 1), (SIZES[0], 2)]
    assert [len(rows) for _, rows in block.stretches(order, 1)] == [3, 1, 2]
    assert [len(rows) for _, rows in block.stretches(order[[0, 1, 2, 4, 5]], 2)] == [5]  # the kernel counts batches itself


def test_blocks_of_spikes_need_no_torch():
    program = "import sys, spikeseg.learning.blocks; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"


def test_names_of_the_package_are_imported_when_they_are_asked_for():
    assert all(getattr(learning, name).__name__ == name for name in learning.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Learner'"):
        _ = learning.Learner
