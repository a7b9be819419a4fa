"""The benchmark of faint objects: the limit, what counts as found, the fit, how thresholds are chosen, and that it runs."""

import numpy as np
import pytest
from scipy import stats

import spikeseg as ss
from spikeseg.data.recording import LABEL_DTYPE
from spikeseg.simulation.limit import LimitConfig, limit_recording, seconds_in_view


def labels_of(x, y=50.0, number=1, first=0):
    """An object that moves along x (n,), a label every 0.1 s from the first on."""
    labels = np.zeros(len(x), LABEL_DTYPE)
    labels["t"], labels["x"], labels["y"], labels["id"] = (first + np.arange(len(x))) * 100_000, x, y, number
    return labels


# -- the limit ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def limit_bound(script):
    return script("limit_bound")


def test_an_ideal_detector_needs_about_three_events_a_second_at_the_base(script):
    assert script("limit").limit_of(LimitConfig(seed=1)) == pytest.approx(3.3, abs=0.15)


def test_the_limit_rises_with_noise_and_falls_with_time_in_view(limit_bound):
    seconds = np.linspace(5, 20, 50)
    by_noise = [limit_bound.bound(noise, seconds, limit_bound.Search()) for noise in (0.02, 0.1, 0.5)]
    assert by_noise[0] < by_noise[1] < by_noise[2]
    longer, shorter = (limit_bound.bound(0.1, np.full(3, s), limit_bound.Search()) for s in (20.0, 5.0))
    assert longer < shorter
    narrow = limit_bound.Search(speed_px_s=(10.0, 11.0))
    assert limit_bound.bound(0.1, seconds, narrow) < by_noise[1]
    assert limit_bound.bound(0.1, seconds, limit_bound.Search(), displacement_px=1.5) > by_noise[1]


def test_at_the_limit_half_are_found_and_the_needed_count_is_as_rare_as_asked(limit_bound):
    seconds, search = np.array([8.0, 16.0]), limit_bound.Search()
    rate = limit_bound.bound(0.1, seconds, search)
    share = limit_bound.share_within(2.0, 1.0, 0.7)
    events = np.random.default_rng(0).standard_normal((200_000, 2)) + np.array([0.7, 0.0])
    assert share == pytest.approx((np.hypot(*events.T) < 2).mean(), abs=0.004)
    needed = limit_bound.needed_counts(0.1, seconds, search)
    noise = 0.1 * np.pi * 4 * seconds
    found = stats.poisson.sf(needed - 1, noise + rate * share * seconds)
    assert found.mean() == pytest.approx(0.5, abs=1e-6)
    allowed = 0.1 / 3 / search.hypotheses(seconds)
    assert (stats.poisson.sf(needed - 1, noise) <= allowed).all() and (stats.poisson.sf(needed - 2, noise) > allowed).all()


def test_hypotheses_are_places_times_velocities_times_stretches(limit_bound):
    search = limit_bound.Search((100, 50), 20.0, (0.0, 10.0), 2.0)
    (found,) = search.hypotheses(np.array([10.0]))
    assert found == pytest.approx(5000 / (4 * np.pi) * (100 * np.pi * 100 / (4 * np.pi)) * 2)
    assert limit_bound.Search((100, 50), 20.0, (5.0, 5.0)).hypotheses(np.array([20.0])) == pytest.approx(5000 / (4 * np.pi))


def test_no_times_no_limit(limit_bound):
    with pytest.raises(ValueError, match="above 0"):
        limit_bound.bound(0.1, np.array([0.0]), limit_bound.Search())


# -- what counts --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scoring(script):
    return script("limit_scoring")


def track(scoring, seconds, x, y=50.0):
    """From seconds[0] to seconds[1], along x (2,)."""
    return scoring.Track(np.array(seconds) * 1e6, np.stack([np.array(x, float), np.full(2, float(y))], 1))


@pytest.mark.parametrize(
    ("seconds", "x", "y", "found", "false"),
    [
        ((0, 4), (0, 40), 50, 1, 0),  # on it
        ((0, 4), (0, 40), 54, 1, 0),  # 4 px beside it
        ((0, 4), (0, 40), 56, 0, 1),  # 6 px beside it
        ((1, 1.5), (10, 15), 50, 0, 0),  # too short, yet not false
        ((1, 2.1), (10, 21), 50, 1, 0),
        ((0, 4), (0, 80), 50, 0, 1),  # twice as fast: left it after half a second
        ((2, 7), (20, 70), 50, 0, 1),  # two of its five seconds
        ((2, 5), (20, 50), 50, 1, 0),  # two of its three seconds
    ],
)
def test_found_and_false(scoring, seconds, x, y, found, false):
    labels = labels_of(np.arange(41) * 1.0)  # 10 px/s for 4 s
    assert scoring.judged([track(scoring, seconds, x, y)], labels) == scoring.Judged(1, found, false)


