"""ROS bags: written by rosbags, messages built byte by byte."""

import struct
import sys

import numpy as np
import pytest
from writers import ros_message, write_bag

from spikeseg.data.readers import read, rosbag
from spikeseg.data.readers.rosbag import stream_rosbag
from spikeseg.errors import InputError


def made(n, seed=0):
    """Rows t (ns), x, y, p, at 1.6e9 s."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 5 * 10**8, n)) + 1_600_000_000 * 10**9
    return np.stack([t, rng.integers(0, 240, n), rng.integers(0, 180, n), rng.integers(0, 2, n)], 1)


def expected(events):
    found = events.copy()
    found[:, 0] //= 1000
    return found


def parted(events, length=40):
    return [ros_message(events[at : at + length].tolist()) for at in range(0, len(events), length)]


def rows_of(stream):
    raw = stream.whole()
    return np.stack([np.asarray(column, np.int64) for column in (raw.t, raw.x, raw.y, raw.p)], 1)


@pytest.fixture(autouse=True)
def _rosbags():
    pytest.importorskip("rosbags")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rec.bag"


def compressions():
    try:
        from rosbags.rosbag1 import Writer
    except ImportError:
        return [None]
    return [None, *Writer.CompressionFormat]


@pytest.mark.parametrize("compression", compressions(), ids=str)
@pytest.mark.parametrize("block", [1, 30, 2**20])
def test_events_come_back(path, monkeypatch, compression, block):
    monkeypatch.setattr(rosbag, "BLOCK_EVENTS", block)
    events = made(200)
    stream = stream_rosbag(write_bag(path, [("/dvs/events", raw) for raw in parted(events)], compression))
    assert stream.sensor_size == (240, 180)
    assert all(0 < len(part.t) <= block for part in stream_rosbag(path).parts)
    np.testing.assert_array_equal(rows_of(stream), expected(events))
    assert stream.left_out == {} and len(read(path).events) == 200


def test_hand_made_message(path):
    raw = bytes.fromhex("00000000 00000000 00000000 00000000 b4000000 f0000000 01000000  0500 0700 02000000 dc050000 01")
    assert rows_of(stream_rosbag(write_bag(path, [("/e", raw)]))).tolist() == [[2_000_001, 5, 7, 1]]


def test_other_topics_are_counted(path):
    events, imu = made(30), struct.pack("<IIII", 0, 0, 0, 0) + struct.pack("<f", 1.0)
    messages = [("/dvs/b", ros_message(made(7).tolist())), ("/a/empty", ros_message([]))]
    messages += [("/dvs/a", raw) for raw in parted(events, 10)]
    write_bag(path, [*messages, ("/temperature", imu), ("/temperature", imu)], kinds={"/temperature": "std_msgs/msg/String"})
    stream = stream_rosbag(path)
    np.testing.assert_array_equal(rows_of(stream), expected(events))
    assert stream.left_out == {"events of /dvs/b": 7, "messages of /temperature": 2}


def test_a_recording_of_no_events(path):
    stream = stream_rosbag(write_bag(path, [("/e", ros_message([])), ("/e", ros_message([]))]))
    assert len(rows_of(stream)) == 0 and stream.sensor_size == (240, 180)


@pytest.mark.parametrize(
    "messages, reason",
    [
        ([("/e", ros_message([(1, 1, 1, 1)])[:-1])], "cannot hold 1 events"),
        ([("/e", ros_message([(1, 1, 1, 1)]) + b"\0")], "cannot hold 1 events"),
        ([("/e", ros_message([])[:20])], "ends within its head"),
        ([("/e", ros_message([(1, 1, 1, 2)]))], "polarity above 1"),
        ([("/e", ros_message([])[:-4] + struct.pack("<IHHIIB", 1, 1, 1, 1, 10**9, 1))], "second of nanoseconds"),
        ([("/e", ros_message([(1, 1, 1, 1)])), ("/e", ros_message([(2, 1, 1, 1)], (346, 260)))], r"\(346, 260\) pixels after"),
    ],
)
def test_messages_that_are_damaged(path, messages, reason):
    with pytest.raises(InputError, match=reason):
        rows_of(stream_rosbag(write_bag(path, messages)))


def test_a_bag_without_events(path):
    write_bag(path, [("/talk", struct.pack("<I", 2) + b"hi")], kinds={"/talk": "std_msgs/msg/String"})
    with pytest.raises(InputError, match=r"no topic of dvs_msgs.*its topics: /talk \(std_msgs/msg/String\)"):
        stream_rosbag(path)


def test_counts_in_the_head_that_are_too_low(path):
    """rosbags would read the first chunk alone."""
    content = write_bag(path, [("/e", raw) for raw in parted(made(30))]).read_bytes()
    at = content.index(b"chunk_count=") + len(b"chunk_count=")
    assert content[at] == 1
    path.write_bytes(content[:at] + b"\0" + content[at + 1 :])
    with pytest.raises(InputError, match="holds 1 connections and 1 chunks, its head says"):
        stream_rosbag(path)


def test_every_truncation_is_noticed(path):
    """A bag ends with its index, so that there is no place at which it could be complete."""
    content = write_bag(path, [("/e", raw) for raw in parted(made(20), 10)]).read_bytes()
    for size in [*range(0, len(content), 13), *range(len(content) - 300, len(content))]:
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match="truncated or damaged bag"):
            rows_of(stream_rosbag(path))


def test_without_the_package_the_extra_is_named(path, monkeypatch):
    write_bag(path, parted(made(3)) and [("/e", ros_message([]))])
    monkeypatch.setitem(sys.modules, "rosbags.rosbag1", None)
    with pytest.raises(InputError, match=r"spikeseg\[formats\]"):
        stream_rosbag(path)
