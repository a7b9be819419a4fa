"""The benchmark of the events that faint objects' scores lie on: shares of all recordings together, and whose events they are."""

from types import SimpleNamespace

import numpy as np
import pytest

from spikeseg.data.recording import SOURCE_OBJECT
from spikeseg.simulation import limit as simulation


@pytest.fixture(scope="module")
def bench(script):
    return script("limit_events")


def test_shares_are_of_all_recordings_together(bench):
    part, whole = np.array([9, 0, 0, 0]), np.array([10, 30, 0, 0])
    value, low, high = bench.share(part, whole, seed=0)
    assert value == 9 / 40  # not the mean of the recordings' shares
    assert low == 0 and high == 0.9
    assert bench.share(np.zeros(3, int), np.zeros(3, int), seed=0) == [None, None, None]


def test_events_count_from_one_half_on_and_by_their_source(bench):
    config = bench.replace(bench.BASE, rate_hz=16.0, seed=3)
    own = simulation.limit_recording(config, 0).truth["source"] == SOURCE_OBJECT

    def detect(recording):
        score = np.where(own, 0.5, 0.49).astype(np.float32)
        score[np.flatnonzero(own)[:5]], score[np.flatnonzero(~own)[:3]] = 0.2, 1.0
        return SimpleNamespace(events={"object_score": score})

    assert bench.counted(SimpleNamespace(detect=detect), 16.0, 0, seed=3) == (own.sum() - 5, own.sum() - 2, own.sum())


def test_no_rate_is_measured_on_the_recordings_of_another(bench, monkeypatch):
    asked = []
    monkeypatch.setattr(bench, "counted", lambda network, rate, index, seed: asked.append((rate, index, seed)) or (1, 2, 4))
    rows = bench.measured(None, [4.0, 8.0], 3, seed=9)
    assert asked == [(4.0, 0, 9), (4.0, 1, 9), (4.0, 2, 9), (8.0, 3, 9), (8.0, 4, 9), (8.0, 5, 9)]
    assert [row["are_the_objects"][0] for row in rows] == [0.5, 0.5] and rows[0]["are_scored"][0] == 0.25
