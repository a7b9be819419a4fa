"""Tracks against objects, by hand: times at the middles of slices of 10 ms, from 5 ms on."""

import numpy as np
import pytest

from spikeseg.data.recording import LABEL_DTYPE
from spikeseg.metrics.track import COUNTED, VALUES, FoundTrack, outcome, track_counts

SECOND = 1_000_000
NOTHING = np.zeros(0, LABEL_DTYPE)


def labels(*points):
    """From (t in s, x, y, id)."""
    return np.array([(round(t * SECOND), x, y, name) for t, x, y, name in points], LABEL_DTYPE)


def track(*points, velocity=(0.0, 0.0)):
    """From (t in s, x, y)."""
    table = np.array(points, np.float64)
    return FoundTrack(table[:, 0] * SECOND, table[:, 1:], np.tile(velocity, (len(table), 1)).astype(np.float64), 1.0)


def counted(tracks, points=NOTHING, seconds=1.0, **options):
    return track_counts(tracks, points, start_us=0, end_us=round(seconds * SECOND) - 1, **options)


STILL = labels((0, 50, 50, 1), (1, 50, 50, 1))
MOVING = labels((0, 10, 20, 1), (1, 40, 60, 1))  # (30, 40) px/s


def test_a_perfect_track():
    found = counted([track((0, 10, 20), (1, 40, 60), velocity=(30, 40))], MOVING)
    assert {name: found[name] for name in COUNTED} == {
        "objects": 1, "found": 1, "life": 100, "covered": 100, "switches": 0,
        "tracks": 1, "true_tracks": 1, "false_tracks": 0, "duration_us": SECOND,
    }  # fmt: skip
    np.testing.assert_allclose(found["position_errors_px"], np.zeros(100), atol=1e-9)
    np.testing.assert_allclose([*found["velocity_errors"], *found["velocity_errors_px_s"]], [0, 0], atol=1e-9)


def test_errors_of_position_and_velocity():
    found = counted([track((0, 10, 24), (1, 40, 64), velocity=(30, 45))], MOVING)
    assert found["covered"] == 100
    np.testing.assert_allclose(found["position_errors_px"], np.full(100, 4.0))
    np.testing.assert_allclose(found["velocity_errors_px_s"], [5.0])
    np.testing.assert_allclose(found["velocity_errors"], [0.1])


def test_the_tolerance_includes_its_border():
    aside = [track((0, 53, 54), (1, 53, 54))]
    assert counted(aside, STILL)["covered"] == 100 and counted(aside, STILL)["position_errors_px"] == [5.0] * 100
    assert counted(aside, STILL, tolerance_px=4.99)["covered"] == 0


def test_velocities_are_averaged_before_they_are_compared():
    wobbling = FoundTrack(np.array([0.0, SECOND]), np.array([[10, 20], [40, 60.0]]), np.array([[20, 40], [40, 40.0]]))
    np.testing.assert_allclose(counted([wobbling], MOVING)["velocity_errors_px_s"], [0], atol=1e-9)


def test_the_true_velocity_is_that_between_the_labels_around():
    bent = labels((0, 10, 20, 1), (0.5, 20, 20, 1), (1, 20, 30, 1))  # 20 px/s in x, then 20 px/s in y
    found = counted([track((0, 10, 20), (0.499, 20, 20), velocity=(20, 0))], bent)
    assert found["covered"] == 50  # not beyond its end
    np.testing.assert_allclose(found["velocity_errors_px_s"], [0], atol=1e-9)


def test_a_still_object_has_no_relative_velocity_error():
    found = counted([track((0, 50, 50), (1, 50, 50), velocity=(3, 4))], STILL)
    assert found["velocity_errors"] == [] and found["velocity_errors_px_s"] == pytest.approx([5.0])


def test_a_track_is_interpolated_between_its_points_and_not_beyond_its_ends():
    found = counted([track((0.2, 48, 50), (0.4, 52, 50))], STILL)
    assert (found["covered"], found["found"], found["true_tracks"]) == (20, 0, 1)
    assert max(found["position_errors_px"]) <= 2 and np.median(found["position_errors_px"]) == pytest.approx(1.0)


