"""A dataset, a reader, a learning rule, a metric mode and a command, each of a package that touches none of our files."""

import configparser
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from spikeseg.config import load_config, section_dict
from spikeseg.config.sections import STDPConfig
from spikeseg.data.readers import read
from spikeseg.data.readers.formats import detect
from spikeseg.errors import InputError
from spikeseg.evaluation import folds
from spikeseg.evaluation.tables import metrics_csv, metrics_table, table_by_recording
from spikeseg.learning.rules import plasticity
from spikeseg.ops.types import PlasticityForm
from spikeseg.pipelines.runtime.stage import StageResult
from spikeseg.pipelines.stages import evaluate, runs

FOLDER = Path(__file__).parent
NETWORKS = ["saliency", "untrained", "network", "shuffled_labels"]


def with_package(name: str):
    """The package is installed in the test's process."""
    return pytest.mark.parametrize("installed", [name], indirect=True)


def write_events(path: Path, seed: int, **options) -> None:
    """300 events of half a second on 64 x 48 pixels: t, x, y, p."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 500_000, 300))
    np.savetxt(path, np.stack([t, *(rng.integers(0, n, 300) for n in (64, 48, 2))], 1), fmt="%d", comments="", **options)


@pytest.fixture
def nights(tmp_path):
    """Two recordings of the dataset `mine`."""
    root = tmp_path / "nights"
    for seed in range(2):
        folder = root / f"night{seed}"
        folder.mkdir(parents=True)
        write_events(folder / "events.csv", seed, delimiter=",")
        (folder / "objects.csv").write_text("t_us,x,y,id\n0,10,10,0\n400000,40,20,0\n")
    return root


@pytest.fixture
def recording(tmp_path):
    """A recording of the format `mine`."""
    write_events(tmp_path / "night.mine", 0, header="MINE")
    return tmp_path / "night.mine"


@pytest.mark.parametrize("package", ["dataset", "reader", "rule", "metric", "command"])
def test_what_is_installed_is_what_pip_would_install(package):
    project = tomllib.loads((FOLDER / package / "pyproject.toml").read_text())
    points = configparser.ConfigParser()
    points.read(FOLDER / package / f"my_{package}-1.0.dist-info" / "entry_points.txt")
    assert {group: dict(points[group]) for group in points.sections()} == project["project"]["entry-points"]
    assert project["project"]["name"] == f"my-{package}" and project["tool"]["setuptools"]["py-modules"] == [f"my_{package}"]


def test_a_dataset_of_recordings(nights, place, spikeseg_with, spikeseg_without):
    spikeseg_with("dataset", place.folder, "prepare", "-c", "tiny.yaml", "--dataset", "mine", "--data-root", nights)
    (path,) = (place.folder / "data_cache" / "frames").glob("*/manifest.json")
    manifest = json.loads(path.read_text())
    assert manifest["recordings"] == 2 and set(manifest["splits"]) == {"night0", "night1"}
    assert manifest["files"] == {str(nights / f"night{seed}" / "events.csv"): "first release" for seed in range(2)}
    refused = spikeseg_without(place.folder, "prepare", "--dataset", "mine", "--data-root", nights)
    assert "--dataset: found 'mine', must be one of digits, ebssa" in refused


@with_package("dataset")
def test_what_a_dataset_refuses_is_one_line(installed, nights, place):
    refused = place.refused("prepare", "--dataset", "mine", "--data-root", place.folder, config=False)
    assert "no folder holds events.csv of sensor all" in refused
    assert "holds images" in place.refused("prepare", "--dataset", "halves", "--data-root", nights, config=False)
    refused = place.refused("prepare", "--dataset", "ours", config=False)
    assert "--dataset: found" in refused and "synthetic, halves, mine" in refused


@with_package("dataset")
def test_a_dataset_of_images(installed, place):
    place.ok("classify", "--dataset", "halves", "--set", "images.max_images=500", "-o", "m.json", config=False)
    metrics = json.loads((place.folder / "m.json").read_text())
    assert metrics["dataset"] == "halves" and metrics["classes"] == ["left", "right"] and metrics["accuracy"] == 1.0
    refused = place.refused("classify", "--dataset", "mine", config=False)
    assert "'mine' has no classes; spikeseg classify takes digits, images, mnist, nmnist, halves" in refused


def test_a_reader(recording, place, spikeseg_with, spikeseg_without):
    lines = spikeseg_with("reader", place.folder, "info", recording)
    assert "events of mine" in lines and "64 x 48" in lines and re.search(r"events +300\b", lines)
    spikeseg_with("reader", place.folder, "prepare", "-c", "tiny.yaml", "--dataset", "files", "--data-root", recording)
    (path,) = (place.folder / "data_cache" / "frames").glob("*/manifest.json")
    assert json.loads(path.read_text())["recordings"] == 1
    refused = spikeseg_without(place.folder, "info", recording)
    assert "is in no format known here" in refused and "events of mine" not in refused


@with_package("reader")
def test_a_format_is_told_by_content_then_by_name(installed, recording, tmp_path):
    assert detect(recording) == "mine" and len(read(recording).events) == 300
    (tmp_path / "unnamed").write_bytes(recording.read_bytes())
    assert detect(tmp_path / "unnamed") == "mine"
    (tmp_path / "by_name.mine").write_text("# of no known beginning\nx\n")
    assert detect(tmp_path / "by_name.mine") == "mine"
    with pytest.raises(InputError, match=r"by_name\.mine: is damaged"):
        read(tmp_path / "by_name.mine")
    with pytest.raises(InputError, match=r"readable: .*text \(\.csv, \.txt\), events of mine"):
        detect(Path(__file__))


@with_package("rule")
def test_a_learning_rule_gives_the_same_weights_on_every_backend(installed, copied, spikeseg_with):
    def words(backend):
        return "train-layer", "conv2", "--set", "stdp.rule=mine", "--backend", backend, "--name", backend

    spikeseg_with("rule", copied.folder, *words("cpu"), "-c", "tiny.yaml")
    copied.ok(*words("reference"))
    weights, manifests = {}, {}
    for path in copied.folder.glob("runs/**/conv2.pt"):
        run = next(parent for parent in path.parents if (parent / "conv2.manifest.json").is_file())
        manifests[run.name] = json.loads((run / "conv2.manifest.json").read_text())
        weights[run.name] = torch.load(path, weights_only=True)["model"]["conv2.weight"]
    (usual,) = set(weights) - {"reference", "cpu"}
    assert torch.equal(weights["reference"], weights["cpu"]) and not torch.equal(weights["cpu"], weights[usual])
    assert manifests["cpu"]["config"]["stdp"]["rule"] == "mine" and "rule" not in manifests[usual]["config"]["stdp"]
    assert manifests["cpu"]["key"] == manifests["reference"]["key"] != manifests[usual]["key"]


@with_package("rule")
@pytest.mark.filterwarnings("ignore:wta.threshold_min")
def test_a_learning_rule_is_found_by_its_name(installed):
    config = load_config(None, {"stdp.rule": "mine"})
    rule = plasticity(config.stdp)
    assert rule.form is PlasticityForm.CUSTOM and section_dict(config.stdp)["rule"] == "mine"
    assert torch.equal(rule.update(torch.zeros(2), torch.tensor([True, False])), torch.tensor([0.02, -0.04]))
    with pytest.raises(InputError, match=r"stdp.rule: found 'yours', must be one of multiplicative, additive, mine"):
        load_config(None, {"stdp.rule": "yours"})
    assert plasticity(STDPConfig(rule="additive")).form is PlasticityForm.ADDITIVE


def test_a_metric_mode(copied, spikeseg_with, spikeseg_without):
    words = ("evaluate", "-c", "tiny.yaml", "--mode", "mine", "--per-recording", "-o", "m.json")
    lines = spikeseg_with("metric", copied.folder, *words)
    metrics = json.loads((copied.folder / "m.json").read_text())
    assert list(metrics["modes"]) == ["mine"] and list(metrics["modes"]["mine"]) == NETWORKS
    assert "mine: events above the threshold, slices of 10 ms" in lines
    assert re.search("share above +events\n", lines) and "mine, by recording: trained network" in lines
    refused = spikeseg_without(copied.folder, *words)
    assert "'mine' is not one of" in refused and "'track'" in refused


@with_package("metric")
def test_a_metric_mode_is_scored_with_the_others_shown_and_carried_over_folds(installed, chain):
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


def test_a_command(recording, nights, place, spikeseg_with, spikeseg_without):
    path = nights / "night0" / "events.csv"
    lines = spikeseg_with("command", place.folder, "mine", path, "--step-ms", "25", "--seed", "3")
    assert lines == f"2.0 windows of 250 ms; next: spikeseg detect {path} --set data.timestep_ms=25.0 --seed 3\n"
    assert "No such command 'mine'" in spikeseg_without(place.folder, "mine", path)


@with_package("command")
def test_a_command_has_the_help_and_the_errors_of_ours(installed, place, tmp_path):
    assert "Other commands:\n  mine  Count the windows of a recording.\n" in place("--help", config=False).output
    helped = " ".join(place.ok("mine", "--help", config=False).split())
    assert "--step-ms FLOAT Length of a step, ms. [default: (demo: " in helped and "--log-level" in helped
    assert "missing.csv" in place.refused("mine", tmp_path / "missing.csv", config=False)
