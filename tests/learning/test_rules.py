"""The built-in learning rules, by name; one of another package is in tests/recipes."""

import pytest

from spikeseg.config.sections import STDPConfig
from spikeseg.errors import InputError
from spikeseg.learning.rules import ADDITIVE, MULTIPLICATIVE, plasticity
from spikeseg.ops.types import Plasticity, PlasticityForm

pytestmark = pytest.mark.filterwarnings("ignore:wta.threshold_min")


def test_the_rule_is_the_named_one_or_what_soft_bounds_mean():
    soft, hard = STDPConfig(lr_plus=0.5, lr_minus=0.25, weight_max=2.0), STDPConfig(use_soft_bounds=False)
    assert plasticity(soft) == Plasticity(PlasticityForm.MULTIPLICATIVE, 0.5, 0.25, 0.0, 2.0) == MULTIPLICATIVE.plasticity(soft)
    assert plasticity(hard) == ADDITIVE.plasticity(hard) and plasticity(hard).form is PlasticityForm.ADDITIVE
    assert plasticity(STDPConfig(rule="additive")).form is PlasticityForm.ADDITIVE
    assert plasticity(STDPConfig(rule="multiplicative", use_soft_bounds=False)).form is PlasticityForm.MULTIPLICATIVE


def test_an_unknown_rule_is_refused_with_the_names_there_are():
    with pytest.raises(InputError, match="learning rule 'mine': unknown, must be one of multiplicative, additive"):
        plasticity(STDPConfig(rule="mine"))