def test_an_object_is_found_from_half_of_its_life_on():
    assert counted([track((0, 50, 50), (0.499, 50, 50))], STILL)["found"] == 1
    assert counted([track((0, 50, 50), (0.489, 50, 50))], STILL)["found"] == 0


def test_a_track_longer_than_its_object_is_false_if_most_of_it_is_elsewhere():
    long = track((0, 50, 50), (1, 50, 50))
    short = labels((0, 50, 50, 1), (0.495, 50, 50, 1))
    assert counted([long], short)["true_tracks"] == 1  # 50 of 100 times, the last of them at the last label
    found = counted([long], labels((0, 50, 50, 1), (0.494, 50, 50, 1)))
    assert (found["covered"], found["found"], found["true_tracks"], found["false_tracks"]) == (49, 1, 0, 1)


def test_a_track_over_two_objects_one_after_the_other_is_true():
    points = labels((0, 50, 50, 1), (0.3, 50, 50, 1), (0.31, 50, 50, 2), (0.6, 50, 50, 2))
    found = counted([track((0, 50, 50), (1, 50, 50))], points)
    assert (found["objects"], found["found"], found["true_tracks"]) == (2, 2, 1)


def test_a_track_of_one_point_lives_only_at_that_time():
    found = counted([track((0.505, 50, 50))], STILL)
    assert (found["tracks"], found["true_tracks"], found["covered"]) == (1, 1, 1)
    assert found["velocity_errors_px_s"] == []  # one time is no motion
    between = counted([track((0.501, 50, 50))], STILL)
    assert (between["tracks"], between["covered"]) == (0, 0)


def test_one_label_alone():
    found = counted([track((0, 50, 50), (1, 50, 50), velocity=(3, 4))], labels((0.505, 50, 50, 7)))
    assert (found["objects"], found["life"], found["covered"], found["false_tracks"]) == (1, 1, 1, 1)
    assert counted([], labels((0.501, 50, 50, 7)))["objects"] == 0  # between two times of the grid


def test_the_previous_track_is_kept_while_it_covers_then_the_nearest_taken():
    first = track((0, 53, 50), (0.5, 53, 50))
    nearer = track((0.2, 51, 50), (1, 51, 50))
    found = counted([first, nearer], STILL)
    assert (found["covered"], found["switches"], found["true_tracks"], found["false_tracks"]) == (100, 1, 2, 0)
    np.testing.assert_allclose(found["position_errors_px"], [3.0] * 50 + [1.0] * 50)
    assert counted([nearer, first], STILL) == found


def test_of_two_tracks_at_once_the_nearest_is_taken_and_no_switch_counted():
    two = [track((0, 52, 50), (1, 52, 50)), track((0, 49, 50), (1, 49, 50))]
    found = counted(two, STILL)
    assert (found["covered"], found["switches"], found["true_tracks"]) == (100, 0, 2)
    np.testing.assert_allclose(found["position_errors_px"], np.ones(100))


def test_a_switch_counts_over_a_gap_and_the_same_track_again_does_not():
    broken = [track((0, 50, 50), (0.3, 50, 50)), track((0.6, 50, 50), (1, 50, 50))]
    assert (counted(broken, STILL)["switches"], counted(broken, STILL)["covered"]) == (1, 70)
    leaving = track((0, 50, 50), (0.4, 50, 50), (0.401, 90, 50), (0.6, 90, 50), (0.601, 50, 50), (1, 50, 50))
    found = counted([leaving], STILL)
    assert (found["switches"], found["covered"], found["tracks"], found["true_tracks"]) == (0, 80, 1, 1)


def test_crossing_objects_swap_their_tracks():
    points = labels((0, 10, 50, 1), (1, 110, 50, 1), (0, 110, 50, 2), (1, 10, 50, 2))
    bouncing = [track((0, 10, 50), (0.5, 60, 50), (1, 10, 50)), track((0, 110, 50), (0.5, 60, 50), (1, 110, 50))]
    found = counted(bouncing, points)
    assert (found["switches"], found["found"], found["true_tracks"]) == (2, 2, 2)


