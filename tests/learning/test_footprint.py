"""The learned footprint: STDP's weights become log-likelihoods, noise is taken off, and no object or polarity is preferred."""

import numpy as np
import pytest

from spikeseg.learning.footprint import (
    BRIGHT_SPIKES,
    FEWEST_SPIKES,
    MOST_SPIKES,
    SPIKE_EVENTS,
    WinnerSpikes,
    learned_footprint,
    stdp,
    untrained_footprint,
    winner_spikes,
)
from spikeseg.motion.events import events_of
from spikeseg.motion.footprint import SIDE, Footprint
from spikeseg.motion.path import SmoothPath

SIZE = (240, 180)


def night(displacement, *, angle=0.3, rate_hz=30.0, noise_hz=0.1, seconds=20.0, seed=0, owner=0):
    """The path of an object and the events of a recording, ON ahead by a displacement and OFF behind."""
    rng = np.random.default_rng(seed)
    velocity = 7.0 * np.array([np.cos(angle), np.sin(angle)])
    t = np.arange(0.0, seconds + 0.05, 0.1)
    place = np.array(SIZE) / 2 + (t[:, None] - seconds / 2) * velocity
    path = SmoothPath(
        1.0,
        t,
        np.hstack([place, np.tile(velocity, (len(t), 1))]),
        np.ones(len(t)),
        50.0,
        np.full(len(t), rate_hz * 0.1),
        3.0,
    )  # fmt: skip
    own = rng.poisson(rate_hz * seconds)
    at, on = np.sort(rng.uniform(0, seconds, own)), rng.random(own) < 0.5
    ahead = np.where(on, displacement, -displacement)[:, None] * velocity / 7.0
    source = path.at(at)[:, :2] + ahead + rng.standard_normal((own, 2))
    count = rng.poisson(noise_hz * seconds * SIZE[0] * SIZE[1])
    noise = rng.uniform(-0.5, np.array(SIZE) - 0.5, (count, 2))
    times = np.concatenate([at, rng.uniform(0, seconds, count)])
    order = np.argsort(times)
    x, y = np.rint(np.concatenate([source, noise]))[order].T
    polarity = np.concatenate([on, rng.random(count) < 0.5])[order]
    owners = np.where(np.arange(len(times))[order] < own, owner, 0) if owner else None
    return path, events_of(times[order], x, y, polarity, np.full(len(times), noise_hz), owners)


def spikes_of(*nights, seed=0):
    rng = np.random.default_rng(seed)
    return WinnerSpikes.joined([winner_spikes(path, events, SIZE, rng) for path, events in nights])


def test_weights_become_the_logarithm_of_how_often_an_input_fires():
    rng = np.random.default_rng(0)
    probability = np.array([0.02, 0.1, 0.5, 0.9])
    weights = np.log(np.full(4, 0.2))
    for k in range(8000):
        before = weights
        weights = stdp(weights, rng.random(4) < probability, k)
        assert (weights <= 0).all() and np.abs(weights - before).max() <= 1
    np.testing.assert_allclose(np.exp(weights), probability, rtol=0.15)


def test_an_input_that_fires_gains_by_the_rule_and_one_that_does_not_loses():
    before = np.log(np.array([0.25, 0.25]))
    after = stdp(before, np.array([True, False]), 3)
    np.testing.assert_allclose(after - before, np.array([4.0 - 1.0, -1.0]) / (3 + 1 + 4))


@pytest.mark.parametrize("displacement", [0.7, 1.5])
def test_on_is_learned_ahead_and_off_behind_whatever_the_direction(displacement):
    nights = [night(displacement, angle=angle, seed=k) for k, angle in enumerate([0.3, 2.0, 3.9, 5.5, 1.0, 2.9])]
    learned = learned_footprint(spikes_of(*nights), untrained_footprint(1), np.random.default_rng(1))
    on, off = learned.displacement()
    assert on == pytest.approx(displacement, abs=0.25) and off == pytest.approx(-displacement, abs=0.25)
    assert learned.sigma() == pytest.approx(1.08, abs=0.2)
    assert np.abs(learned.share - Footprint.point(displacement).share).sum() < 0.35
    place = np.arange(SIDE) - SIDE // 2
    assert abs((learned.share.sum((0, 1)) * place).sum()) < 0.05 and abs((learned.share.sum((0, 2)) * place).sum()) < 1e-9
    untrained = untrained_footprint(1)
    assert np.abs(untrained.share - Footprint.point(displacement).share).sum() > 1.2


def test_a_background_with_as_many_events_leaves_no_trace():
    nights = [night(1.0, angle=k, seed=k, rate_hz=10.0, noise_hz=0.5) for k in range(6)]
    learned = learned_footprint(spikes_of(*nights), untrained_footprint(0), np.random.default_rng(0))
    place = np.arange(SIDE) - SIDE // 2
    far = np.hypot(place, place[:, None]) > 4.5
    assert learned.share[:, far].sum() < 0.12


def test_events_of_stars_are_no_inputs():
    path, events = night(1.0, noise_hz=0.02, owner=-1)
    assert winner_spikes(path, events, SIZE, np.random.default_rng(0)).fired.sum(1).max() <= 2


def test_a_bright_object_gives_no_more_spikes_than_another_and_the_fewer_the_brighter():
    counts = {rate: len(spikes_of(night(0.7, rate_hz=rate)).fired) for rate in (8.0, 25.0, 60.0, 300.0)}
    assert counts[8.0] == int(8.0 * 20 / SPIKE_EVENTS) and counts[25.0] == MOST_SPIKES
    assert counts[60.0] == pytest.approx(MOST_SPIKES / 2, abs=1) and counts[300.0] == BRIGHT_SPIKES


def test_what_leaves_the_sensor_gives_spikes_only_while_all_its_inputs_are_on_it():
    path, events = night(0.7)
    beyond = path._replace(states=path.states + np.array([110.0, 0, 0, 0]))
    inside = winner_spikes(beyond, events, SIZE, np.random.default_rng(0))
    assert 0 < len(inside.fired) < MOST_SPIKES


def test_nothing_is_learned_from_few_spikes_or_from_noise():
    few = spikes_of(night(0.7))
    assert len(few.fired) < FEWEST_SPIKES and learned_footprint(few, Footprint.box(), np.random.default_rng(0)) is None
    path, events = night(0.7, rate_hz=0.0)
    supposed = path._replace(events=np.full(len(path.t_s), 3.0))
    nothing = spikes_of(*[(supposed, events)] * 4)
    assert len(nothing.fired) >= FEWEST_SPIKES
    assert learned_footprint(nothing, Footprint.box(), np.random.default_rng(0)) is None


def test_untrained_weights_are_random_about_flat_and_follow_the_seed():
    first = untrained_footprint(3)
    assert np.array_equal(first.share, untrained_footprint(3).share) and not np.array_equal(
        first.share, untrained_footprint(4).share
    )
    assert first.share.min() > 0.2 / first.share.size and first.share.max() < 5 / first.share.size


def test_one_seed_gives_the_same_bytes():
    spikes = spikes_of(*(night(0.7, seed=k) for k in range(4)))
    first, second = (learned_footprint(spikes, untrained_footprint(0), np.random.default_rng(5)) for _ in range(2))
    assert first.share.tobytes() == second.share.tobytes()
