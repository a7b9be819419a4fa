"""Answers, counted by every mode; and the control, whose labels are another recording's."""

import dataclasses

import numpy as np
import pytest

from spikeseg.config.sections import Config
from spikeseg.data.frames.framing import FrameSpec, starts
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE
from spikeseg.data.windows import WindowedRecording
from spikeseg.detection.response import from_scores
from spikeseg.evaluation.baselines import baselines
from spikeseg.evaluation.detectors import Detector
from spikeseg.evaluation.results import Results
from spikeseg.metrics.mode import LabelledRecording

SPEC = FrameSpec(n_timesteps=4, timestep_us=10_000)
CFG = dataclasses.replace(Config(), seed=2)


def night(number):
    """Twenty events a step on 3 x 3 pixels of an object, at a place that no other recording has one at."""
    events, k = np.zeros(400, EVENT_DTYPE), np.arange(400)
    events["t"], events["x"], events["y"] = 500 * k, 7 + 15 * number + k % 3, 9 + k // 3 % 3
    labels = np.array([(t, 8 + 15 * number, 10, 1) for t in (0, 100_000, 199_999)], LABEL_DTYPE)
    view = WindowedRecording(f"r{number}", events, np.ones(400, bool), (90, 20), SPEC, starts(events, SPEC, 0), lambda: iter(()))
    return LabelledRecording.of(view, labels, None, CFG.evaluation)


def collected(n, modes):
    sees_all = Detector("network", "", lambda recording: from_scores(recording, np.ones(len(recording.events))), 0.5)
    detectors = [*baselines(0)[:1], sees_all]
    results = Results(CFG, modes, dict.fromkeys(("raw_events", "network"), 0.5))
    for number in range(n):
        for detector in detectors:
            results.add(results.count(detector, night(number)))
    return results


def scored(n, modes):
    return collected(n, modes).scores()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_control_holds_every_answer_against_other_labels(n):
    found = scored(n, ["object", "volume"])
    for mode in ("object", "object_1px", "volume"):
        assert list(found[mode]) == ["raw_events", "network", *["shuffled_labels"] * (n > 1)], mode
        own = found[mode]["network"]
        assert (
            own["tp"] > 0 == own["fn"]
            and own["intervals"]
            and [row["name"] for row in own["recordings"]] == [f"r{k}" for k in range(n)]
        )
        if n > 1:
            control = found[mode]["shuffled_labels"]
            assert control["tp"] == 0 < control["fn"] and sorted(row["name"] for row in control["recordings"]) == [
                f"r{k}" for k in range(n)
            ]


def test_a_mode_that_counts_nothing_has_no_table_and_its_detectors_no_row():
    found = scored(2, ["event", "track"])
    assert list(found) == ["event", "track"]  # no truth of events, so none of the variants of mode event
    assert list(found["track"]) == ["raw_events"] and list(found["event"]) == ["raw_events", "network", "shuffled_labels"]


def test_a_curve_of_each_detector_of_mode_event_and_of_the_control():
    curves = collected(2, ["event", "track"]).curves()
    assert curves == {}  # every event is near an object
    assert collected(2, ["track"]).curves() == {}
