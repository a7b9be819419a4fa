"""Learning without labels: STDP, winner-take-all, homeostasis, convergence, and the layer trainer."""

from spikeseg.config.sections import STDPConfig, WTAConfig, WTAMode

from .convergence import Convergence, convergence_index, near_duplicates
from .homeostasis import recover
from .stdp import STDPLearner, winners_per_map
from .trainer import LayerTrainer
from .wta import WTAInhibition

__all__ = [
    "Convergence",
    "LayerTrainer",
    "STDPConfig",
    "STDPLearner",
    "WTAConfig",
    "WTAInhibition",
    "WTAMode",
    "convergence_index",
    "near_duplicates",
    "recover",
    "winners_per_map",
]
