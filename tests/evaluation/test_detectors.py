"""Detectors that need no network, and what tracking adds to one."""

import numpy as np
import pytest

from spikeseg.config.sections import EvaluationConfig, TrackingConfig
from spikeseg.data.frames.framing import FrameSpec, starts
from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.data.windows import WindowedRecording
from spikeseg.evaluation import detectors

SPEC = FrameSpec(n_timesteps=10, timestep_us=100_000)


@pytest.fixture(scope="module")
def view():
    """Four seconds of noise and a bright dot that crosses it along y = 30, at 20 px/s from x = 20 on."""
    rng = np.random.default_rng(0)
    t_noise, t_dot = rng.integers(0, 4_000_000, 12_000), np.arange(0, 4_000_000, 2_500)
    events = np.zeros(len(t_noise) + len(t_dot), EVENT_DTYPE)
    events["t"] = np.r_[t_noise, t_dot]
    events["x"] = np.r_[rng.integers(0, 240, len(t_noise)), np.rint(20 + 20e-6 * t_dot + rng.normal(0, 0.7, len(t_dot)))]
    events["y"] = np.r_[rng.integers(0, 180, len(t_noise)), np.rint(30 + rng.normal(0, 0.7, len(t_dot)))]
    events["p"] = np.r_[np.zeros(len(t_noise), bool), np.ones(len(t_dot), bool)]  # so that tests can tell them apart
    events = events[np.argsort(events["t"], kind="stable")]
    return WindowedRecording("r", events, np.ones(len(events), bool), (240, 180), SPEC, starts(events, SPEC, 0), lambda: iter(()))


@pytest.mark.parametrize("name", ["blobs", "lines"])
def test_a_classical_detector_lists_the_object_of_every_window_and_scores_its_events_higher(view, name):
    (detector,) = [one for one in detectors.classical() if one.name == name]
    response = detector.respond(view)
    assert len(response.positions) == len(view.start_us) == 4
    for start, found in zip(view.start_us.tolist(), response.positions, strict=True):
        middle = [20 + 20e-6 * (start + 500_000), 30]
        assert 1 <= len(found) <= 3 and np.hypot(*(found - middle).T).min() < 4
    dot = view.events["p"]
    assert response.scores[dot].mean() > 5 * response.scores[~dot].mean() and (response.scores >= 0).all()
    assert detector.threshold is None and not detector.is_network


def test_a_tracked_filter_finds_the_object_and_little_else(view):
    graded = detectors.filters(EvaluationConfig())[-1]
    lit = float(np.quantile(graded.respond(view).scores[view.events["p"]], 0.5))
    detector = detectors.tracked("graded_tracks", "graded filter, tracked", graded, (lit, 0.4), TrackingConfig())
    assert (detector.name, detector.object_threshold, detector.is_network) == ("graded_tracks", 0.4, False)
    response = detector.respond(view)
    (one,) = [one for one in response.tracked.tracks.tracks if one.score >= 0.4]
    np.testing.assert_allclose(one.states[:, 2:].mean(0), [20, 0], atol=2)
    assert (response.saliency >= 0.999 * graded.respond(view).scores).all()  # the highest of an event's pixel and step
    seen = response.scores >= 0.3
    assert seen[view.events["p"]].mean() > 0.9 and seen[~view.events["p"]].mean() < 0.05