def test_no_life_in_a_gap_of_the_labels():
    gap = labels((0, 50, 50, 1), (0.2, 50, 50, 1), (1.7, 50, 50, 1), (2, 50, 50, 1))
    found = counted([track((0, 50, 50), (2, 50, 50))], gap, seconds=2)
    assert (found["life"], found["covered"], found["found"], found["false_tracks"]) == (50, 50, 1, 1)
    assert counted([], gap, seconds=2, max_gap_us=2e6)["life"] == 200


def test_what_lies_beyond_the_scored_time_does_not_count():
    tracks = [track((0, 50, 50), (1, 50, 50)), track((0, 90, 90), (0.3, 90, 90))]
    found = track_counts(tracks, STILL, start_us=SECOND // 2, end_us=2 * SECOND - 1)
    assert (found["life"], found["covered"], found["tracks"], found["duration_us"]) == (50, 50, 1, 3 * SECOND // 2)


def test_a_last_slice_that_is_cut_off_is_looked_at_in_its_own_middle():
    assert track_counts([], STILL, start_us=0, end_us=10_003)["life"] == 2
    assert track_counts([], labels((0.010002, 1, 1, 1)), start_us=0, end_us=10_003)["life"] == 1


def test_false_tracks_count_without_objects_and_labels_without_tracks():
    found = counted([track((0, 5, 5), (1, 5, 5))])
    assert (found["objects"], found["life"], found["tracks"], found["false_tracks"]) == (0, 0, 1, 1)
    missed = counted([], STILL)
    assert (missed["objects"], missed["found"], missed["life"], missed["covered"], missed["tracks"]) == (1, 0, 100, 0, 0)
    empty = counted([])
    assert all(empty[name] == 0 for name in COUNTED if name != "duration_us") and all(empty[name] == [] for name in VALUES)


def test_order_of_labels_does_not_matter():
    points = labels((0, 10, 20, 1), (0.5, 25, 40, 1), (1, 40, 60, 1), (0, 80, 80, 2), (1, 80, 80, 2))
    tracks = [track((0, 10, 20), (1, 40, 60), velocity=(30, 40)), track((0.1, 81, 80), (1, 79, 80))]
    assert counted(tracks, points[::-1]) == counted(tracks, points)


def test_what_is_no_track_is_refused():
    with pytest.raises(ValueError, match="track 1: 2 points; expected one or more, at rising times"):
        counted([track((0, 1, 1)), track((1, 1, 1), (1, 2, 2))])
    with pytest.raises(ValueError, match="track 0: 0 points"):
        counted([FoundTrack(np.zeros(0), np.zeros((0, 2)), np.zeros((0, 2)))])
    with pytest.raises(ValueError, match=r"velocities \(2, 2\); expected \(1, 2\)"):
        counted([FoundTrack(np.zeros(1), np.zeros((1, 2)), np.zeros((2, 2)))])
    with pytest.raises(ValueError, match="expected an end not before the start"):
        track_counts([], NOTHING, start_us=5, end_us=4)


def test_the_outcome_names_what_is_counted():
    rng = np.random.default_rng(4)
    for _ in range(20):
        points = labels(*((t, *rng.uniform(0, 20, 2), name) for name in range(rng.integers(0, 4)) for t in (0.1, 0.3, 0.5)))
        tracks = [track((a, *rng.uniform(0, 20, 2)), (a + 0.3, *rng.uniform(0, 20, 2))) for a in rng.uniform(-0.5, 1.3, 5)]
        told, counts = outcome(tracks, points, start_us=0, end_us=SECOND - 1), counted(tracks, points)
        assert [*told.found] == sorted({*points["id"].tolist()}) and sum(told.found.values()) == counts["found"]
        assert (told.lived.sum(), told.true[told.lived].sum()) == (counts["tracks"], counts["true_tracks"])
    assert outcome([], NOTHING, start_us=0, end_us=1).found == {}
