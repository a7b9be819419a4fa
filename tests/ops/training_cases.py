"""What tests of training share: rules, states, spikes, and everything that learning leaves."""

import numpy as np
import torch

from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.types import (
    LearningState,
    MapHomeostasis,
    Plasticity,
    PlasticityForm,
    TrainingRule,
)

MEMBRANES = [(LeakMode.NONE, 0.0), (LeakMode.SUBTRACTIVE, 819 / 4096), (LeakMode.MULTIPLICATIVE, 3001 / 4096)]


def rule(**changes):
    numbers = {
        "mode": LeakMode.SUBTRACTIVE, "leak": 819 / 4096, "base": 1.0,
        "wta": "both", "radius": 1, "max_winners": None, "competition": None, "maps": MapHomeostasis(0.5, 0.1, 50.0, 20.0),
        "dead_recovery": False, "dead_threshold": 0.3, "dead_warmup": 8, "batch_size": 1,
    }  # fmt: skip
    stdp = {name: changes.pop(name) for name in Plasticity._fields if name in changes}
    numbers["plasticity"] = Plasticity(PlasticityForm.MULTIPLICATIVE, 0.04, 0.03, 0.0, 1.0)._replace(**stdp)
    return TrainingRule(**numbers | changes)


def state(channels, maps, kernel, how, negative=False, ties=False):
    g = torch.Generator().manual_seed(maps)
    weight = torch.randn(maps, channels, kernel, kernel, generator=g) * 0.2 + (0.0 if negative else 0.6)
    weight = weight.clamp(how.plasticity.weight_min, how.plasticity.weight_max)
    if ties:
        weight = (weight * 4).round() / 4
    theta = torch.full((maps,), how.maps.rest if how.maps else 0.0)
    counts = [torch.zeros(maps, dtype=torch.int64) for _ in range(3)]
    return LearningState(weight, theta + how.base, theta.clone(), *counts)


def spikes(samples, shape, density, seed=0):
    return np.random.default_rng(seed).random((samples, *shape)) < density


def learned(backend, s, how, lists, order, piece=None):
    """Everything that learning leaves, and after how many samples it stopped for dead maps, which are shaken as in training."""
    training, stops, done = backend.Training(s, how), [], 0
    while done < len(order):
        part = order[done:] if piece is None else order[done : done + piece]
        now = training.run(lists, part)
        assert now == len(part) or (how.dead_recovery and bool(s.dead(how).any()))
        done += now
        stops.append(done)
        if how.dead_recovery:
            dead = s.dead(how)
            s.weight[dead] = (s.weight[dead] + 0.1).clamp(how.plasticity.weight_min, how.plasticity.weight_max)
            s.recent_wins[dead] = s.seen[dead] = 0
    state_after = {
        name: getattr(s, name) for name in ("weight", "threshold", "theta", "wins", "recent_wins", "seen", "competition")
    }
    return state_after | ({} if piece else {"stops": stops})


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        same = torch.equal(value, b[name]) if isinstance(value, torch.Tensor) else value == b[name]
        assert same, name


def lists_of(seed, samples, *shape, density=0.3):
    return SpikeLists.of(spikes(samples, shape, density, seed))


def learn_both(triton_ops, meaning, device, how, lists, order, maps=3, kernel=3, ties=False):
    """Learn twice the same; -> what the reference learned."""
    both = []
    for ops, where in ((triton_ops, device), (meaning, torch.device("cpu"))):
        start = state(lists.shape[1], maps, kernel, how, how.plasticity.weight_min < 0, ties)
        found = learned(ops, start.to(where), how, lists, order)
        both.append({name: value.cpu() if isinstance(value, torch.Tensor) else value for name, value in found.items()})
    assert_equal(*both)
    return both[1]
