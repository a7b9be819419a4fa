"""npy and npz: layouts that are read, and files that lie about themselves."""

import io
import zipfile

import numpy as np
import pytest
from rewriting import rewrite

from spikeseg.data.readers import Layout, numpy_files, read
from spikeseg.data.readers.numpy_files import read_npz_arrays, stream_npz
from spikeseg.errors import InputError

N = 60


def columns():
    rng = np.random.default_rng(0)
    return {
        "t": np.sort(rng.integers(0, 90_000, N)),
        "x": rng.integers(0, 200, N).astype(np.int16),
        "y": rng.integers(0, 170, N).astype(np.int16),
        "p": rng.random(N) < 0.5,
    }


def structured(names="xytp"):
    data = columns()
    events = np.empty(N, [(name, data[field].dtype) for name, field in zip(names, "xytp", strict=True)])
    for name, field in zip(names, "xytp", strict=True):
        events[name] = data[field]
    return events


def assert_same(recording):
    for field, values in columns().items():
        np.testing.assert_array_equal(recording.events[field], values)
    assert recording.sensor_size == (240, 180)


def test_npz_of_columns(tmp_path):
    np.savez(tmp_path / "a.npz", **columns())
    assert_same(read(tmp_path / "a.npz"))


def test_npz_compressed_with_other_names(tmp_path):
    data = columns()
    named = {
        "timestamp": data["t"],
        "X": data["x"],
        "Y": data["y"],
        "polarity": data["p"],
        "other": np.ones((2, 2)),
    }
    np.savez_compressed(tmp_path / "a.npz", **named)
    assert_same(read(tmp_path / "a.npz"))


def test_npz_of_one_array_and_a_sensor_size(tmp_path):
    np.savez(tmp_path / "a.npz", events=structured(), sensor_size=np.array([640, 480]))
    assert read(tmp_path / "a.npz").sensor_size == (640, 480)
    assert read(tmp_path / "a.npz", sensor_size=(300, 300)).sensor_size == (300, 300)


def test_npy_structured_as_tonic_orders_it(tmp_path):
    np.save(tmp_path / "a.npy", structured())
    assert_same(read(tmp_path / "a.npy"))
    np.save(tmp_path / "b.npy", structured(["x", "y", "ts", "pol"]))
    assert_same(read(tmp_path / "b.npy"))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<i8", "<f8", ">i4"])
def test_npy_plain(tmp_path, order, dtype):
    data = columns()
    np.save(tmp_path / "a.npy", np.asarray(np.stack([data[f] for f in "txyp"], 1), dtype=dtype, order=order))
    assert_same(read(tmp_path / "a.npy"))


def test_format_goes_by_content_before_name(tmp_path):
    with open(tmp_path / "a.dat", "wb") as file:
        np.savez(file, **columns())
    assert_same(read(tmp_path / "a.dat"))


@pytest.mark.parametrize("array", [np.ones(5), np.ones((5, 3)), np.zeros(5, [("t", int), ("x", int)]), np.array("s")])
def test_other_arrays_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match="columns t, x, y, p"):
        read(tmp_path / "a.npy")


def test_npz_of_something_else_names_what_it_holds(tmp_path):
    np.savez(tmp_path / "a.npz", weights=np.ones(3))
    with pytest.raises(InputError, match="holds weights"):
        read(tmp_path / "a.npz")


@pytest.mark.parametrize("size", [np.array([1, 2, 3]), np.array([2.0, 3.0])])
def test_npz_with_an_odd_sensor_size(tmp_path, size):
    np.savez(tmp_path / "a.npz", **columns(), sensor_size=size)
    with pytest.raises(InputError, match="sensor_size"):
        read(tmp_path / "a.npz")


