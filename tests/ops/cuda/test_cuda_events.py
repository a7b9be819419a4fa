"""Training on lists of spikes: both ways to a first spike, batches in one launch, blocks of lists that stay on the device."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from training_cases import MEMBRANES, assert_equal, learned, rule, spikes, state

from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.types import MapHomeostasis, NeuronHomeostasis, PlasticityForm

pytestmark = [pytest.mark.gpu] if torch.cuda.is_available() else []

rules = st.builds(
    lambda membrane, **changes: rule(mode=membrane[0], leak=membrane[1], **changes),
    st.sampled_from(MEMBRANES),
    base=st.sampled_from([0.0, 0.5, 2.0]),
    form=st.sampled_from([PlasticityForm.MULTIPLICATIVE, PlasticityForm.ADDITIVE]),
    wta=st.sampled_from(["global", "local", "both"]),
    radius=st.integers(0, 5),
    max_winners=st.sampled_from([None, None, 1, 3]),
    competition=st.sampled_from([None, None, NeuronHomeostasis(0.1, 0.5, 0.5, 1.25)]),
    maps=st.sampled_from([None, MapHomeostasis(0.1, 0.3, 7.0, 0.5)]),
    dead_recovery=st.booleans(),
    batch_size=st.sampled_from([1, 2, 3]),
    weight_min=st.sampled_from([0.0, -0.5]),
)


def lists_of(seed, samples, *shape, density=0.3):
    return SpikeLists.of(spikes(samples, shape, density, seed))


def learn_both(triton_ops, meaning, device, how, lists, order, maps=3, kernel=3, ties=False):
    """Learn twice the same; -> what the reference learned."""
    both = []
    for ops, where in ((triton_ops, device), (meaning, torch.device("cpu"))):
        start = state(lists.shape[1], maps, kernel, how, how.plasticity.weight_min < 0, ties)
        found = learned(ops, start.to(where), how, lists, order)
        both.append({name: value.cpu() if isinstance(value, torch.Tensor) else value for name, value in found.items()})
    assert_equal(*both)
    return both[1]


@settings(
    max_examples=6 if not torch.cuda.is_available() else 200, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(shape=st.tuples(st.integers(1, 4), st.integers(1, 2), st.integers(1, 6), st.integers(1, 9)), maps=st.integers(1, 4),
       kernel=st.sampled_from([1, 3, 5]), how=rules, ties=st.booleans(), density=st.sampled_from([0.05, 0.2, 1.0]),
       room=st.sampled_from([0, 2, 1000]), seed=st.integers(0, 9))  # fmt: skip
@example(shape=(2, 1, 6, 9), maps=2, kernel=3, how=rule(wta="local", radius=5, batch_size=2), ties=True, density=0.2, room=2,
         seed=0)  # fmt: skip
def test_all_that_is_learned_is_that_of_the_reference(
    triton_ops, meaning, device, shape, maps, kernel, how, ties, density, room, seed
):
    from spikeseg.ops.cuda import training

    lists = lists_of(seed, 3, *shape, density=density)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "list_room", lambda *_: room)
        learn_both(triton_ops, meaning, device, how, lists, np.array([2, 0, 1, 1]), maps, kernel, ties)


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
