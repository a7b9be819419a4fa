"""AEDAT 2.0, on files written byte by byte."""

import numpy as np
import pytest
from rewriting import rewrite
from writers import AEDAT2, chip, davis2, dvs2, record2

from spikeseg.data.readers import aedat2, read
from spikeseg.data.readers.aedat2 import EXTERNAL, FRAME_SAMPLES, IMU_WORDS, stream_aedat2
from spikeseg.errors import InputError

DAVIS = AEDAT2 + chip("DAVIS240C")


def made(n, size=(240, 180), seed=0, span=3_000_000):
    """(N, 4) events t, x, y, p."""
    rng = np.random.default_rng(seed)
    columns = (np.sort(rng.integers(0, span, n)), *(rng.integers(0, side, n) for side in size), rng.integers(0, 2, n))
    return np.stack(columns, 1)


def rows_of(stream):
    raw = stream.whole()
    return np.stack([np.asarray(column, np.int64) for column in (raw.t, raw.x, raw.y, raw.p)], 1)


def encoded(events, header=DAVIS, event=davis2):
    return header + b"".join(event(*row) for row in events.tolist())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rec.aedat"


@pytest.fixture(params=[1, 3, 2**20])
def _blocks(request, monkeypatch):
    monkeypatch.setattr(aedat2, "BLOCK_EVENTS", request.param)


@pytest.mark.usefixtures("_blocks")
def test_events_of_a_davis(path):
    events = made(100)
    path.write_bytes(encoded(events))
    stream = stream_aedat2(path)
    assert stream.sensor_size == (240, 180)
    np.testing.assert_array_equal(rows_of(stream), events)
    assert stream.left_out == {}


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("header", [AEDAT2, AEDAT2 + b"# AEChip: net.sf.jaer.chip.retina.DVS128\r\n"])
def test_events_of_a_dvs128(path, header):
    events = made(100, (128, 128))
    path.write_bytes(encoded(events, header, dvs2))
    stream = stream_aedat2(path)
    assert stream.sensor_size == (128, 128)
    np.testing.assert_array_equal(rows_of(stream), events)


def test_hand_made_words(path):
    """Of a DAVIS346: raw x 345 is column 0, raw y 0 the bottom row; of a DVS128 the lowest bit is OFF."""
    path.write_bytes(AEDAT2 + chip("Davis346red") + bytes.fromhex("0015 9800 0000 0007"))
    assert rows_of(stream_aedat2(path)).tolist() == [[7, 0, 259, 1]]
    path.write_bytes(AEDAT2 + chip("DVS128") + bytes.fromhex("0000 7f03 0000 0001"))
    assert rows_of(stream_aedat2(path)).tolist() == [[1, 126, 0, 0]]


@pytest.mark.parametrize(
    "name, size",
    [
        ("Davis346blue", (346, 260)),
        ("DAVIS346", (346, 260)),
        ("DVS240", (240, 180)),
        ("Davis640Color", (640, 480)),
        ("Davis128", (128, 128)),
        ("Davis208PixelParade", (208, 192)),
    ],
)
def test_chips(path, name, size):
    path.write_bytes(AEDAT2 + chip(name) + davis2(1, size[0] - 1, size[1] - 1, 1, *size))
    stream = stream_aedat2(path)
    assert stream.sensor_size == size and rows_of(stream).tolist() == [[1, size[0] - 1, size[1] - 1, 1]]


@pytest.mark.usefixtures("_blocks")
def test_what_is_no_event_is_counted(path):
    event = davis2(5, 1, 2, 1)
    sample = record2(1 << 31 | 5 << 22 | 7 << 12 | 300, 4)
    signal = record2(1 << 31 | 5 << 22 | 7 << 12 | 1 << 10 | 300, 4)
    imu = b"".join(record2(1 << 31 | code << 28 | 0x1234 << 12 | 3 << 10, 4) for code in range(7))
    path.write_bytes(DAVIS + sample + event + signal + imu + record2(0x400, 4) + event)
    stream = stream_aedat2(path)
    assert rows_of(stream).tolist() == [[5, 1, 2, 1]] * 2
    assert stream.left_out == {FRAME_SAMPLES: 2, IMU_WORDS: 7, EXTERNAL: 1}
    assert read(path).dropped == stream.left_out
    path.write_bytes(AEDAT2 + dvs2(5, 1, 2, 1) + record2(0x8000, 6) + record2(0x80000000, 6))
    stream = stream_aedat2(path)
    assert rows_of(stream).tolist() == [[5, 1, 2, 1]] and stream.left_out == {EXTERNAL: 2}


@pytest.mark.usefixtures("_blocks")
def test_the_counter_starts_again(path):
    times = [2**31 - 10, 2**31 + 5, 2**32 - 1, 2**32 + 3, 2**33 - 2, 2**33 + 1]
    path.write_bytes(DAVIS + b"".join(davis2(t, 1, 1, 1) for t in [2**30, *times]))
    # from 2^32 + 3 to 2^33 - 2 the counter never falls by half its range
    assert rows_of(stream_aedat2(path))[1:, 0].tolist() == times


