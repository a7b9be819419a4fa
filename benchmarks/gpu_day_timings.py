"""What the GPU day times: training, inference, single operations, beside plain torch on the same card.

Two clocks: wall time, and the GPU's own between two CUDA events; of training that is the replay of its graphs. Where torch's
profiler hears from the card (CUPTI), a call is split into its kernels, one by one, and what goes up and down.
"""

from __future__ import annotations

import copy
import functools
import math
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from gpu_day_inputs import DEMO, chain, drawn, first_state, reference
from measure import rates, summary
from workloads import CONV2_INPUT, DENSITIES, FRAMES, as_lively, percent, random_lists, streaks

from spikeseg.core.sparse import SparseFrames, SpikeLists
from spikeseg.ops.types import Layer

REPEATS = {"cuda": 5, "cpu": 1}
"""Times that a call is measured, by device: under Triton's interpreter a time means nothing."""
MAPS, KERNEL = 36, 5
LIVELY = (0.01, 0.004, 0.002, 0.002)
"""Share of sites that spike: of the input, and behind each layer and its pool; thresholds are set so."""
CLOCKS = ("clocks.sm", "clocks.mem", "clocks.max.sm", "temperature.gpu", "power.draw", "utilization.gpu")

Timing = Callable[[], dict[str, Any]]
Shape = tuple[int, int, int, int]


def clocks() -> dict[str, str] | None:
    """What nvidia-smi says of the first card now; None without it."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, f"--query-gpu={','.join(CLOCKS)}", "--format=csv,noheader", "--id=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return dict(zip(CLOCKS, (value.strip() for value in done.stdout.split(",")), strict=False)) if done.returncode == 0 else None


def timed(function: Callable[[], object], device: torch.device, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of each call, after one that does not count: by the wall, and by the GPU, which a CPU does not have."""
    walls, gpus = [], []
    for _ in range(repeats + 1):
        _wait(device)
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if device.type == "cuda" else []
        began = time.perf_counter()
        if events:
            events[0].record()
        function()
        if events:
            events[1].record()
        _wait(device)
        walls.append(time.perf_counter() - began)
        gpus += [events[0].elapsed_time(events[1]) / 1000] if events else []
    return walls[1:], gpus[1:]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def split(function: Callable[[], object], device: torch.device) -> dict[str, Any] | None:
    """One call in microseconds of the card: upload, download, kernels by name with the number of their launches.

    None where the profiler hears nothing from the card.
    """
    if device.type != "cuda":
        return None
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    try:
        with torch.profiler.profile(activities=activities) as profile:
            function()
            _wait(device)
    except RuntimeError:  # CUPTI is not there, or not allowed
        return None
    found: dict[str, Any] = {"upload_us": 0.0, "download_us": 0.0, "kernels_us": 0.0, "kernels": {}}
    for event in profile.key_averages():
        if event.device_type != torch.autograd.DeviceType.CUDA:
            continue
        taken = float(event.self_device_time_total)
        if "HtoD" in event.key or "DtoH" in event.key:
            found["upload_us" if "HtoD" in event.key else "download_us"] += taken
        else:
            found["kernels_us"] += taken
            found["kernels"][event.key[:80]] = {"us": round(taken, 2), "launches": int(event.count)}
    return found if found["kernels"] else None


def _rates(amount: int, function: Callable[[], object], device: torch.device) -> dict[str, Any]:
    """Samples per second and where a call's time goes."""
    walls, gpus = timed(function, device, REPEATS[device.type])
    found: dict[str, Any] = {
        "samples": amount,
        "per_s": rates(amount, walls),
        "wall_us": summary([1e6 * s / amount for s in walls]),
    }
    if gpus:
        found["gpu_us"] = summary([1e6 * s / amount for s in gpus])
    return found


# -- training ---------------------------------------------------------------------------------------


