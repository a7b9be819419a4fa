"""Instructions and bytes of the cuda backend's kernels per sample, and the rates that they allow, without a GPU.

Run: python benchmarks/gpu_counts.py [--only TEXT] [--samples N] [--target 90] [--lines N] [--json FILE] [--markdown] [--quick]

The kernels are compiled as they would be for the card, and what they are compiled to runs in an emulator (`gpu_emulator`), which
counts what each warp does on the real input. What comes out must be bit for bit what the cpu backend gives, or the script fails.

Predicted, **not measured**. With I instructions of all warps, P programs on M multiprocessors of S schedulers at clock f, a
longest chain of C cycles, W waves, and B bytes that a program had not touched before, a launch asks for

    issue = I / P * ceil(P / M) / S / f,  latency = C * W / f,  memory = B / bandwidth of the second-level cache

(`gpu_model`). It takes at best the longest of these, and their sum where nothing overlaps; LAUNCH comes on top: two rates.

Training takes one sample after the other, so its seconds add up. Encoding and tracing take GROUP windows a launch: programs are
counted of the windows emulated, and taken as often as that. What the host does is not in it, nor torch's own operations in
between.

Workloads: conv2 of the demo (4x90x120 in, 36 maps, 5x5, T = 10) behind 400 samples of warm-up, on noise and on streaks of 1 %
(`training.py`); conv3 of the demo, untrained, on streaks of 0.2 %; the demo's encoder at 180x240 on noise of 1 %, with thresholds
under which as much passes as in `inference.py`; the spikes that it then gives, traced back.
"""

from __future__ import annotations

import collections
import copy
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    os.environ.pop("TRITON_INTERPRET", None)
    sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

import torch
from gpu_checks import assembled, resources, rolled
from gpu_emulator import Machine, Memory
from gpu_launches import Launch, recording
from gpu_model import H200, Cost, cost
from gpu_ptx import Program, parsed
from measure import options, table, write_json

GROUP = 64
"""Windows of a launch of the encoder."""
PASSED = (0.01, 0.00153, 0.00214, 0.01131)
"""Shares of sites that spike: of the input, behind conv1, conv2 and conv3 of the trained demo (`inference.py`, random, 1 %)."""
WARM_UP = {"conv2": 400, "conv3": 4}


@dataclass(frozen=True)
class Code:
    """What a variant is compiled to: its PTX, machine instructions per PTX instruction, registers, and shared memory."""

    program: Program
    scale: float
    registers: int
    shared: int


class Emulated:
    """Takes the place of a GPU: runs the launches of a `recording`, and keeps what they cost.

    Args:
        capability: 90 for sm_90.
        times: how often the programs of a launch are there on the card for each that is emulated.
    """

    def __init__(self, capability: int = 90, times: float = 1.0) -> None:
        self.capability, self.times = capability, times
        self.costs: list[tuple[str, Cost]] = []
        self.lines: collections.Counter[str] = collections.Counter()  # instructions of warps, by kernel and source line
        self._codes: dict[str, Code] = {}

    def code(self, launch: Launch) -> Code:
        """Compiled once per variant."""
        key = f"{launch.name}: {launch.variant}"
        if key not in self._codes:
            kernel = assembled(launch, self.capability)
            program, cubin = parsed(kernel.asm["ptx"]), kernel.asm["cubin"]
            machine = [line for line in rolled(kernel.asm["ptx"], self.capability) if "NOP" not in line]
            scale = len(machine) / len(program.instructions)
            self._codes[key] = Code(program, scale, resources(cubin)["REG"], kernel.metadata.shared)
        return self._codes[key]

    def __call__(self, launch: Launch) -> None:
        code = self.code(launch)
        given = [value for name, value in launch.arguments.items() if launch.signature[name] != "constexpr"]
        memory = Memory([value for value in given if isinstance(value, torch.Tensor)])
        numbers = [memory.address(value) if isinstance(value, torch.Tensor) else int(value) for value in given]
        counts = Machine(code.program, memory, code.shared, code.scale).run(launch.grid, numbers)
        memory.bring_back()
        for one, executed in zip(code.program.instructions, counts.executed.tolist(), strict=True):
            self.lines[f"{launch.name}  {one.line}"] += round(executed * code.scale)
        self.costs.append((launch.name, cost(counts, code.scale, code.registers, code.shared, times=self.times)))


