"""The benchmark of the learned footprint: thresholds of one false-alarm rate, R50, controls, and that it runs."""

import numpy as np
import pytest

from spikeseg.data.recording import SOURCE_OBJECT
from spikeseg.learning.footprint import untrained_footprint
from spikeseg.motion import line_kernels as lines
from spikeseg.motion.footprint import Footprint
from spikeseg.motion.probability import FALL
from spikeseg.simulation import limit as simulation
from spikeseg.simulation.limit import LimitConfig


@pytest.fixture(scope="module")
def bench(script):
    return script("footprint_scoring")


def answer(bench, *paths, objects=1):
    """An answer with paths of (evidence, found)."""
    nats, found = (np.array(column, float) for column in zip(*paths, strict=True)) if paths else (np.zeros(0), np.zeros(0))
    return bench.Answer(nats, found.astype(int), 0.5, objects)


def only(n):
    """Of n recordings, no sample but of them all."""
    return np.arange(n)[None]


def test_the_threshold_is_what_noise_reaches_as_often_as_allowed(bench):
    rng = np.random.default_rng(0)
    minutes, per_minute_at_20 = 400.0, 3.0
    paths = 20 + rng.exponential(1 / FALL, rng.poisson(per_minute_at_20 * minutes))
    expected = 20 + np.log(per_minute_at_20 / bench.ALLOWED_PER_MINUTE) / FALL
    quiet = [answer(bench, *((nats, 0) for nats in paths))]
    assert bench.thresholds(quiet, minutes, only(1)) == pytest.approx(expected, abs=1.2)  # 1 / sqrt(8) / FALL is 0.5
    assert bench.thresholds(quiet, 10 * minutes, only(1)) < expected - 2


def test_noise_that_makes_no_path_leaves_the_threshold_of_the_search(bench):
    (none,), (weak,) = (bench.thresholds([own], 10.0, only(1)) for own in (answer(bench), answer(bench, (3.0, 0))))
    assert 15 < none == weak < 19


def test_samples_of_quiet_recordings_have_thresholds_of_their_own(bench):
    """Each the same as if those recordings were all."""
    rng = np.random.default_rng(1)
    quiet = [answer(bench, *((nats, 0) for nats in 16 + rng.exponential(2.0, n))) for n in (5, 0, 9, 14, 2)]
    chosen = np.concatenate([only(5), rng.integers(0, 5, (20, 5)), np.ones((1, 5), np.int64)])
    alone = [bench.thresholds([quiet[k] for k in own], 4.0, only(5))[0] for own in chosen]
    assert bench.thresholds(quiet, 4.0, chosen) == pytest.approx(alone) and len(set(alone)) > 10


def test_half_rates_count_objects_with_a_path_above_the_threshold(bench):
    rates = (2.0, 4.0, 8.0)
    given = [[answer(bench, (30, 1), (40, 0)) if k < share else answer(bench, (10, 1), (50, 0)) for k in range(10)]
             for share in (1, 5, 9)]  # fmt: skip
    chosen = [np.tile(np.arange(10), (4, 1))] * 3
    half = bench.half_rate_samples(rates, given, np.array([20.0, 20.0, 29.0, 31.0]), chosen)
    assert half[:3] == pytest.approx(4.0, rel=0.03) and np.isinf(half[3])  # a sample with a threshold of its own


def test_evidence_is_compared_at_the_brightness_that_gives_as_much(bench):
    rates = (2.0, 4.0, 8.0)
    learned = np.tile(30 + 20 * np.log(np.array(rates) / 4), (3, 1))
    fainter = np.tile(30 + 20 * np.log(np.array(rates) / 4 / 1.5), (3, 1))
    assert bench.evidence_samples(rates, fainter, learned) == pytest.approx(10 * np.log10(1.5))
    assert bench.evidence_samples(rates, learned, learned) == pytest.approx(0, abs=1e-9)
    assert np.isinf(bench.evidence_samples(rates, np.zeros((3, 3)), learned)).all()


def test_what_is_sent_is_what_the_simulator_draws(script):
    """Events of an object that crosses the sensor along an axis, relative to its path."""
    bench, config = script("footprint_evidence"), LimitConfig(displacement_px=1.5)
    still = simulation._moving([(0.0, 0.0)])
    sources = simulation.Sources(still, np.array([[20.3, 90.4]]), np.array([[10.0, 0.0]]), np.array([2000.0]), SOURCE_OBJECT)
    events = simulation._source_events(sources, config, np.random.default_rng(3))
    along, across = events["x"] - 20.3 - 10.0 * events["t"] * 1e-6, events["y"] - 90.4
    density = bench.sent(1.5) * bench.STEP_PX**2
    assert density.sum() == pytest.approx(1, abs=1e-4)
    for on in (0, 1):
        own = events["p"] == on
        assert along[own].mean() == pytest.approx(density[on].sum(0) @ bench.PLACES / density[on].sum(), abs=0.03)
        assert along[own].std() == pytest.approx(((density[on].sum(0) @ bench.PLACES**2) * 2 - 1.5**2) ** 0.5, rel=0.02)
    assert across.std() == pytest.approx((density.sum((0, 2)) @ bench.PLACES**2) ** 0.5, rel=0.02)


