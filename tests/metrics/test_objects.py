from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.metrics.objects import match, object_counts, score


def points(*pairs):
    return np.array(pairs, np.float64).reshape(-1, 2)


NONE = points()


def test_matches_are_one_to_one_and_the_closest():
    assert match(points((0, 0), (1, 0)), points((0.2, 0)), 5) == [(0, 0)]
    assert match(points((0, 0)), points((3, 0), (1, 0)), 5) == [(0, 1)]


def test_more_matches_go_before_closer_ones():
    # greedy would join (1, 0) with (1, 0) and leave the others 6 px apart
    assert match(points((1, 0), (-4, 0)), points((1, 0), (6, 0)), 5) == [(0, 1), (1, 0)]


def test_the_tolerance_includes_its_border():
    assert match(points((0, 0)), points((3, 4)), 5) == [(0, 0)]
    assert match(points((0, 0)), points((3, 4.01)), 5) == []


def test_nothing_to_match():
    assert match(NONE, points((0, 0)), 5) == match(points((0, 0)), NONE, 5) == match(NONE, NONE, 5) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 4))
def test_match_is_the_best_of_all_assignments(seed, n, m):
    rng = np.random.default_rng(seed)
    detected, true = rng.integers(0, 8, (n, 2)).astype(float), rng.integers(0, 8, (m, 2)).astype(float)
    distance = np.hypot(*(detected[:, None] - true[None]).transpose(2, 0, 1))
    best = (0, 0.0)
    shorter, longer = (distance, m) if n <= m else (distance.T, n)
    for chosen in permutations(range(longer), len(shorter)):
        within = [d for d in shorter[np.arange(len(shorter)), chosen] if d <= 3]
        best = max(best, (len(within), -sum(within)))
    found = match(detected, true, 3)
    assert len({i for i, _ in found}) == len({j for _, j in found}) == len(found) == best[0]
    assert sum(distance[i, j] for i, j in found) == pytest.approx(-best[1])


def test_counts_by_hand():
    windows = [
        (points((10, 10), (50, 50)), points((12, 10), (80, 80))),  # a hit, an alarm, a miss
        (NONE, NONE),  # free and silent
        (points((5, 5)), NONE),  # free, an alarm
        (NONE, points((5, 5))),  # a miss
    ]
    assert object_counts(windows, 5) == {"tp": 1, "fp": 2, "fn": 2, "free": 2, "silent": 1}
    assert object_counts(windows, 1) == {"tp": 0, "fp": 3, "fn": 3, "free": 2, "silent": 1}
    assert object_counts([], 5) == {"tp": 0, "fp": 0, "fn": 0, "free": 0, "silent": 0}


def test_score_by_hand():
    rows = [
        {"name": "a", "tp": 6, "fp": 2, "fn": 3, "free": 0, "silent": 0},
        {"name": "b", "tp": 0, "fp": 2, "fn": 0, "free": 8, "silent": 6},
    ]
    found = score(rows)
    assert found["precision"] == pytest.approx(0.6) and found["recall"] == pytest.approx(2 / 3)
    assert found["f1"] == pytest.approx(12 / 19) and found["specificity"] == pytest.approx(0.75)
    assert found["informedness"] == pytest.approx(2 / 3 + 0.75 - 1)
    assert [found[name] for name in ("tp", "fp", "fn", "free", "silent")] == [6, 4, 3, 8, 6]
    a, b = found["recordings"]
    assert a["recall"] == pytest.approx(2 / 3) and a["specificity"] is None and a["informedness"] is None
    assert b["precision"] == 0 and b["recall"] is None and b["specificity"] == 0.75


def test_a_silent_detector_and_no_recordings():
    silent = score([{"name": "a", "tp": 0, "fp": 0, "fn": 5, "free": 4, "silent": 4}] * 2)
    assert silent["recall"] == silent["f1"] == silent["informedness"] == 0 and silent["specificity"] == 1
    assert silent["precision"] is None and silent["intervals"]["precision"] is None
    assert silent["intervals"]["recall"] == [0, 0]
    nothing = score([])
    assert nothing["tp"] == 0 and nothing["f1"] is None and nothing["recordings"] == []
