"""Learning of a layer from images, one after the other, with rates that grow [Kheradpisheh 2018, section 2.4]."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikeseg.config.sections import Config
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.errors import InputError
from spikeseg.ops import backend as ops_backend
from spikeseg.ops.types import LearningState, TrainingRule

from .convergence import convergence_index, near_duplicates
from .rules import plasticity


class LayerResult(NamedTuple):
    """Images shown to a layer, C_l at the end, why it stopped, seconds it took, maps that never won, maps like an earlier one."""

    images: int
    c_l: float
    stopped: str
    seconds: float
    dead: int
    near_duplicates: int


def learn(
    weight: Tensor,
    lists: SpikeLists,
    cfg: Config,
    layer: int,
    *,
    mode: str | None = None,
    winners: int | None = None,
    shown: Callable[[int], object] = lambda n: None,
) -> LayerResult:
    """Train one layer's weights in place, until C_l falls below convergence.c_l_threshold.

    Images come in an order drawn anew for every pass. lr_plus and lr_minus double every `growth_every` images until lr_plus is at
    `lr_plus_max`; their ratio stays.

    Args:
        weight: (C_out, C_in, K, K) float32.
        lists: the layer's input, each input fires at most once in an image.
        cfg: the sections images, stdp, wta, convergence and the seed.
        layer: counted from 0.
        mode: of the competition, instead of wta.mode.
        winners: per image, instead of images.winners.
        shown: told, after some images, how many.

    Raises InputError: no images, or an lr_plus of 0, which no doubling makes grow.
    """
    if not lists.samples:
        raise InputError("there are no images to learn from")
    if not cfg.stdp.lr_plus:
        raise InputError("stdp.lr_plus: found 0, must be above 0: it doubles every images.growth_every images")
    c, maps = cfg.images, len(weight)
    state = LearningState(
        weight=weight,
        threshold=torch.full((maps,), c.thresholds[layer]),
        theta=torch.zeros(maps),
        wins=torch.zeros(maps, dtype=torch.int64),
        recent_wins=torch.zeros(maps, dtype=torch.int64),
        seen=torch.zeros(maps, dtype=torch.int64),
    )
    rng = np.random.default_rng((cfg.seed, layer))
    order = np.zeros(0, np.int64)
    done, started, index, stopped = 0, time.perf_counter(), 1.0, ""
    while not stopped:
        rate = min(c.lr_plus_max, cfg.stdp.lr_plus * 2.0 ** min(done // c.growth_every, 1000))
        rule = _rule(cfg, layer, rate, mode or cfg.wta.mode.value, c.winners[layer] if winners is None else winners)
        training = ops_backend(cfg.backend if cfg.backend != "cuda" else "cpu").Training(state, rule)
        ahead = min(c.growth_every - done % c.growth_every, c.max_images - done)
        while ahead and not stopped:
            now = min(ahead, cfg.convergence.check_interval - done % cfg.convergence.check_interval)
            while len(order) < now:
                order = np.concatenate([order, rng.permutation(lists.samples)])
            taken, order = order[:now], order[now:]
            training.run(lists, taken)
            done, ahead = done + now, ahead - now
            shown(now)
            if done % cfg.convergence.check_interval and done < c.max_images:
                continue
            index = convergence_index(weight)
            if index < cfg.convergence.c_l_threshold:
                stopped = f"C_l = {index:.4f} < {cfg.convergence.c_l_threshold:g}"
        if done == c.max_images and not stopped:
            stopped = f"max_images = {c.max_images} reached"
    dead = int((state.wins == 0).sum())
    return LayerResult(done, index, stopped, time.perf_counter() - started, dead, int(near_duplicates(weight).sum()))


def _rule(cfg: Config, layer: int, rate: float, mode: str, winners: int) -> TrainingRule:
    return TrainingRule(
        mode=LeakMode.NONE,
        leak=0.0,
        base=cfg.images.thresholds[layer],
        plasticity=plasticity(cfg.stdp)._replace(lr_plus=rate, lr_minus=rate * cfg.stdp.lr_minus / cfg.stdp.lr_plus),
        wta=mode,
        radius=cfg.images.radii[layer],
        max_winners=winners,
        competition=None,
        maps=None,
        dead_recovery=False,
        dead_threshold=0.0,
        dead_warmup=1,
        batch_size=1,
    )
