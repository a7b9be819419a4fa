"""How fast a layer learns from cached spikes, beside dense torch.

Run: python benchmarks/training.py [--json FILE] [--markdown] [--quick]

A conv2 (4x90x120 in, 36 maps, 5x5, T = 10) learns by the demo's rule. Input, at three densities:

- `noise`: sites that spike independently. The hardest case for us: nothing repeats, few maps win, and so every step is run.
- `streaks`: bars that move, and as many spikes of noise. Maps win early, as in recordings.
- `noise` at the lowest density with a threshold that it can reach; the demo's is out of reach there, and nothing is learned.
- what conv2 sees in the demo.

Weights start at N(0.8, 0.01); a warm-up of some hundred samples comes first, so that the samples measured are those of a
network that learns. Every side starts from the state after it. Each learns as many samples as its speed allows.

Sides: `cpu`; `reference`; `dense`, lean dense torch, one convolution over all steps (in place, with one thread and two, and with
Norse cells); `dense, early stop`, the same with a convolution per step and none after the last winner, an idea of ours lent to
torch. The peer is the fastest of those that convolve all steps at once. `cuda` where there is a GPU.

All sides must end with bitwise equal weights and thresholds after the same samples, or the benchmark fails.
"""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from measure import interleaved, nothing, options, peak_memory, rates, ratios, spread, table, write_json
from peers import DenseLearner
from workloads import CONV2_INPUT, DENSITIES, demo_rule, night, percent, quick_night, random_lists, streaks

from spikeseg.core.sparse import SpikeLists
from spikeseg.ops import backend
from spikeseg.ops.types import LearningState, TrainingRule

MAPS, KERNEL = 36, 5
QUICK_INPUT = (4, 4, 12, 15)
LOW_BASE = 1.0
"""A threshold that sparse noise reaches: two or three spikes of a hundred synapses."""
SAMPLES = {"cpu": 300, "cuda": 300, "reference": 4}
"""Samples of one measurement, by side; the dense ones learn DENSE_SAMPLES."""
DENSE_SAMPLES, EQUAL_SAMPLES = 8, 8
WARM_UP = 400
DENSE = {
    "dense": {},
    "dense, Norse cells": {"norse": True},
    "dense, early stop": {"batched": False},
}
"""The dense sides: what `DenseLearner` is told."""
BATCHED = ("dense", "dense, Norse cells")
"""Those that convolve all steps at once."""


def fresh(rule: TrainingRule, channels: int, device: str = "cpu") -> LearningState:
    """Untrained weights N(0.8, 0.01), thresholds at rest."""
    generator = torch.Generator().manual_seed(0)
    weight = (torch.randn(MAPS, channels, KERNEL, KERNEL, generator=generator) * 0.01 + 0.8).clamp(0, 1)
    theta = torch.full((MAPS,), rule.maps.rest if rule.maps else 0.0)
    state = LearningState.fresh(weight, rule.base + theta)
    state.theta.copy_(theta)
    return state.to(device)


class Side:
    """Learns the first samples of a workload, again and again from the same state."""

    def __init__(
        self, name: str, start: LearningState, rule: TrainingRule, lists: SpikeLists, samples: int, threads: int = 1
    ) -> None:
        self.samples, self.threads = min(samples, lists.samples), threads
        self.start, self.state = start, copy.deepcopy(start)
        if name in DENSE:
            dense = torch.from_numpy(lists.part(0, self.samples).dense()).float()
            learner = DenseLearner(self.state, rule, **DENSE[name])
            self._learn: Callable[[int], Any] = lambda count: [learner.learn(sample) for sample in dense[:count]]
        else:
            if name == "cuda":
                self.state = start.to("cuda")
            training = backend(name, self.state.weight.device).Training(self.state, rule)
            self._learn = lambda count: training.run(lists, np.arange(count))

    def __call__(self, count: int | None = None) -> None:
        torch.set_num_threads(self.threads)
        for name in ("weight", "threshold", "theta", "wins", "recent_wins", "seen"):
            getattr(self.state, name).copy_(getattr(self.start, name))
        self._learn(self.samples if count is None else count)
        if self.state.weight.is_cuda:
            torch.cuda.synchronize()


def warmed_up(rule: TrainingRule, lists: SpikeLists, samples: int) -> LearningState:
    """The state after this many samples, the lists gone through as often as it takes."""
    state = fresh(rule, lists.shape[1])
    backend("cpu").Training(state, rule).run(lists, np.arange(samples) % lists.samples)
    return state


def check_equal(sides: dict[str, Side], count: int) -> None:
    """All sides learn the same samples; exits with a message where weights or thresholds are not bitwise the same."""
    sides["cpu"](count)
    expected = sides["cpu"].state
    for name, side in sides.items():
        side(count)
        for part in ("weight", "threshold"):
            if not torch.equal(getattr(side.state, part).cpu(), getattr(expected, part)):
                sys.exit(f"{name}: {part} differs from the cpu backend's after {count} samples")


