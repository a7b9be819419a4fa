"""The maps against their equation in plain Python, the compiled ones against the reference, and what they say of a motion."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeseg.motion.evidence import MOVE_NATS, SIDE, UNIT, EventWeights, Spikes
from spikeseg.motion.footprint import Footprint
from spikeseg.motion.maps import TARGET_NATS, MotionMaps, design_signal, median
from spikeseg.motion.maps_compiled import CompiledMaps
from spikeseg.motion.maps_reference import ReferenceMaps
from spikeseg.motion.receptive_field import ReceptiveField
from spikeseg.motion.scales import DEEP_SCALES, DEFAULT_SCALES, FAST, MEDIUM, SECTORS, SUBSLICES, Scale, Wiring, sector
from spikeseg.motion.weight_kernels import weighed, weights_of_parts

BOTH = (ReferenceMaps, CompiledMaps)
SMALL = Scale(1.0, 2, 0.0, 6.0)
BOX = ReceptiveField.box(2, Footprint.point())


def fields(cell_px):
    """A box and a round one, both of a footprint whose ON events lie further from the path than its OFF events."""
    share = np.concatenate([Footprint.point(0.7, 0.9).share[:1], Footprint.point(2.3, 0.9).share[1:]])
    return ReceptiveField.box(cell_px, Footprint(share)), ReceptiveField.of(cell_px, Footprint(share))


def random_events(rng, n, size, most=40):
    """Events on a sensor of this many pixels; weights up to `most`."""
    x, y = rng.integers(0, size[0], n), rng.integers(0, size[1], n)
    weight = rng.integers(1, most + 1, n).astype(np.uint8)
    return EventWeights(rng.integers(0, SUBSLICES, n), x, y, rng.random(n) < 0.5, weight)


class PlainMaps:
    """The equation of `maps`, cell by cell, with lists of numbers."""

    def __init__(self, wiring, size, field):
        self.wiring, (self.width, self.height), self.field = wiring, size, field
        self.potential = {}

    def inside(self, x, y):
        return 0 <= x < self.width and 0 <= y < self.height

    def total(self, events, node, x, y):
        """Weights in the boxes of a node (level, index, first sub-slice) that starts in cell (x, y)."""
        level, index, part = node
        if not self.inside(x, y):
            return 0
        if level == 0:
            return events.get((part, index, x, y), 0)
        sums = self.wiring.sums[level - 1]
        below, (ox, oy) = int(sums.first[index]), sums.offset[index].tolist()
        half = 2 ** (level - 1)
        first = self.total(events, (level - 1, below, part), x, y)
        return min(255, first + self.total(events, (level - 1, below, part + half), x + ox, y + oy))

    def added(self, k, x, y, on, weight):
        """What an event adds, by neuron."""
        cell = self.wiring.scale.cell_px
        kind = (int(on) * cell + y % cell) * cell + x % cell
        left, top = self.field.first[k, kind].tolist()
        own = self.field.weights[k, weight, kind].tolist()
        return {(x // cell + left + i, y // cell + top + j): value for j, row in enumerate(own) for i, value in enumerate(row)}

    def step(self, events, leak):
        boxes = {}
        for part, px, py, on, weight in zip(*(column.tolist() for column in events), strict=True):
            for k in range(SECTORS + 1):
                for (x, y), value in self.added(k, px, py, on, weight).items():
                    boxes[part, k, x, y] = min(255, boxes.get((part, k, x, y), 0) + value)
        after, (level, sums) = {}, (len(self.wiring.sums), self.wiring.sums[-1])
        for k, (dx, dy) in enumerate(self.wiring.displacement.tolist()):
            (ox, oy), below = sums.offset[k].tolist(), int(sums.first[k])
            for target_x, target_y in itertools.product(range(self.width), range(self.height)):
                x, y = target_x - dx, target_y - dy
                came = [
                    self.potential.get((k, x + jx, y + jy), 0) - SIDE * (abs(jx) + abs(jy))
                    for jx, jy in itertools.product((-1, 0, 1), repeat=2)
                ]
                total = min(255, max(0, *came) + self.total(boxes, (level - 1, below, 0), x, y))
                total = min(255, total + self.total(boxes, (level - 1, below, SUBSLICES // 2), x + ox, y + oy))
                after[k, target_x, target_y] = max(0, total - leak)
        self.potential = after

    def potentials(self):
        result = np.zeros((len(self.wiring.displacement), self.height, self.width), np.uint8)
        for (k, x, y), value in self.potential.items():
            result[k, y, x] = value
        return result


@pytest.mark.parametrize("backend", BOTH)
@pytest.mark.parametrize(("size", "most", "which"), [((7, 5), 20, 1), ((4, 9), 250, 0), ((2, 2), 40, 1)])
def test_maps_follow_their_equation(backend, size, most, which):
    wiring, rng, field = Wiring.of(SMALL), np.random.default_rng(3), fields(2)[which]
    maps, plain = backend(wiring, size, field), PlainMaps(wiring, size, field)
    for leak in (0, 11, 30):
        events = random_events(rng, 40, (2 * size[0], 2 * size[1]), most)
        maps.step(events, leak)
        plain.step(events, leak)
        assert np.array_equal(maps.potentials(), plain.potentials())
    assert plain.potentials().max() > 0


@pytest.mark.parametrize("scale", [SMALL, FAST, Scale(0.5, 3, 10.0, 60.0), Scale(1.0, 2, 41.0, 44.0)])
@pytest.mark.parametrize("size", [(33, 21), (5, 3), (1, 1), (3, 60), (70, 6)])
@pytest.mark.parametrize("which", [0, 1])
def test_backends_agree_bit_for_bit(scale, size, which):
    wiring, rng = Wiring.of(scale), np.random.default_rng([*size, len(Wiring.of(scale).displacement)])
    field = fields(scale.cell_px)[which]
    reference, fast = (backend(wiring, size, field) for backend in BOTH)
    sensor = (scale.cell_px * size[0], scale.cell_px * size[1])
    for n, most, leak in ((60, 60, 9), (0, 1, 3), (300, 255, 40), (30, 10, 255), (200, 120, 25)):
        events = random_events(rng, n, sensor, most)
        for maps in (reference, fast):
            maps.step(events, leak)
        assert np.array_equal(reference.potentials(), fast.potentials())
        for threshold in (0, 1, 30, 255, 256, 10_000):
            for a, b in zip(reference.spikes(threshold), fast.spikes(threshold), strict=True):
                assert np.array_equal(a, b) and a.dtype == b.dtype == np.int64
        low = rng.integers(0, size, (2, 2))
        high = np.minimum(low + rng.integers(-1, 4, (2, 2)), np.array(size) - 1)
        boxes = np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], 1)
        for maps in (reference, fast):
            maps.clear(boxes)
        assert np.array_equal(reference.potentials(), fast.potentials())
        assert np.array_equal(reference.spikes(1).map, fast.spikes(1).map)


@pytest.mark.parametrize("backend", BOTH)
def test_many_events_stop_at_255_and_a_leak_at_0(backend):
    maps = backend(Wiring.of(SMALL), (6, 6), BOX)
    n = 200
    crowd = EventWeights(np.zeros(n, np.int64), np.full(n, 5), np.full(n, 5), np.zeros(n, bool), np.full(n, 200, np.uint8))
    maps.step(crowd, 10)
    assert set(np.unique(maps.potentials())) == {0, 245}
    for _ in range(3):
        maps.step(EventWeights(*(column[:0] for column in crowd)), 100)
    assert not maps.potentials().any() and len(maps.spikes(0).map) == 0


def test_the_image_of_a_map_counts_each_event_in_the_box_that_moves_along():
    """The box of each sub-slice lies within a cell of where the displacement puts it, so what lies in the middle of a box that
    moves is counted, and what lies more than two cells beside it is not."""
    wiring, rng, size = Wiring.of(Scale(1.0, 2, 0.0, 30.0)), np.random.default_rng(0), (40, 30)
    for k in rng.choice(len(wiring.displacement), 12, replace=False).tolist():
        dx, dy = wiring.displacement[k].tolist()
        part = np.arange(SUBSLICES)
        start = np.array([20 - dx / 2, 15 - dy / 2]).round()  # in cells; the box ends at start + (dx, dy)
        middle = 2 * (start + 1 + np.outer(part / SUBSLICES, (dx, dy)))
        for beside, expected in ((0.0, SUBSLICES), (7.0, 0)):
            x, y = np.rint(middle + beside - 0.5).astype(np.int64).T
            maps = CompiledMaps(wiring, size, BOX)
            maps.step(EventWeights(part, x, y, np.ones(SUBSLICES, bool), np.ones(SUBSLICES, np.uint8)), 0)
            column, row = (start + np.array([dx, dy])).astype(int)
            counted = maps.potentials()[k, row, column]
            assert counted == expected if expected == 0 else counted >= expected - 4


def test_polarities_are_moved_to_the_path_by_their_direction():
    """ON that lies ahead of the path, and OFF behind it, are counted on the path by the maps of that direction alone."""
    wiring = Wiring.of(SMALL)
    maps = CompiledMaps(wiring, (20, 20), ReceptiveField.box(2, Footprint.point(4.0, 0.5)))
    x = np.array([20 - 4, 20 + 4])
    maps.step(EventWeights(np.zeros(2, np.int64), x, np.full(2, 20), np.array([False, True]), np.ones(2, np.uint8)), 0)
    top = maps.potentials().reshape(len(wiring.displacement), -1).max(1)
    assert top.tolist() == [2 if sector(dx, dy) == 0 else 1 for dx, dy in wiring.displacement.tolist()]


@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_spikes_are_the_neurons_at_or_above_the_threshold(backend):
    rng = np.random.default_rng(1)
    maps = MotionMaps(SMALL, (41, 23), fields(2)[1], backend)
    t = np.sort(rng.random(400))
    maps.step(0.0, t, rng.integers(0, 41, 400), rng.integers(0, 23, 400), rng.random(400) < 0.5, np.full(400, 0.4))
    potential = maps.potentials()
    assert potential.shape == (len(maps.wiring.displacement), 12, 21)
    levels = np.unique(potential)
    for nats in (levels[-1] / UNIT, levels[-2] / UNIT, levels[-1] / UNIT - 0.01, 1.0, 0.0):
        spikes = maps.spikes(float(nats))
        k, y, x = np.nonzero(potential >= max(nats * UNIT, 1))
        assert np.array_equal(spikes.map, k) and np.array_equal(spikes.y, y) and np.array_equal(spikes.x, x)
        assert np.array_equal(spikes.potential, potential[k, y, x])
    assert len(maps.spikes(levels[-1] / UNIT).map) and not len(maps.spikes(levels[-1] / UNIT + 0.01).map)


def test_clear_forgets_the_evidence_around_places_and_none_elsewhere():
    rng, size = np.random.default_rng(2), (60, 40)
    maps = MotionMaps(SMALL, size, BOX, "auto")
    n = 4000
    maps.step(0.0, np.sort(rng.random(n)), rng.integers(0, 60, n), rng.integers(0, 40, n), rng.random(n) < 0.5, np.full(n, 1.5))
    before = maps.potentials()
    maps.clear(np.array([20.0, -30.0, 59.0]), np.array([10.0, 5.0, 39.0]), 4.0)
    after = maps.potentials()
    gone = np.zeros(before.shape[1:], bool)
    gone[3:8, 8:13] = gone[17:20, 27:30] = True  # cells of 2 px
    assert not after[:, gone].any() and np.array_equal(after[:, ~gone], before[:, ~gone]) and before[:, gone].any()
    maps.clear(np.zeros(0), np.zeros(0), 4.0)
    assert np.array_equal(maps.potentials(), after)


def test_events_that_do_not_count_leave_no_trace():
    maps = MotionMaps(SMALL, (30, 30), fields(2)[1], "auto")
    arrays = np.linspace(0, 0.9, 9), np.full(9, 12), np.full(9, 12), np.ones(9, bool)
    maps.step(0.0, *arrays, np.full(9, np.inf))
    assert not maps.potentials().any()
    maps.step(1.0, *(column[:0] for column in arrays), np.zeros(0))
    assert not maps.potentials().any()
    maps.step(2.0, 2.0 + arrays[0], *arrays[1:], np.full(9, 0.1))
    assert maps.potentials().any()


def test_the_same_events_weigh_less_over_more_background():
    top = []
    for rate in (0.05, 0.2, 1.0, 5.0):
        maps = MotionMaps(SMALL, (30, 30), BOX, "auto")
        maps.step(0.0, np.linspace(0, 0.9, 12), np.full(12, 12), np.full(12, 12), np.ones(12, bool), np.full(12, rate))
        top.append(int(maps.potentials().max()))
    assert top == sorted(top, reverse=True) and top[0] > top[2] and top[3] == 0


def field(scale):
    """Of a point whose ON events lie 0.7 px ahead, and OFF events as far behind."""
    return ReceptiveField.of(scale.cell_px, Footprint.point(0.7))


def winner(scale, velocity, middle, seconds=2, n=13):
    """Where the winners of a noiseless object end, less where it ends, px, and their velocities, px/s: means."""
    maps, velocity = MotionMaps(scale, (240, 180), field(scale), "auto"), np.array(velocity)
    for k in range(round(seconds / scale.interval_s)):
        t = (k + (np.arange(n) + 0.5) / n) * scale.interval_s
        on = np.arange(n) % 2 > 0
        ahead = np.where(on, 0.7, -0.7)[:, None] * velocity / max(np.hypot(*velocity), 1e-9)
        x, y = np.rint(middle + velocity * (t[:, None] - seconds / 2) + ahead).T
        maps.step(k * scale.interval_s, t, x, y, on, np.full(n, 0.1))
    spikes = maps.spikes(1.0)
    best = Spikes(*(column[spikes.potential == spikes.potential.max()] for column in spikes))
    place, moves = (column.mean(0) for column in maps.place(best))
    return place - middle - velocity * seconds / 2, moves


def gained(receptive, seed, seconds=6, rate=8.0):
    """Highest potential of an object of `rate` events/s without noise among maps of 1 s, nat."""
    rng, maps = np.random.default_rng(seed), MotionMaps(Scale(1.0, 2, 8.0, 16.0), (120, 90), receptive, "auto")
    velocity, n = np.array([11.0, 5.0]), round(rate)
    start = np.array([20.0, 30.0]) + rng.uniform(0, 2, 2)
    for k in range(seconds):
        t, on = k + np.sort(rng.random(n)), np.arange(n) % 2 > 0
        ahead = np.where(on, 0.7, -0.7)[:, None] * velocity / np.hypot(*velocity)
        x, y = np.rint(start + t[:, None] * velocity + ahead + rng.standard_normal((n, 2))).T
        maps.step(float(k), t, x, y, on, np.full(n, 0.1))
    return maps.potentials().max() / UNIT


def test_the_field_of_the_footprint_gains_more_of_an_object_than_a_box():
    """Means over objects whose events fall as the footprint says, at any place among the neurons'; 0.1 Hz per pixel."""
    ours, backwards, box = (
        np.mean([gained(receptive, seed) for seed in range(12)])
        for receptive in (ReceptiveField.of(2, Footprint.point(0.7)), ReceptiveField.of(2, Footprint.point(-0.7)), BOX)
    )
    assert ours == pytest.approx(13.7, abs=0.4) and box == pytest.approx(9.8, abs=0.4) and backwards < 9


