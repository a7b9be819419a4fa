"""The launches of the cuda backend, recorded instead of run: what Triton would compile for them, without a GPU.

The real launchers of `spikeseg.ops.cuda` run over `cases` on tensors on the CPU. Each launch is specialised by Triton's own
binder (types, constants, arguments that are 1 or divisible by 16), and nothing is executed: outputs stay 0. A new kernel is found
by being launched; nothing here names one.

Needs torch, triton and numpy, and a process in which triton was imported without TRITON_INTERPRET.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from spikeseg.core.neurons import LeakMode
from spikeseg.core.sizes import pooled_size
from spikeseg.core.sparse import SparseFrames, SpikeLists
from spikeseg.ops.types import (
    WTA_MODES,
    BlockThreshold,
    Layer,
    LearningState,
    MapHomeostasis,
    NeuronHomeostasis,
    Plasticity,
    PlasticityForm,
    PooledSpikes,
    TrainingRule,
)

RECORDED_FOR = 90
"""The target whose binder specialises; all CUDA targets specialise alike."""


# -- recording -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Launch:
    """One launch of a kernel.

    Attributes:
        kernel: Triton's JITFunction.
        grid: up to three numbers of programs.
        arguments: all of the kernel's, by name.
        options: of the compiler and the launch: num_warps, enable_fp_fusion, ...
        signature, constants, attributes: what `triton.compiler.ASTSource` takes.
    """

    kernel: Any
    grid: tuple[int, ...]
    arguments: dict[str, Any]
    options: dict[str, Any]
    signature: dict[str, Any]
    constants: dict[Any, Any]
    attributes: dict[Any, Any]

    @property
    def name(self) -> str:
        """The kernel's."""
        return str(self.kernel.fn.__name__)

    @property
    def variant(self) -> str:
        """Which of the kernel's it is, equal for launches that share compiled code: constants, whether the other numbers and the
        addresses are divisible by 16 (16 behind the name), types of the addresses, and options."""
        parts = []
        for position, (name, kind) in enumerate(self.signature.items()):
            if kind == "constexpr":
                parts.append(f"{name}={self.constants[position,]}")
            else:
                aligned = "16" if self.attributes.get((position,)) else ""
                parts.append(f"{name}:{kind}{'/' if aligned else ''}{aligned}")
        return ", ".join([*parts, *(f"{name}={value}" for name, value in sorted(self.options.items()))])


@contextmanager
def recording(into: Callable[[Launch], None]) -> Iterator[None]:
    """Launches go to `into` and are not run; memory that launchers allocate for results is 0."""
    import triton.runtime.jit as jit
    from triton.backends.compiler import GPUTarget
    from triton.compiler import make_backend

    backend = make_backend(GPUTarget("cuda", RECORDED_FOR, 32))
    binders: dict[int, Any] = {}

    def record(kernel: Any, *args: Any, grid: Any, warmup: bool, **named: Any) -> None:
        del warmup
        if id(kernel) not in binders:
            binders[id(kernel)] = jit.create_function_from_signature(kernel.signature, kernel.params, backend)
        bound, specialization, _ = binders[id(kernel)](*args, **named, debug=False)
        options = {name: value for name, value in named.items() if name not in kernel.arg_names}
        _, signature, constants, attributes = kernel._pack_args(backend, dict(options), bound, specialization, None)
        size = tuple(grid(bound) if callable(grid) else grid)
        into(Launch(kernel, size, dict(bound), options, signature, constants, attributes))

    kept = jit.JITFunction.run, torch.empty, torch.empty_like, torch.Tensor.new_empty
    jit.JITFunction.run = record
    torch.empty, torch.empty_like, torch.Tensor.new_empty = torch.zeros, torch.zeros_like, torch.Tensor.new_zeros  # type: ignore
    try:
        yield
    finally:
        jit.JITFunction.run, torch.empty, torch.empty_like, torch.Tensor.new_empty = kept  # type: ignore


