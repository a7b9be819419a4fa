"""Times that cannot be µs of one recording, in all readers that leave the unit open."""

import warnings

import h5py
import numpy as np
import pytest

from spikeseg.data.long import iter_events
from spikeseg.data.readers import Layout, read
from spikeseg.errors import InputError

UNIX_S = 1_700_000_000
SPREAD = np.arange(300) * 1000  # µs


def columns(t):
    n = len(t)
    return {"t": t, "x": np.arange(n) % 34, "y": np.arange(n) % 30, "p": np.arange(n) % 2}


def npz(path, t):
    np.savez(path.with_suffix(".npz"), **columns(t))
    return path.with_suffix(".npz")


def npy(path, t):
    made = columns(t)
    kinds = [(name, made[name].dtype) for name in "txyp"]
    table = np.zeros(len(t), kinds)
    for name in "txyp":
        table[name] = made[name]
    np.save(path.with_suffix(".npy"), table)
    return path.with_suffix(".npy")


def text(path, t):
    made = columns(t)
    rows = zip(*(made[name].tolist() for name in "txyp"), strict=True)
    path.with_suffix(".csv").write_text("t,x,y,p\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return path.with_suffix(".csv")


def rows(path, t):
    made = columns(t)
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["events"] = np.stack([np.asarray(made[name], t.dtype) for name in "txyp"], 1)
    return path.with_suffix(".h5")


def dsec(path, t):
    made = columns(t)
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        for name in "txyp":
            file[f"events/{name}"] = made[name]
    return path.with_suffix(".h5")


def e2vid(path, t):
    made = columns(t)
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        for name, values in zip(("ts", "xs", "ys", "ps"), made.values(), strict=True):
            file[f"events/{name}"] = values
    return path.with_suffix(".h5")


def refused(path, layout=None):
    """The message, of the file at once and part by part."""
    messages = set()
    for reading in (lambda: read(path, layout=layout or Layout()), lambda: list(iter_events(path, layout=layout or Layout()))):
        with pytest.raises(InputError) as caught:
            reading()
        messages.add(str(caught.value))
    (message,) = messages
    assert "\n" not in message and message.startswith(f"{path}: events.t: ")
    return message


WRITERS = [npz, npy, text, rows]


@pytest.mark.parametrize("writer", [*WRITERS, dsec])
@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_nanoseconds_since_1970_say_so(tmp_path, writer, kind):
    t = (UNIX_S * 10**9 + SPREAD * 1000 + 123).astype(kind)
    message = refused(writer(tmp_path / "r", t))
    assert "at index 0" in message and "ns since 1970 taken for µs" in message and "--time-unit" in message
    if writer is not dsec:
        events = read(writer(tmp_path / "ns", t), layout=Layout.named(None, "ns")).events
        assert events["t"].tolist() == (UNIX_S * 10**6 + SPREAD).tolist()


@pytest.mark.parametrize("writer", [npz, npy, rows])
def test_nanoseconds_as_floating_point_say_so(tmp_path, writer):
    assert "ns since 1970" in refused(writer(tmp_path / "r", (UNIX_S * 10**9 + SPREAD * 1000).astype(np.float64)))


def test_text_that_lost_its_digits_says_what_it_looks_like(tmp_path):
    with pytest.raises(InputError, match=r"line 2 holds the time '1\.7e\+18'.*exact; it looks like ns since 1970"):
        read(text(tmp_path / "r", (UNIX_S * 10**9 + SPREAD * 1000).astype(np.float64)))


def test_seconds_of_e2vid_that_are_microseconds(tmp_path):
    message = refused(e2vid(tmp_path / "r", (UNIX_S * 10**6 + SPREAD).astype(np.float64)))
    assert "µs since 1970 taken for s" in message
    message = refused(e2vid(tmp_path / "long", np.arange(3000) * 1e3))
    assert "35 days" in message and "µs taken for s" in message


@pytest.mark.parametrize("writer", [npz, npy, rows])
def test_what_wrapped_below_zero_in_unsigned_numbers(tmp_path, writer):
    t = SPREAD.astype(np.uint64)
    t[7] = np.uint64(2**64 - 40)
    message = refused(writer(tmp_path / "r", t))
    assert "18446744073709551576 at index 7" in message and "below 0 (-40) in unsigned numbers" in message


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    ("t", "words"),
    [
        (UNIX_S + SPREAD / 1e6, "looks like seconds since 1970 (--time-unit s, or multiply by 1e6)"),
        (UNIX_S * 1e3 + SPREAD / 1e3 + 0.25, "looks like milliseconds since 1970 (--time-unit ms, or multiply by 1e3)"),
        (SPREAD / 1e6 + 1e-4, "looks like seconds (--time-unit s, or multiply by 1e6)"),
        (SPREAD / 1e4, "or milliseconds (--time-unit ms)"),
        (UNIX_S * 1e6 + SPREAD + 0.5, "round them"),
    ],
)
def test_fractions_say_what_they_look_like(tmp_path, writer, t, words):
    message = refused(writer(tmp_path / "r", t))
    assert "expected whole µs" in message and words in message


