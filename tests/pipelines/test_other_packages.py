"""A dataset and a reader of another package: registered by entry points, used like ours; none of our files knows of them."""

import json
import sys
import types
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from spikeseg import registry
from spikeseg.data.datasets import Dataset, Entry, fingerprint
from spikeseg.data.datasets.images import Images, ImageSet
from spikeseg.data.readers import Raw, Reader, read
from spikeseg.data.readers.formats import detect
from spikeseg.data.recording import Recording
from spikeseg.errors import InputError
from spikeseg.registries import DATASETS, READERS


def read_mine(path: Path) -> Raw:
    """A word, then t, x, y, p as text."""
    t, x, y, p = np.loadtxt(path, skiprows=1, ndmin=2).T
    return Raw(t, x, y, p, (64, 48))


def load_mine(path: str, lenient: bool) -> Recording:
    """Can be pickled."""
    return read(path, lenient=lenient)


def entries_of_mine(root: str | Path, *, sensor: str = "all") -> list[Entry]:
    """Every file of mine below the root."""
    from functools import partial

    paths = sorted(Path(root).glob("*.mine"))
    if not paths:
        raise InputError(f"{root}: holds none of mine")
    return [Entry(path.stem, path, fingerprint(path), partial(load_mine, str(path))) for path in paths]


def images_of_mine(root, options):
    """Left and right halves that are lit."""
    pixels = np.zeros((12, 8, 8), np.uint8)
    pixels[::2, :, :4], pixels[1::2, :, 4:] = 200, 200
    labels = np.arange(12) % 2
    return ImageSet(Images(pixels[:8], labels[:8]), Images(pixels[8:], labels[8:]), ("left", "right"), f"mine {options.seed}")


@pytest.fixture
def other_package(monkeypatch):
    """Installed for a test."""
    module = types.ModuleType("my_package")
    module.DATASET = Dataset(
        entries_of_mine, labelled=False, identified=lambda entries: {str(entries[0].path): "the first of mine"}
    )
    module.IMAGES = Dataset(images=images_of_mine, needs_root=False, settings="kheradpisheh2018_digits", resizes=True)
    module.READER = Reader("events of mine", read=read_mine, signatures=(b"MINE",), suffixes=(".mine",))
    monkeypatch.setitem(sys.modules, "my_package", module)
    points = [
        EntryPoint("mine", "my_package:DATASET", "spikeseg.datasets"),
        EntryPoint("halves", "my_package:IMAGES", "spikeseg.datasets"),
        EntryPoint("mine", "my_package:READER", "spikeseg.readers"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: [point for point in points if point.group == group])
    forget()
    yield
    forget()


def forget():
    """What other packages have registered is asked once a process."""
    for names in (DATASETS, READERS):
        vars(names).pop("_entry_points", None)


@pytest.fixture
def recordings(tmp_path):
    """Two files of mine."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for number in range(2):
        rng = np.random.default_rng(number)
        rows = [
            np.sort(rng.integers(0, 500_000, 300)),
            rng.integers(0, 64, 300),
            rng.integers(0, 48, 300),
            rng.integers(0, 2, 300),
        ]
        np.savetxt(folder / f"night{number}.mine", np.stack(rows, 1), fmt="%d", header="MINE", comments="")
    return folder


def test_a_reader(other_package, recordings, place, tmp_path):
    path = recordings / "night0.mine"
    assert detect(path) == "mine" and len(read(path).events) == 300
    (recordings / "unnamed").write_bytes(path.read_bytes())
    assert detect(recordings / "unnamed") == "mine"
    (recordings / "by.mine").write_text("# of no known beginning\n")
    assert detect(recordings / "by.mine") == "mine"
    lines = place.ok("info", path, config=False)
    assert "events of mine" in lines and "64 x 48" in lines
    with pytest.raises(InputError, match=r"readable: .*text \(\.csv, \.txt\), events of mine"):
        detect(Path(__file__))


def test_a_dataset_of_recordings(other_package, recordings, place):
    place.ok("prepare", "--dataset", "mine", "--data-root", recordings, config=False)
    (manifest,) = (place.folder / "data_cache" / "frames").glob("*/manifest.json")
    told = json.loads(manifest.read_text())
    assert told["recordings"] == 2 and set(told["splits"]) == {"night0", "night1"}
    assert told["files"] == {str(recordings / "night0.mine"): "the first of mine"}
    assert "holds images" in place.refused("prepare", "--dataset", "halves", "--data-root", recordings, config=False)
    assert "holds none of mine" in place.refused("prepare", "--dataset", "mine", "--data-root", place.folder, config=False)


def test_a_dataset_of_images(other_package, place):
    place.ok("classify", "--dataset", "halves", "-o", "m.json", config=False)
    metrics = json.loads((place.folder / "m.json").read_text())
    assert metrics["dataset"] == "halves" and metrics["classes"] == ["left", "right"] and metrics["accuracy"] == 1.0
    refused = place.refused("classify", "--dataset", "mine", config=False)
    assert "'mine' has no classes; spikeseg classify takes digits, images, mnist, nmnist, halves" in refused


def test_a_dataset_that_nobody_registered(other_package, place):
    refused = place.refused("prepare", "--dataset", "ours", config=False)
    assert "data.dataset" in refused and "synthetic, halves, mine" in refused
