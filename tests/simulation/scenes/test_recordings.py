"""Scenes: the truth of their events, their boxes, and what each condition is for."""

from dataclasses import replace

import numpy as np
import pytest

from spikeseg.data.recording import SOURCE_HOT, SOURCE_NOISE, SOURCE_OBJECT, SOURCE_STAR, checked
from spikeseg.simulation.scenes import CONDITIONS, SceneSet, condition, recording_of, scene_recording
from spikeseg.simulation.scenes.recordings import BOX_INTERVAL_US, HIDDEN_S, draw_cast

SMALL = {"sensor_size": (96, 72), "noise_hz": 0.1, "seed": 3}
DRAWN = {
    "crossing": (200.8254, 1.49984), "occluding": (205.7762, 2.26011), "growing": (127.5646, 1.73395),
    "stopping": (274.9458, 0.26192), "turning": (173.4269, 1.29227), "faint": (153.4142, 1.14708), "fast": (225.6482, 0.31501),
    "tiny": (107.6048, 1.95650), "many": (377.3908, 1.18861), "moving": (128.7331, 2.42305), "flicker": (199.0713, 0.25499),
    "small": (29.3939, 1.03263), "large": (613.6862, 1.15138),
}  # fmt: skip
"""Mean x of the paths and mean tone of the shapes of seed 9508, as drawn before anything walked."""


def small(name, **changes):
    """A condition on a small sensor, with objects that fit."""
    wanted = condition(name)
    sizes = tuple(min(size, 24.0) for size in wanted.size_px)
    return replace(wanted, **{**SMALL, "size_px": sizes, "duration_s": min(wanted.duration_s, 1.5), **changes})


def at_times(boxes, t):
    """Edges x0, x1, y0, y1 of one object's boxes at times (n,): the widest of the two boxes around each time."""
    edges = [boxes["x"] - boxes["w"] / 2, boxes["x"] + boxes["w"] / 2, boxes["y"] - boxes["h"] / 2, boxes["y"] + boxes["h"] / 2]
    later = np.clip(np.searchsorted(boxes["t"], t), 0, len(boxes) - 1)
    earlier = np.maximum(later - 1, 0)
    return [(np.minimum, np.maximum)[k % 2](edge[earlier], edge[later]) for k, edge in enumerate(edges)]


@pytest.mark.parametrize("name", CONDITIONS)
def test_recordings_pass_the_checks_and_events_lie_in_the_boxes_of_their_objects(name):
    found = 0
    for index in range(3):
        r = scene_recording(small(name), index)
        again = checked(r.name, r.source, r.events, r.sensor_size, r.labels, truth=r.truth)
        assert np.array_equal(again.events, r.events) and again.dropped == {} and np.array_equal(again.labels, r.labels)
        ids, source = r.truth["object_id"], r.truth["source"]
        assert np.array_equal(ids > 0, source == SOURCE_OBJECT) and set(np.unique(r.boxes["id"])) <= set(np.unique(ids))
        assert np.all(r.boxes["t"] % BOX_INTERVAL_US == 0) and np.all(np.diff(r.boxes["t"]) >= 0)
        assert r.boxes["x"].tolist() == r.labels["x"].tolist() and r.boxes["id"].tolist() == r.labels["id"].tolist()
        for number in np.unique(r.boxes["id"]):
            own, boxes = r.events[ids == number], r.boxes[r.boxes["id"] == number]
            own = own[(own["t"] >= boxes["t"][0]) & (own["t"] <= boxes["t"][-1])]
            x0, x1, y0, y1 = at_times(boxes, own["t"])
            inside = (own["x"] > x0 - 2) & (own["x"] < x1 + 2) & (own["y"] > y0 - 2) & (own["y"] < y1 + 2)
            assert inside.mean() > 0.95, (name, index, number)
            found += 1
    assert (found == 0) == name.startswith("empty")


def test_same_values_same_bytes_and_no_recording_depends_on_another():
    config = small("crossing")
    first, again, other = (scene_recording(config, k) for k in (2, 2, 3))
    assert first.events.tobytes() == again.events.tobytes() and first.boxes.tobytes() == again.boxes.tobytes()
    assert first.truth.tobytes() == again.truth.tobytes() and not np.array_equal(first.events[:50], other.events[:50])
    assert not np.array_equal(first.events[:50], scene_recording(replace(config, seed=4), 2).events[:50])


def test_what_is_drawn_of_a_seed_stays_as_conditions_and_motions_are_added():
    for name, drawn in DRAWN.items():
        cast = draw_cast(condition(name, seed=9508), list(CONDITIONS).index(name))
        x, tone = (np.mean([path.pose[:, 0].mean() for path in cast.paths]), np.mean([s.tone.mean() for s in cast.shapes]))
        assert (x, tone) == pytest.approx(drawn, rel=1e-4), name


