"""SpikeSEG as it is put together and taken apart by hand."""

import pytest
import torch

from spikeseg.config import load_config, to_dict
from spikeseg.config.sections import Config, ModelConfig, STDPConfig
from spikeseg.errors import InputError
from spikeseg.learning import LayerTrainer
from spikeseg.models import SpikeLocation, SpikeSEG

SMALL = {"conv2_channels": 5, "n_classes": 2, "thresholds": (0.3, 2.0, 2.0)}


def small(**changes):
    return SpikeSEG.from_config(ModelConfig(**SMALL), **changes)


def frames(*shape, rate=0.1):
    return (torch.rand(shape, generator=torch.Generator().manual_seed(1)) < rate).float()


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.encoder.state_dict().values(), b.encoder.state_dict().values(), strict=True))


def test_grey_frames_light_up_where_they_are_bright():
    model = SpikeSEG.from_paper("igarss2023", n_classes=1)
    grey = torch.rand(1, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    saliency, output = model(grey)
    assert len(output.get_spike_locations()) == output.n_classification_spikes > 0
    assert saliency.shape == (1, 48, 48) and saliency.max() > 0
    assert bool((saliency[grey[0] < 0.5] == 0).all())


def test_one_channel_is_whole_events_of_every_polarity():
    model = small()
    grey = torch.tensor([-2.0, 0.49, 0.5, 1.49, 1.5, 0.0]).repeat(6)[:36].reshape(1, 1, 6, 6)
    events = torch.tensor([0.0, 0.0, 1.0, 1.0, 2.0, 0.0]).repeat(6)[:36].reshape(1, 1, 6, 6)
    output = model.encode(grey)
    assert torch.equal(output.layer_spikes["input"], events.expand(1, 2, 6, 6))
    model.reset_state()
    expected = model.encode(events.expand(1, 2, 6, 6))
    assert torch.equal(output.layer_membranes["conv1"], expected.layer_membranes["conv1"])
    with pytest.raises(ValueError, match="frames have 3 channels, the network takes 2"):
        model.encode(torch.zeros(1, 3, 6, 6))


def test_a_network_of_merged_polarities_has_centres_of_both_signs():
    model = small(in_channels=1)
    weight = model.get_layer_weights()["conv1"]
    assert weight.shape == (4, 1, 5, 5) and weight[1, 0, 2, 2] > 0 > weight[0, 0, 2, 2]
    saliency, output = model(frames(4, 1, 16, 16))
    assert saliency.shape == (4, 16, 16) and output.layer_spikes["conv1"].any()
    with pytest.raises(ValueError, match="frames have 2 channels, the network takes 1"):
        model.encode(torch.zeros(1, 2, 6, 6))


def test_spike_locations():
    output = small().encode(frames(3, 2, 2, 24, 24, rate=0.3))
    spikes = output.classification_spikes
    found = output.get_spike_locations()
    assert found and found == sorted(found)
    assert [tuple(place) for place in found] == [tuple(row) for row in spikes.nonzero().tolist()]
    sequence = output.map(lambda v: v[:, 1], lambda v: v[1])
    step, sample, class_id, y, x = sequence.get_spike_locations()[0]
    assert sample == 0 and sequence.classification_spikes[step, class_id, y, x] == 1
    one = output.map(lambda v: v[step, 1], lambda v: v[1])
    assert SpikeLocation(0, 0, class_id, y, x) in one.get_spike_locations()


def test_decode_is_what_forward_does_for_every_shape_of_frames():
    model, batch = small(), frames(3, 2, 2, 24, 24, rate=0.3)
    saliency, _ = model(batch)
    assert saliency.max() > 0 and torch.equal(model.decode(model.encode(batch)), saliency)
    model.reset_state()
    assert torch.equal(model.decode(model.encode(batch[:, 0])), saliency[:, 0])
    model.reset_state()
    assert torch.equal(model.decode(model.encode(batch[0, 0])), model(batch[:1, 0])[0][0])
    with pytest.raises(ValueError, match="ends at pool1; encode up to conv3"):
        model.decode(model.encode(batch[0, 0], upto="conv1"))


def test_from_a_dictionary():
    assert same(SpikeSEG.from_config(SMALL), small())
    whole = load_config("demo", {"data.input_channels": 1, "seed": 5, "homeostasis.theta_rest": 2.0})
    network = SpikeSEG.from_config(to_dict(whole))
    parts = {"stdp": whole.stdp, "homeostasis": whole.homeostasis}
    assert same(network, SpikeSEG.from_config(whole))
    assert same(network, SpikeSEG.from_config(whole.model, in_channels=1, seed=5, **parts))
    assert network.encoder.conv2.threshold[0] == whole.model.thresholds[1] + 2.0
    assert SpikeSEG.from_config(to_dict(Config()), in_channels=1).encoder.in_channels == 1
    for wrong, message in (({"n_clases": 1}, "from_config: model.n_clases: unknown key"), ({"seed": "a"}, "from_config: seed")):
        with pytest.raises(InputError, match=message):
            SpikeSEG.from_config(wrong)


def test_weights_by_layer_are_the_layers_own():
    model = small()
    weights = model.get_layer_weights()
    assert list(weights) == ["conv1", "conv2", "conv3"] and model.n_classes == 2
    weights["conv2"].zero_()
    assert not model.encoder.conv2.weight.any()


def test_a_frozen_layer_does_not_learn():
    model, cfg = small(), load_config("demo", {"backend": "reference", "device": "cpu"})
    model.freeze_layer("conv2")
    with pytest.raises(InputError, match=r"conv2: frozen, .*unfreeze_layer\('conv2'\)"):
        LayerTrainer(model, "conv2", cfg)
    LayerTrainer(model, "conv3", cfg)
    model.unfreeze_layer("conv2")
    LayerTrainer(model, "conv2", cfg)
    with pytest.raises(InputError, match="layer: 'pool1', must be one of conv1, conv2, conv3"):
        model.freeze_layer("pool1")


def test_the_variant_names_the_rule():
    assert STDPConfig().variant == "multiplicative" and STDPConfig(use_soft_bounds=False).variant == "additive"
    assert STDPConfig(rule="additive").variant == "additive"
