"""Which maps of a layer win, as in training, with nothing learned from it."""

from __future__ import annotations

import numpy as np

from spikeseg.config.sections import WTAConfig
from spikeseg.core.sparse import SpikeLists
from spikeseg.models import SpikeSEG
from spikeseg.ops import backend as ops_backend
from spikeseg.ops.types import LearningState, Plasticity, PlasticityForm, TrainingRule

_UNCHANGED = Plasticity(PlasticityForm.ADDITIVE, 0.0, 0.0, float(np.finfo(np.float32).min), float(np.finfo(np.float32).max))


class Competition:
    """Winner-take-all among the first spikes of a layer: that of training, whose weights and thresholds stay as they are.

    Args:
        model: the network, which is not changed.
        layer: the layer whose maps compete.
        wta: how. Its homeostasis, which belongs to learning, is left out.
    """

    def __init__(self, model: SpikeSEG, layer: str, wta: WTAConfig) -> None:
        neurons = model.encoder.layer(layer)
        rule = TrainingRule(
            mode=neurons.mode,
            leak=neurons.leak,
            base=0.0,  # with theta the layer's threshold as it is
            plasticity=_UNCHANGED,
            wta=wta.mode.value,
            radius=wta.local_radius,
            max_winners=wta.max_winners,
            competition=None,
            maps=None,
            dead_recovery=False,
            dead_threshold=0.0,
            dead_warmup=0,
            batch_size=1,
        )
        self._state = LearningState.fresh(neurons.weight.clone(), neurons.threshold.clone())
        self._state.theta.copy_(neurons.threshold)
        self._training = ops_backend(model.encoder.backend, neurons.weight.device).Training(self._state, rule)

    def wins(self, sample: SpikeLists) -> np.ndarray:
        """How often each map wins in one sample: int64 (maps,).

        Args:
            sample: the layer's input, (1, T, C, H, W).
        """
        before = self._state.wins.clone()
        self._training.run(sample, np.zeros(1, np.int64))
        won: np.ndarray = (self._state.wins - before).cpu().numpy()
        return won
