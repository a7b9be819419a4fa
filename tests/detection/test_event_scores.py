"""Scores of events near tracks, by hand."""

import numpy as np
import pytest

from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.detection.event_scores import OWN_SHARE, REACH_PX, UNTRACKED, event_scores, reach_us
from spikeseg.tracking.scene import ObjectTrack


def track(number, score, *, start=(20, 30), velocity=(10.0, 0.0), first_us=1e6, n=5, every_us=1e5):
    """A straight track that is known exactly."""
    times = first_us + every_us * np.arange(n)
    at = np.array(start) + (times[:, None] - first_us) * 1e-6 * np.array(velocity)
    states = np.hstack([at, np.tile(velocity, (n, 1))])
    return ObjectTrack(number, times, np.arange(n), np.zeros(n, int), states, states[:, 2:], score)


def events_at(*rows):
    """Events at (t, x, y)."""
    events = np.zeros(len(rows), EVENT_DTYPE)
    for name, column in zip("txy", np.array(rows).reshape(-1, 3).T, strict=True):
        events[name] = column
    return events


def scored(events, tracks, saliency=0.0, ids=0):
    """The scores, with the same saliency and id for all unless told."""
    n = len(events)
    return event_scores(events, tracks, np.broadcast_to(np.asarray(saliency, float), n), np.broadcast_to(ids, n))


def test_the_score_falls_with_the_distance_from_the_path():
    """At 1.2 s the track is at (22, 30)."""
    events = events_at((1_200_000, 22, 30), (1_200_000, 26, 30), (1_200_000, 22, 23), (1_200_000, 22, 38), (1_200_000, 60, 30))
    assert scored(events, [track(1, 0.8)]).tolist() == pytest.approx([0.8, 0.8 * 48 / 64, 0.8 * 15 / 64, 0, 0])
    assert REACH_PX == 8


def test_the_path_is_followed_in_time():
    events = events_at((1_000_000, 20, 30), (1_100_000, 20, 30), (1_400_000, 20, 30))
    expected = [0.8 * (1 - moved**2 / 64) for moved in (0, 1, 4)]
    assert scored(events, [track(1, 0.8)]).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("by_motion", [False, True])
def test_the_path_is_the_track_s_own(by_motion):
    """To the last bit, on a way that bends, and where it goes straight on before its first detection and after its last."""
    rng = np.random.default_rng(0)
    bent = track(1, 0.8)
    bent.states[:, :2] += rng.normal(size=(5, 2))
    t = np.sort(rng.integers(900_000, 1_500_000, 2000))
    events = events_at(*zip(t, *rng.integers(15, 40, (2, 2000)), strict=True))
    own = rng.random(2000).astype(np.float32) if by_motion else None
    squared = ((np.stack([events["x"], events["y"]], 1) - bent.at(events["t"], reach_us(bent))) ** 2).sum(1)
    share = 1 - squared / REACH_PX**2
    if own is not None:
        share = (1 - OWN_SHARE) * share + OWN_SHARE * own
    expected = np.where(squared < REACH_PX**2, 0.8 * share, 0.0)
    found = event_scores(events, [bent], np.zeros(2000), np.zeros(2000, np.int32), own)
    assert np.array_equal(found, expected) and (found[(t < 1_000_000) | (t > 1_400_000)] > 0).any()


def test_a_track_holds_for_half_a_slice_before_and_after():
    events = events_at((949_000, 20, 30), (951_000, 20, 30), (1_449_000, 24, 30), (1_451_000, 24, 30))
    low, high = 0.8 * (1 - 0.49**2 / 64), 0.8 * (1 - 0.49**2 / 64)
    assert scored(events, [track(1, 0.8)]).tolist() == pytest.approx([0, low, high, 0])
    assert reach_us(track(1, 0.8)) == 5e4 and reach_us(track(1, 0.8, n=1)) == 0.0
    gaps, cut = track(1, 0.8), track(1, 0.8)
    gaps.t_us[3:] += 4e5
    gaps.slices[3:] += 4
    cut.t_us[-1] -= 4e4
    assert reach_us(gaps) == reach_us(cut) == 5e4  # slices without it; a last slice that ends with the recording


@pytest.mark.parametrize("first_us", [1e6 + 0.5, 1e6 + 0.25])
def test_its_ends_may_lie_between_two_microseconds(first_us):
    early, late = (int(first_us - 5e4), int(first_us + 4.5e5))
    events = events_at(*((t, 20, 30) for t in (early, early + 1)), *((t, 24, 30) for t in (late, late + 1)))
    assert (scored(events, [track(1, 0.8, first_us=first_us)]) > 0).tolist() == [False, True, True, False]


def test_events_of_stars_score_nothing_whatever_their_saliency():
    events = events_at((1_200_000, 22, 30), (1_200_000, 23, 30))
    assert scored(events, [track(3, 0.0)], saliency=5.0, ids=[3, 3]).tolist() == [0, 0]


def test_untracked_events_keep_a_little_of_their_saliency_less_than_any_object():
    events = events_at(*[(0, 100, 100)] * 4)
    found = scored(events, [track(1, 0.8)], saliency=[0, 1, 3, 1e9])
    assert found.tolist() == pytest.approx([0, UNTRACKED / 2, UNTRACKED * 3 / 4, UNTRACKED]) and UNTRACKED < 0.5


def test_saliency_changes_nothing_near_an_object():
    events = events_at((1_200_000, 22, 30), (1_200_000, 26, 30))
    for saliency in (0.0, 9.0):
        assert scored(events, [track(1, 0.8)], saliency, ids=1).tolist() == pytest.approx([0.8, 0.6])


def test_the_highest_of_several_counts_in_any_order():
    """An event 6 px from a sure object and 2 px from a doubtful one; one of a star that an object passes."""
    events = events_at((1_200_000, 28, 30), (1_200_000, 22, 30))
    sure, doubtful, star = track(1, 0.9), track(2, 0.3, start=(28, 30)), track(3, 0.0)
    expected = [max(0.9 * 28 / 64, 0.3 * 60 / 64), 0.9]
    for tracks in ([sure, doubtful, star], [star, doubtful, sure]):
        assert scored(events, tracks, saliency=1.0, ids=[2, 3]).tolist() == pytest.approx(expected)


def test_nothing_in_nothing_out():
    assert scored(events_at(), [track(1, 0.8)]).shape == (0,)
    assert scored(events_at((5, 1, 1)), []).tolist() == [0.0]