def test_without_objects_all_events_are_nobodys():
    for name, source in (("empty", None), ("empty_moving", SOURCE_STAR), ("empty_flicker", SOURCE_STAR)):
        r = scene_recording(small(name), 0)
        assert not r.truth["object_id"].any() and len(r.boxes) == len(r.labels) == 0
        assert set(np.unique(r.truth["source"])) == {SOURCE_NOISE, SOURCE_HOT} | ({source} if source else set()), name


def test_objects_that_cross_meet():
    config = small("crossing", objects=(2, 2))
    for index in range(5):
        cast = draw_cast(config, index)
        one, other = cast.paths
        apart = np.hypot(*(one.pose[:, :2] - other.pose[:, :2]).T)
        assert apart.min() < 1.0 and apart.max() > 20.0


def test_a_hidden_object_has_no_box_and_comes_back():
    gaps = []
    for index in range(12):
        r = scene_recording(small("occluding", size_px=(8.0, 12.0), speed_px_s=(80.0, 120.0)), index)
        for number in np.unique(r.boxes["id"]):
            gaps += [np.diff(r.boxes["t"][r.boxes["id"] == number]).max(initial=0) * 1e-6]
    hidden = np.array([gap for gap in gaps if gap > 0.03])
    assert len(hidden) >= 3 and hidden.max() < HIDDEN_S[1] + 0.2


def test_what_passes_behind_a_pillar_sends_no_events_from_there():
    config = small("occluding", objects=(1, 1), size_px=(8.0, 12.0), noise_hz=0.0)
    for index in range(4):
        r, cast = scene_recording(config, index), draw_cast(config, index)
        assert cast.ids == [0, 1] and cast.shapes[0].fixed
        own = r.events[r.truth["object_id"] == 1]
        width = 2 * np.count_nonzero(cast.shapes[0].distance[len(cast.shapes[0].distance) // 2] < 0) / 2
        assert len(own) and np.all(np.abs(own["x"] - cast.paths[0].pose[0, 0]) > width / 2 - 1.01)


def test_an_object_that_stops_is_silent_and_keeps_its_box():
    config = small("stopping", objects=(1, 1), speed_px_s=(60.0, 80.0), styles=("textured",), seed=5)
    for index in range(4):
        r, cast = scene_recording(config, index), draw_cast(config, index)
        rests = np.flatnonzero(np.hypot(*np.diff(cast.paths[0].pose[:, :2], axis=0).T) == 0)
        start, end = (cast.paths[0].t_s[rests[[0, -1]]] * 1e6).tolist()
        own = r.events["t"][r.truth["object_id"] == 1]
        assert end - start > 150_000 and not np.any((own > start + 1_000) & (own < end))
        during = (r.boxes["t"] > start) & (r.boxes["t"] < end)
        assert during.sum() >= (end - start) / BOX_INTERVAL_US - 2 and np.ptp(r.boxes["x"][during]) <= 1


def test_an_object_that_approaches_grows():
    r = scene_recording(small("growing", objects=(1, 1), speed_px_s=(1.0, 2.0), size_px=(24.0, 24.0), sensor_size=(96, 96)), 1)
    assert r.boxes["w"][-1] > 1.7 * r.boxes["w"][0] and r.boxes["h"][-1] > 1.7 * r.boxes["h"][0]


def test_events_where_the_background_moves_come_from_everywhere():
    r = scene_recording(small("empty_moving", noise_hz=0.0, background_speed_px_s=(40.0, 40.0)), 0)
    own = r.events[r.truth["source"] == SOURCE_STAR]
    share = np.histogram2d(own["x"], own["y"], bins=4)[0] / len(own)
    assert len(own) > 5000 and share.min() > 0.01


def test_lamps_beat():
    r = scene_recording(small("empty_flicker", noise_hz=0.0), 0)
    own = r.events[r.truth["source"] == SOURCE_STAR]
    spectrum = np.abs(np.fft.rfft(np.bincount(own["t"] // 1000, minlength=1000)[:1000] - len(own) / 1500))
    assert np.argmax(spectrum) in (50, 100, 200)


def test_a_set_goes_through_its_conditions():
    scenes = SceneSet(("empty", "small"), seed=2, changes=(("duration_s", 0.2), ("noise_hz", 1.0)))
    names = [recording_of(scenes, index).name for index in range(3)]
    assert names == ["empty_0000", "small_0001", "empty_0002"]
    assert scenes.config(1) == condition("small", seed=2, duration_s=0.2, noise_hz=1.0)
