"""Points and whole things are told apart by what is active together."""

import numpy as np
import pytest

from spikeseg.data import extent
from spikeseg.data.extent import EXTENDED, extended_share
from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.simulation.recordings import SimulationConfig, simulate_recording
from spikeseg.simulation.scenes import CONDITIONS, condition, scene_recording

SIZE = (100, 80)


def moving(side: int, seed: int = 0, noise: int = 4000) -> np.ndarray:
    """A square of so many px that moves by 30 px in a second, and noise, on 100 x 80 px."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 1_000_000, noise + 20_000))
    own = rng.random(len(t)) < 20_000 / len(t)
    events = np.zeros(len(t), EVENT_DTYPE)
    events["t"] = t
    events["x"] = np.where(own, 10 + t * 3e-5 + rng.integers(0, side, len(t)), rng.integers(0, 100, len(t)))
    events["y"] = np.where(own, 30 + rng.integers(0, side, len(t)), rng.integers(0, 80, len(t)))
    return events


def test_the_size_of_what_moves_decides():
    assert extended_share(moving(20), SIZE) > 0.9
    assert extended_share(moving(5), SIZE) == 0.0
    assert extended_share(moving(20, noise=60_000), SIZE) > 0.5  # among noise, too


def test_time_is_counted_from_the_first_event():
    events = moving(20)
    later = events.copy()
    later["t"] += 7_000_000_000
    assert extended_share(later, SIZE) == extended_share(events, SIZE)


def test_on_a_small_sensor_less_is_extended():
    assert extended_share(moving(10), SIZE) < 0.5 < extended_share(moving(10)[moving(10)["y"] < 40], (100, 40))


def test_what_lies_at_both_edges_of_a_row_is_not_connected():
    events = np.zeros(400, EVENT_DTYPE)
    events["t"] = np.arange(400)
    events["y"] = np.arange(400) // 8 % 6
    events["x"] = np.array([0, 1, 2, 3, 96, 97, 98, 99])[np.arange(400) % 8]
    assert extended_share(events, SIZE) == 0.0


def test_nothing_is_extended_where_nothing_is():
    assert extended_share(np.zeros(0, EVENT_DTYPE), SIZE) == 0.0
    assert extended_share(moving(20)[:3], SIZE) == 0.0


def test_of_long_recordings_one_window_of_several_is_looked_at(monkeypatch):
    events = moving(20)
    events["t"] *= 10  # 10 s
    whole = extended_share(events, SIZE)
    monkeypatch.setattr(extent, "WHOLE_EVENTS", 500)
    seen, neighbours = [], extent._neighbours
    monkeypatch.setattr(extent, "_neighbours", lambda pixels, width: seen.append(len(pixels)) or neighbours(pixels, width))
    assert abs(extended_share(events, SIZE) - whole) < 0.2 and seen[0] < len(events) / 4


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
@pytest.mark.parametrize("index", [0, 2])  # of 2 the stars are streaks
def test_simulated_nights_are_nights(difficulty, index):
    night = simulate_recording(SimulationConfig(3, 2.0, difficulty, seed=501), index)
    assert extended_share(night.events, night.sensor_size) < 0.7 * EXTENDED


@pytest.mark.parametrize("name", ["growing", "flicker"])
def test_simulated_scenes_are_scenes(name):
    scene = scene_recording(condition(name, seed=77), list(CONDITIONS).index(name))
    assert extended_share(scene.events, scene.sensor_size) > 2 * EXTENDED
