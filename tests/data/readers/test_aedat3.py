"""AEDAT 3.1, on files written byte by byte."""

import struct

import numpy as np
import pytest
from rewriting import rewrite
from writers import AEDAT3, event3, packet3

from spikeseg.data.readers import aedat3, read
from spikeseg.data.readers.aedat3 import INVALID, stream_aedat3
from spikeseg.errors import InputError


def made(n, seed=0, span=3_000_000):
    """(N, 4) events t, x, y, p of a DAVIS240C."""
    rng = np.random.default_rng(seed)
    columns = np.sort(rng.integers(0, span, n)), rng.integers(0, 240, n), rng.integers(0, 180, n), rng.integers(0, 2, n)
    return np.stack(columns, 1)


def rows_of(stream):
    raw = stream.whole()
    return np.stack([np.asarray(column, np.int64) for column in (raw.t, raw.x, raw.y, raw.p)], 1)


def packets(events, longest=30, **options):
    rows = [event3(*row) for row in events.tolist()]
    return b"".join(packet3(rows[at : at + longest], **options) for at in range(0, len(rows), longest))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rec.aedat"


@pytest.mark.parametrize("block", [1, 7, 30, 64, 2**20])
def test_events_come_back(path, monkeypatch, block):
    monkeypatch.setattr(aedat3, "BLOCK_EVENTS", block)
    events = made(200)
    path.write_bytes(AEDAT3 + packets(events))
    stream = stream_aedat3(path)
    assert stream.sensor_size == (240, 180)
    assert all(0 < len(part.t) <= block for part in stream_aedat3(path).parts)
    np.testing.assert_array_equal(rows_of(stream), events)
    assert stream.left_out == {}


def test_hand_made_words(path):
    head = bytes.fromhex("0100 0100 08000000 04000000 00000000 01000000 01000000 01000000")
    path.write_bytes(AEDAT3 + head + bytes.fromhex("0b00 0600 05000000"))  # valid, ON, y 2, x 3
    assert rows_of(stream_aedat3(path)).tolist() == [[5, 3, 2, 1]]


def test_overflows_of_the_clock(path):
    first = packet3([event3(2**31 - 1, 1, 1, 1)])
    path.write_bytes(AEDAT3 + first + packet3([event3(0, 1, 1, 1)], overflows=1) + packet3([event3(9, 1, 1, 1)], overflows=3))
    assert rows_of(stream_aedat3(path))[:, 0].tolist() == [2**31 - 1, 2**31, 3 * 2**31 + 9]


def test_what_is_no_event_is_counted(path):
    events = made(10)
    rows = [event3(*row) for row in events.tolist()]
    marked = [event3(7, 1, 1, 1, valid=0)] * 3
    content = packet3([b"\0" * 8] * 2, kind=0) + packet3([b"\0" * 36] * 4, kind=3, size=36)
    content += packet3(rows[:4] + marked + rows[4:], valid=10) + packet3([b"\0" * 50], kind=2, size=50)
    content += packet3([event3(1, 1, 1, 1)] * 5, source=2) + packet3([b"\0" * 12] * 6, kind=20, size=12)
    path.write_bytes(AEDAT3 + content)
    stream = stream_aedat3(path)
    np.testing.assert_array_equal(rows_of(stream), events)
    counts = {"special events": 2, "IMU samples": 4, INVALID: 3, "frames": 1, "events of source 2": 5, "events of type 20": 6}
    assert stream.left_out == counts and read(path).dropped == counts


def test_the_lowest_source_with_events_is_read(path):
    header = AEDAT3.replace(b"#Source 1: DAVIS240C\r\n", b"#Source 0: FX2\r\n#Source 3: DVXplorer Lite\r\n#-Source 3: DVS128\r\n")
    path.write_bytes(header + packet3([event3(1, 1, 1, 1)], source=4) + packet3([event3(2, 1, 1, 1)], source=3))
    stream = stream_aedat3(path)
    assert rows_of(stream)[:, 0].tolist() == [2] and stream.sensor_size == (320, 240)