@pytest.mark.usefixtures("_blocks")
def test_times_below_zero(path):
    path.write_bytes(DAVIS + b"".join(davis2(t, 1, 1, 1) for t in (-7, -7, 0, 9)))
    assert rows_of(stream_aedat2(path))[:, 0].tolist() == [-7, -7, 0, 9]


def test_times_that_step_back_stay_as_they_are(path):
    path.write_bytes(DAVIS + b"".join(davis2(t, 1, 1, 1) for t in (500, 400, 600)))
    assert rows_of(stream_aedat2(path))[:, 0].tolist() == [500, 400, 600]


def test_places_outside_the_sensor_are_handed_over(path):
    path.write_bytes(DAVIS + record2(200 << 22 | 300 << 12, 1))
    assert rows_of(stream_aedat2(path)).tolist() == [[1, -61, -21, 0]]


def test_data_that_begin_as_a_header_line_does(path):
    """Rows 140 to 143 of a DAVIS346 have # as their first byte."""
    events = np.array([[t, 3, 259 - 140, 1] for t in range(20)])
    content = encoded(events, AEDAT2 + chip("Davis346red"), lambda *row: davis2(*row, 346, 260))
    assert content[len(AEDAT2 + chip("Davis346red"))] == ord("#")
    path.write_bytes(content)
    np.testing.assert_array_equal(rows_of(stream_aedat2(path)), events)
    # even were it all printable, were there the line that ends the header
    text = b"# abcdef\r\n" * 4
    path.write_bytes(DAVIS + b"# End of ASCII Header\r\n" + text)
    assert sum([len(rows_of(stream := stream_aedat2(path))), *stream.left_out.values()]) == 5


def test_long_settings_in_the_header(path):
    header = AEDAT2 + b'# <entry key="a" value="' + b"x" * 100_000 + b'"/>\r\n# recorded in Z\xfcrich\r\n' + chip("DAVIS240C")
    path.write_bytes(header + davis2(5, 1, 2, 1))
    assert rows_of(stream_aedat2(path)).tolist() == [[5, 1, 2, 1]]


def test_a_recording_of_no_events(path):
    path.write_bytes(DAVIS)
    assert len(rows_of(stream_aedat2(path))) == 0 and len(read(path).events) == 0


def test_a_dvs640(path):
    """Polarity (1 bit, set for ON), column from the right (10), row from the bottom (10)."""
    made = [(1, 0, 0, 1), (2, 639, 479, 0), (3, 5, 7, 1)]
    words = b"".join(record2((479 - y) << 11 | (639 - x) << 1 | p, t) for t, x, y, p in made)
    path.write_bytes(AEDAT2 + b"# AEChip: ch.unizh.ini.jaer.chip.retina.DVS640\r\n" + words)
    stream = stream_aedat2(path)
    assert stream.sensor_size == (640, 480) and rows_of(stream).tolist() == [list(row) for row in made]
    path.write_bytes(AEDAT2 + chip("DVS640") + bytes.fromhex("00000003 00000009"))
    assert rows_of(stream_aedat2(path)).tolist() == [[9, 638, 479, 1]]
    path.write_bytes(AEDAT2 + chip("DVS640") + words + record2(1 << 21, 4))
    with pytest.raises(InputError, match=r"damaged.* at byte [0-9]+ is none of a DVS640"):
        rows_of(stream_aedat2(path))


@pytest.mark.parametrize(
    "content, message",
    [
        (b"#!AER-DAT4.0\r\n", "is no AEDAT 2.0"),
        (AEDAT2 + chip("Cochlea"), "AEChip: eu.seebetter.ini.chips.davis.Cochlea; readable are DVS128"),
        (AEDAT2 + record2(1 << 20, 1), f"names no chip.*0x00100000 at byte {len(AEDAT2)} .*add a header"),
        (AEDAT2 + chip("DVS128") + dvs2(1, 1, 1, 1) + record2(1 << 20, 1), "damaged.* at byte [0-9]+ is none of a DVS128"),
        (AEDAT2[:-1], f"ends at byte {len(AEDAT2) - 1}, in a line of its header"),
        (DAVIS + b"12345", f"ends at byte {len(DAVIS) + 5}, 5 bytes into one of 8"),
    ],
)
def test_refused(path, content, message):
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        rows_of(stream_aedat2(path))


def test_every_truncation_is_noticed(path):
    """Records have one size, and nothing tells how many there are: a file cut between two is a shorter recording."""
    events = made(12)
    content = encoded(events)
    lines = [at + 1 for at, byte in enumerate(content[: len(DAVIS)]) if byte == ord("\n")]
    for size in range(len(content)):
        rewrite(path, content[:size])
        if size >= len(DAVIS) and (size - len(DAVIS)) % 8 == 0:
            np.testing.assert_array_equal(rows_of(stream_aedat2(path)), events[: (size - len(DAVIS)) // 8])
        elif size in lines:
            assert len(rows_of(stream_aedat2(path))) == 0
        else:
            with pytest.raises(InputError, match=f"ends at byte {size}|is empty|no AEDAT"):
                rows_of(stream_aedat2(path))
