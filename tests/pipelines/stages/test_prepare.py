"""Recordings to cached frames."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from spikeseg.config.load import load_config
from spikeseg.data.store.frames import Frames
from spikeseg.pipelines.stages import prepare


def write_events(path: Path, n: int = 400, seed: int = 0) -> None:
    """A recording of half a second on 64 x 48 pixels."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"t": np.sort(rng.integers(0, 500_000, n)), "x": rng.integers(0, 64, n), "y": rng.integers(0, 48, n)}
    np.savez(path, **columns, p=rng.integers(0, 2, n))


@pytest.fixture
def folder(place) -> Path:
    """Three recordings and two files that are none."""
    root = place.folder / "rec"
    for i in range(3):
        write_events(root / f"r{i}.npz", seed=i)
    (root / "notes.txt").write_text("seen through clouds\n")
    (root / "broken.npz").write_bytes((root / "r0.npz").read_bytes()[:100])
    return root


FILES = ["--dataset", "files", "--data-root", "rec"]


def manifest_of(place) -> dict:
    (path,) = (place.folder / "data_cache" / "frames").glob("*/manifest.json")
    return json.loads(path.read_text())


def test_unreadable_files_are_skipped_counted_and_named(place, folder):
    result = place("prepare", *FILES)
    assert result.exit_code == 0 and "(3 recordings, 15 windows, 2 files skipped)" in result.stdout
    assert "skipped notes: " in result.stderr and "skipped broken: " in result.stderr
    manifest = manifest_of(place)
    assert sorted(manifest["skipped"]) == ["broken", "notes"]
    assert sorted(manifest["splits"].values()) == ["test", "train", "train"]
    assert manifest["recordings"] == 3 and manifest["windows"] == 15


@pytest.mark.parametrize("left", ["broken.npz", "notes.txt"])
def test_only_unreadable_files_are_an_error(place, folder, left):
    for path in folder.iterdir():
        if path.name != left:
            path.unlink()
    assert "none of the 1 files in rec can be read" in place.refused("prepare", *FILES)
    assert not list((place.folder / "data_cache").rglob("frames.zarr"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_recording_that_cannot_be_read_costs_no_other(place, jobs):
    place.ok("simulate", "sky", "--format", "mat", "--recordings", "3", "--duration", "0.3")
    path = place.folder / "sky" / "DAVIS_0001.mat"
    path.write_bytes(path.read_bytes()[:2000])
    sky = ["prepare", "--dataset", "ebssa", "--data-root", "sky", "--jobs", str(jobs)]
    result = place(*sky)
    assert result.exit_code == 0 and "2 recordings" in result.stdout and "1 files skipped" in result.stdout
    assert "skipped DAVIS_0001: " in result.stderr and "DAVIS_0001.mat" in result.stderr
    manifest = manifest_of(place)
    assert list(manifest["skipped"]) == ["DAVIS_0001"] and sorted(manifest["splits"]) == ["DAVIS_0000", "DAVIS_0002"]
    assert not [name for name in manifest["outputs"] if "staged" in name]
    assert "1 recordings could not be read, 2 are prepared" in place.refused(*sky, "--strict")
    path.unlink()
    assert "(2 recordings" in place.ok(*sky, "--strict")


def test_a_transform_that_cannot_be_is_no_fault_of_the_recordings(place, folder):
    words = place.refused("prepare", *FILES, "--set", 'data.transforms=[{"name": "DropPixle"}]')
    assert "unknown transform 'DropPixle'" in words and "none of" not in words


@pytest.mark.parametrize("dataset", ["files", "ebssa", "nmnist"])
def test_empty_and_missing_folders_are_one_line(place, dataset):
    (place.folder / "empty").mkdir()
    for root in ("empty", "nowhere"):
        assert root in place.refused("prepare", "--dataset", dataset, "--data-root", root)
    assert "data.data_root: missing" in place.refused("prepare", "--dataset", dataset)
    assert not (place.folder / "data_cache").exists()


def test_another_format_is_named(place):
    (place.folder / "rec").mkdir()
    (place.folder / "rec" / "a.aedat").write_bytes(b"#!AER-DAT1.0\r\n" + bytes(64))
    assert "not supported" in place.refused("prepare", *FILES)


def test_a_cache_that_cannot_be_written_is_one_line(place):
    (place.folder / "in_the_way").write_text("")
    assert "in_the_way: is a file; name a folder" in place.refused("prepare", "-o", "in_the_way")
    assert "cache_dir: in_the_way is a file; name a folder" in place.refused("prepare", "--set", "cache_dir=in_the_way")
    assert (place.folder / "in_the_way").read_text() == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_is_one_line(place):
    (place.folder / "locked").mkdir(mode=0o500)
    assert "permission denied" in place.refused("prepare", "-o", "locked")


def test_an_up_to_date_cache_needs_no_write(place, monkeypatch):
    place.ok("prepare")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert place.ok("prepare").startswith("up to date")


def test_forced_frames_are_the_same_bytes_with_more_jobs(place, folder):
    def content() -> dict[str, bytes]:
        root = place.folder / "data_cache" / "frames"
        return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != "manifest.json"}

    place.ok("prepare", *FILES)
    before = content()
    assert place.ok("prepare", *FILES, "--force", "--jobs", "2").startswith("wrote")
    assert content() == before


def test_a_changed_file_is_prepared_again_and_a_touched_one_is_not(place, folder):
    place.ok("prepare", *FILES)
    os.utime(folder / "r0.npz", (1, 1))
    assert place.ok("prepare", *FILES).startswith("up to date")
    write_events(folder / "r0.npz", seed=9)
    assert place.ok("prepare", *FILES).startswith("wrote")


def key(**changes: object) -> str:
    dotted = {name.replace("__", "."): value for name, value in changes.items()}
    quiet = {"data.dataset": "synthetic", "wta.enable_homeostasis": False}
    return prepare.plan(load_config(None, {**quiet, **dotted})).ingredients.key


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 1),
        ("data__n_timesteps", 5),
        ("data__timestep_ms", 5.0),
        ("data__input_height", 64),
        ("data__input_width", 64),
        ("data__window_overlap", 0.5),
        ("data__normalize", False),
        ("data__train_ratio", 0.5),
        ("data__test_ratio", 0.5),
        ("data__sensor", "ATIS"),
        ("data__lenient", True),
        ("data__transforms", []),
        ("data__columns", "x,y,t,p"),
        ("data__time_unit", "s"),
        ("simulate__difficulty", "hard"),
    ],
)
def test_what_decides_the_frames_is_in_their_key(name, value):
    assert key(**{name: value}) != key()


