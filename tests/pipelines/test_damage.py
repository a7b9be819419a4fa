"""Every kind of file that a run has, with a bit flipped: named, and made again, so that all ends as without the damage."""

import json
import os
import re
import shutil

import pytest

from spikeseg.core.files import PARTIAL
from spikeseg.pipelines.runtime.manifest import as_text, manifest_digest

PREPARE, CONV2, CONV3 = ["prepare"], ["train-layer", "conv2"], ["train-layer", "conv3"]
EVALUATE, SWEEP, CLASSES = ["evaluate"], ["sweep"], ["classes"]
DETECT = ["detect", "sim/DAVIS_0000.npz", "-o", "out"]
SIMULATE = ["simulate", "--set", "simulate.recordings=1", "--format", "npz", "-o", "sim"]

KINDS = {
    "data_cache/simulated/*/manifest.json": [PREPARE],
    "data_cache/simulated/*/EBSSA/labelled_ebssa.h5": [PREPARE],
    "data_cache/simulated/*/truth/DAVIS_0000.npz": [PREPARE],
    "data_cache/frames/*/manifest.json": [PREPARE],
    "data_cache/frames/*/frames.zarr/zarr.json": [PREPARE],
    "data_cache/frames/*/frames.zarr/*/frames/zarr.json": [PREPARE],
    "data_cache/frames/*/frames.zarr/*/frames/c/0/0/0/0/0": [PREPARE],
    "data_cache/frames/*/frames.zarr/events/t/c/0": [PREPARE],
    "runs/tiny-*/conv2.manifest.json": [CONV2, CONV3, SWEEP],
    "runs/tiny-*/conv3.manifest.json": [CONV3, SWEEP],
    "runs/tiny-*/config.yaml": [CONV3, SWEEP],
    "runs/tiny-*/metrics_final.json": [CONV3, SWEEP],
    "runs/tiny-*/checkpoints/conv2.pt": [CONV2, CONV3, SWEEP],
    "runs/tiny-*/checkpoints/conv3.pt": [CONV3, SWEEP],
    "runs/tiny-*/checkpoints/checkpoint_best.pt": [CONV3, SWEEP],
    "runs/tiny-*/checkpoints/checkpoint_latest.pt": [CONV3, SWEEP],
    "runs/tiny-*/checkpoints/checkpoint_epoch1_conv3.pt": [CONV3, SWEEP],
    "runs/tiny-*/checkpoints/checkpoint_epoch1_conv2.pt": [CONV2, CONV3, SWEEP],
    "runs/tiny-*/checkpoints/checkpoint_calibrated.pt": [SWEEP],
    "runs/tiny-*/evaluate/*/manifest.json": [EVALUATE],
    "runs/tiny-*/evaluate/*/metrics.json": [EVALUATE],
    "runs/tiny-*/evaluate/*/metrics.csv": [EVALUATE],
    "runs/tiny-*/evaluate/*/curves.json": [EVALUATE],
    "runs/tiny-*/sweep/*/manifest.json": [SWEEP],
    "runs/tiny-*/sweep/*/sweep.json": [SWEEP],
    "runs/tiny-*/classes/*/survey.json": [CLASSES],
    "runs/tiny-*/classes.json": [CLASSES],
    "out/detect.manifest.json": [DETECT],
    "out/detections.json": [DETECT],
    "out/tracks.csv": [DETECT],
    "out/DAVIS_0000.events.npz": [DETECT],
    "out/DAVIS_0000.detections.json": [DETECT],
    "out/DAVIS_0000.tracks.csv": [DETECT],
    "out/DAVIS_0000.detect.manifest.json": [DETECT],
    "sim/simulate-npz.manifest.json": [SIMULATE],
    "sim/DAVIS_0000.npz": [SIMULATE],
}
"""A pattern of files, and the commands that make them again."""


@pytest.fixture(scope="module")
def whole(chain):
    for words in (SIMULATE, DETECT, SWEEP, CLASSES):
        chain.ok(*words)
    return chain


@pytest.fixture(scope="module")
def sound(whole):
    return state(whole.folder)


@pytest.fixture
def mine(whole, tmp_path):
    """A copy, to damage."""
    shutil.copytree(whole.folder, tmp_path / "copy")
    return type(whole)(tmp_path / "copy")