class Bomb:
    """Unpickling this writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_is_unpickled(tmp_path):
    bomb = np.array([Bomb(tmp_path / "ran")], object)
    np.save(tmp_path / "a.npy", bomb, allow_pickle=True)
    np.savez(tmp_path / "b.npz", t=bomb, x=[1], y=[1], p=[1])
    for name in ("a.npy", "b.npz"):
        with pytest.raises(InputError, match="objects"):
            read(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_terabytes_in_a_small_file(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 4)})
    (tmp_path / "a.npy").write_bytes(stream.getvalue() + bytes(64))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("events.npy", stream.getvalue() + bytes(64))
    for name in ("a.npy", "b.npz"):
        with pytest.raises(InputError, match="header declares 351843720"):
            read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.npy", "b.npz", "c.npz"])
def test_every_truncation_is_noticed(tmp_path, name):
    np.save(tmp_path / "a.npy", structured())
    np.savez(tmp_path / "b.npz", **columns())
    np.savez_compressed(tmp_path / "c.npz", **columns())
    path = tmp_path / name
    whole = path.read_bytes()
    for size in range(6, len(whole), 5):
        rewrite(path, whole[:size])
        with pytest.raises(InputError, match="truncated"):
            read(path)


def test_bytes_beyond_the_array_are_noticed(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, structured())
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InputError, match="declares"):
        read(path)


def test_checksums_are_verified(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **columns())
    whole = bytearray(path.read_bytes())
    at = whole.find(columns()["x"].tobytes())
    assert at > 0
    whole[at + 10] ^= 1
    path.write_bytes(whole)
    with pytest.raises(InputError, match="CRC"):
        read(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")
def test_damaged_headers_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, structured())
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(6, 128)] = int(rng.integers(256))
        rewrite(path, damaged)
        try:
            read(path)
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 150


def test_named_arrays_must_be_there(tmp_path):
    np.savez(tmp_path / "a.npz", t=np.arange(3))
    assert list(read_npz_arrays(tmp_path / "a.npz", ("t",))) == ["t"]
    with pytest.raises(InputError, match="no array source"):
        read_npz_arrays(tmp_path / "a.npz", ("t", "source"))


@pytest.mark.parametrize("step", [1, 3, 100])
@pytest.mark.parametrize("kind", ["structured", "plain", "fortran", "empty", "floats"])
def test_npy_part_by_part_is_npy_at_once(tmp_path, monkeypatch, step, kind):
    table = np.stack([np.arange(10) * 5, np.arange(10), np.arange(10) % 3, np.arange(10) % 2], 1)
    array = {"plain": table, "fortran": np.asfortranarray(table), "empty": table[:0], "floats": table * 1.0}.get(kind)
    if array is None:
        array = np.zeros(10, [("p", "?"), ("x", "<u2"), ("y", "<i4"), ("timestamp", "<u8")])
        array["timestamp"], array["x"], array["y"], array["p"] = table.T
    np.save(tmp_path / "a.npy", array)
    monkeypatch.setattr(numpy_files, "BLOCK_EVENTS", step)
    parts = list(numpy_files.stream_npy(tmp_path / "a.npy").parts)
    assert len(parts) == (1 if kind == "fortran" else max(1, -(-len(array) // step)))
    whole = numpy_files.read_npy(tmp_path / "a.npy")
    for name in "txyp":
        got, want = np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name)
        assert got.dtype == want.dtype and np.array_equal(got, want)


@pytest.mark.parametrize("step", [1, 7, N, 2**20])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_part_by_part_is_npz_at_once(tmp_path, monkeypatch, step, save):
    monkeypatch.setattr(numpy_files, "BLOCK_EVENTS", step)
    save(tmp_path / "a.npz", **columns())
    parts = list(stream_npz(tmp_path / "a.npz").parts)
    assert len(parts) == -(-N // step)
    for name, column in columns().items():
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), column)


def test_npz_of_columns_of_several_lengths_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", **{**columns(), "p": np.ones(N - 1)})
    with pytest.raises(InputError, match=str(N - 1)):
        read(tmp_path / "a.npz")


def test_npy_that_shrinks_while_it_is_read_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((50, 4), int))
    stream = numpy_files.stream_npy(tmp_path / "a.npy")
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:-9])
    with pytest.raises(InputError, match=r"truncated at byte \d+"):
        list(stream.parts)


def test_npy_of_nothing_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(10**6, [("t", "V0"), ("x", "V0"), ("y", "V0"), ("p", "V0")]))
    with pytest.raises(InputError):
        numpy_files.stream_npy(tmp_path / "a.npy").whole()


@pytest.mark.parametrize("unit, factor", [("s", 1e-6), ("ms", 1e-3), ("ns", 1000)])
@pytest.mark.parametrize("form", ["npz", "one array in npz", "npy", "fields"])
def test_columns_and_unit_of_the_user(tmp_path, form, unit, factor):
    t = np.arange(5) * 7 + 1_700_000_000_000_000
    times = t * factor if unit == "ns" else t.astype(float) * factor
    columns = dict(t=times, x=np.arange(5), y=np.arange(5) + 10, p=np.arange(5) % 2)
    layout = Layout.named("x,y,t,p" if form in ("one array in npz", "npy") else None, unit)
    path = tmp_path / ("a.npz" if "npz" in form else "a.npy")
    array = np.stack([np.asarray(columns[name], float if unit != "ns" else np.int64) for name in "xytp"], 1)
    if form == "npz":
        np.savez(path, **columns)
    elif form == "one array in npz":
        np.savez(path, events=array)
    else:
        np.save(path, array if form == "npy" else np.rec.fromarrays(list(columns.values()), names="t,x,y,p"))
    events = read(path, layout=layout).events
    assert events["t"].tolist() == t.tolist() and events["y"].tolist() == [10, 11, 12, 13, 14]


def test_an_array_of_other_columns_than_the_user_names(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 4)))
    with pytest.raises(InputError, match=r"or a plain array \(N, 5\) with columns t, -, x, y, p"):
        read(tmp_path / "a.npy", layout=Layout.named("t,-,x,y,p", "us"))


def test_times_that_no_unit_can_mean(tmp_path):
    np.save(tmp_path / "a.npy", np.full((3, 4), 2**62))
    with pytest.raises(InputError, match=r"a.npy: events.t: reaches 4611686018427387904 s; damaged, or of another unit"):
        read(tmp_path / "a.npy", layout=Layout.named(None, "s"))


def test_shapes_are_told_as_they_are(tmp_path):
    for array in (np.zeros((4, 9)), np.asfortranarray(np.zeros((4, 9)))):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(InputError, match=r"array \(4, 9\) of float64"):
            read(tmp_path / "a.npy")
