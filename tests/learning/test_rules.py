"""Learning rules: the built-in ones, and one of another package that registers by an entry point."""

import sys

import pytest
import torch

from spikeseg.config import load_config, section_dict
from spikeseg.config.sections import STDPConfig
from spikeseg.errors import InputError
from spikeseg.learning.rules import ADDITIVE, MULTIPLICATIVE, plasticity
from spikeseg.ops.types import Plasticity, PlasticityForm
from spikeseg.registries import RULES

pytestmark = pytest.mark.filterwarnings("ignore:wta.threshold_min")

PACKAGE = """
import torch
from spikeseg.ops.types import Plasticity, PlasticityForm

class LogLikelihood:  # Nessler et al. 2013
    def plasticity(self, config):
        def update(weights, early):
            return weights + config.lr_plus * torch.where(early, torch.exp(-weights) - 0.5, -1.0)
        return Plasticity(PlasticityForm.CUSTOM, config.lr_plus, config.lr_minus, config.weight_min, config.weight_max, update)

RULE = LogLikelihood()
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with a rule 'mine', and one that is broken."""
    (tmp_path / "other_package.py").write_text(PACKAGE)
    installed = tmp_path / "other_package-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: other-package\nVersion: 1.0\n")
    lines = "[spikeseg.rules]\nmine = other_package:RULE\nbroken = no_such_module:RULE\nadditive = other_package:RULE\n"
    (installed / "entry_points.txt").write_text(lines)
    monkeypatch.syspath_prepend(tmp_path)
    RULES.__dict__.pop("_entry_points", None)
    yield
    RULES.__dict__.pop("_entry_points", None)
    sys.modules.pop("other_package", None)


def test_the_rule_is_the_named_one_or_what_soft_bounds_mean():
    soft, hard = STDPConfig(lr_plus=0.5, lr_minus=0.25, weight_max=2.0), STDPConfig(use_soft_bounds=False)
    assert plasticity(soft) == Plasticity(PlasticityForm.MULTIPLICATIVE, 0.5, 0.25, 0.0, 2.0) == MULTIPLICATIVE.plasticity(soft)
    assert plasticity(hard) == ADDITIVE.plasticity(hard) and plasticity(hard).form is PlasticityForm.ADDITIVE
    assert plasticity(STDPConfig(rule="additive")).form is PlasticityForm.ADDITIVE
    assert plasticity(STDPConfig(rule="multiplicative", use_soft_bounds=False)).form is PlasticityForm.MULTIPLICATIVE


def test_an_unknown_rule_is_refused_with_the_names_there_are():
    with pytest.raises(InputError, match="learning rule 'mine': unknown, must be one of multiplicative, additive"):
        plasticity(STDPConfig(rule="mine"))


@pytest.mark.usefixtures("package")
def test_a_rule_of_another_package_is_found_by_its_name():
    config = load_config(None, {"stdp.rule": "mine"})
    rule = plasticity(config.stdp)
    assert rule.form is PlasticityForm.CUSTOM and section_dict(config.stdp)["rule"] == "mine"
    assert torch.equal(rule.update(torch.zeros(2), torch.tensor([True, False])), torch.tensor([0.02, -0.04]))
    with pytest.raises(InputError, match=r"stdp.rule: found 'yours', must be one of multiplicative, additive, broken, mine"):
        load_config(None, {"stdp.rule": "yours"})


@pytest.mark.usefixtures("package")
def test_a_built_in_name_cannot_be_taken_and_a_broken_rule_is_named():
    assert plasticity(STDPConfig(rule="additive")).form is PlasticityForm.ADDITIVE
    with pytest.raises(InputError, match=r"learning rule 'broken': entry point no_such_module:RULE of spikeseg.rules"):
        plasticity(STDPConfig(rule="broken"))


@pytest.mark.usefixtures("package")
def test_training_with_a_rule_of_another_package_gives_the_same_weights_on_every_backend(world):
    runs = {name: world.run({"stdp.rule": "mine", "backend": name}) for name in ("reference", "cpu")}
    usual = world.run({"backend": "cpu"})
    assert [run.error for run in runs.values()] == [None, None]
    assert torch.equal(runs["reference"].weight, runs["cpu"].weight)
    assert not torch.equal(runs["cpu"].weight, usual.weight)
    assert runs["cpu"].manifest("conv2")["config"]["stdp"]["rule"] == "mine"
    assert (
        "rule" not in usual.manifest("conv2")["config"]["stdp"]
        and runs["cpu"].manifest("conv2")["key"] != usual.manifest("conv2")["key"]
    )