def test_densities_of_footprints_are_those_of_the_search(script):
    bench, own = script("footprint_evidence"), Footprint.point(1.2)
    table, density = own.table((240, 180)), bench.searched(own)
    for k, j in ((60, 60), (41, 77), (70, 33)):
        across, along = bench.PLACES[[k, j]]
        for on in (0, 1):
            assert density[on, k, j] == pytest.approx(lines.density(table, along, across, 1.0, 0.0, on, True), abs=1e-12)
    flat = script("footprint_box").FlatBox.drawn()
    table, box = flat.table((240, 180)), bench.searched(flat)
    assert box.sum() * bench.STEP_PX**2 == pytest.approx(1) and box[box > 1e-12] == pytest.approx(1 / 32)
    assert (box[0, 60] > 1e-12).sum() * bench.STEP_PX == pytest.approx(4.0)
    for place, inside in ((0.0, 1), (1.94, 1), (2.0, 0.5), (2.06, 0), (5.99, 0)):
        for along, across, on, moves in ((place, 0.3, 1, True), (-0.3, -place, 0, True), (place, 0.0, 0, False)):
            assert lines.density(table, along, across, 1.0, 0.0, on, moves) == pytest.approx(inside / 32, abs=1e-12)
    assert flat.displacement() == pytest.approx((0, 0)) and table.sigma == pytest.approx((4 / 3) ** 0.5)


def test_information_is_the_log_likelihood_ratio_that_events_give(script):
    """Events drawn from the true density over noise; how much brighter boxes must be, and what merging loses."""
    bench, rng = script("footprint_evidence"), np.random.default_rng(5)
    rate, noise, area = 4.0, 0.05, bench.STEP_PX**2
    true, box = bench.sent(1.5), bench.searched(Footprint.box())
    flat = bench.searched(script("footprint_box").FlatBox.drawn())
    counts = rng.poisson(area * (noise + rate * true), (150, *true.shape))
    for model in (true, box):
        gathered = (counts * np.log1p(rate * model / noise)).sum((1, 2, 3)) - rate * model.sum() * area
        assert bench.information(rate, noise, true, model) == pytest.approx(gathered.mean(), abs=4 * gathered.std() / 150**0.5)
    db = bench.information_db(rate, noise, true, box)
    assert bench.information(rate * 10 ** (db / 10), noise, true, box) == pytest.approx(
        bench.information(rate, noise, true, true)
    )
    assert bench.information_db(rate, noise, true, true) == pytest.approx(0, abs=1e-9)
    merged = np.stack([true.mean(0)] * 2)
    assert 0.8 < bench.information_db(rate, noise, true, merged) < db < bench.information_db(rate, noise, true, flat) < 2.4
    far = np.zeros_like(true)
    far[:, 0, 0] = 0.5 / area
    assert np.isinf(bench.information_db(rate, noise, bench.sent(0.0), far))


def test_a_box_with_soft_edges_is_nearer_to_the_truth_than_a_flat_one(script):
    """Displaced by 0.7 px: what a footprint can win over either."""
    bench = script("footprint_evidence")
    shown = [{"flat": script("footprint_box").FlatBox.drawn(), "box": Footprint.box(), "true": Footprint.point(0.7)}]
    found = {name: own[0] for name, own in bench.expected(0.7, 0.1, shown, (3.3,)).items()}
    assert found["flat"] == pytest.approx(0.89, abs=0.02) and found["box"] == pytest.approx(0.53, abs=0.02)
    assert found["true"] == pytest.approx(0.03, abs=0.01)


def test_half_of_the_objects_are_found_where_half_of_the_lines_have_enough_evidence(script):
    bench, rates = script("footprint_evidence"), (2.0, 4.0, 8.0)

    def of(share, more):
        return [
            {"learned": bench.Gathered(20.0, 21.0 if k < share else 19.0),
             "box": bench.Gathered(20.0, 21.0 if k < share - more else 19.0)}
            for k in range(10)
        ]  # fmt: skip

    chosen = [np.tile(np.arange(10), (4, 1))] * 3
    found = bench.compared(rates, [of(1, 1), of(5, 4), of(9, 4)], chosen, (240, 180))
    assert found["learned"]["told_half_rate_hz"] == pytest.approx([4.0] * 3, rel=0.03)
    assert found["box"]["told_shares"] == [0.0, 0.1, 0.5] and found["box"]["told_above_learned_db"][0] == pytest.approx(
        3, abs=0.2
    )


def test_controls_are_the_learned_weights_without_what_was_learned(script):
    bench, own = script("footprint"), Footprint.point(1.2)
    shown = bench.footprints(1.5, own, 3)
    assert [*shown, "none"] == ["flat", "box", "untrained", "shuffled", "merged", "learned", "true", "none"]
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
    assert found["footprints"].keys() == {"flat", "box", "untrained", "shuffled", "merged", "learned", "true"}
    assert found["training"][0]["on_ahead_px"] > 0.7 and "ON and OFF displaced by 1.5 px" in printed
    assert found["footprints"]["learned"]["above_learned_db"][1:] in ([0.0, 0.0], [None, None])
    by_evidence = {name: own["evidence_db"][0] for name, own in found["footprints"].items()}
    assert by_evidence["learned"] == 0 and len(found["footprints"]["true"]["evidence_nats"]) == 2
    theory = {name: own["information_db"][0] for name, own in found["footprints"].items()}
    assert 0 < min(theory["true"], theory["learned"]) and max(theory["true"], theory["learned"]) < 0.1  # but for pixels and lines
    assert 0.1 < theory["merged"] < theory["box"] < theory["flat"]
    assert "dB by information" in printed and "told" in printed
    assert all(own["shares"][0]["objects"] == 1 for own in found["footprints"].values())
