"""Learning of one layer, sample by sample: run, compete, update, adapt.

The trainer knows tensors; the stage around it (pipelines) knows files, epochs and interrupts. Everything that the next
sample depends
on is in `state_dict`, so that a run can go on bitwise as if never stopped.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikeseg.errors import InputError
from spikeseg.models import SpikeSEG
from spikeseg.models.encoder import LAYERS
from spikeseg.ops import reference as ops
from spikeseg.sections import ConvergenceConfig, HomeostasisConfig, STDPConfig, WTAConfig

from .convergence import Convergence, convergence_index, near_duplicates
from .homeostasis import MapHomeostasis
from .stdp import STDPLearner
from .wta import WTAInhibition


class LayerTrainer:
    """Trains 'conv1', 'conv2' or 'conv3' of a network on the spikes that come out of the layers below.

    Args:
        model: the network; the layer's weights and thresholds change in place.
        layer: its name.
        stdp, wta, homeostasis, convergence: the sections of the configuration.
        seed: of the noise that dead maps receive.
    """

    def __init__(
        self,
        model: SpikeSEG,
        layer: str,
        *,
        stdp: STDPConfig,
        wta: WTAConfig,
        homeostasis: HomeostasisConfig,
        convergence: ConvergenceConfig,
        seed: int = 42,
    ) -> None:
        self.layer = model.encoder.layer(layer)
        self.name = layer
        self.learner = STDPLearner(stdp)
        self.wta_config = wta
        self.wta: WTAInhibition | None = None
        n_maps = len(self.layer.weight)
        self.homeostasis = MapHomeostasis(n_maps, homeostasis)
        self.base = model.config.thresholds[LAYERS.index(layer)]
        self.generator = torch.Generator().manual_seed(seed)
        self.samples = 0
        self.wins = torch.zeros(n_maps, dtype=torch.int64)
        self.recovered = 0
        self.convergence = Convergence(convergence, self.wins)

    def step(self, spikes: Tensor) -> int:
        """Learn from one sample; see `batch`. spikes: (T, C_in, H, W)."""
        return self.batch(spikes[:, None])

    def batch(self, spikes: Tensor) -> int:
        """Learn from a batch: its samples see the same weights and thresholds, and their updates are applied in order.

        Args:
            spikes: 0/1 (T, B, C_in, H, W), the output of the layer below (after its pool).

        Returns:
            how many winners there were.
        """
        with torch.no_grad():
            spikes = spikes.to(self.layer.weight)
            run = self.layer(spikes)
            n_steps = len(spikes)
            first = ops.first_spike_steps(run.spikes)
            potential = ops.at_first_spike(run.potentials, first)
            pre = ops.first_spike_steps(spikes)
            total = 0
            for b in range(spikes.shape[1]):
                winners = self._competition(first.shape[-2:]).compete(first[b], potential[b], n_steps)
                pre_times = torch.where(pre[b] < n_steps, pre[b], torch.iinfo(pre.dtype).max)
                self.learner.update(self.layer.weight, pre_times, winners)
                self._account(winners[:, 1].cpu())
                total += len(winners)
        return total

    def _competition(self, size: torch.Size) -> WTAInhibition:
        shape = (len(self.layer.weight), *size)
        if self.wta is None or (self.wta.shape != shape and not self.wta_config.enable_homeostasis):
            self.wta = WTAInhibition(self.wta_config, shape[0], (shape[1], shape[2])).to(self.layer.weight.device)
        if self.wta.shape != shape:
            raise InputError(
                f"wta.enable_homeostasis keeps a threshold for every neuron of {self.wta.shape}, but this sample gives {shape}; "
                "switch it off for recordings of several sizes, or set data.input_height and input_width"
            )
        return self.wta

    def _account(self, maps: Tensor) -> None:
        won = torch.bincount(maps, minlength=len(self.wins))
        self.samples += 1
        self.wins += won
        self.homeostasis.after_sample(won)
        c = self.learner.config
        self.recovered += self.homeostasis.recover(self.layer.weight, (c.weight_min, c.weight_max), self.generator)
        self.layer.threshold.copy_(self.base + self.homeostasis.theta)

    def report(self) -> dict[str, Any]:
        """What training prints and stores: counts, C_l, weights, thresholds, dead maps and near-duplicates."""
        weight, theta = self.layer.weight, self.layer.threshold
        n_maps = len(weight)
        dead = int((self.wins < max(1.0, self.homeostasis.config.dead_threshold * self.samples)).sum())
        return {
            "samples": self.samples,
            "wins": int(self.wins.sum()),
            "wins_per_map": self.wins.tolist(),
            "convergence_index": convergence_index(weight),
            "weight_mean": float(weight.mean()),
            "weight_std": float(weight.std(unbiased=False)),
            "weight_low_share": float((weight < 0.1).float().mean()),
            "weight_high_share": float((weight > 0.9).float().mean()),
            "threshold_min": float(theta.min()),
            "threshold_mean": float(theta.mean()),
            "threshold_max": float(theta.max()),
            "maps": n_maps,
            "dead_maps": dead,
            "dead_share": dead / n_maps,
            "near_duplicate_maps": int(near_duplicates(weight).sum()),
            "near_duplicate_share": float(near_duplicates(weight).float().mean()),
            "recovered_maps": self.recovered,
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything the next sample depends on besides weights and thresholds; tensors and plain numbers only."""
        return {
            "samples": self.samples,
            "wins": self.wins.clone(),
            "recovered": self.recovered,
            "generator": self.generator.get_state(),
            "homeostasis": self.homeostasis.state_dict(),
            "wta_thresholds": self.wta.thresholds.cpu() if self.wta is not None and self.wta_config.enable_homeostasis else None,
            "best": self.convergence.best,
            "stale": self.convergence.stale,
            "last_check": self.convergence.last_check,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; the layer's weights and thresholds are loaded with the model."""
        self.samples, self.recovered = state["samples"], state["recovered"]
        self.wins.copy_(state["wins"])
        self.generator.set_state(state["generator"])
        self.homeostasis.load_state_dict(state["homeostasis"])
        if state["wta_thresholds"] is not None:
            self._competition(state["wta_thresholds"].shape[-2:]).thresholds.copy_(state["wta_thresholds"])
        self.convergence.best, self.convergence.stale = state["best"], state["stale"]
        last = state["last_check"]
        self.convergence.last_check = None if last is None else last.to(self.layer.weight.device)