@pytest.mark.parametrize(
    "velocity", [(20.0, 10.0), (-20.0, 10.0), (14.0, -30.0), (-8.0, -8.0), (0.0, 24.0), (-40.0, 2.0), (0.0, 0.0)]
)
def test_a_noiseless_object_wins_at_its_velocity_and_place(velocity):
    away, moves = winner(MEDIUM, velocity, np.array([120.0, 90.0]))
    assert np.hypot(*(moves - velocity)) <= 1.5 * MEDIUM.velocity_step
    assert np.hypot(*away) <= 4.0


@pytest.mark.parametrize(("scale", "speed", "seconds", "n"), [(MEDIUM, 40.0, 2, 13), (FAST, 120.0, 0.5, 10)])
def test_the_place_of_a_spike_is_neither_ahead_of_the_object_nor_behind(scale, speed, seconds, n):
    """Means over both senses and some phases, so that the grid of cells does not count."""
    rng, ahead = np.random.default_rng(0), []
    for _ in range(6):
        middle = np.array([120.0, 90.0]) + rng.uniform(-2, 2, 2)
        ahead += [sense * winner(scale, (sense * speed, 0.0), middle, seconds, n)[0][0] for sense in (1, -1)]
    assert abs(np.mean(ahead)) <= 1.0


