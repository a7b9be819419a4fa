"""MCAP: containers laid out byte by byte, by the description of the format and by the package mcap where it is there."""

import struct
import sys

import numpy as np
import pytest
from bag_writers import (
    ARRAYS,
    TOPIC,
    array,
    channel,
    chunk,
    evt3,
    made,
    mcap_file,
    mcap_messages,
    mono,
    packet,
    packets,
    rows_of,
    schema,
    write_mcap,
)
from rewriting import rewrite
from writers import ros_message

from spikeseg.data.readers import bags, mcap, read
from spikeseg.data.readers.mcap import stream_mcap
from spikeseg.errors import InputError


def zstd(data):
    return pytest.importorskip("backports.zstd").compress(data)


def lz4(data):
    return pytest.importorskip("lz4.frame").compress(data)


DEFINITIONS = schema(1, "event_camera_msgs/msg/EventPacket") + channel(0, TOPIC)
PACKS = {"": lambda data: data, "zstd": zstd, "lz4": lz4}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rec.mcap"


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("block", [1, 7, 2**20])
def test_events_come_back(path, monkeypatch, block, pack):
    monkeypatch.setattr(bags, "BLOCK_EVENTS", block)
    rows = made()
    stream = stream_mcap(write_mcap(path, packets(rows), pack=(pack, PACKS[pack])))
    assert stream.sensor_size == (34, 34)
    assert all(0 < len(part.t) <= block for part in stream_mcap(path).parts)
    np.testing.assert_array_equal(rows_of(stream), rows)
    assert stream.left_out == {} and read(path).events["t"].tolist() == rows[:, 0].tolist()


@pytest.mark.parametrize("summary", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
def test_with_and_without_chunks_and_summary(path, summary, chunked):
    rows = made()
    data = DEFINITIONS + b"".join(mcap_messages([(0, message) for _, message in packets(rows)]))
    path.write_bytes(mcap_file(DEFINITIONS, chunk(data) if chunked else data, {0: 6}, summary))
    np.testing.assert_array_equal(rows_of(stream_mcap(path)), rows)


def test_written_by_the_package_mcap(path):
    writer = pytest.importorskip("mcap.writer")
    rows = made(500)
    with path.open("wb") as file:
        made_by = writer.Writer(file, chunk_size=2000)
        made_by.start("ros2")
        kind = made_by.register_schema("event_camera_msgs/msg/EventPacket", "ros2msg", b"")
        number = made_by.register_channel(TOPIC, "cdr", kind)
        for at, (_, message) in enumerate(packets(rows)):
            made_by.add_message(number, at, message, at)
        made_by.finish()
    np.testing.assert_array_equal(rows_of(stream_mcap(path)), rows)


def test_messages_of_ros_1(path):
    rows = made(20)
    message = packet(evt3(rows.tolist()), "evt3", cdr=False)
    write_mcap(path, [(TOPIC, message)], {TOPIC: "event_camera_msgs/EventPacket"}, encoding="ros1")
    np.testing.assert_array_equal(rows_of(stream_mcap(path)), rows)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("n", [0, 1, 2, 3, 17])
def test_event_arrays_of_ros_2(path, n, order):
    rows = made(n)
    events = [(1000 * t + 999, x, y, p) for t, x, y, p in rows.tolist()]
    write_mcap(path, [(TOPIC, array(events, order=order))], {TOPIC: ARRAYS})
    stream = stream_mcap(path)
    np.testing.assert_array_equal(rows_of(stream), rows)
    assert stream.sensor_size == (34, 34)


def test_event_arrays_of_ros_1(path):
    write_mcap(path, [(TOPIC, ros_message([(2_000, 5, 7, 1)]))], {TOPIC: "dvs_msgs/EventArray"}, encoding="ros1")
    assert rows_of(stream_mcap(path)).tolist() == [[2, 5, 7, 1]]


def test_a_topic_is_chosen_or_the_first_with_events_taken(path):
    left, right = made(30, 1), made(20, 2)
    messages = [
        ("/a/empty", packet(b"", "mono")),
        *packets(right, topic="/right"),
        *packets(left, topic="/left"),
        ("/imu", b"1234"),
    ]
    write_mcap(path, messages, {"/imu": "sensor_msgs/msg/Imu"}, per_chunk=2)
    stream = stream_mcap(path)
    np.testing.assert_array_equal(rows_of(stream), left)
    assert stream.left_out == {"messages of /a/empty": 1, "messages of /right": 2, "messages of /imu": 1}
    right_one = read(f"{path}::/right")
    assert right_one.events["t"].tolist() == right[:, 0].tolist() and right_one.name == "rec_right"
    assert right_one.dropped["messages of /left"] == 3
    with pytest.raises(InputError, match=r"no topic of events '/imu'; it has /a/empty, /left, /right"):
        read(f"{path}::/imu")


def test_triggers_and_missing_messages_are_counted(path):
    messages = [packet(mono([(1000, 1, 1, 1)]), "mono", 0, 0), packet(mono([(5, 0, 0, 1)] * 3), "trigger", 0, 1)]
    messages += [packet(mono([(9000, 2, 2, 0)]), "mono", 0, 4)]
    write_mcap(path, [(TOPIC, message) for message in messages])
    recording = read(path)
    assert recording.events["t"].tolist() == [1, 9]
    assert recording.dropped == {"external triggers": 3, "messages that are missing by their numbers": 2}


def test_events_outside_the_sensor_are_dropped_and_counted(path):
    rows = [(1000 * k, 1, 1, k % 2) for k in range(300)]
    write_mcap(path, [(TOPIC, packet(mono([*rows, (300_000, 34, 1, 1)]), "mono"))])
    assert read(path).dropped == {"outside the sensor": 1}


def test_the_sensor_must_not_change(path):
    write_mcap(path, [(TOPIC, packet(mono([(1, 1, 1, 1)]), "mono", size=size)) for size in ((34, 34), (346, 260))])
    with pytest.raises(InputError, match="a sensor of 346 x 260 after some of 34 x 34 pixels; cut the bag there, or record each"):
        read(path)


def test_packed_messages(path):
    rows = made()
    write_mcap(path, [(topic, zstd(message)) for topic, message in packets(rows)])
    np.testing.assert_array_equal(rows_of(stream_mcap(path)), rows)


@pytest.mark.parametrize("pack", ["zstd", "lz4"])
def test_a_small_chunk_that_unpacks_to_much(path, pack, monkeypatch):
    large = b"".join(mcap_messages([(0, packet(bytes(10**6), "mono"))]))
    path.write_bytes(mcap_file(DEFINITIONS, DEFINITIONS + chunk(large, pack, PACKS[pack](large), 1000), {0: 1}))
    with pytest.raises(InputError, match="more than the 1000 bytes"):
        read(path)
    monkeypatch.setattr(mcap, "MAX_CHUNK_BYTES", 10**5)
    path.write_bytes(mcap_file(DEFINITIONS, DEFINITIONS + chunk(large, pack, PACKS[pack](large)), {0: 1}))
    with pytest.raises(InputError, match=r"unpacks to 1000.*bytes; 100000 are allowed"):
        read(path)


@pytest.mark.parametrize("pack, module", [("zstd", "backports"), ("lz4", "lz4.frame")])
def test_without_the_package_the_extra_is_named(path, monkeypatch, pack, module):
    write_mcap(path, packets(made()), pack=(pack, PACKS[pack]))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"pip install 'spikeseg\[formats\]'"):
        read(path)


