"""HULK: every instance is what the decoder makes of its spike alone, and together they are what it makes of all."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.config.sections import ModelConfig
from spikeseg.core.grid import snap
from spikeseg.core.sparse import SpikeLists
from spikeseg.detection.hulk import Footprints, instances
from spikeseg.models import SpikeSEG, decode
from spikeseg.models.decoder import spikes_of
from spikeseg.ops.types import PooledSpikes

MODES = [(True, 1.0), (True, 0.0), (True, 0.9), (False, 1.0), (False, 0.5)]


def sample(seed, size, density, quantile=0.97, **changes):
    """A random network, frames (T, 2, H, W), what its encoder put out and the same as lists; conv3's threshold is this quantile
    of its potentials; 0: it is 0, and every neuron fires at every step."""
    rng = np.random.default_rng(seed)
    model = ModelConfig(
        **{
            "conv2_channels": 3,
            "n_classes": 2,
            "kernel_sizes": (3, 3, 5),
            "thresholds": (0.1, 2.0, 1000.0),
            "leaks": (0.05, 0.1, 0.0),
            **changes,
        }
    )
    network = SpikeSEG.from_config(model, seed=seed)
    for layer in (network.encoder.conv2, network.encoder.conv3):  # some synapses are gone, and some inhibit
        layer.weight.copy_(layer.weight - 0.9 * (torch.from_numpy(rng.random(layer.weight.shape)) < 0.3))
    frames = (rng.random((size[0], 2, *size[1:])) < density).astype(np.uint8)
    potentials = network.encode(torch.from_numpy(frames)).layer_membranes["conv3"]
    network.encoder.conv3.threshold.fill_(snap(torch.quantile(potentials, quantile)).item() if quantile else 0.0)
    network.reset_state()
    output = network.encode(torch.from_numpy(frames[:, None]))
    network.reset_state()
    return network.encoder, frames, output, spikes_of(output)


def alone(found, n):
    """n samples: in each the same spikes, but of conv3 only one."""
    lists = found["conv3"].lists
    offsets = np.searchsorted(np.repeat(np.arange(lists.shape[0]), np.diff(lists.offsets)), np.arange(lists.shape[0]), "left")
    repeated = {
        level: PooledSpikes(SpikeLists.joined([one.lists] * n), None if one.kept is None else np.tile(one.kept, n))
        for level, one in found.items()
    }
    starts = [np.clip(np.append(offsets, len(lists.sites)) - k, 0, 1) for k in range(n)]
    single = [SpikeLists(s.astype(np.int64), lists.sites[k : k + 1], lists.shape) for k, s in enumerate(starts)]
    return repeated | {"conv3": PooledSpikes(SpikeLists.joined(single), None)}


def by_brute_force(encoder, frames, output):
    """Pixels and ASH of every spike of conv3, by following each synapse: lists of sets and of bool (F, T)."""
    config = encoder.config
    spikes = [output.layer_spikes[level][:, 0].numpy() > 0 for level in ("pool1", "pool2", "conv3")]
    kept = [output.pooling_indices[level][:, 0].numpy() for level in ("pool1", "pool2")]
    weights = [np.rint(encoder.layer(name).weight.numpy() * 4096) > 0 for name in ("conv1", "conv2", "conv3")]
    features = np.cumsum([0] + [one.shape[1] for one in spikes])

    @cache
    def below(level, m, y, x, t):
        """What a neuron reaches: (map, row, column, step) of neurons or pixels, and (feature, step) of spikes."""
        gate, half, reached, took_part = spikes[level - 1] if level else frames > 0, weights[level].shape[-1] // 2, [], []
        for c, ky, kx in zip(*np.nonzero(weights[level][m]), strict=True):
            row, column = y + ky - half, x + kx - half
            if not (0 <= row < gate.shape[2] and 0 <= column < gate.shape[3]):
                continue
            fired = np.flatnonzero(gate[: t + 1, c, row, column])
            if config.use_delay_connections:
                pairs = [(s, s) for s in fired if s == t or config.delay_decay > 0]
            else:
                pairs = [(t, fired[-1])] if len(fired) else []
            for step, when in pairs:
                if level:
                    width = frames.shape[3] if level == 1 else spikes[level - 2].shape[3]
                    took_part.append((features[level - 1] + c, when))
                    row, column = divmod(kept[level - 1][when, c, y + ky - half, x + kx - half], width)
                reached.append((c, row, column, step))
        return reached, took_part

    pixels, ashes = [], []
    for t, m, y, x in zip(*np.nonzero(spikes[2]), strict=True):
        ash, neurons = np.zeros((features[-1], len(frames)), bool), {(m, y, x, t)}
        ash[features[2] + m, t] = True
        for level in (2, 1, 0):
            found = [below(level, *neuron) for neuron in neurons]
            neurons = {neuron for reached, _ in found for neuron in reached}
            for where in {spike for _, took_part in found for spike in took_part}:
                ash[where] = True
        if neurons:
            pixels.append({(y, x) for _, y, x, _ in neurons})
            ashes.append(ash)
    return pixels, ashes


@settings(max_examples=30, deadline=None)
@given(
    mode=st.sampled_from(MODES),
    seed=st.integers(0, 1000),
    height=st.integers(1, 14),
    width=st.integers(1, 14),
    steps=st.integers(1, 5),
    maps=st.sampled_from([2, 3, 70]),
    pools=st.sampled_from([((2, 2), (2, 2)), ((3, 2), (2, 1)), ((1, 1), (3, 3))]),
    quantile=st.sampled_from([0.0, 0.9, 0.97]),
)
def test_boxes_masks_and_ashs_equal_brute_force(mode, seed, height, width, steps, maps, pools, quantile):
    (pool1, stride1), (pool2, stride2) = pools
    encoder, frames, output, found = sample(
        seed, (steps, height, width), 0.1, quantile, use_delay_connections=mode[0], delay_decay=mode[1], conv2_channels=maps,
        pool1_kernel=pool1, pool1_stride=stride1, pool2_kernel=pool2, pool2_stride=stride2,
    )  # fmt: skip
    got = instances(encoder, frames, found)
    pixels, ashes = by_brute_force(encoder, frames, output)
    assert len(got) == len(pixels)
    masks = got.masks()
    for k, (wanted, ash) in enumerate(zip(pixels, got.prints.unpacked(), strict=True)):
        assert set(zip(*np.nonzero(masks[k]), strict=True)) == wanted
        assert np.array_equal(ash, ashes[k])
        rows, columns = zip(*wanted, strict=True)
        assert got.prints.boxes[k].tolist() == [min(columns), min(rows), max(columns) + 1, max(rows) + 1]


@pytest.mark.parametrize(("delay", "decay"), MODES)
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_instances_are_the_decoder_s_output_spike_by_spike_and_in_sum(delay, decay, backend):
    encoder, frames, _, found = sample(3, (5, 35, 38), 0.03, use_delay_connections=delay, delay_decay=decay)
    encoder.backend = backend
    got = instances(encoder, frames, found)
    n = len(got)
    assert 5 < n == len(found["conv3"].lists.sites) < 400
    singly = decode(encoder, np.repeat(frames[None], n, 0), alone(found, n))
    exact = decay in (0.0, 1.0) or not delay
    same = np.array_equal if exact else lambda a, b: np.allclose(a, b, rtol=1e-6, atol=0)
    assert same(got.saliency(), singly) and got.saliency().dtype == np.float32
    assert np.array_equal(got.masks(), singly.any(1))
    together = decode(encoder, frames[None], found)[0]
    assert same(got.saliency(np.zeros(n, int))[0], together)
    assert np.allclose(got.saliency().sum(0, dtype=np.float64), together, rtol=1e-5, atol=0)
    assert np.array_equal(got.masks().any(0), together.any(0)) and together.any()
    odd = got.saliency(np.arange(n) % 2)
    assert odd.shape == (2, *together.shape) and np.allclose(odd.sum(0), together, rtol=1e-5, atol=0)
    some = np.array([n - 1, 0])
    assert np.array_equal(got.masks(some), got.masks()[some])


@pytest.mark.parametrize(("delay", "decay"), MODES)
@pytest.mark.parametrize("size", [(5, 35, 38), (7, 1, 13), (1, 9, 10)])
def test_backends_give_the_same_instances(delay, decay, size):
    encoder, frames, _, spikes = sample(4, size, 0.1, use_delay_connections=delay, delay_decay=decay)
    both = {}
    for backend in ("reference", "cpu"):
        encoder.backend = backend
        both[backend] = instances(encoder, frames, spikes)
        assert both[backend].backend == backend
    one, other = both.values()
    assert len(one) == len(other) > 0
    for name in ("class_id", "step", "spike", "cells"):
        assert getattr(one, name).dtype == getattr(other, name).dtype
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert one.size == other.size == size and one.prints.shape == other.prints.shape
    assert np.array_equal(one.prints.boxes, other.prints.boxes) and np.array_equal(one.prints.ash, other.prints.ash)
    assert np.array_equal(one.masks(), other.masks())
    exact = decay in (0.0, 1.0) or not delay
    same = np.array_equal if exact else lambda a, b: np.allclose(a, b, rtol=1e-6, atol=0)
    assert same(one.saliency(), other.saliency()) and same(one.saliency(one.step % 2), other.saliency(one.step % 2))


def test_instances_are_unravelled_by_the_encoder_s_backend(monkeypatch):
    """Not by another one: the cpu backend's loops stay out of it under `reference`."""
    encoder, frames, _, spikes = sample(4, (5, 35, 38), 0.03)
    encoder.backend = "reference"
    for name in ("cones", "unite", "spread"):
        monkeypatch.setattr(f"spikeseg.ops.cpu.{name}", None)
    assert instances(encoder, frames, spikes).masks().any()
    encoder.backend = "cuda"
    with pytest.raises(ValueError, match="backend 'cuda' runs on a cuda device, but the network lies on 'cpu'"):
        instances(encoder, frames, spikes)


