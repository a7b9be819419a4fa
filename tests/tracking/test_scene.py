"""Synthetic star fields whose motion is known, and what moves among the stars."""

import itertools

import numpy as np
import pytest

from spikeseg.config.sections import TrackingConfig
from spikeseg.tracking.scene import FAR_PX, HALF, JITTER_PX, MEMORY_S, ObjectTrack, Slices, find_tracks, motion_score

SIZE = np.array([240.0, 180.0])
SLICE_S = 0.1


def sky(field, objects=(), *, stars=10, seen=0.9, noise=1.0, seed=0):
    """Detections of a star field that moves by field (n, 2), px/s, in each of n slices; stars in view in the mean, each seen
    with a probability. objects: (start, velocity). -> slices; whose each one is: a star's 1, noise 0, an object's -1, -2."""
    rng = np.random.default_rng(seed)
    field = np.asarray(field, float)
    times = (np.arange(len(field)) + 0.5) * SLICE_S
    moved = np.cumsum(field, 0) * SLICE_S
    low, high = -moved.max(0, initial=0), SIZE - moved.min(0, initial=0)
    at_first = rng.uniform(low, high, (rng.poisson(stars * np.prod(high - low) / np.prod(SIZE)), 2))
    found, whose = [], []
    for k, shift in enumerate(moved):
        at = (at_first + shift)[rng.random(len(at_first)) < seen]
        wandering = np.array([np.add(start, np.multiply(velocity, times[k])) for start, velocity in objects]).reshape(-1, 2)
        noise_at = rng.uniform(0, 1, (rng.poisson(noise), 2)) * SIZE
        place = np.vstack([at, wandering, noise_at])
        owner = np.concatenate([np.ones(len(at), int), -1 - np.arange(len(wandering)), np.zeros(len(noise_at), int)])
        inside = np.flatnonzero(((place >= 0) & (place < SIZE)).all(1))
        order = rng.permutation(inside)
        found.append(place[order] + rng.normal(0, 0.7, (len(order), 2)))
        whose.append(owner[order])
    return Slices((times * 1e6).tolist(), found), whose


def steady(velocity, n=80):
    """The same velocity in n slices."""
    return np.tile(np.array(velocity, float), (n, 1))


def of(tracks, whose, who):
    """The tracks of which most detections are `who`'s."""
    found = []
    for one in tracks.tracks:
        owners = [whose[k][j] for k, j in zip(one.slices, one.detections, strict=True)]
        found += [one] if np.mean(np.array(owners) == who) > 0.5 else []
    return found


def stands_out(field, moving, pieces=1, **options):
    """Find one moving object: its tracks, of nearly all its detections, are objects, and no star or noise is one."""
    slices, whose = sky(field, [moving], **options)
    tracks = find_tracks(slices)
    own = [one for one in of(tracks, whose, -1) if one.score >= 0.5]
    assert 1 <= len(own) <= pieces
    assert sum(len(one.slices) for one in own) >= 0.9 * sum((owner == -1).sum() for owner in whose)
    stars = of(tracks, whose, 1)
    assert max((one.score for one in stars), default=0) < 0.1
    assert max((one.score for one in of(tracks, whose, 0)), default=0) < 0.5
    return tracks, own[0]


