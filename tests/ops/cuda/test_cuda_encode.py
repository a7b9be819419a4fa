"""Encoding in Triton: lists up, events or products by tile, lists down; against the reference, bit for bit."""

import numpy as np
import pytest
import torch

pytest.importorskip("hypothesis")

from hypothesis import example, given, settings
from hypothesis import strategies as st

from spikeseg.core.grid import SCALE, snap
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SparseFrames
from spikeseg.ops.types import BlockThreshold, Layer

pytestmark = [pytest.mark.gpu] if torch.cuda.is_available() else []
LEAKS = [(LeakMode.NONE, 0.0), (LeakMode.SUBTRACTIVE, 0.125), (LeakMode.MULTIPLICATIVE, 3001 / 4096)]
POOLS = [None, (2, 2), (3, 2), (3, 1), (5, 3), (7, 6)]


def layer(seed, maps, channels, kernel, theta, leak, pool):
    g = torch.Generator().manual_seed(seed)
    weight = (torch.randn(maps, channels, kernel, kernel, generator=g) * 0.3 * 4).round() / 4  # quarters: many ties
    return Layer(weight, torch.full((maps,), theta), *leak, pool)


def there(layers, device):
    return [one._replace(weight=one.weight.to(device), threshold=one.threshold.to(device)) for one in layers]


def assert_same(found, wanted):
    for got, want in zip(found, wanted, strict=True):
        assert got.lists.shape == want.lists.shape
        pairs = [(got.lists.offsets, want.lists.offsets), (got.lists.sites, want.lists.sites), (got.kept, want.kept)]
        for a, b in pairs:
            assert (a is None) == (b is None)
            assert a is None or (a.dtype == b.dtype and np.array_equal(a, b))


def frames_of(seed, samples, size, density, most):
    rng = np.random.default_rng(seed)
    frames = (rng.random((samples, *size)) < density) * rng.integers(1, most + 1, (samples, *size))
    frames[: samples // 3] = 0
    return frames.astype(np.uint16)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 7), st.integers(1, 6)), maps=st.sampled_from([1, 3, 17]),
    kernel=st.sampled_from([1, 3, 5]), leak=st.sampled_from(LEAKS), pool=st.sampled_from(POOLS),
    density=st.sampled_from([0.0, 0.05, 0.3]), most=st.sampled_from([1, 3, 300]), theta=st.sampled_from([0.0, 0.25, 2.0]),
    block=st.sampled_from([None, 1, 4]), events=st.sampled_from([0, 20, 1000]), part=st.sampled_from([16, 1024]),
    scan=st.sampled_from([32, 512]), seed=st.integers(0, 9),
)  # fmt: skip
@example(size=(2, 2, 5, 6), maps=17, kernel=3, leak=LEAKS[1], pool=(3, 1), density=1.0, most=3, theta=0.25, block=4, events=0,
         part=16, scan=32, seed=1)  # products of counts  # fmt: skip
@example(size=(2, 1, 3, 4), maps=1, kernel=3, leak=LEAKS[0], pool=(2, 2), density=0.0, most=1, theta=0.0, block=None, events=1000,
         part=1024, scan=512, seed=0)  # at rest and at a threshold of 0: fires  # fmt: skip
