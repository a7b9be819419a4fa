"""Running a layer, pooling, winners and whole chains: float32, float64 and the CPU's kernels agree bit for bit, and so do the
CUDA kernels where Triton is installed."""

import importlib.util

import numpy as np
import pytest
import torch

pytest.importorskip("numba", reason="the cpu backend needs numba")
pytest.importorskip("hypothesis")

import oracle
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spikeseg.core.grid import snap
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SparseFrames
from spikeseg.ops import cpu, reference
from spikeseg.ops.cpu import chain as cpu_chain
from spikeseg.ops.cpu import memory as cpu_memory
from spikeseg.ops.reference.layers import at_first_spike, first_spike_steps
from spikeseg.ops.types import WTA_MODES, BlockThreshold, Layer

MEMBRANES = [(LeakMode.NONE, 0.0), (LeakMode.SUBTRACTIVE, 819 / 4096), (LeakMode.MULTIPLICATIVE, 3001 / 4096)]
sizes = st.tuples(st.integers(1, 8), st.integers(1, 3), st.integers(1, 9), st.integers(1, 10))  # T, C, H, W
densities = st.sampled_from([0.0, 0.02, 0.2, 1.0])
thresholds = st.sampled_from([0.0, 0.25, 1.0, 3.5])


def frames_of(seed, samples, size, density, counts):
    rng = np.random.default_rng(seed)
    spikes = rng.random((samples, *size)) < density
    return (spikes * rng.integers(1, 6, spikes.shape)).astype(np.uint16) if counts else spikes.astype(np.uint8)


def weights_of(seed, *shape, negative, ties):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.3
    weight = weight if negative else weight.abs()
    return (weight * 4).round() / 4 if ties else weight


def by_hand(frames, weight, theta, mode, leak):
    fired, potentials = oracle.run(frames, weight.numpy(), theta.numpy(), mode.value, leak)
    return torch.from_numpy(fired), torch.from_numpy(potentials / 4096.0)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(size=sizes, maps=st.integers(1, 5), kernel=st.sampled_from([1, 3, 5, 7]), membrane=st.sampled_from(MEMBRANES),
       density=densities, theta=thresholds, counts=st.booleans(), negative=st.booleans(), ties=st.booleans(),
       carried=st.booleans(), by_place=st.booleans(), seed=st.integers(0, 9))  # fmt: skip
@example(size=(2, 1, 3, 3), maps=1, kernel=3, membrane=MEMBRANES[1], density=0.0, theta=0.0, counts=False, negative=False,
         ties=True, carried=False, by_place=False, seed=0)  # at rest and at a threshold of 0: fires  # fmt: skip
def test_layers_and_first_spikes(size, maps, kernel, membrane, density, theta, counts, negative, ties, carried, by_place, seed):
    weight = weights_of(seed, maps, size[1], kernel, kernel, negative=negative, ties=ties)
    frames = frames_of(seed, 2, size, density, counts)
    spikes = torch.from_numpy(frames.astype(np.float32)).transpose(0, 1)
    g = torch.Generator().manual_seed(seed)
    level = torch.full((maps,), theta) + torch.rand(maps, generator=g) * (theta > 0)
    if by_place:
        level = level[None, :, None, None] + torch.rand(2, maps, *size[2:], generator=g)
    before = snap(torch.rand(2, maps, *size[2:], generator=g)) if carried else None
    single = reference.layer_forward(spikes, weight, level, *membrane, before)
    wide = None if before is None else before.double()
    double = reference.layer_forward(spikes.double(), weight.double(), level.double(), *membrane, wide)
    fast = cpu.layer_forward(spikes, weight, level, *membrane, before)
    for a, b, c in zip(single, double, fast, strict=True):
        assert torch.equal(a, c) and torch.equal(a.double(), b)
    first = first_spike_steps(single.spikes)
    assert torch.equal(first, first_spike_steps(double.spikes))
    if not carried and not by_place:
        fired, potentials = by_hand(frames[0], weight, level, *membrane)
        assert torch.equal(single.spikes[:, 0] > 0, fired) and torch.equal(double.potentials[:, 0], potentials)
        assert np.array_equal(first[0].numpy(), oracle.first_steps(fired.numpy()))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(size=st.tuples(st.integers(1, 9), st.integers(1, 9)), density=densities,
       pool=st.sampled_from([(1, 1), (2, 2), (3, 2), (3, 1), (7, 6), (2, 1)]), seed=st.integers(0, 9))  # fmt: skip
