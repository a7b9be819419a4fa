"""Every command that walks a folder, over one that holds all that users have beside recordings (folder_from_hell.py)."""

import io
import json
import os
import pickle
import re
import subprocess
import sys

import folder_from_hell as hell
import numpy as np
import pytest

from spikeseg.config.load import load_config
from spikeseg.core.regular import require_content
from spikeseg.errors import InputError
from spikeseg.pipelines.stages.classify import ImageData
from spikeseg.registries import DATASETS

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs links into /proc")
PREPARED = {
    "good.csv", "good.npz", "sub_good.csv", "link.csv", "a::b.csv", " space.csv", "-dash.csv", "cost$5_$^.csv",
    'comma,"quote".csv',
    "two%0Alines.csv", "night%FF.csv", "night%FE.csv", "ünïcode.csv", "many.h5_one", "many.h5_two",
}  # fmt: skip
"""What `prepare` calls them; of the long one the beginning is left."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return hell.make(tmp_path_factory.mktemp("outside") / "hell")


def reasons(lines):
    """name -> reason, of lines "skipped name: reason"."""
    return dict(line.partition("skipped ")[2].split(": ", 1) for line in lines if "skipped " in line)


def said(skipped):
    """Whether every bad file is named with its reason, and nothing else is but the npz in truth/ that is no recording."""
    assert len(skipped) == len(hell.BAD) + 1 and any("holds boxes; expected arrays" in reason for reason in skipped.values())
    return all(any(f"{name}: " in reason and why in reason for reason in skipped.values()) for name, why in hell.BAD.items())


def test_prepare_and_train_take_what_can_be_read(place, folder):
    data = ["--dataset", "files", "--data-root", folder]
    result = place("prepare", *data)
    assert result.exit_code == 0, result.output
    assert "(16 recordings, " in result.stdout and "14 files skipped)" in result.stdout
    (path,) = (place.folder / "data_cache" / "frames").glob("*/manifest.json")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    names = set(manifest["splits"])
    (long,) = (name for name in names if name.startswith("nnnn"))
    assert names - {long} == PREPARED and len(long) == 160 and said(manifest["skipped"])
    json.dumps(manifest, ensure_ascii=False).encode()
    assert place("prepare", *data, "--strict").exit_code == 3
    assert "up to date   prepare" in place.ok("status", *data)


def test_what_cannot_be_read_travels_to_other_processes(folder):
    for entry in pickle.loads(pickle.dumps(DATASETS["files"].entries(folder))):
        if entry.path.name in hell.BAD:
            with pytest.raises(InputError, match=re.escape(hell.BAD[entry.path.name])):
                entry.load(False)
        elif entry.path.parent.name != "truth":
            assert len(entry.load(False).events) == 300


def test_info_describes_what_can_be_read(place, folder):
    result = place("info", folder, "-o", "about.json", config=False)
    assert result.exit_code == 3 and "Traceback" not in result.output
    content = json.loads((place.folder / "about.json").read_text(encoding="utf-8"))
    json.dumps(content, ensure_ascii=False).encode()
    assert len(content["recordings"]) == 16 and {one["events"] for one in content["recordings"]} == {300}
    assert said({one["source"]: one["error"] for one in content["unreadable"]})
    assert f"{folder}/two\\nlines.csv" in {one["source"] for one in content["recordings"]}


@pytest.mark.parametrize("name", ["gone.csv", "self.csv", "pipe.csv", "socket.csv", "zero.csv", "annexed.csv"])
def test_a_data_root_that_is_no_file_is_one_line(place, folder, name):
    assert hell.BAD[name] in place.refused("prepare", "--dataset", "files", "--data-root", folder / name)


def test_patterns_go_through_no_link_that_leads_back(folder):
    entries = DATASETS["files"].entries
    found = {str(entry.path.relative_to(folder)) for entry in entries(folder / "**" / "*.npz")}
    assert found == {"good.npz", "cut.npz", "truth/one.npz"}
    assert {entry.path for entry in entries(folder / "**")} == {entry.path for entry in entries(folder)} - {folder / "up"}
    assert [str(entry.path) for entry in entries(folder / "loop" / "g*d.npz")] == [f"{folder}/loop/good.npz"]


def test_a_recording_that_breaks_while_it_is_read_costs_no_other(place, folder, monkeypatch):
    """An error of the disk in the middle of a file."""
    from spikeseg.data.datasets import files

    load = files.load

    def broken(path, *given, **options):
        if path.endswith("good.csv"):
            raise OSError(5, "Input/output error", path)
        return load(path, *given, **options)

    monkeypatch.setattr(files, "load", broken)
    result = place("prepare", "--dataset", "files", "--data-root", folder)
    assert result.exit_code == 0 and "16 files skipped" in result.stdout
    assert any("Input/output error" in reason for reason in reasons(result.stderr.splitlines()).values())


def test_classify_leaves_recordings_out_that_cannot_be_read(tmp_path):
    root, rng = tmp_path / "digits", np.random.default_rng(0)
    for part in ("Train", "Test"):
        for digit in range(2):
            (root / part / str(digit)).mkdir(parents=True)
            for number in range(6):
                t = np.sort(rng.integers(0, 300_000, 400))
                x, y, p = rng.integers(17 * digit, 17 + 17 * digit, 400), rng.integers(0, 34, 400), rng.integers(0, 2, 400)
                rows = np.stack([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255], 1).astype(np.uint8)
                (root / part / str(digit) / f"{number}.bin").write_bytes(rows.tobytes())
    os.mkfifo(root / "Train" / "0" / "pipe.bin")
    (root / "Train" / "1" / "gone.bin").symlink_to("nowhere")
    (root / "Test" / "0" / "cut.bin").write_bytes(b"\0\0")
    data = ImageData(load_config(None, {"data.dataset": "nmnist", "data.data_root": str(root)}))
    train, test, _ = data.spikes("cpu")
    assert data.skipped.keys() == {"Train_0_pipe", "Train_1_gone", "Test_0_cut"} and "is a pipe" in data.skipped["Train_0_pipe"]
    for part in (train, test):
        assert part.labels.tolist() == [0] * 6 + [1] * 6 and part.lists.samples == 12
    for path in (root / "Test").rglob("*.bin"):
        path.write_bytes(b"\0\0")
    with pytest.raises(InputError, match=r"nothing of test can be read; .*bin: "):
        ImageData(data.cfg).spikes("cpu")


def test_mnist_is_found_beside_anything(place, tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    for name in ("train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        os.mkfifo(tmp_path / name)
    os.mkfifo(tmp_path / "pipe")
    line = place.refused("classify", "--dataset", "mnist", "--data-root", tmp_path, config=False)
    assert "git lfs pull" in line
    (tmp_path / "train-images-idx3-ubyte").unlink()
    os.mkfifo(tmp_path / "train-images-idx3-ubyte")
    assert "is a pipe" in place.refused("classify", "--dataset", "mnist", "--data-root", tmp_path, config=False)


def test_ebssa_names_an_archive_that_is_not_here(place, tmp_path):
    (tmp_path / "labelled_ebssa.h5").symlink_to(".git/annex/objects/a/b")
    line = place.refused("prepare", "--dataset", "ebssa", "--data-root", tmp_path)
    assert "labelled_ebssa.h5: its content is not here (git-annex); `git annex get labelled_ebssa.h5`" in line


@pytest.mark.parametrize("format", ["h5", "mat", "npz"])
def test_simulate_writes_beside_anything_and_its_truth_is_found(place, folder, format):
    out = hell.make(place.folder / "hell")
    place.ok("simulate", out, "--format", format, "--recordings", "2")
    assert place.ok("simulate", out, "--format", format, "--recordings", "2").startswith("up to date")
    place.ok("simulate", out, "--format", format, "--recordings", "1")
    if format != "npz":
        entries = {entry.name: entry for entry in DATASETS["ebssa"].entries(out)}
        assert all(entries[name].load(False).truth is not None for name in entries if name.startswith("DAVIS"))


def test_names_that_are_no_utf8_are_printed(tmp_path):
    """By a process of its own, whose output refuses what it cannot encode."""
    path = tmp_path / "a\udcff"
    path.mkdir()
    hell.csv(path / "n.csv")
    command = [sys.executable, "-m", "spikeseg", "info", str(path / "n.csv"), "-o", str(path / "about.json")]
    done = subprocess.run(command, capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"})
    assert done.returncode == 0, done.stderr
    assert f"wrote {tmp_path}/a\\udcff/about.json" in done.stdout.decode()


def test_a_message_is_one_line_of_utf8(folder):
    with pytest.raises(InputError) as caught:
        require_content(folder / "two\nlines\udcff\u2028\x1b[0m.csv")
    message = str(caught.value)
    assert r"two\nlines\xff\u2028\x1b[0m.csv: cannot be read" in message
    with io.StringIO(message) as lines:
        assert len(list(lines)) == 1
