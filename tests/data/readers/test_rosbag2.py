"""Bags of ROS 2 in SQLite, with and without metadata.yaml."""

import sqlite3

import numpy as np
import pytest
import yaml
from bag_writers import ARRAYS, TOPIC, array, made, mono, packet, packets, rows_of, write_db3
from rewriting import rewrite

from spikeseg.data.readers import read, rosbag2
from spikeseg.data.readers.rosbag2 import stream_rosbag2
from spikeseg.errors import InputError


def metadata(path, **about):
    (path.parent / "metadata.yaml").write_text(yaml.safe_dump({"rosbag2_bagfile_information": about}))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rec_0.db3"


def test_events_come_back(path):
    rows = made()
    stream = stream_rosbag2(write_db3(path, packets(rows)))
    assert stream.sensor_size == (34, 34)
    np.testing.assert_array_equal(rows_of(stream), rows)
    assert stream.left_out == {} and read(path).events["t"].tolist() == rows[:, 0].tolist()


def test_written_by_rosbags(tmp_path):
    """Its writer makes the tables of rosbag2's newest version, and metadata.yaml."""
    rosbags = pytest.importorskip("rosbags.rosbag2")
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    definition = "std_msgs/Header header\nuint32 height\nuint32 width\nuint64 seq\nuint64 time_base\nstring encoding\n"
    store.register(get_types_from_msg(definition + "bool is_bigendian\nuint8[] events", "event_camera_msgs/msg/EventPacket"))
    rows = made()
    for kind in rosbags.StoragePlugin:
        with rosbags.Writer(tmp_path / kind.name, version=9, storage_plugin=kind) as writer:
            connection = writer.add_connection(TOPIC, "event_camera_msgs/msg/EventPacket", typestore=store)
            for at, (_, message) in enumerate(packets(rows)):
                writer.write(connection, at, message)
        (made_file,) = (file for file in (tmp_path / kind.name).iterdir() if file.name != "metadata.yaml")
        recording = read(made_file)
        assert [list(map(int, event)) for event in recording.events.tolist()] == rows.tolist()


def test_a_name_with_marks_of_urls(tmp_path):
    path = tmp_path / "a night? 100%23 #1.db3"
    assert len(read(write_db3(path, packets(made()))).events) == 60


def test_a_topic_is_chosen(path):
    left, right = made(30, 1), made(20, 2)
    arrays = array([(1000 * t, x, y, p) for t, x, y, p in right.tolist()])
    write_db3(path, [("/right", arrays), *packets(left, topic="/left")], {"/right": ARRAYS})
    np.testing.assert_array_equal(rows_of(stream_rosbag2(path)), left)
    np.testing.assert_array_equal(rows_of(stream_rosbag2(path, "/right")), right)
    assert read(f"{path}::/right").dropped == {"messages of /left": 3}


def test_a_recorder_that_has_not_closed_its_log(path):
    """SQLite keeps the newest pages in a file beside, which is read too."""
    write_db3(path, packets(made()))
    base = sqlite3.connect(path)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("DELETE FROM messages WHERE id > 3")
    base.commit()
    assert len(read(path).events) == 30
    base.close()


@pytest.mark.parametrize(
    "about, told",
    [
        ({"files": [{"path": "rec_0.db3", "message_count": 7}], "relative_file_paths": ["rec_0.db3"]}, 7),
        ({"message_count": 9, "relative_file_paths": ["night/rec_0.db3"]}, 9),
        ({"message_count": 6, "relative_file_paths": ["rec_0.db3"]}, None),
        ({"message_count": 9, "relative_file_paths": ["rec_0.db3", "rec_1.db3"]}, None),
        ({"message_count": 9, "relative_file_paths": ["other.db3"]}, None),
        ({}, "is damaged"),
    ],
)
def test_metadata_beside(path, about, told):
    metadata(write_db3(path, packets(made())), **about)
    if told is None:
        assert len(read(path).events) == 60
        return
    message = f"holds 6 messages, metadata.yaml beside it tells of {told}" if isinstance(told, int) else told
    with pytest.raises(InputError, match=message):
        read(path)


def test_metadata_of_somebody_else_is_not_looked_at(path):
    write_db3(path, packets(made()))
    (path.parent / "metadata.yaml").write_text("camera: left\nlens: 50 mm\n")
    assert len(read(path).events) == 60


def test_metadata_cannot_run_code(path):
    write_db3(path, packets(made()))
    (path.parent / "metadata.yaml").write_text("a: !!python/object/apply:os.system ['touch /tmp/never']\n")
    with pytest.raises(InputError, match=r"metadata\.yaml: is damaged"):
        read(path)


@pytest.mark.parametrize(
    "script, reason",
    [
        ("CREATE TABLE t(a)", "is no bag of ROS 2: table topics lacks id, name, serialization_format, type"),
        (
            "CREATE TABLE topics(id, name, type, serialization_format);"
            "CREATE VIEW messages AS SELECT 1 id, 1 topic_id, x'00' data",
            "is no bag of ROS 2: table messages lacks itself",
        ),
        (
            "CREATE TABLE topics(id, name, type, serialization_format);"
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, data);"
            "INSERT INTO topics VALUES (1, '/e', 'event_camera_msgs/msg/EventPacket', 'cdr');"
            "INSERT INTO messages VALUES (1, 1, 'text')",
            "damaged: a message of topic 1 holds str",
        ),
    ],
)
def test_other_databases(path, script, reason):
    base = sqlite3.connect(path)
    base.executescript(script)
    base.close()
    with pytest.raises(InputError, match=reason) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_another_serialization(path):
    with pytest.raises(InputError, match=r"its topics: .*\(protobuf event_camera_msgs/msg/EventPacket\)"):
        read(write_db3(path, packets(made()), form="protobuf"))


def test_a_message_that_is_too_long(path, monkeypatch):
    monkeypatch.setattr(rosbag2, "MAX_MESSAGE_BYTES", 200)
    with pytest.raises(InputError, match="string or blob too big"):
        read(write_db3(path, packets(made(), 30)))


def test_every_truncation_is_noticed(path):
    content = write_db3(path, packets(made())).read_bytes()
    for size in range(1, len(content), 101):
        rewrite(path, content[:size])
        with pytest.raises(InputError, match=r"rec_0.db3: "):
            read(path)


def test_damage_loses_no_messages_silently(path):
    """One or two bytes changed in 500 bags: an error, or all messages are there, if with other numbers."""
    rows = [[(1000 * t, x, y, p)] * 10 for t, x, y, p in made(6).tolist()]
    content = write_db3(path, [(TOPIC, packet(mono(part), "mono", 0, seq)) for seq, part in enumerate(rows)]).read_bytes()
    rng = np.random.default_rng(4)
    errors = 0
    for _ in range(500):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 3)):
            damaged[at] = rng.integers(256)
        rewrite(path, damaged)
        try:
            stream = stream_rosbag2(path)
            found = len(rows_of(stream))
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            errors += 1
            continue
        assert found + sum(stream.left_out.values()) >= 60
    assert 50 < errors < 480
