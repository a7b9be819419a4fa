"""What the GPU day runs on, from seeds by numpy alone: spikes, frames, weights, the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import ModuleType

import numpy as np
import torch

from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.types import Layer, LearningState, MapHomeostasis, Plasticity, PlasticityForm, TrainingRule

DEMO = TrainingRule(
    mode=LeakMode.SUBTRACTIVE,
    leak=819 / 4096,
    base=5.0,
    plasticity=Plasticity(PlasticityForm.MULTIPLICATIVE, 0.04, 0.03, 0.0, 1.0),
    wta="both",
    radius=2,
    max_winners=None,
    competition=None,
    maps=MapHomeostasis(rest=1.0, plus=0.01, tau=100.0, top=100.0),
    dead_recovery=False,
    dead_threshold=0.01,
    dead_warmup=100,
    batch_size=1,
)
"""`workloads.demo_rule`, written out: a bare machine reads no configuration."""
BLOB = 6
"""Side of a dense patch, pixels."""


def clustered(seed: int, samples: int, shape: tuple[int, int, int, int], density: float) -> SpikeLists:
    """Noise of this density, and in each sample two dense patches from a step on, which fire all maps at one place and step. The
    first sample is silent.

    Args:
        seed: of all draws.
        samples: N.
        shape: (T, C, H, W).
        density: share of sites that spike in a step.
    """
    steps, channels, height, width = shape
    cells = channels * height * width
    offsets, sites = [np.zeros(1, np.int64)], []
    for n in range(samples):
        rng = np.random.default_rng((seed, n))
        noise = rng.integers(0, steps * cells, round(density * steps * cells))
        parts = [noise]
        for _ in range(2):
            t0, c0 = rng.integers(0, steps), rng.integers(0, channels)
            y0, x0 = rng.integers(0, max(1, height - BLOB)), rng.integers(0, max(1, width - BLOB))
            t, c, y, x = np.meshgrid(
                np.arange(t0, steps), np.arange(c0, channels), np.arange(y0, min(height, y0 + BLOB)),
                np.arange(x0, min(width, x0 + BLOB)), indexing="ij",
            )  # fmt: skip
            patch = (((t * channels + c) * height + y) * width + x).reshape(-1)
            parts.append(patch[rng.random(len(patch)) < 0.6])
        flat = np.unique(np.concatenate(parts)) if n else np.zeros(0, np.int64)
        offsets.append(offsets[-1][-1] + np.searchsorted(flat, cells * np.arange(1, steps + 1)))
        sites.append((flat % cells).astype(np.int32))
    return SpikeLists(np.concatenate(offsets), np.concatenate(sites), shape)


def drawn(seed: int, *shape: int, low: float = 0.7, high: float = 0.9) -> torch.Tensor:
    """Uniform float32 between two bounds."""
    return torch.from_numpy(np.random.default_rng(seed).random(shape, np.float32)) * (high - low) + low


def first_state(rule: TrainingRule, maps: int, channels: int, kernel: int, device: torch.device | str) -> LearningState:
    """Untrained, thresholds at rest."""
    rest = rule.maps.rest if rule.maps else 0.0
    weight = drawn(1, maps, channels, kernel, kernel).to(device)
    return LearningState.fresh(weight, torch.full((maps,), rule.base + rest, device=device), rest)


def recover(state: LearningState, rule: TrainingRule, position: int) -> None:
    """New weights and counts of dead maps, drawn for this position of the order."""
    dead = state.dead(rule)
    for m in torch.nonzero(dead).flatten().tolist():
        shape = tuple(state.weight.shape[1:])
        drawn_anew = np.random.default_rng((7, position, m)).random(shape, np.float32)
        state.weight[m] = torch.from_numpy(drawn_anew).to(state.weight.device)
    state.seen[dead] = 0
    state.recent_wins[dead] = 0
    state.threshold.copy_(rule.base + state.theta)


def chain(device: torch.device | str, maps: tuple[int, int, int] = (4, 36, 10), threshold: float = 2.5) -> list[Layer]:
    """conv1, conv2, conv3: one of each leak, signed weights."""
    kernels, channels = (7, 5, 7), (2, *maps[:2])
    leaks = (LeakMode.SUBTRACTIVE, LeakMode.MULTIPLICATIVE, LeakMode.NONE)
    pools = ((2, 2), (2, 2), None)
    return [
        Layer(
            drawn(10 + i, out, incoming, kernel, kernel, low=-0.5, high=0.5).to(device),
            torch.full((out,), threshold, device=device), mode, 0.25, pool,
        )
        for i, (out, incoming, kernel, mode, pool) in enumerate(zip(maps, channels, kernels, leaks, pools, strict=True))
    ]  # fmt: skip


def reference() -> ModuleType:
    """`spikeseg.ops.reference`; where Norse is missing, on the recurrence that it computes."""
    import importlib.util

    from spikeseg.core.neurons import plain_step
    from spikeseg.ops import reference as plain
    from spikeseg.ops.reference import layers

    if importlib.util.find_spec("norse") is None:
        layers.step = plain_step
    return plain


def digest(tensors: Mapping[str, np.ndarray]) -> str:
    """Of names, types, shapes and bytes."""
    whole = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        whole.update(f"{name} {array.dtype.str} {array.shape}".encode())
        whole.update(array)
    return whole.hexdigest()[:16]


def difference(got: Mapping[str, np.ndarray], want: Mapping[str, np.ndarray]) -> dict[str, object] | None:
    """The first tensor that is not the same: name, first index, both values there, how many differ; None where all are."""
    for name in want:
        one, other = got.get(name), want[name]
        if one is None or one.shape != other.shape or one.dtype != other.dtype:
            kind = None if one is None else f"{one.dtype} {one.shape}"
            return {"tensor": name, "got": kind, "want": f"{other.dtype} {other.shape}"}
        unequal = np.ascontiguousarray(one).view(np.uint8) != np.ascontiguousarray(other).view(np.uint8)
        if unequal.any():
            places = unequal.reshape(-1, one.dtype.itemsize).any(1)
            first = int(places.argmax())
            index = [int(i) for i in np.unravel_index(first, one.shape)]
            return {"tensor": name, "index": index, "got": one.reshape(-1)[first].item(), "want": other.reshape(-1)[first].item(),
                    "different": int(places.sum()), "of": one.size}  # fmt: skip
    return None


def spikes_as_tensors(lists: SpikeLists, name: str) -> dict[str, np.ndarray]:
    """Offsets and sites under names of their own."""
    return {f"{name}.offsets": np.asarray(lists.offsets, np.int64), f"{name}.sites": np.asarray(lists.sites, np.int32)}
