"""One answer held against labels, in every mode."""

import dataclasses

import numpy as np
import pytest

from spikeseg.config.sections import EvaluationConfig, TrackingConfig
from spikeseg.core.sparse import SparseMap
from spikeseg.data.frames.framing import FrameSpec, starts
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, SOURCE_OBJECT, SOURCE_STAR, TRUTH_DTYPE
from spikeseg.data.windows import WindowedRecording
from spikeseg.detection.response import Response, from_scores
from spikeseg.detection.tracked import answer
from spikeseg.metrics.event import EventScores, near_objects, permuted_truth, roc_auc
from spikeseg.metrics.mode import CountSettings, LabelledRecording, mode_named

SPEC = FrameSpec(n_timesteps=4, timestep_us=10_000)
SENSOR = (60, 40)
SETTINGS = EvaluationConfig()


def counted(mode, labelled, answer, threshold=0.5, object_threshold=0.5, **settings):
    """The row of a mode."""
    return mode_named(mode).count(labelled, answer, CountSettings(EvaluationConfig(**settings), threshold, object_threshold))


def events_of(mode, labelled, answer):
    """The scored events of one of the event modes; None without a row."""
    row = counted(mode, labelled, answer)
    return row and row.events


def scene(seed: int = 0, spec: FrameSpec = SPEC) -> tuple[WindowedRecording, np.ndarray, np.ndarray]:
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
    return WindowedRecording("scene", events, np.ones(len(events), bool), SENSOR, spec, start_us, lambda: iter(())), labels, truth


def perfect(view: WindowedRecording, truth: np.ndarray):
    return from_scores(view, (truth["source"] == SOURCE_OBJECT).astype(float))


@pytest.mark.parametrize("size", [None, 20])
def test_a_perfect_answer_is_perfect_in_every_mode_at_any_frame_size(size):
    spec = FrameSpec(4, 10_000, height=size, width=size and 30)
    view, labels, truth = scene(spec=spec)
    s, response = LabelledRecording.of(view, labels, truth, SETTINGS), perfect(view, truth)
    exact = events_of("event_exact", s, response)
    assert np.array_equal(exact.scores > 0, exact.truth) and exact.truth.sum() == 800
    near = events_of("event", s, response)
    assert near.truth[exact.truth].all() and 0 < (near.truth & ~exact.truth).sum() < 30
    objects = counted("object", s, response, 0.5, 0.5, spatial_tolerance_px=5.0)
    assert (objects["tp"], objects["fp"], objects["fn"]) == (10, 0, 0)
    volume = counted("volume", s, response, object_threshold=0.5)
    assert volume["fp"] == volume["fn"] == 0 and volume["tp"] == 40
    pixel = counted("pixel", s, response, 0.5, 0.5, pixel_tolerance_px=3.0)
    assert pixel["fp"] == 0 and pixel["tp"] >= 40 and pixel["name"] == "scene"


def test_a_blind_answer_finds_nothing_and_raises_no_alarm():
    view, labels, truth = scene()
    s, response = LabelledRecording.of(view, labels, truth, SETTINGS), from_scores(view, np.zeros(len(view.events)))
    objects = counted("object", s, response, 0.5, 0.5, spatial_tolerance_px=5.0)
    assert (objects["tp"], objects["fp"], objects["fn"]) == (0, 0, 10)
    volume = counted("volume", s, response, object_threshold=0.5)
    assert volume["tp"] == volume["fp"] == 0 and volume["fn"] == 40
    pixel = counted("pixel", s, response, 0.5, 0.5)
    assert pixel["tp"] == pixel["fp"] == 0 and pixel["fn"] > 0


def test_the_labelled_span_limits_what_is_scored_and_not_what_is_seen():
    view, labels, truth = scene()
    inner = labels[1:4]
    s = LabelledRecording.of(view, inner, truth, EvaluationConfig(scope="labelled_span"))
    assert (s.start_us, s.end_us) == (100_000, 300_000)
    response = perfect(view, truth)
    assert len(events_of("event", s, response).scores) == s.scored.sum() < len(view.events)
    assert len(response.scores) == len(view.events)
    row = counted("object", s, response, 0.5, 0.5, spatial_tolerance_px=5.0)
    assert row["tp"] == 6 and row["fn"] == 0  # windows with their middle at 100, 140, ..., 300 ms
    whole = LabelledRecording.of(view, labels[:0], truth, EvaluationConfig(scope="labelled_span"))
    assert whole.scored.all()


