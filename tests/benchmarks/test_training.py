"""The benchmark of training: that its sides learn the same, and what it reports; never how fast anything is."""

import copy

import numpy as np
import pytest
import torch

from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops import reference
from spikeseg.ops.types import LearningState, MapHomeostasis, Plasticity, PlasticityForm, TrainingRule


def rule(**changes):
    plain = TrainingRule(
        mode=LeakMode.SUBTRACTIVE, leak=819 / 4096, base=1.0,
        plasticity=Plasticity(PlasticityForm.MULTIPLICATIVE, 0.04, 0.03, 0.0, 1.0),
        wta="both", radius=1, max_winners=None, competition=None, maps=MapHomeostasis(1.0, 0.1, 20.0, 50.0),
        dead_recovery=False, dead_threshold=0.01, dead_warmup=10, batch_size=1,
    )  # fmt: skip
    return plain._replace(**changes)


def state(maps=5, channels=2, kernel=3):
    generator = torch.Generator().manual_seed(1)
    weight = (torch.randn(maps, channels, kernel, kernel, generator=generator) * 0.1 + 0.6).clamp(0, 1)
    counters = [torch.zeros(maps, dtype=torch.int64) for _ in range(3)]
    return LearningState(weight, torch.full((maps,), 2.0), torch.ones(maps), *counters)


def spikes(samples=12, shape=(6, 2, 9, 7), density=0.05):
    return SpikeLists.of(np.random.default_rng(0).random((samples, *shape)) < density)


@pytest.mark.parametrize("options", [{}, {"norse": True}, {"batched": False}, {"norse": True, "batched": False}])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mode": LeakMode.NONE, "leak": 0.0},
        {"plasticity": Plasticity(PlasticityForm.ADDITIVE, 0.04, 0.03, 0.0, 1.0)},
        {"radius": 0},
    ],
    ids=["leak", "none", "additive", "radius 0"],
)
def test_dense_torch_learns_what_the_reference_does(script, options, changes):
    ours, theirs, lists = state(), state(), spikes()
    reference.Training(ours, rule(**changes)).run(lists, np.arange(lists.samples))
    learner = script("peers").DenseLearner(theirs, rule(**changes), **options)
    winners = [len(learner.learn(sample)) for sample in torch.from_numpy(lists.dense()).float()]
    assert sum(winners) == int(ours.wins.sum())
    assert sum(winners) > len(winners)
    assert torch.equal(ours.weight, theirs.weight) and torch.equal(ours.threshold, theirs.threshold)
    assert not torch.equal(ours.weight, state().weight)


@pytest.mark.parametrize("changes", [{"wta": "local"}, {"mode": LeakMode.MULTIPLICATIVE}, {"batch_size": 2}, {"maps": None}])
def test_dense_torch_refuses_rules_that_it_does_not_know(script, changes):
    with pytest.raises(ValueError, match="demo's rule alone"):
        script("peers").DenseLearner(state(), rule(**changes))


def test_a_side_that_learns_something_else_stops_the_benchmark(script):
    training = script("training")
    lists = spikes(4, (4, 4, 12, 15))
    start = training.fresh(rule(), 4)
    sides = {name: training.Side(name, start, rule(), lists, 4) for name in ("cpu", "reference", "dense")}
    training.check_equal(sides, 4)
    other = copy.deepcopy(start)
    other.weight[3] -= 0.1
    sides["dense"] = training.Side("dense", other, rule(), lists, 4)
    with pytest.raises(SystemExit, match="dense: weight differs"):
        training.check_equal(sides, 4)


def test_a_side_starts_again_from_the_same_state(script):
    training = script("training")
    lists = spikes(4, (4, 4, 12, 15))
    side = training.Side("cpu", training.fresh(rule(), 4), rule(), lists, 4)
    side()
    first = copy.deepcopy(side.state)
    side()
    assert torch.equal(first.weight, side.state.weight) and torch.equal(first.wins, side.state.wins)


def test_streaks_come_at_the_density_asked_for_and_move_on(script):
    for density in (0.005, 0.01, 0.05):
        dense = script("workloads").streaks(density, 10, (6, 4, 45, 60)).dense()
        assert dense.mean() == pytest.approx(density, rel=0.15)
        near = (dense[..., 1:] & dense[..., :-1]).mean()
        assert near > 5 * density**2  # noise alone: its square
    assert (dense[:, 1:] != dense[:, :-1]).any()


def test_a_quick_run_reports_every_side_of_every_input(quick):
    printed, found = quick("training", "--markdown")
    assert found["benchmark"] == "training" and found["machine"]["cores"] >= 1
    assert [one["workload"] for one in found["training"]] == [
        *("noise, 0.1 %", "streaks, 0.1 %", "noise, 0.1 %, threshold 2"),
        *("noise, 1 %", "streaks, 1 %", "noise, 5 %", "streaks, 5 %", "the demo's"),
    ]
    batched = {"dense", "dense, Norse cells", "dense, 2 threads"}
    sides = {"cpu", "reference", "dense, early stop"} | batched
    for one in found["training"]:
        assert set(one["samples_per_s"]) - {"cuda"} == sides
        assert all(len(seconds) == 1 for seconds in one["seconds_per_sample"].values())
        assert all(0 < rate["min"] <= rate["median"] <= rate["max"] for rate in one["samples_per_s"].values())
        assert one["equal"] and one["samples_compared"] > 0
        assert one["peer"]["1 thread"] in ("dense", "dense, Norse cells")
    assert max(one["winners_per_sample"] for one in found["training"]) > 0
    assert found["peak_bytes"]["0.1 %"]["cpu"] >= 0 and found["start_bytes"] > 2**20
    assert found["cuda"] in ("measured", "not measured")
    assert sum(line.startswith("| input |") for line in printed.splitlines()) == 3
    assert ("not measured" in printed) == (found["cuda"] == "not measured")
