"""What classes answer to, seen in recordings whose events are known."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeseg.config import load_config
from spikeseg.config.sections import WTAConfig
from spikeseg.data.recording import EVENT_DTYPE, Recording
from spikeseg.data.windows import windowed
from spikeseg.detection.class_survey import EXAMPLES, document, named, survey_recording, text
from spikeseg.learning import checkpoint
from spikeseg.models.prototypes import ReceptiveField

CFG = load_config(
    None,
    {
        "device": "cpu",
        "model.n_classes": 2,
        "model.conv1_channels": 2,
        "model.conv2_channels": 2,
        "model.thresholds": [1.0, 1.0, 1.0],
        "model.leaks": [0.0, 0.0, 0.0],
        "model.background_adaptive": False,
        "wta.enable_homeostasis": False,
        "data.n_timesteps": 4,
        "data.timestep_ms": 25.0,
        "data.input_height": None,
        "data.input_width": None,
        "data.transforms": [],
        "data.window_overlap": 0.5,
    },
)
"""Windows of 100 ms every 50 ms, at the sensor's pixels."""
WINDOW_US = 100_000
OFF, ON = 0, 1


@pytest.fixture(scope="module")
def model():
    """Class 0 takes OFF, class 1 ON: one synapse of weight 1 in each layer, in the middle of its kernel."""
    network = checkpoint.build(CFG)
    encoder = network.encoder
    with torch.no_grad():
        for layer in (encoder.conv1, encoder.conv2, encoder.conv3):
            layer.weight.zero_()
            layer.threshold.fill_(1.0)
            middle = layer.weight.shape[-1] // 2
            for k in (0, 1):
                layer.weight[k, k, middle, middle] = 1.0
    return network


def recording(*bursts, name="night", size=(48, 40)):
    """Bursts (t_us, x, y, polarity, n): n events at one pixel, a step apart of each other."""
    rows = [(t + 25_000 * k, x, y, bool(p)) for t, x, y, p, n in bursts for k in range(n)]
    events = np.array(sorted(rows), EVENT_DTYPE)
    return Recording(events=events, sensor_size=size, name=name, source="", sensor="", labels=None, truth=None, dropped={})


def survey(model, *bursts, cfg=CFG, **of):
    return survey_recording(model, windowed(recording(*bursts, **of), cfg.data), cfg.wta)


def test_spikes_and_wins_are_those_of_the_class_that_is_driven(model):
    seen = survey(model, (0, 20, 20, ON, 4), (300_000, 10, 10, OFF, 1))
    # windows at 0, 50, ... 250 ms: the ON burst of 0 to 75 ms lies in the first and, by half, in the second, OFF in the last
    assert (seen.recording, seen.windows) == ("night", 6)
    assert seen.spikes.tolist() == [1, 4 + 2]
    assert seen.wins.tolist() == seen.windows_won.tolist() == [1, 2]


def test_only_one_neuron_of_a_class_wins_a_window_but_where_the_competition_is_local(model):
    bursts = [(0, 10, 10, ON, 1), (0, 30, 30, ON, 1)]
    for mode, wins in (("global", 1), ("both", 1), ("local", 2)):
        wta = WTAConfig(mode=mode, local_radius=2, enable_homeostasis=False)
        seen = survey(model, *bursts, cfg=replace(CFG, wta=wta))
        assert seen.spikes.tolist() == [0, 2] and seen.wins.tolist() == [0, wins] and seen.windows_won.tolist() == [0, 1]


def test_an_example_is_cut_out_around_the_events_that_drove_the_class(model):
    seen = survey(model, (0, 21, 18, ON, 2), (0, 23, 18, OFF, 1), (0, 47, 39, ON, 0))
    (example,) = seen.examples[1]
    size = ReceptiveField.of(model.encoder.specs).size
    assert (example.recording, example.t_start_us, example.events) == ("night", 0, 2)
    assert example.t_end_us == 25_001 and example.width == example.height == size
    assert example.counts.shape == (2, size, size) and example.counts.sum((1, 2)).tolist() == [1, 2]
    top, left = round(example.y - (size - 1) / 2), round(example.x - (size - 1) / 2)
    assert example.counts[ON, 18 - top, 21 - left] == 2 and example.counts[OFF, 18 - top, 23 - left] == 1
    assert np.argwhere(example.saliency).tolist() == [[18 - top, 21 - left]]
    assert example.drive == pytest.approx(example.saliency.sum()) and example.drive > 0
    (other,) = seen.examples[0]
    assert other.events == 1 and example.lead == pytest.approx(example.drive - other.drive)


def test_at_the_edge_there_is_nothing_beyond_the_frame(model):
    for x, y in ((0, 0), (47, 39), (0, 39)):
        (example,) = survey(model, (0, x, y, ON, 1)).examples[1]
        assert example.counts.sum() == 1 and example.events == 1