# -- workloads -------------------------------------------------------------------------------------


def trained(layer: str, lists: Any, samples: int, capability: int) -> Emulated:
    """The last samples of the lists, learned by a layer of the demo behind a warm-up on the others."""
    from training import fresh
    from workloads import demo_rule

    from spikeseg.ops import cpu, cuda

    rule = demo_rule() if layer == "conv2" else demo_rule()._replace(base=0.0, leak=0.0)
    state = fresh(rule, lists.shape[1]) if layer == "conv2" else _fresh_conv3(rule)
    cpu.Training(state, rule).run(lists, np.arange(WARM_UP[layer]) % (lists.samples - samples))
    expected, emulated, before = copy.deepcopy(state), Emulated(capability), int(state.wins.sum())
    order = np.arange(lists.samples - samples, lists.samples)
    cpu.Training(expected, rule).run(lists, order)
    with recording(emulated):
        cuda.Training(state, rule).run(lists, order)
    for name, value in vars(expected).items():
        if value is not None and not torch.equal(value, getattr(state, name)):
            sys.exit(f"{layer}: {name} differs from the cpu backend's after {samples} emulated samples")
    wins = (int(expected.wins.sum()) - before) / samples
    print(f"{layer}: {wins:g} winners a sample; state equal to the cpu backend's", file=sys.stderr)
    return emulated


def _fresh_conv3(rule: Any) -> Any:
    from spikeseg.ops.types import LearningState

    layer = demo_layers()[2]
    return LearningState.fresh(layer.weight.clone(), layer.threshold.clone(), rule.maps.rest)


def demo_layers() -> list[Any]:
    """conv1, conv2 and conv3 of the demo, untrained."""
    from workloads import DEMO

    from spikeseg.config.load import load_config
    from spikeseg.models import SpikeSEG

    cfg = load_config(DEMO)
    return list(SpikeSEG.from_config(cfg.model, stdp=cfg.stdp, homeostasis=cfg.homeostasis).encoder.chain())


def encoded(samples: int, capability: int) -> Emulated:
    """Windows through the demo's encoder."""
    from workloads import as_lively, random_frames

    from spikeseg.ops import cpu, cuda

    frames = random_frames(PASSED[0], samples)
    layers = as_lively(demo_layers(), frames, PASSED)
    emulated = Emulated(capability, GROUP / samples)
    with recording(emulated):
        found = cuda.encode(frames, layers)
    for got, wanted in zip(found, cpu.encode(frames, layers), strict=True):
        if not (np.array_equal(got.lists.sites, wanted.lists.sites) and np.array_equal(got.lists.offsets, wanted.lists.offsets)):
            sys.exit("encoding: spikes differ from the cpu backend's")
    return emulated


