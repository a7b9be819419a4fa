"""AEDAT 4, on files written here: header, packets, table of packets."""

import struct
import sys

import numpy as np
import pytest
from rewriting import rewrite
from writers import TABLE4, made4, packet4, write4

from spikeseg.data.readers import aedat4, read
from spikeseg.data.readers.aedat4 import MAGIC, _lz4_whole, stream_aedat4
from spikeseg.errors import InputError


@pytest.fixture(autouse=True)
def _aedat():
    pytest.importorskip("aedat")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rec.aedat4"


def test_events_come_back(path):
    events = made4()
    recording = read(write4(path, [packet4(events[:25]), packet4(events[25:])]))
    for field in "txy":
        np.testing.assert_array_equal(recording.events[field], events[field])
    np.testing.assert_array_equal(recording.events["p"], events["on"])
    assert recording.sensor_size == (60, 40) and recording.dropped == {}


def test_the_first_stream_of_events_is_taken(path):
    streams = [
        {"id": 0, "kind": "TRIG", "width": 0, "height": 0},
        {"id": 1, "kind": "EVTS", "width": 60, "height": 40},
        {"id": 2, "kind": "EVTS", "width": 99, "height": 99},
    ]
    mine, other = made4(10), made4(20, seed=1)
    raw = stream_aedat4(write4(path, [packet4(other, 2), packet4(mine, 1)], streams)).whole()
    assert raw.sensor_size == (60, 40)
    np.testing.assert_array_equal(raw.t, mine["t"])
    assert raw.left_out == {"packets of events, stream 2": 1}


def test_an_empty_first_stream_hides_no_other_and_streams_are_chosen(path):
    streams = [{"id": k, "kind": "EVTS", "width": 60 + k, "height": 40} for k in range(3)]
    full, last = made4(10), made4(20, seed=1)
    write4(path, [packet4(made4(0), 0), packet4(last, 2), packet4(full, 1)], streams)
    recording = read(path)
    assert recording.sensor_size == (61, 40) and recording.events["t"].tolist() == full["t"].tolist()
    recording = read(f"{path}::2")
    assert recording.sensor_size == (62, 40) and recording.events["t"].tolist() == last["t"].tolist()
    assert len(read(f"{path}::0").events) == 0
    with pytest.raises(InputError, match="has no stream of events '3'; it has 0, 1, 2"):
        read(f"{path}::3")


@pytest.mark.parametrize("block", [1, 30, 2**20])
def test_part_by_part_is_all_at_once(path, monkeypatch, block):
    monkeypatch.setattr(aedat4, "BLOCK_EVENTS", block)
    events = made4(90)
    write4(path, [packet4(events[at : at + 10]) for at in range(0, 90, 10)])
    parts = list(stream_aedat4(path).parts)
    assert all(len(part.t) <= block + 9 for part in parts)
    np.testing.assert_array_equal(np.concatenate([part.t for part in parts]), events["t"])


def test_no_events(path):
    raw = stream_aedat4(write4(path, [])).whole()
    assert raw.t.shape == raw.p.shape == (0,)
    assert len(read(path).events) == 0


def test_no_stream_of_events(path):
    write4(path, [], [{"id": 0, "kind": "TRIG", "width": 0, "height": 0}])
    with pytest.raises(InputError, match=r"no stream of events.*triggers"):
        stream_aedat4(path).whole()


def test_every_truncation_is_noticed(path):
    whole = write4(path, [packet4(made4(20)), packet4(made4(20))]).read_bytes()
    table = len(whole) - len(TABLE4)
    for size in range(len(MAGIC), table + 1, 7):
        rewrite(path, whole[:size])
        with pytest.raises(InputError, match="truncated"):
            stream_aedat4(path).whole()
    path.write_bytes(whole[:table])
    with pytest.raises(InputError, match="missing"):
        stream_aedat4(path).whole()


def test_a_recorder_that_never_closed_its_file(path):
    write4(path, [packet4(made4())], position=-1)
    with pytest.raises(InputError, match="never closed"):
        stream_aedat4(path).whole()


def test_packets_that_do_not_add_up(path):
    damaged = bytearray(packet4(made4()))
    damaged[4] ^= 0x10
    write4(path, [bytes(damaged), packet4(made4())])
    with pytest.raises(InputError, match="packets end at byte"):
        stream_aedat4(path).whole()


def test_damage_never_escapes_as_another_error(path):
    """aedat panics on some of these, and would abort on a header that is no UTF-8."""
    whole = write4(path, [packet4(made4(20))]).read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[rng.integers(len(MAGIC), len(whole))] ^= 1 << int(rng.integers(8))
        rewrite(path, damaged)
        try:
            stream_aedat4(path).whole()
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 50


def test_without_the_package_the_extra_is_named(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "aedat", None)
    with pytest.raises(InputError, match=r"spikeseg\[formats\]"):
        read(write4(path, [packet4(made4())]))


@pytest.mark.parametrize("flags", [0x40, 0x44, 0x48, 0x50, 0x5C])
def test_an_lz4_frame_is_whole_only_to_its_last_byte(flags):
    """Frames built by the format's description: two blocks, with and without sizes and checksums."""
    frame = b"\x04\x22\x4d\x18" + bytes([flags, 0x40]) + b"\0" * (8 if flags & 8 else 0) + b"\0"
    for size, mark in ((5, 0), (3, 0x80000000)):
        frame += struct.pack("<I", size | mark) + b"x" * size + b"\0" * (4 if flags & 16 else 0)
    frame += struct.pack("<I", 0) + b"\0" * (4 if flags & 4 else 0)
    assert _lz4_whole(frame)
    assert not any(_lz4_whole(frame[:size]) for size in range(len(frame)))
    assert not _lz4_whole(b"\0" + frame[1:])
