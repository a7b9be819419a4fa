"""Networks that come with the package: which one is taken and what is said about it, and that they come out again."""

import hashlib
import json
import logging

import numpy as np
import pytest

import spikeseg as ss
from spikeseg.api import packaged as recipes
from spikeseg.networks import NAMES, file_of
from spikeseg.pipelines.stages import packaged
from spikeseg.simulation.limit import LimitConfig, limit_recording


def square(path, seed: int = 0) -> None:
    """A square of 16 px that crosses 64x48 pixels in 0.8 s, and a little noise."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 800_000, 12_000))
    own = rng.random(len(t)) < 0.95
    side = rng.integers(0, 16, (2, len(t)))
    x = np.where(own, 4 + t * 5e-5 + side[0], rng.integers(0, 64, len(t)))
    y = np.where(own, 20 + side[1], rng.integers(0, 48, len(t)))
    np.savez(path, t=t, x=x.astype(np.int16), y=y.astype(np.int16), p=side[0] > 7, sensor_size=np.array([64, 48]))


def night(path) -> None:
    """A point among noise."""
    config = LimitConfig(rate_hz=60.0, noise_hz=0.05, duration_s=2.0, speed_px_s=(5.0, 12.0), stars=0, sensor_size=(64, 48))
    events = limit_recording(config, 0).events
    np.savez(path, **{name: events[name] for name in "txyp"}, sensor_size=np.array(config.sensor_size))


@pytest.fixture
def empty(place):
    """A place without a trained network, with a scene and a night in it."""
    square(place.folder / "scene.npz")
    night(place.folder / "night.npz")
    return place


def chosen(place, *words: str) -> str:
    """The line that says which network is taken by a command that would do something."""
    said = place(*words, "--dry-run", config=False)
    assert said.exit_code == 0 and "nothing was done" in said.stdout, said.output
    (line,) = [line for line in said.stderr.splitlines() if line.startswith("network: ")]
    return line


def test_detect_alone_takes_the_one_that_suits(empty):
    for name, objects in (("scene", "whole objects"), ("night", "points")):
        said = empty("detect", f"{name}.npz", "-o", name, config=False)
        assert said.exit_code == 0, said.output
        (line,) = [line for line in said.stderr.splitlines() if line.startswith("network: ")]
        assert f"network: {name}s, which comes with the package, for none is trained in ./runs: {objects} are looked for" in line
        manifest = json.loads((empty.folder / name / "detect.manifest.json").read_text())
        digest = hashlib.sha256(file_of(f"{name}s").read_bytes()).hexdigest()
        assert manifest["inputs"]["checkpoint of the network"] == digest
        assert manifest["config"]["tracking"]["scenes"] is (name == "scene")
    assert len((empty.folder / "scene" / "tracks.csv").read_text().splitlines()) > 5
    assert not (empty.folder / "runs").exists()
    assert empty.ok("detect", "scene.npz", "-o", "scene", config=False).splitlines()[-1].startswith("up to date")


def test_without_a_folder_results_lie_in_one_of_output_dir_and_nothing_beside_the_package(empty):
    before = sorted(path.name for path in file_of("nights").parent.iterdir())
    empty.ok("detect", "night.npz", "--set", "output_dir=mine", config=False)
    assert len(list((empty.folder / "mine" / "packaged-nights" / "detect").glob("*/tracks.csv"))) >= 1
    assert sorted(path.name for path in file_of("nights").parent.iterdir()) == before
    empty.ok("status", config=False)  # such a folder is no run


def test_of_several_recordings_the_first_that_can_be_read_decides(empty):
    (empty.folder / "a.npz").write_bytes(b"damaged")
    line = chosen(empty, "detect", "a.npz", "scene.npz", "night.npz", "-o", "out")
    assert "network: scenes" in line and "of the activity in scene is extended, and so in all 3 recordings" in line


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["-c", "files"], "scenes"),
        (["-c", "demo"], "nights"),
        (["-c", "ebssa"], "nights"),
        (["-c", "files", "--lenient"], "scenes"),
    ],
)
def test_with_a_configuration_it_is_the_one_of_its_shape(empty, words, name):
    for recording in ("scene.npz", "night.npz"):
        assert f"network: {name}, which comes with the package" in chosen(empty, "detect", *words, recording, "-o", "out")


def test_where_none_has_the_shape_that_is_asked_for_one_has_to_be_trained(empty):
    for words in (["-c", "files", "--set", "model.n_classes=9"], ["--set", "model.conv2_channels=5"], ["-c", "config"]):
        told = empty.refused("detect", *words, "scene.npz", config=False)
        assert "no network of this configuration" in told or "no trained network" in told
        assert "--network" in told
    assert not (empty.folder / "runs").exists()


def test_settings_lie_on_top_of_its_own(empty):
    empty.ok("detect", "night.npz", "-o", "out", "--set", "tracking.min_hits=5", "--set", "data.timestep_ms=50", config=False)
    config = json.loads((empty.folder / "out" / "detect.manifest.json").read_text())["config"]
    assert config["tracking"]["min_hits"] == 5 and config["frames"]["timestep_us"] == 50_000 and config["model"]["motion"] is True


def test_a_name_goes_before_what_was_trained_and_before_a_folder_called_so(empty, caplog):
    (empty.folder / "nights").mkdir()
    said = empty("detect", "scene.npz", "--network", "nights", "-o", "out", "--dry-run", config=False)
    assert said.exit_code == 0 and "network:" not in said.stderr
    assert "./nights: no run's folder" in empty.refused("detect", "scene.npz", "--network", "./nights", config=False).replace(
        "nights: no", "./nights: no"
    )
    told = empty.refused("detect", "scene.npz", "--network", "scenes", "-c", "demo", config=False)
    assert "scenes.safetensors" in told and "the configuration asks for" in told


def test_points_are_followed_by_nights(empty):
    events = np.load(empty.folder / "night.npz")
    rows = zip(*(events[name].astype(int) for name in "txyp"), strict=True)
    (empty.folder / "night.csv").write_text("".join(f"{t},{x},{y},{p}\n" for t, x, y, p in rows))
    words = ["--follow", "--sensor-size", "64x48", "--idle", "0", "night.csv"]
    assert "network: nights" in (line := chosen(empty, "detect", *words)) and "only points can be followed" in line
    said = empty.ok("detect", *words, "--network", "nights", "-o", "followed", config=False)
    assert "windows" in said and (empty.folder / "followed" / "follow.json").is_file()


def test_evaluate_takes_it_by_name_and_never_by_itself(empty):
    (empty.folder / "night.labels.csv").write_text("t_us,x,y,id\n1000000,10,10,1\n")
    data = ["--dataset", "files", "--data-root", "night.npz"]
    for _ in range(2):  # not prepared, and prepared
        told = empty.refused("evaluate", "-c", "demo", *data, "--split", "all", config=False)
        assert "no network of this configuration in ./runs" in told and "name one with --network; nights and scenes come" in told
        assert "`spikeseg train -c demo --dataset files --data-root night.npz` trains one" in told
        empty.ok("prepare", "-c", "demo", *data, config=False)
    told = empty.refused("evaluate", "--dataset", "files", "--data-root", "nigth.npz", config=False)
    assert "nigth.npz: not found; set --data-root to" in told and "network" not in told  # which is not what is wrong
    said = empty("evaluate", "--network", "nights", *data, "--split", "all", "--dry-run", config=False)
    assert said.exit_code == 0 and "packaged-nights" in said.stdout, said.output


def test_frames_are_prepared_for_it_by_name_and_the_next_commands_name_it(empty):
    (empty.folder / "night.labels.csv").write_text("t_us,x,y,id\n1000000,10,10,1\n")
    data = ["--dataset", "files", "--data-root", "night.npz"]
    for words in (["sweep", "--split", "train"], ["evaluate", "--split", "all"]):
        told = empty.refused(*words, "--network", "scenes", *data, config=False)
        assert "run `spikeseg prepare --network scenes --dataset files --data-root night.npz` first" in told
    said = empty.ok("prepare", "--network", "scenes", *data, config=False)
    assert "next: spikeseg evaluate --network scenes --dataset files --data-root night.npz" in said
    said = empty("evaluate", "--network", "scenes", *data, "--split", "all", "--dry-run", config=False)
    assert said.exit_code == 0 and "packaged-scenes" in said.stdout, said.output


def test_all_that_is_wrong_with_names_is_told_at_once(empty):
    for words in (["detect", "x", "y"], ["diagnose", "x", "y"]):
        told = empty.refused(*words, "--network", "nigths", config=False)
        assert told.startswith("error: nigths: no such checkpoint;") and "; nearest: nights. Also: x: cannot be read" in told
        assert told.endswith("Also: y: cannot be read (No such file or directory)")
    told = empty.refused("detect", "x", "--device", "cdua", config=False)
    assert told.startswith("error: --device: 'cdua'; allowed: auto") and ". Also: x: cannot be read" in told
    told = empty.refused("watch", "x", "-o", "out", "--network", "nigths", config=False)
    assert "nearest: nights. Also: x" in told
    told = empty.refused("classes", "nigths", "x", config=False)
    assert "nearest: nights. Also: x" in told
    told = empty.refused("detect", *"abcde", config=False)
    assert told.count("cannot be read") == 3 and told.endswith(". And 2 more")


def test_without_frames_and_recordings_diagnose_asks_for_some(empty):
    told = empty.refused("diagnose", "--network", "nights", config=False)
    assert told.endswith("; name recordings: spikeseg diagnose RECORDING...")


# -- trained again -----------------------------------------------------------------------------------------


@pytest.fixture
def short(monkeypatch, tmp_path):
    """Recipes that take a moment; the folder stands for the package's."""
    monkeypatch.setattr(recipes, "RECIPES", {"nights": recipes.Nights(recordings=1, duration_s=0.6, difficulty="easy")})
    monkeypatch.setattr(packaged, "file_of", lambda name: tmp_path / f"{name}.safetensors")
    return tmp_path / "nights.safetensors"


def test_reproduce_compares_with_the_packaged_file(place, short, monkeypatch):
    assert f"{short}: missing" in place.refused("reproduce", "nights", "-o", "one", config=False)
    made = place.folder / "one" / "nights.safetensors"
    short.write_bytes(made.read_bytes())
    monkeypatch.setattr(recipes, "trained", lambda *_: ss.load(made))  # once is enough
    assert "is equal to the one that comes with the package" in place.ok("reproduce", "nights", config=False)
    content = bytearray(made.read_bytes())
    content[-1] ^= 1
    short.write_bytes(content)
    assert "checksum" in place.refused("reproduce", "nights", config=False)
    assert "leave out -c and --set" in place.refused("reproduce", "nights", "--set", "stdp.lr_plus=0.1", config=False)
    assert "would train nights again" in place.ok("reproduce", "nights", "--dry-run", config=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_is_trained_again_byte_for_byte(place, name, caplog):
    with caplog.at_level(logging.WARNING):
        said = place.ok("reproduce", name, "-o", "again", config=False)
    assert "is equal to the one that comes with the package" in said
    assert (place.folder / "again" / f"{name}.safetensors").read_bytes() == file_of(name).read_bytes()
