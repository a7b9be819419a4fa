"""How components of a moment move."""

import numpy as np
import pytest

from spikeseg.scenes.activity import Activity, places_of
from spikeseg.scenes.moments import LEAST_EVENTS, SURE, Moment

SIZE = (120, 80)


def at_once(t, x, y, t_us=0):
    """The moment of events, and its (cleared) labels."""
    activity, label = Activity(np.zeros(SIZE[::-1])), np.zeros(SIZE[::-1], np.int32)
    activity.add(places_of(x, y))
    return Moment.of(t_us, activity, label, t, places_of(x, y)), label


def blob(rng, n, place, velocity, spread=2.0, window_us=40_000):
    """Events about a place that moves: t in the window about 0, x, y."""
    t = np.sort(rng.integers(-window_us // 2, window_us // 2, n))
    x, y = np.round(np.array(place) + np.outer(t * 1e-6, velocity) + rng.uniform(-spread, spread, (n, 2))).astype(np.int64).T
    return t, x, y


def joined(*parts):
    t, x, y = (np.concatenate([part[k] for part in parts]) for k in range(3))
    order = np.argsort(t, kind="stable")
    return t[order], x[order], y[order]


def reference(moment, k):
    """By numpy's polyfit, and its standard error."""
    y, x = np.divmod(moment.places.astype(np.int64), 1 << 16)
    own = moment.label[y, x] == k + 1
    since = (moment.t[own] - moment.t_us) * 1e-6
    velocity = np.zeros(2)
    if np.count_nonzero(own) < LEAST_EVENTS or np.ptp(since) == 0:
        return velocity
    for axis, place in enumerate((x[own], y[own])):
        slope = np.polyfit(since, place, 1)[0]
        error = np.sqrt(np.var(place) / np.sum((since - since.mean()) ** 2))
        velocity[axis] = slope if abs(slope) > SURE * error else 0.0
    return velocity


def test_labels_are_the_components_and_are_cleared():
    rng = np.random.default_rng(0)
    moment, label = at_once(
        *joined(blob(rng, 60, (20, 20), (0, 0)), blob(rng, 60, (90, 60), (0, 0)), blob(rng, 60, (60, 30), (0, 0)))
    )
    assert len(moment.components) == 3 and moment.label is label and label.dtype == np.int32
    for k in range(3):
        assert np.array_equal(np.flatnonzero(label == k + 1), np.sort(moment.components.of(k)))
    moment.clear()
    assert not label.any()


@pytest.mark.parametrize("t_us", [0, 5_000_000_000])
def test_velocities_are_those_of_least_squares(t_us):
    rng = np.random.default_rng(1)
    parts = [
        blob(rng, n, place, v) for n, place, v in ((200, (20, 20), (400, 0)), (90, (90, 60), (-300, 250)), (60, (60, 30), (0, 0)))
    ]
    t, x, y = joined(*parts)
    moment, _ = at_once(t + t_us, x, y, t_us)
    drifts = moment.drifts()
    assert drifts.shape == (3, 2) and drifts.dtype == np.float64
    assert np.allclose(drifts, [reference(moment, k) for k in range(3)], rtol=1e-6, atol=1e-6)
    assert drifts[0, 0] == pytest.approx(400, rel=0.1) and drifts[2].tolist() == pytest.approx([-300, 250], rel=0.2)
    assert drifts[1].tolist() == [0, 0] and drifts[0, 1] == 0  # it does not move in y, and of what trembles nothing is told


def test_too_few_events_tell_nothing():
    rng = np.random.default_rng(2)
    for n in (LEAST_EVENTS - 1, LEAST_EVENTS):
        moment, _ = at_once(*blob(rng, n, (60, 40), (100, 0), spread=0.1))
        assert len(moment.components) == 1
        assert (moment.drifts()[0, 0] > 0) == (n == LEAST_EVENTS)


def test_events_of_one_time_and_none_tell_nothing():
    t, x, y = blob(np.random.default_rng(3), 100, (60, 40), (0, 0))
    moment, _ = at_once(np.zeros_like(t), x, y)
    assert moment.drifts().tolist() == [[0, 0]]
    none = np.zeros(0, np.int64)
    moment, _ = at_once(none, none, none)
    assert moment.drifts().shape == (0, 2) and len(moment.components) == 0


def test_velocities_of_some_components_alone():
    rng = np.random.default_rng(4)
    parts = [blob(rng, 200, (20 + 40 * k, 40), (200, -150)) for k in range(3)]
    moment, _ = at_once(*joined(*parts))
    every, some = moment.drifts(), moment.drifts([2, 0, 2])
    assert len(every) == 3 and every.all() and np.array_equal(some[[0, 2]], every[[0, 2]]) and not some[1].any()
    assert not moment.drifts([]).any()