def test_truth_tells_objects_from_stars():
    view, labels, truth = scene()
    truth["source"][::2] = SOURCE_STAR
    s = LabelledRecording.of(view, labels, truth, SETTINGS)
    assert events_of("event_exact", s, perfect(view, truth)).truth.sum() == (truth["source"] == SOURCE_OBJECT).sum()
    without = LabelledRecording.of(view, labels, None, SETTINGS)
    assert (
        events_of("event_exact", without, perfect(view, truth)) is None is events_of("event_stars", without, perfect(view, truth))
    )


def test_against_stars_alone_noise_does_not_count():
    """Half of the noise is put down to a star: what is near the object, and what a star caused elsewhere, is left."""
    view, labels, truth = scene()
    noise = np.flatnonzero(truth["source"] != SOURCE_OBJECT)
    truth["source"][noise[::2]] = SOURCE_STAR
    s, response = LabelledRecording.of(view, labels, truth, SETTINGS), perfect(view, truth)
    near = near_objects(s, SETTINGS)
    found = events_of("event_stars", s, response)
    assert len(found.scores) == (near | (truth["source"] == SOURCE_STAR)).sum() < len(view.events)
    assert found.truth.sum() == near.sum() and not found.truth.all()
    assert np.array_equal(found.scores, response.scores[near | (truth["source"] == SOURCE_STAR)])
    inner = LabelledRecording.of(view, labels[1:4], truth, EvaluationConfig(scope="labelled_span"))
    kept = near_objects(inner, SETTINGS) | (truth["source"] == SOURCE_STAR)
    within = (view.events["t"] >= 100_000) & (view.events["t"] <= 300_000)
    assert len(events_of("event_stars", inner, response).scores) == (kept & within).sum() < kept.sum()


# -- tracks ------------------------------------------------------------------------------------------


@pytest.fixture(params=[None, 20], ids=["sensor", "half"])
def tracked(request):
    """The scene with what a perfect detector's tracks say: one track, of the object, that is an object from 0.3 on."""
    view, labels, truth = scene(spec=FrameSpec(4, 10_000, height=request.param, width=request.param and 30))
    response = answer(view, perfect(view, truth).maps, 0.5, TrackingConfig())
    (one,) = response.tracked.tracks.tracks
    assert 0.3 < one.score < 0.5 and len(one.slices) == 10
    return LabelledRecording.of(view, labels, truth, SETTINGS), response


@pytest.mark.parametrize(("threshold", "found"), [(0.3, True), (0.5, False)])
def test_tracks_count_from_the_object_threshold_on(tracked, threshold, found):
    s, response = tracked
    objects = counted("object", s, response, 1e9, threshold, spatial_tolerance_px=2.0)
    assert (objects["tp"], objects["fp"], objects["fn"]) == ((10, 0, 0) if found else (0, 0, 10))
    volume = counted("volume", s, response, object_threshold=threshold)
    assert (volume["tp"], volume["fp"], volume["fn"]) == ((40, 0, 0) if found else (0, 0, 40))
    pixel = counted("pixel", s, response, 1e9, threshold, pixel_tolerance_px=3.0)
    assert (pixel["tp"] >= 40) is found and pixel["fp"] == 0
    track = counted("track", s, response, object_threshold=threshold)
    assert (track["found"], track["tracks"], track["false_tracks"]) == ((1, 1, 0) if found else (0, 0, 0))
    assert track["objects"] == 1 and track["name"] == "scene"


def test_a_track_is_looked_for_where_it_is_and_not_where_it_lit_up(tracked):
    """Moved by 6 px, it covers nothing; its places off the sensor are no output."""
    s, response = tracked
    one = response.tracked.tracks.tracks[0]
    one.states[:, 1] += 6
    assert counted("object", s, response, 0.5, 0.3, spatial_tolerance_px=5.0)["fp"] == 10
    assert counted("track", s, response, object_threshold=0.3)["false_tracks"] == 1
    assert counted("volume", s, response, object_threshold=0.3)["tp"] == 0
    one.states[:, 1] += 60
    volume = counted("volume", s, response, object_threshold=0.3)
    assert volume["tp"] == volume["fp"] == 0


