"""HDF5 of DSEC, E2VID and Metavision, on files that h5py writes."""

import sys

import h5py
import numpy as np
import pytest
from writers import OFFSET, RECORD, dsec, e2vid, metavision

from spikeseg.data.readers import Layout, hdf5, hdf5_events, read, streamed
from spikeseg.data.readers.formats import detect
from spikeseg.data.readers.hdf5_events import stream_hdf5_events
from spikeseg.errors import InputError


def made(n=500, seed=0, size=(640, 480)):
    """(N, 4) t, x, y, p."""
    rng = np.random.default_rng(seed)
    return np.stack([np.sort(rng.integers(0, 9**7, n)), *(rng.integers(0, s, n) for s in size), rng.integers(0, 2, n)], 1)


WRITERS = {"dsec": dsec, "e2vid": e2vid, "metavision": metavision}


def rows_of(stream):
    raw = stream.whole()
    return np.stack([np.asarray(column, np.int64) for column in (raw.t, raw.x, raw.y, raw.p)], 1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rec.h5"


@pytest.mark.parametrize("block", [1, 64, 2**20])
@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "chunks": (50,)}], ids=["plain", "gzip"])
@pytest.mark.parametrize("layout", WRITERS)
def test_events_come_back(path, monkeypatch, layout, options, block):
    monkeypatch.setattr(hdf5_events, "BLOCK_EVENTS", block)
    events = made(150)
    WRITERS[layout](path, events, **options)
    assert detect(path) == "hdf5_events" and streamed(path)
    stream = stream_hdf5_events(path)
    assert stream.sensor_size == {"dsec": (640, 480), "e2vid": (640, 480), "metavision": (1280, 720)}[layout]
    assert all(0 < len(part.t) <= block for part in stream_hdf5_events(path).parts)
    np.testing.assert_array_equal(rows_of(stream), events + np.array([OFFSET * (layout == "dsec"), 0, 0, 0]))
    assert len(read(path).events) == 150


@pytest.mark.parametrize("layout", WRITERS)
def test_other_compression(path, layout):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    events = made(300)
    WRITERS[layout](path, events, chunks=(64,), **hdf5plugin.Blosc())
    np.testing.assert_array_equal(rows_of(stream_hdf5_events(path))[:, 1:], events[:, 1:])


def test_seconds_at_wall_clock_time_keep_their_microseconds(path):
    events = made(100)
    events[:, 0] += 1_700_000_000_000_000
    assert (rows_of(stream_hdf5_events(e2vid(path, events)))[:, 0] == events[:, 0]).all()


def test_triggers_are_counted(path):
    events = made(10)
    assert stream_hdf5_events(metavision(path, events, triggers=4)).left_out == {"external triggers": 4}
    assert read(path).dropped == {"external triggers": 4}


@pytest.mark.parametrize(
    "attributes, size",
    [
        ({"geometry": b"640 x 480"}, (640, 480)),
        ({"geometry": "", "width": "346", "height": np.int32(260)}, (346, 260)),
        ({"geometry": "", "sensor_resolution": [180, 240]}, (240, 180)),
        ({"geometry": "", "width": np.array([346]), "height": np.array([[260.0]])}, (346, 260)),
        ({"geometry": np.array([b"640x480"])}, (640, 480)),
        ({"geometry": ""}, None),
    ],
)
def test_sensor_sizes(path, attributes, size):
    with h5py.File(metavision(path, made(10, size=(200, 150))), "r+") as file:
        file.attrs.update(attributes)
    assert stream_hdf5_events(path).sensor_size == size


def test_dsec_without_an_offset_does_not_tell_its_sensor(path):
    with h5py.File(dsec(path, made(50)), "r+") as file:
        del file["t_offset"]
    assert stream_hdf5_events(path).sensor_size is None and rows_of(stream_hdf5_events(path))[0, 0] < 9**7


@pytest.mark.parametrize("column, value", [("x", 640), ("y", 480)])
def test_dsecs_layout_of_a_larger_sensor(path, monkeypatch, column, value):
    """As other cameras' recordings have it; the event outside is in the last block."""
    monkeypatch.setattr(hdf5_events, "BLOCK_EVENTS", 8)
    with h5py.File(dsec(path, made(50)), "r+") as file:
        file[f"events/{column}"][49] = value
    assert stream_hdf5_events(path).sensor_size is None
    assert read(path).sensor_size == (1280, 720)


