import pytest
import torch

from spikeseg.config.sections import ModelConfig
from spikeseg.core.grid import SCALE
from spikeseg.errors import InputError
from spikeseg.models import SpikeSEG
from spikeseg.models.adaptive_threshold import adaptive_threshold
from spikeseg.ops import reference as ops
from spikeseg.ops.reference.layers import first_spike_steps


def network(**changes):
    settings = {"conv2_channels": 6, "n_classes": 2, "thresholds": (0.2, 2.0, 2.0), "leaks": (0.18, 0.2, 0.0), **changes}
    return SpikeSEG.from_config(ModelConfig(**settings), seed=1)


def random_frames(*shape, density=0.1, seed=0):
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < density).float()


def test_steps_one_by_one_equal_the_whole_sequence():
    model, frames = network(), random_frames(6, 2, 21, 34)
    whole = model.encode(frames)
    model.reset_state()
    for t in range(6):
        step = model.encode(frames[t])
        assert torch.equal(step.classification_spikes, whole.classification_spikes[t])
        assert torch.equal(step.layer_membranes["conv2"], whole.layer_membranes["conv2"][t])
        assert torch.equal(step.pooling_indices["pool1"], whole.pooling_indices["pool1"][t])
    for name in ("conv1", "conv2", "conv3"):
        assert torch.equal(step.layer_spike_times[name], whole.layer_spike_times[name])
    assert whole.has_spikes and whole.n_classification_spikes == whole.classification_spikes.sum()


def test_a_batch_gives_what_its_samples_give_alone():
    model, frames = network(), random_frames(5, 3, 2, 16, 18)
    rates = torch.rand(3, 2, 1, 2) * 0.05
    together = model.encode(frames, rates)
    for b in range(3):
        model.reset_state()
        alone = model.encode(frames[:, b], rates[b])
        assert torch.equal(alone.classification_spikes, together.classification_spikes[:, b])
        assert torch.equal(alone.layer_spike_times["conv1"], together.layer_spike_times["conv1"][b])


def test_state_persists_until_reset():
    model, frames = network(), random_frames(4, 2, 16, 16)
    first = model.encode(frames)
    second = model.encode(frames)
    model.reset_state()
    again = model.encode(frames)
    assert torch.equal(first.layer_membranes["conv2"], again.layer_membranes["conv2"])
    assert not torch.equal(first.layer_membranes["conv2"], second.layer_membranes["conv2"])


def test_shapes_and_first_spike_times_after_the_pool():
    out = network().encode(random_frames(4, 2, 17, 21))
    assert out.layer_spikes["conv1"].shape == (4, 4, 17, 21)
    assert out.layer_spikes["pool1"].shape == (4, 4, 9, 11)
    assert out.layer_spikes["conv2"].shape == (4, 6, 9, 11)
    assert out.layer_spikes["conv3"].shape == (4, 2, 5, 6) == out.classification_spikes.shape
    first = first_spike_steps(out.layer_spikes["pool1"])
    want = torch.where(first < 4, first.float(), torch.inf)
    assert torch.equal(out.layer_spike_times["conv1"], want)


def test_layers_follow_the_definition():
    model, frames = network(), random_frames(5, 1, 2, 12, 13)
    out = model.encode(frames)
    spikes = frames
    for name, pool in (("conv1", "pool1"), ("conv2", "pool2"), ("conv3", None)):
        layer = model.encoder.layer(name)
        run = ops.layer_forward(spikes, layer.weight, layer.threshold, layer.mode, layer.leak)
        assert torch.equal(run.spikes, out.layer_spikes[name])
        spikes = ops.pool(run.spikes, run.potentials, 2, 2).spikes if pool else run.spikes
        if pool:
            assert torch.equal(spikes, out.layer_spikes[pool])


def test_upto_stops_early():
    out = network().encode(random_frames(3, 2, 12, 12), upto="conv1")
    assert set(out.layer_spikes) == {"input", "conv1", "pool1"}


def test_background_raises_the_threshold_where_it_is_busy():
    model = network(background_sigmas=2.0)
    rates = torch.zeros(1, 2, 2, 2)
    rates[..., 0, 1] = 0.04
    theta = adaptive_threshold(model.encoder.conv1.threshold, model.encoder.conv1.weight, rates, (20, 24), 2.0).expand((20, 24))
    assert theta.shape == (1, 4, 20, 24)
    quiet, busy = theta[0, :, 15, 3], theta[0, :, 3, 15]
    assert torch.allclose(quiet, torch.full((4,), 0.2), atol=1 / SCALE)
    assert torch.allclose(busy, torch.full((4,), 0.2 + 0.04 + 2 * 0.2), atol=5e-3)  # one polarity drives each DoG
    assert torch.equal(theta * SCALE, (theta * SCALE).round())


def test_background_stops_noise_and_can_be_switched_off():
    frames = random_frames(10, 2, 32, 32, density=0.1)
    rates = torch.full((2, 2, 2), 0.1)
    silent = network().encode(frames, rates).layer_spikes["conv1"].sum()
    loud = network().encode(frames).layer_spikes["conv1"].sum()
    fixed = network(background_adaptive=False).encode(frames, rates).layer_spikes["conv1"].sum()
    assert silent < 0.3 * loud and fixed == loud


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 8), "frames must be"), ((3, 8, 8), "3 channels, the network takes 2"), ((1, 1, 1, 2, 8, 8), "frames must be")],
)
def test_wrong_frames_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        network().encode(torch.zeros(shape))


def test_another_frame_size_within_a_sample_is_refused():
    model = network()
    model.encode(torch.zeros(2, 8, 8))
    with pytest.raises(ValueError, match="reset_state"):
        model.encode(torch.zeros(2, 9, 8))


def test_potentials_beyond_the_exact_range_are_refused_with_the_numbers():
    with pytest.raises(InputError, match=r"conv3: potentials could reach .* 9800 inputs"):
        network(conv2_channels=200, n_classes=1)


def test_leak_modes_differ():
    frames = random_frames(8, 2, 16, 16)
    runs = [
        network(leak_mode=mode, leaks=leaks).encode(frames).layer_membranes["conv2"]
        for mode, leaks in (
            ("subtractive", (0.18, 0.2, 0.0)),
            ("multiplicative", (0.9, 0.1, 0.0)),
            ("subtractive", (0.0, 0.0, 0.0)),
        )
    ]
    assert not torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize("paper", ["igarss2023", "kheradpisheh2018"])
def test_from_paper(paper):
    model = SpikeSEG.from_paper(paper, n_classes=3)
    assert model.encoder.conv3.weight.shape[0] == 3 == model.config.n_classes


def test_initial_weights_are_seeded_and_layers_differ():
    model, same = network(), network()
    other = SpikeSEG.from_config(model.config, seed=2)
    assert torch.equal(model.encoder.conv2.weight, same.encoder.conv2.weight)
    assert not torch.equal(model.encoder.conv2.weight, other.encoder.conv2.weight)
    assert abs(float(model.encoder.conv2.weight.mean()) - 0.8) < 0.01


def test_event_counts_drive_conv1_and_absurd_ones_are_refused():
    frames = torch.zeros(2, 2, 12, 12, dtype=torch.uint8)
    frames[:, 1, 5, 5] = 1
    once = network().encode(frames).layer_membranes["conv1"]
    frames[:, 1, 5, 5] = 3
    assert network().encode(frames).layer_membranes["conv1"].max() > 2 * once.max()
    with pytest.raises(InputError, match=r"a pixel counts 4000 events in one step.*data.normalize"):
        network().encode(frames.float() * 4000 / 3)
