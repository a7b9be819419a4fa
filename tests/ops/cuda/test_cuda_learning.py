"""STDPLearner, WTAInhibition and training on images run the CUDA kernels on CUDA tensors, and give what they give on a CPU."""

import dataclasses

import numpy as np
import pytest
import torch

from spikeseg.config.sections import Config, ImagesConfig, STDPConfig, WTAConfig, WTAMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.learning import STDPLearner, WTAInhibition, winners_per_map
from spikeseg.learning.image_training import train_network, untrained_network

pytestmark = [pytest.mark.gpu] if torch.cuda.is_available() else []
STEPS, SHAPE, INPUTS = 4, (3, 5, 6), (2, 5, 6)


@pytest.fixture
def calls(triton_ops, monkeypatch):
    """The operations of `spikeseg.ops.cuda` that are called; without a GPU, 'auto' chooses them under the interpreter."""
    names = []
    if not torch.cuda.is_available():
        for module in ("stdp", "wta"):
            monkeypatch.setattr(f"spikeseg.learning.{module}.ops_backend", lambda *_: triton_ops)
    for name in ("select_winners", "stdp_update"):
        operation = getattr(triton_ops, name)
        monkeypatch.setattr(
            triton_ops, name, lambda *args, _name=name, _call=operation, **options: names.append(_name) or _call(*args, **options)
        )
    return names


def learned(device, mode):
    """Weights and thresholds after three samples of random first spikes."""
    generator = torch.Generator().manual_seed(3)
    weight = torch.rand(SHAPE[0], INPUTS[0], 3, 3, generator=generator).to(device)
    learner = STDPLearner(STDPConfig(lr_plus=0.25, lr_minus=0.125))
    config = WTAConfig(
        mode=mode, local_radius=1, enable_homeostasis=True, threshold_min=1.0, threshold_max=2.0, homeostasis_lr=0.5
    )
    wta = WTAInhibition(config, SHAPE[0], SHAPE[1:]).to(device)
    for _ in range(3):
        first = torch.randint(0, STEPS + 1, SHAPE, generator=generator)
        potential = torch.randint(0, 4 * 4096, SHAPE, generator=generator) / 4096
        inputs = torch.randint(0, STEPS + 1, INPUTS, generator=generator).float()
        inputs = torch.where(inputs < STEPS, inputs, torch.inf)
        winners = wta.compete(first.to(device), potential.to(device), STEPS)
        learner.update(weight, inputs.to(device), winners)
    return weight.cpu(), wta.thresholds.cpu()


@pytest.mark.parametrize("mode", list(WTAMode))
def test_the_public_modules_run_the_cuda_kernels_with_the_same_result(calls, device, mode, meaning, monkeypatch):
    weight, thresholds = learned(device, mode)
    assert calls == ["select_winners", "stdp_update"] * 3
    monkeypatch.undo()
    for module in ("stdp", "wta"):
        monkeypatch.setattr(f"spikeseg.learning.{module}.ops_backend", lambda *_: meaning)
    on_cpu = learned(torch.device("cpu"), mode)
    assert torch.equal(weight, on_cpu[0]) and torch.equal(thresholds, on_cpu[1])


def looped(device):
    """As `learned`, in a loop of one's own: step by step through masks, two samples at once, an update only asked for."""
    generator = torch.Generator().manual_seed(5)
    weight = torch.rand(SHAPE[0], INPUTS[0], 3, 3, generator=generator).to(device)
    learner, wta = STDPLearner(), WTAInhibition(WTAConfig(local_radius=1), SHAPE[0], SHAPE[1:]).to(device)
    before = torch.randint(0, STEPS + 1, INPUTS, generator=generator).float().to(device)
    for step in range(STEPS):
        fired = (torch.rand(SHAPE, generator=generator) < 0.1).float().to(device)
        potentials = (torch.randint(0, 4 * 4096, SHAPE, generator=generator) / 4096).to(device)
        _, mask = wta(fired, potentials)
        times, y, x = winners_per_map(mask, step)
        learner.update_weights_for_winner(weight, before, times, y, x, 3)
    many = torch.rand(2, *SHAPE, generator=generator)
    filtered, _ = wta((many < 0.2).float().to(device), many.to(device))
    asked = learner.compute_update(weight[1], before[:, :3, 1:4], 2)
    return [part.cpu() for part in (weight, filtered, asked)] + [learner.convergence_history, wta.statistics]


def test_loops_of_one_s_own_run_the_cuda_kernels_with_the_same_result(calls, device, meaning, monkeypatch):
    found = looped(device)
    assert calls.count("select_winners") == STEPS + 2 and calls.count("stdp_update") == STEPS + 1
    monkeypatch.undo()
    for module in ("stdp", "wta"):
        monkeypatch.setattr(f"spikeseg.learning.{module}.ops_backend", lambda *_: meaning)
    want = looped(torch.device("cpu"))
    assert all(torch.equal(one, other) for one, other in zip(found[:3], want[:3], strict=True)) and found[3:] == want[3:]
    assert found[4]["total_winners"] > STEPS and found[2].any()


def imaged(device, backend):
    """Weights of a network of two layers and what it says, after 6 images."""
    rng = np.random.default_rng(0)
    when = rng.integers(0, 5, (4, 2, 6, 7))
    lists = SpikeLists.of(np.arange(3)[:, None, None, None] == when[:, None])
    images = ImagesConfig(maps=(5, 4), kernels=(3, 3), thresholds=(2.5, 1.5), pools=(2, 1), strides=(2, 1), winners=(2, 2),
                          radii=(1, 0), growth_every=4, max_images=6, grid=2)  # fmt: skip
    cfg = Config(images=images, backend=backend)
    cfg = dataclasses.replace(cfg, convergence=dataclasses.replace(cfg.convergence, check_interval=3, c_l_threshold=0.0))
    network = untrained_network(cfg, lists, device)
    results = train_network(network, lists, cfg)
    return [weight.cpu() for weight in network.weights], network.features(lists), [one._replace(seconds=0) for one in results]


def test_images_are_learned_by_the_cuda_kernels_with_the_same_result(triton_ops, device, meaning, monkeypatch):
    called, modules = [], ("learning.image_training", "models.image_network")
    with monkeypatch.context() as patched:
        for owner, name in ((triton_ops.images, "layer_forward"), (triton_ops, "Training")):
            plain = getattr(owner, name)
            patched.setattr(owner, name, lambda *args, _plain=plain, _name=name: called.append(_name) or _plain(*args))
        if not torch.cuda.is_available():
            for module in modules:
                patched.setattr(f"spikeseg.{module}.ops_backend", lambda *_: triton_ops)
        weights, features, results = imaged(device, "auto")
    assert called == ["Training", "Training", "layer_forward", "Training", "Training", "layer_forward", "layer_forward"]
    for module in modules:
        monkeypatch.setattr(f"spikeseg.{module}.ops_backend", lambda *_: meaning)
    want = imaged(torch.device("cpu"), "reference")
    assert all(torch.equal(one, other) for one, other in zip(weights, want[0], strict=True))
    assert np.array_equal(features, want[1]) and results == want[2] and features.any()
