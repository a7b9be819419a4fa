"""Learning without labels: STDP, winner-take-all, homeostasis, convergence, and the layer trainer.

Names are imported when they are asked for: what reads cached spikes alone (`blocks`) needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikeseg.config.sections import STDPConfig, WTAConfig, WTAMode

    from .convergence import Convergence, convergence_index, near_duplicates
    from .homeostasis import recover_dead_maps
    from .rules import LearningRule
    from .stdp import STDPLearner, winners_per_map
    from .trainer import LayerTrainer
    from .wta import WTAInhibition

_MODULES = {
    "Convergence": ".convergence",
    "LayerTrainer": ".trainer",
    "LearningRule": ".rules",
    "STDPConfig": "spikeseg.config.sections",
    "STDPLearner": ".stdp",
    "WTAConfig": "spikeseg.config.sections",
    "WTAInhibition": ".wta",
    "WTAMode": "spikeseg.config.sections",
    "convergence_index": ".convergence",
    "near_duplicates": ".convergence",
    "recover_dead_maps": ".homeostasis",
    "winners_per_map": ".stdp",
}

__all__ = [
    "Convergence",
    "LayerTrainer",
    "LearningRule",
    "STDPConfig",
    "STDPLearner",
    "WTAConfig",
    "WTAInhibition",
    "WTAMode",
    "convergence_index",
    "near_duplicates",
    "recover_dead_maps",
    "winners_per_map",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)
