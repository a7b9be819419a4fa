"""The CPU's kernels run several steps of a row at once, in uint16 where all fits: how far ahead changes nothing."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("numba", reason="the cpu backend needs numba")
pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import assert_equal, learned, rule, spikes, state

from spikeseg.core.neurons import LeakMode
from spikeseg.core.sparse import SpikeLists
from spikeseg.ops import cpu, reference
from spikeseg.ops.cpu.training_kernels import CALM, WAIT
from spikeseg.ops.types import (
    WTA_MODES,
    MapHomeostasis,
    NeuronHomeostasis,
)


class Ahead(cpu.Training):
    """Runs several steps of a row at once, whatever the sample before was like."""

    calm, wait = True, 0

    def run(self, lists, order):
        self.fitted = []
        for sample in order:
            self._progress[CALM], self._progress[WAIT] = self.calm, self.wait
            assert super().run(lists, np.array([sample])) == 1
            self.fitted.append(int(self._progress[WAIT]) == 0)
        return len(order)


class StepByStep(Ahead):
    calm = False


class InInt32(Ahead):
    wait = 2


def learned_and_fitted(training, s, how, dense):
    """What is learned, as `learned` tells; and of which samples all fitted into uint16."""
    trainings = []

    def make(*args):
        trainings.append(training(*args))
        return trainings[0]

    state_after = learned(SimpleNamespace(Training=make), s, how, SpikeLists.of(dense), np.arange(len(dense)))
    return state_after, getattr(trainings[0], "fitted", None)


def assert_every_way_equals_reference(start, how, dense):
    """-> which samples fitted when they were run ahead, and what was learned."""
    expected, _ = learned_and_fitted(reference.Training, start(), how, dense)
    for way in (InInt32, StepByStep, Ahead):
        learned_so, fitted = learned_and_fitted(way, start(), how, dense)
        assert_equal(expected, learned_so)
    return fitted, expected


@settings(max_examples=150, deadline=None, derandomize=True)
@given(shape=st.tuples(st.sampled_from([3, 9, 10, 11, 20, 25]), st.integers(1, 3), st.integers(1, 6), st.integers(1, 12)),
       maps=st.integers(1, 5), kernel=st.sampled_from([1, 3, 5]),
       membrane=st.sampled_from([(LeakMode.NONE, 0.0), (LeakMode.SUBTRACTIVE, 0.25), (LeakMode.SUBTRACTIVE, 1 / 64)]),
       base=st.sampled_from([0.25, 0.75, 1.5, 3.0, 7.0]), wta=st.sampled_from(WTA_MODES), radius=st.integers(0, 2),
       max_winners=st.sampled_from([None, None, 1, 2, 4]),
       competition=st.sampled_from([None, None, NeuronHomeostasis(0.1, 0.05, 1.0, 9.0), NeuronHomeostasis(0.5, 1.0, 1.0, 1.25)]),
       homeostasis=st.sampled_from([None, MapHomeostasis(0.5, 0.25, 50.0, 20.0)]), ties=st.booleans(),
       density=st.sampled_from([0.01, 0.03, 0.1, 0.3]), seed=st.integers(0, 9))  # fmt: skip
def test_how_far_rows_are_run_ahead_changes_nothing(
    shape, maps, kernel, membrane, base, wta, radius, max_winners, competition, homeostasis, ties, density, seed
):
    how = rule(mode=membrane[0], leak=membrane[1], base=base, wta=wta, radius=radius, max_winners=max_winners,
               competition=competition, maps=homeostasis)  # fmt: skip
    assert_every_way_equals_reference(lambda: state(shape[1], maps, kernel, how, ties=ties), how, spikes(5, shape, density, seed))


@pytest.mark.parametrize("competition", [None, NeuronHomeostasis(0.1, 0.05, 1.0, 9.0)])
@pytest.mark.parametrize("max_winners", [None, 3])
@pytest.mark.parametrize("wta", WTA_MODES)
def test_winners_in_many_steps_of_rows_run_ahead(wta, max_winners, competition):
    how = rule(leak=1 / 16, base=2.5, wta=wta, radius=2, max_winners=max_winners, competition=competition,
               maps=None, lr_plus=0.01, lr_minus=0.01)  # fmt: skip
    fitted, learned_so = assert_every_way_equals_reference(
        lambda: state(2, 6, 3, how, ties=True), how, spikes(12, (25, 2, 12, 20), 0.03)
    )
    assert all(fitted) and learned_so["wins"].sum() >= 3 * len(fitted)


@pytest.mark.parametrize(("units", "fits"), [(65534, True), (65535, False), (65536, False), (70000, False)])
def test_the_highest_potential_wins_within_the_cap_and_beyond(units, fits):
    how = rule(mode=LeakMode.NONE, leak=0.0, base=2.0, maps=None, weight_max=2.0, max_winners=1, radius=0)

    def start():
        s = state(16, 3, 1, how)
        for m, sum_of_weights in enumerate((units - 1, units, units - 1)):
            s.weight[m] = sum_of_weights // 16 / 4096
            s.weight[m, 0] += sum_of_weights % 16 / 4096
        return s

    dense = np.zeros((1, 2, 16, 1, 3), np.bool_)
    dense[0, 1, :, :, 1:] = True
    fitted, learned_so = assert_every_way_equals_reference(start, how, dense)
    assert fitted == [fits] and learned_so["wins"].tolist() == [0, 1, 0]


@pytest.mark.parametrize("leak", [0.0, 1 / 4096, 0.25])
@pytest.mark.parametrize("base", [65533 / 4096, 65534 / 4096, 65535 / 4096, 16.0, 17.0, 300000.0])
def test_thresholds_about_the_cap(base, leak):
    how = rule(leak=leak, base=base, maps=None, max_winners=2)
    dense = spikes(4, (12, 16, 2, 5), 0.9)
    _, learned_so = assert_every_way_equals_reference(lambda: state(16, 3, 3, how, ties=True), how, dense)
    assert (learned_so["wins"].sum() > 0) == (base < 20)


def test_neurons_that_fire_in_every_step_leave_no_room():
    how = rule(leak=0.0, base=0.5, maps=None, weight_max=1.0, max_winners=1)
    fitted, _ = assert_every_way_equals_reference(lambda: state(1, 2, 1, how, ties=True), how, np.ones((2, 12, 1, 2, 3)))
    assert not any(fitted)
