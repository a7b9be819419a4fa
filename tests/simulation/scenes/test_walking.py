"""Walkers: how they go, what their parts are, and their reflections."""

from dataclasses import replace

import numpy as np
import pytest

from spikeseg.simulation.scenes import SceneConfig, condition, scene_recording
from spikeseg.simulation.scenes.paths import Passing, grid
from spikeseg.simulation.scenes.recordings import BOX_INTERVAL_US, REFLECTED, draw_cast
from spikeseg.simulation.scenes.walking import MOST_HZ, STANCE, STRIDE, draw_walker, gait, reflection

CONFIG = SceneConfig(sensor_size=(640, 480), duration_s=2.0)
ONE = condition("walking", objects=(1, 1), styles=("plain",), contrast=(1.0, 1.5), noise_hz=0.0, seed=11000)
LEG, LONG = 100.0, 130.0


def walker(seed=0, heading=0.0, speed=150.0, height=120.0, style="plain"):
    """Shapes and paths of the parts of one who comes to (300, 240) after 1 s."""
    rng, path_rng = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    passing = Passing(np.array([300.0, 240.0]), 1.0, speed, heading)
    return draw_walker(rng, path_rng, CONFIG, passing, height, style, 1.0, 0.3)


def with_reflections(number):
    """Indices of recordings of ONE whose floor reflects."""
    return [index for index in range(20) if max(draw_cast(ONE, index).ids) == 2][:number]


def seen(part, x, y):
    """Distance to the edge of a part and its intensity, at one moment, at points (n,)."""
    shape, (_, pose) = part
    px, py, angle, _ = pose[700]
    turned = np.exp(-1j * angle) * (x - px + 1j * (y - py))
    side = len(shape.distance)
    column, row = (np.clip(np.rint(v + (side - 1) / 2).astype(int), 0, side - 1) for v in (turned.real, turned.imag))
    return shape.distance[row, column], shape.tone[row, column]


def test_a_foot_stands_still_on_the_floor_while_the_hip_passes_over_it_and_one_always_does():
    way = np.linspace(0.0, 4 * LONG, 2001)
    hip, legs = gait(way, LEG, LONG, 0.3)
    stands = []
    for _, ankle, tipped in legs:
        on_floor = ankle[:, 1] == 0
        still = on_floor[1:] & on_floor[:-1]
        moved = np.hypot(*np.diff(ankle, axis=0).T)
        assert moved[still].max() < 1e-9 and not tipped[on_floor].any() and np.all(ankle[:, 1] <= 0)
        assert on_floor.mean() == pytest.approx(STANCE, abs=0.02)
        assert moved.sum() > 4 * LONG and np.all(np.diff(ankle[:, 0]) >= -1e-9)
        assert np.abs((ankle - hip)[on_floor, 0]).max() == pytest.approx(STANCE / 2 * LONG, abs=1.0)
        stands.append(on_floor)
    assert np.all(stands[0] | stands[1]) and not np.all(stands[0] & stands[1])
    assert np.array_equal(hip[:, 0], way) and 0 < np.ptp(hip[:, 1]) < 0.1 * LEG


@pytest.mark.parametrize("stride", STRIDE)
def test_legs_keep_their_length_swing_in_turn_and_bend_forward(stride):
    hip, legs = gait(np.linspace(0.0, 4 * stride * LEG, 2001), LEG, stride * LEG, 0.0)
    swings = []
    for knee, ankle, _ in legs:
        for one, other in ((hip, knee), (knee, ankle)):
            assert np.hypot(*(other - one).T) == pytest.approx(LEG / 2)
        along, thigh = (ankle - hip).T, (knee - hip).T
        assert np.all(thigh[0] * along[1] - thigh[1] * along[0] > 1.0)
        reach = np.hypot(*along)
        swing = ankle[:, 1] < -0.01 * LEG
        assert reach[swing].min() < 0.9 * LEG < 0.93 * LEG < reach[~swing].min() and reach.max() < LEG
        swings.append(along[0])
    assert np.corrcoef(*swings)[0, 1] < -0.8


@pytest.mark.parametrize(("heading", "way"), [(0.4, 1), (-1.0, 1), (np.pi + 0.7, -1)])
def test_a_walker_goes_sideways_at_its_speed_over_its_point(heading, way):
    for seed in range(6):
        parts = walker(seed, heading)
        assert len(parts) in (6, 8)
        for shape, (t, pose) in parts:
            assert np.array_equal(t, grid(CONFIG)) and shape.outline_px == 0 and np.all(pose[:, 3] == 1)
            assert (pose[-1, 0] - pose[0, 0]) / 2 == pytest.approx(way * 150.0, abs=60.0)
        hips = [pose[1000, 0] for shape, (_, pose) in parts if shape.radius_px > 0.1 * 120 and np.ptp(pose[:, 2]) < 1]
        assert np.mean(hips) == pytest.approx(300.0, abs=40.0)