def test_of_an_object_that_is_gone_soon_a_quarter_of_its_time_will_do(scoring):
    labels = labels_of(np.arange(20) * 1.0)
    assert scoring.judged([track(scoring, (0.5, 1.1), (5, 11))], labels).found == 1
    assert scoring.judged([track(scoring, (0.5, 0.9), (5, 9))], labels).found == 0


def test_several_objects_and_none(scoring):
    labels = np.concatenate([labels_of(np.arange(41.0)), labels_of(np.arange(41.0), 100.0, number=2)])
    on_both = [track(scoring, (0, 4), (0, 40)), track(scoring, (0, 4), (0, 40), 100), track(scoring, (0, 4), (0, 40), 150)]
    assert scoring.judged(on_both, labels) == scoring.Judged(2, 2, 1)
    assert scoring.judged(on_both[:1] * 3, labels) == scoring.Judged(2, 1, 0)
    assert scoring.judged(on_both, labels[:0]) == scoring.Judged(0, 0, 3)
    assert scoring.judged([], labels) == scoring.Judged(2, 0, 0)


def test_an_object_that_is_out_of_view_is_not_near(scoring):
    path = np.arange(61.0)
    labels = labels_of(path)
    labels = labels[(labels["t"] < 1e6) | (labels["t"] > 5e6)]
    assert scoring.judged([track(scoring, (0, 6), (0, 60))], labels) == scoring.Judged(1, 0, 1)


def test_intervals(scoring):
    low, high = scoring.share_interval(5, 10)
    assert (low, high) == pytest.approx((0.2366, 0.7634), abs=1e-4)  # Wilson's, by hand
    assert scoring.rate_interval(0, 10.0) == pytest.approx((0, 0.3689), abs=1e-4)
    assert scoring.rate_interval(5, 10.0) == pytest.approx((0.1623, 1.1668), abs=1e-4)


def test_the_half_rate_of_a_known_curve_and_its_interval(scoring):
    rng, rates = np.random.default_rng(0), 2.0 ** (np.arange(15) / 2)
    chance = 1 / (1 + (10.0 / rates) ** 4)
    inside = 0
    for _ in range(20):
        found = [(rng.random(24) < p).astype(int) for p in chance]
        value, low, high = scoring.half_rate(rates, found, [np.ones(24, int)] * 15, samples=200)
        assert value == pytest.approx(10, rel=0.3)
        inside += low <= 10 <= high
    assert inside >= 16


def test_a_half_rate_beyond_the_rates_is_none(scoring):
    rates, ones = np.array([4.0, 8.0]), np.ones((1, 2)) * 10
    assert scoring.half_rates(rates, 0 * ones, ones)[0] == np.inf and scoring.half_rates(rates, ones, ones)[0] == 0
    step = scoring.half_rates(rates, ones * [0, 1], ones)[0]
    assert step == pytest.approx(np.sqrt(32), rel=0.02)


def test_all_at_one_rate_and_none_at_the_next_leaves_it_open_where_in_between(scoring):
    found = [np.zeros(10, int), np.ones(10, int)]
    value, low, high = scoring.half_rate(np.array([16.0, 64.0]), found, [np.ones(10, int)] * 2)
    assert value == pytest.approx(32, rel=0.02) and low < 20 and high > 50


# -- thresholds and detectors ---------------------------------------------------------------------------


def test_a_cut_leaves_as_many_false_tracks_as_are_expected_elsewhere(script):
    work, rng = script("limit_work"), np.random.default_rng(0)
    beyond = {"lowest_cut": [], "tail_cut": []}
    for _ in range(300):
        scores, elsewhere = rng.exponential(size=(2, 2000))
        for name, counts in beyond.items():
            counts.append((elsewhere > getattr(work, name)(scores, 4.0)).sum())
    assert np.mean(beyond["lowest_cut"]) == pytest.approx(4.0, rel=0.15)
    assert np.mean(beyond["tail_cut"]) == pytest.approx(4.0, rel=0.15)
    assert work.lowest_cut(np.array([]), 3.0) == work.SCORE_OF_A_STAR == work.lowest_cut(np.array([0.9, 0.8]), 5.0)


def test_changes_reach_the_network_and_its_own_threshold_holds_but_where_it_is_set_by_false_tracks(script, tmp_path):
    detectors = script("limit_detectors")
    trained = detectors.Trained(
        ss.new("demo", {"device": "cpu"}).save(tmp_path / "network.pt"), ("tracking.object_threshold=0.9",)
    )
    assert detectors._loaded(trained).config.tracking.object_threshold == 0.9
    recording = limit_recording(LimitConfig(rate_hz=200.0, noise_hz=0.05, duration_s=6.0, seed=1), 0)
    own, of_all = (detectors.detector(name, trained, LimitConfig()) for name in ("network", "network_cut"))
    assert own.thresholds == () and of_all.thresholds == (0.0,)
    scores = [[track.score for track in d.tracks(d.prepare(recording), 0.0)] for d in (own, of_all)]
    assert scores[0] == [score for score in scores[1] if score >= 0.9] and len(scores[0]) < len(scores[1])