@pytest.mark.parametrize("writer", WRITERS)
def test_whole_seconds_of_many_events(tmp_path, writer):
    path = writer(tmp_path / "r", np.arange(20_000) // 20_000)
    assert "20000 events within 0 µs" in refused(path) and "of s or ms" in refused(path)
    assert len(read(path, lenient=True).events) == 20_000
    assert len(read(writer(tmp_path / "few", np.zeros(9_999, int))).events) == 9_999


def test_a_gap_may_be_a_matter_of_the_unit(tmp_path):
    t = np.array([0, 1000, 5 * 10**9, 5 * 10**9 + 1000])
    assert "forward by 5000 s at index 2" in refused(npz(tmp_path / "r", t)) and "--time-unit" in refused(npz(tmp_path / "r", t))


def test_a_month_is_the_longest(tmp_path):
    t = np.arange(31 * 24 + 1) * 3_600_000_000
    assert len(read(npz(tmp_path / "r", t)).events) == len(t)
    later = np.append(t, t[-1] + 1)
    assert "31 days" in refused(npz(tmp_path / "r", later))
    assert len(read(npz(tmp_path / "r", later), lenient=True).events) == len(later)


def test_the_clocks_that_are_used_are_taken(tmp_path):
    for first in (0, UNIX_S * 10**6, -(2**53), 2**53 - int(SPREAD[-1])):
        assert (read(npz(tmp_path / "r", SPREAD + first)).events["t"] - first == SPREAD).all()


@pytest.mark.parametrize(
    ("writer", "t", "unit"),
    [
        (npz, SPREAD.astype(np.float32) + np.float32(4e9), "us"),
        (npy, SPREAD.astype(np.float32) + np.float32(4e9), "us"),
        (rows, SPREAD.astype(np.float32) + np.float32(4e9), "us"),
        (npz, (SPREAD / 1e6 + 4000).astype(np.float32), "s"),
        (npy, (SPREAD / 1e3 + 4e6).astype(np.float32), "ms"),
        (e2vid, (SPREAD / 1e6 + 4000).astype(np.float32), "us"),
    ],
)
def test_float32_that_collapses_is_told(tmp_path, writer, t, unit):
    layout = Layout.named(None, unit)
    with pytest.warns(UserWarning, match=r"events\.t: is float32, too coarse .* more than 100 µs") as told:
        read(writer(tmp_path / "r", t), layout=layout)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(writer(tmp_path / "near", (t - t.min()).astype(t.dtype)), layout=layout)


@pytest.mark.parametrize("writer", [npz, npy, e2vid])
def test_float32_loses_nothing_more_by_the_change_of_unit(tmp_path, writer):
    t = (np.arange(300) * 1_000_003 / 1e6).astype(np.float32)
    events = read(writer(tmp_path / "r", t), layout=Layout.named(None, "us" if writer is e2vid else "s")).events
    assert events["t"].tolist() == np.rint(t.astype(np.float64) * 1e6).astype(int).tolist()
