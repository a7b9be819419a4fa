"""STDPLearner and WTAInhibition run the CUDA kernels on CUDA tensors, and give what they give on a CPU."""

import pytest
import torch

from spikeseg.config.sections import STDPConfig, WTAConfig, WTAMode
from spikeseg.learning import STDPLearner, WTAInhibition

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