def test_ratios_weigh_the_rounded_logarithm():
    steps = np.expm1((np.arange(256) + 0.5) / UNIT)[:, None] * (1 + np.arange(-4, 5) * 2.0**-52)
    ratio = np.concatenate([[0.0, 1e-300, np.inf], np.exp2(np.arange(-60, 60, 1 / 64)), steps.ravel()])
    nothing, weights = np.zeros(len(ratio)), EventWeights.empty(len(ratio))
    n = weighed(nothing, nothing, nothing, nothing > 0, ratio, 0.0, 16.0, SUBSLICES, weights_of_parts(), weights)
    expected = np.minimum(np.rint(UNIT * np.log1p(ratio)), 255)
    assert np.array_equal(weights.weight[:n], expected[expected > 0])


@pytest.mark.parametrize("n", [1, 2, 100, 512, 5000, 5001])
def test_the_median_of_the_rates_that_are_known(n):
    rng = np.random.default_rng(n)
    for rate in (rng.gamma(4, 0.1, n), np.sort(rng.random(n)), rng.integers(1, 4, n) / 8, np.where(np.arange(n) % 2, 1e-4, 7.0)):
        assert median(rate) == np.median(rate)
        rate[rng.random(n) < 0.4] = np.inf
        known = rate[rate < np.inf]
        assert median(rate) == (np.median(known) if len(known) else 1.0)
    assert median(np.full(n, np.inf)) == median(np.zeros(0)) == 1.0


