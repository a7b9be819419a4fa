"""Prophesee .dat, EVT 2.0 and EVT 3.0, on files written here word by word, and on files that faery writes."""

import struct

import numpy as np
import pytest
from rewriting import rewrite

from spikeseg.data.readers import prophesee
from spikeseg.data.readers.prophesee import read_header, stream_dat, stream_evt2, stream_evt3
from spikeseg.errors import InputError

EVT2 = b"% evt 2.0\n% format EVT2;height=480;width=640\n% end\n"
EVT3 = b"% evt 3.0\n% format EVT3;width=1280;height=720\n% end\n"
DAT = b"% Data file containing CD events\n% Version 2\n% Width 640\n% Height 480\n"
TRIGGERS, OTHERS, PLACELESS = "external triggers", "other words of the sensor", "events without time or place"


def evt2(*words, header=EVT2):
    return header + struct.pack(f"<{len(words)}I", *words)


def high2(time):
    return 0x8 << 28 | time >> 6 & 0xFFFFFFF


def event2(t, x, y, p):
    return p << 28 | (t & 63) << 22 | x << 11 | y


def evt3(*words, header=EVT3):
    return header + struct.pack(f"<{len(words)}H", *words)


def row(y):
    return y


def column(x, p):
    return 0x2000 | p << 11 | x


def base(x, p):
    return 0x3000 | p << 11 | x


def high3(time):
    return 0x8000 | time >> 12 & 0xFFF


def low3(time):
    return 0x6000 | time & 0xFFF


def dat(events, header=DAT, kind=b"\x0c\x08"):
    return header + kind + b"".join(struct.pack("<II", t & 0xFFFFFFFF, p << 28 | y << 14 | x) for t, x, y, p in events)


def made(n, seed=0, span=200_000, start=0, size=(640, 480)):
    """(N, 4) events t, x, y, p, sorted by t."""
    rng = np.random.default_rng(seed)
    t = start + np.sort(rng.integers(0, span, n))
    return np.stack([t, rng.integers(0, size[0], n), rng.integers(0, size[1], n), rng.integers(0, 2, n)], 1)


def words2(events):
    """Words of EVT 2.0: the high bits of the time whenever they change, then the event."""
    words, last = [], None
    for t, x, y, p in events.tolist():
        if high2(t) != last:
            words.append(last := high2(t))
        words.append(event2(t, x, y, p))
    return words


def words3(groups):
    """Words of EVT 3.0 for (t, x, y, p, mask): one event, or with a mask those of 32 columns from x on; and the events."""
    words, events, state = [], [], {}
    for t, x, y, p, mask in groups:
        for name, word in (("high", high3(t)), ("low", low3(t)), ("row", row(y))):
            if state.get(name) != word:
                words.append(word)
                state[name] = word
        if not mask:
            words.append(column(x, p))
            events.append((t, x, y, p))
        else:
            words += [base(x, p), 0x4000 | mask & 0xFFF, 0x4000 | mask >> 12 & 0xFFF, 0x5000 | mask >> 24]
            events += [(t, x + bit, y, p) for bit in range(32) if mask >> bit & 1]
    return words, np.array(events)


def made_groups(n, seed=0, start=0, span=200_000):
    rng = np.random.default_rng(seed)
    events = made(n, seed, span, start, (1248, 720))
    masks = np.where(rng.random(n) < 0.4, rng.integers(1, 2**32, n), 0)
    return [(*event, mask) for event, mask in zip(events.tolist(), masks.tolist(), strict=True)]


def rows_of(stream):
    raw = stream.whole()
    return np.stack([np.asarray(column, np.int64) for column in (raw.t, raw.x, raw.y, raw.p)], 1)


