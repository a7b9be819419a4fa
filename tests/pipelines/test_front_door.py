"""The front door: what README shows, what docstrings show, and that it does what the stages do."""

import dataclasses
import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import spikeseg as ss
from spikeseg.api import network, recordings, scoring
from spikeseg.errors import InputError

ROOT = Path(__file__).parents[2]


def test_importing_the_package_imports_none_of_its_rooms():
    code = "import sys, spikeseg; dir(spikeseg); print([m for m in sys.modules if m.startswith('spikeseg.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_of_the_front_door_is_there_and_no_other():
    for name in ss.__all__:
        assert getattr(ss, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ss.nothing


def test_the_functions_stay_functions_when_rooms_are_imported():
    code = (
        "import spikeseg as ss, pkgutil, importlib\n"
        "for m in pkgutil.iter_modules(ss.__path__): importlib.import_module('spikeseg.' + m.name)\n"
        "print([callable(getattr(ss, n)) for n in ss.__all__ if n[0] != '_'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False" not in done.stdout


@pytest.mark.filterwarnings("ignore")
def test_the_examples_in_docstrings_run():
    for module in (ss, recordings, network, scoring):
        failed, tried = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
        assert tried > 0 and not failed


@pytest.mark.filterwarnings("ignore")
def test_the_example_of_the_readme_runs(tmp_path, monkeypatch):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(
        r"<!-- tests/pipelines/test_front_door.py runs this example -->\n```python\n(.*?)```", text, flags=re.S
    )
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    assert {"detections.json", "tracks.csv"} <= {path.name for path in (tmp_path / "found").iterdir()}


def recordings_of(chain, split):
    """The chain's simulated recordings of a split, read anew, in the order of the cache."""
    from spikeseg.config import load_config
    from spikeseg.data.store.frames import Frames

    (store,) = (chain.folder / "data_cache" / "frames").glob("*/frames.zarr")
    (folder,) = (chain.folder / "data_cache" / "simulated").glob("*/")
    cfg = load_config(chain.folder / "tiny.yaml")
    from spikeseg.registries import DATASETS

    entries = {entry.name: entry for entry in DATASETS["ebssa"].entries(folder, sensor=cfg.data.sensor)}
    return [entries[info.name].load(False) for info in Frames.open(store).recordings if info.split == split]


def test_a_loaded_network_detects_what_the_stage_detects(chain, tmp_path, monkeypatch):
    monkeypatch.chdir(chain.folder)
    (run,) = (path for path in Path("runs").iterdir() if path.is_dir())
    (path,) = Path("data_cache/simulated").glob("*/EBSSA/labelled_ebssa.h5")
    member = f"{path}::DAVIS_0001"
    chain.ok("detect", member, "--checkpoint", str(run), "-o", str(tmp_path / "stage"), config=False)
    ss.load(run).detect(member).save(tmp_path / "door")
    names = {p.name for p in (tmp_path / "stage").iterdir()} - {"detect.manifest.json"}
    written = {p.name for p in (tmp_path / "stage").iterdir() if "manifest" not in p.name and not p.name.startswith(".")}
    tables = {"detections.json", "objects.csv", "objects.ecsv", "tracks.csv"}
    written -= {f"DAVIS_0001.{name}" for name in tables}  # of the recording alone, which the stage goes on from
    assert {p.name for p in (tmp_path / "door").iterdir()} == written and len(names) >= 3
    for name in written:
        assert (tmp_path / "door" / name).read_bytes() == (tmp_path / "stage" / name).read_bytes(), name


def test_training_in_memory_gives_the_weights_of_the_stage(place):
    place.ok("train", "--set", "data.test_ratio=0")
    (run,) = (path for path in (place.folder / "runs").iterdir() if path.is_dir())
    trained = ss.load(run)
    network = ss.new(place.folder / "tiny.yaml").train(recordings_of(place, "train"), progress=False)
    theirs, ours = trained.model.encoder.state_dict(), network.model.encoder.state_dict()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)
    final = json.loads((run / "metrics_final.json").read_text())
    assert {layer: report["samples"] for layer, report in network.reports.items()} == {
        layer: report["samples"] for layer, report in final.items()
    }


def test_evaluation_in_memory_gives_the_figures_of_the_stage(chain):
    (run,) = (path for path in (chain.folder / "runs").iterdir() if path.is_dir())
    metrics = [json.loads(path.read_text()) for path in run.glob("evaluate/*/metrics.json")]
    (whole,) = [m for m in metrics if len(m["modes"]) == max(len(other["modes"]) for other in metrics)][:1]
    evaluation = ss.evaluate(ss.load(run), recordings_of(chain, "test"), calibration=recordings_of(chain, "train"))
    plain = json.loads(json.dumps(evaluation.metrics["modes"]))
    assert evaluation.metrics["thresholds"] == whole["thresholds"] and plain == whole["modes"]
    assert "trained network" in evaluation.table()


def test_a_checkpoint_goes_round(tmp_path):
    network = ss.new("demo", {"device": "cpu", "seed": 7})
    again = ss.load(network.save(tmp_path / "n.pt"), {"tracking.min_hits": 5})
    assert again.config.tracking.min_hits == 5 and again.config.seed == 7
    assert torch.equal(again.model.encoder.conv3.weight, network.model.encoder.conv3.weight)


def test_rows_are_read_as_the_caller_or_the_networks_configuration_says(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(f"{n % 30} {n % 20} {n * 0.01:.2f} 1\n" for n in range(50)))
    night = ss.read(path, columns="x,y,t,p", time_unit="s")
    assert night.events["t"].tolist() == [10_000 * n for n in range(50)] and night.events["x"].max() == 29
    net = ss.new("demo", {"device": "cpu", "data.columns": "y,x,t,p", "data.time_unit": "s"})
    assert net.detect(path).events["x"].max() == 19
    with pytest.raises(InputError, match=r"data\.columns: 'x,y'"):
        ss.read(path, columns="x,y")


def test_what_cannot_be_done_is_one_line(tmp_path):
    with pytest.raises(InputError, match="no run's folder"):
        ss.load(tmp_path)
    with pytest.raises(InputError, match="no such checkpoint"):
        ss.load(tmp_path / "none.pt")
    network = ss.new("demo", {"device": "cpu"})
    bare = ss.simulate(duration_s=0.5)[0]
    object.__setattr__(bare, "labels", None)
    with pytest.raises(InputError, match="not labelled"):
        ss.evaluate(network, [bare])
    with pytest.raises(InputError, match="two recordings of this name"):
        network.detect([bare, bare])
    with pytest.raises(InputError, match="no window to learn from"):
        network.train([])


@pytest.mark.parametrize("value", [None, 3, [3], [np.zeros(4)]])
def test_what_is_no_recording_is_one_line(value):
    network = ss.new("demo", {"device": "cpu"})
    for call in (network.detect, network.train, lambda given: ss.evaluate(network, given)):
        with pytest.raises(InputError, match=r"recordings: found \w+, must be recordings or paths"):
            call(value)


def test_recordings_put_together_by_hand_are_checked(tmp_path):
    network = ss.new("demo", {"device": "cpu"})
    (night,) = ss.simulate(duration_s=0.5)
    backwards = dataclasses.replace(night, events=night.events[::-1])
    with pytest.raises(InputError, match="DAVIS_0000: events: must be sorted by t"):
        network.detect(backwards)
    with pytest.raises(InputError, match=r"DAVIS_0000: truth: \d+ entries for 5 events"):
        ss.evaluate(network, [dataclasses.replace(night, events=night.events[:5])])
    with pytest.raises(InputError, match="DAVIS_0000: events: must be an array"):
        network.detect(dataclasses.replace(night, events=[1, 2, 3]))
    assert len(network.detect(dataclasses.replace(night, events=night.events[:0])).events) == 0


def test_one_recording_is_a_list_of_one(tmp_path):
    network = ss.new("demo", {"device": "cpu", "max_epochs": 1, "evaluation.bootstrap": 10})
    (night,) = ss.simulate(duration_s=1.0, difficulty="easy")
    one, listed = (ss.evaluate(network, given, modes=modes) for given, modes in ((night, "object"), ([night], ["object"])))
    assert one.metrics == listed.metrics
    weights = [network.train(given, progress=False).model.encoder.conv3.weight for given in (night, (r for r in [night]))]
    assert torch.equal(*weights)
    for path in ("none.csv", tmp_path / "none.csv"):
        with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
            network.train(path)
    with pytest.raises(InputError, match="nothing to score"):
        ss.evaluate(network, [])


def test_wrong_kinds_of_values_are_one_line(tmp_path):
    with pytest.raises(InputError, match=r"overrides: found \[1\], must be a mapping of keys to values"):
        ss.new("demo", [1])
    file = ss.new("demo", {"device": "cpu"}).save(tmp_path / "n.pt")
    with pytest.raises(InputError, match="overrides: found 3, must be a mapping"):
        ss.load(file, 3)
    for key, value in {"recordings": 1.5, "duration_s": "long", "seed": 0.5}.items():
        with pytest.raises(InputError, match=f"simulate.{key}: {value!r}; allowed"):
            ss.simulate(**{key: value})


def test_a_recording_says_what_it_holds():
    (night,) = ss.simulate(duration_s=1.0, difficulty="easy", seed=3)
    info = night.info()
    assert info["events"] == len(night.events) and info["sensor_size"] == (240, 180)
    assert info["on_share"] == pytest.approx(np.mean(night.events["p"])) and info["objects"] in (0, 1, 2)
    assert night.plot().axes
