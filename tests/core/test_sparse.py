"""Spikes as lists of addresses, against the dense samples they stand for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.core.sparse import SparseFrames, SpikeLists, dense
from spikeseg.ops.cpu.inference_kernels import listed
from spikeseg.ops.types import PooledSpikes

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.integers(1, 6))
DENSITIES = st.sampled_from([0.0, 0.05, 0.5, 1.0])


def samples_of(seed, samples, shape, density):
    rng = np.random.default_rng(seed)
    return ((rng.random((samples, *shape)) < density) * rng.integers(1, 300, (samples, *shape))).astype(np.uint16)


def assert_same(a, b):
    assert a.shape == b.shape
    assert a.offsets.dtype == np.int64 and a.sites.dtype == np.int32
    assert np.array_equal(a.offsets, b.offsets) and np.array_equal(a.sites, b.sites)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(samples=st.integers(0, 5), shape=SHAPES, density=DENSITIES, seed=st.integers(0, 9))
def test_every_spike_is_at_its_step_and_address(samples, shape, density, seed):
    dense = samples_of(seed, samples, shape, density)
    lists = SpikeLists.of(dense)
    steps, channels, height, width = shape
    assert lists.shape == shape and lists.samples == samples
    assert lists.offsets.dtype == np.int64 and lists.sites.dtype == np.int32
    assert len(lists.offsets) == samples * steps + 1 and lists.offsets[0] == 0 and lists.offsets[-1] == len(lists.sites)
    for n in range(samples):
        for t in range(steps):
            there = [(c * height + y) * width + x for c, y, x in np.ndindex(channels, height, width) if dense[n, t, c, y, x] > 0]
            row = n * steps + t
            assert lists.sites[lists.offsets[row] : lists.offsets[row + 1]].tolist() == there  # rising
    back = lists.dense()
    assert back.dtype == np.uint8 and np.array_equal(back, dense > 0)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(shape=SHAPES, density=DENSITIES, cuts=st.tuples(st.integers(0, 5), st.integers(0, 5)), seed=st.integers(0, 9),
       order=st.lists(st.integers(0, 4), max_size=8))  # fmt: skip
def test_parts_choices_and_joins_are_those_of_the_samples(shape, density, cuts, seed, order):
    dense = samples_of(seed, 5, shape, density)
    lists, (first, last) = SpikeLists.of(dense), sorted(cuts)
    part = lists.part(first, last)
    assert_same(part, SpikeLists.of(dense[first:last]))
    assert_same(part.part(0, part.samples), part)
    assert_same(SpikeLists.joined([lists.part(0, first), part, lists.part(last, 5)]), lists)
    assert_same(lists.chosen(np.array(order, np.int64)), SpikeLists.of(dense[order]))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(shape=SHAPES, density=DENSITIES, step=st.integers(0, 4), seed=st.integers(0, 9))
def test_what_comes_later_and_what_is_chosen(shape, density, step, seed):
    whole = samples_of(seed, 3, shape, density)
    lists, late = SpikeLists.of(whole), whole.copy()
    late[:, :step] = 0
    assert_same(lists.only(lists.since(step)), SpikeLists.of(late))
    assert np.array_equal(SparseFrames.of(whole).since(step).dense(), late)
    kept = np.random.default_rng(seed).random(len(lists.sites)) < 0.5
    some = lists.only(kept)
    assert_same(some, SpikeLists.of(some.dense()))
    assert np.array_equal(some.sites, lists.sites[kept]) and not (some.dense() > lists.dense()).any()
    late_too = PooledSpikes(lists, np.arange(len(lists.sites), dtype=np.int32)).since(step)
    assert np.array_equal(late_too.lists.sites, lists.sites[late_too.kept]) and PooledSpikes(lists, None).since(step).kept is None


def test_a_part_does_not_copy_and_a_choice_does():
    lists = SpikeLists.of(np.ones((3, 2, 1, 2, 2)))
    assert np.shares_memory(lists.part(1, 3).sites, lists.sites)
    assert not np.shares_memory(lists.chosen(np.array([1])).sites, lists.sites)


def test_lists_of_several_shapes_or_none_cannot_be_joined():
    lists = [SpikeLists.of(np.ones((1, 2, 1, *size))) for size in ((2, 3), (3, 2))]
    with pytest.raises(ValueError, match=r"lists of shapes \[\(2, 1, 2, 3\), \(2, 1, 3, 2\)\] cannot be joined"):
        SpikeLists.joined(lists)
    with pytest.raises(ValueError, match="must be of one shape"):
        SpikeLists.joined([])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(samples=st.integers(0, 5), shape=SHAPES, density=DENSITIES, wide=st.booleans(), seed=st.integers(0, 9))
def test_events_come_back_from_lists(samples, shape, density, wide, seed):
    frames = samples_of(seed, samples, shape, density)
    frames = frames if wide else (frames % 256).astype(np.uint8)
    events = SparseFrames.of(frames)
    assert events.shape == frames.shape and len(events) == len(frames) and events.counts.dtype == np.int32
    assert_same(events.lists, SpikeLists.of(frames))
    assert np.array_equal(dense(events), frames) and dense(frames) is frames
    assert (events.counts > 0).all()
    for same in (listed(frames), listed(events), *([SparseFrames.joined(list(events.each()))] if samples else [])):
        assert_same(same.lists, events.lists)
        assert np.array_equal(same.counts, events.counts)
    for n, one in enumerate(events.each()):
        assert np.array_equal(one.dense()[0], frames[n])
    assert samples < 3 or np.array_equal(events.part(1, 3).dense(), frames[1:3])
