"""One response held against labels, in every mode."""

import numpy as np
import pytest

from spikeseg.data.frames import FrameSpec, starts
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, SOURCE_OBJECT, SOURCE_STAR, TRUTH_DTYPE
from spikeseg.metrics.event import EventScores, roc_auc
from spikeseg.pipelines import score
from spikeseg.pipelines.views import View, from_scores
from spikeseg.sections import EvaluationConfig

SPEC = FrameSpec(n_timesteps=4, timestep_us=10_000)
SENSOR = (60, 40)
SETTINGS = EvaluationConfig()


def scene(seed: int = 0, spec: FrameSpec = SPEC) -> tuple[View, np.ndarray, np.ndarray]:
    """An object that moves along y = 20 from x = 10 by 50 px/s for 0.4 s, in noise. -> view, labels, what caused each event."""
    rng = np.random.default_rng(seed)
    t_object, t_noise = np.arange(0, 400_000, 500), np.sort(rng.integers(0, 400_000, 300))
    events = np.zeros(len(t_object) + len(t_noise), EVENT_DTYPE)
    events["t"] = np.r_[t_object, t_noise]
    events["x"] = np.r_[np.rint(10 + 50e-6 * t_object).astype(int), rng.integers(0, 60, 300)]
    events["y"] = np.r_[np.full(len(t_object), 20) + rng.integers(-1, 2, len(t_object)), rng.integers(0, 40, 300)]
    truth = np.zeros(len(events), TRUTH_DTYPE)
    truth["source"][: len(t_object)] = SOURCE_OBJECT
    order = np.argsort(events["t"], kind="stable")
    events, truth = events[order], truth[order]
    labels = np.zeros(5, LABEL_DTYPE)
    labels["t"] = np.arange(0, 500_000, 100_000)
    labels["x"], labels["y"], labels["id"] = 10 + 50e-6 * labels["t"], 20, 1
    start_us = starts(events, spec, 0)
    return View("scene", events, np.ones(len(events), bool), SENSOR, spec, start_us, lambda: iter(())), labels, truth


def perfect(view: View, truth: np.ndarray):
    return from_scores(view, (truth["source"] == SOURCE_OBJECT).astype(float))


@pytest.mark.parametrize("size", [None, 20])
def test_a_perfect_answer_is_perfect_in_every_mode_at_any_frame_size(size):
    spec = FrameSpec(4, 10_000, height=size, width=size and 30)
    view, labels, truth = scene(spec=spec)
    s, response = score.subject(view, labels, truth, SETTINGS), perfect(view, truth)
    exact = score.exact_scores(s, response)
    assert np.array_equal(exact.scores > 0, exact.truth) and exact.truth.sum() == 800
    near = score.event_scores(s, response, SETTINGS)
    assert near.truth[exact.truth].all() and 0 < (near.truth & ~exact.truth).sum() < 30
    objects = score.object_counts(s, response, 0.5, 5.0, SETTINGS)
    assert (objects["tp"], objects["fp"], objects["fn"]) == (10, 0, 0)
    volume = score.volume_counts(s, response, SETTINGS)
    assert volume["fp"] == volume["fn"] == 0 and volume["tp"] == 40
    pixel = score.pixel_counts(s, response, 0.5, EvaluationConfig(pixel_tolerance_px=3.0))
    assert pixel["fp"] == 0 and pixel["tp"] >= 40 and pixel["name"] == "scene"


def test_a_blind_answer_finds_nothing_and_raises_no_alarm():
    view, labels, truth = scene()
    s, response = score.subject(view, labels, truth, SETTINGS), from_scores(view, np.zeros(len(view.events)))
    objects = score.object_counts(s, response, 0.5, 5.0, SETTINGS)
    assert (objects["tp"], objects["fp"], objects["fn"]) == (0, 0, 10)
    volume = score.volume_counts(s, response, SETTINGS)
    assert volume["tp"] == volume["fp"] == 0 and volume["fn"] == 40
    pixel = score.pixel_counts(s, response, 0.5, SETTINGS)
    assert pixel["tp"] == pixel["fp"] == 0 and pixel["fn"] > 0


def test_the_labelled_span_limits_what_is_scored_and_not_what_is_seen():
    view, labels, truth = scene()
    inner = labels[1:4]
    s = score.subject(view, inner, truth, EvaluationConfig(scope="labelled_span"))
    assert (s.start_us, s.end_us) == (100_000, 300_000)
    response = perfect(view, truth)
    assert len(score.event_scores(s, response, SETTINGS).scores) == s.scored.sum() < len(view.events)
    assert len(response.scores) == len(view.events)
    counted = score.object_counts(s, response, 0.5, 5.0, SETTINGS)
    assert counted["tp"] == 6 and counted["fn"] == 0  # windows with their middle at 100, 140, ..., 300 ms
    whole = score.subject(view, labels[:0], truth, EvaluationConfig(scope="labelled_span"))
    assert whole.scored.all()


def test_truth_tells_objects_from_stars():
    view, labels, truth = scene()
    truth["source"][::2] = SOURCE_STAR
    s = score.subject(view, labels, truth, SETTINGS)
    assert score.exact_scores(s, perfect(view, truth)).truth.sum() == (truth["source"] == SOURCE_OBJECT).sum()
    assert score.exact_scores(score.subject(view, labels, None, SETTINGS), perfect(view, truth)) is None


def test_another_recordings_labels_are_put_on_this_clock():
    view, labels, truth = scene()
    late, other, _ = scene(1)
    late.events["t"] += 5_000_000
    other["t"] += 5_000_000
    s, donor = score.subject(view, labels, truth, SETTINGS), score.subject(late, other, None, SETTINGS)
    shuffled = score.with_labels_of(s, donor, SETTINGS)
    assert shuffled.labels["t"].tolist() == labels["t"].tolist() and other["t"][0] == 5_000_000
    assert score.exact_scores(shuffled, perfect(view, truth)) is None


def test_truth_on_other_events_is_at_chance_for_perfect_detectors_of_unlike_recordings():
    rng = np.random.default_rng(0)
    rich, poor = rng.random(20_000) < 0.3, rng.random(20_000) < 0.01
    own = [EventScores("rich", rich + 0.0, rich), EventScores("poor", poor + 5.0, poor)]
    moved = score.on_other_events(own, 1)
    assert [m.name for m in moved] == ["rich", "poor"] and sum(m.truth.sum() for m in moved) == rich.sum() + poor.sum()
    pooled = roc_auc(np.concatenate([m.scores for m in moved]), np.concatenate([m.truth for m in moved]))
    assert pooled == pytest.approx(0.5, abs=0.02) and roc_auc(own[0].scores, own[0].truth) == 1.0


@pytest.mark.parametrize("labelled", [True, False])
def test_an_empty_recording_has_counts(labelled):
    view, labels, _ = scene()
    empty = View("none", view.events[:0], view.kept[:0], SENSOR, SPEC, view.start_us[:0], lambda: iter(()))
    s = score.subject(empty, labels if labelled else labels[:0], None, SETTINGS)
    response = from_scores(empty, np.zeros(0))
    assert len(score.event_scores(s, response, SETTINGS).scores) == 0
    assert score.object_counts(s, response, 0.5, 5.0, SETTINGS)["fp"] == 0
    assert score.volume_counts(s, response, SETTINGS)["fp"] == 0
    assert score.pixel_counts(s, response, 0.5, SETTINGS)["tn"] == 0
