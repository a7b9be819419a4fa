"""The background's rate at every event: what it follows, and what does not count."""

import numpy as np
import pytest

from spikeseg.motion.background import ROW_EVENTS, ROW_PX, ROW_S, Marks, background_rates

SIZE = (96, 72)


def noise(seed, rate, seconds=8.0, size=SIZE):
    """Poisson events; rate: of a pixel, events/s, or a function of t, x, y between 0 and 1 times ten events/s. -> t, x, y."""
    rng = np.random.default_rng(seed)
    most = 10.0 if callable(rate) else rate
    n = rng.poisson(most * size[0] * size[1] * seconds)
    t, x, y = np.sort(rng.random(n)) * seconds, rng.integers(0, size[0], n), rng.integers(0, size[1], n)
    kept = rng.random(n) < rate(t, x, y) if callable(rate) else np.ones(n, bool)
    return t[kept], x[kept], y[kept]


def rates(t, x, y, explained=None, share=0.0, size=SIZE, **more):
    return background_rates(t, x, y, size, np.zeros(len(t), bool) if explained is None else explained, share, **more)


def mixed(base, more):
    """Two sets of events as one, sorted, and which of them are the second's."""
    t, x, y = (np.concatenate(pair) for pair in zip(base, more, strict=True))
    order = np.argsort(t, kind="stable")
    return t[order], x[order], y[order], (np.arange(len(t)) >= len(base[0]))[order]


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5, 3.0])
def test_even_noise_has_its_rate_everywhere(rate):
    found = rates(*noise(0, rate))
    counted = np.isfinite(found)
    assert counted.mean() > 0.95
    assert np.median(found[counted]) == pytest.approx(rate, rel=0.05)
    assert (np.abs(found[counted] / rate - 1) < 0.5).mean() > 0.95


def test_a_gradient_is_followed():
    t, x, y = noise(1, lambda t, x, y: 0.01 + 0.09 * x / 95)
    found = rates(t, x, y)
    for low, high in ((0, 10), (20, 30), (45, 55), (66, 76), (86, 96)):
        inside = (x >= low) & (x < high) & np.isfinite(found)
        assert np.median(found[inside]) == pytest.approx(10 * (0.01 + 0.09 * x[inside].mean() / 95), rel=0.3)


def test_a_rate_that_drifts_is_followed():
    t, x, y = noise(2, lambda t, x, y: np.where(t < 4, 0.02, 0.08))
    found = rates(t, x, y)
    early, late = (np.median(found[np.isfinite(found) & part]) for part in (t < 3.5, t > 4.5))
    assert early == pytest.approx(0.2, rel=0.2) and late == pytest.approx(0.8, rel=0.2)


@pytest.mark.parametrize("place", [(40, 30), (40, 0), (0, 0)], ids=["inside", "at an edge", "in a corner"])
def test_a_hot_pixel_does_not_count_and_leaves_its_neighbours_alone(place):
    base, rng = noise(3, 0.2), np.random.default_rng(3)
    n = 200
    t, x, y, hot = mixed(base, (rng.random(n) * 8, np.full(n, place[0]), np.full(n, place[1])))
    found, without = rates(t, x, y), rates(*base)
    assert np.isinf(found[hot]).all()
    near = (np.hypot(x[~hot] - place[0], y[~hot] - place[1]) < 10) & np.isfinite(found[~hot]) & np.isfinite(without)
    assert near.sum() > 100 and found[~hot][near] == pytest.approx(without[near], rel=0.15)


def test_a_source_that_spreads_over_pixels_is_no_hot_pixel():
    base, rng = noise(4, 0.1), np.random.default_rng(4)
    n = 120
    place = np.rint(rng.standard_normal((n, 2)) + np.array([40, 30])).astype(int)
    t, x, y, own = mixed(base, (rng.random(n) * 8, *place.T))
    assert np.isfinite(rates(t, x, y)[own]).mean() > 0.8


