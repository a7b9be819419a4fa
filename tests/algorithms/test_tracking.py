"""Tracks of synthetic objects whose paths are known."""

import itertools

import numpy as np
import pytest

from spikeseg.algorithms import kalman
from spikeseg.algorithms.tracking import MAX_SPEED_PX_S, MIN_STARS, Track, Tracker, star_field_velocity

WINDOW_US = 100_000
SIZE = np.array([240.0, 180.0])


def run(windows, **settings):
    """A tracker that saw the windows, and the track of each detection in each."""
    tracker = Tracker(**settings)
    owners = [tracker.update((k + 0.5) * WINDOW_US, np.reshape(found, (-1, 2))) for k, found in enumerate(windows)]
    return tracker, owners


def path(start, velocity, n):
    """Positions at the middle of n windows, (n, 2)."""
    return np.array(start) + (np.arange(n)[:, None] + 0.5) * WINDOW_US * 1e-6 * np.array(velocity)


def test_one_object_by_hand():
    tracker, owners = run(path((10, 20), (50, -10), 4)[:, None])
    (track,) = tracker.tracks
    assert track.id == 1 and track.windows == [0, 1, 2, 3] and track.detections == [0, 0, 0, 0]
    assert track.t_us == [50_000, 150_000, 250_000, 350_000]
    assert [owner[0] for owner in owners] == [track] * 4
    np.testing.assert_allclose(track.states[:, :2], path((10, 20), (50, -10), 4), atol=0.01)
    np.testing.assert_allclose(track.states[:, 2:], np.tile([50.0, -10.0], (4, 1)), rtol=0.01)
    np.testing.assert_allclose(track.velocity, [50, -10], rtol=0.01)


def test_two_crossing_objects_keep_their_ids():
    noise = np.random.default_rng(0).normal(0, 0.5, (2, 41, 2))
    a, b = path((20, 40), (45, 20), 41) + noise[0], path((20, 122), (45, -20), 41) + noise[1]
    assert np.hypot(*(a - b).T).min() < 2  # they meet
    order = np.random.default_rng(1).permuted(np.tile([0, 1], (41, 1)), axis=1)
    tracker, owners = run([np.stack([a[k], b[k]])[order[k]] for k in range(41)])
    assert len(tracker.tracks) == 2
    ids = [[owners[k][int(np.flatnonzero(order[k] == which)[0])].id for k in range(41)] for which in (0, 1)]
    assert sorted({(ids[0][k], ids[1][k]) for k in range(41)}) in ([(1, 2)], [(2, 1)])


@pytest.mark.parametrize("missed", [1, 3])
def test_missed_windows_are_bridged(missed):
    there = path((30, 30), (60, 10), 20)
    seen = [[there[k]] if not 8 <= k < 8 + missed else [] for k in range(20)]
    tracker, _ = run(seen, max_misses=3)
    (track,) = tracker.tracks
    assert track.windows == [k for k in range(20) if seen[k]]
    np.testing.assert_allclose(track.states[:, :2], there[track.windows], atol=0.1)


def test_more_missed_windows_end_a_track():
    there = path((30, 30), (60, 10), 20)
    tracker, _ = run([[there[k]] if not 8 <= k < 12 else [] for k in range(20)], max_misses=3)
    assert [track.windows for track in tracker.tracks] == [list(range(8)), list(range(12, 20))]
    assert [track.id for track in tracker.tracks] == [1, 2]


def test_noise_alone_confirms_no_track():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        tracker, _ = run([rng.uniform(0, 1, (rng.poisson(2), 2)) * SIZE for _ in range(80)], min_hits=3)
        assert tracker.tracks == []


def test_an_object_is_tracked_through_noise():
    rng = np.random.default_rng(5)
    there = path((20, 60), (30, 5), 60)
    windows = [np.vstack([rng.uniform(0, 1, (rng.poisson(3), 2)) * SIZE, there[k] + rng.normal(0, 0.7, 2)]) for k in range(60)]
    tracker, owners = run(windows)
    mine = [owner[-1] for owner in owners]
    longest = max(tracker.tracks, key=lambda track: len(track.windows))
    assert sum(track is longest for track in mine) >= 58
    error = longest.states - np.hstack([there, np.tile([30.0, 5.0], (60, 1))])[longest.windows]
    assert np.hypot(*error[:, :2].T).mean() < 0.7 and np.hypot(*error[:, :2].T).max() < 3
    assert np.hypot(*error[:, 2:].T).mean() < 3 and np.hypot(*(longest.velocity - [30, 5])) < 0.5