def variants(cases: Iterable[Callable[[], Any]]) -> list[Launch]:
    """Every launch of these cases whose compiled code is another, without the tensors."""
    found: dict[str, Launch] = {}

    def keep(launch: Launch) -> None:
        light = Launch(launch.kernel, launch.grid, {}, launch.options, launch.signature, launch.constants, launch.attributes)
        found.setdefault(f"{light.name}: {light.variant}", light)

    with recording(keep):
        for case in cases:
            case()
    return list(found.values())


# -- cases -----------------------------------------------------------------------------------------

SOFT = Plasticity(PlasticityForm.MULTIPLICATIVE, 0.04, 0.03, 0.0, 1.0)
HARD = SOFT._replace(form=PlasticityForm.ADDITIVE)
WIDE = SOFT._replace(weight_max=10.0)
"""Weights of four parts."""
OWN = Plasticity(PlasticityForm.CUSTOM, 0.04, 0.03, 0.0, 1.0, lambda weight, early: weight + 0.1 * early)
PER_MAP = MapHomeostasis(1.0, 0.01, 100.0, 100.0)
PER_NEURON = NeuronHomeostasis(0.1, 0.001, 0.1, 10.0)

TRAINING: dict[str, Any] = {
    "channels": 4, "maps": 36, "kernel": 5, "size": (90, 120), "steps": 10, "density": 0.01, "samples": 2,
    "mode": LeakMode.SUBTRACTIVE, "leak": 819 / 4096, "base": 5.0, "plasticity": SOFT, "wta": "both", "radius": 2,
    "max_winners": None, "competition": None, "per_map": PER_MAP, "dead_recovery": False, "batch_size": 1,
}  # fmt: skip
"""The demo's conv2."""
CONV3 = {"channels": 36, "maps": 2, "kernel": 7, "size": (45, 60), "mode": LeakMode.NONE, "leak": 0.0}
OTHERS: dict[str, tuple[Any, ...]] = {
    "mode": (LeakMode.NONE, LeakMode.MULTIPLICATIVE), "wta": ("global", "local"), "max_winners": (1, 5, 16),
    "competition": (PER_NEURON,), "per_map": (None,), "dead_recovery": (True,), "batch_size": (7,), "radius": (0, 1, 16, 200),
    "plasticity": (HARD, WIDE, OWN), "maps": (4, 16, 32, 128, 512), "kernel": (3, 7), "channels": (1, 2, 36),
    "steps": (1, 32), "size": ((9, 7), (91, 121), (128, 128), (360, 640)), "density": (0.0, 0.001, 0.05, 0.2), "samples": (1, 40),
}  # fmt: skip
"""What else the parameters of training can be."""
MIXED = 12
"""Cases of training in which many parameters are others at once."""


def train(**changes: Any) -> None:
    """Samples through `Training.run`; changes: of `TRAINING`."""
    from spikeseg.ops import cuda

    how = TRAINING | changes
    shape = (how["steps"], how["channels"], *how["size"])
    rng = np.random.default_rng(0)
    lists = SpikeLists.of(rng.random((how["samples"], *shape), np.float32) < how["density"])
    rule = TrainingRule(
        how["mode"], how["leak"], how["base"], how["plasticity"], how["wta"], how["radius"], how["max_winners"],
        how["competition"], how["per_map"], how["dead_recovery"], 0.01, 100, how["batch_size"],
    )  # fmt: skip
    weight = torch.rand(how["maps"], how["channels"], how["kernel"], how["kernel"], generator=torch.Generator().manual_seed(0))
    state = LearningState.fresh(weight, torch.full((how["maps"],), how["base"]))
    cuda.Training(state, rule).run(lists, np.arange(how["samples"]))