@pytest.mark.parametrize("pack", PACKS)
def test_every_truncation_is_noticed(path, pack):
    content = write_mcap(path, packets(made()), pack=(pack, PACKS[pack])).read_bytes()
    for size in [*range(1, len(content), 7), *range(len(content) - 60, len(content))]:
        rewrite(path, content[:size])
        with pytest.raises(InputError, match=r"rec.mcap: (truncated|is no MCAP|is in no format)"):
            read(path)


DATA = DEFINITIONS + b"".join(mcap_messages([(0, packet(b"", "mono"))]))


@pytest.mark.parametrize(
    "content, reason",
    [
        (mcap_file(DEFINITIONS, DATA, {0: 2}), "holds 1 messages, its statistics tell of 2"),
        (
            mcap_file(DEFINITIONS, DATA + b"".join(mcap_messages([(8, b"")])), {0: 2}),
            "a message of channel 8, which is not defined",
        ),
        (mcap_file(DEFINITIONS, DATA + channel(0, "/other"), {0: 1}), "channel 0 is defined twice"),
        (mcap_file(DEFINITIONS, DEFINITIONS + chunk(DATA, crc=5), {0: 1}), "a chunk does not match its checksum"),
        (mcap_file(DEFINITIONS, DEFINITIONS + chunk(DATA, size=5), {0: 1}), "unpacks to .* bytes, not to 5"),
        (mcap_file(DEFINITIONS, DEFINITIONS + chunk(DATA[:-1]), {0: 1}), "reaches beyond its chunk"),
        (
            mcap_file(DEFINITIONS, DEFINITIONS + chunk(DATA, "snappy"), {0: 1}),
            "compressed by 'snappy'; readable are lz4 and zstd",
        ),
        (mcap_file(DEFINITIONS, DEFINITIONS + struct.pack("<BQ", 5, 2**40), {0: 1}), "no record begins at byte"),
        (mcap_file(schema(1, "a/msg/B") + channel(0, "/b"), b"", {}), r"holds no topic of dvs_msgs.*its topics: /b \(a/msg/B\)"),
        (mcap_file(channel(0, "/b", 0, "json"), b"", {}), r"its topics: /b \(json unknown type\)"),
        (mcap_file(b"", b"", {}), "its topics: none"),
        (mcap_file(DEFINITIONS, DATA, {0: 1}).replace(TOPIC.encode(), TOPIC.encode().upper(), 1), "defined twice|checksum"),
    ],
)
def test_damage_is_named(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        stream_mcap(path).whole()
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("pack", PACKS)
def test_damage_loses_no_events_silently(path, pack):
    """One or two bytes changed in 500 files: the checksums find all of it but in the records' heads, which then make no sense."""
    messages = [message for one in packets(made()) for message in (one, ("/talk", b"\0\1\0\0hi"))]
    write_mcap(path, messages, {"/talk": "std_msgs/msg/String"}, pack=(pack, PACKS[pack]))
    content = path.read_bytes()
    rng = np.random.default_rng(4)
    errors = 0
    for _ in range(500):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 3)):
            damaged[at] = rng.integers(256)
        rewrite(path, damaged)
        try:
            found = rows_of(stream_mcap(path))
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            errors += 1
            continue
        np.testing.assert_array_equal(found, made())
    assert errors > 450