@pytest.mark.parametrize("speed", [0.0, 2.0, 30.0, 120.0])
def test_position_and_velocity_errors_are_bounded_at_every_speed(speed):
    n = min(60, int(200 / max(speed, 1e-9) / 0.1))
    velocity = speed * np.array([0.8, 0.6])
    there = path((20, 20), velocity, n)
    tracker, _ = run((there + np.random.default_rng(2).normal(0, 0.7, there.shape))[:, None])
    (track,) = tracker.tracks
    assert len(track.windows) == n
    assert np.sqrt(((track.states[:, :2] - there) ** 2).sum(1).mean()) < 0.8  # detections alone: 1.0
    assert np.sqrt(((track.states[:, 2:] - velocity) ** 2).sum(1).mean()) < 4
    assert np.hypot(*(track.velocity - velocity)) < 2


def test_all_that_crosses_at_up_to_150_px_s_is_found():
    tracker, _ = run([[(10 + 14.8 * k, 50)] for k in range(8)])
    assert [len(track.windows) for track in tracker.tracks] == [8]


def test_what_crosses_faster_than_anything_known_is_no_object():
    reach = MAX_SPEED_PX_S * WINDOW_US * 1e-6
    step = reach + 6
    assert run([[(10 + k * step, 50)] for k in range(8)])[0].tracks == []
    assert len(run([[(10 + k * (reach - 1), 50)] for k in range(8)])[0].tracks) == 1


def test_the_gate_limits_how_far_a_track_reaches():
    jump = [[(50, 50)]] * 6 + [[]] * 3 + [[(56, 50)]]
    assert len(run(jump, gate_px=10.0)[1][-1][0].windows) == 7
    assert len(run(jump, gate_px=5.0)[1][-1][0].windows) == 1


@pytest.mark.parametrize("min_hits", [1, 2, 5])
def test_min_hits_windows_confirm_and_earlier_detections_learn_the_id(min_hits):
    tracker = Tracker(min_hits=min_hits)
    owners = []
    for k in range(min_hits):
        assert tracker.tracks == []
        owners += tracker.update(k * WINDOW_US, np.array([[50.0, 50.0]]))
    assert len(tracker.tracks) == 1 and [owner.id for owner in owners] == [1] * min_hits


def test_a_track_that_is_not_confirmed_ends_with_the_first_missed_window():
    tracker, owners = run([[(50, 50)], [(50, 50)], [], [(50, 50)], [(50, 50)]], min_hits=3)
    assert tracker.tracks == [] and owners[1][0] is not owners[3][0]


@pytest.mark.parametrize("known", [2, 5])
def test_well_known_tracks_choose_first(known):
    """A track of several detections, confirmed or not, takes one that lies nearer to a track of one detection."""
    windows = [[(50, 50)]] * known + [[(50, 50), (53, 50)], [(52, 50)]]
    _, owners = run(windows, min_hits=4)
    assert owners[-1][0] is owners[0][0]


def test_one_detection_serves_one_track():
    _, owners = run([[(50, 50), (56, 50)]] * 4 + [[(53, 50)]])
    assert owners[3][0] is not owners[3][1] and len(owners[4]) == 1


@pytest.mark.parametrize("n", [0, 1, 5])
def test_empty_windows(n):
    tracker, owners = run([[]] * n)
    assert tracker.tracks == [] and owners == [[]] * n


def test_windows_must_come_in_order():
    tracker = Tracker()
    tracker.update(100.0, np.zeros((0, 2)))
    with pytest.raises(ValueError, match=r"100\.0 µs does not come after"):
        tracker.update(100.0, np.zeros((0, 2)))


