"""Tracks of synthetic objects whose paths are known."""

import numpy as np
import pytest

from spikeseg.algorithms.kalman import Motion
from spikeseg.algorithms.tracking import GATE_SIGMAS, Rules, Tracker

SLICE_US = 100_000
SIZE = np.array([240.0, 180.0])
RULES = Rules(Motion(acceleration=25.0, first_speed_px_s=50.0), min_hits=3, max_misses=3, first_misses=0, gate_px=10.0)


def run(slices, **changes):
    """A tracker that saw the slices, and the track of each detection in each."""
    tracker = Tracker(RULES._replace(**changes))
    owners = [tracker.update((k + 0.5) * SLICE_US, np.reshape(found, (-1, 2))) for k, found in enumerate(slices)]
    return tracker, owners


def path(start, velocity, n):
    """Positions at the middle of n slices, (n, 2)."""
    return np.array(start) + (np.arange(n)[:, None] + 0.5) * SLICE_US * 1e-6 * np.array(velocity)


def test_one_object_by_hand():
    tracker, owners = run(path((10, 20), (50, -10), 4)[:, None])
    (track,) = tracker.tracks
    assert track.id == 1 and track.slices == [0, 1, 2, 3] and track.detections == [0, 0, 0, 0]
    assert track.t_us == [50_000, 150_000, 250_000, 350_000]
    assert [owner[0] for owner in owners] == [track] * 4


def test_a_detection_is_known_by_its_index_in_its_slice():
    there = path((10, 20), (50, -10), 4)
    tracker, _ = run([[(200, 100 + 30 * k), there[k]] if k % 2 else [there[k]] for k in range(4)])
    (track,) = tracker.tracks
    assert track.detections == [0, 1, 0, 1]


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
def test_missed_slices_are_bridged(missed):
    there = path((30, 30), (60, 10), 20)
    seen = [[there[k]] if not 8 <= k < 8 + missed else [] for k in range(20)]
    (track,) = run(seen, max_misses=3)[0].tracks
    assert track.slices == [k for k in range(20) if seen[k]]


def test_more_missed_slices_end_a_track():
    there = path((30, 30), (60, 10), 20)
    tracker, _ = run([[there[k]] if not 8 <= k < 12 else [] for k in range(20)], max_misses=3)
    assert [track.slices for track in tracker.tracks] == [list(range(8)), list(range(12, 20))]
    assert [track.id for track in tracker.tracks] == [1, 2]


@pytest.mark.parametrize("first_misses", [0, 1, 2])
def test_what_is_not_confirmed_may_miss_less(first_misses):
    for missed in (first_misses, first_misses + 1):
        tracker, owners = run([[(50, 50)], [(50, 50)], *[[]] * missed, [(50, 50)]], first_misses=first_misses)
        assert (owners[1][0] is owners[-1][0]) is (missed == first_misses) is bool(tracker.tracks)


def test_noise_alone_confirms_no_track():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        tracker, _ = run([rng.uniform(0, 1, (rng.poisson(2), 2)) * SIZE for _ in range(80)])
        assert tracker.tracks == []


def test_an_object_is_tracked_through_noise():
    rng = np.random.default_rng(5)
    there = path((20, 60), (30, 5), 60)
    slices = [np.vstack([rng.uniform(0, 1, (rng.poisson(3), 2)) * SIZE, there[k] + rng.normal(0, 0.7, 2)]) for k in range(60)]
    tracker, owners = run(slices)
    longest = max(tracker.tracks, key=lambda track: len(track.slices))
    assert sum(owner[-1] is longest for owner in owners) >= 58


@pytest.mark.parametrize("speed", [0.0, 2.0, 30.0, 120.0])
def test_an_object_is_one_track_at_every_speed(speed):
    n = min(60, int(200 / max(speed, 1e-9) / 0.1))
    there = path((20, 20), speed * np.array([0.8, 0.6]), n)
    (track,) = run((there + np.random.default_rng(2).normal(0, 0.7, there.shape))[:, None])[0].tracks
    assert len(track.slices) == n


