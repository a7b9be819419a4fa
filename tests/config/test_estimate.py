"""The memory that a network takes is known, and compared with what there is, before it is taken."""

import dataclasses
import resource

import numpy as np
import pytest

from spikeseg.config import estimate, load_config
from spikeseg.config.estimate import (
    AT_ONCE,
    layer_sizes,
    network_bytes,
    require_frames_memory,
    require_network_memory,
    windows_at_once,
)
from spikeseg.core import memory
from spikeseg.core.sparse import SparseFrames
from spikeseg.data.frames.framing import FrameSpec
from spikeseg.errors import InputError
from spikeseg.learning import checkpoint

CONFIG = load_config("demo")
GIB = 2**30


def test_outputs_and_weights_are_those_of_the_network():
    config = load_config(None, {"model.background_adaptive": False, "model.pool1_kernel": 3, "model.conv1_scales": [1, 2]})
    model, size = checkpoint.build(config), (23, 30)
    spikes = model.infer(SparseFrames.of(np.ones((1, 2, 2, *size), np.uint8)))
    for layer, spec in zip(layer_sizes(config.model, size, 2), model.encoder.specs, strict=True):
        assert layer.weights == model.encoder.layer(spec.name).weight.numel()
        assert layer.outputs == np.prod(spikes[spec.output].lists.shape[1:])


def test_more_of_anything_takes_more():
    least = network_bytes(CONFIG, (180, 240))
    assert 0.5 * GIB < least < 2 * GIB
    large = (720, 1280)
    assert windows_at_once(CONFIG.model, (10, 2, *large)) == 1 and network_bytes(CONFIG, large) > least
    for overrides in ({"model.conv2_channels": 80}, {"model.n_classes": 200}, {"data.n_timesteps": 500}):
        assert network_bytes(load_config("demo", overrides), large) > network_bytes(CONFIG, large)
    assert network_bytes(load_config("demo", {"data.num_workers": 8}), (180, 240)) > least


def test_windows_run_together_are_as_many_as_the_bound_allows():
    assert windows_at_once(CONFIG.model, (10, 2, 45, 60)) == AT_ONCE
    assert 1 < windows_at_once(CONFIG.model, (10, 2, 240, 304)) < AT_ONCE
    assert windows_at_once(CONFIG.model, (4096, 2, 720, 1280)) == 1


def test_too_large_a_network_is_refused_with_its_reason(monkeypatch):
    monkeypatch.setattr(estimate, "available", lambda: GIB)
    require_network_memory(CONFIG, (45, 60))
    with pytest.raises(InputError) as caught:
        require_network_memory(CONFIG, (720, 1280))
    said = str(caught.value)
    assert "the network on frames of 1280x720: may take " in said and "can take 1.0 GiB more" in said
    assert "data.n_timesteps" in said and "data.input_width" in said and "\n" not in said
    monkeypatch.setattr(estimate, "available", lambda: None)
    require_network_memory(CONFIG, (720, 1280))


def test_addresses_that_do_not_fit_32_bits_are_refused(monkeypatch):
    monkeypatch.setattr(estimate, "available", lambda: 2**60)
    with pytest.raises(InputError, match="at most 2147483647 can be addressed"):
        require_network_memory(load_config("demo", {"data.n_timesteps": 4096}), (1000, 1000))
    with pytest.raises(InputError, match=r"conv1 of \d+ neurons"):
        require_network_memory(load_config("demo", {"model.conv1_channels": 24, "data.n_timesteps": 1}), (8192, 16384))


def test_frames_that_do_not_fit_are_refused(monkeypatch):
    monkeypatch.setattr(estimate, "available", lambda: GIB)
    require_frames_memory((10, 2, 180, 240), 2, workers=2)
    with pytest.raises(InputError, match=r"frames of 240x180: may take .* 20 processes \(data.num_workers, --jobs\)"):
        require_frames_memory((10, 2, 180, 240), 2, workers=20)
    with pytest.raises(InputError, match=r"of 4000 steps \(data.n_timesteps\) of 1280x720 pixels"):
        require_frames_memory((4000, 2, 720, 1280), 1)


def test_a_recording_that_makes_too_many_frames_is_refused():
    spec = FrameSpec(10, 1)
    spec.check_work((240, 180), 1000)
    with pytest.raises(InputError, match=r"make 800000 windows of 10 steps of 240x180 pixels.*data.timestep_ms"):
        spec.check_work((240, 180), 800_000)


# -- what there is -----------------------------------------------------------------------------------------


def test_a_limit_of_the_process_counts(monkeypatch):
    free = memory.available()
    assert free is None or free > 0
    monkeypatch.setattr(resource, "getrlimit", lambda which: (10 * GIB if which == resource.RLIMIT_AS else -1, -1))
    limited = memory.available()
    assert limited is not None and limited < 10 * GIB


@pytest.mark.parametrize("version", [1, 2])
def test_a_control_group_counts(tmp_path, monkeypatch, version):
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    root = "/sys/fs/cgroup" if version == 2 else "/sys/fs/cgroup/memory"
    files = {
        "/proc/self/cgroup": "0::/jobs/one\n" if version == 2 else "4:cpu:/\n3:memory:/jobs/one\n",
        "/proc/meminfo": "MemTotal: 99 kB\nMemAvailable:  8388608 kB\nSwapFree: 0 kB\n",
        f"{root}/jobs/{names[0]}": str(3 * GIB),
        f"{root}/jobs/{names[1]}": str(2 * GIB),
        f"{root}/jobs/memory.stat": f"anon 5\ninactive_file {GIB // 2}\n",
        f"{root}/jobs/one/{names[0]}": "max\n",
    }
    monkeypatch.setattr(memory, "_text", lambda path: files.get(str(path), ""))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert memory.available() == int(1.5 * GIB)
    del files[f"{root}/jobs/{names[0]}"]
    assert memory.available() == 8 * GIB


def test_the_estimate_takes_no_more_than_numbers():
    assert network_bytes(dataclasses.replace(CONFIG), (8192, 8192)) > 10 * GIB
