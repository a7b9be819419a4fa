"""Event Stream, on files written here byte by byte and on files that faery writes."""

import struct

import numpy as np
import pytest
from rewriting import rewrite

from spikeseg.data.readers import event_stream
from spikeseg.data.readers.event_stream import ATIS, DVS, EXPOSURES, stream_es
from spikeseg.errors import InputError

WIDTH, HEIGHT = 304, 240


def header(kind=DVS, version=(2, 0, 0), size=(WIDTH, HEIGHT)):
    return b"Event Stream" + bytes([*version, kind]) + struct.pack("<HH", *size)


def pieces(events, kind=DVS):
    """The bytes of each event (t, x, y, p, exposure), y from the bottom, after those of the overflows before it."""
    longest, last, found = 127 if kind == DVS else 63, 0, []
    for t, x, y, p, exposure in events:
        overflows, rest = divmod(t - last, longest)
        if kind == DVS:
            found.append((b"\xff" * overflows, bytes([rest << 1 | p]) + struct.pack("<HH", x, y)))
        else:
            many, few = divmod(overflows, 3)
            extra = b"\xff" * many + (bytes([0xFC | few]) if few else b"")
            found.append((extra, bytes([rest << 2 | p << 1 | exposure]) + struct.pack("<HH", x, y)))
        last = t
    return found


def encoded(events, kind=DVS):
    return header(kind) + b"".join(overflows + event for overflows, event in pieces(events, kind))


def made(n, kind=DVS, seed=0, longest=600):
    """(N, 5) events t, x, y, p, exposure."""
    rng = np.random.default_rng(seed)
    t = np.cumsum(rng.choice([0, 1, 62, 63, 126, 127, longest], n))
    exposure = rng.integers(0, 2, n) if kind == ATIS else np.zeros(n, int)
    return np.stack([t, rng.integers(0, WIDTH, n), rng.integers(0, HEIGHT, n), rng.integers(0, 2, n), exposure], 1)


def changes(events):
    """(N, 4) t, x, y, p that should be read: y from the top, without exposure measurements."""
    kept = events[events[:, 4] == 0, :4].copy()
    kept[:, 2] = HEIGHT - 1 - kept[:, 2]
    return kept


