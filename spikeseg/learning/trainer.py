"""Learning of one layer, sample by sample: run, compete, update, adapt.

The trainer works on tensors alone; files and interrupts belong to the stage around it (pipelines). Everything that the next
sample depends on is in `state_dict`, so that a run can go on bitwise as if never stopped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeseg.config.keys import COUNT_MAX
from spikeseg.config.sections import Config
from spikeseg.core.sparse import SpikeLists
from spikeseg.errors import InputError
from spikeseg.models import SpikeSEG
from spikeseg.ops import backend as ops_backend
from spikeseg.ops.types import LearningState, PlasticityForm, TrainingRule

from .convergence import Convergence, convergence_index, near_duplicates
from .homeostasis import homeostasis_of_maps, homeostasis_of_neurons, recover_dead_maps
from .rules import grown, plasticity


class LayerTrainer:
    """Trains 'conv1', 'conv2' or 'conv3' of a network on the spikes that come out of the layers below.

    Args:
        model: the network; the layer's weights and thresholds change in place.
        layer: its name.
        config: read are the sections stdp, wta, homeostasis and convergence; data.batch_size, the samples that see the same
            weights and thresholds and whose updates are applied in order; seed, of the noise that dead maps receive; and
            backend, of the training step, see `spikeseg.ops`: the result is the same with each.

    Raises:
        InputError: the layer is frozen.
    """

    def __init__(self, model: SpikeSEG, layer: str, config: Config) -> None:
        if model.encoder.layer(layer).frozen:
            raise InputError(f"{layer}: frozen, so it does not learn; unfreeze_layer({layer!r}) lets it")
        wta, homeostasis = config.wta, config.homeostasis
        self.encoder, self.layer = model.encoder, model.encoder.layer(layer)
        self.name = layer
        self.rule = TrainingRule(
            mode=self.layer.mode,
            leak=self.layer.leak,
            base=model.config.layer(layer).threshold,
            plasticity=plasticity(config.stdp),
            wta=wta.mode.value,
            radius=wta.local_radius,
            max_winners=wta.max_winners,
            competition=homeostasis_of_neurons(wta),
            maps=homeostasis_of_maps(homeostasis),
            dead_recovery=homeostasis.dead_neuron_recovery,
            dead_threshold=homeostasis.dead_threshold,
            dead_warmup=homeostasis.dead_warmup,
            batch_size=config.data.batch_size,
        )
        theta = 0.0 if self.rule.maps is None else self.rule.maps.rest
        self.state = LearningState.fresh(self.layer.weight, self.layer.threshold, theta)
        self._stdp, self._initial, self._backend = config.stdp, self.rule.plasticity, config.backend
        if config.stdp.growth_every is not None and self._initial.form is PlasticityForm.CUSTOM:
            raise InputError(f"stdp.growth_every: null with stdp.rule {config.stdp.variant}, whose rates are its own")
        self._set_rates(0)
        self.recovery_noise = homeostasis.recovery_boost
        self.generator = torch.Generator().manual_seed(config.seed)
        self.samples = self.recovered = 0
        self.convergence = Convergence(config.convergence, self.state.wins)

    def _set_rates(self, samples: int) -> None:
        """Take the rates that the layer learns with once it has seen so many samples."""
        every = self._stdp.growth_every
        if every is not None:
            rates = grown(self._initial, samples // every, self._stdp.lr_plus_max)
            self.rule = self.rule._replace(plasticity=rates)
        self.training = ops_backend(self._backend, self.layer.weight.device).Training(self.state, self.rule)

    def _until_growth(self) -> int:
        """Samples to learn from before rates double, whole batches."""
        every, size = self._stdp.growth_every, self.rule.batch_size
        return COUNT_MAX if every is None else -(-(every - self.samples % every) // size) * size

    def step(self, spikes: Tensor) -> int:
        """Learn from one sample.

        Args:
            spikes: 0/1 (T, C_in, H, W), the output of the layer below (after its pool).

        Returns:
            how many winners there were.
        """
        before = int(self.state.wins.sum())
        self.learn(SpikeLists.of(spikes[None].cpu().numpy()), np.zeros(1, np.int64))
        return int(self.state.wins.sum()) - before

    def learn(self, lists: SpikeLists, order: np.ndarray) -> None:
        """Learn from samples order[0], order[1], ... of `lists`, all of one size, in batches.

        Raises:
            InputError: another size than before, where the competition has a threshold for every neuron.
        """
        n_learned, every = 0, self._stdp.growth_every
        while n_learned < len(order):
            try:
                n_new = self.training.run(lists, order[n_learned : n_learned + self._until_growth()])
            except ValueError as error:
                raise InputError(str(error)) from None
            before, self.samples = self.samples, self.samples + n_new
            n_learned += n_new
            if every is not None and self.samples // every > before // every:
                self._set_rates(self.samples)
            self.recovered += recover_dead_maps(self.state, self.rule, self.recovery_noise, self.generator)
            self.layer.threshold.copy_(self.rule.base + self.state.theta)

    def report(self) -> dict[str, Any]:
        """What training prints and stores: counts, C_l, weights, thresholds, dead maps and near-duplicates."""
        weight, theta, wins = self.layer.weight.cpu(), self.layer.threshold.cpu(), self.state.wins
        n_maps = len(weight)
        dead = int((wins < max(1.0, self.rule.dead_threshold * self.samples)).sum())
        return {
            "samples": self.samples,
            "wins": int(wins.sum()),
            "wins_per_map": wins.tolist(),
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
        """Everything the next sample depends on besides weights and thresholds; tensors on the CPU and plain numbers only."""
        state = self.state
        return {
            "samples": self.samples,
            "recovered": self.recovered,
            "generator": self.generator.get_state(),
            **{name: getattr(state, name).cpu().clone() for name in COUNTERS},
            "competition": None if state.competition is None else state.competition.cpu().clone(),
            "best": self.convergence.best,
            "stale": self.convergence.stale,
            "last_check": self.convergence.last_check,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; the layer's weights and thresholds are loaded with the model."""
        self.samples, self.recovered = state["samples"], state["recovered"]
        if self._stdp.growth_every is not None:
            self._set_rates(self.samples)
        self.generator.set_state(state["generator"])
        for name in COUNTERS:
            getattr(self.state, name).copy_(state[name])
        competition = state["competition"]
        self.state.competition = None if competition is None else competition.to(self.state.weight.device)
        self.convergence.best, self.convergence.stale = state["best"], state["stale"]
        self.convergence.last_check = state["last_check"]


COUNTERS = ("theta", "wins", "recent_wins", "seen")
"""What of a `LearningState` a checkpoint keeps beside the network."""