@pytest.mark.parametrize(
    ("name", "value"),
    [("device", "cpu"), ("data__num_workers", 3), ("stdp__lr_plus", 0.1), ("cache_dir", "elsewhere"), ("max_epochs", 3)],
)
def test_what_does_not_is_not(name, value):
    assert key(**{name: value}) == key()


def test_columns_and_unit_reach_the_readers(place):
    root = place.folder / "rec"
    root.mkdir()
    (root / "a.csv").write_text("".join(f"{n % 30},{n % 20},{n * 0.01:.2f},1\n" for n in range(50)))
    result = place("prepare", *FILES, "--columns", "x,y,t,p")
    assert result.exit_code == 3 and "expected whole µs; it looks like seconds (--time-unit s" in result.stderr
    place.ok("prepare", *FILES, "--columns", "x,y,t,p", "--time-unit", "s")
    frames = Frames.open(next((place.folder / "data_cache" / "frames").glob("*/frames.zarr")))
    assert frames.events(0)["t"].tolist() == [10_000 * n for n in range(50)] and frames.events(0)["x"][:3].tolist() == [0, 1, 2]


def test_a_dataset_that_tells_its_columns_refuses_others(place):
    result = place("prepare", "--dataset", "ebssa", "--data-root", ".", "--time-unit", "s")
    assert result.exit_code == 3 and "recordings of the dataset ebssa tell both themselves" in result.stderr


def test_windows_count_from_the_first_event_even_if_a_transform_drops_it(place):
    root = place.folder / "rec"
    root.mkdir()
    t = np.r_[np.arange(0, 100_000, 1_000), 250_000]  # one pixel, far too often; then another, once
    np.savez(root / "hot.npz", t=t, x=np.r_[np.zeros(100, int), 9], y=np.zeros(101, int), p=np.ones(101, int))
    place.ok("prepare", *FILES)
    frames = Frames.open(next((place.folder / "data_cache" / "frames").glob("*/frames.zarr")))
    start_us, windows, background = frames.windows(0)
    assert start_us.tolist() == [0, 100_000, 200_000] and windows.sum((1, 2, 3, 4)).tolist() == [0, 0, 1]
    assert background.shape[0] == 3 and frames.kept(0).sum() == 1 and len(frames.events(0)) == 101


def test_events_that_all_fall_to_the_transforms_are_told(place):
    write_events(place.folder / "rec" / "a.npz", n=40)
    result = place("prepare", *FILES, "--set", "data.transforms=[{name: DropPixel, hot_pixel_frequency: 0.001}]")
    assert result.exit_code == 3 and "none of its 40 events is left after data.transforms" in result.stderr


def test_a_file_too_long_for_memory_gives_the_same_cache(place, folder, monkeypatch):
    from spikeseg.data.readers import Columns, Stream, numpy_files
    from spikeseg.data.readers.numpy_files import stream_npz

    def content() -> dict[str, bytes]:
        root = place.folder / "data_cache" / "frames"
        return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != "manifest.json"}

    (folder / "r1.labels.csv").write_text("t_us,x,y,id\n1000,5,6,1\n")
    place.ok("prepare", *FILES)
    before, told, opened = content(), manifest_of(place), []

    def in_parts(path, layout):
        raw = stream_npz(path).whole()
        opened.append(path.name)
        return Stream(Columns(*(c[at : at + 30] for c in (raw.t, raw.x, raw.y, raw.p))) for at in range(0, len(raw.t), 30))

    monkeypatch.setattr(numpy_files, "NPZ", dataclasses.replace(numpy_files.NPZ, stream=in_parts))
    monkeypatch.setattr(prepare, "LONG_BYTES", 0)
    place.ok("prepare", *FILES, "--force")
    assert opened.count("r0.npz") == opened.count("r1.npz") == 2 and content() == before
    after = manifest_of(place)
    assert {name: after[name] for name in ("skipped", "windows", "dropped")} == {
        name: told[name] for name in ("skipped", "windows", "dropped")
    }
