"""What an answer says of its tracks and objects."""

import numpy as np
import pytest

from spikeseg.core.sparse import SparseMap
from spikeseg.data.frames.framing import FrameSpec
from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.data.windows import WindowedRecording
from spikeseg.detection.objects import Slice, blobs_of
from spikeseg.detection.response import Response, TrackedObjects
from spikeseg.tracking.scene import ObjectTrack, Tracks
from spikeseg.tracking.star_field import StarField


def track(number, score, *, start=(20, 30), first_us=1e6):
    """Half a second in a straight line, at 10 px/s in x."""
    times = first_us + 1e5 * np.arange(5)
    states = np.array([[start[0] + 10e-6 * (t - first_us), start[1], 10.0, 0.0] for t in times])
    return ObjectTrack(number, times, np.arange(5), np.zeros(5, int), states, states[:, 2:], score)


def tracked(*tracks):
    """An answer that holds nothing but tracks."""
    return Response(np.zeros(0), [], TrackedObjects([], Tracks(list(tracks), StarField.still()), [], np.zeros(0, np.int32)))


def at(response, t_us, threshold):
    """Positions at one time of the tracks that are there."""
    positions = np.array([path[0] for path in response.paths_at(np.array([t_us]), threshold)]).reshape(-1, 2)
    return positions[~np.isnan(positions[:, 0])]


def test_paths_are_those_of_the_tracks_that_reach_the_threshold():
    response = tracked(track(1, 0.8), track(2, 0.5, start=(90, 10)), track(3, 0.49, start=(5, 5)), track(4, 0.9, first_us=9e6))
    assert [one.id for one in response.tracks_above(0.5)] == [1, 2, 4]
    np.testing.assert_allclose(at(response, 1.2e6, 0.5), [[22, 30], [92, 10]])
    np.testing.assert_allclose(at(response, 0.96e6, 0.8), [[19.6, 30]])  # half a slice before its first detection
    assert at(response, 0.94e6, 0.5).shape == at(tracked(), 0.0, 0.5).shape == (0, 2)
    np.testing.assert_allclose(at(response, 1.2e6, 0.0), [[22, 30], [92, 10], [7, 5]])
    several = [path[:, 0] for path in response.paths_at(np.array([1.2e6, 8e6, 9e6]), 0.8)]
    np.testing.assert_allclose(several, [[22, np.nan, np.nan], [np.nan, np.nan, 20]])


def test_maps_keep_the_objects_of_tracks_that_reach_the_threshold():
    saliency = np.zeros((2, 6, 12), np.float32)
    saliency[0, 1, 1:4], saliency[0, 4, 8:10], saliency[0, 0, 11], saliency[1, 3, 5] = 0.9, 0.8, 0.7, 0.6
    maps, slices = [SparseMap.of(saliency)], []
    for k, step in enumerate(saliency):
        index = np.flatnonzero(step)
        slices.append(Slice(slice(k, k + 1), k, k + 1, blobs_of(index, step.ravel()[index].astype(float), (6, 12), min_pixels=1)))
    by_x = [dict(zip(part.blobs.objects["x"].tolist(), range(3), strict=False)) for part in slices]
    owners = [np.zeros(3, np.int32), np.array([2], np.int32)]
    owners[0][by_x[0][2.0]], owners[0][by_x[0][8.5]] = 1, 2  # the third is no track's
    tracks = Tracks([track(1, 0.5), track(2, 0.49)], StarField.still())
    response = Response(np.zeros(0), maps, TrackedObjects([slices], tracks, owners, np.zeros(0, np.int32)))
    for threshold, kept in ((0.51, 0.95), (0.5, 0.85), (0.49, 0.0)):
        (found,) = response.object_maps(threshold)
        expected = np.where(saliency >= kept, saliency, 0)
        expected[0, 0, 11] = 0
        np.testing.assert_array_equal(found, expected)


def test_without_tracking_there_is_nothing_to_say_of_tracks():
    response = Response(np.zeros(0), [])
    assert response.tracks_above(0.0) is response.paths_at(np.zeros(1), 0.0) is response.object_maps(0.0) is None


@pytest.mark.parametrize("scale", [1, 2])
def test_objects_of_a_window_are_blobs_in_sensor_pixels_or_what_is_listed(scale):
    spec = FrameSpec(n_timesteps=2, timestep_us=10_000, height=20, width=30)
    size = (30 * scale, 20 * scale)
    recording = WindowedRecording(
        "r", np.zeros(0, EVENT_DTYPE), np.zeros(0, bool), size, spec, np.zeros(1, np.int64), lambda: iter(())
    )
    saliency = np.zeros((2, 20, 30), np.float32)
    saliency[:, 4:7, 9:12], saliency[0, 15, 20:25] = 1.0, 0.4
    blobs = Response(np.zeros(0), [SparseMap.of(saliency)])
    expected = {1: [10, 5], 2: [20.5, 10.5]}[scale]
    np.testing.assert_allclose(blobs.window_objects(recording, 0, 0.5), [expected])
    assert len(blobs.window_objects(recording, 0, 0.3)) == 2 and blobs.window_objects(recording, 0, 3.0).shape == (0, 2)
    listed = Response(np.zeros(0), blobs.maps, positions=[np.array([[1.0, 2.0]])])
    assert listed.window_objects(recording, 0, 0.5).tolist() == [[1, 2]]
