"""Mode `track` of baselines, which do not track: each point is a track of the slice in which it falls."""

import numpy as np
import pytest

from spikeseg.data.recording import LABEL_DTYPE
from spikeseg.metrics.points import everywhere, point_counts
from spikeseg.metrics.track import FoundTrack, track_counts
from spikeseg.metrics.volume import OUTPUT_DTYPE

HOW = {"start_us": 0, "end_us": 3999, "tolerance_px": 2.0, "slice_us": 1000, "max_gap_us": 1e9}


def points(*rows):
    """From (t, x, y)."""
    return np.array([(*row, 1.0) for row in rows], OUTPUT_DTYPE)


def still(x, y, name=1, end=10_000):
    return np.array([(0, x, y, name), (end, x, y, name)], LABEL_DTYPE)


def test_by_hand():
    """Four slices: the object is covered in the first by the nearer of two, and in the third; three points are false."""
    given = points((0, 5, 7), (999, 6, 5), (1500, 8, 5), (2000, 5, 5), (2999, 0, 0), (3500, 9, 9))
    counts = point_counts(given, still(5, 5), **HOW)
    assert (counts["objects"], counts["found"], counts["life"], counts["covered"], counts["switches"]) == (1, 1, 4, 2, 1)
    assert (counts["tracks"], counts["true_tracks"], counts["false_tracks"]) == (6, 3, 3)
    assert counts["position_errors_px"] == [1.0, 0.0] and counts["velocity_errors"] == counts["velocity_errors_px_s"] == []
    assert counts["duration_us"] == 4000
    assert point_counts(given[:2], still(5, 5), **HOW)["found"] == 0


def test_what_lies_outside_the_scored_time_is_ignored():
    inside = {**HOW, "start_us": 1000, "end_us": 2999}
    given = points((999, 5, 5), (1000, 5, 5), (2999, 5, 5), (3000, 5, 5))
    counts = point_counts(given, still(5, 5), **inside)
    assert (counts["tracks"], counts["covered"], counts["life"], counts["duration_us"]) == (2, 2, 2, 2000)
    with pytest.raises(ValueError, match="from 5 to 4"):
        point_counts(given, still(5, 5), **{**HOW, "start_us": 5, "end_us": 4})


def test_without_objects_or_points():
    nothing = point_counts(points(), np.zeros(0, LABEL_DTYPE), **HOW)
    assert nothing["objects"] == nothing["tracks"] == 0
    blind = point_counts(points(), still(5, 5), **HOW)
    assert (blind["life"], blind["covered"], blind["switches"], blind["found"]) == (4, 0, 0, 0)
    assert point_counts(points((0, 1, 1)), np.zeros(0, LABEL_DTYPE), **HOW)["false_tracks"] == 1


def test_equal_to_tracks_of_one_point_each():
    """In the middle of their slices points are tracks that live for one time of the grid."""
    rng = np.random.default_rng(0)
    given = np.zeros(60, OUTPUT_DTYPE)
    given["t"], given["x"], given["y"] = 500 + 1000 * rng.integers(0, 4, 60), rng.integers(0, 12, 60), rng.integers(0, 12, 60)
    labels = np.concatenate([still(4.3, 5.1), still(9, 2.5, 2, 2600)])
    own = point_counts(given, labels, **HOW)
    tracks = [FoundTrack(np.array([p["t"]]), np.array([[p["x"], p["y"]]], float), np.zeros((1, 2))) for p in given]
    expected = track_counts(tracks, labels, **HOW)
    same = ("objects", "found", "life", "covered", "tracks", "true_tracks", "false_tracks", "duration_us", "switches")
    assert {name: own[name] for name in same} == {name: expected[name] for name in same}
    assert own["position_errors_px"] == pytest.approx(expected["position_errors_px"])


@pytest.mark.parametrize("together", [1, 2**20])
def test_everywhere_is_a_point_at_every_pixel_in_every_slice(monkeypatch, together):
    monkeypatch.setattr("spikeseg.metrics.truth.PIXELS_AT_ONCE", together)
    labels = np.concatenate([still(4.3, 5.1), still(6, 5, 2, 2600), still(-1.5, 3, 3)])
    y, x = np.mgrid[:9, :12]
    each = np.array([(t, *at, 1.0) for t in range(0, 4000, 1000) for at in zip(x.ravel(), y.ravel(), strict=True)], OUTPUT_DTYPE)
    expected = point_counts(each, labels, **HOW)
    found = everywhere((12, 9), labels, **HOW)
    assert found == expected and expected["tracks"] == 4 * 108 and expected["covered"] == 11
    assert everywhere((12, 9), labels[:0], **HOW) == point_counts(each, labels[:0], **HOW)


def test_one_microsecond_is_a_time_too():
    moment = {**HOW, "start_us": 5, "end_us": 5}
    for counts in (point_counts(points((5, 5, 5)), still(5, 5), **moment), track_counts([], still(5, 5), **moment)):
        assert (counts["life"], counts["duration_us"]) == (1, 1)
