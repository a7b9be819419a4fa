import numpy as np
import pytest
import tonic
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.detection import activity
from spikeseg.detection.activity import denoise, graded

SIZE = (12, 9)


def events(*points):
    """From (t in µs, x, y)."""
    return np.array([(t, x, y, True) for t, x, y in points], EVENT_DTYPE)


def drawn(seed, n, duration, t0=0):
    rng = np.random.default_rng(seed)
    found = np.zeros(n, EVENT_DTYPE)
    found["t"] = t0 + np.sort(rng.integers(0, duration, n))
    found["x"], found["y"] = rng.integers(0, SIZE[0], n), rng.integers(0, SIZE[1], n)
    found["p"] = rng.random(n) < 0.5
    return found


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 200),
    duration=st.sampled_from([1, 1_000, 100_000]),
    t0=st.sampled_from([0, 5_000, 2**40]),
    filter_time=st.sampled_from([1, 300, 10_000]),
)
def test_denoise_is_tonics(seed, n, duration, t0, filter_time):
    some = drawn(seed, n, duration, t0)
    np.testing.assert_array_equal(some[denoise(some, filter_time)], tonic.transforms.Denoise(filter_time)(some))


def test_denoise_at_the_start_of_the_clock_is_tonics():
    """There every pixel counts as having fired at time 0, but what lies beyond the outermost event is no pixel."""
    for some, kept in ((events((1, 0, 0), (2, 0, 0)), 0), (events((1, 1, 0), (2, 0, 0)), 2)):
        np.testing.assert_array_equal(some[denoise(some)], tonic.transforms.Denoise(10_000)(some))
        assert denoise(some).sum() == kept


def test_denoise_by_hand():
    t0 = 1_000_000
    some = events((t0, 5, 5), (t0 + 9_999, 5, 6), (t0 + 19_999, 6, 6), (t0 + 20_000, 8, 8), (t0 + 20_001, 9, 9))
    # alone; beside the first; 10 ms after its neighbour: too late; alone; diagonal is no neighbour
    np.testing.assert_array_equal(denoise(some, 10_000), [False, True, False, False, False])


def test_the_own_pixel_is_no_company():
    assert not denoise(events((10**6, 3, 3), (10**6 + 1, 3, 3)), 10_000).any()


def test_denoise_at_the_border_does_not_wrap():
    t0 = 10**6
    some = events((t0, 0, 0), (t0 + 1, 11, 0), (t0 + 2, 0, 8), (t0 + 3, 11, 8), (t0 + 4, 11, 7), (t0 + 5, 1, 0))
    np.testing.assert_array_equal(denoise(some, 10_000), [False] * 4 + [True, True])


def plainly(some, radius, tau):
    scores = np.zeros(len(some))
    for i, e in enumerate(some):
        for earlier in some[:i]:
            if np.hypot(float(earlier["x"]) - e["x"], float(earlier["y"]) - e["y"]) <= radius:
                scores[i] += np.exp(-(int(e["t"]) - int(earlier["t"])) / tau)
    return scores


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 60),
    t0=st.sampled_from([0, 2**40]),
    radius=st.integers(1, 4),
    tau=st.sampled_from([1_000.0, 500_000.0]),
)
def test_graded_is_the_decayed_count_of_earlier_events_nearby(seed, n, t0, radius, tau):
    some = drawn(seed, n, 100_000, t0)
    np.testing.assert_allclose(graded(some, SIZE, radius, tau), plainly(some, radius, tau), rtol=1e-9, atol=1e-12)


def test_graded_by_hand():
    some = events((0, 5, 5), (100, 5, 5), (100, 8, 5), (100, 8, 8), (200, 0, 0))
    some["p"] = [True, False, True, False, True]  # polarity does not matter
    half = np.exp(-1)
    # alone; one before on the pixel; two at distance 3, one of them of the same time; one at (8, 5); too far
    np.testing.assert_allclose(graded(some, SIZE, 3, 100.0), [0, half, half + 1, 1, 0])


def test_graded_at_the_border_does_not_wrap():
    corners = events((0, 0, 0), (1, 11, 0), (2, 0, 8), (3, 11, 8))
    np.testing.assert_array_equal(graded(corners, SIZE), np.zeros(4))


def test_a_source_scores_above_noise():
    noise = drawn(0, 300, 1_000_000)
    source = drawn(1, 100, 1_000_000)
    source["x"], source["y"] = 6 + source["x"] % 2, 4
    some = np.concatenate([noise, source])
    order = np.argsort(some["t"], kind="stable")
    scores = np.empty(400)
    scores[order] = graded(some[order], SIZE)
    assert np.median(scores[300:]) > 2 * np.median(scores[:300])


def test_compiled_and_interpreted_loops_agree(monkeypatch):
    some = drawn(4, 120, 50_000, t0=10**6)
    compiled = denoise(some, 2_000), graded(some, SIZE, 2, 9_000.0)
    for name in ("denoise_events", "grade_events"):
        monkeypatch.setattr(activity, name, getattr(activity, name).py_func)
    np.testing.assert_array_equal(denoise(some, 2_000), compiled[0])
    np.testing.assert_allclose(graded(some, SIZE, 2, 9_000.0), compiled[1], rtol=1e-12)


def test_empty_in_empty_out_and_one_event_is_alone():
    assert denoise(events()).shape == graded(events(), SIZE).shape == (0,)
    assert denoise(events()).dtype == bool and graded(events(), SIZE).dtype == np.float64
    assert graded(events((5, 3, 3)), SIZE).tolist() == [0] and denoise(events((10**6, 3, 3))).tolist() == [False]


def test_the_events_stay_as_they_were():
    some = drawn(3, 50, 10_000)
    before = some.copy()
    denoise(some)
    graded(some, SIZE)
    np.testing.assert_array_equal(some, before)


def test_events_off_the_sensor_are_refused():
    with pytest.raises(ValueError, match=r"events.x: 3..12; expected 0..11"):
        graded(events((0, 3, 3), (1, 12, 3)), SIZE)
    with pytest.raises(ValueError, match=r"events.y: -1..3"):
        denoise(events((0, 3, 3), (1, 1, -1)))
