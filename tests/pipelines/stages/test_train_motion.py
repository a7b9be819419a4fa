"""`train-layer motion`: a checkpoint with the footprint, which every command then takes; a key of its own; refusals."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import spikeseg as ss
from spikeseg.data.store.frames import Frames
from spikeseg.learning import checkpoint, footprint
from spikeseg.motion.footprint import Footprint
from spikeseg.pipelines.runtime.files import sha256_file
from spikeseg.pipelines.stages import train_motion
from spikeseg.simulation.limit import LimitConfig, limit_recording

MOTION = "--set", "model.motion=true"
NIGHTS = LimitConfig(
    rate_hz=60.0, noise_hz=0.05, duration_s=6.0, speed_px_s=(5.0, 12.0), stars=0, displacement_px=1.5, sensor_size=(64, 48)
)


def copy_of(place, folder):
    """The place, copied into a folder."""
    shutil.copytree(place.folder, folder)
    return type(place)(folder)


@pytest.fixture(scope="module")
def moving(chain_of_session, tmp_path_factory):
    """A folder in which a network has been trained on moving objects up to conv3, and its command line options."""
    place = type(chain_of_session)(tmp_path_factory.mktemp("motion"))
    shutil.copy(chain_of_session.folder / "tiny.yaml", place.folder)
    (place.folder / "nights").mkdir()
    for index in range(5):
        night = limit_recording(NIGHTS, index)
        columns = {name: night.events[name] for name in "txyp"}
        np.savez(place.folder / "nights" / f"{night.name}.npz", **columns, sensor_size=np.array(NIGHTS.sensor_size))
    options = (*MOTION, "--dataset", "files", "--data-root", "nights", "--set", "data.transforms=[]")
    place.ok("prepare", *options)
    place.ok("train-layer", "conv2", *options)
    said = place.ok("train-layer", "conv3", *options)
    assert "train-layer motion" in said.splitlines()[-1]
    return place, options


@pytest.fixture(scope="module")
def learned(moving):
    """The same with the motion layer trained, from few spikes; and what the command said."""
    place, options = moving
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(footprint, "FEWEST_SPIKES", 20)
        said = place.ok("train-layer", "motion", *options)
    return place, options, said


def run_of(place) -> Path:
    (run,) = (path for path in (place.folder / "runs").iterdir() if path.is_dir())
    return run


def test_it_writes_the_network_with_its_footprint(learned):
    place, _, said = learned
    run = run_of(place)
    model, meta = checkpoint.load(run / "checkpoints" / "checkpoint_motion.pt")
    best, _ = checkpoint.load(run / "checkpoints" / "checkpoint_best.pt")
    on, off = Footprint(model.footprint).displacement()
    assert on > 0.7 and off < -0.7 and meta["config"].model.motion
    ours, theirs = model.encoder.state_dict(), best.encoder.state_dict()
    assert best.footprint is None and all(torch.equal(ours[name], theirs[name]) for name in theirs)
    manifest = json.loads((run / "motion.manifest.json").read_text())
    assert manifest["outputs"].keys() == {"checkpoints/checkpoint_motion.pt"}
    assert manifest["inputs"].keys() == {"frames", "conv3"} and manifest["config"].keys() == {"tracking", "seed"}
    assert json.loads((run / "metrics_final.json").read_text())["motion"] == manifest["result"]
    assert re.search(r"^motion: footprint from \d+ spikes of \d+ paths: ON \+\d\.\d px, OFF -\d\.\d px ahead", said, re.MULTILINE)


def test_the_second_time_it_is_up_to_date_and_status_knows(learned):
    place, options, _ = learned
    assert place.ok("train-layer", "motion", *options).splitlines()[-1].startswith("up to date: motion in ")
    assert re.search(r"^up to date +motion", place.ok("status", *options), re.MULTILINE)
    other = place.ok("status", *options, "--set", "tracking.false_alarms_per_minute=1")
    assert re.search(r"^stale +motion", other, re.MULTILINE) and "tracking.false_alarms_per_minute" in other


def test_commands_and_the_front_door_take_that_network(learned):
    place, _, _ = learned
    place.ok("detect", "nights/limit_0000.npz", "-o", "found", config=False)
    manifest = json.loads((place.folder / "found" / "detect.manifest.json").read_text())
    run = run_of(place)
    assert sha256_file(run / "checkpoints" / "checkpoint_motion.pt") in manifest["inputs"].values()
    assert ss.load(run).checkpoint.name == "checkpoint_motion.pt" and ss.load(run).model.footprint is not None


def test_too_few_spikes_teach_nothing_and_the_layer_looks_for_a_round_point(moving, tmp_path):
    place, options = copy_of(moving[0], tmp_path / "copy"), moving[1]
    said = place.ok("train-layer", "motion", *options, "--force")
    assert re.search(r"^motion: nothing learned, \d+ spikes", said, re.MULTILINE)
    assert checkpoint.load(run_of(place) / "checkpoints" / "checkpoint_motion.pt")[0].footprint is None


def test_training_a_layer_below_anew_takes_the_motion_layer_back(learned, tmp_path):
    place, options = copy_of(learned[0], tmp_path / "copy"), learned[1]
    place.ok("train-layer", "conv3", *options, "--force")
    run = run_of(place)
    assert not (run / "motion.manifest.json").exists() and not (run / "checkpoints" / "checkpoint_motion.pt").exists()
    said = place.ok("train", *options)
    assert (run / "motion.manifest.json").exists() and "motion: " in said
    assert place.ok("train", *options).splitlines()[-1].startswith("up to date: ")


def test_it_is_refused_without_a_motion_layer_or_the_layers_below(chain, place):
    assert "model.motion: false" in chain.refused("train-layer", "motion")
    place.ok("prepare")
    assert "run `spikeseg train-layer conv2 -c tiny.yaml" in place.refused("train-layer", "motion", *MOTION)


def test_the_front_door_learns_what_the_stage_learns(learned, monkeypatch):
    place, _, _ = learned
    run = run_of(place)
    _, meta = checkpoint.load(run / "checkpoints" / "checkpoint_motion.pt")
    monkeypatch.setattr(footprint, "FEWEST_SPIKES", 20)
    monkeypatch.chdir(place.folder)
    (store,) = Path("data_cache/frames").glob("*/frames.zarr")
    names = [info.name for info in Frames.open(store).recordings if info.split == "train"]
    network = ss.Network(checkpoint.build(meta["config"]), meta["config"])
    network.train([f"nights/{name}.npz" for name in names], progress=False)
    assert list(network.reports) == ["conv2", "conv3", "motion"]
    saved, _ = checkpoint.load(run / "checkpoints" / "checkpoint_motion.pt")
    assert network.model.footprint.tobytes() == saved.footprint.tobytes()


class Killed(BaseException):
    """Stands for kill -9: nothing handles it."""


@pytest.mark.parametrize("moment", ["atomic_write", "write_manifest"])
def test_killed_before_its_manifest_it_learns_nothing_again(learned, tmp_path, monkeypatch, moment):
    place, options, _ = learned
    again = copy_of(place, tmp_path / "again")
    run, manifest = run_of(again), run_of(again) / "motion.manifest.json"
    before = {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file() and path != manifest}
    manifest.unlink()
    metrics = json.loads((run / "metrics_final.json").read_text())
    del metrics["motion"]
    (run / "metrics_final.json").write_text(json.dumps(metrics, indent=2) + "\n")

    def dies(*_, **__):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(train_motion, moment, dies)
        again("train-layer", "motion", *options)
    monkeypatch.setattr(train_motion, "_learned", lambda *_: pytest.fail("learned already"))
    assert "wrote motion in " in again.ok("train-layer", "motion", *options)
    after = {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file() and path != manifest}
    assert after == before and manifest.is_file()
