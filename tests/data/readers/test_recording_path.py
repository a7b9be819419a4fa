"""``FILE::NAME``: one rule, also for files whose own names hold the separator."""

import numpy as np
import pytest

from spikeseg.data.readers import read
from spikeseg.data.readers.recording_path import RecordingPath, recording_path
from spikeseg.errors import InputError


def npz(path):
    with path.open("wb") as file:
        np.savez(file, t=[0, 5], x=[1, 2], y=[3, 4], p=[0, 1])
    return path


def test_a_file_is_itself_and_needs_no_name(tmp_path):
    file = npz(tmp_path / "a::b.npz")
    assert recording_path(file) == recording_path(str(file)) == RecordingPath(str(file))
    recording = read(file)
    assert (recording.name, len(recording.events)) == ("a::b", 2)


def test_a_name_after_the_file(tmp_path):
    file = npz(tmp_path / "labelled.h5")
    for name in ("DAVIS_1", "a name", "1"):
        path = recording_path(f"{file}::{name}")
        assert path == (str(file), name) and path.name == name and str(path) == f"{file}::{name}"


def test_a_topic_is_named_with_its_bag(tmp_path):
    file = npz(tmp_path / "night.mcap")
    assert recording_path(f"{file}::/camera/events").name == "night_camera_events"


def test_the_last_separator_behind_a_file_counts(tmp_path):
    first, second = npz(tmp_path / "a"), npz(tmp_path / "a::b")
    assert recording_path(f"{second}::c") == (str(second), "c")
    second.unlink()
    assert recording_path(f"{first}::b::c") == (str(first), "b::c")


def test_a_folder_with_the_separator_is_a_folder(tmp_path):
    folder = tmp_path / "a::b"
    folder.mkdir()
    assert recording_path(folder) == (str(folder), "")
    file = npz(folder / "c.npz")
    assert recording_path(file).name == "c" and recording_path(f"{file}::d") == (str(file), "d")


def test_what_is_missing_is_named_as_it_was_given(tmp_path):
    text = f"{tmp_path / 'none.h5'}::DAVIS_1"
    assert recording_path(text) == (text, "")
    with pytest.raises(InputError, match=r"none\.h5::DAVIS_1: cannot be read \(No such file"):
        read(text)