def measured(name: str, lists: SpikeLists, rule: TrainingRule, repetitions: int, quick: bool) -> dict[str, Any]:
    """One workload on every side."""
    start = warmed_up(rule, lists, 20 if quick else WARM_UP)
    sides = {side: Side(side, start, rule, lists, SAMPLES[side]) for side in ("cpu", "reference")}
    sides |= {side: Side(side, start, rule, lists, DENSE_SAMPLES) for side in DENSE}
    sides["dense, 2 threads"] = Side("dense", start, rule, lists, DENSE_SAMPLES, threads=2)
    if torch.cuda.is_available():
        sides["cuda"] = Side("cuda", start, rule, lists, SAMPLES["cuda"])
    compared = min(lists.samples, EQUAL_SAMPLES)
    check_equal(sides, compared)
    per_sample = {
        side: [taken / sides[side].samples for taken in seconds] for side, seconds in interleaved(sides, repetitions).items()
    }
    sides["cpu"]()
    state = sides["cpu"].state
    samples_per_s = {side: rates(1, seconds) for side, seconds in per_sample.items()}
    one_thread = max(BATCHED, key=lambda side: samples_per_s[side]["median"])
    two_threads = max((*BATCHED, "dense, 2 threads"), key=lambda side: samples_per_s[side]["median"])
    return {
        "workload": name,
        "spikes_per_sample": len(lists.sites) / lists.samples,
        "density": len(lists.sites) / lists.samples / float(np.prod(lists.shape)),
        "winners_per_sample": int(state.wins.sum() - start.wins.sum()) / sides["cpu"].samples,
        "threshold": float(state.threshold.mean()),
        "equal": True,
        "samples_compared": compared,
        "seconds_per_sample": per_sample,
        "samples_per_s": samples_per_s,
        "peer": {"1 thread": one_thread, "2 threads": two_threads},
        "times_peer": {
            "1 thread": ratios(per_sample[one_thread], per_sample["cpu"]),
            "2 threads": ratios(per_sample[two_threads], per_sample["cpu"]),
            "early stop": ratios(per_sample["dense, early stop"], per_sample["cpu"]),
            "reference": ratios(per_sample["reference"], per_sample["cpu"]),
        },
    }


def learn_once(side: str, density: float, samples: int, shape: tuple[int, int, int, int]) -> None:
    """One side alone, for its memory. Side 'input' only makes the spikes."""
    rule, lists = demo_rule(), random_lists(density, samples, shape)
    if side != "input":
        Side(side, fresh(rule, shape[1]), rule, lists, samples)()


def peaks(density: float, quick: bool) -> dict[str, int]:
    """Peak memory of each side above that of making the same input, bytes."""
    sizes = (density, 2 if quick else DENSE_SAMPLES, QUICK_INPUT if quick else CONV2_INPUT)
    sides = ("input", "cpu", "reference", "dense") if not quick else ("input", "cpu")
    peak = {side: peak_memory(functools.partial(learn_once, side, *sizes)) for side in sides}
    return {side: max(0, peak[side] - peak["input"]) for side in sides[1:]}


def workloads(quick: bool) -> list[tuple[str, SpikeLists, TrainingRule]]:
    """(name, input, rule) of everything that is measured."""
    rule = demo_rule()
    shape, count = (QUICK_INPUT, 8) if quick else (CONV2_INPUT, SAMPLES["cpu"])
    measurements = []
    for density in DENSITIES:
        noise = random_lists(density, count, shape)
        measurements.append((f"noise, {percent(density)}", noise, rule))
        measurements.append((f"streaks, {percent(density)}", streaks(density, count, shape), rule))
        if density == DENSITIES[0]:
            measurements.append((f"noise, {percent(density)}, threshold {LOW_BASE + 1:g}", noise, rule._replace(base=LOW_BASE)))
    demo = quick_night() if quick else night()
    return [*measurements, ("the demo's", demo.spikes.part(0, count), rule)]


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    parser = options("Training of a conv2 from cached spikes, beside dense torch.", markdown=True)
    parser.add_argument("--repetitions", type=int, default=3, metavar="N", help="times that each side is measured [3]")
    chosen = parser.parse_args()
    repetitions = 1 if chosen.quick else chosen.repetitions
    results = []
    for workload in workloads(chosen.quick):
        print(f"measuring {workload[0]}", file=sys.stderr)
        results.append(measured(*workload, repetitions, chosen.quick))
    show = functools.partial(table, markdown=chosen.markdown)
    print(f"samples/s of training: median (min..max) of {repetitions}; weights of all sides bitwise equal")
    sides = list(results[0]["samples_per_s"])
    print(
        show(
            ["input", *sides], [[result["workload"], *(spread(result["samples_per_s"][s]) for s in sides)] for result in results]
        )
    )
    if "cuda" not in sides:
        print("cuda: not measured, no GPU here")
    print("\nhow many times faster cpu is; the peer is the fastest dense side of this row that convolves all steps at once")
    columns = {"peer, 1 thread": "1 thread", "peer, 1 or 2 threads": "2 threads", "dense, early stop": "early stop",
               "reference": "reference"}  # fmt: skip
    print(
        show(
            ["input", "spikes/sample", "density", "winners/sample", "mean threshold", *columns, "peer"],
            [
                [
                    result["workload"],
                    result["spikes_per_sample"],
                    f"{result['density']:.2%}",
                    result["winners_per_sample"],
                    result["threshold"],
                ]
                + [spread(result["times_peer"][column]) for column in columns.values()]
                + [result["peer"]["1 thread"]]
                for result in results
            ],
        )
    )
    memory = {percent(density): peaks(density, chosen.quick) for density in (DENSITIES[:1] if chosen.quick else DENSITIES)}
    start = peak_memory(nothing)
    print(f"\npeak memory of learning above that of the input, MiB (Python and its modules: {start / 2**20:.0f})")
    names = list(next(iter(memory.values())))
    print(show(["input", *names], [[density, *(peak[name] / 2**20 for name in names)] for density, peak in memory.items()]))
    write_json(
        chosen.json,
        "training",
        {"repetitions": repetitions, "training": results, "peak_bytes": memory, "start_bytes": start,
         "cuda": "measured" if "cuda" in sides else "not measured"},
    )  # fmt: skip


if __name__ == "__main__":
    main()
