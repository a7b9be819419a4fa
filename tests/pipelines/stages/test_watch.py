"""`watch`: what arrives in a folder, whatever happens meanwhile, ends as one undisturbed `detect` of that folder."""

import io
import json
import os
import signal

import folder_from_hell as hell
import numpy as np
import pytest

from spikeseg.core import interrupts
from spikeseg.data.readers import read as read_recording
from spikeseg.pipelines.stages import detect as stage
from spikeseg.pipelines.stages import watch


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the program handles it."""


@pytest.fixture
def read(monkeypatch):
    """Names of the recordings that are read, as it goes."""
    names, read_source = [], stage.read_source

    def noted(cfg, source):
        names.append(source.name)
        return read_source(cfg, source)

    monkeypatch.setattr(stage, "read_source", noted)
    return names


@pytest.fixture
def during(monkeypatch):
    """``during(act, ...)``: what happens in the folder between the looks, one after the other; then Ctrl-C comes."""

    def plan(*acts):
        left = iter(acts)

        def wait(seconds):
            assert seconds == 7
            act = next(left, None)
            if act is None:
                raise KeyboardInterrupt
            act()

        monkeypatch.setattr(watch, "_wait", wait)

    return plan


def nothing():
    """Happens."""


@pytest.fixture(scope="module")
def nights(chain):
    """Files of five recordings in which something is tracked, and the first half of the first one's events."""
    (path,) = chain.folder.glob("data_cache/simulated/*/EBSSA/labelled_ebssa.h5")
    events = [read_recording(f"{path}::DAVIS_{number:04}").events for number in range(5)]
    files = []
    for columns in (*events, events[0][: len(events[0]) // 2]):
        file = io.BytesIO()
        np.savez(file, **{name: columns[name] for name in "txyp"}, sensor_size=np.array([240, 180]))
        files.append(file.getvalue())
    return files


ALL = ("--set", "tracking.object_threshold=0")
"""Every track is an object."""


def contents(folder):
    """Every file of a folder but the manifests."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if "manifest" not in path.name}


def skipped(result):
    """What is named in the log as not readable."""
    return [line.partition("skipped ")[2].partition(":")[0] for line in result.stderr.splitlines() if "skipped " in line]


def done(result):
    """Of the log the lines of what is done."""
    return [line for line in result.stderr.splitlines() if line.endswith((" objects", " object"))]


def test_what_arrives_is_done_whatever_happens_and_ends_as_one_undisturbed_detect(
    chain, tmp_path, monkeypatch, nights, during, read
):
    folder, out = tmp_path / "incoming", tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    words = ["watch", folder, "-o", out, "--every", "7", *ALL]
    tables = []

    def a_is_there_and_half_of_b():
        (folder / "a.npz").write_bytes(nights[1])
        (folder / "b.npz").write_bytes(nights[2][:90])

    def b_is_finished():
        (folder / "b.npz").write_bytes(nights[2])

    def c_comes_under_another_name():
        assert read == ["a"]  # b has changed since the last look
        tables.append((out / "objects.csv").read_bytes())
        (folder / "c.part").write_bytes(nights[3])

    def c_is_renamed():
        assert read == ["a", "b"]
        (folder / "c.part").rename(folder / "c.npz")

    def two_more_and_a_bad_one():
        assert read == ["a", "b", "c"]  # it was complete under its other name
        for name, content in (("d", nights[5]), ("bad", nights[0][:90]), ("sub/e", nights[4])):
            (folder / f"{name}.npz").write_bytes(content)

    during(a_is_there_and_half_of_b, b_is_finished, c_comes_under_another_name, c_is_renamed, two_more_and_a_bad_one, nothing)
    make = stage.Place.make

    def killed(place, ingredients, *given):
        if ingredients.stage == "e.detect":
            raise Killed
        return make(place, ingredients, *given)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(stage.Place, "make", killed)
        chain(*words)
    assert read == ["a", "b", "c", "bad", "d", "e"]

    read.clear()
    during(nothing, lambda: (folder / "d.npz").write_bytes(nights[0]), nothing, nothing)  # d has grown
    result = chain(*words)
    assert result.exit_code == 130 and read == ["e", "d"] and skipped(result) == []

    read.clear()
    during(nothing)
    assert chain(*words, "--once", "--log-level", "WARNING").output == "" and read == []

    chain.ok("detect", folder, "-o", tmp_path / "undisturbed", *ALL)
    assert contents(out) == contents(tmp_path / "undisturbed")
    objects = (out / "objects.csv").read_bytes()
    assert 1 < tables[0].count(b"\n") < objects.count(b"\n") and objects.startswith(tables[0])
    read.clear()
    assert chain.ok("detect", folder, "-o", out, *ALL).splitlines()[-1].startswith("up to date")
    assert read == ["bad"]  # which detect tries each time


def test_a_bad_recording_is_tried_again_when_it_has_changed_and_by_detect_alone(chain, tmp_path, during, read):
    folder, out = tmp_path / "incoming", tmp_path / "out"
    folder.mkdir()
    sound = hell.npz(folder / "a.npz", 1).read_bytes()
    (folder / "b.npz").write_bytes(sound[:90])

    def is_whole():
        (folder / "b.npz").write_bytes(sound)

    during(nothing, nothing, is_whole, nothing, nothing)
    result = chain("watch", folder, "-o", out, "--every", "7")
    assert result.exit_code == 130 and read == ["a", "b", "b"] and skipped(result) == ["b"]
    assert list(json.loads((out / "detect.manifest.json").read_text())["recordings"]) == ["a", "b"]


def test_whatever_a_recording_does_to_the_program_the_others_are_done(chain, tmp_path, monkeypatch, during):
    folder = tmp_path / "incoming"
    folder.mkdir()
    for seed, name in enumerate("abc"):
        hell.npz(folder / f"{name}.npz", seed)
    (folder / "lost.raw").symlink_to(tmp_path / "nowhere")
    read_source = stage.read_source

    def fails(cfg, source):
        if source.name == "b":
            raise ZeroDivisionError("division by zero")
        return read_source(cfg, source)

    monkeypatch.setattr(stage, "read_source", fails)
    during(nothing)
    result = chain("watch", folder, "-o", tmp_path / "out", "--every", "7", "--once")
    assert result.exit_code == 0 and "skipped b: ZeroDivisionError: division by zero" in result.stderr
    assert sorted(skipped(result)) == ["b", "lost"] and len(done(result)) == 2


def test_nothing_but_bad_ones_leaves_no_tables_and_an_empty_or_absent_folder_is_waited_for(chain, tmp_path, during):
    folder, out = tmp_path / "incoming", tmp_path / "out"
    folder.mkdir()
    during(
        nothing, lambda: (folder / "a.npz").write_bytes(b"none"), nothing, lambda: os.rename(folder, tmp_path / "away"), nothing
    )
    result = chain("watch", folder, "-o", out, "--every", "7")
    assert result.exit_code == 130 and skipped(result) == ["a"] and not list(out.glob("*.csv"))
    assert result.stderr.count("is not there any more; waiting for it") == 1


def test_what_is_removed_leaves_the_tables_and_what_lies_in_the_output_is_no_recording(chain, tmp_path, during, read):
    folder = tmp_path / "incoming"
    out = folder / "out"
    folder.mkdir()
    for seed, name in enumerate("ab"):
        hell.npz(folder / f"{name}.npz", seed)
    out.mkdir()
    hell.npz(out / "stray.npz", 0)  # as one that was killed while it put its files into place
    during(nothing, (folder / "a.npz").unlink, nothing)
    assert chain("watch", folder, "-o", out, "--every", "7").exit_code == 130 and read == ["a", "b"]
    assert list(json.loads((out / "detect.manifest.json").read_text())["recordings"]) == ["b"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none", "-o", "out"], "none: no such folder"),
        (["tiny.yaml", "-o", "out"], "tiny.yaml: is a file; name the folder"),
        ([".", "-o", "."], "--output .: recordings arrive in .; name a folder of its own"),
        (["runs", "-o", "."], "--output .: recordings arrive in runs; name"),
    ],
)
def test_folders_that_do_not_serve_are_refused(chain, words, told):
    assert told in chain.refused("watch", *words)


def test_the_wait_between_looks_ends_with_a_signal():
    with interrupts.held_back():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            watch._wait(3)


def test_without_a_network_it_says_which_there_are(place):
    assert "name one with --network; nights and scenes come with the package" in place.refused("watch", ".", "-o", "../out")


def test_usage(chain, tmp_path):
    assert chain("watch", tmp_path).exit_code == 2 and chain("watch", tmp_path, "-o", "out", "--force").exit_code == 2


def test_a_dry_run_says_what_is_next_waits_for_nothing_and_does_nothing(chain, tmp_path, during):
    hell.npz(tmp_path / "a.npz", 1)
    during()
    said = chain.ok("watch", tmp_path, "-o", tmp_path / "out", "--dry-run")
    assert "would run the stage a.detect" in said and not (tmp_path / "out").exists()