def test_pools(size, pool, density, seed):
    g = torch.Generator().manual_seed(seed)
    spikes = (torch.rand(2, 2, 2, *size, generator=g) < density).float()
    potentials = torch.randint(-2, 3, spikes.shape, generator=g) / 4  # ties, and potentials below 0
    slow, fast = reference.pool(spikes, potentials, *pool), cpu.pool(spikes, potentials, *pool)
    wide = reference.pool(spikes.double(), potentials.double(), *pool)
    for a, b, c in zip(slow, wide, fast, strict=True):
        assert torch.equal(a, c) and torch.equal(a.to(b.dtype), b)
    for cell in np.argwhere(slow.spikes.numpy() >= 0):
        y, x = cell[3] * pool[1], cell[4] * pool[1]
        there = [
            (-float(potentials[*cell[:3], r, q]), r * size[1] + q)
            for r in range(y, min(y + pool[0], size[0])) for q in range(x, min(x + pool[0], size[1]))
            if spikes[*cell[:3], r, q] > 0
        ]  # fmt: skip
        assert int(slow.indices[tuple(cell)]) == (min(there)[1] if there else -1)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(size=st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)), wta=st.sampled_from(WTA_MODES),
       radius=st.integers(0, 3), limit=st.sampled_from([None, 1, 4]), density=densities, seed=st.integers(0, 9))  # fmt: skip
def test_winners(size, wta, radius, limit, density, seed):
    rng = np.random.default_rng(seed)
    fired = rng.random((3, *size)) < density
    potentials = rng.integers(-2, 4, (3, *size))  # many ties
    first = torch.from_numpy(oracle.first_steps(fired))
    height = at_first_spike(torch.from_numpy(potentials / 4096).float(), first)
    want = [list(w) for w in oracle.winners_of(fired, potentials, wta, radius, limit)]
    for backend in (reference, cpu):
        found = backend.select_winners(first, height, 3, mode=wta, radius=radius, max_winners=limit)
        assert found.tolist() == want
    assert reference.select_winners(first, height.double(), 3, mode=wta, radius=radius, max_winners=limit).tolist() == want


def chain(seed, channels, theta, negative, membrane, pools, ties):
    shapes = [(3, channels, 5, 5), (4, 3, 3, 3), (2, 4, 7, 7)]
    g = torch.Generator().manual_seed(seed)
    return [
        Layer(weights_of(seed + i, *shape, negative=negative and i == 0, ties=ties),
              torch.full((shape[0],), theta) + torch.rand(shape[0], generator=g) * (theta > 0), *membrane, pool)
        for i, (shape, pool) in enumerate(zip(shapes, (*pools, None), strict=True))
    ]  # fmt: skip


def assert_same_spikes(a, b):
    for p, q in zip(a, b, strict=True):
        assert p.lists.shape == q.lists.shape
        assert np.array_equal(p.lists.offsets, q.lists.offsets) and np.array_equal(p.lists.sites, q.lists.sites)
        assert (p.kept is None) == (q.kept is None) and (p.kept is None or np.array_equal(p.kept, q.kept))


chains = given(
    size=sizes, membrane=st.sampled_from(MEMBRANES), density=densities, theta=thresholds, counts=st.booleans(),
    negative=st.booleans(), ties=st.booleans(), pools=st.sampled_from([((2, 2), (2, 2)), ((3, 2), (3, 1)), ((7, 6), None)]),
    block=st.sampled_from([None, None, 1, 4]), samples=st.integers(0, 3), seed=st.integers(0, 9),
)  # fmt: skip