def test_a_layer_says_the_same(
    triton_ops, device, size, maps, kernel, leak, pool, density, most, theta, block, events, part, scan, seed
):
    from spikeseg.ops import reference
    from spikeseg.ops.cuda import chain as cuda_chain

    frames = frames_of(seed, 2, size, density, most)
    layers, blocks = [layer(seed, maps, size[1], kernel, theta, leak, pool)], None
    if block is not None:
        rough = torch.rand((2, maps, -(-size[2] // block), -(-size[3] // block)), generator=torch.Generator().manual_seed(seed))
        blocks = BlockThreshold(snap(rough * 2), block)
    begin = cuda_chain._PooledLayer.__init__

    def patched(self, *args):
        begin(self, *args)
        self.options |= {"EVENTS": events, "SCAN": scan}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_chain._PooledLayer, "__init__", patched)
        patch.setattr(cuda_chain, "BLOCK", part)
        found = triton_ops.encode(frames, there(layers, device), blocks)
    assert_same(found, reference.encode(frames, layers, blocks))


def chain(pools=((2, 2), (3, 2))):
    return [
        layer(1, 3, 2, 5, 0.5, LEAKS[1], pools[0]),
        layer(2, 18, 3, 3, 0.75, LEAKS[2], pools[1]),
        layer(3, 2, 18, 3, 1.0, LEAKS[0], None),
    ]


def test_events_and_products_give_the_same_and_lists_the_same_as_frames(triton_ops, device, meaning, monkeypatch):
    from spikeseg.ops.cuda import chain as cuda_chain

    frames = frames_of(4, 2, (3, 2, 9, 10), 0.05, 1)
    frames[1, :, :, 2:5, 2:5] = 1
    wanted = meaning.encode(frames, chain())
    assert all(len(one.lists.sites) > 3 for one in wanted)
    for products, most in ((0, 2048), (10**6, 2048), (10**6, 16)):
        monkeypatch.setattr(cuda_chain, "PRODUCTS", products)
        monkeypatch.setattr(cuda_chain, "MOST_LISTED", most)
        assert_same(triton_ops.encode(SparseFrames.of(frames), there(chain(), device)), wanted)


@pytest.mark.parametrize("limit", ["ROOM", "MOST_PROGRAMS"])
def test_samples_beyond_a_launch_come_in_groups_in_their_order(triton_ops, device, meaning, monkeypatch, limit):
    from spikeseg.ops.cuda import chain as cuda_chain

    frames = frames_of(5, 5, (2, 2, 6, 4), 0.2, 2)
    values = snap(torch.rand(5, 3, 2, 1, generator=torch.Generator().manual_seed(0)) * 2)
    groups, begin = [], cuda_chain._Group.__init__
    monkeypatch.setattr(cuda_chain, limit, {"ROOM": 2 * 2 * 18, "MOST_PROGRAMS": 2}[limit])
    monkeypatch.setattr(
        cuda_chain._Group, "__init__", lambda self, part, *rest: groups.append(len(part)) or begin(self, part, *rest)
    )
    layers = chain((None, None)) if limit == "MOST_PROGRAMS" else chain()
    found = triton_ops.encode(SparseFrames.of(frames), there(layers, device), BlockThreshold(values, 4))
    assert_same(found, meaning.encode(frames, layers, BlockThreshold(values, 4)))
    assert len(groups) > 1 and sum(groups) == 5


def test_near_the_end_of_the_exact_range(triton_ops, device):
    frames = np.full((1, 2, 1, 1, 2), 2047, np.uint16)
    frames[0, 1] = 1
    for theta, fires in ((2047.0, True), (2047.0 + 1 / SCALE, False)):
        one = Layer(torch.ones(1, 1, 1, 1), torch.full((1,), theta), LeakMode.NONE, 0.0, None)
        found = triton_ops.encode(frames, there([one], device))[0].lists.dense()
        assert found[0, 0].all() == found[0, 0].any() == fires and found[0, 1].any() != fires


def test_where_synapses_lie_is_found_once_for_each_shape(triton_ops):
    from spikeseg.ops.cuda.memory import Geometry

    del triton_ops
    weight = torch.zeros(4, 2, 3, 3)
    known = Geometry.of(weight, (5, 7))
    assert Geometry.of(torch.ones(1, 2, 3, 3), (5, 7)) is known
    for other, size in ((weight, (7, 5)), (torch.zeros(4, 3, 3, 3), (5, 7)), (torch.zeros(4, 2, 5, 5), (5, 7))):
        assert Geometry.of(other, size) is not known
    with pytest.raises(ValueError, match="kernels of size 4 have no centre"):
        Geometry.of(torch.zeros(1, 1, 4, 4), (5, 7))
