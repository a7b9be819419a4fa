"""The control that never sees a network: a linear machine on the pixels of images."""

import types

import numpy as np

from spikeseg.config.sections import Config
from spikeseg.evaluation import image_controls
from spikeseg.evaluation.image_controls import scored_controls


def test_it_is_scored_by_what_it_gets_right(monkeypatch):
    """Classes that pixels tell apart without error, but for the labels of two test images, which are wrong."""
    rng = np.random.default_rng(0)
    labels, truth = np.tile([0, 1], 15), np.tile([0, 1], 10)
    train, test = (rng.normal(0, 0.1, (len(of), 4, 4)) + 3 * of[:, None, None] for of in (labels, truth))
    truth[[0, 7]] = 1 - truth[[0, 7]]
    monkeypatch.setattr(image_controls, "_controls", lambda *_: iter(()))
    spikes = [types.SimpleNamespace(labels=labels, lists=None), types.SimpleNamespace(labels=truth, lists=None)]
    monkeypatch.setattr(image_controls, "TITLES", {"pixels": "pixels"})
    found = scored_controls(Config(), [None, None], [truth, truth], *spikes, (train, test))["pixels"]
    assert found["accuracies"] == [0.9, 0.9] and found["accuracy"] == 0.9
    assert (found["images_network_better"], found["images_control_better"]) == (2, 0)
