"""Variants of noise: the same mean rate, and each what it says."""

import numpy as np
import pytest
from scipy import stats

from spikeseg.data.recording import SOURCE_HOT, SOURCE_NOISE
from spikeseg.simulation import camera_noise
from spikeseg.simulation.camera_noise import KINDS, VARIANTS

SIZE, SECONDS, HZ = (60, 40), 20.0, 0.5
PIXELS = SIZE[0] * SIZE[1]


def made(name, seed=0, size=SIZE, seconds=SECONDS, hz=HZ):
    return KINDS[name](np.random.default_rng(seed), size, seconds, hz)


def counts(events, size=SIZE):
    return np.bincount(events["y"].astype(int) * size[0] + events["x"], minlength=size[0] * size[1]).reshape(size[::-1])


def fano(events, bin_us):
    """Variance over mean of the counts in bins of time: 1 for a Poisson process."""
    seen = np.bincount(events["t"] // bin_us, minlength=int(SECONDS * 1e6 / bin_us))
    return seen.var() / seen.mean()


@pytest.mark.parametrize("name", KINDS)
def test_the_mean_rate_is_the_one_asked_for_and_all_events_are_on_the_sensor(name):
    rates = []
    for seed in range(40):
        events = made(name, seed)
        assert events["t"].min() >= 0 and events["t"].max() < SECONDS * 1e6
        assert 0 <= events["x"].min() <= events["x"].max() < SIZE[0] and 0 <= events["y"].min() <= events["y"].max() < SIZE[1]
        assert set(np.unique(events["source"])) <= {SOURCE_NOISE, SOURCE_HOT} and not events["object_id"].any()
        rates.append(np.count_nonzero(events["source"] == SOURCE_NOISE) / PIXELS / SECONDS)
    error = np.std(rates) / np.sqrt(len(rates))
    assert np.mean(rates) == pytest.approx(HZ, abs=4 * error + 0.002 * HZ)


@pytest.mark.parametrize("name", KINDS)
def test_the_same_seed_gives_the_same_events(name):
    assert np.array_equal(made(name, 3), made(name, 3)) and not np.array_equal(made(name, 3)[:50], made(name, 4)[:50])


@pytest.mark.parametrize("name", KINDS)
def test_no_rate_no_events(name):
    events = made(name, hz=0.0)
    assert np.count_nonzero(events["source"] == SOURCE_NOISE) == 0


def test_poisson_is_poisson():
    events = made("poisson")
    assert fano(events, 5000) == pytest.approx(1, abs=0.1)
    assert counts(events).var() == pytest.approx(counts(events).mean(), rel=0.1)


def test_hot_pixels_come_on_top_and_warm_ones_among_the_rest():
    size = (240, 180)
    events = made("hot", size=size)
    is_hot = events["source"] == SOURCE_HOT
    rate = counts(events[is_hot], size) / SECONDS
    hot = rate[rate > 0]
    assert 4 <= len(hot) <= 26 and 8 < hot.min() and hot.max() < 320  # 13 expected
    background = counts(events[~is_hot], size) / SECONDS
    assert 0.003 < (background > 4 * HZ).mean() < 0.02
    assert events["p"][is_hot].mean() == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("name", ["bursts", "rows"])
def test_events_of_bursts_and_rows_come_together(name):
    assert fano(made(name), 5000) > 3


def test_a_row_fires_together_and_a_burst_takes_many_rows():
    def busiest(name):
        events = made(name)
        at = events["t"] // 2000
        busy = events[at == np.bincount(at).argmax()]
        return np.bincount(busy["y"]).max() / len(busy)

    assert busiest("rows") > 0.4 and busiest("bursts") < 0.3


def test_pairs_follow_within_milliseconds():
    events = np.sort(made("refractory"), order=["y", "x", "t"])
    same = (np.diff(events["x"]) == 0) & (np.diff(events["y"]) == 0)
    close = same & (np.diff(events["t"]) < 20_001)
    share = camera_noise.PAIR_SHARE / (1 + camera_noise.PAIR_SHARE)
    assert close.sum() / len(events) == pytest.approx(share, rel=0.12)
    assert (np.diff(events["t"])[close] < 1000).mean() < 0.02 < 0.1 < (np.diff(events["t"])[close] < 2000).mean()


def test_lamps_flicker_at_50_or_100_hz_where_they_shine():
    beats = set()
    for seed in range(8):
        events = made("flicker", seed, hz=4.0)
        bright = counts(events) > 1.5 * np.median(counts(events))
        if bright.mean() > 0.5:
            continue
        t = events["t"][bright[events["y"], events["x"]]] * 1e-6
        power = {hz: np.abs(np.exp(2j * np.pi * hz * t).mean()) for hz in (37.0, 50.0, 100.0)}
        assert max(power[50.0], power[100.0]) > 5 * power[37.0]
        beats.add(max(power, key=power.get))
    assert beats == {50.0, 100.0}


def test_rates_drift_by_their_factor():
    events = made("drifting", 1, hz=20.0)
    blocks = np.histogramdd(
        np.stack([events["t"] * 1e-6, events["x"], events["y"]], 1), (10, 3, 2), [(0, SECONDS), (0, SIZE[0]), (0, SIZE[1])]
    )[0]
    assert blocks.max() / blocks.min() == pytest.approx(camera_noise.DRIFT_FACTOR, rel=0.15)


def test_measured_intervals_have_the_fitted_distribution_and_rows_alternate():
    size, seconds, hz = (30, 20), 200.0, 10.0
    events = made("measured", size=size, seconds=seconds, hz=hz)
    assert events["p"].mean() == pytest.approx(camera_noise.MEASURED_ON, abs=0.02)
    rows = counts(events, size).sum(1)
    ratio = rows[::2].sum() / rows[1::2].sum()
    assert max(ratio, 1 / ratio) == pytest.approx(camera_noise.MEASURED_ROWS, rel=0.15)
    spread = np.log(counts(events, size))
    assert (spread - spread.mean(1, keepdims=True)).std() == pytest.approx(camera_noise.MEASURED_SIGMA, rel=0.1)
    on = np.sort(events[events["p"]], order=["y", "x", "t"])
    same = (np.diff(on["x"]) == 0) & (np.diff(on["y"]) == 0)
    pixel = (on["y"].astype(int) * size[0] + on["x"])[1:][same]
    intervals = np.diff(on["t"])[same]
    scaled = (
        intervals * (np.bincount(pixel, minlength=size[0] * size[1]) / np.bincount(pixel, intervals, size[0] * size[1]))[pixel]
    )
    shares, means = np.array(camera_noise.MEASURED_SHARES), np.array(camera_noise.MEASURED_MEANS)

    def distribution(x):
        shapes = np.array(camera_noise.MEASURED_SHAPES)
        return shares @ stats.gamma.cdf(x, shapes[:, None], scale=(means / shapes / (shares @ means))[:, None])

    assert stats.kstest(scaled, distribution).statistic < 0.01


def test_measured_noise_is_as_dense_at_the_start_as_later():
    events = made("measured", size=(120, 90), seconds=10.0, hz=1.0)
    halves = np.bincount(events["t"] // 500_000)
    assert np.abs(halves / halves.mean() - 1).max() < 0.06


def test_variants_are_all_but_poisson():
    assert set(KINDS) - set(VARIANTS) == {"poisson"} and list(VARIANTS) == [
        "hot", "bursts", "refractory", "rows", "flicker", "drifting", "measured",
    ]  # fmt: skip
