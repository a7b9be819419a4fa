"""The compiled parts against slow ones."""

import numpy as np
import pytest
from scipy import ndimage

from spikeseg.scenes.camera_background import Lamps, Rules
from spikeseg.scenes.camera_kernels import box_sums, count_cells, flicker, stabilise, usual_there, whose_majority
from spikeseg.scenes.camera_tiles import Events


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 9, 4), (12, 2, 5), (20, 17, 3)])
@pytest.mark.parametrize("near", [1, 2, 3])
def test_box_sums(shape, near):
    counts = np.random.default_rng(1).integers(0, 50, shape).astype(np.uint16)
    side = 2 * near + 1
    expected = ndimage.convolve(counts.astype(int), np.ones((side, side, 1), int), mode="constant")
    box_sums(counts, near)
    np.testing.assert_array_equal(counts, expected)


def test_events_are_put_into_the_scene():
    """A scene that moves right by 10 px/s: the matrices take that back."""
    t, x, y = np.array([0.0, 0.1, 0.2, 0.3]), np.array([5, 6, 7, 0]), np.array([3, 3, 3, 3])
    matrices = np.tile(np.array([[1.0, 0, 0], [0, 1, 0]]), (4, 1, 1))
    matrices[:, 0, 2] = [0, -1, -2, -3]
    cell = np.empty(4, np.int32)
    stabilise(Events(t, x, y, np.zeros(0, bool)), 0, 4, (-0.05, 0.1), matrices, (4.5, 3.5, 4.5, 3.5), (8, 10), cell)
    np.testing.assert_array_equal(cell, [35, 35, 35, -1])


def _usual(counts, flow, rules, typical, cell, part):
    way, direction = flow[0, 0], flow[0, 1:]
    now = float(counts[cell, part])
    if now <= rules.constant:
        return True
    others = [s for s in range(len(way)) if way[s] > 0 and abs(direction[:, s] @ direction[:, part]) >= rules.turn]

    def allows(u):
        return rules.factor * u + rules.root_factor * np.sqrt(u) + rules.constant >= now - 1e-3

    if len(others) <= rules.least:
        return allows(typical * abs(way[part]))
    enough = [allows(counts[cell, s] * max(1.0, abs(way[part]) / way[s])) for s in others]
    return sum(enough) >= rules.share * len(others)


@pytest.mark.parametrize("least", [4, 30])
def test_what_is_usual(least):
    rng, parts = np.random.default_rng(2), 24
    counts = rng.poisson(rng.uniform(0, 30, (50, 1)) * rng.choice([0.3, 3.0], (50, parts), p=[0.65, 0.35])).astype(np.uint16)
    angle, way = rng.uniform(0, 2 * np.pi, parts), rng.uniform(0.5, 2, parts) * rng.choice([1, 1, 1, -1], parts)
    flow = np.stack([way, np.cos(angle), np.sin(angle)])[None].astype(np.float32)
    cell, part = rng.integers(0, 50, 400).astype(np.int32), rng.integers(0, parts, 400).astype(np.int32)
    rules, out = Rules(least=least), np.zeros(400, bool)
    usual_there(cell, part, counts, flow, np.zeros(50, np.int32), rules, np.float32(9.0), out)
    expected = [_usual(counts, flow, rules, 9.0, c, s) for c, s in zip(cell, part, strict=True)]
    assert 50 < out.sum() < 350
    assert (out == expected).mean() > 0.99  # float32 at the bounds


def test_places_beyond_the_frame_or_the_sensor_explain_nothing():
    counts, flow = np.full((2, 10), 20, np.uint16), np.ones((1, 3, 10), np.float32)
    flow[0, 0, 3] = 0
    out = np.ones(3, bool)
    usual_there(
        np.array([-1, 0, 0], np.int32), np.array([0, 3, 4], np.int32), counts, flow, np.zeros(2, np.int32), Rules(), 0.0, out
    )
    np.testing.assert_array_equal(out, [False, False, True])


def test_the_majority_of_a_place():
    cell, part = np.array([0, 0, 1, -1], np.int32), np.array([5, 6, 5, 5], np.int32)
    counts, kept = np.full((2, 8), 10, np.uint16), np.array([[4, 5], [0, 0]], np.uint16)
    out = np.array([False, True, False, True])
    whose_majority(cell, part, 5, counts, kept, 0.4, out)
    np.testing.assert_array_equal(out, [True, False, True, True])


def test_events_of_a_cell():
    counts = np.zeros((3, 2), np.uint16)
    count_cells(np.array([0, 2, 2, -1], np.int32), np.array([0, 1, 1, 0], np.int32), counts)
    np.testing.assert_array_equal(counts, [[1, 0], [0, 0], [0, 2]])


def test_turns_in_the_beat():
    """Pixel 0 turns ON every 10 ms, pixel 1 every 8.33 ms, pixel 2 every 13 ms, each by two events, of which one counts."""
    parts = []
    for pixel, period in enumerate((0.010, 1 / 120, 0.013)):
        up = 0.001 + period * np.arange(20)
        parts.append((np.concatenate([up, up + 2e-4, up + 0.4 * period]), np.full(60, pixel), np.repeat([True, True, False], 20)))
    t, x, on = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(t)
    tallies = np.zeros((4, 3), np.int32)
    events = Events(t[order], x[order], np.zeros(180, int), on[order])
    flicker(events, 0, 180, 3, Lamps(), np.zeros((3, 3)), tallies)
    np.testing.assert_array_equal(tallies[0], [18, 18, 18])
    np.testing.assert_array_equal(tallies[1], [18, 0, 0])
    np.testing.assert_array_equal(tallies[2], [0, 18, 0])
    np.testing.assert_array_equal(tallies[3], [2, 2, 3])