def test_what_follow_tells_is_scored_as_it_is_told(script, monkeypatch):
    detectors, nights = script("limit_detectors"), script("follow_nights")
    told = nights.Reported(np.array([1e6, 2e6]), np.array([[3.0, 4.0], [5.0, 6.0]]), 2_500_000)
    monkeypatch.setattr(detectors, "_loaded", lambda trained: trained.checkpoint)
    monkeypatch.setattr(
        detectors, "reported", lambda network, recording: [told] if (network, recording) == ("net", "night") else []
    )
    own = detectors.detector("follow", detectors.Trained("net"), LimitConfig())
    (track,) = own.tracks(own.prepare("night"), 0.0)
    assert own.thresholds == () and track.t_us is told.t_us and track.positions is told.places


def test_shift_and_stack_finds_what_is_too_faint_to_see_and_nothing_else(script):
    stack, scoring = script("limit_stack"), script("limit_scoring")
    config = LimitConfig(sensor_size=(60, 48), duration_s=8.0, speed_px_s=(4.0, 10.0), rate_hz=12.0, stars=3, seed=2)
    search = stack.Stack.of(config)
    speed = np.hypot(*search.velocities.T)
    assert 3 < search.window_s <= 8 and speed.max() < 12 and speed.min() > 2.5
    recording = limit_recording(config, 0)
    paths = search.paths(recording)
    best = max(paths, key=lambda path: path.score)
    assert scoring.judged([best], recording.labels) == scoring.Judged(1, 1, 0)
    alone = search.paths(limit_recording(LimitConfig(**{**vars(config), "objects": 0}), 0))
    assert max(path.score for path in alone) < best.score


def test_a_stack_counts_the_events_of_a_straight_line(script):
    stack = script("limit_stack")
    rng = np.random.default_rng(1)
    t = np.sort(rng.uniform(-4, 4, 60)).astype(np.float32)
    velocities = np.array([[0, 0], [5, -2], [4, 3]], np.float32)
    x, y = (30 + 4 * t).astype(np.float32), (20 + 3 * t).astype(np.float32)
    counts, cells = np.zeros(3, np.int32), np.zeros(3, np.int64)
    grid = np.zeros((60, 70), np.int32)
    stack.stack_events(x, y, t, velocities, np.float32(24), grid, counts, cells)
    assert counts[2] == 60 > 2 * counts[:2].max()


def test_stars_are_masked_and_moving_objects_are_not(script):
    stack = script("limit_stack")
    config = LimitConfig(rate_hz=60.0, seed=3)
    recording = limit_recording(config, 0)
    hidden = stack.star_mask(recording)[recording.events["y"], recording.events["x"]]
    source = recording.truth["source"]
    assert hidden[source == 2].mean() > 0.85 and hidden[source == 3].mean() < 0.2 and hidden[source == 0].mean() < 0.1


# -- the script -----------------------------------------------------------------------------------------


def test_conditions_are_those_of_the_help_and_differ(script):
    limit = script("limit")
    assert set(limit.CONDITIONS) >= {
        "base", "noise0.02", "noise0.5", "slow", "fast", "drift60", "at-rest", "turn", "5s", "60s", "three", "hot", "measured",
    }  # fmt: skip
    assert len({repr(config) for config in limit.CONDITIONS.values()}) == len(limit.CONDITIONS)
    assert np.diff(np.log10(limit.RATES)) * 10 == pytest.approx(1.5, abs=0.03) and (limit.RATES[0], limit.RATES[-1]) == (1, 128)
    assert all(seconds_in_view(config, 0).min() > 0 for config in limit.CONDITIONS.values())


def test_a_quick_run_reports_curves_false_tracks_and_the_limit(quick, tmp_path):
    figure = tmp_path / "curves.png"
    printed, found = quick("limit", "--markdown", "--detectors", "network", "graded", "--jobs", "1", "--figure", str(figure))
    assert "limit 5." in printed and "| network |" in printed and figure.stat().st_size > 10_000
    base = found["conditions"]["base"]
    assert set(base["detectors"]) == {"network", "graded"} and base["config"]["duration_s"] == 5.0
    for own in base["detectors"].values():
        assert [row["objects"] for row in own["rates"]] == [2, 2] and own["false_tracks"]["minutes"] == pytest.approx(1 / 6)
        assert len(own["gap_db"]) == len(own["half_rate_hz"]) == 3