def star_field(velocity, n_stars=30, n=60, seed=0, extra=()):
    """Windows of stars that drift through the frame, seen nine times in ten, with noise and objects of given paths."""
    rng = np.random.default_rng(seed)
    velocity = np.array(velocity, float)
    start = rng.uniform(-1, 2, (n_stars * 9, 2)) * SIZE
    windows = []
    for k in range(n):
        at = start + velocity * (k + 0.5) * 0.1
        at = at[((at > 0) & (at < SIZE)).all(1) & (rng.random(len(at)) < 0.9)]
        at = at + rng.normal(0, 0.5, at.shape)
        windows.append(np.vstack([at, rng.uniform(0, 1, (2, 2)) * SIZE, *(p[k][None] for p in extra)]))
    return windows


@pytest.mark.parametrize("velocity", [(30.0, 0.0), (-18.0, 24.0), (60.0, -60.0)])
def test_a_drifting_star_field_is_recovered(velocity):
    tracker, _ = run(star_field(velocity))
    assert np.hypot(*(star_field_velocity(tracker.tracks) - velocity)) < 0.02 * np.hypot(*velocity)


def test_a_still_star_field_stands_still():
    tracker, _ = run(star_field((0, 0), n_stars=8))
    assert np.hypot(*star_field_velocity(tracker.tracks)) < 0.1


def test_an_object_that_stands_out_is_told_from_the_field_by_its_relative_velocity():
    tracker, owners = run(star_field((30, 0), extra=[path((100, 20), (0, 20), 60)]))
    object_id = owners[-1][-1].id
    assert object_id and [owner[-1].id for owner in owners] == [object_id] * 60
    field = star_field_velocity(tracker.tracks)
    relative = {track.id: np.hypot(*(track.velocity - field)) for track in tracker.tracks if len(track.windows) > 9}
    assert relative.pop(object_id) == pytest.approx(np.hypot(30, 20), rel=0.03)
    assert np.median(list(relative.values())) < 1.5


def test_long_tracks_outweigh_many_short_ones():
    long = [path((20, 30 + 40 * k), (10, 0), 40) for k in range(3)]
    short = [path((20 + 25 * k, 20), (-40, 0), 4) for k in range(6)]
    windows = [np.vstack([p[k][None] for p in long + short if k < len(p)]) for k in range(40)]
    tracker, _ = run(windows)
    assert len(tracker.tracks) == 9
    np.testing.assert_allclose(star_field_velocity(tracker.tracks), [10, 0], atol=0.1)


def tracks_of(*velocities_and_lengths):
    """Tracks of velocities in x, exactly known."""
    found = []
    for vx, n in velocities_and_lengths:
        state = kalman.State(np.array([[0.0, 0.0], [vx, 0.0]]), np.eye(2) * 1e-9)
        beliefs = [kalman.State(np.array([[0.1 * k * vx, 0.0], [vx, 0.0]]), state.covariance) for k in range(n)]
        times = [1e5 * k for k in range(n)]
        found.append(Track(state, t_us=times, windows=list(range(n)), detections=[0] * n, beliefs=beliefs))
    return found


def test_the_peak_lies_between_tracks_that_agree_by_and_large():
    assert star_field_velocity(tracks_of((10, 9), (14, 9), (10, 9), (14, 9))) == pytest.approx([12, 0], abs=0.05)
    assert 10.1 < star_field_velocity(tracks_of((10, 30), (14, 9), (10, 30), (14, 9)))[0] < 11
    assert star_field_velocity(tracks_of((10, 9), (11, 9), (10, 9), (70, 9))) == pytest.approx([10.33, 0], abs=0.05)


def test_too_few_tracks_are_no_star_field():
    def field(n):
        paths = np.array([path((20, 20 + 40 * k), (25, 5), 30) for k in range(n)]).reshape(n, 30, 2)
        return star_field_velocity(run(paths.transpose(1, 0, 2))[0].tracks)

    for n in range(MIN_STARS):
        assert field(n).tolist() == [0, 0] and field(n).dtype == np.float64
    np.testing.assert_allclose(field(3), [25, 5], rtol=0.01)
    assert MIN_STARS == 3


def test_equal_input_gives_equal_tracks():
    first, second = (run(star_field((20, 10), seed=4))[0].tracks for _ in range(2))
    assert len(first) == len(second) > 10
    for a, b in itertools.zip_longest(first, second):
        assert (a.windows, a.detections) == (b.windows, b.detections)
        np.testing.assert_array_equal(a.states, b.states)