def layer(channels: int, maps: int, kernel: int, pool: tuple[int, int] | None = None, **more: Any) -> Layer:
    """A layer of random weights 0 to 1. more: `scale` of the weights, and fields of `Layer`."""
    weight = torch.rand(maps, channels, kernel, kernel, generator=torch.Generator().manual_seed(0)) * more.pop("scale", 1.0)
    return Layer(weight, torch.ones(maps), LeakMode.SUBTRACTIVE, 819 / 4096, pool)._replace(**more)


def chain(pool: tuple[int, int] = (2, 2), maps: int = 36, **more: Any) -> list[Layer]:
    """conv1, conv2 and conv3 of the demo; more: see `layer`."""
    return [layer(2, 4, 7, pool, **more), layer(4, maps, 5, pool, **more), layer(maps, 2, 7, **more)]


def encode(layers: list[Layer], size: tuple[int, int] = (180, 240), **how: Any) -> None:
    """Windows through `encode`. how: steps, samples, peak (highest count), density, block (side, or None), lists."""
    from spikeseg.ops import cuda

    steps, samples, peak = how.get("steps", 10), how.get("samples", 1), how.get("peak", 1)
    rng = np.random.default_rng(0)
    spikes = rng.random((samples, steps, len(layers[0].weight[0]), *size), np.float32) < how.get("density", 0.01)
    frames: Any = (spikes * peak).astype(np.uint16 if peak < 2**16 else np.int32)
    blocks = None
    if how.get("block"):
        cells = [-(-side // how["block"]) for side in size]
        blocks = BlockThreshold(torch.ones(samples, len(layers[0].weight), *cells), how["block"])
    cuda.encode(SparseFrames.of(frames) if how.get("lists") else frames, layers, blocks)


def trace(layers: list[Layer], size: tuple[int, int] = (180, 240), **how: Any) -> None:
    """Random spikes of every layer traced back. how: steps, samples, density, decay, delay (whether there are connections)."""
    from spikeseg.ops import cuda

    steps, samples, decay = how.get("steps", 10), how.get("samples", 1), how.get("decay", 0.9)
    rng, below, spikes = np.random.default_rng(0), size, []
    for one in layers:
        kernel, stride = one.pool or (1, 1)
        above = pooled_size(below[0], kernel, stride), pooled_size(below[1], kernel, stride)
        lists = SpikeLists.of(rng.random((samples, steps, len(one.weight), *above), np.float32) < how.get("density", 0.002))
        first = lists.sites // above[1] % above[0] * stride * below[1] + lists.sites % above[1] * stride  # of its window
        spikes.append(PooledSpikes(lists, first.astype(np.int32) if one.pool else None))
        below = above
    events = rng.random((samples, steps, len(layers[0].weight[0]), *size), np.float32) < 0.01
    cuda.trace(events.astype(np.uint8), layers, spikes, delay_connections=how.get("delay", True), decay=decay)


def layer_forward(mode: LeakMode, peak: int, scale: float, state: bool, blocks: bool) -> None:
    """One step after the other, with potentials."""
    from spikeseg.ops import cuda

    size = (90, 120)
    weight = layer(4, 36, 5, scale=scale).weight
    threshold = torch.ones(1, 36, *size) if blocks else torch.ones(36)
    cuda.layer_forward(
        torch.full((10, 2, 4, *size), float(peak)), weight, threshold, mode, 0.5, torch.zeros(2, 36, *size) if state else None
    )


def pool(kernel: int, stride: int, size: tuple[int, int] = (180, 240)) -> None:
    """Max pooling by itself."""
    from spikeseg.ops import cuda

    spikes = torch.ones(2, 1, 4, *size)
    cuda.pool(spikes, spikes, kernel, stride)


def select(mode: str, maps: int, radius: int, most: int | None) -> None:
    """Winner-take-all by itself."""
    from spikeseg.ops import cuda

    cuda.select_winners(
        torch.zeros(maps, 90, 120, dtype=torch.int64), torch.ones(maps, 90, 120), 10, mode=mode, radius=radius, max_winners=most
    )


def stdp(plasticity: Plasticity, winners: int, kernel: int) -> None:
    """STDP by itself."""
    from spikeseg.ops import cuda

    first = torch.zeros(4, 90, 120, dtype=torch.int64)
    cuda.stdp_update(layer(4, 36, kernel).weight, first, torch.zeros(winners, 4, dtype=torch.int64), plasticity)


def training_cases() -> list[dict[str, Any]]:
    """Changes of `TRAINING`: each alone, conv3, conv1 on HD, and mixtures."""
    found: list[dict[str, Any]] = [
        {},
        dict(CONV3),
        CONV3 | {"wta": "local"},
        CONV3 | {"size": (180, 320), "competition": PER_NEURON},
    ]
    found += [{name: value} for name, values in OTHERS.items() for value in values]
    found += [{"channels": 2, "maps": 4, "kernel": 7, "size": (720, 1280), "wta": wta} for wta in WTA_MODES]
    found += [{"wta": wta, "competition": PER_NEURON, "batch_size": 7, "max_winners": 5, "plasticity": HARD} for wta in WTA_MODES]
    rng = np.random.default_rng(0)
    for _ in range(MIXED):
        names = rng.permutation(list(OTHERS))[:6]
        found.append({str(name): OTHERS[str(name)][rng.integers(len(OTHERS[str(name)]))] for name in names})
    return [case for case in found if not (case.get("maps") == 512 and case.get("size") == (360, 640))]


def cases() -> list[Callable[[], None]]:
    """All of them, to be called while `recording`."""
    found: list[Callable[[], None]] = []

    def add(case: Callable[..., None], *args: Any, **named: Any) -> None:
        found.append(lambda: case(*args, **named))

    for changes in training_cases():
        add(train, **changes)
    for peak, block in ((1, None), (9, 16), (300, None), (100_000, None)):
        add(encode, chain(), peak=peak, block=block)
    for size, samples in (((181, 239), 3), ((720, 1280), 1)):
        add(encode, chain(), size, samples=samples, peak=9, block=16)
    for steps, mode in ((1, LeakMode.NONE), (10, LeakMode.NONE), (32, LeakMode.MULTIPLICATIVE)):
        add(encode, chain(mode=mode, leak=0.5), (90, 120), steps=steps)
    for pooling in ((3, 2), (8, 8), (1, 1)):
        add(encode, chain(pooling), peak=9, samples=2)
    for maps in (4, 128, 512):
        add(encode, chain(maps=maps), (90, 120))
    for density in (0.0, 0.2):
        add(encode, chain(), density=density)
    add(encode, chain(scale=10.0), peak=9)
    add(encode, chain(), peak=9, samples=16, lists=True)
    for steps, decay, delay in ((10, 0.9, True), (10, 1.0, True), (10, 1.0, False), (32, 0.9, True)):
        add(trace, chain(), steps=steps, decay=decay, delay=delay)
    for pooling, decay in (((3, 2), 0.9), ((8, 8), 1.0), ((1, 1), 0.9)):
        add(trace, chain(pooling), (91, 121), decay=decay)
    numbers = itertools.product((1, 300, 100_000), (1.0, 10.0))
    for mode, (peak, scale), plain in zip(itertools.cycle(LeakMode), numbers, itertools.cycle((False, True)), strict=False):
        add(layer_forward, mode, peak, scale, plain, plain)
    for kernel, stride in ((2, 2), (3, 2), (8, 8)):
        add(pool, kernel, stride)
        add(pool, kernel, stride, (9, 9))
    for mode, (maps, radius, most) in itertools.product(WTA_MODES, ((36, 2, None), (4, 1, 1), (128, 16, 16))):
        add(select, mode, maps, radius, most)
    for plasticity, winners, kernel in ((SOFT, 1, 5), (HARD, 17, 7), (SOFT, 16, 3)):
        add(stdp, plasticity, winners, kernel)
    return found
