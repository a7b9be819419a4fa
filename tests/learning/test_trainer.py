import copy
import dataclasses

import numpy as np
import pytest
import torch

from spikeseg.config.sections import Config, ConvergenceConfig, DataConfig, HomeostasisConfig, ModelConfig, STDPConfig, WTAConfig
from spikeseg.core.sparse import SpikeLists
from spikeseg.learning import LayerTrainer, STDPLearner, WTAInhibition, WTAMode, convergence_index
from spikeseg.models import SpikeSEG
from spikeseg.ops import cpu
from spikeseg.ops.reference.layers import at_first_spike, first_spike_steps

HOMEOSTASIS = HomeostasisConfig(theta_rest=1.0, theta_plus=0.1, tau_theta=200.0, theta_max=50.0)


def network(homeostasis=HOMEOSTASIS):
    config = ModelConfig(conv2_channels=8, n_classes=2, thresholds=(0.2, 1.0, 0.5), leaks=(0.18, 0.1, 0.0))
    return SpikeSEG.from_config(config, seed=3, homeostasis=homeostasis)


def trainer(model, layer="conv2", **changes):
    settings = {
        "stdp": STDPConfig(),
        "wta": WTAConfig(enable_homeostasis=False),
        "homeostasis": HOMEOSTASIS,
        "convergence": ConvergenceConfig(check_interval=20),
        "seed": 5,
    }
    return LayerTrainer(model, layer, Config(**{**settings, **changes}))


