"""`evaluation.scope`: what is answered outside of what is scored changes no row of any mode."""

import dataclasses

import numpy as np
import pytest

from spikeseg.config.sections import EvaluationConfig
from spikeseg.data.frames.framing import FrameSpec, starts
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, SOURCE_OBJECT, SOURCE_STAR, TRUTH_DTYPE
from spikeseg.data.windows import WindowedRecording
from spikeseg.detection.response import from_scores
from spikeseg.metrics.mode import CountSettings, LabelledRecording, modes_of
from spikeseg.metrics.volume import OUTPUT_DTYPE

SPEC = FrameSpec(n_timesteps=4, timestep_us=10_000)
MODES = [mode.name for mode in modes_of(["event", "pixel", "object", "volume", "track"])]


def night():
    """0.4 s of noise on 30 x 20 pixels, labelled from 0.1 to 0.3 s. -> recording, labels, truth of events."""
    rng = np.random.default_rng(0)
    events = np.zeros(600, EVENT_DTYPE)
    events["t"] = np.sort(rng.integers(0, 400_000, 600))
    events["x"], events["y"] = rng.integers(0, 30, 600), rng.integers(0, 20, 600)
    events["t"][[0, -1]] = 0, 399_999
    truth = np.zeros(600, TRUTH_DTYPE)
    truth["source"] = rng.choice([SOURCE_OBJECT, SOURCE_STAR], 600)
    labels = np.array([(t, 15.0, 10.0, 1) for t in (100_000, 200_000, 300_000)], LABEL_DTYPE)
    start_us = starts(events, SPEC, 0)
    return WindowedRecording("r", events, np.ones(600, bool), (30, 20), SPEC, start_us, lambda: iter(())), labels, truth


def answered(recording, scores):
    """An answer of events that are objects for an instant each."""
    points = np.zeros(len(scores), OUTPUT_DTYPE)
    for name in "txy":
        points[name] = recording.events[name]
    points["w"] = scores
    return dataclasses.replace(from_scores(recording, scores), points=points)


def rows(scope, change):
    """Of every mode, the row of random scores that `change` has altered."""
    recording, labels, truth = night()
    settings = EvaluationConfig(scope=scope)
    labelled = LabelledRecording.of(recording, labels, truth, settings)
    scores = np.random.default_rng(1).random(600)
    scores[change(recording.events["t"])] = 1.0
    answer, how = answered(recording, scores), CountSettings(settings, 0.9, 0.5)
    return {
        mode.name: repr(mode.count(labelled, answer, how)) for mode in modes_of(["event", "pixel", "object", "volume", "track"])
    }


@pytest.mark.parametrize(
    ("scope", "change", "matters"),
    [
        ("labelled_span", lambda t: t < 80_000, False),  # objects are looked for in windows, whose middles lie in the span
        ("labelled_span", lambda t: t >= 320_000, False),
        ("labelled_span", lambda t: (t >= 100_000) & (t < 120_000), True),
        ("labelled_span", lambda t: (t >= 280_000) & (t < 300_000), True),
        ("recording", lambda t: t < 80_000, True),
        ("recording", lambda t: t >= 320_000, True),
    ],
)
def test_only_what_is_scored_counts(scope, change, matters):
    before, after = rows(scope, lambda t: np.zeros(len(t), bool)), rows(scope, change)
    assert list(before) == MODES
    assert {mode: before[mode] != after[mode] for mode in MODES} == dict.fromkeys(MODES, matters)


def test_steps_count_whose_middle_is_the_first_or_the_last_moment_scored():
    recording, labels, truth = night()
    labels["t"] = 105_000, 200_000, 295_000  # steps of 10 ms from 0
    settings = EvaluationConfig(scope="labelled_span")
    labelled = LabelledRecording.of(recording, labels, truth, settings)
    (pixel,) = modes_of(["pixel"])
    row = pixel.count(labelled, answered(recording, np.zeros(600)), CountSettings(settings, 0.9, 0.5))
    assert sum(row[name] for name in ("tp", "fp", "fn", "tn")) == 20 * 30 * 20


def test_the_span_follows_the_labels_that_an_answer_is_held_against():
    """The control takes another recording's labels, and with them, on this recording's clock, its span."""
    recording, labels, truth = night()
    settings = EvaluationConfig(scope="labelled_span")
    own = LabelledRecording.of(recording, labels, truth, settings)
    late = dataclasses.replace(recording, events=recording.events.copy())
    late.events["t"] += 1_000_000
    other = labels[:2].copy()
    other["t"] += 1_050_000
    shuffled = own.with_labels_of(LabelledRecording.of(late, other, None, settings), settings)
    assert (own.start_us, own.end_us) == (100_000, 300_000)
    assert (shuffled.start_us, shuffled.end_us) == (150_000, 250_000) and shuffled.truth is None


@pytest.mark.parametrize("which", ["own", "other", "both"])
def test_labels_go_to_a_recording_without_events_as_they_are(which):
    recording, labels, _ = night()
    empty = dataclasses.replace(recording, events=recording.events[:0], kept=recording.kept[:0])
    settings = EvaluationConfig()
    own, other = (empty if which in (name, "both") else recording for name in ("own", "other"))
    given = LabelledRecording.of(own, labels[:0], None, settings).with_labels_of(
        LabelledRecording.of(other, labels, None, settings), settings
    )
    assert np.array_equal(given.labels, labels)