def test_seconds_of_single_precision_are_multiplied_in_double(path):
    seconds = np.array([0, 20.1, 77.7, 1234.5], "<f4")
    with h5py.File(e2vid(path, made(4)), "r+") as file:
        changed(file, "events/ts", seconds)
    expected = [round(float(second) * 1e6) for second in seconds]
    assert rows_of(stream_hdf5_events(path))[:, 0].tolist() == expected


@pytest.mark.parametrize(
    "field, kind",
    [("t", "f8"), ("t", "S4"), ("x", "f4"), ("x", ("u2", (3,))), ("p", [("a", "i2")])],
)
def test_records_of_other_than_whole_numbers(path, field, kind):
    kinds = {"x": "u2", "y": "u2", "p": "i2", "t": "i8"} | {field: kind}
    records = np.zeros(3, [(name, *given) if isinstance(given, tuple) else (name, given) for name, given in kinds.items()])
    if kind == "f8":
        records["t"] = np.nan
    with h5py.File(path, "w") as file:
        file["CD/events"] = records
    with pytest.raises(InputError, match=f"CD/events: holds {field} of .*; expected whole numbers"):
        rows_of(stream_hdf5_events(path))


def test_a_chunk_that_would_fill_the_memory(path):
    """Nothing of it needs to be stored for HDF5 to set the memory aside."""
    with h5py.File(dsec(path, made(10)), "r+") as file:
        del file["events/t"]
        file.create_dataset("events/t", (2**29,), "<u4", chunks=(2**29,), compression="gzip")
        file["events/t"].id.write_direct_chunk((0,), b"small")
    with pytest.raises(InputError, match="one chunk of it takes 2147483648 bytes; save it in smaller ones"):
        stream_hdf5_events(path)


def test_a_recording_of_no_events(path):
    for write in (e2vid, metavision):
        assert len(rows_of(stream_hdf5_events(write(path, made(0))))) == 0


def test_prophesees_own_filter_is_named(path):
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_chunk((10,))
    created.set_filter(hdf5_events.ECF, h5py.h5z.FLAG_OPTIONAL, (1, 2))
    with h5py.File(metavision(path, made(10)), "r+") as file:
        kind, space = h5py.h5t.py_create(RECORD), h5py.h5s.create_simple((20,))
        del file["CD/events"]
        h5py.h5d.create(file["CD"].id, b"events", kind, space, created)
    with pytest.raises(InputError, match=r"ECF \(filter 36559\).*HDF5_PLUGIN_PATH"):
        stream_hdf5_events(path)


def test_without_hdf5plugin_the_extra_is_named(path, monkeypatch):
    hdf5plugin = pytest.importorskip("hdf5plugin")
    dsec(path, made(50), chunks=(50,), **hdf5plugin.Blosc())
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: code < 256)
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(InputError, match=r"needs hdf5plugin: pip install 'spikeseg\[formats\]'"):
        stream_hdf5_events(path)


def changed(file, name, values):
    del file[name]
    if values is not None:
        file[name] = values


def outside(file):
    del file["events/t"]
    file["events/t"] = h5py.ExternalLink("other.h5", "t")


def unwritten(file):
    del file["events/t"]
    file.create_dataset("events/t", (500,), "<u4", chunks=(100,))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda file: changed(file, "events/p", np.zeros(499)), "holds float64; expected whole numbers"),
        (lambda file: changed(file, "events/p", np.zeros(499, int)), "several lengths"),
        (lambda file: changed(file, "events/t", np.zeros((2, 250), int)), r"shape \(2, 250\)"),
        (lambda file: changed(file, "events/t", np.array([b"a"] * 500)), "expected numbers"),
        (lambda file: changed(file, "t_offset", np.zeros(2, int)), "expected one time"),
        (lambda file: changed(file, "t_offset", 1.5), "expected one time"),
        (lambda file: changed(file, "events/t", np.full(500, 2**63, np.uint64)), "reaches 9223372036854775808"),
        (outside, "link to elsewhere"),
        (unwritten, "declares 5 chunks but stores 0"),
        (lambda file: file.attrs.update({"width": "wide", "height": 3}), "width: holds 'wide'"),
        (lambda file: file.attrs.update({"sensor_resolution": [3]}), "expected height and width"),
    ],
)
def test_refused(path, change, message):
    with h5py.File(dsec(path, made(500)), "r+") as file:
        change(file)
    with pytest.raises(InputError, match=message) as caught:
        rows_of(stream_hdf5_events(path))
    assert "\n" not in str(caught.value)


