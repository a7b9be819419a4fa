"""EVT 2.1: words laid out by hand, in both orders of their halves."""

import numpy as np
import pytest
from rewriting import rewrite

from spikeseg.data.readers import prophesee
from spikeseg.data.readers import read as read_recording
from spikeseg.data.readers.prophesee import stream_evt21
from spikeseg.errors import InputError

HEADERS = {
    "little": b"% evt 2.1\n% format EVT21;height=480;width=640;endianness=little\n% end\n",
    "legacy": b"% format EVT21;height=480;width=640;endianness=legacy\n% end\n",
    "line": b"% evt 2.1\n% endianness legacy\n% geometry 640x480\n% end\n",
}


def high(time):
    return (8 << 28 | time >> 6) << 32


def vector(t, x, y, p, mask=1):
    return (p << 28 | (t & 63) << 22 | x << 11 | y) << 32 | mask


def content(words, order="little"):
    words = np.array(words, np.uint64)
    if order != "little":
        words = words >> np.uint64(32) | words << np.uint64(32)
    return words.astype("<u8").tobytes()


def rows_of(stream):
    raw = stream.whole()
    return np.stack([np.asarray(column, np.int64) for column in (raw.t, raw.x, raw.y, raw.p)], 1)


def made(n, seed=0, start=0):
    """Words of vectors, and their events."""
    rng = np.random.default_rng(seed)
    words, events = [high(start)], []
    for t in np.sort(rng.integers(0, 50_000, n)) + start:
        x, y, p, mask = (int(rng.integers(0, most)) for most in (608, 480, 2, 2**32))
        words += [high(int(t)), vector(int(t), x, y, p, mask)]
        events += [(t, x + bit, y, p) for bit in range(32) if mask >> bit & 1]
    return words, np.array(events)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.raw"


@pytest.mark.parametrize("order", HEADERS)
@pytest.mark.parametrize("block", [64, 1000, 2**20])
def test_events_come_back(path, monkeypatch, order, block):
    monkeypatch.setattr(prophesee, "BLOCK_EVENTS", block)
    monkeypatch.setattr(prophesee, "READ_BYTES", 8 * 50)
    words, events = made(200)
    path.write_bytes(HEADERS[order] + content(words, order))
    stream = stream_evt21(path)
    assert stream.sensor_size == (640, 480)
    np.testing.assert_array_equal(rows_of(stream), events)
    assert stream.left_out == {} and all(0 < len(part.t) <= block for part in stream_evt21(path).parts)


@pytest.mark.parametrize("order", ["little", "legacy"])
def test_the_times_tell_an_order_that_the_header_does_not(path, order):
    words, events = made(50)
    path.write_bytes(b"% evt 2.1\n% geometry 640x480\n% end\n" + content(words, order))
    recording = read_recording(path)
    assert recording.events["x"].tolist() == events[:, 1].tolist() and recording.events["t"].tolist() == events[:, 0].tolist()


def test_by_hand(path):
    """Two pixels of a vector, 3 and 34, ON, at 0x41 us: bytes as a GenX320 sends them."""
    path.write_bytes(HEADERS["little"] + bytes.fromhex("00000000 01000080  01000080 05184010"))
    assert rows_of(stream_evt21(path)).tolist() == [[65, 3, 5, 1], [34 + 31, 34, 5, 1]]


def test_the_clock_goes_on_where_it_starts_again(path):
    path.write_bytes(HEADERS["little"] + content([high(2**34 - 64), vector(63, 1, 1, 1), high(0), vector(5, 2, 2, 0)]))
    assert rows_of(stream_evt21(path))[:, 0].tolist() == [2**34 - 1, 2**34 + 5]


def test_what_is_no_event_is_counted(path):
    words = [vector(0, 1, 1, 1, 7), high(64), 10 << 60, 14 << 60, 15 << 60, 3 << 60, vector(2, 4, 4, 0)]
    path.write_bytes(HEADERS["little"] + content(words))
    stream = stream_evt21(path)
    assert rows_of(stream).tolist() == [[66, 4, 4, 0]]
    assert stream.left_out == {"external triggers": 1, "other words of the sensor": 2, "events without time or place": 3}


def test_big_endian_is_refused(path):
    path.write_bytes(b"% evt 2.1\n% endianness big\n% end\n" + bytes(16))
    with pytest.raises(InputError, match="big-endian words are not supported"):
        stream_evt21(path)


def test_every_truncation_is_noticed(path):
    words, events = made(3)
    whole = HEADERS["legacy"] + content(words, "legacy")
    for size in range(len(HEADERS["legacy"]), len(whole)):
        rewrite(path, whole[:size])
        if (size - len(HEADERS["legacy"])) % 8:
            with pytest.raises(InputError, match="truncated"):
                rows_of(stream_evt21(path))
        else:
            found = rows_of(stream_evt21(path))
            np.testing.assert_array_equal(found, events[: len(found)])
