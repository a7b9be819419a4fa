"""Bags for tests, laid out byte by byte: messages as ROS 1 and ROS 2 write them, MCAP files, and the SQLite of ROS 2."""

import sqlite3
import struct
import zlib

import numpy as np

MCAP = b"\x89MCAP0\r\n"
PACKETS = "event_camera_msgs/msg/EventPacket"
ARRAYS = "dvs_msgs/msg/EventArray"
TOPIC = "/event_camera/events"


class Cdr:
    """A message of ROS 2 or, packed, of ROS 1."""

    def __init__(self, cdr=True, order="<"):
        self.cdr, self.order = cdr, order
        self.body = b""

    def add(self, code, *values):
        for value in values:
            size = struct.calcsize("<" + code)
            self.body += b"\0" * (-len(self.body) % size if self.cdr else 0) + struct.pack(self.order + code, value)
        return self

    def text(self, text):
        data = text.encode() + (b"\0" if self.cdr else b"")
        self.add("I", len(data)).body += data
        return self

    @property
    def message(self):
        return (b"\0\1\0\0" if self.order == "<" else b"\0\0\0\0") * self.cdr + self.body


def packet(data, encoding, base=0, seq=0, size=(34, 34), big=0, cdr=True, order="<", frame="camera"):
    """An EventPacket whose events are these bytes."""
    head = Cdr(cdr, order).add("I", *([7] if not cdr else []), 5, 6).text(frame)
    head.add("I", size[1], size[0]).add("Q", seq, base).text(encoding).add("B", big).add("I", len(data))
    return head.message + data


def array(rows, size=(34, 34), order="<"):
    """A dvs_msgs/EventArray of ROS 2, of rows t (ns), x, y, p."""
    made = Cdr(True, order).add("I", 5, 6).text("cam").add("I", size[1], size[0], len(rows))
    for t, x, y, p in rows:
        made.add("H", x, y).add("I", t // 10**9, t % 10**9).add("B", p)
    return made.message


def mono(rows, order="<"):
    """Bytes of rows t (ns since the time base), x, y, p."""
    return b"".join(struct.pack(order + "Q", p << 63 | y << 48 | x << 32 | t) for t, x, y, p in rows)


def libcaer(rows, valid=1):
    """Bytes of rows t (µs since the time base), x, y, p."""
    return b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | valid, t) for t, x, y, p in rows)


def libcaer_cmp(rows):
    """Bytes of rows t (µs since the time base, below 2^24), x, y, p: an event a word, times told in full."""
    words = [word for t, x, y, p in rows for word in (t >> 12, 1 << 12 | t & 4095, 2 << 12 | x, 3 << 12 | p << 11 | y)]
    return struct.pack(f"<{len(words)}H", *words)


def evt3(rows):
    """Bytes of rows t (µs, below 2^24), x, y, p."""
    words = [word for t, x, y, p in rows for word in (8 << 12 | t >> 12, 6 << 12 | t & 4095, y, 2 << 12 | p << 11 | x)]
    return struct.pack(f"<{len(words)}H", *words)


def record(kind, content):
    return struct.pack("<BQ", kind, len(content)) + content


def string(text):
    return struct.pack("<I", len(text.encode())) + text.encode()


def schema(number, kind):
    return record(3, struct.pack("<H", number) + string(kind) + string("ros2msg") + string(""))


def channel(number, topic, schema_number=1, encoding="cdr"):
    return record(4, struct.pack("<HH", number, schema_number) + string(topic) + string(encoding) + string(""))


def chunk(content, compression="", packed=None, size=None, crc=None):
    crc = zlib.crc32(content) if crc is None else crc
    head = struct.pack("<QQQI", 1, 2, len(content) if size is None else size, crc) + string(compression)
    data = content if packed is None else packed
    return record(6, head + struct.pack("<Q", len(data)) + data)


def mcap_messages(messages, first=0):
    """Records of (channel, message)."""
    return [record(5, struct.pack("<HIQQ", number, k, k, k) + data) for k, (number, data) in enumerate(messages, start=first)]


def mcap_file(definitions, data, counts=None, summary=True, data_crc=True):
    """A file of records; ``definitions`` are repeated in the summary, where statistics give the counts by channel."""
    content = MCAP + record(1, string("ros2") + string("test")) + data
    content += record(15, struct.pack("<I", zlib.crc32(content) if data_crc else 0))
    start = len(content) if summary else 0
    if summary:
        told = b"".join(struct.pack("<HQ", *count) for count in (counts or {}).items())
        statistics = (
            struct.pack("<QHIIIIQQ", sum((counts or {}).values()), 1, 1, 0, 0, 1, 1, 2) + struct.pack("<I", len(told)) + told
        )
        content += definitions + record(11, statistics)
    footer = struct.pack("<BQQQ", 2, 20, start, 0)
    return content + footer + struct.pack("<I", zlib.crc32(content[start:] + footer) if summary else 0) + MCAP


def write_mcap(path, messages, kinds=None, encoding="cdr", per_chunk=3, pack=None):
    """A file of (topic, message), in chunks of some; ``pack``: (compression, function) of chunks."""
    topics = sorted({topic for topic, _ in messages} | set(kinds or {}))
    numbers = {topic: k for k, topic in enumerate(topics)}
    definitions = b"".join(
        schema(k + 1, (kinds or {}).get(topic, PACKETS)) + channel(k, topic, k + 1, encoding) for topic, k in numbers.items()
    )
    records = mcap_messages([(numbers[topic], data) for topic, data in messages])
    chunks = [b"".join(records[at : at + per_chunk]) for at in range(0, len(records), per_chunk)]
    chunks[:1] = [definitions + chunks[0]] if chunks else [definitions]
    name, pack = pack or ("", lambda data: data)
    counts = {k: sum(topic == other for other, _ in messages) for topic, k in numbers.items()}
    path.write_bytes(mcap_file(definitions, b"".join(chunk(part, name, pack(part)) for part in chunks), counts))
    return path


def write_db3(path, messages, kinds=None, form="cdr"):
    """A database of (topic, message), as rosbag2's plugin makes it."""
    path.unlink(missing_ok=True)
    base = sqlite3.connect(path)
    base.execute("PRAGMA page_size = 512")
    base.execute("CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT, qos TEXT)")
    base.execute("CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)")
    base.execute("CREATE INDEX timestamp_idx ON messages (timestamp ASC)")
    topics = sorted({topic for topic, _ in messages} | set(kinds or {}))
    for number, topic in enumerate(topics, start=1):
        base.execute("INSERT INTO topics VALUES (?, ?, ?, ?, '')", (number, topic, (kinds or {}).get(topic, PACKETS), form))
    for at, (topic, data) in enumerate(messages):
        row = (topics.index(topic) + 1, 1000 + at, data)
        base.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)", row)
    base.commit()
    base.close()
    return path


def made(n=60, seed=0):
    """Rows t (µs), x, y, p."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 5 * 10**5, n))
    return np.stack([t, rng.integers(0, 34, n), rng.integers(0, 34, n), rng.integers(0, 2, n)], 1)


def packets(rows, length=10, topic=TOPIC):
    """(topic, message) of rows, some to a message, in libcaer_cmp."""
    parts = [rows[at : at + length].tolist() for at in range(0, len(rows), length)]
    return [(topic, packet(libcaer_cmp(part), "libcaer_cmp", 0, seq)) for seq, part in enumerate(parts)]


def rows_of(stream):
    """Rows t, x, y, p of all that a stream holds."""
    raw = stream.whole()
    return np.stack([np.asarray(column, np.int64) for column in (raw.t, raw.x, raw.y, raw.p)], 1)
