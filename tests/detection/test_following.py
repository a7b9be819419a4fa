"""The motion layer in `detect --follow`: a faint object is found while it passes, as `detect` finds it afterwards."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from spikeseg.config.load import load_config
from spikeseg.detection import following
from spikeseg.detection.detect import detect_recording
from spikeseg.detection.following import PATIENCE_S, PathFollower
from spikeseg.detection.moving import Motion
from spikeseg.detection.online import MEMORY_S, Follower
from spikeseg.detection.readout import Readout
from spikeseg.detection.track_ids import TrackIds
from spikeseg.models import SpikeSEG
from spikeseg.motion.footprint import Footprint
from spikeseg.simulation.limit import LimitConfig, limit_recording
from spikeseg.tracking.scene import ObjectTrack, Tracks
from spikeseg.tracking.star_field import StarField

CFG = load_config(
    "files",
    {
        "device": "cpu", "model.motion": True, "data.n_timesteps": 10, "data.timestep_ms": 100.0, "data.window_overlap": 0.5,
        "data.input_height": None, "data.input_width": None, "data.transforms": [], "tracking.scenes": False,
    },
)  # fmt: skip
READOUT = Readout(0.5)


@pytest.fixture(scope="module")
def model():
    return SpikeSEG.from_config(CFG.model, seed=0)


def recording(seed=3, **changes):
    """A faint object among four stars."""
    settings = {"rate_hz": 12.0, "duration_s": 15.0, "speed_px_s": (5.0, 9.0), "stars": 4, "sensor_size": (96, 72)}
    return limit_recording(LimitConfig(**{**settings, **changes}, seed=seed), 0)


def followed(model, events, step=500):
    """The follower, and its windows."""
    follower, windows = Follower(CFG, model, READOUT, (96, 72)), []
    for at in range(0, len(events), step):
        windows += follower.take(events[at : at + step], 0.0)
    return follower, windows + list(follower.finish(0.0))


@pytest.fixture(scope="module")
def night(model):
    """A recording, the follower, its windows."""
    return (faint := recording()), *followed(model, faint.events)


def label_at(faint, t_us):
    """True place of the object: (n, 2)."""
    own = faint.labels
    return np.stack([np.interp(t_us, own["t"], own[axis]) for axis in "xy"], -1)


def errors(faint, track):
    """How far a track is from the truth, px: (n,)."""
    return np.hypot(*(track.states[:, :2] - label_at(faint, track.t_us)).T)


def test_it_agrees_with_detect_on_a_faint_object_and_comes_soon(model, night):
    faint, follower, windows = night
    whole = detect_recording(model, faint, CFG, READOUT)
    assert len(whole.object_ids) == 1
    table = whole.tracks[whole.tracks["track_id"] == whole.object_ids[0]]
    reported = [w for w in windows if w.objects]
    assert {number for w in windows for number, _ in w.objects} == {reported[0].objects[0][0]}
    for w in reported:
        ((_, track),) = w.objects
        assert w.end_us - 0.6e6 <= track.t_us[-1] <= w.end_us  # up to date
        assert np.median(errors(faint, track)) <= 1.5
        own = np.stack([np.interp(track.t_us, table["t_us"], table[axis]) for axis in "xy"], -1)
        assert np.median(np.hypot(*(track.states[:, :2] - own).T)) <= 1.5
    entered, first = int(faint.labels["t"][0]), reported[0].objects[0][1]
    assert reported[0].end_us - entered <= 5e6  # it gains about 15 nats a second
    assert first.t_us[0] - entered <= 1e6 and len(first.t_us) >= 20  # its past is known
    nats = [w.objects[0][1].nats for w in reported]
    assert nats[0] >= follower._paths.threshold and nats[-1] > 100 and reported[-1] is windows[-1]


def test_rows_hold_the_evidence_and_the_past_comes_once(night):
    _, follower, windows = night
    rows = [json.loads(json.dumps(w.row(follower), allow_nan=False)) for w in windows]
    objects = [row["objects"][0] for row in rows if row["objects"]]
    assert all(one["log_likelihood_ratio"] > 18 and one["object_score"] >= 0.5 for one in objects)
    past = objects[0]["past"]
    assert len(past) == objects[0]["seen"] and past[-1] == [objects[0]["t_us"], objects[0]["x"], objects[0]["y"]]
    assert not any("past" in one for one in objects[1:])
    assert follower.summary("n", "end of input", {})["objects"] == 1


def test_nothing_looks_ahead(model, night):
    faint, _, windows = night
    _, part = followed(model, faint.events[faint.events["t"] < 8.2e6])
    for one, other in zip(part[:-1], windows, strict=False):
        assert [(n, t.nats, t.states.tolist()) for n, t in one.objects] == [
            (n, t.nats, t.states.tolist()) for n, t in other.objects
        ]
    assert len(part) > 12 and part[-2].objects


def test_the_size_of_the_pieces_changes_nothing(model, night):
    faint, follower, windows = night
    one, other = followed(model, faint.events, step=17)
    assert [w.row(one) for w in other] == [w.row(follower) for w in windows]


def test_the_end_of_the_input_ends_the_path_there(model):
    faint = recording()
    _, windows = followed(model, faint.events[faint.events["t"] < 9.8e6])
    assert windows[-1].end_us <= 9.8e6 and windows[-1].objects
    assert windows[-1].end_us - windows[-1].objects[0][1].t_us[-1] < 0.3e6


def test_a_path_lasts_through_a_short_silence(model):
    faint = recording()
    t = faint.events["t"]
    _, windows = followed(model, faint.events[(t < 8.0e6) | (t > 8.4e6)])
    numbers = [[number for number, _ in w.objects] for w in windows if w.end_us > 6e6]
    assert numbers == [numbers[0]] * len(numbers) and len(numbers[0]) == 1


def test_after_a_long_silence_all_begins_anew(model):
    faint = recording()
    later = faint.events.copy()
    later["t"] += 15_000_000 + round((MEMORY_S + 30) * 1e6)
    follower, windows = followed(model, np.concatenate([faint.events, later]))
    before = [w for w in windows if w.end_us < later["t"][0]]
    after = [w for w in windows if w.end_us > later["t"][0]]
    assert follower.silent > 0
    ids = [{number for w in part for number, _ in w.objects} for part in (before, after)]
    assert len(ids[0]) == len(ids[1]) == 1 and ids[0] != ids[1] and follower.ids.objects == 2
    began = [next(w.end_us - part[0].start_us for w in part if w.objects) for part in (before, after)]
    assert abs(began[0] - began[1]) <= 1e6
    assert all(track.t_us[0] > later["t"][0] for w in after for _, track in w.objects)


def test_late_events_are_left_out(model, night, caplog):
    faint, _, windows = night
    events = faint.events
    late = np.concatenate([events[:100], events[120:], events[100:120]])
    follower, found = followed(model, late)
    assert follower.late == 20 and len(found) == len(windows) and found[-1].objects
    assert caplog.text.count("events come late") == 1
    search = follower._paths.search
    assert (np.diff(search._events.t) >= 0).all() and search._events.t[-1] <= found[-1].end_us * 1e-6


def test_memory_does_not_grow(model, monkeypatch):
    from spikeseg.motion import online

    monkeypatch.setattr(online, "HISTORY_S", 3.0)
    passing = recording(speed_px_s=(30.0, 30.0), rate_hz=40.0, seed=8)
    follower, windows = followed(model, passing.events)
    search = follower._paths.search
    assert search._events.t[-1] - search._events.t[0] <= 3.0 and len(search.stars.explained) == len(search._events.t)
    assert follower.ids.objects == 1 and passing.labels["t"][-1] < 5e6 and not windows[-1].objects
    left = [known.path for known in search.known.values()]
    assert not follower._paths.numbers and not follower.ids.reported and all(p.knots[-1, 0] > 12 for p in left)
    assert len(search.search.paths) < 5


def test_a_track_that_a_path_covers_is_that_path_and_keeps_its_id():
    faint = recording()
    follower, ids, rows = PathFollower(Motion(Footprint.point()), (96, 72), 0.5), TrackIds(), []
    for end in range(1_000_000, 12_000_000, 500_000):
        events = faint.events[(faint.events["t"] >= (end - 500_000 if rows else 0)) & (faint.events["t"] < end)]
        t_us = np.arange(max(end - 10_000_000, 2_300_000), end, 100_000).astype(float)
        tracks = [track_along(label_at(faint, t_us), t_us), track_along(label_at(faint, t_us)[:, ::-1] + 20, t_us)]
        tracks = Tracks([track for track in tracks if len(t_us) > 3], StarField.still())
        given = ids.carry_over([[(int(t), k) for t in track.t_us] for k, track in enumerate(tracks.tracks)])
        ids.report(given[:1])  # as if it had been an object already
        objects = follower.objects(events, end, end - 500_000, tracks, ids)
        rows.append([number for number, _ in objects])
    first = rows.index([1])
    assert not any(rows[:first]) and rows[first:] == [[1]] * (len(rows) - first)  # the track without evidence never is an object
    assert ids.given == [1, 2] and follower.numbers == {1}


def test_a_track_without_a_path_is_judged_by_its_evidence():
    faint = recording(rate_hz=100.0)
    t_us = np.arange(2_300_000, 5_000_000, 100_000).astype(float)
    places = label_at(faint, t_us)
    follower, ids = PathFollower(Motion(Footprint.point()), (96, 72), 0.5), TrackIds()
    follower.search.search._found = lambda *_: None  # no line becomes a path
    follower.last = True
    tracks = [track_along(places, t_us), track_along(places[:, ::-1] + 20, t_us)]
    tracks.append(dataclasses.replace(tracks[0], score=0.1))  # a star's motion
    ids.carry_over([[(0, k)] for k in range(3)])
    events = faint.events[faint.events["t"] < 5e6]
    ((number, track),) = follower.objects(events, 5_000_000, 4_500_000, Tracks(tracks, StarField.still()), ids)
    assert number == 1 and track.nats > 50 and track.score > 0.99


def track_along(places, t_us):
    """A track, marked by its slices of 7, whose motion looks like an object's."""
    velocity = np.gradient(places, t_us * 1e-6, axis=0) if len(t_us) > 1 else places * 0
    marks = np.full(len(t_us), 7)
    return ObjectTrack(1, t_us, marks, marks, np.hstack([places, velocity]), velocity, 0.9)