def test_a_track_of_one_detection_looks_as_far_as_its_motion_allows():
    """By hand: predicted over 0.1 s, variance 1 + 0.01 * 50² + 25 / 3000, and 1 of the measurement."""
    reach = GATE_SIGMAS * np.sqrt(2 + 25 + 25 / 3000)
    assert 15 < reach < 16  # 150 px/s, wider than the gate
    for step, tracks in ((reach - 0.1, 1), (reach + 0.1, 0)):
        assert len(run([[(10 + k * step, 50)] for k in range(8)])[0].tracks) == tracks


def test_the_gate_limits_how_far_a_track_reaches():
    jump = [[(50, 50)]] * 6 + [[]] * 3 + [[(56, 50)]]
    assert len(run(jump, gate_px=10.0)[1][-1][0].slices) == 7
    assert len(run(jump, gate_px=5.0)[1][-1][0].slices) == 1


@pytest.mark.parametrize("min_hits", [1, 2, 5])
def test_min_hits_confirm_and_earlier_detections_learn_the_id(min_hits):
    tracker = Tracker(RULES._replace(min_hits=min_hits))
    owners = []
    for k in range(min_hits):
        assert tracker.tracks == []
        owners += tracker.update(k * SLICE_US, np.array([[50.0, 50.0]]))
    assert len(tracker.tracks) == 1 and [owner.id for owner in owners] == [1] * min_hits


@pytest.mark.parametrize("known", [2, 5])
def test_well_known_tracks_choose_first(known):
    """A track of several detections, confirmed or not, takes one that lies nearer to a track of one detection."""
    slices = [[(50, 50)]] * known + [[(50, 50), (53, 50)], [(52, 50)]]
    _, owners = run(slices, min_hits=4)
    assert owners[-1][0] is owners[0][0]


def test_a_confirmed_track_chooses_before_one_that_is_not():
    """Both have several detections, and the one not confirmed lies nearer."""
    slices = [[(50, 50)]] * 2 + [[(50, 50), (54, 50)]] * 2 + [[(53, 50)]]
    for min_hits, first in ((3, True), (9, False)):
        _, owners = run(slices, min_hits=min_hits)
        assert (owners[-1][0] is owners[0][0]) is first


def test_the_likelier_track_is_chosen_and_not_the_nearer():
    """Of two confirmed tracks the farther has not been seen for two slices, so that it may well have come this far."""
    slices = [[(50, 50), (58, 50)]] * 8 + [[(58, 50)]] * 2 + [[(54.3, 50)]]
    _, owners = run(slices)
    assert owners[-1][0] is owners[0][0]


def test_as_many_pairs_as_can_be():
    """The nearest pair alone would leave a detection without its track."""
    slices = [[(50, 50), (56, 50)]] * 5 + [[(53.5, 50), (59, 50)]]
    _, owners = run(slices)
    assert [owner is before for owner, before in zip(owners[-1], owners[0], strict=True)] == [True, True]


def test_one_detection_serves_one_track():
    _, owners = run([[(50, 50), (56, 50)]] * 4 + [[(53, 50)]])
    assert owners[3][0] is not owners[3][1] and len(owners[4]) == 1


@pytest.mark.parametrize("n", [0, 1, 5])
def test_empty_slices(n):
    tracker, owners = run([[]] * n)
    assert tracker.tracks == [] and owners == [[]] * n


def test_slices_must_come_in_order():
    tracker = Tracker(RULES)
    tracker.update(100.0, np.zeros((0, 2)))
    with pytest.raises(ValueError, match=r"100\.0 µs does not come after"):
        tracker.update(100.0, np.zeros((0, 2)))


def test_equal_input_gives_equal_tracks():
    rng = np.random.default_rng(4)
    there = rng.uniform(0, 1, (15, 2)) * SIZE
    slices = [np.vstack([there + rng.normal(0, 1, there.shape), rng.uniform(0, 1, (9, 2)) * SIZE]) for _ in range(40)]
    first, second = (run(slices)[0].tracks for _ in range(2))
    assert len(first) > 10
    assert [(a.id, a.t_us, a.slices, a.detections) for a in first] == [(b.id, b.t_us, b.slices, b.detections) for b in second]
