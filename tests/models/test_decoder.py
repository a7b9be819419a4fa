"""Saliency: exactly registered, and only where events took part."""

import numpy as np
import pytest
import torch

from spikeseg.config.sections import ModelConfig
from spikeseg.models import SpikeSEG, decode
from spikeseg.models.decoder import spikes_of
from spikeseg.ops.types import PooledSpikes


def network(delay, **changes):
    settings = {
        "conv2_channels": 3,
        "n_classes": 1,
        "thresholds": (0.2, 1.0, 2.0),
        "leaks": (0.18, 0.1, 0.0),
        "use_delay_connections": delay,
        **changes,
    }
    return SpikeSEG.from_config(ModelConfig(**settings), seed=1)


@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("size", [(64, 64), (61, 83), (180, 240), (35, 34), (17, 50)])
def test_the_saliency_of_a_blob_covers_the_blob_without_offset(delay, size):
    height, width = size
    for y, x in ((height // 2, width // 2), (2, 2), (height - 3, width - 3), (height // 3, width - 4)):
        frames = torch.zeros(6, 2, height, width)
        frames[:, 1, y - 1 : y + 2, x - 1 : x + 2] = 1
        saliency, out = network(delay)(frames)
        assert out.has_spikes and saliency.shape == (6, height, width)
        lit = saliency.sum(0) > 0
        assert torch.equal(lit, frames.sum((0, 1)) > 0)


@pytest.mark.parametrize("delay", [True, False])
def test_only_pixels_with_events_light_up(delay):
    frames = (torch.rand(8, 2, 41, 38, generator=torch.Generator().manual_seed(4)) < 0.05).float()
    saliency, out = network(delay)(frames)
    assert out.has_spikes and (saliency >= 0).all()
    any_polarity = frames.amax(1)
    allowed = any_polarity if delay else any_polarity.cummax(0).values
    assert not (saliency * (1 - allowed)).any()


def test_delay_connections_reach_earlier_steps_weakened():
    frames = torch.zeros(3, 2, 32, 32)
    frames[:, 1, 15:18, 15:18] = 1
    totals = {}
    for decay in (0.0, 0.5, 1.0):
        model = network(True, delay_decay=decay)
        drive = model.encode(frames).layer_membranes["conv3"][0].amax()
        model.encoder.conv3.threshold.fill_(float(drive) * 2.5)  # reached at the third step, once
        saliency, out = model(frames)
        assert out.classification_spikes.flatten(1).any(1).tolist() == [False, False, True]
        totals[decay] = saliency.flatten(1).sum(1)
    assert not totals[0.0][:2].any() and totals[0.0][2] > 0
    assert (totals[0.5][:2] > 0).all() and (totals[0.5][:2] < totals[1.0][:2]).all()
    assert totals[0.5][2] == totals[1.0][2] == totals[0.0][2]


def test_silence_gives_no_saliency():
    saliency, out = network(True)(torch.zeros(3, 2, 20, 20))
    assert not out.has_spikes and not saliency.any()


def test_a_batch_is_decoded_as_its_samples():
    frames = (torch.rand(5, 2, 2, 30, 31, generator=torch.Generator().manual_seed(5)) < 0.08).float()
    model = network(True)
    together, _ = model(frames)
    for b in range(2):
        alone, _ = model(frames[:, b])
        assert torch.equal(alone, together[:, b])


def test_two_blobs_do_not_mix():
    frames = torch.zeros(5, 2, 64, 96)
    frames[:, 1, 10:13, 10:13] = 1
    one, _ = network(True)(frames)
    frames[:, 0, 50:53, 80:83] = 1
    two, _ = network(True)(frames)
    assert torch.equal(one[:, :32, :48], two[:, :32, :48])
    assert two[:, 50:53, 80:83].any()


def test_a_single_step_has_nothing_to_trace():
    with pytest.raises(ValueError, match="frames must be"):
        network(True)(torch.zeros(2, 20, 20))


@pytest.mark.parametrize("delay", [True, False])
def test_events_that_no_classification_spike_came_from_stay_dark(delay):
    frames = torch.zeros(6, 2, 121, 163)
    frames[:, 1, 59:62, 79:82] = 1
    strays = torch.tensor([[2, 0, 3, 5], [4, 1, 117, 159], [3, 1, 3, 159], [5, 0, 60, 150]])  # far from the blob
    frames[tuple(strays.T)] = 1
    saliency, out = network(delay, thresholds=(0.2, 4.0, 20.0))(frames)
    assert out.has_spikes
    lit = saliency.sum(0) > 0
    assert lit[59:62, 79:82].all() and lit.sum() == 9
    alone = torch.zeros_like(frames)
    alone[:, 1, 59:62, 79:82] = 1
    assert torch.equal(network(delay, thresholds=(0.2, 4.0, 20.0))(alone)[0], saliency)


def test_the_saliency_of_a_lone_spike_ends_at_the_events_of_its_cone():
    frames = (torch.rand(5, 2, 70, 90, generator=torch.Generator().manual_seed(8)) < 0.05).float()
    model = network(False)
    output = model.encode(frames[:, None])
    found = spikes_of(output)
    lists = found["conv3"].lists
    middle = int(np.argmin(abs(lists.sites[: lists.offsets[1]] - lists.shape[3] * (lists.shape[2] // 2) - 11)))
    offsets = np.minimum(np.arange(6), 1)
    one = lists._replace(offsets=offsets.astype(np.int64), sites=lists.sites[middle : middle + 1])
    saliency = decode(model.encoder, frames[None].numpy(), found | {"conv3": PooledSpikes(one, None)})[0]
    y, x = divmod(int(one.sites[0]), lists.shape[3])
    rows, columns = np.nonzero(saliency.any(0))
    half = 4 * 3 + 2 * 2 + 2 + 4  # conv3, conv2 and conv1 about their pixels, and the four pixels of a neuron of conv3
    assert len(rows) and (abs(rows - 4 * y) <= half).all() and (abs(columns - 4 * x) <= half).all()
    assert not saliency[1:].any() and not saliency[0][frames[0].amax(0).numpy() == 0].any()
