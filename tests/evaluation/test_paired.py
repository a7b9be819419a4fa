"""Two evaluations of the same recordings: differences stay in pairs, and are absent where nothing can be paired."""

import csv
import io

import numpy as np
import pytest

from spikeseg.evaluation.paired import CSV_COLUMNS, comparison_csv, comparison_table, difference, figures_of
from spikeseg.metrics.rates import Bootstrap

BOOTSTRAP = Bootstrap(500, 0.9, 3)


def test_the_interval_is_that_of_pairs():
    """Recordings differ by far more than the two: an interval of unpaired means would be 0.2 wide and more."""
    rng = np.random.default_rng(0)
    a = rng.random(40)
    gains = 0.01 + 0.002 * rng.standard_normal(40)
    found = difference(a.tolist(), (a + gains).tolist(), BOOTSTRAP)
    error = gains.std() / 40**0.5
    assert found["mean"] == pytest.approx(gains.mean()) and found["recordings"] == 40
    low, high = found["interval"]
    assert low < gains.mean() < high and high - low == pytest.approx(2 * 1.645 * error, rel=0.2)
    assert (found["higher"], found["lower"]) == ((gains > 0).sum(), (gains < 0).sum())


def test_the_same_twice_differs_in_nothing_and_the_seed_gives_the_interval():
    a, b = [0.1, 0.4, 0.9], [0.2, 0.3, 1.0]
    assert difference(a, a, BOOTSTRAP) == {"mean": 0, "interval": [0, 0], "recordings": 3, "higher": 0, "lower": 0}
    assert difference(a, b, BOOTSTRAP) == difference(a, b, BOOTSTRAP)
    back = difference(b, a, BOOTSTRAP)["interval"]
    assert [-edge for edge in reversed(back)] == pytest.approx(difference(a, b, BOOTSTRAP)["interval"])


@pytest.mark.parametrize(
    ("a", "b", "n", "mean", "interval"),
    [
        ([None, 0.5, 1], [0.5, None, 2], 1, 1.0, False),
        ([None], [None], 0, None, False),
        ([], [], 0, None, False),
        ([1, 2, None], [1, 4, 3], 2, 1.0, True),
    ],
)
def test_recordings_without_the_figure_do_not_count(a, b, n, mean, interval):
    found = difference(a, b, BOOTSTRAP)
    assert (found["recordings"], found["mean"], found["interval"] is not None) == (n, mean, interval)


def test_without_resamples_there_is_no_interval():
    assert difference([1, 2], [2, 3], BOOTSTRAP._replace(resamples=0))["interval"] is None


def scored(values, mode="event", name="network"):
    """A metrics.json with one figure, by recording."""
    rows = [{"name": recording, "f1": value} for recording, value in values.items()]
    pooled = sum(values.values()) / len(values)
    return {"modes": {mode: {name: {"f1": pooled, "tp": 3, "intervals": {"f1": [0.0, 1.0]}, "recordings": rows}}}}


def test_recordings_are_paired_by_name_whatever_their_order():
    figures = figures_of(scored({"x": 0.1, "y": 0.9}), scored({"y": 1.0, "x": 0.4}), "network", BOOTSTRAP)
    row = figures["event"]["f1"]
    assert list(figures["event"]) == ["f1"] and (row["a"], row["b"], row["a_interval"]) == (0.5, 0.7, [0.0, 1.0])
    assert row["difference"]["mean"] == pytest.approx(0.2) and row["difference"]["higher"] == 2


def test_what_only_one_has_stands_alone():
    figures = figures_of(scored({"x": 0.1}), scored({"x": 0.2}, "object"), "network", BOOTSTRAP)
    assert figures["event"]["f1"]["b"] is None and figures["object"]["f1"]["a"] is None
    assert not any(row["difference"] for mode in figures.values() for row in mode.values())
    assert figures_of(scored({"x": 0.1}), scored({"x": 0.2}), "nobody", BOOTSTRAP) == {}


def compared(bootstrap, **changes):
    """What is printed and written of two evaluations."""
    a, b = scored({"x": 0.1, "y": 0.5, "z": 0.3}), scored({"x": 0.3, "y": 0.7, "z": 0.5})
    return {
        "a": {"title": "runs/one"},
        "b": {"title": "runs/two"},
        "detector": "network",
        "settings": {"stdp.lr_plus": [0.04, 0.004], "scored.reading.classes": [None, [1, 2]]},
        "training": {"conv2 samples": [15, None]},
        "not_paired": [],
        "confidence": 0.9,
        "modes": figures_of(a, b, "network", bootstrap),
        **changes,
    }


def test_the_table_shows_what_differs_and_marks_what_is_more_than_chance():
    said = comparison_table(compared(BOOTSTRAP))
    lines = [line.split() for line in said.splitlines()]
    assert ["stdp.lr_plus", "0.04", "0.004"] in lines and ["conv2", "samples", "15", "-"] in lines
    assert ["scored.reading.classes", "-", "[1,", "2]"] in lines
    (row,) = [line for line in said.splitlines() if line.startswith("event")]
    assert row.split() == "event F1 0.300 [0.000, 1.000] 0.500 [0.000, 1.000] +0.200 [+0.200, +0.200] * 3, 0 of 3".split()
    assert "one in 10 does not by chance" in said.replace("\n", " ")


def test_without_pairs_the_table_says_why():
    said = comparison_table(compared(None, settings={}, training={}, not_paired=["not the same recordings (7 and 9)"]))
    assert "B - A" not in said and "settings: the same" in said
    assert said.splitlines()[-1] == "no differences by recording: not the same recordings (7 and 9)"


def test_the_csv_has_a_row_per_figure():
    for bootstrap, gain in ((BOOTSTRAP, 0.2), (None, None)):
        (row,) = csv.DictReader(io.StringIO(comparison_csv(compared(bootstrap))))
        assert tuple(row) == CSV_COLUMNS and (row["mode"], row["detector"], row["figure"]) == ("event", "network", "f1")
        assert float(row["b"]) == pytest.approx(0.5)
        if gain is None:
            assert row["difference"] == row["low"] == row["recordings"] == ""
        else:
            assert float(row["difference"]) == pytest.approx(gain) and row["recordings"] == row["higher"] == "3"