def uneven(seed, seconds=8.0):
    """Noise whose pixels differ by half of their mean, 0.25 events/s. -> t, x, y."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.25 * rng.gamma(4.0, 0.25, SIZE[::-1]) * seconds)
    y, x = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    order = rng.permutation(len(x))
    return np.sort(rng.random(len(x))) * seconds, x[order], y[order]


@pytest.mark.parametrize("events", [100, 600])
def test_a_source_at_rest_does_not_raise_the_rate_of_the_pixels_that_it_lights(events):
    """Where pixels differ, one that sends more than its neighbourhood is warm; but a source lights its neighbours, too."""
    base, rng = uneven(12), np.random.default_rng(12)
    place = np.rint(rng.standard_normal((events, 2)) + np.array([40, 30])).astype(int)
    t, x, y, own = mixed(base, (rng.random(events) * 8, *place.T))
    raised, rate = rates(t, x, y)[own], rates(t, x, y, resting=True)[own]
    assert np.median(rate[np.isfinite(rate)]) < 0.25 * (1.5 if events < 200 else 4.0) < np.median(raised[np.isfinite(raised)])


def test_a_source_whose_brightest_pixels_were_left_out_is_a_source():
    """As hot ones: without them no pixel beside would have neighbours that are lit on both sides."""
    base, rng = uneven(12), np.random.default_rng(12)
    place = np.rint(rng.standard_normal((1200, 2)) * 1.3 + np.array([40.4, 30.4])).astype(int)
    t, x, y, own = mixed(base, (rng.random(1200) * 8, *place.T))
    left = ~np.isin(x, (40, 41)) | ~np.isin(y, (30, 31)) | ((x == 41) & (y == 31))
    t, x, y, own = t[left], x[left], y[left], own[left]
    beside = own & (np.hypot(x - 40.5, y - 30.5) < 2)
    raised, rate = rates(t, x, y)[beside], rates(t, x, y, resting=True)[beside]
    assert np.median(rate[np.isfinite(rate)]) < 0.4 < 1.5 < np.median(raised[np.isfinite(raised)])


@pytest.mark.parametrize("beside", [0, 1])
def test_a_warm_pixel_has_a_higher_rate_alone_or_beside_another(beside):
    base, rng = uneven(13), np.random.default_rng(13)
    t, x, y, _ = mixed(base, (rng.random(12) * 8, np.full(12, 40), np.full(12, 30)))
    t, x, y, _ = mixed((t, x, y), (rng.random(12 * beside) * 8, np.full(12 * beside, 41), np.full(12 * beside, 31)))
    rate = rates(t, x, y, resting=True)[(x == 40) & (y == 30)]
    assert np.median(rate[np.isfinite(rate)]) > 0.25 * 1.8


def test_the_corner_of_a_noisy_region_is_no_source():
    """Within it and beside its edge the rates are what they are without anything at rest."""
    base, rng = uneven(14), np.random.default_rng(14)
    t, x, y, own = mixed(base, (rng.random(2000) * 8, rng.integers(30, 50, 2000), rng.integers(20, 40, 2000)))
    plain, rate = rates(t, x, y), rates(t, x, y, resting=True)
    counted = np.isfinite(plain)
    assert np.array_equal(counted, np.isfinite(rate)) and np.median(rate[own & counted] / plain[own & counted]) > 0.9


def test_a_burst_weighs_less_than_the_same_events_apart():
    base, rng = noise(5, 0.2), np.random.default_rng(5)
    n = 150
    place = rng.integers(24, 48, (n, 2))
    found = {}
    for seconds in (0.02, 8.0):
        t, x, y, own = mixed(base, (np.sort(rng.uniform(0, seconds, n)) + (4.0 if seconds < 1 else 0.0), *place.T))
        rate = rates(t, x, y)[own]
        found[seconds] = np.median(rate[np.isfinite(rate)])
    assert found[0.02] > 20 * found[8.0]


def test_a_bright_point_that_passes_is_no_burst():
    """1000 events/s that cross a block in a fifth of a second, many of them repeats: the background stays what it was. As many
    events all over a block are a burst all the same."""
    base, rng = noise(15, 0.2), np.random.default_rng(15)
    n = 200
    when = np.sort(rng.uniform(4.0, 4.2, n))
    place = np.stack([30 + 90 * (when - 4.0), np.full(n, 36.0)], 1) + rng.standard_normal((n, 2))
    for passes, where in ((True, np.rint(place).astype(int)), (False, rng.integers(24, 48, (n, 2)))):
        t, x, y, own = mixed(base, (when, *where.T))
        raised, rate = (rates(t, x, y, marks=Marks.of(t, x, y, SIZE, points))[own] for points in (False, True))
        raised, rate = (np.median(found[np.isfinite(found)]) for found in (raised, rate))
        assert raised > 1.0
        assert rate < 0.3 if passes else rate > 0.8 * raised


def test_many_of_a_row_at_once_do_not_count():
    base, rng = noise(6, 0.1), np.random.default_rng(6)
    n = 40
    t, x, y, row = mixed(base, (np.full(n, 4.0001) + np.sort(rng.random(n)) * 5e-4, rng.permutation(96)[:n], np.full(n, 20)))
    found = rates(t, x, y)
    assert np.isinf(found[row]).all() and np.isfinite(found[~row]).mean() > 0.95


@pytest.mark.parametrize(
    ("n", "spread", "first_s", "are_one"),
    [
        (ROW_EVENTS, ROW_PX, 0.0, True),
        (ROW_EVENTS - 1, ROW_PX, 0.0, False),
        (ROW_EVENTS, ROW_PX - 1, 0.0, False),
        (ROW_EVENTS, ROW_PX, ROW_S / 2, False),  # the others in the next ROW_S
    ],
)
def test_how_many_of_a_row_how_far_apart_are_the_row_s(n, spread, first_s, are_one):
    t = first_s + np.arange(n) * 0.6 * ROW_S / (n - 1)
    of_row = Marks.of(t, np.linspace(7, 7 + spread, n).astype(np.int64), np.full(n, 20), SIZE).of_row
    assert of_row.tolist() == [are_one] * n


def test_a_few_of_a_row_close_together_still_count():
    """As many as a bright point sends within a millisecond."""
    base = noise(7, 0.1)
    t, x, y, own = mixed(base, (np.full(5, 4.0001) + np.arange(5) * 1e-4, np.arange(40, 45), np.full(5, 20)))
    assert np.isfinite(rates(t, x, y)[own]).all()


def test_what_repeats_a_pixels_last_event_does_not_count():
    base = noise(8, 0.05)
    times = np.array([2.0, 2.004, 2.012, 2.0215, 5.0])  # the last comes later than 0.01 s, the others each less than that
    t, x, y, own = mixed(base, (times, np.full(5, 50), np.full(5, 50)))
    assert np.isinf(rates(t, x, y)[own]).tolist() == [False, True, True, True, False]


def test_explained_events_do_not_count_and_do_not_raise_the_background():
    base, rng = noise(9, 0.1), np.random.default_rng(9)
    n = 800
    place = np.rint(1.5 * rng.standard_normal((n, 2)) + np.array([40, 30])).astype(int)
    t, x, y, star = mixed(base, (rng.random(n) * 8, *place.T))
    found = rates(t, x, y, star, 0.01)
    assert np.isinf(found[star]).all()
    near = (np.hypot(x - 40, y - 30) < 12) & np.isfinite(found)
    assert near.sum() > 100 and np.median(found[near]) == pytest.approx(0.1, rel=0.25)


def test_stronger_noise_gives_a_higher_rate():
    assert [np.median(rates(*noise(10, rate))) for rate in (0.02, 0.1, 1.0)] == sorted(
        np.median(rates(*noise(10, rate))) for rate in (0.02, 0.1, 1.0)
    )


@pytest.mark.parametrize("n", [0, 1, 2, 10])
def test_few_events(n):
    found = rates(np.linspace(3, 4, n), np.arange(n), np.arange(n))
    assert found.shape == (n,) and found.dtype == np.float64 and (found > 0).all()
