"""Noise with known rates; the refractory period against the plain rule."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.data.recording import EVENT_DTYPE, SOURCE_HOT, SOURCE_NOISE
from spikeseg.simulation.noise import background_events, hot_events, refractory
from spikeseg.simulation.pixels import Sensor
from spikeseg.simulation.recordings import SimulationConfig, noise_rates, simulate_recording, simulate_scene

SCENE = replace(simulate_scene(SimulationConfig(seed=3), 0), noise_hz=2.0, duration_s=4.0)
PIXELS = SCENE.sensor_size[0] * SCENE.sensor_size[1]


def counts(events):
    width, height = SCENE.sensor_size
    return np.bincount(events["y"].astype(int) * width + events["x"], minlength=PIXELS).reshape(height, width)


def test_background_has_the_mean_rate_and_uneven_pixels():
    sensor = Sensor(noise_on=(0.6, 0.6))
    events = background_events(SCENE, sensor, np.random.default_rng(0))
    seen = counts(events)
    mean = SCENE.noise_hz * SCENE.duration_s
    assert seen.mean() == pytest.approx(mean, rel=0.02)
    assert seen.var() > 2 * mean  # Poisson alone would have variance = mean
    assert events["p"].mean() == pytest.approx(0.6, abs=0.01)
    assert (events["source"] == SOURCE_NOISE).all() and (events["object_id"] == 0).all()
    assert events["t"].min() >= 0 and events["t"].max() < SCENE.duration_s * 1e6


def test_even_rates_give_plain_poisson_noise():
    sensor = Sensor(noise_spread=0.0, noise_gradient=0.0)
    events = background_events(SCENE, sensor, np.random.default_rng(0))
    seen = counts(events)
    assert seen.var() == pytest.approx(seen.mean(), rel=0.05)
    halves = np.histogram(events["t"], 8, (0, SCENE.duration_s * 1e6))[0]
    assert halves.max() / halves.min() < 1.05  # even in time


def test_the_gradient_is_smooth_and_differs_between_recordings():
    sensor = Sensor(noise_spread=0.0, noise_gradient=0.5)
    blocks = []
    for seed in (0, 1):
        seen = counts(background_events(SCENE, sensor, np.random.default_rng(seed)))
        blocks.append(seen.reshape(9, 20, 12, 20).mean((1, 3)))
    for block in blocks:
        assert block.max() > 1.5 * block.min()
        assert np.abs(np.diff(block, axis=1)).max() < 0.5 * np.ptp(block)
    assert np.abs(blocks[0] - blocks[1]).max() > 1


def test_hot_pixels_are_few_and_fire_much_more_than_others():
    sensor = Sensor(hot_share=1e-3, hot_hz=(20.0, 200.0), hot_on=0.9)
    events = hot_events(SCENE, sensor, np.random.default_rng(0))
    rate = counts(events) / SCENE.duration_s
    hot = rate[rate > 0]
    assert PIXELS * 1e-3 / 2 < len(hot) < PIXELS * 1e-3 * 2
    assert hot.min() > 10 and hot.max() < 250 and np.median(hot) == pytest.approx(np.sqrt(20 * 200), rel=0.4)
    assert events["p"].mean() == pytest.approx(0.9, abs=0.02) and (events["source"] == SOURCE_HOT).all()


def test_a_sensor_without_hot_pixels():
    assert len(hot_events(SCENE, Sensor(hot_share=0.0), np.random.default_rng(0))) == 0


def plain_refractory(events, period):
    """In order of time, each pixel by itself."""
    keep, last = np.zeros(len(events), bool), {}
    for i in np.lexsort((events["t"], events["x"], events["y"])):
        pixel = (events["x"][i], events["y"][i])
        if period == 0 or pixel not in last or events["t"][i] - last[pixel] >= period:
            keep[i], last[pixel] = True, events["t"][i]
    return keep


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2), st.integers(0, 1)), max_size=60), st.integers(0, 30))
def test_refractory_equals_the_plain_rule(rows, period):
    events = np.zeros(len(rows), EVENT_DTYPE)
    for i, (t, x, y) in enumerate(rows):
        events[i] = (t, x, y, True)
    assert np.array_equal(refractory(events, period), plain_refractory(events, period))


def test_the_rates_of_a_recording_are_those_that_its_noise_has():
    config = SimulationConfig(recordings=1, duration_s=60.0, seed=5)
    rates, recording = noise_rates(config, 0), simulate_recording(config, 0)
    kept = np.isin(recording.truth["source"], (SOURCE_NOISE, SOURCE_HOT))
    events = recording.events[kept]
    seen = np.zeros_like(rates)
    np.add.at(seen, (events["p"].astype(int), events["y"], events["x"]), 1)
    expected = rates * config.duration_s
    assert seen.sum((1, 2)) == pytest.approx(expected.sum((1, 2)), rel=0.02)
    assert ((seen - expected) ** 2 / expected).mean() == pytest.approx(1, abs=0.05)  # Poisson's about the rate of each pixel
    with pytest.raises(ValueError, match="poisson"):
        noise_rates(replace(config, noise="measured"), 0)
