"""The common velocity of made-up tracks, and how a field's motion adds up."""

import numpy as np
import pytest

from spikeseg.tracking.star_field import BLUR_PX, LEAST_S, MIN_STARS, STILL, TOGETHER_S, StarField, common_velocity


def velocity_of(*tracks):
    """The common velocity of tracks (vx, first and last time in s, 10 detections per s)."""
    spans = np.array([track[1:] for track in tracks], float).reshape(-1, 2)
    velocities = np.array([[track[0], 0.0] for track in tracks]).reshape(-1, 2)
    return common_velocity(velocities, spans, 10 * (spans[:, 1] - spans[:, 0]))


def test_the_densest_point_is_the_field_and_not_the_mean():
    assert velocity_of((20, 0, 5), (20.5, 0, 5), (19.5, 0, 5), (80, 0, 5)) == pytest.approx([20, 0], abs=0.05)


def test_detections_count_and_not_tracks():
    """Three tracks of 5 s outweigh eight of 1.2 s, of which each is counted by its detections."""
    short = [(-40, 0.5 * k, 0.5 * k + 1.2) for k in range(8)]
    assert velocity_of(*[(10, 0, 5)] * 3, *short) == pytest.approx([10, 0], abs=0.1)
    assert velocity_of(*[(10, 0, 5)] * 3, *short, *short) == pytest.approx([-40, 0], abs=0.1)


def test_a_longer_track_pulls_harder_because_it_is_known_better():
    found = velocity_of((10, 0, 8), (10, 0, 8), (10.8, 0, 1.5), (10.8, 0, 1.5))
    assert 10.0 < found[0] < 10.1 and found[1] == 0.0


@pytest.mark.parametrize("n", range(4))
def test_too_few_tracks_are_no_star_field(n):
    found = velocity_of(*[(25 + 0.1 * k, 2.5 * k, 2.5 * k + 2.4) for k in range(n)])  # one after the other
    assert (found is None) is (n < MIN_STARS) and MIN_STARS == 3
    assert found is None or (found.dtype == np.float64 and found == pytest.approx([25.1, 0], abs=0.05))


def test_two_tracks_are_a_field_if_they_are_seen_together_for_long_enough():
    assert velocity_of((25, 0, 4), (25, 4 - TOGETHER_S, 8)) == pytest.approx([25, 0])
    assert velocity_of((25, 0, 4), (25, 4.1 - TOGETHER_S, 8)) is None


def test_pieces_of_one_object_are_no_field():
    """One object that is lost once, or that overlaps with itself for a moment, does not carry the field away."""
    assert velocity_of((60, 0, 3), (60, 3.3, 6)) is None
    assert velocity_of((60, 0, 3), (60, 2.0, 6)) is None


def test_what_is_too_short_to_disagree_does_not_count():
    just = LEAST_S - 0.05
    assert velocity_of((25, 0, 5), (25, 5, 9), (25, 1, 1 + just)) is None
    assert velocity_of((25, 0, 5), (25, 5, 9), (25, 1, 1 + LEAST_S)) == pytest.approx([25, 0])


def test_the_belief_that_the_telescope_follows_the_stars():
    """STILL detections' worth of stars stand still: it decides where tracks nearly tie, and names no field alone."""
    fast, still = [(30, 0, 2)] * 3, [(0, 0, 1.6)] * 3
    assert 3 * 16 < 3 * 20 < 3 * 16 + STILL
    assert velocity_of(*fast, *still) == pytest.approx([0, 0], abs=0.1)
    assert velocity_of(*fast, *[(0, 0, 1.3)] * 3) == pytest.approx([30, 0], abs=0.1)
    assert velocity_of(*fast) == pytest.approx([30, 0])
    assert velocity_of((0, 0, 5)) is None


def test_the_mode_is_climbed_to_where_tracks_are_densest():
    """By hand: between two equally dense tracks lies their mean."""
    found = velocity_of((10, 0, 5), (10.6, 0, 5), (10, 0, 5), (10.6, 0, 5))
    assert found == pytest.approx([10.3, 0], abs=0.01) and BLUR_PX / 5 > 0.3


def test_the_next_densest_point_is_taken_where_the_densest_is_no_field():
    assert velocity_of((60, 0, 40), *[(10, k, k + 3) for k in range(3)]) == pytest.approx([10, 0], abs=0.05)


def test_a_field_that_stands_still():
    still, times = StarField.still(), np.array([-5e6, 0.0, 7e6])
    assert not still.shift(times).any() and not still.velocity(times).any() and still.mean.tolist() == [0, 0]
    assert still.shift(times).shape == still.velocity(times).shape == (3, 2)


def test_shift_and_velocity_over_spans_by_hand():
    field = StarField(np.array([1e6, 3e6, 4e6]), np.array([[10.0, 0.0], [-5.0, 2.0]]))
    times = np.array([0.0, 1e6, 2e6, 3e6, 3.5e6, 6e6])
    assert field.shift(times).tolist() == [[-10, 0], [0, 0], [10, 0], [20, 0], [17.5, 1], [5, 6]]
    assert field.velocity(times).tolist() == [[10, 0]] * 3 + [[-5, 2]] * 3
    np.testing.assert_allclose(field.mean, [5, 2 / 3])
    assert field.shift(np.zeros(0)).shape == (0, 2)


def test_a_shift_has_no_jumps():
    field = StarField(np.array([0.0, 1e6, 4e6, 5e6]), np.array([[30.0, -7.0], [0.0, 12.0], [-90.0, 0.0]]))
    times = np.arange(-1e6, 7e6, 1e4)
    assert np.abs(np.diff(field.shift(times), axis=0)).max() <= 90 * 0.01 + 1e-9
