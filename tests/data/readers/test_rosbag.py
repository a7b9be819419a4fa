"""ROS bags: written by rosbags, messages built byte by byte."""

import struct
import sys

import numpy as np
import pytest
from rewriting import rewrite
from writers import ros_message, write_bag

from spikeseg.data.readers import bags, read, rosbag
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
    monkeypatch.setattr(bags, "BLOCK_EVENTS", block)
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
    assert stream.left_out == {"messages of /dvs/b": 1, "messages of /a/empty": 1, "messages of /temperature": 2}


def test_a_recording_of_no_events(path):
    stream = stream_rosbag(write_bag(path, [("/e", ros_message([])), ("/e", ros_message([]))]))
    assert len(rows_of(stream)) == 0 and stream.sensor_size == (240, 180)


@pytest.mark.parametrize(
    "messages, reason",
    [
        ([("/e", ros_message([(1, 1, 1, 1)])[:-1])], "cannot hold 13 bytes of events"),
        ([("/e", ros_message([(1, 1, 1, 1)]) + b"\0")], "cannot hold 13 bytes of events"),
        ([("/e", ros_message([])[:20])], "ends within its fields"),
        ([("/e", ros_message([(1, 1, 1, 2)]))], "polarity above 1"),
        ([("/e", ros_message([])[:-4] + struct.pack("<IHHIIB", 1, 1, 1, 1, 10**9, 1))], "second of nanoseconds"),
        (
            [("/e", ros_message([(1, 1, 1, 1)])), ("/e", ros_message([(2, 1, 1, 1)], (346, 260)))],
            r"346 x 260 after some of 240 x 180 pixels; cut the bag",
        ),
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


@pytest.mark.parametrize("topic", [0, 1])
def test_an_index_of_a_chunk_that_is_damaged(path, topic):
    """rosbags would leave the topic's messages out."""
    messages = [("/e", raw) for raw in parted(made(90), 30)] + [("/talk", struct.pack("<I", 2) + b"hi")]
    content = bytearray(write_bag(path, messages, kinds={"/talk": "std_msgs/msg/String"}).read_bytes())
    at = content.index(b"conn=" + struct.pack("<I", topic), content.index(b"op=\x04")) + len("conn=")
    content[at] = 9
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged bag \(\d messages were found where its chunks tell of 4"):
        rows_of(stream_rosbag(path))


def test_two_infos_of_one_chunk(path):
    """rosbags would read it twice, and the other one never."""
    content = bytearray(write_bag(path, [("/e", raw) for raw in parted(made(180_000), 90_000)]).read_bytes())
    name = b"chunk_pos="
    first, second = content.index(name) + len(name), content.rindex(name) + len(name)
    content[second : second + 8] = content[first : first + 8]
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged bag \(its index tells of 2 chunks at 1 places"):
        rows_of(stream_rosbag(path))


def test_a_small_chunk_that_unpacks_to_much(path, monkeypatch):
    from rosbags.rosbag1 import Writer

    write_bag(path, [("/e", raw) for raw in parted(made(400))], Writer.CompressionFormat.BZ2)
    assert len(rows_of(stream_rosbag(path))) == 400
    monkeypatch.setattr(rosbag, "MAX_CHUNK_BYTES", 5000)
    with pytest.raises(InputError, match="unpacks to more than 5000 bytes"):
        rows_of(stream_rosbag(path))


@pytest.mark.parametrize("compression", compressions(), ids=str)
def test_damage_loses_no_events_silently(path, compression):
    """One or two bytes changed, in 700 bags of each compression, outside the 4 kB of blanks after the head: an error, or every
    event and message is there, if with other numbers."""
    talk = struct.pack("<I", 2) + b"hi"
    messages = [message for raw in parted(made(60), 10) for message in (("/e", raw), ("/talk", talk))]
    content = write_bag(path, messages, compression, {"/talk": "std_msgs/msg/String"}).read_bytes()
    places = np.r_[0:100, 4096 : len(content)]
    rng = np.random.default_rng(4)
    errors = 0
    for _ in range(700):
        damaged = bytearray(content)
        for at in rng.choice(places, rng.integers(1, 3)):
            damaged[at] = rng.integers(256)
        rewrite(path, damaged)
        try:
            stream = stream_rosbag(path)
            found = rows_of(stream)
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            errors += 1
            continue
        assert len(found) == 60 and sum(stream.left_out.values()) == 6
    print(compression, errors, "errors of 700")
    assert 200 < errors < 690


def test_every_truncation_is_noticed(path):
    """A bag ends with its index, so that there is no place at which it could be complete."""
    content = write_bag(path, [("/e", raw) for raw in parted(made(20), 10)]).read_bytes()
    for size in [*range(0, len(content), 13), *range(len(content) - 300, len(content))]:
        rewrite(path, content[:size])
        with pytest.raises(InputError, match="truncated or damaged bag"):
            rows_of(stream_rosbag(path))


def test_without_the_package_the_extra_is_named(path, monkeypatch):
    write_bag(path, parted(made(3)) and [("/e", ros_message([]))])
    monkeypatch.setitem(sys.modules, "rosbags.rosbag1", None)
    with pytest.raises(InputError, match=r"spikeseg\[formats\]"):
        stream_rosbag(path)
