"""Published protocols: truth, groups and figures, against slow or independent ways to the same."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE
from spikeseg.errors import InputError
from spikeseg.evaluation.detectors import Detector
from spikeseg.evaluation.protocols import (
    PROTOCOLS,
    Contender,
    box_truth,
    described,
    grouped,
    noise_contenders,
    protocol_table,
    scored,
)
from spikeseg.pipelines.commands import evaluate

PROTOCOL = PROTOCOLS["event-10px"]


def made(n, seed=0):
    rng = np.random.default_rng(seed)
    events = np.zeros(n, EVENT_DTYPE)
    events["t"] = np.sort(rng.integers(0, 300_000, n))
    events["x"], events["y"] = rng.integers(0, 40, n), rng.integers(0, 30, n)
    return events


@pytest.mark.parametrize("seed", range(3))
def test_truth_is_a_label_in_the_box_and_near_in_time(seed):
    events, rng = made(800, seed), np.random.default_rng(seed)
    labels = np.zeros(12, LABEL_DTYPE)
    labels["t"], labels["x"], labels["y"] = rng.integers(-20_000, 320_000, 12), rng.integers(0, 40, 12), rng.uniform(0, 30, 12)
    slow = [
        any(abs(x - lx) <= 5 and abs(y - ly) <= 5 and abs(t - lt) <= 10_000 for lt, lx, ly, _ in labels.tolist())
        for t, x, y, _ in events.tolist()
    ]
    assert box_truth(events, labels, PROTOCOL).tolist() == slow and 0 < sum(slow) < len(slow)
    assert not box_truth(events, labels[:0], PROTOCOL).any() and box_truth(events[:0], labels, PROTOCOL).shape == (0,)


def test_the_borders_of_box_and_time_count():
    events = np.array([(0, 15, 10, 1), (0, 16, 10, 1), (20_000, 10, 5, 1), (20_001, 10, 10, 1)], EVENT_DTYPE)
    assert box_truth(events, np.array([(10_000, 10, 10, 1)], LABEL_DTYPE), PROTOCOL).tolist() == [True, False, True, False]


def test_groups_are_even_and_the_same_for_the_same_seed():
    names = [f"r{k}" for k in range(43)]
    groups = grouped(names, 4, seed=3)
    assert sorted(np.bincount([*groups.values()]).tolist()) == [10, 11, 11, 11] and set(groups) == set(names)
    assert grouped(reversed(names), 4, seed=3) == groups != grouped(names, 4, seed=4)
    with pytest.raises(InputError, match="leaves 3 of 3 recordings"):
        grouped(names[:3], 4, seed=0)


@pytest.fixture
def answers():
    """Scores of two settings and truth of nine recordings, with ties."""
    rng = np.random.default_rng(1)
    truths = [rng.random(n) < 0.2 for n in rng.integers(50, 400, 9)]
    good = [np.round(rng.random(len(truth)) + 0.4 * truth, 2) for truth in truths]
    poor = [np.round(rng.random(len(truth)) + 0.1 * truth, 2) for truth in truths]
    return [poor, good], truths, rng.permutation(np.arange(9) % 4).tolist()


def contender(settings):
    return Contender("a", "A", settings, [Detector("a", "A", lambda _: None)] * len(settings))


def test_figures_are_those_of_scikit_learn(answers):
    (poor, _), truths, groups = answers
    row = scored(contender([{}]), [poor], truths, groups, 4)

    def together(chosen):
        return roc_auc_score(np.concatenate([truths[k] for k in chosen]), np.concatenate([poor[k] for k in chosen]))

    assert row["roc_auc"]["values"] == pytest.approx([together([k for k in range(9) if groups[k] == g]) for g in range(4)])
    assert row["roc_auc"]["mean"] == pytest.approx(np.mean(row["roc_auc"]["values"]))
    assert row["all_events"] == pytest.approx(together(range(9)))
    assert row["recordings"]["values"] == pytest.approx([together([k]) for k in range(9)])


def test_settings_are_chosen_on_the_other_groups(answers):
    (poor, good), truths, groups = answers
    row = scored(contender([{"n": 1}, {"n": 2}]), [poor, good], truths, groups, 4)
    assert (
        row["settings"] == [{"n": 2}] * 4
        and row["all_events"] == scored(contender([{}]), [good], truths, groups, 4)["all_events"]
    )
    # a setting that is best only in the group itself is not taken
    wrong = [truth.astype(float) if group == 0 else -truth.astype(float) for truth, group in zip(truths, groups, strict=True)]
    row = scored(contender([{"n": 1}, {"n": 2}]), [wrong, good], truths, groups, 4)
    assert row["settings"][0] == {"n": 2} and row["roc_auc"]["values"][0] < 1.0


def test_a_group_without_objects_has_no_figure(answers):
    (poor, _), truths, groups = answers
    silent = [truth & (group != 2) for truth, group in zip(truths, groups, strict=True)]
    row = scored(contender([{}]), [poor], silent, groups, 4)
    assert row["roc_auc"]["values"][2] is None and row["roc_auc"]["folds"] == 3


def test_the_filters_of_the_comparison_are_all_there():
    made_of = noise_contenders()
    assert [one.title for one in made_of] == ["BAF", "YNoise", "double window filter", "time surface"]
    assert all(len(one.settings) == len(one.detectors) >= 1 for one in made_of)
    assert {*evaluate.PROTOCOLS} == {*PROTOCOLS}


def test_the_table_names_what_others_reached(answers):
    (poor, _), truths, groups = answers
    result = {
        **described("event-10px"),
        "rows": [scored(contender([{}]), [poor], truths, groups, 4)],
        "recordings": [{}] * 9,
        "events": 1234,
        "object_events": 99,
    }
    table = protocol_table(result)
    assert "YNoise 0.844" in table and "99 of 1,234 events are an object's, 9 recordings" in table
    assert f"{result['rows'][0]['roc_auc']['mean']:.3f} +- " in table
    assert described("event-10px")["most_events"] == PROTOCOL.most_events == 200_000
    assert dataclasses.replace(PROTOCOL, box_px=4.0).box_px == 4.0
