"""Blobs and lines of accumulated frames, on drawn frames whose answer is known."""

import time

import numpy as np
import pytest

from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.detection.classical import APART_PX, REACH_PX, SMOOTHING_PX, accumulate, blobs, contrast, lines
from spikeseg.detection.objects import OBJECT_DTYPE

DETECTORS = [blobs, lines]
SHAPE = (90, 120)


def source(*places, height=10.0, shape=SHAPE):
    """A frame with discs of radius 2 of this many events per pixel around places (x, y)."""
    frame = np.zeros(shape)
    row, column = np.indices(shape)
    for x, y in places:
        frame[np.hypot(row - y, column - x) <= 2] += height
    return frame


def streak(start, end, height=10.0, shape=SHAPE):
    """A frame with a line of this many events per pixel from start to end (x, y), both included."""
    frame = np.zeros(shape)
    for x, y in np.linspace(start, end, 500):
        frame[round(y), round(x)] = height
    return frame


def noise(seed=0, rate=0.1, shape=SHAPE):
    return np.random.default_rng(seed).poisson(rate, shape).astype(float)


def test_events_are_counted_per_pixel_of_either_polarity():
    events = np.array([(0, 2, 1, True), (1, 2, 1, False), (2, 0, 0, True), (3, 3, 2, True)], EVENT_DTYPE)
    frame = accumulate(events, (4, 3))
    assert frame.shape == (3, 4) and frame.dtype == np.float64
    assert (frame[1, 2], frame[0, 0], frame[2, 3], frame.sum()) == (2, 1, 1, 4)
    assert not accumulate(events[:0], (4, 3)).any()


def test_events_off_the_sensor_are_refused():
    with pytest.raises(ValueError, match=r"events.x: 3..4; expected 0..3"):
        accumulate(np.array([(0, 3, 0, True), (0, 4, 0, True)], EVENT_DTYPE), (4, 3))
    with pytest.raises(ValueError, match=r"events.y: -1..-1"):
        accumulate(np.array([(0, 3, -1, True)], EVENT_DTYPE), (4, 3))


def test_contrast_is_in_standard_deviations_of_the_smoothed_frame():
    z = contrast(noise() + source((60, 40)))
    assert z.mean() == pytest.approx(0, abs=1e-9) and z.std() == pytest.approx(1)
    assert np.unravel_index(z.argmax(), SHAPE) == (40, 60)
    np.testing.assert_allclose(contrast(3 * noise() + 7), contrast(noise()), atol=1e-9)  # brighter nights, equal z


def test_contrast_by_hand():
    frame = np.array([[0.0, 0.0], [0.0, 4.0]])  # mean 1, standard deviation sqrt(3)
    np.testing.assert_allclose(contrast(frame, 0), np.array([[-1, -1], [-1, 3]]) / np.sqrt(3))


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("frame", [np.zeros(SHAPE), np.full(SHAPE, 0.1), np.zeros((0, 0)), np.ones((1, 1)), np.zeros((0, 5))])
def test_nothing_in_a_frame_without_contrast(detector, frame):
    found = detector(frame)
    assert len(found.objects) == 0 and found.objects.dtype == OBJECT_DTYPE
    assert found.labels.shape == found.strength.shape == frame.shape
    assert found.labels.dtype == np.int32 and found.strength.dtype == np.float64
    assert not found.labels.any() and not found.strength.any()


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_bright_source_in_noise_is_the_only_object_and_the_strongest(detector):
    found = detector(noise() + source((60, 40)), class_id=3)
    assert len(found.objects) == 1
    one = found.objects[0]
    assert np.hypot(one["x"] - 60, one["y"] - 40) <= 2
    assert found.strength[40, 60] == found.strength.max() == one["score"] and one["class_id"] == 3
    assert found.labels[40, 60] == 1 and (found.labels == 1).sum() == one["pixels"] > 0


@pytest.mark.parametrize("detector", DETECTORS)
def test_objects_come_by_falling_score_and_number_their_pixels(detector):
    found = detector(noise() + source((20, 20), (95, 60)) + source((60, 40), height=30), object_sigmas=5)
    assert len(found.objects) == 3 and (np.diff(found.objects["score"]) < 0).all()
    assert np.hypot(found.objects["x"][0] - 60, found.objects["y"][0] - 40) <= 2
    assert not found.objects["class_id"].any()
    for number, one in enumerate(found.objects, 1):
        assert found.labels[round(one["y"]), round(one["x"])] == number


@pytest.mark.parametrize("detector", DETECTORS)
def test_what_is_too_weak_for_an_object_has_its_strength_all_the_same(detector):
    frame = noise() + streak((10, 20), (35, 20), height=6) + source((60, 50), height=30)
    found = detector(frame, object_sigmas=12)
    assert len(found.objects) == 1 and found.labels[20, 20] == 0 < found.strength[20, 20] < 12
    everything = detector(frame, object_sigmas=0)
    np.testing.assert_array_equal(everything.strength, found.strength)
    assert len(everything.objects) > 1 and (everything.objects["score"] > 0).all()  # what is dark is none


