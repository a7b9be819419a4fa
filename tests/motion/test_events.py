"""Events of the motion layer and their index."""

import numpy as np
import pytest

from spikeseg.motion.events import BLOCK_PX, events_of, index_of
from spikeseg.motion.path_kernels import near


def some(n, size=(37, 21), seconds=3.1, seed=0):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.random(n)) * seconds + 7.0
    return events_of(t, rng.integers(0, size[0], n), rng.integers(0, size[1], n), rng.random(n) < 0.3, np.full(n, 0.2))


def test_the_background_is_divided_by_polarity():
    events = some(4000)
    assert events.on.mean() == pytest.approx(0.3, abs=0.03) and set(events.on.tolist()) == {0, 1}
    assert events.rate[events.on == 1] == pytest.approx(0.2 * events.on.mean())
    assert events.rate[events.on == 0] == pytest.approx(0.2 * (1 - events.on.mean()))
    assert not events.owner.any() and {c.dtype.str for c in events} == {"<f8", "<i8"}


def test_a_polarity_that_is_missing_keeps_a_rate():
    events = events_of(np.arange(3.0), np.arange(3), np.arange(3), np.ones(3, bool), np.array([1.0, np.inf, 1.0]))
    assert events.rate.tolist() == [0.95, np.inf, 0.95]
    silent = events_of(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, bool), np.zeros(0))
    assert all(len(column) == 0 for column in silent)


@pytest.mark.parametrize("n", [0, 1, 2, 500])
def test_every_event_is_found_in_its_tick_and_block_in_order_of_time(n):
    size, tick_s = (37, 21), 0.25
    events = some(n, size)
    index = index_of(events, size, tick_s)
    assert (index.columns, index.rows) == (-(-37 // BLOCK_PX), -(-21 // BLOCK_PX))
    assert sorted(index.order.tolist()) == list(range(n)) and index.begins[0] == 0 and index.begins[-1] == n
    blocks = index.columns * index.rows
    for k in range(len(index.begins) - 1):
        inside = index.order[index.begins[k] : index.begins[k + 1]]
        tick, block = divmod(k, blocks)
        row, column = divmod(block, index.columns)
        assert (np.diff(inside) > 0).all()
        assert ((events.t[inside] - index.start_s) // tick_s == tick).all()
        assert (events.x[inside] // BLOCK_PX == column).all() and (events.y[inside] // BLOCK_PX == row).all()


@pytest.mark.parametrize("reach", [0.0, 2.5, 6.0, 50.0])
@pytest.mark.parametrize(
    "centre", [(18.0, 10.0, 0.0, 0.0), (-9.0, 3.0, 30.0, -4.0), (36.0, 20.0, -70.0, 50.0), (500.0, 5.0, 1.0, 0.0)]
)
def test_events_near_a_moving_centre_are_those_that_a_look_at_all_of_them_finds(centre, reach):
    events, out = some(3000), np.empty(3000, np.int64)
    index, centre = index_of(events, (37, 21)), np.array(centre)
    for low, high in ((7.0, 7.01), (7.24, 7.26), (6.0, 12.0), (8.1, 8.1), (9.9, 11.0)):
        since = (events.t - 8.0)[:, None]
        away = np.abs(np.stack([events.x, events.y], 1) - centre[:2] - centre[2:] * since).max(1)
        expected = np.flatnonzero((away <= reach) & (events.t >= low) & (events.t < high))
        n = near(events, index, low, high, centre, 8.0, reach, out)
        assert out[:n].tolist() == expected.tolist()
        if n:
            assert near(events, index, low, high, centre, 8.0, reach, out[: n - 1]) == -1
