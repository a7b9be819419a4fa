"""Learning rules: how a winner's weights change, chosen by `stdp.rule`.

A rule of another package is an object of the form of `LearningRule`, under an entry point of the group ``spikeseg.rules``. It
gives a `Plasticity` of the form CUSTOM, whose `update` is a function from weights to weights; every backend calls it.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from spikeseg.config.sections import STDPConfig
from spikeseg.ops.types import Plasticity, PlasticityForm
from spikeseg.registries import RULES


class LearningRule(Protocol):
    """A learning rule, as registered in `spikeseg.registries.RULES`."""

    def plasticity(self, config: STDPConfig) -> Plasticity:
        """The rule as the training step takes it.

        Args:
            config: rates and bounds.
        """


class BuiltInRule(NamedTuple):
    """STDP that is compiled into every backend [Kheradpisheh 2018, eq. 3].

    A synapse whose input fired at or before the winner changes by a = lr_plus, every other one by a = -lr_minus; the result is
    clamped to weight_min..weight_max.
    """

    form: PlasticityForm

    def plasticity(self, config: STDPConfig) -> Plasticity:
        """See `LearningRule`."""
        return Plasticity(self.form, config.lr_plus, config.lr_minus, config.weight_min, config.weight_max)


MULTIPLICATIVE = BuiltInRule(PlasticityForm.MULTIPLICATIVE)
"""Soft bounds: w += a * w(1-w)."""
ADDITIVE = BuiltInRule(PlasticityForm.ADDITIVE)
"""Hard bounds: w += a."""


def grown(plasticity: Plasticity, doublings: int, lr_plus_max: float) -> Plasticity:
    """The rule with rates that have doubled so often, until lr_plus is at its most; their ratio stays. lr_plus is above 0."""
    rate = min(lr_plus_max, plasticity.lr_plus * 2.0 ** min(doublings, 1000))
    return plasticity._replace(lr_plus=rate, lr_minus=rate * plasticity.lr_minus / plasticity.lr_plus)


def plasticity(config: STDPConfig) -> Plasticity:
    """The rule of the section `stdp`, its `variant`.

    Raises:
        InputError: no rule of this name, or one that cannot be loaded.
    """
    rule: LearningRule = RULES[config.variant]
    return rule.plasticity(config)