@pytest.mark.parametrize("detector", DETECTORS)
def test_equal_frames_equal_answers_and_the_frame_stays_as_it_was(detector):
    frame = noise(3) + streak((10, 10), (50, 40))
    before = frame.copy()
    first, again = detector(frame), detector(frame)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize("detector", DETECTORS)
def test_counts_may_be_of_any_real_dtype(detector):
    frame = noise() + source((60, 40))
    for dtype in (np.uint8, np.int64, np.float32):
        np.testing.assert_allclose(detector(frame.astype(dtype)).strength, detector(frame).strength)


@pytest.mark.parametrize("place", [(0, 0), (119, 0), (0, 89), (119, 89)])
def test_a_blob_in_a_corner(place):
    found = blobs(noise() + source(place, height=20))
    assert len(found.objects) == 1
    assert np.hypot(found.objects["x"][0] - place[0], found.objects["y"][0] - place[1]) <= 4


def test_values_of_a_blob_by_hand():
    frame = np.zeros((20, 30))
    frame[5, 10:14] = [1, 1, 1, 5]
    found = blobs(frame, smoothing_px=0, sigmas=1, object_sigmas=5)
    z = (frame - frame.mean()) / frame.std()
    one = found.objects[0]
    assert len(found.objects) == 1 and (one["width"], one["height"], one["pixels"], one["y"]) == (4, 1, 4, 5)
    assert one["score"] == pytest.approx(z[5, 13])
    assert one["x"] == pytest.approx((z[5, 10:14] * np.arange(10, 14)).sum() / z[5, 10:14].sum())
    np.testing.assert_array_equal(found.labels[5, 10:14], 1)
    np.testing.assert_allclose(found.strength[frame > 0], z[5, 13])
    assert not found.strength[frame == 0].any()


def test_pixels_that_touch_by_a_corner_are_one_blob_and_small_blobs_none():
    frame = np.zeros((20, 30))
    frame[[5, 6, 7], [5, 6, 7]] = 1
    frame[12, [20, 21]] = 1
    found = blobs(frame, smoothing_px=0, sigmas=1, object_sigmas=1)
    assert found.objects["pixels"].tolist() == [3] and found.strength[12, 20] == 0
    assert len(blobs(frame, smoothing_px=0, sigmas=1, object_sigmas=1, min_pixels=2).objects) == 2


def test_a_streak_is_one_segment_with_its_midpoint_between_its_ends():
    found = lines(streak((20, 20), (80, 50)), object_sigmas=3)
    one = found.objects[0]
    assert np.hypot(one["x"] - 50, one["y"] - 35) <= 8
    assert one["width"] > 30 and one["height"] > 15
    on = [found.labels[y, x] for x, y in ((40, 30), (50, 35), (60, 40))]
    assert on == [1, 1, 1] and found.labels[70, 20] == 0


@pytest.mark.parametrize("row", [0, 89])
def test_a_segment_along_the_border(row):
    found = lines(noise(rate=0.02) + streak((0, row), (119, row)), object_sigmas=3)
    assert found.strength[row, 60] > 3 and not found.strength[45, 60] and abs(found.objects["y"][0] - row) <= 2


def test_the_strength_of_a_segment_holds_within_its_reach():
    frame = np.zeros(SHAPE)
    frame[40, 20:61] = 1
    found = lines(frame, smoothing_px=0, sigmas=1, object_sigmas=1)
    peak = contrast(frame, 0).max()
    assert len(found.objects) == 1
    one = found.objects[0]
    assert (one["x"], one["y"], one["width"], one["height"]) == (40, 40, 41, 1) and one["score"] == pytest.approx(peak)
    near = found.strength[40 - REACH_PX : 40 + REACH_PX + 1, 40]
    np.testing.assert_allclose(near, peak)
    assert not found.strength[40 + REACH_PX + 1, 40] and not found.strength[40 - REACH_PX - 1, 40]
    np.testing.assert_array_equal(found.labels > 0, found.strength > 0)


def test_dots_shorter_than_a_segment_are_none():
    frame = np.zeros(SHAPE)
    frame[40, 20:23] = frame[70, 80:83] = 1
    assert not lines(frame, smoothing_px=0, sigmas=1, object_sigmas=0).strength.any()


def test_segments_side_by_side_are_one_object_and_apart_two():
    def found(gap):
        frame = np.zeros(SHAPE)
        frame[40, 20:31] = frame[40 + gap, 20:31] = 1
        return len(lines(frame, smoothing_px=0, sigmas=1, object_sigmas=1).objects)

    assert found(2) == 1
    assert found(int(APART_PX) + 4) == 2


def test_a_window_of_a_whole_sensor_is_quick():
    frame = noise(rate=3.0, shape=(180, 240)) + streak((20, 20), (200, 150), shape=(180, 240))
    for detector in DETECTORS:
        detector(frame)
        took = []
        for _ in range(3):
            start = time.process_time()
            detector(frame)
            took.append(time.process_time() - start)
        assert min(took) < 0.3  # about 0.02 s; ten times that means something is wrong
    assert SMOOTHING_PX > 0
