"""What `test_gpu_compile` looks at, made in a process in which Triton compiles: JSON on the standard output.

A few launches of the cuda backend compiled for sm_90, and run from the compiled code on tensors of the CPU; faulty kernels.
"""

import copy
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2] / "benchmarks"), str(HERE.parents[2]), str(HERE.parents[1] / "ops")]

import faulty_kernels  # noqa: E402
from gpu_checks import compiled  # noqa: E402
from gpu_counts import Emulated  # noqa: E402
from gpu_launches import chain, encode, recording, train, variants  # noqa: E402
from training_cases import rule, spikes, state  # noqa: E402

from spikeseg.core.sparse import SpikeLists  # noqa: E402
from spikeseg.ops import cpu, cuda  # noqa: E402

SIZE, SAMPLES = (12, 9), 2


def same(a, b):
    return a is b is None or torch.equal(a, b)


def small(**changes):
    train(samples=1, size=SIZE, **changes)


def main():
    found = {}
    how = rule(competition=None, max_winners=5)
    lists = SpikeLists.of(spikes(SAMPLES, (4, 2, *SIZE), 0.1))
    start = state(2, 5, 3, how)
    want, got, emulated = copy.deepcopy(start), copy.deepcopy(start), Emulated(90)
    cpu.Training(want, how).run(lists, np.arange(SAMPLES))
    launches = []

    def run(launch):
        launches.append(launch)
        emulated(launch)

    with recording(run):
        cuda.Training(got, how).run(lists, np.arange(SAMPLES))
    found["changed"] = not torch.equal(want.weight, start.weight)
    found["wins"] = int(want.wins.sum())
    found["differ"] = [name for name in vars(want) if not same(getattr(want, name), getattr(got, name))]
    found["costs"] = [[name, cost.instructions, cost.at_best(), cost.at_worst()] for name, cost in emulated.costs]
    found["scales"] = {name: emulated.code(launch).scale for name, launch in {one.name: one for one in launches}.items()}
    found["launched"] = sorted({launch.name for launch in launches})
    found["compiled"] = [compiled(launch, 90).as_dict() for launch in {one.name: one for one in launches}.values()]

    found["variants"] = [f"{one.name}: {one.variant}" for one in variants([small, small])]
    found["more"] = [one.name for one in variants([small, lambda: small(maps=128)])]
    found["encoded"] = [one.name for one in variants([lambda: encode(chain()[:1], (12, 9))])]

    values, results = torch.ones(128), torch.zeros(128)
    faulty = []
    with recording(faulty.append):
        for name in ("contracted", "approximate", "wrong", "beyond"):
            getattr(faulty_kernels, name)[(1,)](values, results, SIZE=128)
    *three, beyond = faulty
    results_of = [compiled(launch, 90) for launch in three]
    found["faults"] = {one.kernel: one.faults() for one in results_of}
    doctored = dataclasses.replace(results_of[0], contracted=[], fused=0, shared=228 * 1024, spilled=4096, most_spilled=4095)
    found["doctored"] = doctored.faults()
    found["fits"] = dataclasses.replace(doctored, shared=227 * 1024, most_spilled=4096).faults()
    try:
        emulated(beyond)
    except IndexError as error:
        found["beyond"] = str(error)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
