"""The training loop of the README, as it stands there."""

import torch

from spikeseg.learning import STDPConfig, STDPLearner, WTAConfig, WTAInhibition, WTAMode, winners_per_map
from spikeseg.models import SpikeSEG


def dataset(n=3):
    """Windows of 10 steps in which a blob crosses a noisy 64x64 frame: (10, 1, 2, 64, 64)."""
    generator = torch.Generator().manual_seed(0)
    for i in range(n):
        events = (torch.rand(10, 1, 2, 64, 64, generator=generator) < 0.005).float()
        for t in range(10):
            events[t, 0, 1, 20 + i : 24 + i, 10 + 3 * t : 14 + 3 * t] = 1
            events[t, 0, 0, 20 + i : 24 + i, 6 + 3 * t : 10 + 3 * t] = 1
        yield events, None


def test_a_loop_of_ones_own():
    model = SpikeSEG.from_paper("igarss2023", n_classes=1)
    learner = STDPLearner(STDPConfig.from_paper("igarss2023"))
    wta = WTAInhibition(
        config=WTAConfig(mode=WTAMode.BOTH, local_radius=2, enable_homeostasis=True), n_channels=36, spatial_shape=(32, 32)
    )
    before, updates = model.encoder.conv2.weight.clone(), 0
    for events, _labels in dataset():
        model.reset_state()
        for t in range(10):
            output = model.encode(events[t])
            _filtered, winner_mask = wta(output.layer_spikes["conv2"], output.layer_membranes["conv2"])
            if winner_mask.any():
                times, y, x = winners_per_map(winner_mask, t)
                learner.update_weights_for_winner(
                    model.encoder.conv2.weight,
                    pre_spike_times=output.layer_spike_times["conv1"],
                    post_spike_time=times,
                    winner_y=y,
                    winner_x=x,
                    kernel_size=5,
                )
                updates += 1
        if learner.has_converged(model.encoder.conv2.weight):
            break
    assert updates > 5
    moved = (model.encoder.conv2.weight != before).flatten(1).any(1)
    assert moved.any() and not torch.equal(model.encoder.conv2.weight, before)
    assert model.encoder.conv2.weight.min() >= 0 and model.encoder.conv2.weight.max() <= 1


def test_one_winner_with_plain_numbers():
    model = SpikeSEG.from_paper("igarss2023", n_classes=1)
    learner = STDPLearner(STDPConfig.from_paper("igarss2023"))
    events, _ = next(dataset(1))
    model.reset_state()
    for t in range(4):
        output = model.encode(events[t])
    m, y, x = output.layer_spikes["conv2"][0].nonzero()[0].tolist()
    kernel = model.encoder.conv2.weight[m]
    before = kernel.clone()
    learner.update_weights_for_winner(
        kernel,
        pre_spike_times=output.layer_spike_times["conv1"],
        post_spike_time=torch.tensor(3),
        winner_y=torch.tensor(y),
        winner_x=torch.tensor(x),
        kernel_size=5,
    )
    assert not torch.equal(model.encoder.conv2.weight[m], before)
