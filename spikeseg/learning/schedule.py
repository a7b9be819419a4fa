"""When a layer learns which samples: epochs in an order drawn from the seed, pauses between, and the reason to stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spikeseg.models.adaptive_threshold import typical_drive

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

    from .blocks import Block, Blocks
    from .trainer import LayerTrainer

AT_A_TIME = 64
"""Samples learned between two pauses, at most."""


class Pause(NamedTuple):
    """A pause in learning, for checks and reports: how many samples were learned since the last one, whether
    `logging.log_interval` asks for a report, and whether convergence was checked."""

    samples: int
    report_due: bool
    checked: bool


class Schedule:
    """Epochs of one layer's learning, with files around it or without. With `model.adaptive_thresholds` the network is told the
    layer's drive.

    Args:
        trainer: of the layer.
        blocks: its samples.
        cfg: convergence, log interval, batch size, max_epochs, max_samples_per_epoch, shuffle_train and seed.

    Attributes:
        samples_per_epoch: how many are learned from in each.
        epoch: epochs that are over.
        position: samples learned in the current one.
        reason: why the layer has stopped learning; None before.
    """

    def __init__(self, trainer: LayerTrainer, blocks: Blocks, cfg: Config) -> None:
        self.trainer, self.blocks, self.cfg = trainer, blocks, cfg
        self.index = cfg.model.layer(trainer.name).index
        if cfg.model.adaptive_thresholds and self.index > 1:
            trainer.encoder.drives[trainer.name] = typical_drive(blocks.lists())
        self.samples_per_epoch = min(len(blocks.spikes), cfg.max_samples_per_epoch or len(blocks.spikes))
        self.epoch, self.position = 0, 0
        self.reason: str | None = None

    @property
    def finished(self) -> bool:
        """Whether there is a reason to stop; having seen all epochs is one."""
        if self.reason is None and self.epoch >= self.cfg.max_epochs:
            self.reason = f"max_epochs = {self.cfg.max_epochs} reached"
        return self.reason is not None

    def one_epoch(self) -> Iterator[Pause]:
        """Learn from every sample once, from as many as an epoch has, or until there is a reason to stop; the epoch is over when
        the iterator is."""
        seed = (self.cfg.seed, self.index, self.epoch)
        for block, order in self.blocks.epoch(seed, self.position, shuffled=self.cfg.data.shuffle_train):
            order = order[: self.samples_per_epoch - self.position]
            while len(order) and self.reason is None:
                samples, order = np.split(order, [self._samples_ahead(len(order))])
                yield self._learn(block, samples)
            if self.reason is not None or self.position >= self.samples_per_epoch:
                break
        self.position = 0
        self.epoch += 1
        self.reason = self.reason or self.trainer.convergence.after_epoch(self.trainer.layer.weight)

    def _samples_ahead(self, left: int) -> int:
        """Samples to learn without a pause: whole batches, up to the next check or report, AT_A_TIME at most."""
        size = self.cfg.data.batch_size
        intervals = (self.cfg.convergence.check_interval, self.cfg.logging.log_interval)
        ahead = min(AT_A_TIME, *(interval - self.trainer.samples % interval for interval in intervals))
        return min(left, -(-ahead // size) * size)

    def _learn(self, block: Block, order: np.ndarray) -> Pause:
        before = self.trainer.samples
        for lists, indices in block.stretches(order, self.cfg.data.batch_size):
            self.trainer.learn(lists, indices)
        checks, reports = self.cfg.convergence.check_interval, self.cfg.logging.log_interval
        checked = self.trainer.samples // checks > before // checks
        if checked:
            self.reason = self.trainer.convergence.check(self.trainer.layer.weight)
        self.position += len(order)
        return Pause(len(order), self.trainer.samples // reports > before // reports, checked)
