"""Learning from images: rates that grow, when it stops, and the same weights as a loop by hand."""

import dataclasses

import numpy as np
import pytest
import torch

from spikeseg.config import load_config
from spikeseg.learning import image_training
from spikeseg.learning.image_training import learn
from spikeseg.models.image_network import ImageNetwork
from spikeseg.ops import reference
from spikeseg.ops.lists import SpikeLists
from spikeseg.ops.types import LearningState


def lists(samples=12, size=(9, 8), steps=5):
    rng = np.random.default_rng(0)
    when = rng.integers(0, 2 * steps, (samples, 2, *size))
    return SpikeLists.of(np.arange(steps)[:, None, None, None] == when[:, None])


def settings(**images):
    changes = {"maps": (6,), "kernels": (3,), "thresholds": (2.5,), "pools": (1,), "strides": (1,), "winners": (3,)}
    cfg = load_config("kheradpisheh2018_mnist")
    changes |= {"radii": (1,), "growth_every": 7, "max_images": 40, **images}
    return dataclasses.replace(
        cfg, images=dataclasses.replace(cfg.images, **changes), backend="cpu",
        convergence=dataclasses.replace(cfg.convergence, check_interval=5, c_l_threshold=0.0),
    )  # fmt: skip


def fresh(cfg):
    return ImageNetwork(cfg.images, cfg.stdp, seed=cfg.seed).weights[0]


def test_the_same_weights_as_a_loop_by_hand():
    """Image by image: the rates double every 7 images up to the cap, the order is a permutation for every pass."""
    cfg = settings(lr_plus_max=0.03)
    weight, other, by_reference = fresh(cfg), fresh(cfg), fresh(cfg)
    told = learn(weight, lists(), cfg, 0)
    assert told.images == 40 and told.stopped == "max_images = 40 reached"
    rng, given = np.random.default_rng((cfg.seed, 0)), lists()
    order = np.concatenate([rng.permutation(given.samples) for _ in range(4)])[:40]
    zeros = [torch.zeros(6, dtype=torch.int64) for _ in range(3)]
    state = LearningState(other, torch.full((6,), 2.5), torch.zeros(6), *zeros)
    for n, image in enumerate(order):
        rate = min(0.03, 0.004 * 2 ** (n // 7))
        rule = image_training._rule(cfg, 0, rate, "both", 3)
        assert rule.lr_minus == pytest.approx(0.75 * rate)
        reference.Training(state, rule).run(given, np.array([image]))
    assert torch.equal(weight, other)
    learn(by_reference, lists(), dataclasses.replace(cfg, backend="reference"), 0)
    assert torch.equal(weight, by_reference)


def test_it_stops_when_the_weights_have_decided():
    cfg = settings(lr_plus_max=0.15, max_images=5000)
    cfg = dataclasses.replace(cfg, convergence=dataclasses.replace(cfg.convergence, c_l_threshold=0.05))
    weight, shown = fresh(cfg), []
    told = learn(weight, lists(), cfg, 0, shown=shown.append)
    assert told.images < 5000 and told.images % 5 == 0 and sum(shown) == told.images
    assert told.c_l < 0.05 and told.stopped.startswith("C_l = ") and told.stopped.endswith("< 0.05")
    assert 0 <= float(weight.min()) and float(weight.max()) <= 1
    assert told.c_l == pytest.approx(float((weight.double() * (1 - weight.double())).mean()))


def test_the_seed_gives_the_order_and_options_go_before_the_configuration():
    cfg = settings()
    one, same, other, free = (fresh(cfg) for _ in range(4))
    learn(one, lists(), cfg, 0)
    learn(same, lists(), cfg, 0)
    learn(other, lists(), dataclasses.replace(cfg, seed=cfg.seed + 1), 0)
    learn(free, lists(), cfg, 0, mode="global", winners=6)
    assert torch.equal(one, same) and not torch.equal(one, other) and not torch.equal(one, free)


def test_maps_that_never_win_are_counted():
    cfg = settings(thresholds=(1000.0,))
    told = learn(fresh(cfg), lists(), cfg, 0)
    assert told.dead == 6