def moving_bars(n, seed=0):
    """Pooled spikes of bars in one of four directions: (T, 4, 12, 12) each."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for _ in range(n):
        kind, shift = torch.randint(0, 4, (2,), generator=generator).tolist()
        spikes = torch.zeros(6, 4, 12, 12)
        for t in range(6):
            for i in range(5):
                y, x = ((3 + shift, i + 3), (i + 3, 3 + shift), (i + 3, i + 3), (8 - i, i + 3))[kind]
                spikes[t, kind, y, x] = 1
        samples.append(spikes)
    return samples


def test_learns_different_patterns_and_converges():
    model = network()
    t = trainer(model)
    before = convergence_index(model.encoder.conv2.weight)
    for spikes in moving_bars(400):
        t.step(spikes)
    report = t.report()
    assert report["convergence_index"] < 0.05 < 0.15 < before
    assert report["samples"] == 400 and report["wins"] == sum(report["wins_per_map"]) > 400
    # the channel that drives each map: the patterns are shared out
    assert len(set(model.encoder.conv2.weight.sum((2, 3)).argmax(1).tolist())) >= 3
    assert torch.equal(t.layer.threshold, 1.0 + t.state.theta)


def test_a_report_by_hand():
    """Eight maps for one or two of four channels, the fifth like the first."""
    t = trainer(network(), homeostasis=dataclasses.replace(HOMEOSTASIS, dead_threshold=0.1))
    t.layer.weight.zero_()
    for k, channels in enumerate(((0,), (1,), (2,), (3,), (0,), (1, 2), (2, 3), (3, 0))):
        t.layer.weight[k, list(channels)] = 0.5 if k == 4 else 1.0  # of 32 channels of maps 10 at 1, one at 0.5
    t.layer.threshold.copy_(torch.arange(1.0, 9.0))
    t.state.wins.copy_(torch.tensor([4, 3, 9, 0, 5, 4, 40, 3]))
    t.samples, t.recovered = 40, 2
    assert t.report() == {
        "samples": 40, "wins": 68, "wins_per_map": [4, 3, 9, 0, 5, 4, 40, 3], "convergence_index": 0.25 / 32,
        "weight_mean": 10.5 / 32, "weight_std": pytest.approx((10.25 / 32 - (10.5 / 32) ** 2) ** 0.5),
        "weight_low_share": 21 / 32, "weight_high_share": 10 / 32,
        "threshold_min": 1.0, "threshold_mean": 4.5, "threshold_max": 8.0,
        "maps": 8, "dead_maps": 3, "dead_share": 3 / 8, "near_duplicate_maps": 1, "near_duplicate_share": 1 / 8,
        "recovered_maps": 2,
    }  # fmt: skip


def test_resuming_is_bitwise():
    samples = moving_bars(60)
    straight = trainer(network())
    for s in samples:
        straight.step(s)
    first_model = network()
    first = trainer(first_model)
    for s in samples[:25]:
        first.step(s)
    state, tensors = copy.deepcopy(first.state_dict()), copy.deepcopy(first_model.encoder.state_dict())
    second_model = network()
    second_model.encoder.load_state_dict(tensors)
    second = trainer(second_model)
    second.load_state_dict(state)
    for s in samples[25:]:
        second.step(s)
    assert torch.equal(second.layer.weight, straight.layer.weight)
    assert torch.equal(second.layer.threshold, straight.layer.threshold)
    assert second.report() == straight.report()


def test_resuming_keeps_the_noise_of_dead_maps_and_the_neurons_own_thresholds():
    changes = {
        "wta": WTAConfig(enable_homeostasis=True, threshold_min=1.0, threshold_max=9.0, homeostasis_lr=0.1),
        "homeostasis": HomeostasisConfig(theta_rest=1.0, dead_warmup=5, dead_threshold=0.9),
    }
    samples = moving_bars(30)
    straight = trainer(network(), **changes)
    for s in samples:
        straight.step(s)
    assert straight.recovered > 0
    model = network()
    half = trainer(model, **changes)
    for s in samples[:15]:
        half.step(s)
    state = half.state_dict()
    again = trainer(model, **changes)
    again.load_state_dict(state)
    for s in samples[15:]:
        again.step(s)
    assert torch.equal(again.layer.weight, straight.layer.weight)
    assert torch.equal(again.state.competition, straight.state.competition)


def test_samples_of_a_batch_see_the_same_weights():
    a, b = moving_bars(2)
    model = network()
    t = trainer(model, data=DataConfig(batch_size=2))
    untouched = model.encoder.conv2.weight.clone()
    t.learn(SpikeLists.of(torch.stack((a, b)).numpy()), np.arange(2))
    together = model.encoder.conv2.weight.clone()
    model.encoder.conv2.weight.copy_(untouched)
    u = trainer(network())
    u.step(a)
    u.step(b)
    assert t.samples == u.samples == 2
    assert not torch.equal(together, untouched)
    assert (t.state.wins > 0).any()


def test_only_the_layer_in_training_changes():
    model = network()
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    t = trainer(model)
    for s in moving_bars(5):
        t.step(s)
    changed = {name for name, value in model.encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"conv2.weight", "conv2.threshold"}


def test_silence_teaches_nothing():
    model = network()
    t = trainer(model)
    before = model.encoder.conv2.weight.clone()
    assert t.step(torch.zeros(6, 4, 12, 12)) == 0
    assert torch.equal(model.encoder.conv2.weight, before) and t.samples == 1


@pytest.mark.parametrize("mode", list(WTAMode))
def test_global_competition_gives_each_map_one_winner(mode):
    t = trainer(network(), wta=WTAConfig(mode=mode, enable_homeostasis=False))
    wins = t.step(moving_bars(1)[0])
    assert wins > 0
    if mode is not WTAMode.LOCAL:
        assert int(t.state.wins.max()) == 1


def test_per_neuron_thresholds_refuse_a_second_frame_size():
    t = trainer(network(), wta=WTAConfig(enable_homeostasis=True))
    t.step(torch.zeros(6, 4, 12, 12))
    with pytest.raises(ValueError, match="enable_homeostasis"):
        t.step(torch.zeros(6, 4, 12, 14))


def by_hand(model, samples, config):
    """What the trainer does to conv2, written with the public modules: whole samples, first spikes."""
    layer, device = model.encoder.conv2, model.encoder.conv2.weight.device
    learner, wta = STDPLearner(STDPConfig()), None
    for spikes in samples:
        sample = spikes.to(device)
        run = layer(sample[:, None])
        first = first_spike_steps(run.spikes)
        if wta is None:
            wta = WTAInhibition(config, len(layer.weight), first.shape[2:]).to(device)
        winners = wta.compete(first[0], at_first_spike(run.potentials, first)[0], len(sample))
        before = first_spike_steps(sample)
        learner.update(layer.weight, torch.where(before < len(sample), before.float(), torch.inf), winners)
    return layer.weight, wta


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("mode", list(WTAMode))
@pytest.mark.parametrize("per_neuron", [False, True])
def test_a_loop_of_the_public_modules_learns_what_the_trainer_learns(backend, mode, per_neuron):
    wta = WTAConfig(mode=mode, enable_homeostasis=per_neuron, threshold_min=1.5, threshold_max=9.0, homeostasis_lr=0.5)
    samples = moving_bars(15)
    off = HomeostasisConfig(enabled=False, dead_neuron_recovery=False)
    weight, inhibition = by_hand(network(off), samples, wta)
    t = trainer(network(off), wta=wta, homeostasis=off, backend=backend)
    for s in samples:
        t.step(s)
    assert not torch.equal(weight, network(off).encoder.conv2.weight)
    assert torch.equal(weight, t.layer.weight)
    if per_neuron:
        assert torch.equal(inhibition.thresholds, t.state.competition)


@pytest.mark.parametrize("operation", ["stdp_update", "select_winners"])
def test_the_public_modules_call_the_backend_of_their_tensors(operation, monkeypatch):
    def refuse(*_args, **_options):
        raise AssertionError(operation)

    monkeypatch.setattr(cpu, operation, refuse)
    with pytest.raises(AssertionError, match=operation):
        by_hand(network(), moving_bars(3), WTAConfig(enable_homeostasis=False))


def test_all_that_learning_changes_lies_where_the_layer_does():
    """And goes into a checkpoint from the CPU, as it is."""
    model = network().to("meta")
    t = trainer(model, backend="reference")
    assert {part.device.type for part in vars(t.state).values() if part is not None} == {"meta"}
    here = trainer(network(), wta=WTAConfig(enable_homeostasis=True))
    here.step(moving_bars(1)[0])
    saved = here.state_dict()
    assert all(saved[name].device.type == "cpu" for name in ("theta", "wins", "recent_wins", "seen", "competition"))
    t.load_state_dict(saved)
    assert t.state.competition.device.type == "meta" and t.state.wins.device.type == "meta"


GROWING = STDPConfig(lr_plus=0.02, lr_minus=0.01, growth_every=4, lr_plus_max=0.06)


def test_rates_double_until_they_are_at_their_most_and_keep_their_ratio():
    grows, samples = trainer(network(), stdp=GROWING), moving_bars(13)
    rates = []
    for spikes in samples:
        rates.append((grows.rule.plasticity.lr_plus, grows.rule.plasticity.lr_minus))
        grows.step(spikes)
    assert rates == [(0.02, 0.01)] * 4 + [(0.04, 0.02)] * 4 + [(0.06, pytest.approx(0.03))] * 5
    at_once = trainer(network(), stdp=GROWING)
    at_once.learn(SpikeLists.of(torch.stack(samples).numpy()), np.arange(13))
    assert torch.equal(at_once.layer.weight, grows.layer.weight)
    steady = trainer(network(), stdp=dataclasses.replace(GROWING, growth_every=None))
    for spikes in samples:
        steady.step(spikes)
    assert not torch.equal(steady.layer.weight, grows.layer.weight)


def test_a_trainer_goes_on_at_the_rates_it_had():
    whole, half, samples = trainer(network(), stdp=GROWING), trainer(network(), stdp=GROWING), moving_bars(10)
    for spikes in samples:
        whole.step(spikes)
    for spikes in samples[:6]:
        half.step(spikes)
    model = network()
    model.encoder.load_state_dict(half.encoder.state_dict())
    rest = trainer(model, stdp=GROWING)
    rest.load_state_dict(half.state_dict())
    for spikes in samples[6:]:
        rest.step(spikes)
    assert torch.equal(rest.layer.weight, whole.layer.weight)
