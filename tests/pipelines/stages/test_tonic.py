"""A dataset of tonic by name through the command line: prepared, trained, its classes seen, scored."""

import json
import sys

import numpy as np
import pytest
import tonic_folders

DATA = ["--dataset", "tonic:NMNIST", "--data-root", "tonic"]
SIZE = ["--set", "data.input_height=34", "--set", "data.input_width=34", "--set", "data.transforms=[]"]
SMALL = [
    word
    for key, value in {"maps": "[6, 16]", "thresholds": "[4, 4]", "max_images": "200", "winners": "[3, 3]"}.items()
    for word in ("--set", f"images.{key}={value}")
]


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """They take longer than all else."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


@pytest.fixture
def digits(place):
    """Digits 0 and 1: events that sweep along rows, and along columns."""
    rng = np.random.default_rng(0)
    for part, n in (("Train", 8), ("Test", 4)):
        for digit in (0, 1):
            for k in range(n):
                t = np.sort(rng.integers(0, 100_000, 300))
                along, across = (t // 3000) % 34, rng.integers(10, 24, 300)
                x, y = (along, across) if digit else (across, along)
                path = place.folder / "tonic" / "NMNIST" / part / str(digit) / f"{k:05}.bin"
                tonic_folders.file(path).write_bytes(tonic_folders.bin40(t, x, y, rng.integers(0, 2, 300)))
    return place


def test_prepared_trained_and_scored_by_name(digits):
    digits.ok("prepare", *DATA, *SIZE)
    (path,) = digits.folder.glob("data_cache/frames/*/manifest.json")
    manifest = json.loads(path.read_text())
    assert {name[:5].strip("_"): part for name, part in manifest["splits"].items()} == {"Train": "train", "Test": "test"}
    assert manifest["classes"]["Test_1_00000"] == "1 - one" and len(manifest["classes"]) == 24

    digits.ok("train", *DATA, *SIZE, "--no-tensorboard", "--name", "mine")
    told = digits.ok("classes", "runs/mine")
    (entry,) = json.loads((digits.folder / "runs" / "mine" / "classes.json").read_text())["classes"]
    assert set(entry["answers_to"]) <= {"0 - zero", "1 - one"} and sum(entry["answers_to"].values()) == entry["wins"] > 0
    first = next(iter(entry["answers_to"].items()))
    assert f"{first[0]} ({first[1] / entry['wins']:.0%})" in told

    digits.ok("classify", *DATA, *SMALL, "--output", "m.json", config=False)
    scored = json.loads((digits.folder / "m.json").read_text())
    assert scored["images"] == {"train": 16, "test": 8, "shape": [15, 2, 34, 34]} and scored["accuracy"] > 0.8
    assert scored["classes"] == ["0 - zero", "1 - one"] and scored["dataset"] == "tonic:NMNIST"


def test_classify_draws_a_split_and_a_size_where_tonic_has_none(place):
    """N-Caltech101: pictures of several sizes, no part to test with."""
    tonic_folders.ncaltech101(place.folder / "tonic", each=5)
    words = [
        "--dataset",
        "tonic:NCALTECH101",
        "--data-root",
        "tonic",
        *SMALL,
        "--set",
        "images.height=24",
        "--set",
        "images.width=32",
    ]
    place.ok("classify", *words, "--output", "m.json", "--set", "data.test_ratio=0.4", config=False)
    found = json.loads((place.folder / "m.json").read_text())
    assert found["images"] == {"train": 6, "test": 4, "shape": [15, 2, 24, 32]} and found["classes"] == ["Leopards", "airplanes"]
    assert "up to date" in place.ok("classify", *words, "--set", "data.test_ratio=0.4", config=False)
    assert "up to date" not in place.ok("classify", *words, "--set", "data.test_ratio=0.2", config=False)


def test_recordings_of_the_road_keep_their_split(place):
    tonic_folders.dsec(place.folder / "tonic")
    place.ok("prepare", "--dataset", "tonic:DSEC", "--data-root", "tonic")
    (path,) = place.folder.glob("data_cache/frames/*/manifest.json")
    manifest = json.loads(path.read_text())
    assert "classes" not in manifest and manifest["splits"] == {
        "thun_00_a_events_left_events": "train",
        "thun_01_a_events_left_events": "test",
        "zurich_city_00_a_events_left_events": "train",
    }


@pytest.mark.parametrize(
    "words, message",
    [
        (["prepare", "--dataset", "tonic:NMNST", "--data-root", "."], "nearest: tonic:NMNIST"),
        (["prepare", "--dataset", "tonic:NMNIST"], "the dataset 'tonic:NMNIST' needs --data-root PATH"),
        (
            ["prepare", "--dataset", "tonic:NMNIST", "--data-root", "."],
            "holds no recordings of NMNIST; tonic's NMNIST is expected in",
        ),
        (
            ["prepare", "--dataset", "tonic:SHD", "--data-root", "."],
            "spoken digits, spikes of a model of the ear, not of a camera",
        ),
        (["prepare", "--dataset", "tonic:DSEC", "--data-root", ".", "--columns", "t,x,y,p"], "tell both themselves"),
        (
            ["classify", "--dataset", "tonic:DSEC", "--data-root", "."],
            "'tonic:DSEC' has no classes; spikeseg classify takes digits",
        ),
    ],
)
def test_refused(place, words, message):
    assert message in place.refused(*words)


def test_a_part_alone_is_not_classified(digits):
    (digits.folder / "tonic" / "NMNIST" / "Test").rename(digits.folder / "elsewhere")
    assert "tonic: holds no recordings of test; tonic:NMNIST has a part to train" in digits.refused(
        "classify", *DATA, config=False
    )


def test_the_front_page_names_them(place):
    assert "tonic:NAME" in place("prepare", "--help", config=False).output