def read(stream, path, content):
    rewrite(path, content)
    return stream(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rec.raw"


@pytest.fixture(params=["blocks of 2**20", "small blocks"])
def _blocks(request, monkeypatch):
    if request.param == "small blocks":
        monkeypatch.setattr(prophesee, "READ_BYTES", 20)
        monkeypatch.setattr(prophesee, "BLOCK_EVENTS", 17)


@pytest.mark.usefixtures("_blocks")
class TestEventsComeBack:
    def test_dat(self, path):
        events = made(300)
        stream = read(stream_dat, path, dat(events.tolist()))
        np.testing.assert_array_equal(rows_of(stream), events)
        assert stream.sensor_size == (640, 480) and stream.left_out == {}

    def test_evt2(self, path):
        events = made(300, start=5_000_000_000)
        stream = read(stream_evt2, path, evt2(*words2(events)))
        np.testing.assert_array_equal(rows_of(stream), events)
        assert stream.sensor_size == (640, 480) and stream.left_out == {}

    def test_evt3(self, path):
        words, events = words3(made_groups(300, start=7_000_000))
        assert len(events) > 1500
        stream = read(stream_evt3, path, evt3(*words))
        np.testing.assert_array_equal(rows_of(stream), events)
        assert stream.sensor_size == (1280, 720) and stream.left_out == {}

    def test_times_rise_past_the_ends_of_the_counters(self, path):
        """Each of them starts again twice; in EVT 3.0 every 16.8 s, so that the last word before and the first after are not
        those of the wrap itself."""
        events = made(200, span=2**33, start=2**31)
        np.testing.assert_array_equal(rows_of(read(stream_dat, path, dat(events.tolist()))), events)
        events = made(200, span=2**35, start=2**33)
        np.testing.assert_array_equal(rows_of(read(stream_evt2, path, evt2(*words2(events)))), events)
        words, events = words3(made_groups(200, span=2**25, start=2**23))
        assert events[-1, 0] > 2**25
        np.testing.assert_array_equal(rows_of(read(stream_evt3, path, evt3(*words))), events)

    def test_parts_are_bounded(self, path):
        words, events = words3(made_groups(300))
        parts = list(read(stream_evt3, path, evt3(*words)).parts)
        assert all(0 < len(part.t) <= prophesee.BLOCK_EVENTS for part in parts)
        assert len(parts) >= len(events) / prophesee.BLOCK_EVENTS


def test_a_recording_that_starts_just_before_the_counter_ends(path):
    words, events = words3(made_groups(50, span=5000, start=2**24 - 3000))
    np.testing.assert_array_equal(rows_of(read(stream_evt3, path, evt3(*words))), events)


def test_times_that_step_back_stay_as_they_are(path):
    """They are for the checks that follow to see: none is moved, and none after them."""
    t = [10, 2**31 - 5, 20, 30, 25]
    assert rows_of(read(stream_dat, path, dat([(time, 1, 2, 1) for time in t])))[:, 0].tolist() == t
    t = [6400, 6336, 6465]
    assert rows_of(read(stream_evt2, path, evt2(*words2(np.array([(time, 1, 2, 1) for time in t])))))[:, 0].tolist() == t
    t = [40_000, 811, 800, 812, 50_000]
    words, _ = words3([(time, 1, 2, 1, 0) for time in t])
    assert rows_of(read(stream_evt3, path, evt3(*words)))[:, 0].tolist() == t


def test_low_bits_of_evt3_that_sensors_set_back(path):
    """IMX636 and its predecessor send 811, then 800, with no change of the high bits: no wrap, and 800 holds."""
    words = [high3(0), low3(811), low3(800), row(5), column(7, 1), high3(4096), column(8, 0), low3(3), column(9, 0)]
    events = rows_of(read(stream_evt3, path, evt3(*words)))
    assert events.tolist() == [[800, 7, 5, 1], [4096, 8, 5, 0], [4099, 9, 5, 0]]


def test_what_is_no_event_is_counted(path):
    words = [event2(0, 1, 1, 1), high2(640), event2(3, 1, 2, 1), 0xA0000101, 0xE0000014, 0xF0000001, 0xF0000002, 0x20000000]
    stream = read(stream_evt2, path, evt2(*words))
    assert rows_of(stream).tolist() == [[643, 1, 2, 1]]
    assert stream.left_out == {TRIGGERS: 1, OTHERS: 2, PLACELESS: 1}

    early = [low3(5), row(1), column(2, 1), high3(4096), row(0x800 | 9), column(3, 0)]
    other_kind = [0x1000 | 4, column(5, 1), base(8, 1), 0x4007, 0x5003, row(6)]
    rest = [0xA101, 0xA100, 0xE016, 0xF123, 0x7004, column(7, 1)]
    stream = read(stream_evt3, path, evt3(*early, *other_kind, *rest))
    assert rows_of(stream).tolist() == [[4096, 3, 9, 0], [4096, 7, 6, 1]]
    assert stream.left_out == {TRIGGERS: 2, OTHERS: 1, PLACELESS: 1 + 6}


def test_vectors(path):
    """They go on from the base, whatever single events lie between; without one their columns are not known."""
    words = [high3(0), low3(9), row(3), 0x4001, base(100, 1), 0x4801, column(5, 0), 0x5081, 0x5001]
    stream = read(stream_evt3, path, evt3(*words))
    expected = [[9, 100, 3, 1], [9, 111, 3, 1], [9, 5, 3, 0], [9, 112, 3, 1], [9, 119, 3, 1], [9, 120, 3, 1]]
    assert rows_of(stream).tolist() == expected
    assert stream.left_out == {PLACELESS: 1}
    endless = [high3(0), row(3), base(2047, 1), *[0x4001] * 20_000]
    assert rows_of(read(stream_evt3, path, evt3(*endless)))[1:, 1].min() > 2047


def test_events_outside_the_sensor_are_handed_over(path):
    assert rows_of(read(stream_dat, path, dat([(1, 700, 2, 1)]))).tolist() == [[1, 700, 2, 1]]


@pytest.mark.parametrize(
    "lines, size",
    [
        (b"% evt 3.0\n", None),
        (b"% Date 2020-09-25 07:48:29\r\n%  evt  3.0\n", None),
        (b"% geometry 1280x720\n% evt 3.0\n", (1280, 720)),
        (b"% geometry 1280\n% Width 640\n% evt 3.0\n", None),
        (b"% format EVT3;height=720;width=1280\n", (1280, 720)),
        (b"% format EVT3.0;width=320;height=300;endianness=little\n% note \xc2\xb5s\n% end\n", (320, 300)),
    ],
)
def test_headers(path, lines, size):
    """Data begin where lines end, also data that look like one: 0x8025 is % and a byte that is no text."""
    for data in (b"", struct.pack("<4H", 0x8025, low3(3), row(0x20), column(0x25, 1)), b"% \x03\x80" + evt3(row(4), header=b"")):
        path.write_bytes(lines + data)
        header = read_header(path)
        assert (header.encoding, header.size, header.start) == ("EVT 3.0", size, len(lines))
    path.write_bytes(b"% evt 2.0\n% end\n% fine\n.")
    assert read_header(path).start == 16


@pytest.mark.parametrize(
    "header, message",
    [
        (b"", "names no encoding"),
        (b"% evt 2.1\n", "names EVT 2.1; expected EVT 3.0"),
        (b"% format EVT21;height=720;width=1280\n", "names EVT 2.1"),
        (b"% format HISTO3D;height=720;width=1280\n", "names HISTO3D"),
        (b"% evt 2.0\n", "names EVT 2.0"),
        (b"% format EVT3;endianness=big\n", "big-endian"),
        (b"% evt 3.0\n% geometry 1280x-2\n", "sensor of 1280 x -2"),
        (b"% format EVT3;width=99999;height=3\n", "99999 x 3 pixels"),
        (b"% evt 3.0\n% T0 -5\n", "T0 '-5'"),
    ],
)
def test_headers_that_are_refused(path, header, message):
    with pytest.raises(InputError, match=message):
        read(stream_evt3, path, evt3(high3(0), header=header))


def test_versions_and_kinds_of_dat(path):
    old = b"% Version 1\n\x00\x08" + struct.pack("<II", 77, 1 << 17 | 239 << 9 | 303)
    stream = read(stream_dat, path, old)
    assert rows_of(stream).tolist() == [[77, 303, 239, 1]] and stream.sensor_size is None
    for content, message in (
        (dat([], header=b"% Width 640\n% Height 480\n"), "version 'none'"),
        (dat([], header=b"% Version 3\n"), "version '3'"),
        (dat([], kind=b"\x0e\x08"), "type 0x0e"),
        (dat([], kind=b"\x0c\x10"), "16 bytes"),
        (dat([], header=b"% Version 2\n% Width 0\n% Height 480\n"), "0 x 480"),
    ):
        with pytest.raises(InputError, match=message):
            read(stream_dat, path, content)


def test_no_file(path):
    for stream in (stream_dat, stream_evt2, stream_evt3):
        with pytest.raises(InputError, match="cannot be read"):
            stream(path)


def events_in(word):
    """How many events a word of EVT 3.0 holds."""
    return {2: 1, 4: (word & 0xFFF).bit_count(), 5: (word & 0xFF).bit_count()}.get(word >> 12, 0)


def whole_files():
    """Reader, content, its header's length, size of a word, events, and how many of them so many words hold."""
    events = made(12)
    words = words2(events)
    counts2 = np.cumsum([0] + [word >> 28 < 2 for word in words])
    groups, expected = words3(made_groups(12))
    counts3 = np.cumsum([0] + [events_in(word) for word in groups])
    return {
        "dat": (stream_dat, dat(events.tolist()), len(DAT) + 2, 8, events, np.arange(13)),
        "evt2": (stream_evt2, evt2(*words), len(EVT2), 4, events, counts2),
        "evt3": (stream_evt3, evt3(*groups), len(EVT3), 2, expected, counts3),
    }


@pytest.mark.parametrize("name", ["dat", "evt2", "evt3"])
def test_every_truncation_is_noticed(path, name):
    """Save those after a whole word: the formats have no end, a recording may stop there, and what lies before is read. So may
    the header of a .raw, after any line once the encoding is said: a recording of no events."""
    stream, content, start, size, events, counts = whole_files()[name]
    lines = {at + 1 for at in range(start) if content[at : at + 1] == b"\n"} if name != "dat" else set()
    for end in range(len(content) + 1):
        rewrite(path, content[:end])
        if end in lines or (end >= start and (end - start) % size == 0):
            found = rows_of(stream(path))
            np.testing.assert_array_equal(found, events[: counts[max(end - start, 0) // size]])
        else:
            with pytest.raises(InputError, match=rf"truncated: it ends at byte {end}\b"):
                stream(path)


@pytest.mark.parametrize("name", ["dat", "evt2", "evt3"])
def test_damage_is_an_error_or_what_the_bytes_say(path, name):
    """2,000 files with one to three bytes changed. x, y and p are told by the bytes of their own record or word; in EVT 3.0 they
    are at least numbers that words can say."""
    stream, content, _, size, _, _ = whole_files()[name]
    rng = np.random.default_rng(1)
    errors = 0
    for _ in range(2000):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        try:
            found = rows_of(read(stream, path, bytes(damaged)))
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            errors += 1
            continue
        start = read_header(path).start
        if name == "dat":
            records = np.frombuffer(damaged[start + 2 :], "<u4").reshape(-1, 2)
            np.testing.assert_array_equal(found[:, 0] % 2**32, records[:, 0])
            np.testing.assert_array_equal(found[:, 1:] @ [1, 2**14, 2**28], records[:, 1])
        elif name == "evt2":
            words = np.frombuffer(damaged[start:], "<u4")
            words = words[words >> 28 < 2][-len(found) or len(words) :]  # the first may lack a time
            np.testing.assert_array_equal(found @ [2**22, 2**11, 1, 2**28] % 2**28, words & 0xFFFFFFF)
            np.testing.assert_array_equal(found[:, 3], words >> 28)
        else:
            assert (found >= 0).all() and (found[:, 1] < 4096).all() and (found[:, 2] < 2048).all() and (found[:, 3] < 2).all()
            assert len(found) <= 12 * (len(content) // size)
    print(name, errors, "errors of 2000")
    assert 150 < errors < 1850


def faery_events(events, last):
    rows = np.zeros(len(events), [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), last])
    for column, name in enumerate(rows.dtype.names):
        rows[name] = events[:, column]
    return rows


@pytest.mark.parametrize("zero_t0", [False, True])
@pytest.mark.parametrize("version", ["evt2", "evt3", "dat1", "dat2"])
def test_files_that_faery_writes(path, version, zero_t0):
    """Also with times from the first event on, which faery writes with a line T0."""
    extension = pytest.importorskip("faery.extension")
    events = made(5000, start=20_000_000, size=(304, 240))
    if version.startswith("evt"):
        encoder = extension.evt.Encoder(path, version, zero_t0, (304, 240), True)
        with encoder:
            encoder.write({"events": faery_events(events, ("on", "?"))})
    else:
        encoder = extension.dat.Encoder(path, version, "cd", zero_t0, (304, 240))
        with encoder:
            encoder.write(faery_events(events, ("payload", "u1")))
    stream = {"evt2": stream_evt2, "evt3": stream_evt3}.get(version, stream_dat)(path)
    np.testing.assert_array_equal(rows_of(stream), events)
    assert stream.sensor_size == (304, 240)


def test_faery_reads_the_same(path):
    """Files in order, which it reads as they are; written by this file, so the encodings are told by two readers."""
    extension = pytest.importorskip("faery.extension")
    words, _ = words3(made_groups(3000, start=2**24 - 100_000))
    for version, stream, content in (("evt3", stream_evt3, evt3(*words)), ("evt2", stream_evt2, evt2(*words2(made(3000))))):
        ours = rows_of(read(stream, path, content))
        packets = [packet["events"] for packet in extension.evt.Decoder(path, (1280, 720), version) if "events" in packet]
        for column, name in enumerate(("t", "x", "y", "on")):
            np.testing.assert_array_equal(ours[:, column], np.concatenate([packet[name] for packet in packets]))
