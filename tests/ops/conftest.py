"""The backend in Triton runs on a GPU where there is one, else under Triton's interpreter."""

import importlib.util
import os
from types import ModuleType

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when triton is first imported


@pytest.fixture(scope="session")
def device() -> torch.device:
    """Where the Triton kernels' tensors lie."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(scope="session")
def triton_ops() -> ModuleType:
    """`spikeseg.ops.cuda`."""
    pytest.importorskip("triton", reason="the cuda backend needs triton")
    from spikeseg.ops import cuda
    from spikeseg.ops.cuda import neuron_kernels

    if not torch.cuda.is_available() and type(neuron_kernels.first_spikes).__name__ != "InterpretedFunction":
        pytest.skip("triton was imported before TRITON_INTERPRET=1 could be set: run tests/ops by itself")
    return cuda


@pytest.fixture
def meaning(monkeypatch) -> ModuleType:
    """`spikeseg.ops.reference`; on a bare GPU machine without Norse, on the recurrence that Norse is tested against."""
    from spikeseg.core.grid import snap
    from spikeseg.core.neurons import LeakMode, NeuronStep
    from spikeseg.ops import reference

    def step(current, state, threshold, mode, leak):
        if mode is LeakMode.SUBTRACTIVE:
            u = (state + current - leak).clamp(min=0)
        elif mode is LeakMode.MULTIPLICATIVE:
            u = snap(leak * state.double()).to(state.dtype) + current
        else:
            u = state + current
        fired = u >= threshold
        return NeuronStep(fired.to(u.dtype), u, torch.where(fired, 0.0, u))

    if importlib.util.find_spec("norse") is None:
        monkeypatch.setattr("spikeseg.ops.reference.layers.step", step)
    return reference
