"""The figures of several folds together."""

import pytest

from spikeseg.evaluation.folds import folds_csv, folds_table, over_folds, spread


def metrics(auc, coverage):
    """Of a fold: two detectors in mode event, one of them in mode track."""
    of_event = {"roc_auc": auc, "informedness": 0.5}
    return {
        "modes": {
            "event": {"raw_events": of_event, "network": {**of_event, "roc_auc": None}},
            "pixel": {"network": {"informedness": 1.0}},
            "track": {"network": {"coverage": coverage, "false_tracks_per_minute": 150_000.0}},
        }
    }


FOLDS = [metrics(0.5, 0.25), metrics(0.75, None), metrics(1.0, 0.75)]


def test_spread_by_hand():
    assert spread([0.5, 0.75, 1.0]) == {
        "values": [0.5, 0.75, 1.0], "folds": 3, "mean": 0.75, "std": 0.25, "min": 0.5, "max": 1.0,
    }  # fmt: skip
    assert spread([0.25, None, 0.75])["std"] == pytest.approx(0.125**0.5) and spread([0.25, None, 0.75])["folds"] == 2
    assert [spread([0.5])[name] for name in ("mean", "std", "min", "max")] == [0.5, None, 0.5, 0.5]
    assert [spread([None])[name] for name in ("folds", "mean", "std", "min", "max")] == [0, None, None, None, None]


def test_figures_that_a_mode_carries_are_gathered_for_every_detector():
    figures = over_folds(FOLDS)
    assert {mode: {name: list(own) for name, own in rows.items()} for mode, rows in figures.items()} == {
        "event": {"raw_events": ["roc_auc", "informedness"], "network": ["roc_auc", "informedness"]},
        "track": {"network": ["coverage", "false_tracks_per_minute"]},
    }  # mode pixel carries none
    assert figures["event"]["raw_events"]["roc_auc"]["values"] == [0.5, 0.75, 1.0]
    assert figures["event"]["network"]["roc_auc"]["folds"] == 0 and figures["track"]["network"]["coverage"]["folds"] == 2


@pytest.mark.parametrize("final", [False, True])
def test_rows_and_table(final):
    result = {
        "figures": over_folds(FOLDS),
        "detectors": {"raw_events": "raw events", "network": "trained network"},
        "folds": 3,
        "runs": [{"held_out": ["a", "b"]}, {"held_out": ["c"]}, {"held_out": ["d"]}],
        "final": {"metrics": metrics(0.875, 0.5)} if final else None,
    }
    lines = folds_csv(result).splitlines()
    folds, values = (1, 2, 3, "mean", "std", "min", "max"), (0.5, 0.75, 1.0, 0.75, 0.25, 0.5, 1.0)
    of_first = [f"event,raw_events,roc_auc,{fold},{value}" for fold, value in zip(folds, values, strict=True)]
    assert lines[:8] == ["mode,detector,figure,fold,value", *of_first]
    assert ("event,raw_events,roc_auc,test,0.875" in lines) is final and len(lines) == 1 + 6 * (7 + final)
    blocks = folds_table(result).split("\n\n")
    assert len(blocks) == 5 and blocks[-1].startswith("3 folds of 2, 1, 1 recordings, each scored by a network that has not")
    assert blocks[0].splitlines()[0] == "event: ROC-AUC" and "folds 1 to 3" in blocks[0]
    assert [line.split() for line in blocks[0].splitlines()[2:]] == [
        ["raw", "events", "0.750", "±", "0.250", "0.500", "..", "1.000", "0.500", "0.750", "1.000"],
        ["trained", "network", "-", "-", "-", "-", "-"],
    ]
    assert "1.5e+05 ± 0.000" in blocks[3]
