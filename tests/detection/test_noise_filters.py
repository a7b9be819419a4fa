"""Noise filters against slow loops that look at all earlier events."""

import numpy as np
import pytest

from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.detection.noise_filters import background_activity, double_window, time_surface, ynoise

SIZE = (9, 7)


@pytest.fixture(params=range(3))
def events(request):
    rng = np.random.default_rng(request.param)
    found = np.zeros(250, EVENT_DTYPE)
    found["t"] = np.sort(rng.integers(0, 60_000, len(found)))
    found["x"], found["y"], found["p"] = rng.integers(0, SIZE[0], 250), rng.integers(0, SIZE[1], 250), rng.integers(0, 2, 250)
    return found


def last_of(events, i, polarity=None):
    """Pixel -> time of its last event before number i, of this polarity if one is given."""
    earlier = events[:i] if polarity is None else events[:i][events["p"][:i] == polarity]
    return {(int(x), int(y)): int(t) for t, x, y, _ in earlier.tolist()}


def square(x, y, radius):
    return [(x + dx, y + dy) for dx in range(-radius, radius + 1) for dy in range(-radius, radius + 1)]


def test_background_activity_is_the_age_of_the_newest_neighbour(events):
    slow = []
    for i, (t, x, y, _) in enumerate(events.tolist()):
        last = last_of(events, i)
        newest = [last[pixel] for pixel in square(x, y, 1) if pixel in last and pixel != (x, y)]
        slow.append(1 / (1 + (t - max(newest)) / 1000) if newest else 0.0)
    np.testing.assert_allclose(background_activity(events, SIZE), slow)


@pytest.mark.parametrize("radius", [1, 2])
def test_ynoise_counts_pixels_of_the_same_polarity(events, radius):
    slow = []
    for i, (t, x, y, p) in enumerate(events.tolist()):
        last = last_of(events, i, p)
        slow.append(sum(pixel in last and t - last[pixel] <= 9_000 for pixel in square(x, y, radius)))
    assert ynoise(events, SIZE, 9_000, radius).tolist() == slow and max(slow) > 2


def test_the_time_surface_fades(events):
    slow = []
    for i, (t, x, y, p) in enumerate(events.tolist()):
        last = last_of(events, i, p)
        slow.append(sum(np.exp((last[pixel] - t) / 5000.0) for pixel in square(x, y, 2) if pixel in last) / 25)
    np.testing.assert_allclose(time_surface(events, SIZE, 5000.0, 2), slow, rtol=1e-12)


@pytest.mark.parametrize("length, near", [(3, 1), (20, 2)])
def test_double_window_keeps_what_passed_apart(events, length, near):
    passed, others, slow = [], [], []
    for _, x, y, _ in events.tolist():
        known = passed[-length:] + others[-length:]
        distance = min((abs(a - x) + abs(b - y) for a, b in known), default=None)
        slow.append(0.0 if distance is None else 1 / (1 + distance))
        (passed if distance is not None and distance <= near else others).append((x, y))
    np.testing.assert_allclose(double_window(events, SIZE, length, near), slow)
    assert passed and others


def test_no_events_and_events_off_the_sensor(events):
    for score in (background_activity, lambda e, s: ynoise(e, s, 1, 1), lambda e, s: time_surface(e, s, 1.0, 1)):
        assert score(events[:0], SIZE).shape == (0,)
        with pytest.raises(ValueError, match=r"events\.x: 0\.\.8; expected 0\.\.4"):
            score(events, (5, 7))
    assert double_window(events[:0], SIZE, 3, 1).shape == (0,)