def test_small_walkers_are_slow():
    way = [np.ptp(path.pose[:, 0]) / 2 for _, path in walker(speed=400.0, height=60.0)]
    assert max(way) < MOST_HZ * STRIDE[1] * 60.0 * 1.3 < 400.0
    assert min(np.ptp(path.pose[:, 0]) / 2 for _, path in walker(speed=400.0, height=300.0)) > 300.0


@pytest.mark.parametrize("height", [60.0, 200.0])
def test_a_walker_is_as_tall_as_asked_and_stands_on_its_floor(height):
    for seed in range(6):
        ends = []
        for shape, (_, pose) in walker(seed, height=height):
            middle, half = pose[:, 1], len(shape.distance) // 2
            radius = -float(shape.distance[half, half])
            upright = (shape.radius_px - radius) * np.abs(np.sin(pose[:, 2]))
            ends += [middle - upright - radius, middle + upright + radius]
        assert np.max(ends) == pytest.approx(240.0, abs=1e-3)
        assert np.min(ends) == pytest.approx(240.0 - height, abs=0.02 * height)


def test_a_reflection_is_the_mirror_image_with_less_contrast():
    parts = walker(3, style="textured")
    rng = np.random.default_rng(0)
    for part, image in zip(parts, reflection(parts, 240.0, 0.5), strict=True):
        px, py = part[1].pose[700, :2]
        x, y = px + rng.uniform(-15, 15, 400), py + rng.uniform(-15, 15, 400)
        distance, tone = seen(part, x, y)
        mirrored, weaker = seen(image, x, 480.0 - y)
        assert np.array_equal(distance, mirrored) and np.log(weaker) == pytest.approx(0.5 * np.log(tone), abs=1e-5)
        assert np.any(distance < 0) and tone.std() > 0.01


def test_parts_share_an_id_and_reflections_come_last():
    config, reflecting = replace(ONE, objects=(2, 3)), 0
    for index in range(40):
        ids = draw_cast(config, index).ids
        assert ids == sorted(ids) and set(ids) == set(range(1, max(ids) + 1))
        counts = np.bincount(ids)[1:].tolist()
        assert set(counts) <= {6, 8}
        if len(counts) > 3:
            half = len(counts) // 2
            assert counts[:half] == counts[half:] and half in (2, 3)
            reflecting += 1
    assert 10 < reflecting < 30


def test_the_box_of_a_walker_holds_all_its_parts_and_all_its_events():
    for index in range(3):
        r = scene_recording(ONE, index)
        own, boxes = r.events[r.truth["object_id"] == 1], r.boxes[r.boxes["id"] == 1]
        assert len(np.unique(boxes["t"])) == len(boxes) and len(boxes) > 50
        beyond = []
        for box in boxes:
            near = own[np.abs(own["t"] - box["t"]) < 500]
            by_axis = [np.abs(near[place] - box[place]) - (box[size] - 1) / 2 for place, size in ("xw", "yh")]
            beyond += np.max(by_axis, axis=0).tolist()
        assert len(beyond) > 5_000 and max(beyond) <= 2 and np.mean(np.array(beyond) > 1) < 1e-3
        heights = np.array([np.ptp(own["y"][np.abs(own["t"] - t) < BOX_INTERVAL_US]) + 1 for t in boxes["t"][10:-10]])
        assert np.median(np.abs(heights - boxes["h"][10:-10])) <= 3


def test_a_reflection_touches_its_walker_moves_with_it_and_sends_less():
    indices = with_reflections(3)
    assert len(indices) == 3
    for index in indices:
        r, cast = scene_recording(ONE, index), draw_cast(ONE, index)
        foot = cast.shapes[0]
        floor = cast.paths[0].pose[:, 1].max() - float(foot.distance.min())
        one, other = (r.boxes[r.boxes["id"] == number] for number in (1, 2))
        _, left, right = np.intersect1d(one["t"], other["t"], return_indices=True)
        one, other = one[left], other[right]
        assert len(one) > 50 and np.median(np.abs(one["x"] - other["x"])) <= 0.5
        inside = (one["x"] - one["w"] / 2 > 5) & (one["x"] + one["w"] / 2 < 634)
        one, other = one[inside], other[inside]
        assert np.abs(one["y"] + one["h"] / 2 - floor).max() <= 2 and np.abs(other["y"] - other["h"] / 2 - floor).max() <= 2
        whole = (one["y"] - one["h"] / 2 > 0) & (other["y"] + other["h"] / 2 < 479)
        assert np.all(np.abs(one["h"] - other["h"])[whole] <= 2)
        ratio = np.log(cast.shapes[len(cast.shapes) // 2].tone) / np.log(foot.tone)
        assert REFLECTED[0] - 1e-3 < ratio.mean() < REFLECTED[1] + 1e-3
        sent = np.bincount(r.truth["object_id"], minlength=3)
        assert 0 < sent[2] < sent[1]
