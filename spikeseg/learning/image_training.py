"""Learning from images, layer by layer and image by image, with rates that grow [Kheradpisheh 2018, section 2.4].

On a GPU first spikes, winners and STDP are the CUDA kernels of any layer's training; spikes of trained layers and potentials at
the end come from kernels too (`spikeseg.ops.cuda.images`). The latency code stays torch, once per set of images; and a change of
rates begins a training anew, its images sent up again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikeseg.config.sections import Config
from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.errors import InputError
from spikeseg.models.image_network import Change, ImageNetwork, unchanged
from spikeseg.ops import backend as ops_backend
from spikeseg.ops.types import LearningState, Plasticity, TrainingRule

from .convergence import convergence_index, near_duplicates
from .rules import grown, plasticity

log = logging.getLogger(__name__)

LayerProgress = Callable[[int, int], AbstractContextManager[Callable[[int], object]]]
"""Shows the progress of a layer: from its number, counted from 1, and the most images it may take, a context whose value is
called with the number of images shown since the last call."""


def no_progress(_layer: int, _images: int) -> AbstractContextManager[Callable[[int], object]]:
    """No progress."""
    return nullcontext(lambda _shown: None)


class LayerResult(NamedTuple):
    """Images shown to a layer, C_l at the end, why it stopped, seconds it took, maps that never won, maps like an earlier one."""

    images: int
    c_l: float
    stopped: str
    seconds: float
    dead: int
    near_duplicates: int


def untrained_network(cfg: Config, lists: SpikeLists, device: torch.device | str = "cpu") -> ImageNetwork:
    """An untrained network for these images.

    Args:
        cfg: the sections images and stdp, the seed and the backend.
        lists: (T, C, H, W), images as spikes.
        device: where it lies.

    Raises:
        InputError: see `ImageNetwork`.
    """
    network = ImageNetwork(cfg.images, cfg.stdp, in_channels=lists.shape[1], seed=cfg.seed).to(device)
    network.backend = cfg.backend
    return network


def train_network(
    network: ImageNetwork,
    lists: SpikeLists,
    cfg: Config,
    *,
    mode: str | None = None,
    change: Change = unchanged,
    progress: LayerProgress = no_progress,
) -> list[LayerResult]:
    """Train a network's weights in place, layer by layer.

    Args:
        network: untrained.
        lists: (T, C, H, W), images as spikes.
        cfg: see `learn`.
        mode: of the competition, instead of wta.mode; "none": every map learns by itself.
        change: done to every layer's input, for controls.
        progress: see `LayerProgress`.

    Raises:
        InputError: see `learn`.
    """
    results = []
    for number, inputs in enumerate(network.inputs(lists, change)):
        winners = cfg.images.maps[number] if mode == "none" else None
        with progress(number + 1, cfg.images.max_images) as shown:
            result = learn(
                network.weights[number], inputs, cfg, number,
                mode="global" if mode == "none" else mode, winners=winners, shown=shown,
            )  # fmt: skip
        log.info("layer %d: %s after %d images, %d of %d maps never won", number + 1, result.stopped, result.images, result.dead,
                 cfg.images.maps[number])  # fmt: skip
        results.append(result)
    return results


def learn(
    weight: Tensor,
    lists: SpikeLists,
    cfg: Config,
    layer: int,
    *,
    mode: str | None = None,
    winners: int | None = None,
    shown: Callable[[int], object] = lambda _shown: None,
) -> LayerResult:
    """Train one layer's weights in place, until C_l falls below convergence.c_l_threshold.

    Images come in an order drawn anew for every pass. lr_plus and lr_minus double every `growth_every` images until lr_plus is at
    `lr_plus_max`; their ratio stays.

    Args:
        weight: (C_out, C_in, K, K) float32; the layer learns where it lies.
        lists: the layer's input, each input fires at most once in an image.
        cfg: the sections images, stdp, wta, convergence, the seed and the backend.
        layer: counted from 0.
        mode: of the competition, instead of wta.mode.
        winners: per image, instead of images.winners.
        shown: called with the number of images shown since its last call.

    Raises:
        InputError: no images; an lr_plus of 0, which no doubling makes grow; images that the backend cannot learn from.
    """
    if not lists.samples:
        raise InputError("there are no images to learn from")
    if not cfg.stdp.lr_plus:
        raise InputError("stdp.lr_plus: found 0, must be above 0: it doubles every images.growth_every images")
    c, maps = cfg.images, len(weight)
    state = LearningState.fresh(weight, torch.full((maps,), c.thresholds[layer], device=weight.device))
    ops = ops_backend(cfg.backend, weight.device)
    rng = np.random.default_rng((cfg.seed, layer))
    order = np.zeros(0, np.int64)
    done, started, index, stopped = 0, time.perf_counter(), 1.0, ""
    while not stopped:
        rates = grown(plasticity(cfg.stdp), done // c.growth_every, c.lr_plus_max)
        rule = _rule(cfg, layer, rates, mode or cfg.wta.mode.value, c.winners[layer] if winners is None else winners)
        training = ops.Training(state, rule)
        ahead = min(c.growth_every - done % c.growth_every, c.max_images - done)
        while ahead and not stopped:
            now = min(ahead, cfg.convergence.check_interval - done % cfg.convergence.check_interval)
            while len(order) < now:
                order = np.concatenate([order, rng.permutation(lists.samples)])
            taken, order = order[:now], order[now:]
            try:
                training.run(lists, taken)
            except ValueError as error:
                raise InputError(str(error)) from None
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


def _rule(cfg: Config, layer: int, rates: Plasticity, mode: str, winners: int) -> TrainingRule:
    return TrainingRule(
        mode=LeakMode.NONE,
        leak=0.0,
        base=cfg.images.thresholds[layer],
        plasticity=rates,
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
