"""Receptive fields: what an event adds to the neurons around it, against the definition, neuron by neuron."""

import math

import numpy as np
import pytest

from spikeseg.motion.evidence import UNIT
from spikeseg.motion.footprint import Footprint
from spikeseg.motion.receptive_field import OFF_PATH, REACH, ReceptiveField
from spikeseg.motion.scales import SECTORS, directions

ON, OFF = 1.3, -0.7
FOOTPRINT = Footprint(np.concatenate([Footprint.point(-OFF, 0.9).share[:1], Footprint.point(ON, 0.9).share[1:]]))


def added(field, cell, k, x, y, on, weight):
    """What an event adds, by column and row of the neuron."""
    kind = (on * cell + y % cell) * cell + x % cell
    left, top = field.first[k, kind].tolist()
    own = field.weights[k, weight, kind].tolist()
    every = {(x // cell + left + i, y // cell + top + j): value for j, row in enumerate(own) for i, value in enumerate(row)}
    return {at: value for at, value in every.items() if value}


def apart(cell, k, x, y, on):
    """How far an event, moved to the path, lies from the middle of every neuron near it, px."""
    move = (ON if on else OFF) * directions()[k]
    near = range(-8, 20)
    return {(i, j): (x - move[0] - (i + 1) * cell + 0.5, y - move[1] - (j + 1) * cell + 0.5) for i in near for j in near}


EVENTS = [(k, x, y, on) for k in range(0, SECTORS + 1, 3) for x, y in ((12, 13), (15, 12), (14, 18), (13, 15)) for on in (0, 1)]


@pytest.mark.parametrize("cell", [2, 4])
def test_a_round_field_weighs_an_event_by_its_density(cell):
    """Of the weight of an event where the field is densest follows the ratio of the object to the background."""
    field = ReceptiveField.of(cell, FOOTPRINT)
    assert FOOTPRINT.displacement() == pytest.approx((ON, OFF), abs=0.01)
    variance = FOOTPRINT.sigma() ** 2 + OFF_PATH * cell**2
    assert field.area_px == pytest.approx(2 * math.pi * variance) and not field.flat
    for k, x, y, on in EVENTS:
        for weight in (1, 9, 40, 255):
            ratio, wanted = math.expm1(weight / UNIT), {}
            for at, (dx, dy) in apart(cell, k, x, y, on).items():
                if max(abs(dx), abs(dy)) < REACH * cell:
                    exact = UNIT * math.log1p(ratio * math.exp(-0.5 * (dx**2 + dy**2) / variance))
                    wanted[at] = exact
            given = added(field, cell, k, x, y, on, weight)
            assert all(abs(given.get(at, 0) - exact) < 0.6 + 0.03 * exact for at, exact in wanted.items())
            assert not given.keys() - wanted.keys()


@pytest.mark.parametrize("cell", [2, 3])
def test_a_box_counts_the_events_of_2_x_2_cells(cell):
    field = ReceptiveField.box(cell, FOOTPRINT)
    assert field.area_px == (2 * cell) ** 2 and field.flat
    for k, x, y, on in EVENTS:
        inside = {at for at, (dx, dy) in apart(cell, k, x, y, on).items() if -cell <= dx < cell and -cell <= dy < cell}
        assert added(field, cell, k, x, y, on, 17) == dict.fromkeys(inside, 17)


def test_a_box_is_not_moved_by_less_than_rounding_does():
    assert not ReceptiveField.box(4, FOOTPRINT).differ and ReceptiveField.box(2, FOOTPRINT).differ
    assert np.array_equal(ReceptiveField.box(4, FOOTPRINT).first, ReceptiveField.box(4, Footprint.point()).first)


def test_fields_alike_in_all_directions_are_known():
    assert ReceptiveField.of(2, Footprint.point(0.7)).differ and not ReceptiveField.of(2, Footprint.point(0.0)).differ
    assert not ReceptiveField.of(2, Footprint.point(0.7).merged()).differ


def test_how_far_the_neurons_of_an_event_may_lie():
    assert ReceptiveField.box(2, Footprint.point()).far == REACH
    assert ReceptiveField.box(2, Footprint.point(5.0, 0.5)).far == REACH + 3
    assert ReceptiveField.of(4, Footprint.point(2.3)).far == REACH + 1
