"""A metric mode of another package: scored, shown and carried by cross-validation, with none of our files touched."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from spikeseg import registry
from spikeseg.config.load import load_config
from spikeseg.evaluation import folds
from spikeseg.evaluation.tables import metrics_csv, metrics_table, table_by_recording
from spikeseg.pipelines.runtime.stage import StageResult
from spikeseg.pipelines.stages import evaluate, runs
from spikeseg.registries import MODES

MINE = '''
"""Mode `mine`: the share of scored events above the threshold."""

import numpy as np

from spikeseg.metrics.mode import Mode
from spikeseg.metrics.rates import columns, ratio, summary


def count(labelled, answer, settings):
    if not settings.is_network:
        return None
    scores = answer.scores[labelled.scored]
    return {"name": labelled.name, "above": int((scores >= settings.threshold).sum()), "events": len(scores)}


def score(rows, bootstrap):
    def statistic(weights):
        above, events = (weights @ columns(rows, ("above", "events"))).T
        return {"share_above": ratio(above, events)}

    return summary(statistic, rows, ("above", "events"), bootstrap)


MODE = Mode(
    name="mine", title="events above the threshold, slices of {slice_ms:g} ms", shown=("share_above", "events"),
    folds=("share_above",), count=count, score=score, figure_titles={"share_above": "share above"},
)
'''
NETWORKS = ["saliency", "untrained", "network", "shuffled_labels"]


@pytest.fixture
def package(tmp_path):
    """A folder with the package installed in it, as pip leaves it."""
    site = tmp_path / "site"
    installed = site / "mine-1.0.dist-info"
    installed.mkdir(parents=True)
    (site / "mine_package.py").write_text(MINE)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[spikeseg.metrics]\nmine = mine_package:MODE\n")
    return site


@pytest.fixture
def registered(package, monkeypatch):
    """The same in this process."""
    point = EntryPoint("mine", "mine_package:MODE", "spikeseg.metrics")
    monkeypatch.syspath_prepend(package)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "spikeseg.metrics" else [])
    MODES.__dict__.pop("_entry_points", None)  # read once
    yield
    MODES.__dict__.pop("_entry_points", None)
    sys.modules.pop("mine_package", None)


def command(folder, package, *words):
    """The command line in a process of its own."""
    run = "from spikeseg.pipelines.cli import main; main(prog_name='spikeseg')"
    environment = {**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", run, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_command_line_knows_it(copied, package):
    done = command(copied.folder, package, "evaluate", "-c", "tiny.yaml", "--mode", "mine", "--per-recording", "-o", "m.json")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((copied.folder / "m.json").read_text())
    assert list(metrics["modes"]) == ["mine"] and list(metrics["modes"]["mine"]) == NETWORKS
    assert "mine: events above the threshold, slices of 10 ms" in done.stdout
    assert re.search("share above +events\n", done.stdout) and "mine, by recording: trained network" in done.stdout
    without = command(copied.folder, copied.folder, "evaluate", "-c", "tiny.yaml", "--mode", "mine")
    assert without.returncode == 2 and "'mine' is not one of" in without.stderr and "'track'" in without.stderr


@pytest.mark.usefixtures("registered")
def test_it_is_scored_with_the_others_shown_and_carried_over_folds(chain):
    paths = {"cache_dir": str(chain.folder / "data_cache"), "output_dir": str(chain.folder / "runs")}
    cfg = load_config(chain.folder / "tiny.yaml", paths)
    (manifest,) = (chain.folder / "data_cache" / "frames").glob("*/manifest.json")
    frames = StageResult(manifest.parent, manifest.parent.name, False)
    network = runs.network_of(cfg)
    assert evaluate.plan(cfg, network, frames.key).config["modes"] == ["event", "pixel", "object", "volume", "track", "mine"]
    metrics = evaluate.measure(cfg, network, frames, evaluate.Selection(modes=("mine", "track")))
    assert list(metrics["modes"]) == ["track", "mine"] and list(metrics["modes"]["mine"]) == NETWORKS
    own = metrics["modes"]["mine"]["network"]
    assert own["share_above"] == own["above"] / own["events"] and len(own["recordings"]) == 2
    assert f"{own['share_above']:.3f}" in metrics_table(metrics) and "mine, by recording" in table_by_recording(metrics)
    assert f"mine,network,all,share_above,{own['share_above']!r}," in metrics_csv(metrics)
    figures = folds.over_folds([metrics, metrics])
    assert figures["mine"]["network"]["share_above"]["values"] == [own["share_above"]] * 2
    runs_of_folds = [{"held_out": ["a"]}, {"held_out": ["b"]}]
    result = {"folds": 2, "figures": figures, "detectors": metrics["detectors"], "runs": runs_of_folds, "final": None}
    assert "mine: share above\n" in folds.folds_table(result) and "mine,network,share_above,mean," in folds.folds_csv(result)
