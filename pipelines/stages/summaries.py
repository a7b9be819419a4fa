"""What training reports while it runs: log lines, and TensorBoard where it is installed and switched on."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from spikeseg.core.files import writing

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

log = logging.getLogger(__name__)

SCALARS = ("convergence_index", "wins", "threshold_mean", "dead_share", "near_duplicate_share", "weight_mean")


class Summaries:
    """Scalars of one layer's training, every `logging.log_interval` samples; use as a context manager."""

    def __init__(self, cfg: Config, run_dir: Path, layer: str, tensorboard: bool | None = None) -> None:
        self.layer, self.folder = layer, run_dir / "events"
        self.writer = _tensorboard(self.folder) if (cfg.logging.tensorboard if tensorboard is None else tensorboard) else None
        if cfg.logging.wandb:
            log.warning(
                "logging.wandb is on, but this version does not write to Weights & Biases; project %r gets nothing",
                cfg.logging.wandb_project,
            )

    def write(self, report: dict[str, Any]) -> None:
        """Log one report of `LayerTrainer`."""
        log.info(
            "%s: %d samples, C_l %.4f, threshold %.2f, %d of %d maps dead, %d near-duplicates",
            self.layer,
            report["samples"],
            report["convergence_index"],
            report["threshold_mean"],
            report["dead_maps"],
            report["maps"],
            report["near_duplicate_maps"],
        )
        if self.writer is not None:
            with writing(self.folder):
                for name in SCALARS:
                    self.writer.add_scalar(f"{self.layer}/{name}", report[name], report["samples"])

    def __enter__(self) -> Summaries:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.writer is not None:
            with writing(self.folder):
                self.writer.close()


def _tensorboard(folder: Path) -> Any:
    """A TensorBoard writer, or None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info("TensorBoard is not installed, so no event files are written; install the extra 'tensorboard' for them")
        return None
    with writing(folder):
        return SummaryWriter(str(folder))