def training(ops: ModuleType, device: torch.device, lists: SpikeLists, samples: int) -> dict[str, Any]:
    """A conv2 by the demo's rule: 400 samples first, then the same ones again and again from the state behind them."""
    samples = min(samples, lists.samples)
    state = first_state(DEMO, MAPS if samples > 4 else 3, lists.shape[1], KERNEL, device)
    learner = ops.Training(state, DEMO)
    learner.run(lists, np.arange(400 if samples > 4 else 1) % lists.samples)
    start, order = copy.deepcopy(state), np.arange(samples)

    def learn() -> None:
        for name in ("weight", "threshold", "theta", "wins", "recent_wins", "seen"):
            getattr(state, name).copy_(getattr(start, name))
        learner.run(lists, order)

    found = _rates(samples, learn, device)
    found["winners"] = int(state.wins.sum() - start.wins.sum()) / samples
    found["spikes"] = len(lists.sites) / lists.samples
    found["split"] = split(learn, device)
    plain, few = reference(), min(4, samples)
    beside = plain.Training(copy.deepcopy(start), DEMO)
    found["torch_per_s"] = rates(few, timed(lambda: beside.run(lists, order[:few]), device, 1)[0])
    return found


# -- inference --------------------------------------------------------------------------------------


def inference(ops: ModuleType, device: torch.device, density: float, windows: int, shape: Shape) -> dict[str, Any]:
    """conv1 to conv3 over windows as lists, with thresholds under which spikes thin out as they do on the demo's nights."""
    frames, layers = _lively(ops, device, density, windows, shape)

    def encode(backend: ModuleType = ops, part: SparseFrames = frames) -> Any:
        return backend.encode(part, layers)

    found = _rates(windows, encode, device)
    found["spikes"] = [len(output.lists.sites) / windows for output in encode()]
    found["split"] = split(encode, device)
    few = min(8, windows)
    beside = functools.partial(encode, reference(), frames.part(0, few))
    found["torch_per_s"] = rates(few, timed(beside, device, 1)[0])
    return found


def tracing(ops: ModuleType, device: torch.device, density: float, windows: int, shape: Shape, decay: float) -> dict[str, Any]:
    """The spikes of such windows traced back."""
    frames, layers = _lively(ops, device, density, windows, shape)
    spikes = ops.encode(frames, layers)

    def trace(backend: ModuleType = ops, windows: int = windows) -> Any:
        parts = [output.part(0, windows) for output in spikes]
        return backend.trace(frames.part(0, windows), layers, parts, delay_connections=True, decay=decay)

    found = _rates(windows, trace, device)
    found["spikes"] = [len(output.lists.sites) / windows for output in spikes]
    found["pixels"] = sum(len(saliency.index) for saliency in trace()) / windows
    found["split"] = split(trace, device)
    few = min(8, windows)
    found["torch_per_s"] = rates(few, timed(functools.partial(trace, reference(), few), device, 1)[0])
    return found


def _lively(
    ops: ModuleType, device: torch.device, density: float, windows: int, shape: Shape
) -> tuple[SparseFrames, list[Layer]]:
    """Windows, and layers under whose thresholds spikes thin out."""
    frames = SparseFrames(lists := random_lists(density, windows, shape), np.ones(len(lists.sites), np.int32))
    layers = chain(device, (4, MAPS, 10) if windows > 4 else (2, 3, 2))
    if device.type == "cuda":  # many runs, each of which takes long in an interpreter
        layers = as_lively(layers, frames.part(0, 2).dense(), LIVELY, ops)
    return frames, layers


# -- single operations ------------------------------------------------------------------------------