def test_what_creeps_among_the_stars_is_found():
    """3 px in ten seconds, hardly more than a star's image is wide."""
    faint = recording(rate_hz=60.0, speed_px_s=(0.3, 0.3), duration_s=10.0, stars=8)
    follower, ids, found = PathFollower(Motion(Footprint.point()), (96, 72), 0.5), TrackIds(), []
    for end in range(1_000_000, 10_000_001, 1_000_000):
        events = faint.events[(faint.events["t"] >= end - 1_000_000) & (faint.events["t"] < end)]
        found.append(follower.objects(events, end, end - 1_000_000, Tracks([], StarField.still()), ids))
    assert [len(own) for own in found[-3:]] == [1, 1, 1] and not any(found[:2])
    ((_, track),) = found[-1]
    assert np.median(errors(faint, track)) <= 1.0


def test_only_paths_that_tell_are_objects(monkeypatch):
    """Neither halos nor what is too brief: by the rules that hold for `detect`."""
    faint = recording()
    follower, ids = PathFollower(Motion(Footprint.point()), (96, 72), 0.5), TrackIds()
    early, late = (faint.events[(faint.events["t"] >= low) & (faint.events["t"] < low + 5e6)] for low in (0, 5e6))
    still = Tracks([], StarField.still())
    assert len(follower.objects(early, 5_000_000, 0, still, ids)) == 1
    monkeypatch.setattr(following, "telling", lambda paths, *_: np.zeros(len(paths), bool))
    assert not follower.objects(late, 10_000_000, 5_000_000, still, ids)


