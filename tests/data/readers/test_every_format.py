"""Every format that is read: event for event, cut off at every byte, and damaged at random.

Each file is written by independent means: another package's writer, or bytes laid out by the format's description (writers.py).
``SPIKESEG_CORRUPTIONS=10000 pytest -s tests/data/readers/test_every_format.py`` damages every format so often; by default all
of them together.
"""

import contextlib
import os
from collections import Counter

import h5py
import numpy as np
import pytest
import scipy.io
from bag_writers import TOPIC, evt3, libcaer, libcaer_cmp, packet, write_db3, write_mcap
from rewriting import rewrite
from writers import (
    AEDAT2,
    AEDAT3,
    chip,
    davis2,
    dsec,
    e2vid,
    event3,
    metavision,
    packet3,
    packet4,
    ros_message,
    write4,
    write_bag,
)

from spikeseg.data.long import iter_events
from spikeseg.data.readers import read
from spikeseg.data.readers.formats import detect
from spikeseg.errors import InputError
from spikeseg.registries import READERS

N = 24
SIZE = (34, 34)


def made():
    """(N, 4) t, x, y, p within a sensor of N-MNIST."""
    rng = np.random.default_rng(11)
    t = np.cumsum(rng.integers(0, 900, N)) + 1000
    return np.stack([t, *(rng.integers(0, side, N) for side in SIZE), rng.integers(0, 2, N)], 1)


EVENTS = made()


def faery(kind, *options, last="on", dtype="?", nested=False):
    """A writer by faery's encoders."""

    def write(path):
        extension = pytest.importorskip("faery.extension")
        rows = np.zeros(N, [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (last, dtype)])
        for column, name in enumerate(rows.dtype.names):
            rows[name] = EVENTS[:, column]
        if kind == "es":
            rows["y"] = SIZE[1] - 1 - rows["y"]  # below the layer of faery that turns y
        with getattr(extension, kind).Encoder(path, *options) as encoder:
            encoder.write({"events": rows} if nested else rows)

    return write


def mat5(path):
    td = {name: EVENTS[:, k].astype(float)[:, None] + (name in "xy") for k, name in enumerate(("ts", "x", "y", "p"))}
    scipy.io.savemat(path, {"TD": td})


def mat73(path):
    with h5py.File(path, "w") as file:
        for k, name in enumerate(("ts", "x", "y", "p")):
            file[f"TD/{name}"] = EVENTS[None, :, k] + (name in "xy")


def aedat2(path):
    path.write_bytes(AEDAT2 + chip("DAVIS240C") + b"".join(davis2(*event) for event in EVENTS.tolist()))


def aedat3(path):
    packets = (packet3([event3(*event) for event in part.tolist()]) for part in np.split(EVENTS, 4))
    path.write_bytes(AEDAT3 + b"".join(packets))


def aedat4(path):
    pytest.importorskip("aedat")
    kinds = [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("on", "?"), ("pad", "V3")]
    rows = np.zeros(N, kinds)
    for column, name in enumerate(("t", "x", "y", "on")):
        rows[name] = EVENTS[:, column]
    write4(path, [packet4(rows[:10]), packet4(rows[10:])], [{"id": 0, "kind": "EVTS", "width": 60, "height": 40}])


def bag(path):
    pytest.importorskip("rosbags")
    rows = [(1000 * t, x, y, p) for t, x, y, p in EVENTS.tolist()]
    write_bag(path, [("/dvs/events", ros_message(rows[:9])), ("/dvs/events", ros_message(rows[9:]))])


def db3(path):
    rows = EVENTS.tolist()
    write_db3(path, [(TOPIC, packet(libcaer(rows[:9]), "libcaer", 0, 0)), (TOPIC, packet(libcaer(rows[9:]), "libcaer", 0, 1))])


def mcap(path):
    rows = EVENTS.tolist()
    parts = [("libcaer_cmp", libcaer_cmp(rows[:9])), ("libcaer_cmp", libcaer_cmp(rows[9:]))]
    write_mcap(path, [(TOPIC, packet(data, encoding, 0, seq)) for seq, (encoding, data) in enumerate(parts)], per_chunk=1)


def packets_of_ros_1(path):
    pytest.importorskip("rosbags")
    rows, kind = EVENTS.tolist(), "event_camera_msgs/msg/EventPacket"
    parts = [(TOPIC, packet(evt3(part), "evt3", 0, seq, cdr=False)) for seq, part in enumerate((rows[:9], rows[9:]))]
    write_bag(path, parts, kinds={TOPIC: kind})


