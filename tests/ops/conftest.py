"""The backend in Triton runs on a GPU where there is one, else under Triton's interpreter."""

import importlib.util
import os
import sys
from types import ModuleType

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when triton is first imported


@pytest.fixture(scope="session")
def device() -> torch.device:
    """Where the Triton kernels' tensors lie."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def interpreted() -> bool:
    """Whether the kernels were decorated for Triton's interpreter."""
    modules = [module for name, module in sys.modules.items() if name.startswith("spikeseg.ops.cuda.")]
    return any(type(value).__name__ == "InterpretedFunction" for module in modules for value in vars(module).values())


@pytest.fixture(scope="session")
def triton_ops() -> ModuleType:
    """`spikeseg.ops.cuda`."""
    pytest.importorskip("triton", reason="the cuda backend needs triton")
    from spikeseg.ops import cuda

    if not torch.cuda.is_available() and not interpreted():
        pytest.skip("triton was imported before TRITON_INTERPRET=1 could be set: run tests/ops by itself")
    if interpreted():
        cuda.chain.SCAN = cuda.tracing.WARP = 1024  # the interpreter takes as long over a few numbers as over many
        cuda.tracing.ACTIVITY = 2**20
    return cuda


@pytest.fixture
def meaning(monkeypatch) -> ModuleType:
    """`spikeseg.ops.reference`; on a bare GPU machine without Norse, on `plain_step`."""
    from spikeseg.core.neurons import plain_step
    from spikeseg.ops import reference

    if importlib.util.find_spec("norse") is None:
        monkeypatch.setattr("spikeseg.ops.reference.layers.step", plain_step)
    return reference
