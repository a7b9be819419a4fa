"""Batched inference says what the encoder says, with every backend."""

import numpy as np
import pytest
import torch

from spikeseg.config.sections import ModelConfig
from spikeseg.errors import InputError
from spikeseg.models import SpikeSEG, decode
from spikeseg.models.decoder import spikes_of

BACKENDS = ("cpu", "reference")


def network(backend="auto", **changes):
    settings = {"conv2_channels": 5, "n_classes": 3, "thresholds": (0.2, 1.0, 2.0), "leaks": (0.18, 0.1, 0.0), **changes}
    model = SpikeSEG.from_config(ModelConfig(**settings), seed=1)
    model.encoder.backend = backend
    return model


def windows(n=3, steps=6, size=(41, 38), density=0.05, counts=False):
    rng = np.random.default_rng(4)
    frames = rng.random((n, steps, 2, *size)) < density
    return (frames * rng.integers(1, 4, frames.shape)).astype(np.uint16) if counts else frames.astype(np.uint8)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize("background", [None, 0.03])
def test_infer_says_what_encode_says(backend, counts, background):
    model, frames = network(backend, background_sigmas=1.0), windows(counts=counts)
    rates = None if background is None else np.full((3, 2, 3, 3), background, np.float32)
    spikes = model.infer(frames, rates, threads=2)
    sequence = torch.from_numpy(frames.astype(np.float32)).transpose(0, 1)
    output = model.encode(sequence, None if rates is None else torch.from_numpy(rates))
    assert output.has_spikes
    for level, expected in spikes_of(output).items():
        assert spikes[level].lists.shape == expected.lists.shape
        assert np.array_equal(spikes[level].lists.dense(), expected.lists.dense()), level
        assert (spikes[level].kept is None) == (expected.kept is None)
        assert expected.kept is None or np.array_equal(spikes[level].kept, expected.kept)


def driven(adaptive=True, **changes):
    """Filters at two scales, and thresholds of conv2 and conv3 that were raised far under a dense drive."""
    model = network(conv1_scales=(1, 2), thresholds=(0.35, 6.0, 10.0), adaptive_thresholds=adaptive, **changes)
    model.encoder.conv2.threshold += torch.linspace(0, 40, 5)
    model.encoder.conv3.threshold += 60
    model.encoder.drives = {"conv2": 0.1, "conv3": 0.1}
    return model


def test_lowered_thresholds_pass_what_homeostasis_would_keep_back():
    frames = windows(density=0.1)
    adapted, fixed = driven().infer(frames), driven(adaptive=False).infer(frames)
    assert np.array_equal(adapted["pool1"].lists.sites, fixed["pool1"].lists.sites)
    for level in ("pool2", "conv3"):
        assert len(adapted[level].lists.sites) > len(fixed[level].lists.sites) > 0
    model = driven()
    model.encoder.drives = {}
    unknown = model.infer(frames)
    assert np.array_equal(unknown["conv3"].lists.sites, fixed["conv3"].lists.sites)


@pytest.mark.parametrize("threads", [1, 2, 5, 40])
@pytest.mark.parametrize("made", [network, driven])
def test_many_windows_say_what_each_says_alone(threads, made):
    model, frames = made(background_sigmas=1.0), windows(n=19)
    frames[:4] = windows(n=4, density=0.6)
    frames[7:11] = 0
    rates = np.random.default_rng(5).random((19, 2, 3, 3), np.float32) / 10
    together = model.infer(frames, rates, threads=threads)
    for n in range(19):
        for level, alone in model.infer(frames[n : n + 1], rates[n : n + 1]).items():
            spikes = together[level]
            inside = slice(*spikes.lists.offsets[[n * 6, (n + 1) * 6]])
            assert np.array_equal(spikes.lists.part(n, n + 1).offsets, alone.lists.offsets)
            assert np.array_equal(spikes.lists.sites[inside], alone.lists.sites)
            assert alone.kept is None or np.array_equal(spikes.kept[inside], alone.kept)


def test_infer_stops_where_told_and_leaves_the_present_state_alone():
    model, frames = network(), windows()
    whole = model.encode(torch.from_numpy(frames[0].astype(np.float32))).classification_spikes
    model.reset_state()
    first = model.encode(torch.from_numpy(frames[0, :3].astype(np.float32))).classification_spikes
    assert set(model.infer(frames, upto="conv1")) == {"pool1"} and set(model.infer(frames, upto="conv2")) == {"pool1", "pool2"}
    rest = model.encode(torch.from_numpy(frames[0, 3:].astype(np.float32))).classification_spikes
    assert torch.equal(torch.cat([first, rest]), whole)


def test_no_windows_give_no_spikes():
    spikes = network().infer(windows()[:0])
    assert [spikes[level].lists.samples for level in ("pool1", "pool2", "conv3")] == [0, 0, 0]


def test_wrong_frames_are_refused():
    with pytest.raises(ValueError, match=r"must be \(N, T, 2, H, W\)"):
        network().infer(windows()[0])
    with pytest.raises(InputError, match="a pixel counts 60000 events"):
        network().infer(np.full((1, 1, 2, 5, 5), 60000, np.uint16))


@pytest.mark.parametrize("delay", [True, False])
def test_saliency_is_the_same_with_every_backend(delay):
    frames = torch.from_numpy(windows()[0].astype(np.float32))
    first, second = (network(backend, use_delay_connections=delay, delay_decay=1.0)(frames)[0] for backend in BACKENDS)
    assert first.any() and torch.equal(first, second)


def test_classes_share_out_the_saliency():
    model, frames = network(delay_decay=1.0), windows()
    spikes = model.infer(frames)
    whole = decode(model.encoder, frames, spikes)
    alone = [decode(model.encoder, frames, spikes, [c]) for c in range(3)]
    assert whole.any() and np.allclose(sum(alone), whole, rtol=1e-6)
    assert np.array_equal(decode(model.encoder, frames, spikes, [0, 1, 2]), whole)
    assert not decode(model.encoder, frames, spikes, []).any()


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="unknown backend 'gpu'; one of auto, reference, cpu, cuda"):
        network("gpu").infer(windows())
    with pytest.raises(ValueError, match="runs on a cuda device, but the network lies on 'cpu'"):
        network("cuda").infer(windows())
