"""Where the network runs: asked for in a file, or on the command line."""

import pytest
import torch

from spikeseg.errors import InputError
from spikeseg.pipelines.device import require_device, torch_device
from spikeseg.pipelines.parallel import ordered


@pytest.fixture(params=[0, 1])
def gpus(request, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    return request.param


def test_cpu_is_always_there(gpus):
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


@pytest.mark.parametrize("name", ["gpu", "", "meta", "cuda:x"])
def test_unknown_device_is_refused(name):
    for ask in (torch_device, require_device):
        with pytest.raises(InputError, match="allowed: cpu, cuda"):
            ask(name)


@pytest.mark.parametrize("jobs", [0, 1, 2])
def test_results_keep_the_order_of_the_items(jobs):
    assert list(ordered(abs, [-3, 1, -2], jobs)) == [3, 1, 2]


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_process_raises_is_raised(jobs):
    with pytest.raises(ZeroDivisionError):
        list(ordered((1).__truediv__, [1, 0], jobs))