def test_an_example_lies_on_the_sensor_where_frames_are_smaller(model):
    cfg = replace(CFG, data=replace(CFG.data, input_height=20, input_width=24))
    (example,) = survey(model, (0, 20, 20, ON, 1), cfg=cfg).examples[1]
    size = ReceptiveField.of(model.encoder.specs).size
    assert example.width == example.height == 2 * size
    assert abs(example.x - 20) <= size and abs(example.y - 20) <= size and example.counts.sum() == 1


def test_examples_are_the_strongest_windows_and_none_of_a_class_overlap_in_time(model):
    strengths = [1, 4, 2, 3, 1, 4, 3, 2]
    bursts = [(200_000 * k, 20, 20, ON, n) for k, n in enumerate(strengths)]
    examples = survey(model, *bursts).examples[1]
    assert [example.events for example in examples] == [4, 4, 3, 3]
    assert sorted(example.t_start_us for example in examples) == [200_000, 600_000, 1_000_000, 1_200_000]
    ordered = sorted(examples, key=lambda example: example.t_start_us)
    assert all(a.t_end_us <= b.t_start_us for a, b in zip(ordered, ordered[1:], strict=False))


def test_what_drives_all_classes_alike_comes_after_what_drives_one_alone(model):
    bursts = [(0, 20, 20, ON, 4), (0, 21, 20, OFF, 4), (400_000, 20, 20, ON, 2)]
    first, second = survey(model, *bursts).examples[1][:2]
    assert (first.t_start_us, first.events) == (350_000, 2) and first.lead == first.drive
    assert second.drive > first.drive and second.lead < first.lead


def test_a_silent_recording_and_an_empty_one(model):
    for seen in (survey(model, (0, 20, 20, ON, 0)), survey_recording(model, windowed(recording(), CFG.data), CFG.wta)):
        assert not seen.spikes.any() and not seen.wins.any() and seen.examples == [[], []]


def test_the_document_adds_recordings_up_and_takes_one_example_of_each_first(model):
    first = survey(model, *[(200_000 * k, 20, 20, ON, 4) for k in range(5)], name="a")
    second = survey(model, (0, 20, 20, ON, 1), (200_000, 9, 9, OFF, 1), name="b")
    content = json.loads(text(document(model, "abc", True, [first, second], {})))
    assert {key: content[key] for key in ("version", "network", "trained", "receptive_field", "windows")} == {
        "version": 1,
        "network": "abc",
        "trained": True,
        "receptive_field": ReceptiveField.of(model.encoder.specs).size,
        "windows": first.windows + second.windows,
    }
    assert content["recordings"] == [{"name": "a", "windows": first.windows}, {"name": "b", "windows": second.windows}]
    off, on = content["classes"]
    assert (off["class_id"], on["class_id"], on["class_name"]) == (0, 1, "")
    assert (
        on["spikes"] == first.spikes[1] + second.spikes[1] and on["windows_won"] == first.windows_won[1] + second.windows_won[1]
    )
    assert [example["recording"] for example in on["examples"]] == ["a", "b", "a", "a"] and len(on["examples"]) == EXAMPLES
    assert [example["recording"] for example in off["examples"]] == ["b"]
    size = content["receptive_field"]
    for entry in (on["prototype"], on["examples"][0]):
        assert np.shape(entry["off"]) == np.shape(entry["on"]) == (size, size)
    assert np.shape(on["examples"][0]["saliency"]) == (size, size)
    assert np.sum(on["prototype"]["off"]) == 0 < np.sum(on["prototype"]["on"]) == pytest.approx(1, rel=1e-3)


def test_what_the_dataset_says_is_counted_by_wins(model):
    first = survey(model, *[(200_000 * k, 20, 20, ON, 4) for k in range(5)], name="a")
    others = [survey(model, (0, 20, 20, ON, 1), name=name) for name in "bc"]
    off, on = document(model, "abc", True, [*others, first], {"a": "cup", "b": "dog"})["classes"]
    assert list(on["answers_to"].items()) == [("cup", first.wins[1]), ("dog", others[0].wins[1])] and off["answers_to"] == {}
    assert first.wins[1] > others[0].wins[1] > 0
    assert "answers_to" not in document(model, "abc", True, [first], {})["classes"][1]


def test_names_change_nothing_else(model):
    content = document(model, "abc", True, [survey(model, (0, 20, 20, ON, 1))], {})
    called = named(content, {1: "satellite"})
    assert [entry["class_name"] for entry in called["classes"]] == ["", "satellite"]
    assert named(called, {}) == content and content["classes"][1]["class_name"] == ""
