"""How a network's output is read: what counts as lit, as an object, and which classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spikeseg.core.sparse import ANY_RESPONSE
from spikeseg.errors import InputError

if TYPE_CHECKING:
    from spikeseg.config.sections import Config


@dataclass(frozen=True)
class Readout:
    """How a network's output is read.

    Attributes:
        object_threshold: the score from which a track is an object.
        threshold: the saliency from which a pixel counts as lit.
        classes: those that count; None: all.
    """

    object_threshold: float
    threshold: float = ANY_RESPONSE
    classes: Sequence[int] | None = None


def readout_of(cfg: Config, checkpoint: Path) -> Readout:
    """As the configuration says; under `evaluation.readout: calibrated`, as the training split did (`spikeseg sweep`).

    Args:
        cfg: the configuration.
        checkpoint: the network's file, read only where its calibration is asked for.

    Raises:
        InputError: the calibration is asked for and the checkpoint holds none, or cannot be read.
    """
    if cfg.evaluation.readout == "all":
        return Readout(cfg.tracking.object_threshold)
    from spikeseg.learning.checkpoint import load

    calibrated = load(checkpoint)[1].get("readout")
    if calibrated is None:
        raise InputError(
            f"{checkpoint}: holds no calibrated readout; run `spikeseg sweep` on the training split first, or "
            "--set evaluation.readout=all"
        )
    return Readout(float(calibrated["object_threshold"]), classes=calibrated["classes"])
