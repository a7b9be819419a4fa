"""Where the network runs: asked for in a file, or on the command line."""

import warnings

import pytest
import torch

from spikeseg.errors import InputError
from spikeseg.ops.device import network_device, require_backend, require_device, torch_device


@pytest.fixture(params=[0, 1])
def gpus(request, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    return request.param


@pytest.mark.usefixtures("gpus")
def test_cpu_is_always_there():
    require_device("cpu")
    assert torch_device("cpu").type == "cpu"


@pytest.mark.parametrize(("name", "needed"), [("cuda", 1), ("cuda:0", 1), ("cuda:1", 2)])
def test_cuda_falls_back_with_a_warning_unless_required(gpus, name, needed):
    if gpus >= needed:
        require_device(name)
        assert torch_device(name) == torch.device(name)
        return
    with pytest.warns(UserWarning, match=f"device {name}: no such GPU here"):
        assert torch_device(name).type == "cpu"
    with pytest.raises(InputError, match=f"--device {name}: no such GPU here"):
        require_device(name)


def test_auto_is_a_gpu_where_there_is_one_and_never_warns(gpus):
    require_device("auto")
    with warnings.catch_warnings(action="error"):
        assert torch_device("auto").type == network_device("auto", "reference").type == ("cuda" if gpus else "cpu")
        assert network_device("auto", "cpu").type == "cpu"


@pytest.mark.parametrize("name", ["gpu", "", "meta", "cuda:x"])
def test_unknown_device_is_refused(name):
    for ask in (torch_device, require_device):
        with pytest.raises(InputError, match="allowed: auto, cpu, cuda"):
            ask(name)


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize(("name", "backend"), [("cpu", "auto"), ("cpu", "reference"), ("cpu", "cpu"), ("cuda", "cpu")])
def test_the_cpu_backend_puts_the_network_on_the_cpu(name, backend):
    assert network_device(name, backend).type == "cpu"


def test_the_cuda_backend_is_never_replaced(gpus):
    with pytest.raises(InputError, match="backend: cuda needs a GPU, but device cpu is not one here; use backend: auto"):
        network_device("cpu", "cuda")
    if gpus:
        with pytest.raises(InputError, match="backend: cuda needs a GPU, but device cuda:1 is not one here; use backend: auto"):
            require_backend("cuda:1", "cuda")
        pytest.importorskip("triton")
        assert network_device("cuda", "cuda").type == "cuda"
        with pytest.raises(InputError, match="--device cuda: backend: cpu runs on the CPU"):
            require_device("cuda", "cpu")
        return
    with warnings.catch_warnings(action="error"):  # of the error alone is told
        for name in ("auto", "cuda", "cuda:1"):
            for ask in (require_backend, network_device):
                with pytest.raises(InputError, match=r"backend: cuda needs a GPU, but there is none here.*; use backend: auto"):
                    ask(name, "cuda")
