"""Things whose events are in order, and noise in a place, which is not."""

import numpy as np
import pytest

from spikeseg.scenes.order import A_TIME, change_of_place, in_order, polarity_order
from spikeseg.scenes.order_kernels import cells_of

SIZE = (160, 120)


def dense_noise(begins_s=0.15, rate_hz=6000.0):
    """t, x, y, on: noise all over, and dense noise in 40 x 12 px, of which but a quarter sends before begins_s."""
    rng = np.random.default_rng(0)
    n, m = round(rate_hz), rng.poisson(0.3 * SIZE[0] * SIZE[1])
    t_s = np.concatenate([rng.random(n), rng.random(m)])
    x = np.concatenate([rng.integers(60, 100, n), rng.integers(0, SIZE[0], m)])
    y = np.concatenate([rng.integers(50, 62, n), rng.integers(0, SIZE[1], m)])
    kept = (t_s > begins_s) | (x < 70) | (np.arange(n + m) >= n)
    order = np.flatnonzero(kept)[np.argsort(t_s[kept])]
    return (t_s[order] * 1e6).astype(np.int64), x[order], y[order], rng.random(len(order)) < 0.5


@pytest.mark.parametrize(
    ("x", "on", "expected"),
    [
        ([0, 1, 8, 9], [1, 1, 0, 0], 1.0),
        ([0, 1, 8, 9], [1, 0, 1, 0], -0.5),  # 4 pairs in order, none alike; of all pairs a third is: (0 - 4/3) / (4 - 4/3)
        ([0, 8, 16, 24], [1, 0, 1, 0], 0.0),  # no pairs
        ([0, 1, 8, 9], [1, 1, 1, 1], 0.0),
    ],
)
def test_polarities_are_sorted_or_alternate(x, on, expected):
    x = np.array(x, np.int64)
    t = np.arange(4, dtype=np.int64)
    assert polarity_order((t, x, np.zeros_like(x), np.array(on, bool)), np.arange(4), SIZE, 10) == pytest.approx(expected)


def test_polarities_are_compared_step_by_step():
    x = np.array([0, 8, 0, 8, 0, 8, 0, 8], np.int64)
    t = np.array([0, 0, 1, 1, 10, 10, 11, 11], np.int64)
    events = t, x, np.zeros_like(x), np.array([1, 0, 1, 0, 0, 1, 0, 1], bool)
    assert polarity_order(events, np.arange(8), SIZE, 10) == pytest.approx(1.0)
    assert polarity_order(events, np.arange(8), SIZE, 20) == pytest.approx((8 - 24 * 3 / 7) / (24 - 24 * 3 / 7))


def test_cells_are_those_of_the_events_in_between_too():
    rng = np.random.default_rng(6)
    x, y = rng.integers(0, 160, 400), rng.integers(0, 120, 400)
    own = np.sort(rng.choice(np.arange(30, 350), 12, replace=False))
    cell = y // 8 * 20 + x // 8
    life = cell[own[0] : own[-1] + 1]
    held, out = np.unique(cell[own]), np.empty(len(life), np.int64)
    n = cells_of(x, y, own, 3, np.zeros((15, 20), np.int64), out)
    assert 12 < n < len(life) and np.array_equal(held[out[:n]], life[np.isin(life, held)])


def test_places_change_or_stay():
    one = np.repeat([0, 1], A_TIME)
    assert change_of_place(one) == pytest.approx(1 - 1 / (len(one) - 1))
    assert change_of_place(np.tile([0, 1], A_TIME)) == pytest.approx(-1 / (2 * A_TIME - 1))
    assert change_of_place(one[: 2 * A_TIME - 1]) == 0.0


def test_dense_noise_in_a_place_is_no_object_however_its_outline_grows(look):
    t, x, y, on = dense_noise()
    own = np.flatnonzero((x >= 60) & (x < 100) & (y >= 50) & (y < 62))
    assert not in_order((t, x, y, on), own, SIZE, 20_000)
    assert in_order((t, x, y, np.ones_like(on)), own, SIZE, 20_000)  # no polarities: none can tell
    assert in_order((t, x, y, (x // 4 + y // 4) % 2 == 0), own, SIZE, 20_000)
    assert not look(t, x, y, on).courses
    assert len(look(t, x, y, (x // 4 + y // 4) % 2 == 0).courses) == 1


@pytest.fixture
def look():
    """`find_objects` on the sensor here."""
    from spikeseg.scenes.scene import find_objects

    return lambda *events: find_objects(*events, SIZE)
