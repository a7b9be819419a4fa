"""From maps to slices, tracks, and each event's track and score."""

import numpy as np
import pytest

from spikeseg.config.sections import TrackingConfig
from spikeseg.core.sparse import SparseMap
from spikeseg.data.frames.framing import FrameSpec, starts
from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.data.windows import WindowedRecording
from spikeseg.detection import tracked
from spikeseg.detection.response import from_maps

STEP_US = 50_000
SENSOR = (120, 60)
SETTINGS = TrackingConfig(min_hits=2)


def view_of(rows, *, kept=None, overlap=0.0, size=None, steps=4):
    """A view of events (t, x, y), in windows of 0.2 s."""
    events = np.array([(t, x, y, 1) for t, x, y in rows], EVENT_DTYPE)
    mask = np.ones(len(rows), bool) if kept is None else np.array(kept)
    spec = FrameSpec(steps, STEP_US, height=size and size[1], width=size and size[0], overlap=overlap)
    return WindowedRecording("r", events, mask, SENSOR, spec, starts(events[mask], spec, 0), lambda: iter(()))


def moving(n=12, speed=4):
    """A dot of three pixels in a row that moves by `speed` px per step from x = 10 on, along y = 20."""
    return [(k * STEP_US + 10, 10 + speed * k + dx, 20) for k in range(n) for dx in range(3)]


def maps_of(view, value=1.0):
    """Every kept event lights up its pixel."""
    maps = []
    for start in view.start_us.tolist():
        flat = np.zeros(int(np.prod(view.shape)), np.float32)
        flat[view.located(start)[1]] = value
        maps.append(SparseMap.of(flat.reshape(view.shape)))
    return maps


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
def test_slices_follow_each_other_without_gaps_however_windows_overlap(overlap):
    view = view_of(moving(24), overlap=overlap)
    slices = tracked.slices_of(view, maps_of(view), 0.5)
    assert len(slices) == len(view.start_us)
    flat = [part for parts in slices for part in parts]
    assert flat[0].start_us == 0 and flat[-1].end_us == view.end_us[-1] == 23 * STEP_US + 11
    assert all(a.end_us == b.start_us for a, b in zip(flat[:-1], flat[1:], strict=True))
    assert {part.end_us - part.start_us for part in flat[:-2]} <= {STEP_US, 2 * STEP_US}
    for parts, start in zip(slices, view.start_us.tolist(), strict=True):
        assert [part.start_us - start for part in parts] == [STEP_US * part.steps.start for part in parts]


def test_what_two_windows_share_belongs_to_the_earlier():
    """The later window lights up elsewhere, and is heard on its own half alone."""
    view = view_of(moving(6), overlap=0.5)
    first, second = np.zeros((2, *view.shape), np.float32)
    first[:, 5, 5:9], second[:, 50, 50:54] = 1.0, 1.0
    early, late = tracked.slices_of(view, [SparseMap.of(first), SparseMap.of(second)], 0.5)
    assert [(part.start_us, part.blobs.objects["y"].tolist()) for part in early] == [(0, [5]), (100_000, [5])]
    assert [(part.start_us, part.blobs.objects["y"].tolist()) for part in late] == [(200_000, [50])]


def test_one_object_is_one_track_in_pixels_of_the_sensor():
    for size in (None, (60, 30)):
        view = view_of(moving(), size=size)
        tracks, owners = tracked.track(view, tracked.slices_of(view, maps_of(view), 0.5), SETTINGS)
        (one,) = tracks.tracks
        assert [ids.tolist() for ids in owners] == [[1]] * 6 and owners[0].dtype == np.int32
        np.testing.assert_allclose(one.t_us[:-1], 50_000 + 1e5 * np.arange(5))
        np.testing.assert_allclose(one.states[:, 0], 13 + 8 * np.arange(6), atol=1.5)
        np.testing.assert_allclose(one.states[:, 2:].mean(0), [80, 0], atol=3)