def test_many_steps_and_one_instance_in_full():
    encoder, frames, output, found = sample(5, (70, 9, 8), 0.04, 0.85)
    got = instances(encoder, frames, found)
    pixels, ashes = by_brute_force(encoder, frames, output)
    assert len(got) == len(ashes) > 3 and np.array_equal(got.prints.unpacked(), ashes)
    one = got[-1]
    assert np.array_equal(one.ash, ashes[-1]) and set(zip(*np.nonzero(one.mask), strict=True)) == pixels[-1]
    assert one.step == got.step[-1] == np.flatnonzero(output.classification_spikes.flatten(1).any(1)).max()
    rows, columns = np.nonzero(one.mask)
    assert one.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert one.ash[-2 + one.class_id, one.step] and one.ash[-2:].sum() == 1
    with pytest.raises(IndexError):
        got[len(got)]


def test_a_dot_gives_instances_of_its_polarity_that_cover_it(hulk_tools):
    network, dot, unravel = hulk_tools
    frames = np.zeros((3, 2, 31, 37), np.uint8)
    dot(frames, 1, (15, 20), (0, 0), [1])
    _, got = unravel(network(), frames)
    assert len(got) and set(got.class_id) == {1} and set(got.step) == {1}
    assert np.array_equal(got.masks().any(0), frames.any((0, 1)))
    assert np.array_equal(got.prints.unpacked().any(0).any(1), [False, True] * 3)  # the features of ON, in three layers
    assert np.array_equal(got.prints.unpacked().any((0, 1)), [False, True, False])


