"""The benchmark of saliency: what is counted, and that it runs."""

import numpy as np
import pytest

from spikeseg.config.load import load_config
from spikeseg.learning import checkpoint


def test_what_is_seen_of_a_recording(script):
    saliency, scenes = script("saliency"), script("scenes")
    recording = scenes.scene("small", 1000)
    config = load_config("files", {"device": "cpu"})
    found = saliency.seen(checkpoint.build(config), config, recording)
    assert found.spikes > 0 and 0 <= found.of_others < found.of_objects <= 1 and found.roc_auc > 0.5
    silent = load_config("files", {"device": "cpu", "model.thresholds": [0.3, 2.0, 1900.0]})
    assert saliency.seen(checkpoint.build(silent), silent, recording) == (0.0, 0.0, 0.0, 0.5)


def test_cells_have_the_mean_and_its_interval(script):
    saliency = script("saliency")
    assert saliency.cell([0.25, np.nan], 10) == "0.250" and saliency.cell([np.nan], 10) == "-"
    assert saliency.cell([1.0, 1.0], 10) == "1.000 (1.000..1.000)"
    assert saliency._roc_auc(np.array([0.0, 1.0, 1.0]), np.array([False, True, False])) == pytest.approx(0.75)


def test_it_runs(quick):
    printed, found = quick("saliency")
    assert "neither" in printed and "both" in printed
    rows = found["rows"]
    assert {row["weights"] for row in rows} == {"trained", "untrained", "shuffled"} and len(rows) == 12
    assert all(row["found"][0]["spikes"] >= 0 for row in rows)
