"""Sections of the configuration as the plain numbers that the training step takes."""

from __future__ import annotations

from spikeseg.config.sections import HomeostasisConfig, STDPConfig, WTAConfig
from spikeseg.ops.types import MapHomeostasis, NeuronHomeostasis, Plasticity, PlasticityForm


def plasticity(config: STDPConfig) -> Plasticity:
    """The section `stdp` in numbers."""
    form = PlasticityForm.MULTIPLICATIVE if config.use_soft_bounds else PlasticityForm.ADDITIVE
    return Plasticity(form, config.lr_plus, config.lr_minus, config.weight_min, config.weight_max)


def map_rule(config: HomeostasisConfig) -> MapHomeostasis | None:
    """The section `homeostasis` in numbers; None where it is off."""
    if not config.enabled:
        return None
    return MapHomeostasis(rest=config.theta_rest, plus=config.theta_plus, tau=config.tau_theta, top=config.theta_max)


def competition_rule(config: WTAConfig) -> NeuronHomeostasis | None:
    """The homeostasis of the section `wta` in numbers; None where it is off."""
    if not config.enable_homeostasis:
        return None
    return NeuronHomeostasis(
        target_rate=config.target_rate, lr=config.homeostasis_lr, low=config.threshold_min, high=config.threshold_max
    )
