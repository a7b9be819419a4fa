"""`detect` with a configuration and recordings, but without a data root: which network is meant."""

import hashlib
import json

import numpy as np
import pytest

import spikeseg as ss

SMALL = """
experiment_name: small
device: cpu
max_epochs: 1
model: {conv2_channels: 4, n_classes: 3, thresholds: [0.2, 1.0, 0.0], leaks: [0.18, 0.1, 0.0], background_adaptive: false}
homeostasis: {theta_rest: 1.0, theta_max: 100.0}
wta: {enable_homeostasis: false}
data: {dataset: files, n_timesteps: 4, timestep_ms: 25.0, input_height: null, input_width: null, transforms: []}
tracking: {scenes: true}
"""
SPEED = 60.0
"""Of the square, px/s."""


def square(path, seed: int) -> None:
    """A square of 8 px that crosses 64x48 pixels in 0.8 s, and a little noise."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 800_000, 6000))
    own = rng.random(len(t)) < 0.95
    side = rng.integers(0, 8, (2, len(t)))
    x = np.where(own, 4 + t * 1e-6 * SPEED + side[0], rng.integers(0, 64, len(t)))
    y = np.where(own, 20 + side[1], rng.integers(0, 48, len(t)))
    np.savez(path, t=t, x=x.astype(np.int16), y=y.astype(np.int16), p=side[0] > 3, sensor_size=np.array([64, 48]))


@pytest.fixture
def folder(place):
    """A place with small.yaml and recordings/ in it."""
    (place.folder / "tiny.yaml").write_text(SMALL)
    (place.folder / "recordings").mkdir()
    for seed in range(3):
        square(place.folder / "recordings" / f"square{seed}.npz", seed)
    return place


def tracks(place, folder: str) -> str:
    """tracks.csv without the classes, its last two columns."""
    return "\n".join(line.rsplit(",", 2)[0] for line in (place.folder / folder / "tracks.csv").read_text().splitlines())


def test_by_the_network_that_was_trained_on_any_folder(folder):
    recording = "recordings/square0.npz"
    told = folder.refused("detect", recording, "-o", "before")
    assert "no network of this configuration in ./runs; `spikeseg train -c tiny.yaml --data-root FOLDER` trains one" in told
    ss.new(folder.folder / "tiny.yaml").save(folder.folder / "untrained.pt")
    folder.ok("detect", recording, "--network", "untrained.pt", "-o", "before")
    assert len(tracks(folder, "before").splitlines()) > 5
    assert folder.ok("detect", recording, "--network", "untrained.pt", "-o", "before").splitlines()[-1].startswith("up to date")

    folder.ok("train", "--data-root", "recordings")
    said = folder("detect", recording, "-o", "after")
    (run,) = [path.parent for path in (folder.folder / "runs").glob("*/config.yaml")]
    inputs = json.loads((folder.folder / "after" / "detect.manifest.json").read_text())["inputs"]
    (line,) = [line for line in said.stderr.splitlines() if line.startswith("network: ")]
    assert (
        said.exit_code == 0 and f"network: runs/{run.name}, the newest of this configuration (--network nights or scenes" in line
    )
    said = folder("detect", recording, "-o", "newest", config=False)
    assert said.exit_code == 0 and f"network: runs/{run.name}, the newest run (" in said.stderr
    checkpoints = {path.name: path for path in (run / "checkpoints").glob("*.pt")}
    assert inputs["checkpoint of the network"] in {hashlib.sha256(p.read_bytes()).hexdigest() for p in checkpoints.values()}
    assert tracks(folder, "after") == tracks(folder, "before")  # the network says nothing about where the objects are

    told = folder.refused("detect", recording, "-o", "other", "--set", "stdp.lr_plus=0.02")  # nobody trained that
    assert "no network of this configuration" in told


def test_without_scenes_a_network_has_to_be_trained(folder):
    told = folder.refused("detect", "recordings/square0.npz", "--set", "tracking.scenes=false", "-o", "out")
    assert "no network of this configuration in ./runs; `spikeseg train -c tiny.yaml" in told and "--network" in told
    assert not (folder.folder / "runs").exists() and not (folder.folder / "out").exists()


def test_scenes_are_not_followed(folder):
    (folder.folder / "events.csv").write_text("0,1,1,1\n")
    words = ["--follow", "--sensor-size", "64x48", "--idle", "0", "events.csv"]
    assert "no network" in folder.refused("detect", *words)
    folder.ok("train", "--data-root", "recordings")
    assert "--set tracking.scenes=false follows points" in folder.refused("detect", *words)
    assert "1 windows" in folder.ok("detect", *words, "--set", "tracking.scenes=false")