GEOMETRIES = {
    "sidereal": ((0, 0), ((10, 60), (28, 6))),
    "sidereal, slow": ((0, 0), ((60, 60), (4, 2))),
    "sidereal, fast": ((0, 0), ((5, 60), (110, 30))),
    "staring": ((18, -12), ((200, 20), (-20, 15))),
    "staring, slow": ((6, 3), ((120, 90), (-4, 2))),
    "followed": ((-60, 40), ((120, 90), (1, 0.5))),
    "followed, fast": ((-100, 30), ((120, 90), (0.5, -1.5))),
    "at rest in the frame": ((-25, 10), ((120, 90), (0, 0))),
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("field", "moving"), GEOMETRIES.values(), ids=GEOMETRIES)
def test_a_satellite_stands_out_and_stars_do_not(field, moving, seed):
    tracks, own = stands_out(steady(field), moving, seed=seed)
    assert own.score > 0.6
    assert np.hypot(*(tracks.field.mean - field)) < max(0.02 * np.hypot(*field), 0.1)
    np.testing.assert_allclose(own.states[:, 2:].mean(0), moving[1], atol=1)
    np.testing.assert_allclose(own.relative, own.states[:, 2:] - tracks.field.mean)
    there = np.add(moving[0], own.t_us[:, None] * 1e-6 * np.array(moving[1]))
    assert np.sqrt(((own.states[:, :2] - there) ** 2).sum(1).mean()) < 0.8  # detections alone: 1.0
    assert own.variance.shape == own.t_us.shape and own.variance[len(own.t_us) // 2] < own.variance[[0, -1]].min() <= 1.0


@pytest.mark.parametrize("speed", [5, 15, 25, 30, 35, 40, 60])
def test_an_object_of_any_speed_is_one_track(speed):
    """What is too fast to creep would be caught for a moment by the tracker of what creeps, and lost again."""
    n = min(80, int(200 / speed / SLICE_S))
    for seed in range(4):
        slices, whose = sky(steady((0, 0), n), [((15, 30), (0.95 * speed, 0.3 * speed))], stars=0, seed=seed)
        (own,) = of(find_tracks(slices), whose, -1)
        assert len(own.slices) == n


def test_what_rests_in_the_frame_may_be_out_of_sight_for_long():
    """As long as a star may: longer than `max_misses`."""
    slices, whose = sky(steady((-60, 40)), [((120, 90), (0.2, -0.2))])
    seen = [(owner >= 0) | (k % 12 < 6) for k, owner in enumerate(whose)]
    slices = Slices(slices.t_us, [at[kept] for at, kept in zip(slices.positions, seen, strict=True)])
    whose = [owner[kept] for owner, kept in zip(whose, seen, strict=True)]
    (own,) = [one for one in of(find_tracks(slices), whose, -1) if one.score >= 0.5]
    assert len(own.slices) >= 40


def test_two_objects_that_go_their_own_ways():
    slices, whose = sky(steady((18, -12)), [((200, 20), (-20, 15)), ((40, 90), (30, 5))])
    tracks = find_tracks(slices)
    found = [[one.id for one in of(tracks, whose, who) if one.score >= 0.5] for who in (-1, -2)]
    assert [len(ids) for ids in found] == [1, 1] and found[0] != found[1]


def test_few_stars_are_no_field_and_the_telescope_is_taken_to_follow_them():
    tracks, _ = stands_out(steady((0, 0)), ((10, 60), (28, 6)), stars=0)
    assert tracks.field.velocities.tolist() == [[0, 0]]
    tracks, _ = stands_out(steady((0, 0)), ((10, 60), (28, 6)), stars=2)
    assert np.hypot(*tracks.field.mean) < 0.2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_field_is_known_by_stars_that_are_out_of_sight_most_of_the_time(seed):
    """Tracked by themselves they come in pieces too short to tell; in a frame that moves nearly as they do, they are found."""
    slices, _ = sky(steady((6, 3)), seen=0.33, noise=2, seed=seed)
    assert np.hypot(*(find_tracks(slices).field.mean - (6, 3))) < 0.3


@pytest.mark.parametrize("turn_s", [15, 12.9])
def test_a_field_that_turns_in_the_middle_of_a_recording(turn_s):
    """Stars would else seem to move until the next span. An object that creeps among them may come in two pieces."""
    field = np.vstack([steady((12, 0), round(turn_s * 10)), steady((-8, 15), 300 - round(turn_s * 10))])
    tracks, _ = stands_out(field, ((20, 90), (6, 0)), pieces=2)
    before, after = tracks.field.velocity(np.array([turn_s - 1.5, turn_s + 1.5]) * 1e6)
    np.testing.assert_allclose(before, [12, 0], atol=0.02 * 17)
    np.testing.assert_allclose(after, [-8, 15], atol=0.02 * 17)


def test_a_field_that_stops_at_the_border_of_a_span():
    field = np.vstack([steady((20, 5), 100), steady((0, 0), 100)])
    tracks, _ = stands_out(field, ((20, 90), (9, -2)), pieces=2)
    np.testing.assert_allclose(tracks.field.velocities, [[20, 5], [0, 0]], atol=0.4)
    assert tracks.field.edges_us[1] == pytest.approx(10e6)


def test_a_steady_field_is_one_span_for_every_ten_seconds():
    slices, _ = sky(steady((7, -3), 300))
    assert len(find_tracks(slices).field.velocities) == 3
    slices, _ = sky(steady((7, -3), 80))
    assert len(find_tracks(slices).field.velocities) == 1


@pytest.mark.parametrize("noise", [1, 4, 12])
def test_noise_alone_is_no_object(noise):
    for seed in range(4):
        slices, _ = sky(steady((0, 0)), stars=0, noise=noise, seed=seed)
        tracks = find_tracks(slices)
        assert max((one.score for one in tracks.tracks), default=0) < 0.4
        assert not tracks.field.velocities.any()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_no_or_hardly_any_slices(n):
    slices, _ = sky(steady((5, 5), n))
    tracks = find_tracks(slices)
    assert tracks.tracks == [] and tracks.field.mean.tolist() == [0, 0]


def test_slices_without_detections():
    tracks = find_tracks(Slices([5e4, 15e4, 25e4], [np.zeros((0, 2))] * 3))
    assert tracks.tracks == [] and tracks.field.mean.tolist() == [0, 0]


def test_ids_are_unique_and_in_order_of_the_first_detection_and_no_detection_is_two_tracks():
    slices, _ = sky(steady((18, -12)), [((200, 20), (-20, 15))], noise=4)
    tracks = find_tracks(slices).tracks
    assert [one.id for one in tracks] == list(range(1, len(tracks) + 1)) and len(tracks) > 10
    assert (np.diff([one.t_us[0] for one in tracks]) >= 0).all()
    taken = [hit for one in tracks for hit in zip(one.slices, one.detections, strict=True)]
    assert len(set(taken)) == len(taken)
    for one in tracks:
        assert (np.diff(one.slices) > 0).all() and np.array_equal(one.t_us, np.array(slices.t_us)[one.slices])
        assert type(one.score) is float and 0 <= one.score <= 1


def test_equal_input_gives_equal_output():
    slices, _ = sky(steady((18, -12)), [((200, 20), (-20, 15))], noise=4)
    first, second = find_tracks(slices), find_tracks(slices)
    np.testing.assert_array_equal(first.field.velocities, second.field.velocities)
    for a, b in itertools.zip_longest(first.tracks, second.tracks):
        assert (a.id, a.score) == (b.id, b.score)
        for name in ("t_us", "slices", "detections", "states", "relative"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_settings_hold_for_objects_on_their_own():
    """At 90 px/s nothing creeps: 6 detections, of which two in the middle are missing."""
    there = [[(20 + 9 * k, 50)] if k not in (4, 5) else [] for k in range(8)]
    slices = Slices([1e5 * k for k in range(8)], [np.reshape(at, (-1, 2)) for at in there])

    def hits(**settings):
        return [len(one.slices) for one in find_tracks(slices, TrackingConfig(**settings)).tracks]

    assert hits() == [6]
    assert hits(max_misses=1) == [4] and hits(max_misses=1, min_hits=2) == [4, 2]
    assert hits(min_hits=7) == []
    bent = Slices(slices.t_us, [np.add(at, (0, 6 * (k > 5))) for k, at in enumerate(slices.positions)])
    lengths = [[len(one.slices) for one in find_tracks(bent, TrackingConfig(min_hits=2, gate_px=px)).tracks] for px in (10, 4)]
    assert lengths == [[6], [4, 2]]


def straight(*, n=5, speed=(20.0, -10.0)):
    """A track from (10, 50) by slices of 0.1 s, all known exactly."""
    times = 1e5 * np.arange(n)
    states = np.hstack([np.array([10.0, 50.0]) + times[:, None] * 1e-6 * np.array(speed), np.tile(speed, (n, 1))])
    return ObjectTrack(1, times, np.arange(n), np.zeros(n, int), states, states[:, 2:], 0.5)


def test_a_track_is_anywhere_between_its_detections_and_straight_on_beyond():
    track = straight()
    inside = track.at(np.array([0, 1e5, 2.5e5, 4e5]))
    np.testing.assert_allclose(inside, [[10, 50], [12, 49], [15, 47.5], [18, 46]])
    outside = track.at(np.array([-5e4, 4.5e5]))
    assert np.isnan(outside).all()
    np.testing.assert_allclose(track.at(np.array([-5e4, 4.5e5]), 5e4), [[9, 50.5], [19, 45.5]])
    assert np.isnan(track.at(np.array([-5.1e4, 4.51e5]), 5e4)).all()
    assert track.at(np.zeros(0)).shape == (0, 2)


def test_between_detections_a_bent_track_is_interpolated():
    track = straight(n=3)
    track.states[1, :2] = 14, 47
    np.testing.assert_allclose(track.at(np.array([5e4, 1.5e5])), [[12, 48.5], [14, 47.5]])


def test_the_score_by_hand():
    times = 1e5 * np.arange(11)

    def score(px, n=11):
        return motion_score(times[:n], np.linspace(0, 1, 11)[:n, None] * [0.6 * px, 0.8 * px])

    assert score(0) == score(JITTER_PX - 0.01) == score(100, n=1) == score(100, n=0) == 0.0 < score(JITTER_PX + 0.01) < 0.01
    assert score(FAR_PX) == pytest.approx(11 / (11 + HALF)) == pytest.approx(score(3 * FAR_PX))
    half = 11 / 2
    assert score((FAR_PX + JITTER_PX) / 2) == pytest.approx(half / (half + HALF))
    assert score(3 * FAR_PX, n=6) == pytest.approx(6 / (6 + HALF))


def test_what_drifts_a_little_for_long_does_not_become_an_object():
    """0.3 px/s, an error of the field's velocity, is 3 px within MEMORY_S, whatever comes after."""
    times = np.arange(0, 10 * MEMORY_S, 0.1)
    assert motion_score(times * 1e6, times[:, None] * [0.3, 0.0]) == 0.0
