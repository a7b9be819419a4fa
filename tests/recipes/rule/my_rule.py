"""Learning rule `mine` of another package: weights tend to the log-likelihood of their input [Nessler et al. 2013]."""

from __future__ import annotations

import torch
from torch import Tensor

from spikeseg.config.sections import STDPConfig
from spikeseg.ops.types import Plasticity, PlasticityForm


class LogLikelihood:
    """A winner's synapses grow by a+ (exp(-w) - 0.5) where their input came before its spike, and lose a+ where it did not."""

    def plasticity(self, config: STDPConfig) -> Plasticity:
        """The rule under the rates and bounds of the configuration."""

        def update(weights: Tensor, early: Tensor) -> Tensor:
            return weights + config.lr_plus * torch.where(early, torch.exp(-weights) - 0.5, -1.0)

        return Plasticity(PlasticityForm.CUSTOM, config.lr_plus, config.lr_minus, config.weight_min, config.weight_max, update)


RULE = LogLikelihood()
