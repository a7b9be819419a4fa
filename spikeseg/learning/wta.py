"""Winner-take-all lateral inhibition as a module, with an optional homeostasis per neuron."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikeseg.config.sections import WTAConfig
from spikeseg.ops import backend as ops_backend
from spikeseg.ops.reference.training import competition_homeostasis

from .homeostasis import homeostasis_of_neurons


class WTAInhibition(nn.Module):
    """Keeps the spikes that win their competition, and silences the rest [Kheradpisheh 2018, section 2.3].

    One call is one competition: of the neurons that fire in one step (call it step by step), or of first spikes of a whole sample
    (`compete`), whose winners are selected by the operation that training uses on the spikes' device, a CUDA kernel on a GPU.

    With `enable_homeostasis`, every neuron carries a threshold of its own that its potential must reach to take part; it
    starts at `threshold_min` and after each call moves by ``homeostasis_lr * (rate - target_rate)``, where rate is 1 for a
    neuron that won and 0 for one that did not, within threshold_min..threshold_max (in torch on any device: one addition a
    neuron). This acts on the competition alone, never on the neurons' own spikes; the thresholds of the layer belong to the
    section `homeostasis`.

    Args:
        config: mode, radius, homeostasis.
        n_channels: feature maps C.
        spatial_shape: (H, W) of the layer's neurons.

    Attributes:
        thresholds: (C, H, W) float32.
        statistics: sums over all steps since `reset_statistics`: total_spikes that competed, total_winners, and presentations, of
            steps and their independent competitions. They stay 0 with ``track_statistics=False``.
    """

    thresholds: Tensor

    def __init__(self, config: WTAConfig, n_channels: int, spatial_shape: tuple[int, int]) -> None:
        super().__init__()
        self._winner_mask: Tensor | None = None
        self.reset_statistics()
        self.config = config
        self.shape = (n_channels, *spatial_shape)
        self._homeostasis = homeostasis_of_neurons(config)
        self.register_buffer("thresholds", torch.full(self.shape, float(config.threshold_min)))

    def forward(self, spikes: Tensor, membranes: Tensor) -> tuple[Tensor, Tensor]:
        """One step's competition.

        Args:
            spikes: 0/1 (C, H, W), or (N, C, H, W) for N independent competitions.
            membranes: pre-reset potentials, same shape.

        Returns:
            (filtered, winner_mask): the spikes of the winners (same shape and dtype as `spikes`) and the same as bool.

        Raises:
            ValueError: shapes other than (C, H, W) of the constructor.
        """
        if spikes.shape != membranes.shape or tuple(spikes.shape[-3:]) != self.shape or spikes.dim() not in (3, 4):
            raise ValueError(
                f"spikes {tuple(spikes.shape)} and membranes {tuple(membranes.shape)} must both be {self.shape}, "
                f"or (N, *{self.shape})"
            )
        mask = torch.zeros(spikes.shape, dtype=torch.bool, device=spikes.device)
        batch = (mask, spikes, membranes) if spikes.dim() == 4 else (mask[None], spikes[None], membranes[None])
        for won, fired, potential in zip(*batch, strict=True):
            winners = self.compete((fired <= 0).to(torch.int64), potential, 1)
            won[winners[:, 1], winners[:, 2], winners[:, 3]] = True
        self._winner_mask = mask
        if self.config.track_statistics:
            for name, count in zip(self.statistics, (int((spikes > 0).sum()), int(mask.sum()), len(batch[0])), strict=True):
                self.statistics[name] += count
        return spikes * mask, mask

    def get_winner_mask(self) -> Tensor | None:
        """The mask that the last call returned; None before the first."""
        return self._winner_mask

    def get_thresholds(self, batch_size: int = 1) -> Tensor | None:
        """The thresholds of the competition for so many samples, (batch_size, C, H, W); None without `enable_homeostasis`."""
        return None if self._homeostasis is None else self.thresholds.expand(batch_size, *self.shape)

    def reset_statistics(self) -> None:
        """Count from 0 again; thresholds stay."""
        self.statistics = {"total_spikes": 0, "total_winners": 0, "presentations": 0}

    def compete(self, first: Tensor, potential: Tensor, n_steps: int) -> Tensor:
        """Winners among first spikes, then the homeostasis of this call.

        Args:
            first: step of each neuron's first spike (C, H, W) int64; n_steps where silent.
            potential: pre-reset potential at that step (C, H, W).
            n_steps: T.

        Returns:
            (n, 4) int64 rows (step, map, row, column) in the order in which they won.
        """
        c = self.config
        if self._homeostasis is not None:
            first = torch.where(potential >= self.thresholds, first, n_steps)
        winners: Tensor = ops_backend("auto", first.device).select_winners(
            first, potential, n_steps, mode=c.mode.value, radius=c.local_radius, max_winners=c.max_winners
        )
        if self._homeostasis is not None:
            competition_homeostasis(self.thresholds, winners, self._homeostasis)
        return winners
