"""Which detectors stand side by side, in which order, and how each is read."""

import dataclasses

import pytest

import spikeseg as ss
from spikeseg.detection.readout import Readout
from spikeseg.evaluation.compare import calibrated_thresholds, compared_detectors
from spikeseg.evaluation.detectors import Detector

BASELINES = ["raw_events", "random_scores", "everything", "random"]
UNTRACKED = [*BASELINES, "denoise", "graded", "blobs", "lines"]


@pytest.fixture(scope="module")
def network():
    return ss.new("demo", {"data.input_height": 45, "data.input_width": 60, "model.conv2_channels": 4, "device": "cpu"})


@pytest.mark.parametrize(
    ("motion", "scenes", "between"),
    [(False, False, []), (True, False, ["no_motion"]), (False, True, ["points"]), (True, True, ["no_motion", "points"])],
)
def test_every_row_has_its_place(network, motion, scenes, between):
    cfg = network.config
    cfg = dataclasses.replace(
        cfg, model=dataclasses.replace(cfg.model, motion=motion), tracking=dataclasses.replace(cfg.tracking, scenes=scenes)
    )
    asked = []

    def calibration(detectors):
        asked.append([detector.name for detector in detectors if detector.threshold is None])
        return {detector.name: 0.25 if detector.threshold is None else detector.threshold for detector in detectors}

    readout = Readout(threshold=0.125, object_threshold=0.375, classes=[0])
    detectors, thresholds = compared_detectors(network.model, cfg, readout, calibration)
    tracked = [*between, "untrained", "network"]
    assert [detector.name for detector in detectors] == [*UNTRACKED, "graded_tracks", "saliency", *tracked]
    assert asked == [["graded", "blobs", "lines", "saliency"], ["graded_tracks", *tracked]]
    assert thresholds == {name: 0.5 if name in (*BASELINES, "denoise") else 0.25 for name in thresholds}
    assert sorted(thresholds) == sorted(detector.name for detector in detectors)
    assert {detector.name for detector in detectors if detector.is_network} == {"saliency", *tracked}
    assert all(detector.object_threshold == 0.375 for detector in detectors if detector.name in ("graded_tracks", *tracked))


def test_a_threshold_of_its_own_is_kept_and_others_are_calibrated():
    none = Detector("a", "", lambda _: None), Detector("b", "", lambda _: None, threshold=0.75)
    assert calibrated_thresholds(none, iter(()))["b"] == 0.75 and 0 < calibrated_thresholds(none, iter(()))["a"] < 1e-30