def traced(samples: int, capability: int, decay: float) -> Emulated:
    """The spikes of these windows traced back."""
    from workloads import as_lively, random_frames

    from spikeseg.ops import cpu, cuda

    frames = random_frames(PASSED[0], samples)
    layers = as_lively(demo_layers(), frames, PASSED)
    spikes = cpu.encode(frames, layers)
    emulated = Emulated(capability, GROUP / samples)
    with recording(emulated):
        found = cuda.trace(frames, layers, spikes, delay_connections=True, decay=decay)
    for got, wanted in zip(found, cpu.trace(frames, layers, spikes, delay_connections=True, decay=decay), strict=True):
        if not (np.array_equal(got.index, wanted.index) and np.array_equal(got.value, wanted.value) and len(wanted.index)):
            sys.exit("tracing: saliency differs from the cpu backend's")
    counts = [len(output.lists.sites) // samples for output in spikes]
    salient = sum(len(saliency.index) for saliency in found) // samples
    print(f"tracing: {counts} spikes, {salient} salient pixels a window; equal to the cpu backend's", file=sys.stderr)
    return emulated


def workloads(samples: int, capability: int) -> dict[str, tuple[int, Callable[[], Emulated]]]:
    """By name: samples that a run's costs are of, and the run."""
    from workloads import CONV2_INPUT, random_lists, streaks

    def learning(layer: str, make: Callable[..., Any], density: float, shape: tuple[int, int, int, int]) -> Any:
        return samples, lambda: trained(layer, make(density, 40 + samples, shape), samples, capability)

    return {
        "conv2, noise of 1 %": learning("conv2", random_lists, 0.01, CONV2_INPUT),
        "conv2, streaks of 1 %": learning("conv2", streaks, 0.01, CONV2_INPUT),
        "conv3, streaks of 0.2 %": learning("conv3", streaks, 0.002, (10, 36, 45, 60)),
        "encoding 180x240, noise of 1 %": (GROUP, lambda: encoded(1, capability)),
        "tracing 180x240, noise of 1 %, decay 1": (GROUP, lambda: traced(1, capability, 1.0)),
        "tracing 180x240, noise of 1 %, decay 0.9": (GROUP, lambda: traced(1, capability, 0.9)),
    }


# -- the table -------------------------------------------------------------------------------------


HEADER = ["kernel", "launches", "warp instructions", "KiB", "KiB, far", "issue, us", "latency, us", "memory, us", "at best, us",
          "at worst, us"]  # fmt: skip


def rows(costs: Sequence[tuple[str, Cost]], samples: int) -> list[list[Any]]:
    """Per kernel and sample: launches, instructions of warps, bytes, microseconds and what for; then all together."""
    groups = collections.defaultdict(list)
    for name, one in costs:
        groups[name].append(one)

    def each(several: Sequence[Cost], what: Callable[[Cost], float]) -> float:
        return sum(what(one) for one in several) / samples

    found: list[list[Any]] = []
    for name, several in groups.items():
        found.append(
            [
                name,
                len(several) / samples,
                round(each(several, lambda one: one.instructions)),
                each(several, lambda one: one.sectors / 32),
                each(several, lambda one: one.missed / 32),
                *(1e6 * each(several, lambda one, limit=limit: getattr(one, limit)) for limit in ("issue", "latency", "memory")),
                1e6 * each(several, lambda one: one.at_best()),
                1e6 * each(several, lambda one: one.at_worst()),
            ]
        )
    return [*found, ["all", *(sum(row[at] for row in found) for at in range(1, len(HEADER)))]]


def main() -> None:
    parser = options(str(__doc__).partition("\n")[0], markdown=True)
    parser.add_argument("--only", default="", metavar="TEXT", help="workloads whose name contains this")
    parser.add_argument("--samples", type=int, default=4, help="samples to emulate")
    parser.add_argument("--target", type=int, default=90, metavar="CC", help="compute capability, 90 for sm_90")
    parser.add_argument(
        "--lines", type=int, default=0, metavar="N", help="print the N source lines with the most instructions too"
    )
    chosen = parser.parse_args()
    results = {}
    print(f"per sample on one {H200.name}; not measured: predicted from instruction counts")
    for name, (samples, run) in workloads(1 if chosen.quick else chosen.samples, chosen.target).items():
        if chosen.only in name:
            emulated = run()
            found = rows(emulated.costs, samples)
            best, worst = (round(1e6 / us) for us in found[-1][-2:])
            results[name] = {"rows": [dict(zip(HEADER, row, strict=True)) for row in found], "samples_per_s": [worst, best]}
            print(f"\n{name}: {worst:,} to {best:,} samples/s\n\n{table(HEADER, found, markdown=chosen.markdown)}", flush=True)
            for line, executed in emulated.lines.most_common(chosen.lines):
                print(f"{executed:14,}  {line}")
    write_json(chosen.json, "gpu_counts", {"measured": False, "card": H200.name, "workloads": results})


if __name__ == "__main__":
    main()