def test_only_noise_and_stars_are_no_objects(model):
    _, windows = followed(model, recording(objects=0, seed=8).events)
    assert not any(w.objects for w in windows)


def test_what_has_just_appeared_is_not_reported_yet_unless_the_input_ends(model):
    bright = recording(rate_hz=60.0, speed_px_s=(40.0, 40.0), duration_s=6.0, seed=11)
    entered, left = bright.labels["t"][[0, -1]]
    _, windows = followed(model, bright.events)
    assert left < PATIENCE_S * 1e6  # it has gone before anything may be reported
    first = next(w for w in windows if w.objects)
    assert PATIENCE_S <= (first.end_us - entered) * 1e-6 <= PATIENCE_S + 0.6
    ((_, track),) = first.objects
    assert entered - 0.3e6 <= track.t_us[0] <= track.t_us[-1] <= left + 0.3e6
    _, short = followed(model, bright.events[bright.events["t"] < 2.4e6])
    assert short[-1].objects and not any(w.objects for w in short[:-1])


def test_stars_that_drift_are_no_objects_at_the_beginning(model):
    faint = recording(stars=12, objects=0, field="drift", field_speed_px_s=12.0, seed=2)
    _, windows = followed(model, faint.events)
    assert not any(w.objects for w in windows)
    assert np.hypot(*windows[-1].star_field) == pytest.approx(12.0, abs=0.7)


def test_the_star_field_is_the_velocity_of_the_last_step(night, monkeypatch):
    _, follower, _ = night
    search = SimpleNamespace(frame=SimpleNamespace(rates=np.array([[9.0, 9.0, 9.0], [3.0, -4.0, 0.1]])))
    monkeypatch.setattr(follower._paths, "search", search)
    search.stars = SimpleNamespace(spans=[0])
    assert follower._paths.star_field == (3.0, -4.0)
    search.stars = SimpleNamespace(spans=[])
    assert follower._paths.star_field is None


def test_a_part_is_followed_as_a_recording_of_its_own_with_new_ids(model, night):
    faint, _, alone = night
    follower = Follower(CFG, model, READOUT, (96, 72))
    later = faint.events.copy()
    later["t"] += 9_000_000_000
    first = list(follower.take(later, 0.0)) + list(follower.begin_part(0.0))  # then the clock starts again
    second = list(follower.take(faint.events, 0.0)) + list(follower.finish(0.0))
    assert len(first) == len(second) == len(alone) and {w.part for w in first} == {1} and {w.part for w in second} == {2}
    for ours, theirs in zip(second, alone, strict=True):
        assert (ours.start_us, ours.end_us, ours.events, ours.tracks) == (
            theirs.start_us,
            theirs.end_us,
            theirs.events,
            theirs.tracks,
        )
        assert [track.states.tolist() for _, track in ours.objects] == [track.states.tolist() for _, track in theirs.objects]
    ids = [{number for w in windows for number, _ in w.objects} for windows in (first, second)]
    assert ids[1] and not ids[0] & ids[1]
