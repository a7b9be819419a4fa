"""The training step and traces in Triton against the reference, on what hypothesis comes up with."""

import numpy as np
import pytest
import torch
from tracing_cases import check as check_traces
from training_cases import MEMBRANES, learn_both, lists_of, rule

from spikeseg.ops.types import MapHomeostasis, NeuronHomeostasis, PlasticityForm

pytest.importorskip("hypothesis", reason="a bare GPU machine has none")
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

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


@settings(
    max_examples=5 if not torch.cuda.is_available() else 200, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(size=st.tuples(st.integers(1, 6), st.integers(1, 5)), steps=st.integers(1, 4), samples=st.integers(1, 2),
       maps=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2)),
       kernels=st.tuples(st.sampled_from([1, 3]), st.sampled_from([1, 3, 5])),
       pool=st.sampled_from([None, (2, 2), (3, 2), (3, 1), (1, 2)]), density=st.sampled_from([0.1, 0.3]),
       decay=st.sampled_from([0.0, 0.3, 0.9, 1.0, 1e-200]), delay=st.sampled_from([True, True, False]),
       seed=st.integers(0, 9))  # fmt: skip
@example(size=(5, 3), steps=3, samples=1, maps=(3, 1, 1), kernels=(3, 1), pool=(3, 1), density=0.3, decay=0.0, delay=True, seed=0)
def test_traces_are_those_of_the_reference(
    triton_ops, meaning, device, size, steps, samples, maps, kernels, pool, density, decay, delay, seed
):
    check_traces(
        triton_ops, meaning, device, (kernels, maps, (pool, None)), samples, steps, size, density, (delay, decay), seed
    )  # fmt: skip
