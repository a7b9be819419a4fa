"""Datasets of tonic by name, on miniature ones: tonic decodes, our checks guard, its classes and its split stay."""

import os
import pickle
import urllib.request

import numpy as np
import pytest
import tonic.datasets
import tonic_folders

from spikeseg.config import load_config
from spikeseg.errors import InputError
from spikeseg.pipelines.stages.prepare import splits_of
from spikeseg.registries import DATASETS

PLAIN = ("ASLDVS", "CIFAR10DVS", "DVSGesture", "DVSLip", "NCALTECH101", "NMNIST", "POKERDVS")
"""Datasets whose samples are events and a class."""


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("would go to the network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(tonic.dataset.Dataset, "download", refuse)


def found(name, root):
    tonic_folders.FOLDERS[name](root)
    return DATASETS[f"tonic:{name}"].entries(root)


def rows(events):
    return np.stack([np.ravel(events[field]).astype(np.int64) for field in "txyp"], 1).tolist()


def theirs(name, root, monkeypatch):
    """What tonic gives when it is called by itself: events and class of every sample."""
    kind = getattr(tonic.datasets, name)
    monkeypatch.setattr(kind, "_check_exists", lambda _: True)
    for arguments in ({"train": True}, {"train": False}) if name in ("DVSGesture", "DVSLip", "NMNIST", "POKERDVS") else ({},):
        dataset = kind(str(root), **arguments)
        for at in range(len(dataset)):
            events, target = dataset[at]
            yield rows(events), target, "train" if arguments.get("train") else "test" if arguments else ""


def number(name, class_name):
    """The target by which tonic calls a class."""
    classes = getattr(getattr(tonic.datasets, name), "classes", None)
    return class_name if classes is None else classes[class_name] if isinstance(classes, dict) else classes.index(class_name)


@pytest.mark.parametrize("name", PLAIN)
def test_recordings_classes_and_parts_are_those_of_tonic(tmp_path, name, monkeypatch):
    entries = found(name, tmp_path)
    before = sorted(os.walk(tmp_path))
    entries = pickle.loads(pickle.dumps(entries))  # as for another process
    ours = [(rows(entry.load(False).events), number(name, entry.class_name), entry.part) for entry in entries]
    assert sorted(os.walk(tmp_path)) == before
    assert len(ours) >= 4 and sorted(ours, key=str) == sorted(theirs(name, tmp_path, monkeypatch), key=str)
    assert len({entry.name for entry in entries}) == len({entry.fingerprint for entry in entries}) == len(entries)
    assert [entry.path for entry in entries] == sorted(entry.path for entry in entries)


@pytest.mark.parametrize("name, size", [("DSEC", (640, 480)), ("NERDD", (1280, 720)), ("ThreeET_Eyetracking", (240, 180))])
def test_datasets_without_classes(tmp_path, name, size):
    entries = found(name, tmp_path)
    first = next(entry for entry in entries if entry.part in ("train", "")).load(False)
    given = np.stack(tonic_folders.columns(0, size), 1)
    given[:, 0] += 49_000_000_000 if name == "DSEC" else 0
    assert first.sensor_size == size and rows(first.events) == given.tolist() and first.labels is None
    assert {entry.class_name for entry in entries} == {""} and DATASETS[f"tonic:{name}"].settings is None
    parts = [entry.part for entry in entries]
    wanted = {"DSEC": ["test", "train", "train"], "NERDD": ["", ""], "ThreeET_Eyetracking": ["train", "train", "val", "val"]}
    assert sorted(parts) == wanted[name]


def test_recordings_of_bags_are_those_whose_file_is_there(tmp_path, monkeypatch):
    """tonic knows them by name; of stereo pairs the left camera is read."""
    for path in ("MVSEC/indoor_flying/indoor_flying2_data.bag", "VPR/dvs_vpr_2020-04-22-17-24-21.bag", "DAVISDATA/urban.bag"):
        tonic_folders.file(tmp_path / path).write_bytes(b"bag")
    t, x, y, p = tonic_folders.columns(3, (240, 180))
    t = t - t[0]  # as tonic counts them
    camera = {"ts": t / 1e6 + 5.0, "x": x, "y": y, "pol": p}
    still = {"ts": np.zeros(1), "frames": [np.zeros((260, 346, 1))]}
    topics = {f"/davis/{side}/{what}": still for side in ("left", "right") for what in ("imu", "image_raw", "depth_image_raw")}
    topics |= {f"/davis/{side}/depth_image_rect": still for side in ("left", "right")} | {"/davis/left/pose": still}
    topics |= {"/dvs/imu": still, "/dvs/image_raw": still}

    def bag(*_, **given):
        assert given.get("filePathOrName", _[0] if _ else "").endswith(".bag")
        other = {**camera, "x": x * 0, "ts": camera["ts"].copy()}
        left = {key: {**camera, "ts": camera["ts"].copy()} for key in ("/davis/left/events", "/dvs/events")}
        return {
            **{key: {**value, "ts": value["ts"].copy()} for key, value in topics.items()},
            **left,
            "/davis/right/events": other,
        }

    for module in ("mvsec", "davisdataset", "visual_place_recognition"):
        monkeypatch.setattr(f"tonic.datasets.{module}.importRosbag", bag)
    monkeypatch.setattr(tonic.datasets.VPR, "read_gps_file", lambda *_: None)
    for name, stem in (
        ("MVSEC", "indoor_flying_indoor_flying2_data"),
        ("VPR", "dvs_vpr_2020-04-22-17-24-21"),
        ("DAVISDATA", "urban"),
    ):
        (entry,) = DATASETS[f"tonic:{name}"].entries(tmp_path)
        events = entry.load(False).events
        assert entry.name == stem and entry.part == ""
        assert events["x"].tolist() == x.tolist() and np.abs(events["t"] - t).max() <= 1  # tonic cuts fractions off


def test_the_folder_itself_will_do_and_a_part_alone(tmp_path):
    entries = found("DVSLip", tmp_path)
    assert [entry.name for entry in DATASETS["tonic:DVSLip"].entries(tmp_path / "DVSLip")] == [entry.name for entry in entries]
    (tmp_path / "DVSLip" / "DVS-Lip" / "test").rename(tmp_path / "elsewhere")
    assert {entry.part for entry in DATASETS["tonic:DVSLip"].entries(tmp_path)} == {"train"}


def test_a_recording_that_changes_has_another_fingerprint_and_a_damaged_one_costs_no_other(tmp_path):
    for name, damaged, message in (
        ("NMNIST", "Train_7_00001", r"00001\.bin: 601 bytes is no whole number of 5-byte events; get the file again"),
        ("ASLDVS", "a_a_0001", r"0001\.mat: tonic cannot decode it \(\w+: .*\); get the file again"),
    ):
        before = {entry.name: entry.fingerprint for entry in found(name, tmp_path)}
        (path,) = (entry.path for entry in DATASETS[f"tonic:{name}"].entries(tmp_path) if entry.name == damaged)
        path.write_bytes(path.read_bytes() + b"\0" if name == "NMNIST" else path.read_bytes()[:200])
        entries = DATASETS[f"tonic:{name}"].entries(tmp_path)
        after = {entry.name: entry.fingerprint for entry in entries}
        assert [own for own in before if before[own] != after[own]] == [damaged]
        for entry in entries:
            if entry.name == damaged:
                with pytest.raises(InputError, match=message):
                    entry.load(False)
            else:
                assert len(entry.load(False).events) == 120


def test_what_tonic_gives_is_checked(tmp_path):
    """An N-MNIST pixel beyond 34: tonic hands it on."""
    t, x, y, p = tonic_folders.columns(0)
    x[:40] = 77
    tonic_folders.file(tmp_path / "NMNIST" / "Train" / "0" / "1.bin").write_bytes(tonic_folders.bin40(t, x, y, p))
    (entry,) = DATASETS["tonic:NMNIST"].entries(tmp_path)
    with pytest.raises(InputError, match="outside the sensor"):
        entry.load(False)
    assert entry.load(True).dropped == {"outside the sensor": 40}


def test_what_is_not_there_is_named_with_the_remedy(tmp_path):
    for name, file in (("DVSGesture", "ibmGestureTrain/user01_led/0.npy"), ("DVSLip", "DVS-Lip/train"), ("DSEC", "events.h5")):
        with pytest.raises(InputError) as refused:
            DATASETS[f"tonic:{name}"].entries(tmp_path)
        told = str(refused.value)
        assert told.startswith(f"{tmp_path}: holds no recordings of {name}; ") and f"in {tmp_path / name}, as " in told
        assert file in told and f"tonic.datasets.{name}('{tmp_path}'" in told
    with pytest.raises(InputError, match=r"none: not found; set data.data_root .* of tonic's NMNIST recordings"):
        DATASETS["tonic:NMNIST"].entries(tmp_path / "none")
    with pytest.raises(InputError, match=r"data\.sensor: 'DAVIS' with dataset tonic:NMNIST; only all"):
        DATASETS["tonic:NMNIST"].entries(tmp_path, sensor="DAVIS")
    tonic_folders.file(tmp_path / "DVSGesture" / "ibmGestureTrain" / "someone" / "0.npy").write_bytes(b"")
    with pytest.raises(InputError, match=r"DVSGesture: tonic cannot list DVSGesture \(ValueError"):
        DATASETS["tonic:DVSGesture"].entries(tmp_path)


@pytest.mark.parametrize(
    "name, message",
    [
        ("tonic:DVSGestur", r"must be tonic:NAME, NAME one of ASLDVS, .*; nearest: tonic:DVSGesture"),
        ("tonic:nmnist", "must be .* nearest: tonic:NMNIST"),
        ("tonic:", "must be tonic:NAME, NAME one of ASLDVS"),
        ("nmnst", "must be one of digits, ebssa, .*, tonic:NAME; nearest: nmnist"),
    ],
)
def test_a_name_that_tonic_does_not_have(name, message):
    with pytest.raises(InputError, match=f"data.dataset: found '{name}', {message}"):
        load_config("demo", {"data.dataset": name})
    with pytest.raises(InputError, match=message):
        DATASETS[name]


@pytest.mark.parametrize("name", ["SHD", "SSC", "NTIDIGITS18", "SMNIST"])
def test_datasets_that_no_camera_made_are_refused_by_what_they_are(name):
    with pytest.raises(InputError, match=f"tonic:{name}: (spoken|digits) .*not of a camera"):
        DATASETS[f"tonic:{name}"]


def test_every_dataset_of_the_installed_tonic_has_a_place_here():
    from spikeseg.data.datasets.tonic_layouts import LAYOUTS, NO_CAMERA

    assert {*tonic.datasets.__all__} <= {*LAYOUTS, *NO_CAMERA, "EBSSA"}
    assert DATASETS["tonic:EBSSA"] is DATASETS["ebssa"]
    assert len(DATASETS) == len(list(DATASETS)) and not [name for name in DATASETS if ":" in name]


def test_a_class_that_a_later_tonic_adds_is_read_as_events_and_a_class(tmp_path, monkeypatch):
    class Newer(tonic.datasets.NMNIST):
        classes = None

    monkeypatch.setattr(tonic.datasets, "Newer", Newer, raising=False)
    monkeypatch.setattr(tonic.datasets, "__all__", [*tonic.datasets.__all__, "Newer"])
    tonic_folders.FOLDERS["NMNIST"](tmp_path)
    (tmp_path / "NMNIST").rename(tmp_path / "Newer")
    entries = DATASETS["tonic:Newer"].entries(tmp_path)
    assert {(entry.class_name, entry.part) for entry in entries} == {(c, p) for c in "07" for p in ("train", "test")}


def test_prepare_keeps_to_the_split_of_the_dataset(tmp_path):
    def parts(name, **changes):
        dataset = {"data.dataset": f"tonic:{name}", "data.train_ratio": 0.5, "data.test_ratio": 0.5}
        entries = found(name, tmp_path)
        split = splits_of(load_config("demo", {**dataset, **changes}), [entry.name for entry in entries], entries)
        return [(entry.part, split[entry.name]) for entry in entries]

    poker = parts("POKERDVS")
    assert sorted({*poker}) == [("test", "test"), ("train", "train"), ("train", "val")] and poker.count(("train", "val")) == 2
    folds = parts("POKERDVS", **{"data.folds": 2, "data.fold": 1})
    assert sorted({*folds}) == [("test", "test"), ("train", "train"), ("train", "val")]
    assert sorted({*parts("ThreeET_Eyetracking")}) == [("train", "test"), ("train", "train"), ("val", "val")]
    assert {own for _, own in parts("CIFAR10DVS")} == {"train", "val", "test"}
