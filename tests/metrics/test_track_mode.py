"""Mode `track`: figures of what was counted, and their intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.metrics.rates import Bootstrap
from spikeseg.metrics.track import COUNTED, VALUES
from spikeseg.metrics.track_mode import medians, score

SECOND = 1_000_000


def row(name, **values):
    return {"name": name} | dict.fromkeys(COUNTED, 0) | {value: [] for value in VALUES} | values


def test_score_by_hand():
    a = row("a", objects=2, found=1, life=300, covered=120, switches=3, tracks=3, true_tracks=2, false_tracks=1,
            duration_us=10 * SECOND, position_errors_px=[1.0, 2.0, 4.0], velocity_errors=[0.1, 0.3],
            velocity_errors_px_s=[2.0, 3.0])  # fmt: skip
    b = row("b", tracks=2, false_tracks=2, duration_us=20 * SECOND)  # no object: counts through its false tracks
    found = score([a, b])
    assert found["coverage"] == pytest.approx(0.4) and found["recall"] == 0.5 and found["precision"] == pytest.approx(0.4)
    assert found["switches_per_object"] == 1.5 and found["false_tracks_per_minute"] == pytest.approx(6.0)
    assert (found["position_error_px"], found["velocity_error_px_s"]) == (2.0, 2.5)
    assert found["velocity_error"] == pytest.approx(0.2)
    assert (found["objects"], found["false_tracks"], found["duration_us"]) == (2, 3, 30 * SECOND)
    one, other = found["recordings"]
    assert one["false_tracks_per_minute"] == pytest.approx(6.0) and one["precision"] == pytest.approx(2 / 3)
    assert other["recall"] is other["coverage"] is other["position_error_px"] is None and other["precision"] == 0
    assert not set(VALUES) & set(one)
    assert found["intervals"]["false_tracks_per_minute"] == pytest.approx([6, 6])
    assert found["intervals"]["position_error_px"] == [2, 2]  # the median of one list, drawn once or twice


def test_intervals_of_a_median_are_those_of_its_resamples():
    rng = np.random.default_rng(0)
    rows = [row(str(i), velocity_errors_px_s=rng.exponential(3, i).tolist(), duration_us=1) for i in range(6)]
    low, high = score(rows, Bootstrap(seed=3))["intervals"]["velocity_error_px_s"]
    assert low < score(rows)["velocity_error_px_s"] < high
    assert score(rows, Bootstrap(seed=3))["intervals"] == score(rows, Bootstrap(seed=3))["intervals"]


def test_no_recordings_and_silence():
    nothing = score([])
    assert nothing["objects"] == 0 and nothing["coverage"] is None and nothing["recordings"] == []
    silent = score([row("a", objects=1, life=10, duration_us=SECOND)] * 2)
    assert silent["coverage"] == silent["recall"] == silent["false_tracks_per_minute"] == 0
    assert silent["precision"] is silent["position_error_px"] is silent["intervals"]["velocity_error"] is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(st.integers(-5, 5), max_size=4), st.integers(0, 3)), max_size=5))
def test_medians_are_numpys_of_the_repeated_values(recordings):
    lists = [np.array(values, np.float64) for values, _ in recordings]
    weights = np.array([weight for _, weight in recordings], np.int64)
    plainly = np.concatenate([np.zeros(0), *(np.tile(v, w) for v, w in zip(lists, weights, strict=True))])
    found = medians(lists, weights[None])
    expected = np.median(plainly) if len(plainly) else np.nan
    np.testing.assert_array_equal(found, [expected])