def operations(ops: ModuleType, device: torch.device, shape: tuple[int, int, int, int], calls: int) -> dict[str, Any]:
    """Microseconds of a call of each operation by itself, by the wall and by CUDA events."""
    steps, channels, height, width = shape
    maps = MAPS if calls > 1 else 3
    spikes = torch.from_numpy(random_lists(0.01, 1, shape).dense()).to(device).float().transpose(0, 1)
    weight = drawn(1, maps, channels, KERNEL, KERNEL).to(device)
    threshold = torch.full((maps,), DEMO.base + 1, device=device)
    rng = np.random.default_rng(9)
    silent = rng.random((maps, height, width)) >= 0.02
    first = torch.from_numpy(np.where(silent, steps, rng.integers(0, steps, silent.shape))).to(device)
    potential = torch.from_numpy((rng.integers(0, 2**15, silent.shape) / 4096).astype(np.float32)).to(device)
    inputs = torch.from_numpy(rng.integers(0, steps + 1, (channels, height, width))).to(device)
    winners = ops.select_winners(first, potential, steps, mode="both", radius=2)
    run = ops.layer_forward(spikes, weight, threshold, DEMO.mode, DEMO.leak)
    single: dict[str, Callable[[], object]] = {
        "layer_forward": lambda: ops.layer_forward(spikes, weight, threshold, DEMO.mode, DEMO.leak),
        "pool": lambda: ops.pool(run.spikes, run.potentials, 2, 2),
        "select_winners": lambda: ops.select_winners(first, potential, steps, mode="both", radius=2),
        "stdp_update": lambda: ops.stdp_update(weight, inputs, winners, DEMO.plasticity),
    }
    found: dict[str, Any] = {"winners": len(winners)}
    for name, call in single.items():
        walls, gpus = timed(lambda call=call: [call() for _ in range(calls)], device, REPEATS[device.type])
        found[name] = {"wall_us": summary([1e6 * s / calls for s in walls]), "split": split(call, device)}
        if gpus:
            found[name]["gpu_us"] = summary([1e6 * s / calls for s in gpus])
    return found


def timings(ops: ModuleType, device: torch.device, dry: bool, expected: Path | None) -> dict[str, Timing]:
    """All timings by name; dry: tiny ones."""
    conv2, count = ((2, 2, 6, 9), 1) if dry else (CONV2_INPUT, 300)
    frames, windows = ((3, 2, 10, 12), 2) if dry else (FRAMES, 256)
    found: dict[str, Timing] = {}
    for density in DENSITIES[:1] if dry else DENSITIES:
        samples = count if density < 0.05 else math.ceil(count / 2)
        for kind, make in (("noise", random_lists), ("streaks", streaks))[: 1 if dry else 2]:
            draw = functools.partial(make, density, samples, conv2)
            found[f"train {kind} {percent(density)}"] = lambda draw=draw, n=samples: training(ops, device, draw(), n)
    if expected is not None and demo_path(expected).is_file():
        found["train the demo's"] = lambda: training(ops, device, read_demo(demo_path(expected)), count)
    for density in DENSITIES[:1] if dry else DENSITIES:
        found[f"encode {percent(density)}"] = functools.partial(inference, ops, device, density, windows, frames)
    for decay in (0.9,) if dry else (1.0, 0.9):
        found[f"trace 1 %, decay {decay:g}"] = functools.partial(tracing, ops, device, 0.01, windows, frames, decay)
    return found | {"operations": lambda: operations(ops, device, conv2, 1 if dry else 20)}


# -- the demo's spikes ------------------------------------------------------------------------------


def demo_path(expected: Path) -> Path:
    """Where the demo's spikes lie beside the expectations."""
    return expected.with_name(f"{expected.stem}_demo.npz")


def write_demo(path: Path, lists: SpikeLists) -> None:
    """Keep the spikes that the demo's conv2 learns from."""
    np.savez_compressed(path, counts=np.diff(lists.offsets).astype(np.int32), sites=lists.sites, shape=np.array(lists.shape))


def read_demo(path: Path) -> SpikeLists:
    """What `write_demo` has kept."""
    with np.load(path) as stored:
        steps, channels, height, width = (int(n) for n in stored["shape"])
        offsets = np.concatenate([[0], np.cumsum(stored["counts"], dtype=np.int64)])
        return SpikeLists(offsets, stored["sites"], (steps, channels, height, width))
