"""Files of events for tests: written byte by byte from the formats' descriptions, or by other packages."""

import struct

import h5py
import numpy as np

MAGIC4 = b"#!AER-DAT4.0\r\n"

AEDAT2 = (
    b"#!AER-DAT2.0\r\n"
    b"# This is a raw AE data file - do not edit\r\n"
    b"# Data format is int32 address, int32 timestamp (8 bytes total), repeated for each event\r\n"
    b"# Timestamps tick is 1 us\r\n"
)
AEDAT3 = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DAVIS240C\r\n#Start-Time: 2026-11-23 10:00:00 (TZ+0000)\r\n#!END-HEADER\r\n"


def chip(name):
    return b"# AEChip: eu.seebetter.ini.chips.davis." + name.encode() + b"\r\n"


def record2(address, t):
    """Address and time of AEDAT 2, big endian."""
    return struct.pack(">II", address & 0xFFFFFFFF, t & 0xFFFFFFFF)


def davis2(t, x, y, p, width=240, height=180):
    """An event of a DAVIS at (x, y) from the top left."""
    return record2((height - 1 - y) << 22 | (width - 1 - x) << 12 | p << 11, t)


def dvs2(t, x, y, p):
    """An event of a DVS128 at (x, y) from the top left."""
    return record2((127 - y) << 8 | (127 - x) << 1 | (1 - p), t)


def event3(t, x, y, p, valid=1):
    """A polarity event of AEDAT 3.1, little endian; t below 2^31."""
    return struct.pack("<II", x << 17 | y << 2 | p << 1 | valid, t)


def packet3(events, kind=1, source=1, overflows=0, valid=None, size=8):
    """Events of ``size`` bytes each behind their packet's head."""
    n = len(events)
    head = struct.pack("<hhiiiiii", kind, source, size, size - 4, overflows, n, n, n if valid is None else valid)
    return head + b"".join(events)


EVENT4 = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("on", "?"), ("pad", "V3")])
INFO4 = """<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">{}</node></dv>"""
STREAM4 = """<node name="{id}" path="/mainloop/Recorder/outInfo/{id}/">
<attr key="compression" type="string">NONE</attr><attr key="typeIdentifier" type="string">{kind}</attr>
<node name="info" path="/mainloop/Recorder/outInfo/{id}/info/"><attr key="sizeX" type="int">{width}</attr>
<attr key="sizeY" type="int">{height}</attr></node></node>"""
TABLE4 = struct.pack("<I", 8) + b"\0\0\0\0FTAB"


def header4(streams, table_position):
    """An IOHeader: no compression (default), position of the table, information as XML."""
    text = INFO4.format("".join(STREAM4.format(**stream) for stream in streams)).encode()
    vtable = struct.pack("<HHHHH", 10, 20, 0, 4, 12)
    root = 8 + len(vtable) + 2
    table = struct.pack("<iqI", root - 8, table_position, 8)
    table += struct.pack("<I", 0)
    body = struct.pack("<I", root) + b"IOHE" + vtable + b"\0\0" + table + struct.pack("<I", len(text)) + text + b"\0"
    return struct.pack("<I", len(body)) + body


def packet4(events, stream=0):
    """An EventPacket: size prefix, root, identifier, vtable, table with one field, vector of events."""
    vtable = struct.pack("<HHH", 6, 8, 4)
    root = 8 + len(vtable) + 2
    gap = 4  # events lie on 8 bytes
    vector = struct.pack("<I", len(events)) + events.tobytes()
    table = struct.pack("<iI", root - 8, 4 + gap)
    body = struct.pack("<I", root) + b"EVTS" + vtable + b"\0\0" + table + b"\0" * gap + vector
    body = struct.pack("<I", len(body)) + body
    return struct.pack("<ii", stream, len(body)) + body


def made4(n=60, seed=0):
    rng = np.random.default_rng(seed)
    events = np.zeros(n, EVENT4)
    events["t"] = np.sort(rng.integers(1_600_000_000_000_000, 1_600_000_000_500_000, n))
    events["x"], events["y"], events["on"] = (
        rng.integers(0, 60, n),
        rng.integers(0, 40, n),
        rng.random(n) < 0.5,
    )
    return events


def write4(path, packets, streams=None, position=None):
    streams = streams or [{"id": 0, "kind": "EVTS", "width": 60, "height": 40}]
    length = len(header4(streams, 0))
    end = len(MAGIC4) + length + sum(map(len, packets))
    path.write_bytes(MAGIC4 + header4(streams, end if position is None else position) + b"".join(packets) + TABLE4)
    return path


DEFINITIONS = {
    "dvs_msgs/msg/Event": "uint16 x\nuint16 y\ntime ts\nbool polarity",
    "dvs_msgs/msg/EventArray": "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events",
    "event_camera_msgs/msg/EventPacket": "std_msgs/Header header\nuint32 height\nuint32 width\nuint64 seq\nuint64 time_base\n"
    "string encoding\nbool is_bigendian\nuint8[] events",
}


def ros_message(events, size=(240, 180), seq=0):
    """A dvs_msgs/EventArray of rows t (ns), x, y, p."""
    head = struct.pack("<IIII", seq, 7, 9, 3) + b"cam" + struct.pack("<III", size[1], size[0], len(events))
    return head + b"".join(struct.pack("<HHIIB", x, y, t // 10**9, t % 10**9, p) for t, x, y, p in events)


def write_bag(path, messages, compression=None, kinds=None):
    """A bag of (topic, raw message); topics are of dvs_msgs/EventArray, or as ``kinds`` says."""
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    for name, text in DEFINITIONS.items():
        store.register(get_types_from_msg(text, name))
    path.unlink(missing_ok=True)
    writer = Writer(path)
    if compression:
        writer.set_compression(compression)
    with writer:
        known = {}
        for at, (topic, raw) in enumerate(messages):
            if topic not in known:
                known[topic] = writer.add_connection(topic, (kinds or {}).get(topic, "dvs_msgs/msg/EventArray"), typestore=store)
            writer.write(known[topic], 1_000 + at, raw)
    return path


RECORD = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
OFFSET = 49_599_300_523


def dsec(path, events, **options):
    with h5py.File(path, "w") as file:
        for name, column, kind in zip("txyp", events.T, ("<u4", "<u2", "<u2", "u1"), strict=True):
            file.create_dataset(f"events/{name}", data=column.astype(kind), **options)
        file["t_offset"] = np.int64(OFFSET)
        file["ms_to_idx"] = np.searchsorted(events[:, 0], np.arange(0, events[-1, 0], 1000)).astype("<u8")
    return path


def e2vid(path, events, **options):
    with h5py.File(path, "w") as file:
        columns = (events[:, 0] / 1e6, *events[:, 1:3].T.astype("<i2"), events[:, 3].astype(bool))
        for name, column in zip(("ts", "xs", "ys", "ps"), columns, strict=True):
            file.create_dataset(f"events/{name}", data=column, **options)
        file.attrs["sensor_resolution"] = (480, 640)
    return path


def metavision(path, events, triggers=0, geometry="1280x720", **options):
    records = np.zeros(len(events), RECORD)
    for name, column in zip("txyp", events.T, strict=True):
        records[name] = column
    with h5py.File(path, "w") as file:
        file.create_dataset("CD/events", data=records, **options)
        file["CD/indexes"] = np.zeros(3, "<i8")
        file["EXT_TRIGGER/events"] = np.zeros(triggers, [("p", "<i2"), ("t", "<i8"), ("id", "<i2")])
        file.attrs["geometry"] = geometry
    return path
