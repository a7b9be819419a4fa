"""event_camera_msgs/EventPacket: every encoding, from ROS 1 and ROS 2, and damage."""

import struct

import numpy as np
import pytest
from bag_writers import evt3, libcaer, libcaer_cmp, mono, packet

from spikeseg.data.readers.event_packets import EventPackets
from spikeseg.errors import InputError

BASE_NS = 1_700_000_000_123_456_000
BASE = BASE_NS // 1000


def made(n=40, seed=0):
    """Rows t (µs), x, y, p."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 2**20, n))
    return np.stack([t, rng.integers(0, 346, n), rng.integers(0, 260, n), rng.integers(0, 2, n)], 1)


def rows_of(columns):
    return np.stack([np.asarray(column, np.int64) for column in columns], 1).tolist()


def decoded(message, cdr=True, decoder=None):
    return rows_of((decoder or EventPackets("a.mcap: /e", cdr)).decoded(message))


def words(*values):
    return struct.pack(f"<{len(values)}H", *values)


ENCODINGS = {
    "mono": (lambda rows: mono([(1000 * t, x, y, p) for t, x, y, p in rows]), BASE),
    "libcaer": (libcaer, BASE),
    "libcaer_cmp": (libcaer_cmp, BASE),
    "evt3": (evt3, 0),
}


@pytest.mark.parametrize("cdr, order", [(True, "<"), (True, ">"), (False, "<")])
@pytest.mark.parametrize("frame", ["", "c", "camera_optical"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_events_come_back(encoding, frame, cdr, order):
    encode, base = ENCODINGS[encoding]
    rows = made()
    decoder = EventPackets("a", cdr)
    found = decoded(packet(encode(rows.tolist()), encoding, BASE_NS, 9, (346, 260), 0, cdr, order, frame), cdr, decoder)
    assert found == (rows + np.array([base, 0, 0, 0])).tolist()
    assert decoder.size == (346, 260) and decoder.left_out == {}


def test_mono_by_hand_and_of_a_big_endian_machine():
    data = bytes.fromhex("e8030000 0500 0780")  # 1000 ns, x 5, y 7, ON
    assert decoded(packet(data, "mono", 2_000_999)) == [[2001, 5, 7, 1]]
    assert decoded(packet(data[::-1], "mono", 2_000_999, big=1)) == [[2001, 5, 7, 1]]


def test_libcaer_across_the_overflow_of_its_clock_and_invalid_events():
    decoder = EventPackets("a", True)
    data = libcaer([(2**31 - 1, 1, 2, 1), (3, 4, 5, 0)]) + libcaer([(4, 9, 9, 1)], valid=0)
    assert decoded(packet(data, "libcaer", 1000), decoder=decoder) == [[2**31, 1, 2, 1], [2**31 + 4, 4, 5, 0]]
    assert decoder.left_out == {"events marked invalid": 1}


def test_libcaer_cmp_by_hand():
    """High and low time, a column, an event, a vector of two, and the next one eight rows on."""
    data = words(0x0002, 0x1003, 0x2011, 0x3805, 0x4010, 0x5081, 0x5001)
    t = 2 * 4096 + 3
    expected = [[t, 17, 5, 1], [t, 17, 16, 0], [t, 17, 23, 0], [t, 17, 24, 0]]
    assert decoded(packet(data, "libcaer_cmp")) == expected
    assert decoded(packet(words(0x2001, 0x3002), "libcaer_cmp", 7000)) == [[7, 1, 2, 0]]  # before any time: the message's own


def test_libcaer_cmp_counts_what_has_no_place_and_words_that_mean_nothing():
    decoder = EventPackets("a", True)
    data = words(0x3002, 0x4001, 0x5003, 0x2001, 0x6001, 0xF123, 0x3003)
    assert decoded(packet(data, "libcaer_cmp"), decoder=decoder) == [[0, 1, 3, 0]]
    assert decoder.left_out == {"events without time or place": 3, "words of unknown meaning": 2}


def test_evt3_goes_on_from_message_to_message():
    """Row, time and its overflows carry over; the time base means nothing."""
    decoder = EventPackets("a", True)
    assert decoded(packet(words(0x8FFF, 0x6FFF, 0x0007, 0x2801), "evt3", 5, 1), decoder=decoder) == [[2**24 - 1, 1, 7, 1]]
    assert decoded(packet(words(0x8000, 0x6002, 0x2002), "evt3", 5, 2), decoder=decoder) == [[2**24 + 2, 2, 7, 0]]


def test_evt3_after_missing_messages_has_no_row():
    decoder = EventPackets("a", True)
    decoded(packet(evt3([(1, 1, 7, 1)]), "evt3", 0, 1), decoder=decoder)
    assert decoded(packet(words(0x2002, 0x0003, 0x2004), "evt3", 0, 4), decoder=decoder) == [[1, 4, 3, 0]]
    assert decoder.left_out == {"messages that are missing by their numbers": 2, "events without time or place": 1}


def test_evt3_counts_triggers():
    decoder = EventPackets("a", True)
    assert len(decoded(packet(evt3([(1, 1, 1, 1)]) + words(0xA000, 0xA001), "evt3"), decoder=decoder)) == 1
    assert decoder.left_out == {"external triggers": 2}


def test_missing_messages_are_counted_a_restart_is_not():
    decoder = EventPackets("a", True)
    for number in (5, 6, 9, 0, 1, 2**60, 2**60 + 1):
        decoded(packet(b"", "mono", 0, number), decoder=decoder)
    assert decoder.left_out == {"messages that are missing by their numbers": 2}


def test_triggers_are_no_events():
    decoder = EventPackets("a", True)
    assert decoded(packet(mono([(1, 0, 0, 1), (2, 0, 0, 0)]), "trigger"), decoder=decoder) == []
    assert decoder.left_out == {"external triggers": 2}


def test_no_size():
    decoder = EventPackets("a", True)
    decoded(packet(b"", "mono", size=(0, 0)), decoder=decoder)
    assert decoder.size is None


@pytest.mark.parametrize("cdr", [True, False])
@pytest.mark.parametrize(
    "data, encoding, more, message",
    [
        (b"1234567", "mono", {}, "7 bytes of mono are no whole number of 8"),
        (b"1", "evt3", {}, "1 bytes of evt3 are no whole number of 2"),
        (b"", "jpeg", {}, "encoding 'jpeg'.*readable are evt3, libcaer_cmp, libcaer, mono, trigger"),
        (b"", "mono", {"big": 7}, "is_bigendian 7"),
        (b"", "libcaer_cmp", {"big": 1}, "big-endian machine"),
        (libcaer([(2**31, 1, 1, 1)]), "libcaer", {}, "an event at -2147483648 µs"),
    ],
)
def test_messages_that_are_damaged(data, encoding, more, message, cdr):
    with pytest.raises(InputError, match=f"^a.mcap: /e: .*{message}.*get the file again$"):
        decoded(packet(data, encoding, cdr=cdr, **more), cdr)


@pytest.mark.parametrize("cdr", [True, False])
def test_every_truncation_is_noticed(cdr):
    whole = packet(mono([(1, 2, 3, 1), (2, 3, 4, 0)]), "mono", cdr=cdr)
    for size in range(len(whole)):
        with pytest.raises(InputError, match="damaged"):
            decoded(whole[:size], cdr)
    with pytest.raises(InputError, match="cannot hold"):
        decoded(whole + b"\0" * 4, cdr)
    assert len(decoded(whole + b"\0" * 3 * cdr, cdr)) == 2  # CDR is filled up


def test_no_cdr():
    with pytest.raises(InputError, match="begins with 00070000 is none of CDR"):
        decoded(b"\0\7\0\0" + b"\0" * 60)