def test_pixels_of_other_tracks_are_dark(tracked):
    _, response = tracked
    saliency = [part.dense() for part in response.maps]
    saliency[0][0, 0, 0] = 9.0  # a lone pixel, of no object
    response = dataclasses.replace(response, maps=[SparseMap.of(part) for part in saliency])
    kept = list(response.object_maps(0.3))
    assert not kept[0][0, 0, 0] and all(np.array_equal(a, b) for a, b in zip(kept[1:], saliency[1:], strict=True))
    assert kept[0].any() and not any(part.any() for part in response.object_maps(0.5))


def test_the_labelled_span_holds_for_tracks(tracked):
    s, response = tracked
    inner = LabelledRecording.of(s.recording, s.labels[1:4], s.truth, EvaluationConfig(scope="labelled_span"))
    volume = counted("volume", inner, response, object_threshold=0.3)
    assert (volume["tp"], volume["fp"], volume["fn"]) == (20, 0, 0)
    assert counted("track", inner, response, object_threshold=0.3)["duration_us"] == 200_001


def test_a_detector_that_lists_places_is_held_to_them():
    view, labels, truth = scene()
    s, blind = LabelledRecording.of(view, labels, truth, SETTINGS), from_scores(view, np.zeros(len(view.events)))
    middles = (view.start_us + view.end_us) / 2
    at = [np.array([[10 + 50e-6 * t, 20.0], [50.0, 5.0]]) for t in middles]
    row = counted("object", s, Response(blind.scores, blind.maps, positions=at), 0.5, 0.5, spatial_tolerance_px=2.0)
    assert (row["tp"], row["fp"], row["fn"]) == (10, 10, 0)


def test_another_recordings_labels_are_put_on_this_clock():
    view, labels, truth = scene()
    late, other, _ = scene(1)
    late.events["t"] += 5_000_000
    other["t"] += 5_000_000
    s, donor = LabelledRecording.of(view, labels, truth, SETTINGS), LabelledRecording.of(late, other, None, SETTINGS)
    shuffled = s.with_labels_of(donor, SETTINGS)
    assert shuffled.labels["t"].tolist() == labels["t"].tolist() and other["t"][0] == 5_000_000
    assert events_of("event_exact", shuffled, perfect(view, truth)) is None


def test_truth_on_other_events_is_at_chance_for_perfect_detectors_of_unlike_recordings():
    rng = np.random.default_rng(0)
    rich, poor = rng.random(20_000) < 0.3, rng.random(20_000) < 0.01
    own = [EventScores("rich", rich + 0.0, rich), EventScores("poor", poor + 5.0, poor)]
    moved = permuted_truth(own, 1)
    assert [m.name for m in moved] == ["rich", "poor"] and sum(m.truth.sum() for m in moved) == rich.sum() + poor.sum()
    pooled = roc_auc(np.concatenate([m.scores for m in moved]), np.concatenate([m.truth for m in moved]))
    assert pooled == pytest.approx(0.5, abs=0.02) and roc_auc(own[0].scores, own[0].truth) == 1.0


@pytest.mark.parametrize("labelled", [True, False])
def test_an_empty_recording_has_counts(labelled):
    view, labels, _ = scene()
    empty = WindowedRecording("none", view.events[:0], view.kept[:0], SENSOR, SPEC, view.start_us[:0], lambda: iter(()))
    s = LabelledRecording.of(empty, labels if labelled else labels[:0], None, SETTINGS)
    response = from_scores(empty, np.zeros(0))
    assert len(events_of("event", s, response).scores) == 0
    assert counted("object", s, response, 0.5, 0.5, spatial_tolerance_px=5.0)["fp"] == 0
    assert counted("volume", s, response, object_threshold=0.5)["fp"] == 0
    assert counted("pixel", s, response, 0.5, 0.5)["tn"] == 0
