"""The window to look at a recording by."""

import numpy as np
import pytest

from spikeseg.scenes import pace as pace_module
from spikeseg.scenes.activity import places_of
from spikeseg.scenes.pace import LEAST_US, OF_ALL, SHORTEST_US, WINDOWS_US, pace


def of(made):
    return pace(made.t, places_of(made.x, made.y), made.sensor_size)


def passing(thing, scene, speed_px_s, events_per_px, side=16, **options):
    """Something that flies to and fro over 100 px for 1.2 s."""
    turns = max(round(speed_px_s * 1.2 / 100), 1)
    way = [((20 if k % 2 == 0 else 120), 60) for k in range(turns + 1)]
    return scene([thing(tuple(np.linspace(0, 100 * turns / speed_px_s, turns + 1)), tuple(way), side, events_per_px)], **options)


def test_longer_for_what_is_faint(thing, scene):
    windows = [of(passing(thing, scene, 100, per_px, duration_s=1.2)) for per_px in (400, 60, 12)]
    assert windows == sorted(windows) and windows[0] == LEAST_US and windows[-1] == WINDOWS_US[-1]


def test_shorter_for_what_is_fast(thing, scene):
    windows = [of(passing(thing, scene, speed, 40, 10, duration_s=1.2)) for speed in (1500, 700, 400, 100)]
    assert windows[:3] == [5_000, 5_000, 10_000] and windows[3] >= 2 * LEAST_US


def test_what_is_large_may_move_further(thing, scene):
    """In LEAST_US by 6 px: a smear of what is 10 or 20 px large, none of what is 40 px large."""
    for side, per_px, window in ((10, 150, 10_000), (20, 400, 10_000), (40, 1500, LEAST_US)):
        assert of(scene([thing((0, 0.3), ((30, 60), (120, 60)), side, per_px)], duration_s=0.3)) == window


@pytest.mark.parametrize(("way_px", "window"), [(3, LEAST_US), (4, LEAST_US), (6, 10_000), (8, 10_000), (14, WINDOWS_US[0])])
def test_no_shorter_than_a_neuron_asks_for(thing, scene, way_px, window):
    """Within LEAST_US something tiny moves by so many px, and neurons are 5 px wide."""
    end = 15 + way_px * 0.3e6 / LEAST_US
    assert of(scene([thing((0, 0.3), ((15, 60), (end, 60)), 8, 150)], sensor_size=(240, 120), duration_s=0.3)) == window


@pytest.mark.parametrize(("sensor_size", "window"), [((34, 34), 10_000), ((63, 80), 10_000), ((64, 64), LEAST_US)])
def test_shorter_where_neurons_are_smaller(thing, scene, sensor_size, window):
    """By 3 px: more than a neuron of a small sensor is wide."""
    to_and_fro = tuple((7 + 20 * (k % 2), 17) for k in range(4))
    fast = thing(tuple(np.arange(4) * 20 / 3 * LEAST_US * 1e-6), to_and_fro, 8, 150)
    assert of(scene([fast], sensor_size=sensor_size, duration_s=0.4)) == window


def test_something_slow_beside_it_does_not_hide_what_is_fast(thing, scene):
    fast = thing((0, 0.1, 0.2, 0.3, 0.4, 0.5), tuple((20 + 100 * (k % 2), 90) for k in range(6)), 16, 60)
    slow = thing((0, 0.5), ((30, 20), (45, 20)), 8, 60)
    assert of(scene([fast, slow], duration_s=0.5)) == WINDOWS_US[0]


def test_noise_changes_little(thing, scene):
    usual = of(passing(thing, scene, 300, 60, duration_s=1.2))
    for noise_hz in (0.0, 1.0, 3.0):
        assert of(passing(thing, scene, 300, 60, duration_s=1.2, noise_hz=noise_hz)) in (usual, 2 * usual, usual // 2)


@pytest.mark.parametrize("duration_us", [1, 100, 20_000, 60_000, 150_000])
def test_a_short_recording_holds_several_windows(duration_us):
    rng = np.random.default_rng(0)
    t, x, y = np.sort(rng.integers(0, duration_us, 2000)), rng.integers(5, 25, 2000), rng.integers(5, 25, 2000)
    window = pace(t + 500, places_of(x, y), (34, 34))
    assert isinstance(window, int) and 0 < window <= max(OF_ALL * duration_us, SHORTEST_US)


@pytest.mark.parametrize(("duration_us", "tried"), [(1, False), (49_999, False), (50_009, False), (50_010, True), (60_000, True)])
def test_nothing_is_tried_where_only_the_shortest_window_is_left(duration_us, tried, monkeypatch):
    calls = []
    monkeypatch.setattr(pace_module, "_tried", lambda *_: calls.append(1) or (1.0, 0.0))
    t, places = np.array([7, 7 + duration_us]), places_of(np.array([5, 6]), np.array([5, 5]))
    assert pace(t, places, (64, 64)) == max(SHORTEST_US, int(duration_us * OF_ALL)) and bool(calls) == tried


@pytest.mark.parametrize(
    ("speed_px_s", "events_per_px", "tried"),
    [(100, 400, [5_000, LEAST_US]), (700, 400, [5_000, LEAST_US]), (1500, 40, [5_000, LEAST_US]), (100, 12, list(WINDOWS_US))],
)
def test_where_the_shortest_window_sees_enough_of_all_events_no_longer_one_is_tried(
    thing, scene, speed_px_s, events_per_px, tried, monkeypatch
):
    made, calls, asked = passing(thing, scene, speed_px_s, events_per_px, duration_s=1.2), [], pace_module._tried
    monkeypatch.setattr(pace_module, "_tried", lambda *given: calls.append(given[4]) or asked(*given))
    found = of(made)
    assert calls == tried
    monkeypatch.setattr(pace_module, "_events_in", lambda *_: 10**9)  # as if the longer ones might see far more
    assert of(made) == found and calls == [*tried, *WINDOWS_US]


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("sensor_size", [(1, 1), (34, 34), (1280, 720)])
def test_one_event(n, sensor_size):
    none = np.zeros(n, np.int64)
    assert pace(none + 10**12, places_of(none, none), sensor_size) == SHORTEST_US
    far = pace(np.arange(n) * 10**6, places_of(none, none), sensor_size)
    assert far in (SHORTEST_US, *WINDOWS_US)


def test_the_same_whenever_it_is(thing, scene):
    made = passing(thing, scene, 300, 60, duration_s=1.2)
    first = of(made)
    assert of(made) == first == of(made._replace(t=made.t + 7_000_000_000))
