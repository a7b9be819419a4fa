"""Spikes traced back in Triton: gathered by each spike below from those above; against the reference, bit for bit."""

import numpy as np
import pytest
import torch
from tracing_cases import assert_same, chain, check, drawn

from spikeseg.core.grid import SCALE
from spikeseg.core.sparse import SparseFrames

pytestmark = [pytest.mark.gpu] if torch.cuda.is_available() else []


@pytest.mark.parametrize("how", [(True, 0.9), (False, 0.9)])
def test_traces_are_the_same_through_pools_of_all_kinds(triton_ops, meaning, device, how):
    found = check(triton_ops, meaning, device, ((3, 1, 3), (2, 2, 2, 2), ((2, 2), (3, 2), None)), 2, 3, (5, 7), 0.2, how)
    assert sum(len(one.index) for one in found) > 5


def test_saturation_over_several_programs(triton_ops, meaning, device, monkeypatch):
    monkeypatch.setattr(triton_ops.tracing, "WARP", 32)
    (found,) = check(triton_ops, meaning, device, ((3, 1), (3, 2, 1), ((3, 1), None)), 1, 2, (3, 3), 1.0, (True, 1.0))
    assert len(found.index) > 0.8 * found.dense().size


def test_silence(triton_ops, meaning, device):
    net = ((1, 3), (2, 1, 2), ((2, 2), None))
    check(triton_ops, meaning, device, net, 2, 3, (3, 4), 0.0, (True, 0.9))
    found = check(triton_ops, meaning, device, net, 0, 3, (3, 4), 0.5, (True, 0.9))
    assert found == []
    frames, spikes = drawn(0, 1, 2, (3, 4), chain(*net), 0.5)  # the last layer alone is silent
    spikes[-1] = drawn(0, 1, 2, (3, 4), chain(*net), 0.0)[1][-1]
    (found,) = triton_ops.trace(frames, chain(*net, device), spikes, delay_connections=True, decay=1.0)
    assert not len(found.index) and found.shape == (2, 3, 4)


def test_maps_of_the_last_layer_apart(triton_ops, meaning, device):
    net, sets, how = ((1, 3), (2, 1, 2), ((2, 2), None)), [[0], [1], None], {"delay_connections": True, "decay": 0.9}
    frames, spikes = drawn(0, 1, 2, (3, 4), chain(*net), 0.5)
    found = triton_ops.trace_sets(frames, chain(*net, device), spikes, sets, **how)
    wanted = meaning.trace_sets(frames, chain(*net), spikes, sets, **how)
    for own, alone in zip(found, wanted, strict=True):
        assert_same(own, alone)
    first, second, whole = (own.dense().sum() for (own,) in wanted)
    assert 0 < first < whole and 0 < second < whole


def test_many_steps_and_every_sample_by_itself(triton_ops, meaning, device, monkeypatch):
    from spikeseg.ops.cuda import tracing

    net = ((1,), (1, 1), (None,))
    check(triton_ops, meaning, device, net, 1, 34, (1, 2), 0.2, (True, 0.9))  # more than a word has bits
    frames, spikes = drawn(3, 3, 2, (3, 3), chain(*net), 0.4)
    frames[1] = 0
    wanted = meaning.trace(frames, chain(*net), spikes, delay_connections=True, decay=0.5)
    groups, traced = [], tracing._traced
    monkeypatch.setattr(tracing, "ROOM", 1)
    monkeypatch.setattr(tracing, "_traced", lambda parts, *rest: groups.append(parts[0].lists.samples) or traced(parts, *rest))
    found = triton_ops.trace(SparseFrames.of(frames), chain(*net, device), spikes, delay_connections=True, decay=0.5)
    assert_same(found, wanted)
    assert groups == [1, 1, 1] and len(wanted[0].index) and not len(wanted[1].index)


@pytest.mark.parametrize("heavy", [False, True])
def test_what_63_bits_may_not_hold_is_left_to_the_reference(triton_ops, meaning, device, monkeypatch, heavy):
    net = ((1, 1, 1), (2, 1, 1, 1), (None, None, None))
    frames, spikes = drawn(1, 1, 2, (3, 3), chain(*net), 0.8)
    layers = [
        layer._replace(weight=torch.full_like(layer.weight, 4096.0 if heavy else 128.0))  # of 12 bits: sums stay exact
        for layer in chain(*net)
    ]
    there = [layer._replace(weight=layer.weight.to(device)) for layer in layers]
    wanted, again, trace = meaning.trace(frames, layers, spikes, delay_connections=True, decay=0.5), [], meaning.trace
    monkeypatch.setattr(meaning, "trace", lambda *given, **how: again.append(1) or trace(*given, **how))
    assert_same(triton_ops.trace(frames, there, spikes, delay_connections=True, decay=0.5), wanted)
    assert wanted[0].value.max() > 128**3 and len(again) == heavy


def test_sums_are_weakened_last_and_added_up_from_the_first_step_on(triton_ops, device, monkeypatch):
    """Saliency rounds to float32, which hides most errors of float64."""
    from spikeseg.ops.cuda import tracing

    net, seen, over = ((3, 1), (2, 2, 2), ((2, 2), None)), [], tracing._over_polarities
    frames, spikes = drawn(5, 1, steps := 6, (3, 4), chain(*net), 0.3)
    monkeypatch.setattr(tracing, "_over_polarities", lambda totals, *rest: seen.append(totals.cpu()) or over(totals, *rest))
    triton_ops.trace(frames, chain(*net, device), spikes, delay_connections=True, decay=0.9)
    reach, layers = tracing.reach_of(steps, 0.9, delay_connections=True), chain(*net)
    arrived = np.zeros((steps, *frames.shape[1:]))
    for t in range(steps):
        given = torch.zeros(steps, 1, *spikes[-1].lists.shape[1:], dtype=torch.float64)
        given[t, 0] = torch.from_numpy(spikes[-1].lists.dense()[0, t]).double()
        arrived[t] = tracing.reference.tracing.arrived(frames, layers, spikes, given, 1.0)[:, 0].numpy()
    assert (arrived * SCALE**2 % 1 == 0).all()
    totals = []
    for order in (range(steps), range(steps - 1, -1, -1)):
        totals.append(np.zeros(frames.shape[1:]))
        for t in order:
            totals[-1][: t + 1] += reach[t::-1].reshape(-1, 1, 1, 1) * arrived[t][: t + 1]
    assert np.array_equal(seen[0][:, 0].numpy(), totals[0][frames[0] > 0])
    assert not np.array_equal(*totals), "another order gives other bits"
