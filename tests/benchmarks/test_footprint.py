"""The benchmark of the learned footprint: thresholds of one false-alarm rate, R50, controls, and that it runs."""

import numpy as np
import pytest

from spikeseg.learning.footprint import untrained_footprint
from spikeseg.motion.footprint import Footprint
from spikeseg.motion.probability import FALL


@pytest.fixture(scope="module")
def bench(script):
    return script("footprint_scoring")


def answer(bench, *paths, objects=1):
    """An answer with paths of (evidence, found)."""
    nats, found = (np.array(column, float) for column in zip(*paths, strict=True)) if paths else (np.zeros(0), np.zeros(0))
    return bench.Answer(nats, found.astype(int), 0.5, objects)


def test_the_threshold_is_what_noise_reaches_as_often_as_allowed(bench):
    rng = np.random.default_rng(0)
    minutes, per_minute_at_20 = 400.0, 3.0
    paths = 20 + rng.exponential(1 / FALL, rng.poisson(per_minute_at_20 * minutes))
    expected = 20 + np.log(per_minute_at_20 / bench.ALLOWED_PER_MINUTE) / FALL
    assert bench.threshold([answer(bench, *((nats, 0) for nats in paths))], minutes) == pytest.approx(
        expected, abs=1.2
    )  # 1 / sqrt(8) / FALL is 0.5
    assert bench.threshold([answer(bench, *((nats, 0) for nats in paths))], 10 * minutes) < expected - 2


def test_noise_that_makes_no_path_leaves_the_threshold_of_the_search(bench):
    assert 15 < bench.threshold([answer(bench)], 10.0) == bench.threshold([answer(bench, (3.0, 0))], 10.0) < 18.3


def test_half_rates_count_objects_with_a_path_above_the_threshold(bench):
    rates = (2.0, 4.0, 8.0)
    given = [[answer(bench, (30, 1), (40, 0)) if k < share else answer(bench, (10, 1), (50, 0)) for k in range(10)]
             for share in (1, 5, 9)]  # fmt: skip
    chosen = [np.tile(np.arange(10), (4, 1))] * 3
    half = bench.half_rate_samples(rates, given, 20.0, chosen)
    assert half.shape == (4,) and half == pytest.approx(4.0, rel=0.03)
    assert np.isinf(bench.half_rate_samples(rates, given, 35.0, chosen)).all()


def test_evidence_is_compared_at_the_brightness_that_gives_as_much(bench):
    rates = (2.0, 4.0, 8.0)
    learned = np.tile(30 + 20 * np.log(np.array(rates) / 4), (3, 1))
    fainter = np.tile(30 + 20 * np.log(np.array(rates) / 4 / 1.5), (3, 1))
    assert bench.evidence_samples(rates, fainter, learned) == pytest.approx(10 * np.log10(1.5))
    assert bench.evidence_samples(rates, learned, learned) == pytest.approx(0, abs=1e-9)
    assert np.isinf(bench.evidence_samples(rates, np.zeros((3, 3)), learned)).all()


def test_information_is_the_log_likelihood_ratio_that_events_give(bench):
    """Events drawn with the true footprint over noise; how much brighter the box must be, and what merging loses."""
    true, rng = Footprint.point(1.5), np.random.default_rng(5)
    rate, noise = 4.0, 0.05
    counts = rng.poisson(noise + rate * true.share, (20_000, *true.share.shape))
    for model in (true, Footprint.box()):
        gathered = (counts * np.log1p(rate * model.share / noise)).sum((1, 2, 3)) - rate
        assert bench.information(rate, noise, true, model) == pytest.approx(gathered.mean(), abs=5 * gathered.std() / 20_000**0.5)
    db = bench.information_db(rate, noise, true, Footprint.box())
    wanted = bench.information(rate, noise, true, true)
    assert bench.information(rate * 10 ** (db / 10), noise, true, Footprint.box()) == pytest.approx(wanted)
    assert 1.4 < db < 1.7 and bench.information_db(rate, noise, true, true) == pytest.approx(0, abs=1e-9)
    assert 0.8 < bench.information_db(rate, noise, true, true.merged()) < db
    assert bench.information_db(rate, noise, Footprint.point(0.7), Footprint.box()) == pytest.approx(0.5, abs=0.1)
    far = np.zeros_like(true.share)
    far[:, 0, 0] = 0.5
    assert np.isinf(bench.information_db(rate, noise, Footprint.point(0.0, 0.3), Footprint(far)))


def test_controls_are_the_learned_weights_without_what_was_learned(script):
    bench, own = script("footprint"), Footprint.point(1.2)
    shown = bench.footprints(1.5, own, 3)
    assert [*shown, "none"] == ["box", "untrained", "shuffled", "merged", "learned", "true", "none"]
    assert {*shown, "none"} == {*bench.TITLES} and shown["learned"] is own
    assert np.array_equal(np.sort(shown["shuffled"].share.ravel()), np.sort(own.share.ravel()))
    assert np.abs(shown["shuffled"].share - own.share).sum() > 1
    assert shown["merged"].displacement() == pytest.approx((0, 0)) and shown["true"].displacement()[0] == pytest.approx(
        1.5, abs=0.01
    )
    assert np.array_equal(shown["untrained"].share, untrained_footprint(3).share)


def test_it_runs(quick):
    printed, written = quick("footprint")
    (found,) = written["displacements"].values()
    assert found["footprints"].keys() == {"box", "untrained", "shuffled", "merged", "learned", "true"}
    assert found["training"][0]["on_ahead_px"] > 0.7 and "ON and OFF displaced by 1.5 px" in printed
    assert found["footprints"]["learned"]["above_learned_db"][1:] in ([0.0, 0.0], [None, None])
    by_evidence = {name: own["evidence_db"][0] for name, own in found["footprints"].items()}
    assert by_evidence["learned"] == 0 and len(found["footprints"]["true"]["evidence_nats"]) == 2
    theory = {name: own["information_db"][0] for name, own in found["footprints"].items()}
    assert theory["true"] == 0 < theory["learned"] < theory["merged"] < theory["box"] and "dB by information" in printed
    assert all(own["shares"][0]["objects"] == 1 for own in found["footprints"].values())
