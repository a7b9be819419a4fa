"""docs/metrics.md: every field of metrics.json, metrics_final.json stands there, under the file that has it."""

import csv
import json
import re
from pathlib import Path

import pytest

from spikeseg.config.sections import Config
from spikeseg.detection.motion_training import footprint_of
from spikeseg.evaluation.tables import CSV_COLUMNS
from spikeseg.metrics.mode import modes_of

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
EVALUATED, _, TRAINED = PAGE.partition("## metrics_final.json\n")


def named(text: str) -> set[str]:
    """What stands between backticks."""
    return set(re.findall(r"`([^`\s]+)`", text))


def keys(value, without=()):
    """Keys of nested objects, but those that name something of the data."""
    if isinstance(value, list):
        return {key for inner in value for key in keys(inner, without)}
    if not isinstance(value, dict):
        return set()
    return {*value} - {*without} | {key for inner in value.values() for key in keys(inner, without)}


def test_every_field_of_metrics_json(chain):
    (path,) = (chain.folder / "runs").glob("*/evaluate/*/metrics.json")
    metrics = json.loads(path.read_text())
    fields = keys(metrics)
    assert {"modes", "tp", "f1", "roc_auc", "untrained", "event_exact", "radius_px", "gate_px", "sha256", "note"} <= fields
    assert fields <= named(EVALUATED)
    with (path.parent / "metrics.csv").open() as file:
        assert tuple(next(csv.reader(file))) == CSV_COLUMNS and set(CSV_COLUMNS) <= named(EVALUATED)


def test_modes_detectors_and_settings_that_this_run_does_not_have():
    sections = [vars(Config().evaluation), vars(Config().tracking)]
    assert {key for section in sections for key in section} <= named(EVALUATED)
    assert {mode.name for mode in modes_of()} | {"no_motion", "points"} <= named(EVALUATED)


def test_every_field_of_the_training_s_figures(chain):
    (run,) = (path.parent for path in (chain.folder / "runs").glob("*/metrics_final.json"))
    final = json.loads((run / "metrics_final.json").read_text())
    assert {"conv2", "conv3"} == set(final)
    assert keys(final) | {"layer", "epoch"} <= named(TRAINED)


def test_every_field_of_the_motion_layer():
    report = footprint_of([], Config()).report
    assert "sigma_px" in report and set(report) <= named(TRAINED)


@pytest.mark.parametrize("name", ["figure_that_is_not_there", "accuracy"])
def test_the_page_does_not_name_everything(name):
    assert name not in named(PAGE)