def test_classes_choose_and_spikes_without_a_pixel_are_left_out(hulk_tools, crossing):
    model, frames, both = crossing
    _, on = hulk_tools[2](model, frames, classes=[1])
    assert 0 < len(on) == np.sum(both.class_id == 1) < len(both) and set(on.class_id) == {1}
    assert np.array_equal(on.prints.ash, both.prints.ash[both.class_id == 1])
    trigger_happy = hulk_tools[0](thresholds=(0.3, 0.9, 0.0))
    found, got = hulk_tools[2](trigger_happy, frames)
    assert len(found["conv3"].lists.sites) == 9 * 2 * 12 * 14  # every neuron at every step
    assert 0 < len(got) < 9 * 2 * 12 * 14 and got.masks().any((1, 2)).all()


@pytest.mark.parametrize("kind", [bool, np.uint16, np.int64, np.float32])
def test_frames_of_any_type(hulk_tools, crossing, kind):
    model, frames, wanted = crossing
    got = instances(model.encoder, frames.astype(kind), model.infer(frames[None]))
    assert np.array_equal(got.prints.boxes, wanted.prints.boxes) and np.array_equal(got.saliency(), wanted.saliency())


def test_silence_has_no_instances(hulk_tools):
    _, got = hulk_tools[2](hulk_tools[0](), np.zeros((3, 2, 10, 12), np.uint8))
    assert len(got) == 0 and got.masks().shape == (0, 10, 12) and got.saliency().shape == (0, 3, 10, 12)
    assert got.prints.merged(np.zeros(0, int), 0).boxes.shape == (0, 4)


def test_only_one_sample_at_a_time(hulk_tools):
    model, frames = hulk_tools[0](), np.zeros((2, 3, 2, 10, 12), np.uint8)
    with pytest.raises(ValueError, match="2 samples"):
        instances(model.encoder, frames[0], model.infer(frames))
    with pytest.raises(ValueError, match="must be"):
        instances(model.encoder, frames[:1], model.infer(frames[:1]))


def test_footprints_pack_and_merge():
    rng = np.random.default_rng(2)
    ash, boxes = rng.random((6, 5, 27)) < 0.2, np.sort(rng.integers(0, 50, (6, 2, 2)), 1).reshape(6, 4)
    prints, group = Footprints.of(boxes, ash), np.array([1, 0, 2, 1, 0, 1])
    assert np.array_equal(prints.unpacked(), ash) and prints.ash.shape == (6, 3)
    merged = prints.merged(group, 3)
    for g in range(3):
        assert np.array_equal(merged.unpacked()[g], ash[group == g].any(0))
        own = boxes[group == g]
        assert merged.boxes[g].tolist() == [*own[:, :2].min(0), *own[:, 2:].max(0)]