def case(size, membrane, density, theta, counts, negative, ties, pools, block, samples, seed):
    layers = chain(seed, size[1], theta, negative, membrane, pools, ties)
    blocks = None
    if block is not None:
        shape = (samples, 3, -(-size[2] // block), -(-size[3] // block))
        blocks = BlockThreshold(snap(torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2), block)
    return frames_of(seed, samples, size, density, counts), layers, blocks


def start_with_room_for_one(patch):
    begin = cpu_chain._Growing.__init__
    patch.setattr(cpu_chain._Growing, "__init__", lambda self, entries: begin(self, min(entries, 1)))


@settings(max_examples=100, deadline=None, derandomize=True)
@chains
def test_chains_on_the_cpu(seed, **given_):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_memory, "TILE", (1, 6, 256)[seed % 3])
        patch.setattr(cpu_memory, "SPARSE", 0.25 if seed % 2 else 1e9)
        if seed % 3 == 1:
            start_with_room_for_one(patch)
        what = case(seed=seed, **given_)
        assert_same_spikes(reference.encode(*what), cpu.encode(*what, threads=1 + seed % 3))


def uneven(samples, counts):
    """The first are full, the middle ones empty, the last sparse; some count several events in a pixel, others never."""
    frames = frames_of(3, samples, (5, 2, 12, 15), 0.02, counts)
    frames[: samples // 4] = frames_of(4, samples // 4, (5, 2, 12, 15), 1.0, counts)
    frames[samples // 2 : samples * 3 // 4] = 0
    frames[-1::-3] = np.minimum(frames[-1::-3], 1)
    values = torch.rand((samples, 3, 3, 4), generator=torch.Generator().manual_seed(0)) * 2
    return frames, chain(5, 2, 0.25, False, MEMBRANES[1], ((2, 2), (2, 2)), False), BlockThreshold(snap(values), 4)


@pytest.mark.parametrize("membrane", MEMBRANES)
@pytest.mark.parametrize("by_place", [False, True])
@pytest.mark.parametrize("theta", [0.0, 0.25])
def test_maps_that_read_different_channels_are_run_in_groups(membrane, by_place, theta):
    frames, block = frames_of(5, 3, (5, 4, 9, 70), 0.1, True), 4
    frames[2] = frames[2] > 0
    layers = chain(2, 4, theta, True, membrane, ((2, 2), (3, 2)), False)
    weight = weights_of(3, 6, 4, 5, 5, negative=True, ties=True)
    for m, read in enumerate([(0,), (1, 3), (0,), (), (1, 3), (1, 2, 3)]):
        weight[m, [c for c in range(4) if c not in read]] = 0
    layers[0] = layers[0]._replace(weight=weight, threshold=torch.full((6,), theta))
    layers[1] = layers[1]._replace(weight=weights_of(4, 4, 6, 3, 3, negative=False, ties=False))
    groups = [((0, 2, 3), 0, 1), ((1, 4, 5), 1, 4)]
    assert cpu_chain.groups_of(weight.numpy()) == tuple(cpu_chain.Group(*own) for own in groups)
    assert cpu_chain.groups_of(layers[1].weight.numpy()) == (cpu_chain.Group((0, 1, 2, 3), 0, 6),)
    values = torch.rand((3, 6, 3, 18), generator=torch.Generator().manual_seed(0)) * 2
    what = frames, layers, BlockThreshold(snap(values), block) if by_place else None
    found = cpu.encode(*what)
    assert_same_spikes(reference.encode(*what), found)
    assert len(np.unique(found[0].lists.sites // (found[0].lists.shape[2] * found[0].lists.shape[3]))) >= 5


@pytest.mark.parametrize("by_place", [False, True])
@pytest.mark.parametrize("samples", [0, 1, 2, 9, 41])
@pytest.mark.parametrize(("block", "blocks"), [(8, 4), (3, 1), (100, 1)])
def test_samples_come_in_order_from_any_number_of_threads(samples, block, blocks, by_place, monkeypatch):
    monkeypatch.setattr(cpu_chain, "BLOCK", block)
    monkeypatch.setattr(cpu_chain, "BLOCKS", blocks)
    frames, layers, thresholds = uneven(samples, counts=True)
    thresholds = thresholds if by_place else None
    want = reference.encode(frames, layers, thresholds)
    assert samples < 9 or all(len(one.lists.sites) for one in want)
    for threads in (1, 2, 3, 7, 50):
        assert_same_spikes(want, cpu.encode(frames, layers, thresholds, threads=threads))


@pytest.mark.parametrize("threads", [1, 2])
def test_room_grows_with_the_spikes_and_no_further(threads, monkeypatch):
    start_with_room_for_one(monkeypatch)
    monkeypatch.setattr(cpu_chain, "BLOCK", 7)
    frames, layers, thresholds = uneven(41, counts=False)
    assert_same_spikes(reference.encode(frames, layers, thresholds), cpu.encode(frames, layers, thresholds, threads=threads))
    one = cpu_chain.Chain(layers, frames.shape[1:]).load(layers)
    one.run(frames[5:20])
    room = [one._input, *(link._output for link in one._links)]
    sizes = [len(part.sites) for part in room]
    for _ in range(3):
        found = one.run(frames[5:20])
    assert [len(part.sites) for part in room] == sizes
    for part, said in zip(room[1:], found, strict=True):
        steps, *site = said.lists.shape
        assert len(part.sites) == len(part.numbers) < 2 * (len(said.lists.sites) + steps * np.prod(site))


@pytest.mark.parametrize("ops", [reference, cpu])
@pytest.mark.parametrize("counts", [False, True])
def test_frames_may_come_as_lists(ops, counts):
    frames, layers, thresholds = uneven(11, counts=counts)
    given = SparseFrames.of(frames)
    want = ops.encode(frames, layers, thresholds)
    assert_same_spikes(want, ops.encode(given, layers, thresholds, threads=2))
    how = {"delay_connections": True, "decay": 1.0}
    for one, other in zip(ops.trace(frames, layers, want, **how), ops.trace(given, layers, want, **how), strict=True):
        assert np.array_equal(one.index, other.index) and np.array_equal(one.value, other.value)


@pytest.mark.parametrize("threads", [1, 2])
def test_calls_in_a_row_share_scratch_but_neither_weights_nor_thresholds(threads):
    frames, layers, thresholds = uneven(11, counts=False)
    others = [layer._replace(weight=layer.weight.flip(0), threshold=layer.threshold + 1) for layer in layers]
    for chain, limits in [(layers, thresholds), (others, None), (layers, None), (others, thresholds), (layers, thresholds)]:
        want = reference.encode(frames, chain, limits)
        assert_same_spikes(want, cpu.encode(frames, chain, limits, threads=threads))


def test_a_failure_in_a_thread_is_told(monkeypatch):
    def run(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(cpu_chain.Chain, "run", run)
    with pytest.raises(MemoryError, match="no room"):
        cpu.encode(*uneven(9, counts=False), threads=3)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.sampled_from([6, 24, 40]), st.integers(1, 2), st.integers(1, 5), st.integers(1, 24)),
    membrane=st.sampled_from([(LeakMode.NONE, 0.0), (LeakMode.SUBTRACTIVE, 0.25), (LeakMode.SUBTRACTIVE, 1 / 64),
                              (LeakMode.MULTIPLICATIVE, 0.5), (LeakMode.MULTIPLICATIVE, 3999 / 4096)]),
    maps=st.integers(1, 3), kernel=st.sampled_from([1, 3, 5]), density=st.sampled_from([0.005, 0.02, 0.06]),
    theta=st.integers(1, 6), negative=st.booleans(), pool=st.sampled_from([None, (2, 2), (3, 2)]),
    tile=st.sampled_from([1, 6, 256]), seed=st.integers(0, 9),
)  # fmt: skip
def test_rare_spikes_with_long_silences_that_just_reach_the_threshold(
    size, membrane, maps, kernel, density, theta, negative, pool, tile, seed
):
    frames = frames_of(seed, 2, size, density, counts=False)
    weight = weights_of(seed, maps, size[1], kernel, kernel, negative=negative, ties=True)  # quarters, as thresholds are
    level = torch.full((maps,), theta / 4)
    layers = [Layer(weight, level, *membrane, pool), Layer(torch.full((1, maps, 3, 3), 0.5), torch.ones(1), *membrane, None)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_memory, "TILE", tile)
        slow, fast = reference.encode(frames, layers), cpu.encode(frames, layers)
    assert_same_spikes(slow, fast)
    if pool is None:
        fired, _ = oracle.run(frames[0], weight.numpy(), level.numpy(), membrane[0].value, membrane[1])
        assert np.array_equal(fast[0].lists.part(0, 1).dense()[0], fired)


@pytest.mark.parametrize("backend", [reference, cpu])
def test_near_the_end_of_the_exact_range(backend):
    frames = np.full((1, 2, 1, 1, 2), 2047, np.uint16)
    frames[0, 1] = 1
    for theta, fires in ((2047.0, True), (2047.0 + 1 / 4096, False)):
        layer = Layer(torch.ones(1, 1, 1, 1), torch.full((1,), theta), LeakMode.NONE, 0.0, None)
        found = backend.encode(frames, [layer])[0].lists.dense()
        assert found[0, 0].all() == found[0, 0].any() == fires and found[0, 1].any() != fires


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
@settings(max_examples=6, deadline=None, derandomize=True)
@chains
def test_chains_of_the_cuda_kernels(**given_):
    from spikeseg.ops import cuda

    if torch.cuda.is_available():
        pytest.skip("with a GPU, test_cuda_full.py compares")
    what = case(**given_)
    assert_same_spikes(cpu.encode(*what), cuda.encode(*what))
