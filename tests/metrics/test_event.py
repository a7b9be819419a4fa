import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from spikeseg.core.sparse import ANY_RESPONSE
from spikeseg.metrics.event import EventScores, calibrate, event_counts, roc_auc, roc_points, score, wins
from spikeseg.metrics.rates import COUNTED, Bootstrap, draws


def scored(scores, truth, name="r"):
    return EventScores(name, np.asarray(scores, np.float64), np.asarray(truth, bool))


def drawn(n, seed, shift=1.0, share=0.2):
    """Scores in steps of 0.5, so that ties abound; the object's are higher by `shift`."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    return scored(np.maximum(np.round(2 * (rng.normal(size=n) + shift * truth)) / 2, 0), truth, f"r{seed}")


def test_auc_by_hand_with_a_tie():
    # pairs: 0.9 beats 0.5, 0.1; 0.5 ties with 0.5 and beats 0.1
    assert roc_auc(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])) == 3.5 / 4


@pytest.mark.parametrize(("scores", "expected"), [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], 0.0), ([7, 7, 7, 7], 0.5)])
def test_auc_of_perfect_reversed_and_constant_scores(scores, expected):
    assert roc_auc(np.array(scores, float), np.array([False, False, True, True])) == expected


@pytest.mark.parametrize("truth", [[True, True], [False, False], []])
def test_auc_needs_events_of_both_kinds(truth):
    assert roc_auc(np.arange(len(truth), dtype=float), np.array(truth, bool)) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60))
def test_auc_is_scikit_learns(pairs):
    scores, truth = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs])
    if truth.any() and not truth.all():
        assert roc_auc(scores, truth) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    else:
        assert roc_auc(scores, truth) is None


def test_wins_of_nothing_is_nothing():
    assert wins(np.zeros(0), np.ones(3)) == wins(np.ones(3), np.zeros(0)) == 0


def test_pooled_auc_is_that_of_all_events_and_the_mean_that_of_recordings():
    recordings = [drawn(300, 1), drawn(50, 2, shift=3), drawn(80, 3, share=0)]
    found = score(recordings, 1.0, Bootstrap(10))
    scores, truth = (np.concatenate([getattr(r, part) for r in recordings]) for part in ("scores", "truth"))
    assert found["roc_auc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    own = [roc_auc_score(r.truth, r.scores) for r in recordings[:2]]
    assert found["roc_auc_mean"] == pytest.approx(np.mean(own), abs=1e-12)
    assert [row["roc_auc"] for row in found["recordings"]] == [pytest.approx(own[0]), pytest.approx(own[1]), None]


def test_interval_of_the_pooled_auc_is_that_of_resampled_events():
    """The quadratic form against scikit-learn on the events of every resample."""
    recordings = [drawn(60, i, shift=0.3 * i) for i in range(5)]
    areas, means = [], []
    for weights in draws(5, 40, seed=9):
        chosen = [r for r, w in zip(recordings, weights, strict=True) for _ in range(w)]
        areas.append(roc_auc_score(np.concatenate([r.truth for r in chosen]), np.concatenate([r.scores for r in chosen])))
        means.append(np.mean([roc_auc_score(r.truth, r.scores) for r in chosen]))
    found = score(recordings, 1.0, Bootstrap(40, seed=9))["intervals"]
    assert found["roc_auc"] == pytest.approx(np.percentile(areas, [2.5, 97.5]), abs=1e-12)
    assert found["roc_auc_mean"] == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=1e-12)


def test_counts_at_a_threshold_include_it():
    scores, truth = np.array([0.0, 1, 2, 3, 2]), np.array([True, False, True, True, False])
    assert event_counts(scores, truth, 2) == {"tp": 2, "fp": 1, "fn": 1, "tn": 1}


def test_score_reports_rates_at_the_threshold_pooled_and_per_recording():
    found = score([scored([0, 1, 2, 3], [0, 0, 1, 1], "a"), scored([3, 0], [0, 1], "b")], 2)
    assert {name: found[name] for name in COUNTED} == {"tp": 2, "fp": 1, "fn": 1, "tn": 2}
    assert found["precision"] == found["recall"] == found["f1"] == pytest.approx(2 / 3)
    assert found["informedness"] == pytest.approx(2 / 3 + 2 / 3 - 1)
    assert (found["threshold"], found["events"], found["object_events"]) == (2, 6, 3)
    a, b = found["recordings"]
    assert (a["name"], a["informedness"], a["roc_auc"]) == ("a", 1, 1)
    assert (b["name"], b["informedness"], b["roc_auc"]) == ("b", -1, 0)


def test_a_recording_without_objects_counts_through_its_false_alarms():
    with_object, without = scored([5, 5, 0, 0], [1, 1, 0, 0]), scored([5, 5, 5, 0], [0, 0, 0, 0])
    alone, both = score([with_object], 1), score([with_object, without], 1)
    assert (alone["precision"], alone["roc_auc"]) == (1, 1)
    assert both["precision"] == pytest.approx(2 / 5) and both["roc_auc"] < 1 and both["roc_auc_mean"] == 1
    assert both["recordings"][1]["recall"] is None and both["recordings"][1]["specificity"] == pytest.approx(1 / 4)


@pytest.mark.parametrize("recordings", [[], [scored([], [])], [scored([], []), scored([], [])]])
def test_nothing_to_score_gives_none(recordings):
    found = score(recordings, 1.0, Bootstrap(10))
    for name in ("roc_auc", "roc_auc_mean", "precision", "recall", "specificity", "f1", "informedness"):
        assert found[name] is None and found["intervals"][name] is None
    assert found["events"] == 0 and len(found["recordings"]) == len(recordings)


def test_a_silent_detector_is_at_chance_and_finds_nothing():
    silent = [scored(np.zeros(8), [1, 0] * 4), scored(np.zeros(4), [0, 0, 0, 1])]
    found = score(silent, calibrate(silent))
    assert found["roc_auc"] == 0.5 and found["recall"] == 0 and found["specificity"] == 1
    assert found["informedness"] == 0 and found["precision"] is None


def test_scores_without_use_are_at_chance():
    rng = np.random.default_rng(0)
    recordings = [scored(rng.random(4000), rng.random(4000) < 0.1) for _ in range(6)]
    found = score(recordings, 0.5)
    assert found["roc_auc"] == pytest.approx(0.5, abs=0.03) and found["informedness"] == pytest.approx(0, abs=0.05)
    low, high = found["intervals"]["roc_auc"]
    assert low < 0.5 < high


def shuffled(recordings, seed=0):
    rng = np.random.default_rng(seed)
    return [scored(r.scores, rng.permutation(r.truth), r.name) for r in recordings]


def test_shuffled_truth_comes_out_at_chance():
    real = [drawn(60, i, shift=3) for i in range(40)]
    threshold = calibrate(real)
    assert score(real, threshold)["intervals"]["informedness"][0] > 0.5
    found = score(shuffled(real), threshold)["intervals"]
    for name, chance in (("informedness", 0), ("roc_auc", 0.5), ("roc_auc_mean", 0.5)):
        assert found[name][0] < chance < found[name][1] < found[name][0] + 0.2


def test_where_shares_of_object_events_differ_shuffling_leaves_the_mean_at_chance_and_not_the_pool():
    """More object events mean higher scores all over a recording, and that alone tells it from the others."""
    real = [drawn(60, i, shift=3, share=(0.05, 0.6)[i % 2]) for i in range(40)]
    found = score(shuffled(real), calibrate(real))["intervals"]
    assert found["roc_auc_mean"][0] < 0.5 < found["roc_auc_mean"][1]
    assert found["roc_auc"][0] > 0.55 and found["informedness"][0] > 0.1


def test_calibrate_takes_the_best_of_all_thresholds():
    recordings = [drawn(200, 1), drawn(100, 2, shift=2)]
    best = calibrate(recordings)
    informedness = {t: score(recordings, t, Bootstrap(1))["informedness"] for t in np.arange(0.25, 6, 0.25)}
    assert informedness[best] == max(informedness.values()) > 0.3


def test_calibrate_takes_the_lowest_of_equals():
    assert calibrate([scored([1, 2, 3, 4], [0, 1, 0, 1])]) == 2  # 2 and 4 have informedness 1/2


def test_calibrate_never_calls_silence_a_detection():
    worse_than_chance = [scored([0, 0, 1, 1], [1, 1, 0, 0])]
    for recordings in ([], [scored([1], [1])], [scored([1, 2], [0, 0])], worse_than_chance):
        assert calibrate(recordings) == ANY_RESPONSE > 0


def test_the_least_threshold_lights_no_pixel_of_a_silent_map():
    """Saliency is float32; a threshold that is 0 there would call all of it a detection."""
    silent = np.zeros((1, 2, 2), np.float32)
    silent[0, 0, 0] = np.finfo(np.float32).tiny
    assert np.count_nonzero(silent >= ANY_RESPONSE) == 1
    below = calibrate([scored([1e-60, 0], [1, 0])])  # the graded filter's, long after the last event
    assert np.count_nonzero(silent >= below) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_a_rising_change_of_scores_changes_no_area_and_no_rate(seed):
    recordings = [drawn(40, seed), drawn(40, seed + 1)]
    changed = [scored(np.expm1(r.scores), r.truth) for r in recordings]
    before, after = (score(rs, calibrate(rs), Bootstrap(5)) for rs in (recordings, changed))
    assert before["roc_auc"] == after["roc_auc"] and before["informedness"] == after["informedness"]


def test_the_same_seed_gives_the_same_numbers():
    recordings = [drawn(50, i) for i in range(4)]
    assert score(recordings, 1, Bootstrap(seed=5)) == score(recordings, 1, Bootstrap(seed=5))
    assert score(recordings, 1, Bootstrap(seed=5))["intervals"] != score(recordings, 1, Bootstrap(seed=6))["intervals"]


@pytest.mark.parametrize(
    ("scores", "truth", "says"),
    [
        (np.zeros(3), np.zeros(2, bool), r"\(3,\) scores, \(2,\) truth"),
        (np.zeros(2), np.zeros(2, int), "truth of int64"),
        (np.zeros((2, 2)), np.zeros((2, 2), bool), r"expected \(n,\) scores"),
        (np.array([0, np.nan, np.inf]), np.zeros(3, bool), "2 scores are not finite"),
    ],
)
def test_what_is_no_score_is_refused(scores, truth, says):
    with pytest.raises(ValueError, match=says):
        EventScores("night", scores, truth)


def test_a_drawn_curve_has_the_area_of_the_exact_one():
    rows = [drawn(5000, seed, 1.5) for seed in range(3)]
    points = roc_points(rows)
    assert (
        points[0].tolist() == [0, 0]
        and points[-1].tolist() == [1, 1]
        and len(points) < 130
        and (np.diff(points, axis=0) >= 0).all()
    )
    exact = roc_auc(np.concatenate([row.scores for row in rows]), np.concatenate([row.truth for row in rows]))
    assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(exact, abs=2e-3)
    assert roc_points([]) is None and roc_points([scored([0.5, 0.2], [True, True])]) is None
