"""Training on lists of spikes: both ways to a first spike, batches in one launch, blocks of lists that stay on the device."""

import numpy as np
import pytest
import torch
from training_cases import learn_both, lists_of, rule, spikes, state

from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.types import NeuronHomeostasis, PlasticityForm

pytestmark = [pytest.mark.gpu] if torch.cuda.is_available() else []


@pytest.mark.parametrize("room", [0, 3, 100])
def test_lists_and_products_find_the_same_first_spikes(triton_ops, meaning, device, monkeypatch, room):
    from spikeseg.ops.cuda import training

    monkeypatch.setattr(training, "list_room", lambda *_: room)  # every tile a product; some; none
    lists = lists_of(1, 2, 3, 2, 5, 9, density=0.15)
    learn_both(triton_ops, meaning, device, rule(wta="both"), lists, np.array([0, 1]), maps=17)


@pytest.mark.parametrize("maps", [1, 16, 17])
def test_a_winner_of_each_map_where_all_fire_at_once(triton_ops, meaning, device, maps):
    how = rule(base=0.0, wta="both", radius=0, maps=None)
    found = learn_both(triton_ops, meaning, device, how, lists_of(0, 1, 1, 1, 9, 5), np.array([0]), maps, kernel=1)
    assert (found["wins"] == 1).all()


def test_samples_of_a_batch_share_a_launch(triton_ops, device):
    from spikeseg.ops.cuda.training import _Scratch

    def shares(**changes):
        how = rule(**changes)
        scratch = _Scratch(triton_ops.Training(state(1, 2, 3, how).to(device), how), (2, 1, 4, 5))
        return scratch.together, scratch.slots

    assert shares() == (1, 32)
    assert shares(batch_size=7) == (7, 28)
    assert shares(batch_size=64) == (32, 32)
    assert shares(batch_size=37) == (1, 32)
    assert shares(batch_size=7, competition=NeuronHomeostasis(0.1, 0.05, 0.5, 1.5)) == (1, 32)  # changes after every sample
    assert shares(batch_size=7, form=PlasticityForm.CUSTOM, update=lambda weights, early: weights) == (1, 32)


def test_blocks_of_lists_that_take_turns_are_sent_once(triton_ops, device, monkeypatch):
    from spikeseg.ops.cuda import training

    sent, send = [], training._Lists.__init__
    monkeypatch.setattr(training._Lists, "__init__", lambda self, lists, *rest: sent.append(lists) or send(self, lists, *rest))
    learner = triton_ops.Training(state(1, 2, 3, rule()).to(device), rule())
    several = [lists_of(seed, 1, 1, 1, height, 3) for seed, height in enumerate((2, 3, 2))]
    for _ in range(2):
        for lists in several:
            learner.run(lists, np.array([0]))
    assert len(sent) == 3
    monkeypatch.setattr(training, "KEPT_LISTS", 2)
    for lists in (several[0], several[1], several[0], several[2], several[0]):
        learner.run(lists, np.array([0]))
    assert [found is several[2] for found in sent[3:]] == [False, True]  # the oldest made room: 1, then 2 for it
    monkeypatch.setattr(training, "KEPT_BYTES", 1)
    learner.run(several[2], np.array([0]))
    assert len(learner._lists) == 1


def test_lists_too_wide_for_an_entry_are_not_made(triton_ops):
    from spikeseg.ops.cuda.training import list_room

    assert list_room(4, 5) == 32
    assert list_room(1, 1) == 8  # at least
    assert list_room(2000, 99) == 0


def test_winners_far_apart_in_step_and_potential_are_ranked(triton_ops, meaning, device):
    first = torch.tensor([[[300, 2], [2, 400]]])
    potential = torch.tensor([[[9000.0, -70000.25], [-70000.0, 5.0]]])
    how = {"mode": "local", "radius": 0}
    got = triton_ops.select_winners(first.to(device), potential.to(device), 401, **how)
    assert torch.equal(got.cpu(), meaning.select_winners(first, potential, 401, **how))
    assert got[0].tolist() == [2, 0, 1, 0]


def test_a_batch_is_cut_short_after_a_sample_of_no_spike(triton_ops, meaning, device):
    how = rule(batch_size=4, dead_recovery=True, dead_threshold=0.9, dead_warmup=2)
    dense = spikes(6, (2, 1, 4, 5), 0.3)
    dense[1] = 0
    found = learn_both(triton_ops, meaning, device, how, SpikeLists.of(dense), np.arange(6))
    assert found["stops"][0] == 2 and len(found["stops"]) > 1
