import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.metrics import pixel
from spikeseg.metrics.rates import Bootstrap, columns, draws, rates, ratio, summary

COUNTS = ("tp", "fp", "fn", "tn")


def row(tp, fp, fn, tn, name="r"):
    return {"name": name, "tp": tp, "fp": fp, "fn": fn, "tn": tn}


def arrays(*numbers):
    return [np.array([number]) for number in numbers]


def test_rates_by_hand():
    found = rates(*arrays(6, 2, 3, 89))
    assert found["precision"] == pytest.approx(0.75)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["specificity"] == pytest.approx(89 / 91)
    assert found["f1"] == pytest.approx(12 / 17)
    assert found["iou"] == pytest.approx(6 / 11)
    assert found["informedness"] == pytest.approx(2 / 3 + 89 / 91 - 1)


@pytest.mark.parametrize(
    ("counts", "undefined"),
    [
        ((0, 0, 0, 0), {"precision", "recall", "specificity", "f1", "iou", "informedness"}),
        ((0, 0, 0, 5), {"precision", "recall", "f1", "iou", "informedness"}),  # nothing there, nothing said
        ((0, 4, 0, 5), {"recall", "informedness"}),  # false alarms only
        ((0, 0, 4, 5), {"precision"}),  # silent detector
        ((3, 0, 0, 0), {"specificity", "informedness"}),  # objects only
    ],
)
def test_what_has_nothing_to_count_is_nan(counts, undefined):
    assert {name for name, value in rates(*arrays(*counts)).items() if np.isnan(value[0])} == undefined


def test_ratio_keeps_the_shape_and_divides_where_it_can():
    np.testing.assert_array_equal(ratio(np.array([[1, 0], [3, 4]]), np.array([[2, 0], [0, 4]])), [[0.5, np.nan], [np.nan, 1]])


def test_columns_of_no_recordings_keep_their_width():
    assert columns([], COUNTS).shape == (0, 4)
    np.testing.assert_array_equal(columns([row(1, 2, 3, 4)], ("tn", "tp")), [[4, 1]])


def test_draws_are_with_replacement_seeded_and_as_many_as_there_are():
    first = draws(5, 200, seed=3)
    assert first.shape == (200, 5) and (first.sum(1) == 5).all() and first.max() > 1 and (first == 0).any()
    np.testing.assert_array_equal(first, draws(5, 200, seed=3))
    assert (first != draws(5, 200, seed=4)).any()
    assert first.mean(0) == pytest.approx(np.ones(5), abs=0.25)


def test_the_interval_is_the_percentile_of_resampled_recordings():
    """Against the plain bootstrap: choose, add up, divide."""
    rows = [row(8, 1, 2, 50), row(1, 3, 6, 40), row(5, 0, 5, 70), row(0, 2, 0, 90)]
    chosen = np.random.default_rng(7).integers(0, 4, (500, 4))
    recalls = []
    for picks in chosen:
        tp, fn = sum(rows[i]["tp"] for i in picks), sum(rows[i]["fn"] for i in picks)
        if tp + fn:
            recalls.append(tp / (tp + fn))
    found = pixel.score(rows, Bootstrap(500, 0.8, 7))
    assert found["intervals"]["sensitivity"] == pytest.approx(np.percentile(recalls, [10, 90]))


def test_confidence_widens_the_interval():
    rows = [row(i, 9 - i, 5, 60 + i) for i in range(10)]
    narrow = pixel.score(rows, Bootstrap(confidence=0.5))["intervals"]["iou"]
    wide = pixel.score(rows, Bootstrap(confidence=0.99))["intervals"]["iou"]
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_recordings_that_agree_leave_no_doubt():
    found = pixel.score([row(3, 1, 1, 20)] * 5)
    assert found["intervals"]["sensitivity"] == pytest.approx([0.75, 0.75])


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_recordings_have_no_interval(n):
    found = pixel.score([row(3, 1, 1, 20)] * n)
    assert found["intervals"] == dict.fromkeys(("sensitivity", "specificity", "informedness", "iou"))
    assert found["sensitivity"] == (0.75 if n else None)
    assert len(found["recordings"]) == n and found["tp"] == 3 * n


def test_without_resamples_there_are_values_and_no_intervals():
    found = pixel.score([row(3, 1, 1, 20)] * 3, Bootstrap(0))
    assert found["sensitivity"] == 0.75 and set(found["intervals"].values()) == {None}


def test_a_value_defined_in_few_resamples_has_no_interval():
    nothing, something = row(0, 1, 0, 9), row(1, 0, 1, 9)
    found = pixel.score([something, *[nothing] * 9], Bootstrap(400))  # drawn at all in 1 - 0.9^10 = 65 % of the cases
    assert found["intervals"]["sensitivity"] == [0.5, 0.5]

    def rare(weights):
        return {"rare": ratio(weights[:, 0], (weights[:, 0] > 2).astype(int))}  # more than 2 of 4: in 5 %

    found = summary(rare, [row(1, 1, 1, 1)] * 4, COUNTS)
    assert found["rare"] is None and found["intervals"] == {"rare": None}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 50)] * 4), min_size=1, max_size=6))
def test_pooling_adds_counts_and_every_recording_keeps_its_own(counts):
    rows = [row(*c, name=str(i)) for i, c in enumerate(counts)]
    found = pixel.score(rows, Bootstrap(20))
    alone = pixel.score([row(*np.sum(counts, 0).tolist())], Bootstrap(20))
    for name in ("sensitivity", "specificity", "informedness", "iou", *COUNTS):
        assert found[name] == pytest.approx(alone[name])
    for i, of_one in enumerate(found["recordings"]):
        assert of_one["name"] == str(i)
        assert of_one["informedness"] == pytest.approx(pixel.score([rows[i]])["informedness"])


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(150):
        rows = [row(hits, 0, 20 - hits, 0) for hits in rng.binomial(20, 0.7, 30).tolist()]
        low, high = pixel.score(rows, Bootstrap(200, seed=seed))["intervals"]["sensitivity"]
        covered += low <= 0.7 <= high
    assert 0.86 <= covered / 150 <= 0.99


def test_undefined_values_are_null_in_json():
    found = pixel.score([row(0, 4, 0, 9), row(0, 1, 0, 3)])
    assert found["sensitivity"] is None and json.loads(json.dumps(found, allow_nan=False)) == found