def test_events_get_the_id_of_the_object_they_lie_in():
    """An event beside the object, one in it that the transforms dropped, and one that is too dim, have none."""
    rows = sorted([*moving(), (4 * STEP_US + 20, 60, 50), (5 * STEP_US + 20, 31, 20)])
    view = view_of(rows, kept=[(x, y) != (31, 20) or t % STEP_US == 10 for t, x, y in rows])
    dim = rows.index((6 * STEP_US + 10, 10 + 24, 20))
    maps = maps_of(view)
    reached = view.kept.copy()
    reached[dim] = False
    slices = tracked.slices_of(view, maps, 0.5)
    _, owners = tracked.track(view, slices, SETTINGS)
    ids = tracked.event_ids(view, reached, slices, owners)
    without = {dim, rows.index((4 * STEP_US + 20, 60, 50)), rows.index((5 * STEP_US + 20, 31, 20))}
    assert ids.dtype == np.int32 and set(np.flatnonzero(ids == 0)) == without and set(ids) == {0, 1}


def test_an_event_in_a_slice_before_or_after_its_pixels_object_has_no_id():
    """Where the dot was a slice ago, an event of now belongs to nothing."""
    rows = sorted([*moving(), (6 * STEP_US + 20, 10, 20)])
    view = view_of(rows)
    slices = tracked.slices_of(view, maps_of(view), 0.5)
    _, owners = tracked.track(view, slices, SETTINGS)
    ids = tracked.event_ids(view, np.ones(len(rows), bool), slices, owners)
    assert np.flatnonzero(ids == 0).tolist() == [rows.index((6 * STEP_US + 20, 10, 20))]


def test_ids_where_windows_overlap_are_those_of_the_same_slices_without():
    plain, twice = (view_of(moving(24), overlap=overlap) for overlap in (0.0, 0.5))
    found = []
    for view in (plain, twice):
        slices = tracked.slices_of(view, maps_of(view), 0.5)
        _, owners = tracked.track(view, slices, SETTINGS)
        found.append(tracked.event_ids(view, np.ones(len(view.events), bool), slices, owners))
    assert found[0].tolist() == found[1].tolist() == [1] * 72


def test_two_objects_keep_apart():
    rows = sorted([*moving(), *[(t, 110 - (x - 10), 45) for t, x, _ in moving()]])
    view = view_of(rows)
    response = tracked.answer(view, maps_of(view), 0.5, SETTINGS)
    ids = response.tracked.ids
    assert [set(ids[view.events["y"] == y]) for y in (20, 45)] in ([{1}, {2}], [{2}, {1}])


def test_the_answer_gives_events_the_scores_of_their_tracks():
    rows = sorted([*moving(), (5 * STEP_US + 20, 5, 55)])
    view = view_of(rows)
    maps = maps_of(view, 3.0)
    response = tracked.answer(view, maps, 0.5, SETTINGS)
    (one,) = response.tracked.tracks.tracks
    stray = rows.index((5 * STEP_US + 20, 5, 55))
    own = np.delete(response.scores, stray)
    assert 0 < one.score < 1 and (own > 0.75 * one.score).all() and (own <= one.score).all()
    assert response.scores[stray] == pytest.approx(0.1 * 3 / 4)
    assert response.maps is maps and np.array_equal(response.saliency, from_maps(view, maps).scores)
    assert response.saliency.tolist() == [3.0] * len(rows)


def test_an_answer_to_what_lights_nothing_up():
    view = view_of(moving())
    response = tracked.answer(view, maps_of(view, 0.2), 0.5, SETTINGS)
    assert response.tracked.tracks.tracks == [] and not response.tracked.ids.any()
    assert response.scores.tolist() == pytest.approx([0.1 * 0.2 / 1.2] * len(view.events))


def test_an_answer_to_an_empty_recording():
    view = view_of([])
    response = tracked.answer(view, [], 0.5, SETTINGS)
    assert response.scores.shape == response.saliency.shape == response.tracked.ids.shape == (0,)
    assert response.tracked.tracks.tracks == [] and list(response.tracked.slices) == []
