"""Spikes and synaptic operations against the dense network."""

import numpy as np
import torch

from spikeseg.config import load_config
from spikeseg.core.sparse import SparseFrames
from spikeseg.learning import checkpoint
from spikeseg.models.work import added, layer_work


def test_work_is_what_the_dense_network_does():
    changes = {"device": "cpu", "model.n_classes": 2, "model.conv2_channels": 3, "model.thresholds": [0.2, 1.0, 1.0]}
    encoder = checkpoint.build(load_config(None, changes)).encoder
    encoder.backend = "cpu"
    frames = (np.random.default_rng(3).random((2, 4, 2, 21, 18)) < 0.2).astype(np.uint8)
    frames[0, 0, 1, 0, :4] = 3  # counts, at the border
    work = layer_work(encoder, SparseFrames.of(frames))
    encoder.backend = "reference"
    encoder.reset_state()
    out = encoder(torch.from_numpy(frames).transpose(0, 1).float())
    arriving = [out.layer_spikes[name] for name in ("input", "pool1", "pool2")]
    for layer, spikes in zip(work, arriving, strict=True):
        weight = torch.ones_like(encoder.layer(layer.name).weight)
        reached = torch.nn.functional.conv2d(spikes.flatten(0, 1), weight, padding=weight.shape[-1] // 2)
        assert (layer.arrived, layer.operations) == (int(spikes.sum()), int(reached.sum())), layer.name
        assert layer.fired == int(out.layer_spikes[layer.name].sum()) > 0
        assert layer.neurons == out.layer_spikes[layer.name][0, 0].numel()
    twice = added([work, work])
    assert [(a.name, a.neurons, a.fired) for a in twice] == [(a.name, a.neurons, 2 * a.fired) for a in work] and added([]) == []