def test_records_without_a_field(path):
    with h5py.File(path, "w") as file:
        file["CD/events"] = np.zeros(3, [("x", "u2"), ("y", "u2"), ("t", "i8")])
    with pytest.raises(InputError, match="has no field p"):
        stream_hdf5_events(path)


@pytest.mark.parametrize("kind", ["<u4", "<f8", "<i2"])
@pytest.mark.parametrize("options", [{}, {"chunks": (7, 4), "compression": "gzip"}, {"chunks": (5, 2)}])
def test_rows_of_v2e(path, monkeypatch, kind, options):
    monkeypatch.setattr(hdf5_events, "BLOCK_EVENTS", 9)
    events = np.array([[30 * n, n % 30, n % 20, n % 2] for n in range(50)])
    with h5py.File(path, "w") as file:
        file.create_dataset("events", data=events.astype(kind), **options)
    np.testing.assert_array_equal(rows_of(stream_hdf5_events(path)), events)
    recording = read(path)
    assert recording.sensor_size == (34, 34) and recording.events["t"].tolist() == events[:, 0].tolist()


def test_rows_with_a_size_other_columns_and_another_unit(path):
    events = np.array([[0.25 * n, n % 30, n % 20, n % 2, 7] for n in range(50)])
    with h5py.File(path, "w") as file:
        file["events"] = events[:, [1, 2, 0, 4, 3]]
        file["events"].attrs["width"], file["events"].attrs["height"] = 346, 260
    recording = read(path, layout=Layout.named("x,y,t,-,p", "s"))
    assert recording.sensor_size == (346, 260) and recording.events["t"].tolist() == [250_000 * n for n in range(50)]
    with pytest.raises(InputError, match=r"events: has shape \(50, 5\); expected \(N, 4\) with columns t, x, y, p"):
        read(path)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"data": np.zeros(5)}, r"has shape \(5,\); expected \(N, 4\)"),
        ({"data": np.zeros((5, 4), "S3")}, r"holds \|S3; expected numbers"),
        ({"shape": (5, 4), "dtype": "u4", "chunks": (2, 4)}, "declares 3 chunks but stores 0"),
        ({"shape": (2**30, 4), "dtype": "u4", "chunks": (2**28, 4)}, "one chunk of it takes"),
    ],
)
def test_rows_that_are_refused(path, options, message):
    with h5py.File(path, "w") as file:
        file.create_dataset("events", **options)
    with pytest.raises(InputError, match=message):
        read(path)


def test_damaged_text_neither_hangs_nor_crashes(path, monkeypatch):
    """HDF5 goes round for ever on a heap with an empty object, and crashes on a text of a terabyte."""
    monkeypatch.setattr(hdf5, "CPU_S", 1)
    content = metavision(path, made(10)).read_bytes()
    heap = content.index(b"GCOL")
    hangs = content[: heap + 16] + bytes(16) + content[heap + 32 :]
    at = content.index(b"geometry")
    address = content.index(heap.to_bytes(8, "little"), at)
    crashes = content[: address - 4] + b"\xff\xff\xff\x7f" + content[address:]
    for damaged in (hangs, crashes):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="attributes geometry: damaged"):
            stream_hdf5_events(path)


def test_a_process_that_is_killed_or_cannot_start_is_no_damage(path, monkeypatch):
    def killed(command, **_):
        raise hdf5.subprocess.CalledProcessError(-9, command)

    def no_room(command, **_):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    metavision(path, made(10))
    for run, message in ((killed, "was killed"), (no_room, "Resource temporarily unavailable")):
        monkeypatch.setattr(hdf5.subprocess, "run", run)
        with pytest.raises(InputError, match=rf"attributes geometry: .*{message}.*; try again") as caught:
            stream_hdf5_events(path)
        assert "damaged" not in str(caught.value)


def test_text_is_read_without_the_modules_of_the_working_directory(path, tmp_path, monkeypatch):
    metavision(path, made(10))
    (tmp_path / "json.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    assert stream_hdf5_events(path).sensor_size is not None
