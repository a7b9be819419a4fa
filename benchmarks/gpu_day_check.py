"""Whether a case is exact: its digests beside those made on a CPU beforehand; where they part, which sample, tensor and index."""

from __future__ import annotations

import copy
import json
import math
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from gpu_day_cases import Case, Encoding, Training, tensors_of
from gpu_day_inputs import difference, digest, reference
from workloads import CONV2_INPUT

EXPECTED = Path(__file__).parent / "results" / "gpu_expect.json"
"""What `gpu_expect.py` writes."""
ON_THE_FLY = 20
"""Samples of conv2 at the demo's size for which the reference, where nothing was made beforehand, makes expectations; of larger
inputs fewer."""


class Expectation(NamedTuple):
    """Digests of a case: of its input; after every `stride` samples; and the backend that made them."""

    inputs: str
    samples: list[str]
    stride: int
    by: str

    @property
    def count(self) -> int:
        """Samples that the digests cover, at most."""
        return len(self.samples) * self.stride


def expect(case: Case, ops: ModuleType, samples: int | None = None) -> Expectation:
    """What a backend on the CPU says of a case, or of its first samples."""
    count = case.samples if samples is None else min(samples, case.samples)
    stride = case.stride if isinstance(case, Training) else 1
    by = ops.__name__.rpartition(".")[2]
    if isinstance(case, Encoding):  # one at a time: the reference holds every potential
        digests = [digest(found) for n in range(count) for found in case.results(ops, "cpu", n, n + 1)]
    else:
        digests = case.digests(ops, "cpu", count)
    return Expectation(digest(case.input_tensors), digests, stride, by)


def known(case: Case, path: Path | None) -> tuple[Expectation, str]:
    """What is expected of a case, from the file or made now; and where from, in words."""
    why = "made now"
    if path is not None and path.is_file():
        stored = json.loads(path.read_text())["cases"].get(case.name)
        if stored is not None:
            found = Expectation(**stored)
            if found.inputs == digest(case.input_tensors):
                return found, f"beforehand by {found.by}"
            why = "numpy draws another input here, made now"
    try:
        cpu = import_module("spikeseg.ops.cpu")
    except ImportError:  # no numba
        return expect(case, reference(), _few(case)), f"{why} by reference"
    return expect(case, cpu), f"{why} by cpu"


def _few(case: Case) -> int:
    """Samples that the reference runs in some ten seconds."""
    if not isinstance(case, Training):
        return ON_THE_FLY
    largest = max(math.prod(shape) for shape in case.shapes)
    return max(case.stride, min(ON_THE_FLY, ON_THE_FLY * math.prod(CONV2_INPUT) // largest))


def check(case: Case, ops: ModuleType, device: torch.device | str, wanted: Expectation) -> dict[str, Any]:
    """Compare a case with what is expected.

    Returns:
        exact: bool; samples: how many were compared; where not exact: first_sample, counted from 0, and the tensor, index and
        values of `difference` after it, as the reference has them.
    """
    count = min(case.samples, wanted.count)
    found = _first_sample(case, ops, device, wanted, count)
    if found is None:
        return {"exact": True, "samples": count}
    first, last = found
    return {"exact": False, "samples": count, "first_sample": first, **_explained(case, ops, device, (first, last))}


def _first_sample(
    case: Case, ops: ModuleType, device: torch.device | str, wanted: Expectation, count: int
) -> tuple[int, int] | None:
    """The first sample, or batch, (first, last + 1) after which the digests differ; None where none do."""
    if not isinstance(case, Training):
        got = case.digests(ops, device, count)
        bad = next((n for n, (one, other) in enumerate(zip(got, wanted.samples[:count], strict=True)) if one != other), None)
        return None if bad is None else (bad, bad + 1)

    def right(strides: int) -> bool:
        state = case.after(ops, device, min(count, strides * wanted.stride))
        return digest(tensors_of(state)) == wanted.samples[strides - 1]

    low, high = 0, len(wanted.samples)  # right after `low` of them, wrong after `high`
    if right(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if right(middle) else (low, middle)
    return low * wanted.stride, min(count, high * wanted.stride)


def _explained(case: Case, ops: ModuleType, device: torch.device | str, at: tuple[int, int]) -> dict[str, Any]:
    """The tensor, index and values that differ after samples at[0] to at[1] - 1, the reference's beside them."""
    plain = reference()
    if isinstance(case, Training):
        got = tensors_of(case.after(ops, device, at[1]))
        start = copy.deepcopy(case.after(ops, device, at[0])).to("cpu")
        training = case.begin(plain, "cpu", start)
        for _ in case.learn(training, *at):
            pass
        want = tensors_of(training.state)
    else:
        (got,) = case.results(ops, device, *at)
        (want,) = case.results(plain, "cpu", *at)
    return difference(got, want) or {"tensor": None, "note": "equal to the reference: what was expected is wrong, or runs differ"}
