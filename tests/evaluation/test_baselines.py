"""What every mode is read against."""

import dataclasses

import numpy as np
import pytest

from spikeseg.data.frames.framing import FrameSpec, starts
from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.data.windows import WindowedRecording
from spikeseg.evaluation.baselines import baselines

SPEC = FrameSpec(n_timesteps=4, timestep_us=25_000)


def night(n=4000, name="night", sensor=(40, 30)):
    """Events along one line, over a second."""
    events = np.zeros(n, EVENT_DTYPE)
    events["t"], events["x"], events["y"] = np.linspace(7_000_000, 8_000_000, n).astype(int), 11, 5
    return WindowedRecording(name, events, np.ones(n, bool), sensor, SPEC, starts(events, SPEC, 7_000_000), lambda: iter(()))


def answers(recording, seed=3):
    return {detector.name: detector.respond(recording) for detector in baselines(seed)}


def test_raw_events_are_their_own_answer_and_everything_is_every_pixel():
    recording = night()
    found = answers(recording)
    assert list(found) == ["raw_events", "random_scores", "everything", "random"]
    raw, everything = found["raw_events"], found["everything"]
    assert (raw.scores == 1).all() and (raw.points["w"] == 1).all() and not raw.everywhere
    assert all(np.array_equal(raw.points[name], recording.events[name]) for name in "txy")
    assert raw.maps[0].dense().sum() == 4 and len(raw.maps) == len(recording.start_us)
    assert (everything.scores == 1).all() and everything.everywhere and everything.points is None
    assert (everything.maps[-1].dense() == 1).all() and everything.maps[-1].shape == (4, 30, 40)
    listed = everything.window_objects(recording, 2, 0.5)
    assert sorted(map(tuple, listed.tolist())) == [(x, y) for x in range(40) for y in range(30)]


def test_random_is_as_many_events_anywhere_at_any_time():
    recording = night()
    random = answers(recording)["random"]
    points, scores = random.points, random.scores
    assert len(points) == 4000 and (points["w"] == 1).all() and (np.diff(points["t"]) >= 0).all()
    assert points["t"].min() >= 7_000_000 and points["t"].max() <= 8_000_000
    for axis, size in (("x", 40), ("y", 30)):
        counts = np.bincount(points[axis], minlength=size)
        assert len(counts) == size and counts.min() > 0.5 * 4000 / size
    assert abs(points["t"].mean() - 7_500_000) < 20_000
    lit = np.mean([part.dense().mean() for part in random.maps])
    assert lit == pytest.approx(1 - np.exp(-4000 / (1200 * 40)), rel=0.1)  # of 1200 pixels in 40 steps
    assert scores.shape == (4000,) and abs(scores.mean() - 0.5) < 0.03 and len(np.unique(scores)) > 3900


def test_random_scores_are_of_the_raw_events():
    recording = night()
    found = answers(recording)["random_scores"]
    assert np.array_equal(found.points["w"], found.scores) and np.array_equal(found.points["x"], recording.events["x"])
    assert 0 <= found.scores.min() < 0.01 and 0.99 < found.scores.max() < 1


def test_draws_follow_from_the_seed_and_the_name():
    def drawn(recording, seed):
        found = answers(recording, seed)
        return [found["random"].points.tobytes(), found["random"].scores.tobytes(), found["random_scores"].scores.tobytes()]

    again = drawn(night(), 3)
    assert again == drawn(night(), 3)
    for other in (drawn(night(), 4), drawn(night(name="\udcff other"), 3)):
        assert all(a != b for a, b in zip(again, other, strict=True))


def test_a_recording_without_events_has_baselines_too():
    empty = dataclasses.replace(night(), events=np.zeros(0, EVENT_DTYPE), kept=np.zeros(0, bool), start_us=np.zeros(0, np.int64))
    for response in answers(empty).values():
        assert len(response.scores) == len(response.maps) == 0
