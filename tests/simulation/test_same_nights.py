"""One seed gives one night, from one version to the next: what is drawn from the constants of the simulator, in numbers.

Data sets are named by their seed (docs/evaluation.md), and figures that were measured on them would mean something else if these
changed. So whoever changes them changes data, and gives the stages that simulate another VERSION.
"""

import hashlib
import json

import numpy as np
import pytest

from spikeseg.simulation import camera_noise
from spikeseg.simulation.field_motion import draw_clouds
from spikeseg.simulation.recordings import SimulationConfig, label_points, simulate_scene
from spikeseg.simulation.scene import BRIEF_S, DIFFICULTIES, brightness, draw_scene, time_step


def digest(values):
    """Of numbers and arrays by name, to six digits of their sum and of another one that depends on their order."""
    marks = {}
    for name, value in values.items():
        flat = np.asarray(value, np.float64).ravel()
        marks[name] = [flat.size, *(f"{number + 0.0:.6g}" for number in (flat.sum(), flat @ np.cos(np.arange(flat.size))))]
    return hashlib.sha256(json.dumps(marks).encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("mode", "level", "expected"),
    [
        ("sidereal", "extreme", "4bd67ba42aa7"),
        ("stare", "hard", "d6ee28118aba"),
        ("tracking", "easy", "3c9bf691e6d6"),
        ("sidereal", "medium", "1e4e6a22175c"),
    ],
)
def test_scenes(mode, level, expected):
    scene = draw_scene(np.random.default_rng(11), mode, 3, 0.3, DIFFICULTIES[level], (240, 180), 20.0)
    values = vars(scene) | {f"field.{name}": value for name, value in vars(scene.field).items()}
    values = {name: value for name, value in values.items() if isinstance(value, (int, float, np.ndarray))}
    light = next(brightness(scene, [np.arange(50)], 0.05, np.random.default_rng(0)))
    assert digest({**values, "light": light, "step": time_step(scene)}) == expected


def test_clouds():
    clouds = draw_clouds(np.random.default_rng(5), 0.6)
    dimmed = clouds.transmission(np.random.default_rng(6).uniform(0, 200, (40, 2)), np.arange(40.0))
    assert digest(vars(clouds) | {"dimmed": dimmed}) == "8ba1be796ecd"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("poisson", "0000564577ab"),
        ("hot", "59c72cb23d20"),
        ("bursts", "6ce8de7758b0"),
        ("refractory", "b00b7519631d"),
        ("rows", "39af3928b953"),
        ("flicker", "3b04ed963887"),
        ("drifting", "e9e3a69eb7ad"),
        ("measured", "a3997832cab5"),
    ],
)
def test_noise(name, expected):
    events = camera_noise.KINDS[name](np.random.default_rng(3), (48, 36), 2.0, 4.0)
    assert digest({column: events[column] for column in ("t", "x", "y", "p")}) == expected


def test_labels():
    config = SimulationConfig(recordings=7, duration_s=0.3, difficulty="easy", seed=5)
    points = [label_points(simulate_scene(config, index)) for index in range(7)]
    noise = [simulate_scene(config, index).noise_hz for index in range(7)]
    columns = {f"{name} {index}": part[name] for index, part in enumerate(points) for name in ("t", "x", "y", "id")}
    assert digest(columns | {"noise_hz": noise}) == "849958e29c1b"


def test_what_each_level_holds_is_what_the_docs_say():
    """docs/evaluation.md, "What each difficulty holds"; and what draws of one scene hardly show."""
    dim, still = {"contrast": (0.4, 1.6), "noise_hz": (0.08, 0.8)}, {"rotation_deg_s": (0.0, 0.0), "jitter_px": (0.0, 0.0)}
    clear = {**still, "turns_a_minute": 0.0, "clouds": 0.0, "cloud_depth": (0.0, 0.0)}
    gently = {"rotation_deg_s": (0.01, 0.1), "jitter_px": (0.02, 0.1), "turns_a_minute": 1.0, "clouds": 0.25}
    fully = {"rotation_deg_s": (0.1, 1.0), "jitter_px": (0.1, 0.5), "turns_a_minute": 6.0, "clouds": 0.5}
    assert {name: vars(level) for name, level in DIFFICULTIES.items()} == {
        "easy": {"contrast": (4.0, 20.0), "noise_hz": (0.03, 0.3), **clear},
        "medium": {"contrast": (0.9, 8.0), "noise_hz": (0.06, 0.6), **clear},
        "hard": {**dim, **gently, "cloud_depth": (0.2, 0.7)},
        "extreme": {**dim, **fully, "cloud_depth": (0.7, 2.0)},
    }
    assert (BRIEF_S, camera_noise.HOT_SHARE, camera_noise.FLICKER_AREAS) == (0.5, 3e-4, (2, 5))