def v2e(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("events", data=EVENTS.astype("<u4"))


def evt21(path):
    head = b"% format EVT21;height=34;width=34;endianness=little\n% end\n"
    rows = [(8 << 60 | t >> 6 << 32, p << 60 | (t & 63) << 54 | x << 43 | y << 32 | 1) for t, x, y, p in EVENTS.tolist()]
    path.write_bytes(head + np.array(rows, "<u8").tobytes())


def nmnist(path):
    t, x, y, p = EVENTS.T
    columns = (x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255)
    path.write_bytes(np.stack(columns, 1).astype(np.uint8).tobytes())


def text(path):
    path.write_text("t,x,y,p\n" + "".join(f"{t},{x},{y},{p}\n" for t, x, y, p in EVENTS.tolist()))


def record_dtype(names="txyp"):
    return np.rec.fromarrays(list(EVENTS.T), names=",".join(names))


# name: (file name, format, writer, whether a cut can leave a shorter recording)
FILES = {
    "EBSSA .mat v5": ("a.mat", "mat5", mat5, False),
    "EBSSA HDF5": ("a.mat", "hdf5", mat73, False),
    "DSEC": ("a.h5", "hdf5_events", lambda path: dsec(path, EVENTS), False),
    "E2VID": ("a.h5", "hdf5_events", lambda path: e2vid(path, EVENTS), False),
    "Metavision HDF5": ("a.hdf5", "hdf5_events", lambda path: metavision(path, EVENTS, geometry=np.bytes_("1280x720")), False),
    "v2e": ("a.h5", "hdf5_events", v2e, False),
    "AEDAT 2": ("a.aedat", "aedat2", aedat2, True),
    "AEDAT 3.1": ("a.aedat", "aedat3", aedat3, True),
    "AEDAT 4": ("a.aedat4", "aedat4", aedat4, False),
    ".dat": ("a.dat", "dat", faery("dat", "dat2", "cd", False, SIZE, last="payload", dtype="u1"), True),
    "EVT 2.0": ("a.raw", "evt2", faery("evt", "evt2", False, SIZE, True, nested=True), True),
    "EVT 2.1": ("a.raw", "evt21", evt21, True),
    "EVT 3.0": ("a.raw", "evt3", faery("evt", "evt3", False, SIZE, True, nested=True), True),
    ".es": ("a.es", "es", faery("es", "dvs", False, SIZE), True),
    "ROS 1 bag": ("a.bag", "rosbag", bag, False),
    "ROS 1 bag of packets": ("a.bag", "rosbag", packets_of_ros_1, False),
    "ROS 2 bag": ("a.db3", "rosbag2", db3, False),
    "MCAP": ("a.mcap", "mcap", mcap, False),
    "N-MNIST": ("a.bin", "nmnist", nmnist, True),
    ".npz": ("a.npz", "npz", lambda path: np.savez(path, **dict(zip("txyp", EVENTS.T, strict=True))), False),
    ".npy": ("a.npy", "npy", lambda path: np.save(path, record_dtype()), False),
    "text": ("a.csv", "text", text, True),
}  # fmt: skip


@pytest.fixture(params=FILES)
def given(request, tmp_path):
    """(name, path, whether a cut can leave a shorter recording), the file written."""
    name, _, write, shorter = FILES[request.param]
    write(tmp_path / name)
    return request.param, tmp_path / name, shorter


def rows_of(recording):
    return np.stack([recording.events[name].astype(np.int64) for name in "txyp"], 1)


def test_every_format_is_in_the_table():
    assert {kind for _, kind, _, _ in FILES.values()} == set(READERS)


def test_event_for_event(given):
    name, path, _ = given
    recording = read(path)
    expected = EVENTS + np.array([rows_of(recording)[0, 0] - EVENTS[0, 0] if name == "DSEC" else 0, 0, 0, 0])
    np.testing.assert_array_equal(rows_of(recording), expected)
    assert recording.dropped == {} and detect(path) == FILES[name][1]


@pytest.mark.parametrize("name", ["n\udcff", "two\nlines", "a::b", "100% #1 ?", "n" * 240], ids=ascii)
def test_the_name_of_the_file_does_not_matter(given, name):
    """Bytes that are no UTF-8, ends of lines, what URIs and we ourselves give a meaning to; sound or cut."""
    _, path, _ = given
    expected, content = rows_of(read(path)), path.read_bytes()
    other = path.rename(path.with_name(f"{name}{path.suffix}"))
    np.testing.assert_array_equal(rows_of(read(other)), expected)
    np.testing.assert_array_equal(np.concatenate(list(iter_events(other)))["t"], expected[:, 0])
    other.write_bytes(content[: len(content) // 2])
    with contextlib.suppress(InputError):
        read(other)


def test_cut_off_at_every_byte(given):
    """An error, or, where a format does not tell how much there is, the events of the bytes that are left: never others."""
    name, path, shorter = given
    whole, content = rows_of(read(path)), path.read_bytes()
    outcomes = Counter()
    for size in range(len(content)):
        rewrite(path, content[:size])
        try:
            found = rows_of(read(path))
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error), error
            outcomes["error"] += 1
            continue
        outcomes["shorter recording"] += 1
        same = whole[: len(found)]
        if name == "text" and len(found):  # the last number may have lost digits
            found, same = found[:-1], same[:-1]
        np.testing.assert_array_equal(found, same)
    print(f"\n{name:<16} cut at {len(content)} bytes: {dict(outcomes)}", end="")
    assert (outcomes["shorter recording"] > 0) == shorter and outcomes["error"] > 0


TIMES = int(os.environ.get("SPIKESEG_CORRUPTIONS", 10_000 // len(FILES) + 1))


def test_damaged_at_random(given):
    """One to four bytes changed: an error, a reading with what was dropped counted, or what the bytes now say."""
    name, path, _ = given
    whole, content = rows_of(read(path)), path.read_bytes()
    rng = np.random.default_rng(len(content))
    outcomes = Counter()
    for _ in range(TIMES):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 5)):
            damaged[at] = rng.integers(256)
        rewrite(path, damaged)
        try:
            recording = read(path)
        except InputError as error:
            assert str(error).startswith(f"{path}") and "\n" not in str(error), error
            outcomes["error"] += 1
            continue
        found = rows_of(recording)
        width, height = recording.sensor_size
        assert (np.diff(found[:, 0]) >= 0).all()
        assert ((found[:, 1:3] >= 0) & (found[:, 1:3] < (width, height))).all()
        changed = found.shape != whole.shape or (found != whole).any()
        outcomes["counted" if recording.dropped else "as the bytes say" if changed else "unchanged"] += 1
    print(f"\n{name:<16} damaged {TIMES} times: {dict(outcomes)}", end="")
    assert outcomes["error"] > 0