def state(folder):
    """Every file by its path, but logs, and of manifests neither how long it took nor the state of the checkout."""
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not re.search(r"/logs/|/events/|\.lock$|/\.digests$", "/" + name):
            content = path.read_bytes()
            if name.endswith("manifest.json"):
                told = json.loads(content)
                assert content == as_text(told).encode() and told["sha256"] == manifest_digest(told), name
                lasting = {key: value for key, value in told.items() if key not in ("seconds", "sha256", "git_revision")}
                content = json.dumps(lasting).encode()
            files[name] = content
    return files


def flip(path, at, bit=0):
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] ^= 1 << bit
    path.write_bytes(content)


def repaired(place, damaged, commands, sound):
    """Run the commands over a damaged file; it must be named by one of them, or be as before without a word."""
    said = ""
    for words in commands:
        done = place(*words)
        assert "Traceback" not in done.output and "spikeseg itself" not in done.output, done.output
        said += done.output
        assert done.exit_code == 0, done.output
    assert state(place.folder) == sound
    assert damaged.name in said and re.search("damaged|not as it was written", said), said


@pytest.mark.parametrize("pattern", KINDS)
def test_a_flipped_bit_is_named_and_what_it_spoilt_is_made_again(mine, sound, pattern, request):
    path = sorted(mine.folder.glob(pattern))[0]
    flip(path, 0.6)
    if path.name in ("classes.json", "checkpoint_calibrated.pt"):  # written by every such command, whatever is there
        for words in KINDS[pattern]:
            mine.ok(*words)
        assert state(mine.folder) == sound
        return
    repaired(mine, path, KINDS[pattern], sound)
    for words in KINDS[pattern]:
        assert "up to date" in mine.ok(*words)


@pytest.mark.parametrize("name", ["config.yaml", "checkpoints/checkpoint_best.pt", "checkpoints/conv3.pt", "conv3.manifest.json"])
@pytest.mark.parametrize("command", ["detect", "evaluate"])
def test_a_damaged_network_is_refused_by_name(mine, name, command):
    (run,) = (mine.folder / "runs").glob("tiny-*")
    flip(run / name, 0.6)
    words = (
        ["detect", "sim/DAVIS_0000.npz", "--checkpoint", str(run), "-o", "other"]
        if command == "detect"
        else ["evaluate", "--force"]
    )
    result = mine(*words)
    assert result.exit_code == 3 and (run / name).name in result.output and "damaged" in result.output, result.output
    assert not (mine.folder / "other").exists()


def test_status_calls_no_damaged_file_up_to_date(mine):
    (run,) = (mine.folder / "runs").glob("tiny-*")
    flip(run / "checkpoints" / "checkpoint_best.pt", 0.5)
    said = mine.ok("status")
    assert re.search(r"stale +conv3 .*damaged", said) and re.search(r"up to date +conv2", said), said


def test_what_is_left_of_killed_commands_goes(mine):
    """With the next run of the stage, or with `cache clean`."""
    (run,) = (mine.folder / "runs").glob("tiny-*")
    folders = [
        run,
        run / "checkpoints",
        mine.folder / "out",
        mine.folder / "sim",
        run / "evaluate",
        mine.folder / "data_cache" / "frames",
    ]

    def left():
        return [path for path in mine.folder.rglob(".*") if PARTIAL.fullmatch(path.name)]

    def leave():
        for folder in folders:
            (folder / ".detect.partial-123" / "deep").mkdir(parents=True)
            (folder / ".conv2.manifest.json.partial-77").write_text("{")
            (folder / ".checkpoint_best.pt.partial-77").write_bytes(b"PK")

    leave()
    for words in (PREPARE, CONV2, EVALUATE, DETECT, SIMULATE):
        assert "up to date" in mine.ok(*words)
    assert left() == []
    leave()
    said = mine.ok("cache", "clean", config=False)
    assert "removed 0 artefacts and 12 unfinished" in said
    assert {path.parent for path in left()} == {mine.folder / "out", mine.folder / "sim"}


def test_the_place_is_named_where_nothing_can_be_made_again(mine):
    """Frames that training needs, gone bad: the command that makes them, and the file."""
    chunk = next((mine.folder / "data_cache" / "frames").glob("*/frames.zarr/*/frames/c/0/0/0/0/0"))
    flip(chunk, 0.5)
    result = mine(*CONV2, "--force")
    assert (
        result.exit_code == 3 and "c/0/0/0/0/0 is not as it was written" in result.output and "spikeseg prepare" in result.output
    )
    assert os.path.exists(chunk)