@given(st.floats(1e-3, 1e4))
def test_the_design_signal_gains_what_is_asked_for(background):
    s = design_signal(background)
    most = (255 / UNIT - MOVE_NATS) / 1.05
    gained = (background + s) * math.log1p(s / background) - s
    assert 0 < s <= most
    assert gained == pytest.approx(TARGET_NATS, rel=1e-5) if s < most else gained <= TARGET_NATS
    assert UNIT * (s + MOVE_NATS) < 255.5


def test_the_design_signal_of_a_round_field_gains_it_over_its_densities():
    """By a sum over places; the same field made flat would gain less than half of it beyond."""
    at = np.arange(-12, 12, 0.05) + 0.025
    share = np.exp(-0.5 * (at**2 + at[:, None] ** 2) / 1.7)
    assert share.sum() * 0.05**2 == pytest.approx(2 * math.pi * 1.7)
    for background in (0.05, 1.0, 8.0):
        s = design_signal(background, flat=False)
        gained = ((background + s * share) * np.log1p(s / background * share) - s * share).sum() / share.sum()
        assert gained == pytest.approx(TARGET_NATS, rel=1e-4) and s > 1.1 * design_signal(background)


@pytest.mark.parametrize(("scales", "field", "gigabytes"), [(DEFAULT_SCALES, "box", 0.34), (DEEP_SCALES, "of", 0.80)])
def test_maps_of_a_large_sensor_take_what_the_documentation_says(scales, field, gigabytes):
    """docs/faint-objects.md and docs/limits.md: of 1280 x 720 px."""
    made = [
        MotionMaps(own, (1280, 720), getattr(ReceptiveField, field)(own.cell_px, Footprint.point()), "auto") for own in scales
    ]
    held = [
        memory.nbytes for maps in made for memory in (maps._state._state.maps, maps._state._sums.images, maps._state._sums.counts)
    ]
    assert sum(held) / 1e9 == pytest.approx(gigabytes, abs=0.005)
