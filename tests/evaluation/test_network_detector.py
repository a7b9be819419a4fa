"""A network as a detector: its saliency, and the objects that HULK unravels where they are asked for."""

import dataclasses

import numpy as np
import pytest

import spikeseg as ss
from spikeseg.config.sections import TrackingConfig
from spikeseg.data.windows import windowed
from spikeseg.detection.tracked import unravelled_slices
from spikeseg.evaluation import detectors


@pytest.fixture(scope="module")
def night():
    """A bright recording in small frames, and an untrained network that answers it."""
    small = {"data.input_height": 45, "data.input_width": 60, "data.n_timesteps": 4, "data.timestep_ms": 50.0, "device": "cpu"}
    network = ss.new("demo", {**small, "model.conv2_channels": 4, "model.motion": False, "model.thresholds": [0.1, 0.5, 0.0]})
    (recording,) = ss.simulate(recordings=1, duration_s=0.5, difficulty="easy", seed=4)
    return network, windowed(recording, network.config.data)


def test_objects_are_unravelled_where_hulk_is_asked_for_and_only_there(night, monkeypatch):
    network, view = night
    asked = []

    def unravelled(view, k, model, window, threshold, classes, settings):
        asked.append((k, threshold, classes))
        return unravelled_slices(view, k, model, window, threshold, classes, settings)

    monkeypatch.setattr("spikeseg.detection.tracked.unravelled_slices", unravelled)
    plain = detectors.network("saliency", "", network.model, None, TrackingConfig(), 0.25).respond(view)
    assert plain.slices is None and not asked and len(plain.maps) == len(view.start_us)
    hulk = dataclasses.replace(TrackingConfig(), hulk=True)
    found = detectors.network("saliency", "", network.model, [0], hulk, 0.25).respond(view)
    assert asked == [(k, 0.25, [0]) for k in range(len(view.start_us))] and len(found.slices) == len(view.start_us)
    assert np.array_equal(found.scores, detectors.network("", "", network.model, [0]).respond(view).scores)