def test_a_source_without_events_hides_no_other_and_sources_are_chosen(path):
    path.write_bytes(AEDAT3 + packet3([]) + packet3([event3(1, 1, 1, 1)], source=4) + packet3([event3(2, 1, 1, 1)], source=3))
    assert rows_of(stream_aedat3(path))[:, 0].tolist() == [2]
    assert read(f"{path}::4").events["t"].tolist() == [1] and len(rows_of(stream_aedat3(path, "1"))) == 0
    with pytest.raises(InputError, match="has no source of events '2'; it has 1, 3, 4"):
        read(f"{path}::2")


def test_a_source_of_invalid_events_alone_hides_no_other(path):
    path.write_bytes(AEDAT3 + packet3([event3(1, 1, 1, 1, valid=0)] * 3, valid=0) + packet3([event3(2, 1, 1, 1)], source=3))
    assert rows_of(stream_aedat3(path))[:, 0].tolist() == [2]
    path.write_bytes(AEDAT3 + packet3([event3(1, 1, 1, 1, valid=0)] * 3, valid=0) + packet3([], source=0))
    assert stream_aedat3(path).whole().left_out == {INVALID: 3}


def test_a_sensor_that_is_not_known(path):
    path.write_bytes(AEDAT3.replace(b"DAVIS240C", b"Camera") + packets(made(5)))
    assert stream_aedat3(path).sensor_size is None


@pytest.mark.parametrize("content", [b"", packet3([]), packet3([b"\0" * 8], kind=0)])
def test_a_recording_of_no_events(path, content):
    path.write_bytes(AEDAT3 + content)
    assert len(rows_of(stream_aedat3(path))) == 0


HEAD = struct.Struct("<hhiiiiii")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"#!AER-DAT3.0\r\n", "AER-DAT3.0; readable of AEDAT 3 is AER-DAT3.1: convert"),
        (AEDAT3.replace(b"RAW", b"Serial-TS"), "format 'Serial-TS'; readable is RAW"),
        (AEDAT3.replace(b"#!END-HEADER\r\n", b"\x01\x00\x00\n"), "line 5 is no header line"),
        (AEDAT3[:-8], "in its header"),
        (AEDAT3.replace(b"#!END-HEADER\r\n", b""), "in its header"),
        (AEDAT3 + HEAD.pack(-1, 1, 8, 4, 0, 0, 0, 0), f"no head of a packet at byte {len(AEDAT3)}"),
        (AEDAT3 + HEAD.pack(1, 1, 8, 4, -1, 0, 0, 0), "no head of a packet"),
        (AEDAT3 + HEAD.pack(1, 1, 8, 4, 0, 1, 2, 2) + bytes(16), "no head of a packet"),
        (AEDAT3 + HEAD.pack(1, 1, 8, 4, 0, 2, 2, 3) + bytes(16), "no head of a packet"),
        (AEDAT3 + HEAD.pack(1, 1, 8, 9, 0, 0, 0, 0), "no head of a packet"),
        (AEDAT3 + HEAD.pack(1, 1, 12, 4, 0, 1, 1, 1) + bytes(12), f"polarity events of 12 bytes at byte {len(AEDAT3)}"),
        (AEDAT3 + HEAD.pack(2, 1, 2**31 - 1, 4, 0, 2**31 - 1, 2**31 - 1, 0), "reaches to byte"),
    ],
)
def test_refused(path, content, message):
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        rows_of(stream_aedat3(path))


def test_every_truncation_is_noticed(path):
    """Nothing tells how many packets there are: a file cut between two is a shorter recording."""
    events = made(20)
    content = AEDAT3 + packets(events, 5)
    for size in range(len(content)):
        rewrite(path, content[:size])
        if size >= len(AEDAT3) and (size - len(AEDAT3)) % (28 + 40) == 0:
            np.testing.assert_array_equal(rows_of(stream_aedat3(path)), events[: (size - len(AEDAT3)) // 68 * 5])
        else:
            with pytest.raises(InputError, match=f"ends at byte {size}|AER-DAT"):
                rows_of(stream_aedat3(path))