def rows_of(stream):
    raw = stream.whole()
    return np.stack([np.asarray(column, np.int64) for column in (raw.t, raw.x, raw.y, raw.p)], 1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rec.es"


@pytest.mark.parametrize("block", [1, 2, 13, 2**20])
@pytest.mark.parametrize("kind", [DVS, ATIS])
def test_events_come_back(path, monkeypatch, kind, block):
    """Also where parts of the file end within events."""
    monkeypatch.setattr(event_stream, "BLOCK_EVENTS", block)
    events = made(500, kind)
    path.write_bytes(encoded(events.tolist(), kind))
    stream = stream_es(path)
    assert stream.sensor_size == (WIDTH, HEIGHT)
    parts = list(stream.parts)
    assert all(0 < len(part.t) <= block + 1 for part in parts)
    np.testing.assert_array_equal(rows_of(stream_es(path)), changes(events))
    measured = int(events[:, 4].sum())
    assert stream.left_out == ({EXPOSURES: measured} if kind == ATIS else {}) and measured >= 200 * (kind == ATIS)


def test_the_last_row_of_the_file_is_the_top_one(path):
    path.write_bytes(encoded([(5, 1, HEIGHT - 1, 1, 0), (6, 2, 0, 0, 0)]))
    assert rows_of(stream_es(path)).tolist() == [[5, 1, 0, 1], [6, 2, HEIGHT - 1, 0]]


@pytest.mark.parametrize("kind, reset", [(DVS, b"\xfe"), (ATIS, b"\xfc")])
def test_resets_are_no_events_and_no_time(path, kind, reset):
    events = made(20, kind)
    found = pieces(events.tolist(), kind)
    path.write_bytes(header(kind) + b"".join(reset * 5 + overflows + reset + event for overflows, event in found) + reset)
    np.testing.assert_array_equal(rows_of(stream_es(path)), changes(events))


def test_times_have_no_end(path):
    """Two hours, in overflows."""
    path.write_bytes(encoded([(7_200_000_000, 1, 1, 1, 0)]))
    assert rows_of(stream_es(path))[0, 0] == 7_200_000_000


def test_a_recording_of_no_events(path):
    for rest in (b"", b"\xff\xff"):
        path.write_bytes(header() + rest)
        assert len(rows_of(stream_es(path))) == 0


@pytest.mark.parametrize(
    "content, message",
    [
        (b"Event stream" + bytes(20), "does not begin with"),
        (header(version=(1, 0, 0)), "version 1"),
        (header(0), "kind generic"),
        (header(4), "kind color"),
        (header(9), "kind unknown"),
        (header() + b"\x02" + struct.pack("<HH", WIDTH, 3), "event at byte 20 is outside the sensor of 304 x 240"),
        (header() + b"\xff\xfe\x02" + struct.pack("<HH", 1, HEIGHT), "event at byte 22 is outside"),
    ],
)
def test_what_is_refused(path, content, message):
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        stream_es(path).whole()


def test_an_event_outside_names_its_byte_in_any_part(path, monkeypatch):
    monkeypatch.setattr(event_stream, "BLOCK_EVENTS", 3)
    good = encoded(made(20, longest=1).tolist())
    path.write_bytes(good + b"\x02" + struct.pack("<HH", WIDTH, 3))
    with pytest.raises(InputError, match=f"byte {len(good)} is outside"):
        stream_es(path).whole()


def test_no_file(path):
    with pytest.raises(InputError, match="cannot be read"):
        stream_es(path)


@pytest.mark.parametrize("kind", [DVS, ATIS])
def test_every_truncation_is_noticed(path, kind):
    """Save those after the header, an event or an overflow: the format has no end, and events before are read as they are."""
    events = made(15, kind)
    content, complete, at = encoded(events.tolist(), kind), {20: 0}, 20
    for count, (overflows, event) in enumerate(pieces(events.tolist(), kind)):
        complete |= {at + i: count for i in range(len(overflows) + 1)}
        at += len(overflows) + len(event)
        complete[at] = count + 1
    assert at == len(content)
    for end in range(len(content) + 1):
        rewrite(path, content[:end])
        if end in complete:
            np.testing.assert_array_equal(rows_of(stream_es(path)), changes(events[: complete[end]]))
        else:
            with pytest.raises(InputError, match=rf"truncated: it ends at byte {end}\b"):
                stream_es(path).whole()


@pytest.mark.parametrize("kind", [DVS, ATIS])
def test_damage_is_an_error_or_what_the_bytes_say(path, kind):
    """2,000 files with one to three bytes changed. What is read, written again, is the file but for its resets and the polarity
    and order of overflows; so DVS files come back byte for byte."""
    content = encoded(made(15, kind).tolist(), kind)
    rng = np.random.default_rng(2)
    errors = 0
    for _ in range(2000):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        rewrite(path, damaged)
        try:
            stream = stream_es(path)
            found = rows_of(stream)
        except InputError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            errors += 1
            continue
        width, height = stream.sensor_size
        assert (found >= 0).all() and (found[:, 1] < width).all() and (found[:, 2] < height).all()
        assert (np.diff(found[:, 0]) >= 0).all()
        if kind == DVS and 0xFE not in damaged[20:]:
            again = [(t, x, height - 1 - y, p, 0) for t, x, y, p in found.tolist()]
            body = b"".join(overflows + event for overflows, event in pieces(again))
            assert bytes(damaged[20:]).rstrip(b"\xff") == body.rstrip(b"\xff")
    print(kind, errors, "errors of 2000")
    assert 300 < errors < 1700


@pytest.mark.parametrize("zero_t0", [False, True])
@pytest.mark.parametrize("kind", ["dvs", "atis"])
def test_files_that_faery_writes(path, kind, zero_t0):
    """Its encoder, below the layer that turns y; zero_t0 drops the first time, which the format then does not hold."""
    extension = pytest.importorskip("faery.extension")
    events = made(2000, ATIS if kind == "atis" else DVS)
    events[:, 0] += 12_345
    names = ("t", "x", "y", "on") if kind == "dvs" else ("t", "x", "y", "polarity", "exposure")
    rows = np.zeros(2000, [(name, kind) for name, kind in zip(names, ("<u8", "<u2", "<u2", "?", "?"), strict=False)])
    for column, name in enumerate(names):
        rows[name] = events[:, column]
    if kind == "atis":
        rows = rows[["t", "x", "y", "exposure", "polarity"]].astype(
            [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("exposure", "?"), ("polarity", "?")]
        )
    with extension.es.Encoder(path, kind, zero_t0, (WIDTH, HEIGHT)) as encoder:
        encoder.write(rows)
    expected = changes(events)
    expected[:, 0] -= events[0, 0] * zero_t0
    np.testing.assert_array_equal(rows_of(stream_es(path)), expected)


def test_faery_reads_the_same(path):
    faery = pytest.importorskip("faery")
    for kind in (DVS, ATIS):
        events = made(3000, kind)
        path.write_bytes(encoded(events.tolist(), kind))
        theirs = np.concatenate(list(faery.events_stream_from_file(path)))
        ours = rows_of(stream_es(path))
        for column, name in enumerate(("t", "x", "y", "on")):
            np.testing.assert_array_equal(ours[:, column], theirs[name])
