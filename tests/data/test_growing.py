"""Text that is still being written."""

import numpy as np
import pytest

from spikeseg.data.growing import LONGEST_LINE, GrowingText
from spikeseg.data.readers import Layout, read_raw

SENSOR = (240, 180)
ROWS = [(5, 0, 0, 1), (5, 239, 179, 0), (9, 17, 3, 1), (8, 100, 20, 0)]


def rows_of(events):
    return [tuple(int(v) for v in row) for row in events]


@pytest.mark.parametrize("mark", [",", " ", "\t", ";"])
@pytest.mark.parametrize("step", [1, 2, 7, 10**6])
@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_become_events_however_the_bytes_come(mark, step, header, end):
    lines = ["# recorded by hand", "", *(mark.join(map(str, row)) for row in ROWS)]
    if header:
        lines.insert(0, mark.join(["t_us", "x", "y", "p"]))
    data = end.join(lines).encode()
    text = GrowingText(SENSOR)
    parts = [text.feed(data[at : at + step]) for at in range(0, len(data), step)]
    assert rows_of(np.concatenate([*parts, text.end()])) == ROWS and not text.left_out


def test_it_reads_what_the_reader_of_whole_files_reads(tmp_path):
    rng = np.random.default_rng(0)
    table = np.stack([np.sort(rng.integers(0, 10**9, 999)), *(rng.integers(0, n, 999) for n in (*SENSOR, 2))], 1)
    path = tmp_path / "r.csv"
    np.savetxt(path, table[:, [3, 2, 1, 0]], fmt="%d", delimiter=",", header="polarity,y,x,timestamp", comments="")
    raw, text = read_raw(path), GrowingText(SENSOR)
    events = np.concatenate([text.feed(path.read_bytes()), text.end()])
    for name in "txyp":
        assert np.array_equal(events[name], getattr(raw, name))


@pytest.mark.parametrize("off", ["0", "-1", "False", "-1.0"])
def test_polarities_in_all_their_spellings(off):
    on = "True" if off == "False" else "1"
    events = GrowingText(SENSOR).feed(f"1,2,3,{off}\n2,2,3,{on}\n".encode())
    assert events["p"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("line", "reason"),
    [(b"1,2,3", "malformed"), (b"1,2,x,1", "malformed"), (b"1.5,2,3,1", "malformed"), (b"1,2,3,7", "malformed"),
     (b"nan,2,3,1", "malformed"), (b"inf,2,3,1", "malformed"), (b"\xff\xfe\x00", "malformed"), (b"1e300,2,3,1", "malformed"),
     (b"1,240,3,1", "outside the sensor"), (b"1,2,-1,1", "outside the sensor"), (b"1,1e9,2,1", "outside the sensor"),
     (b"1," * LONGEST_LINE, "malformed")],
)  # fmt: skip
@pytest.mark.parametrize("step", [3, 10**6])
def test_a_bad_line_is_counted_and_costs_no_other(line, reason, step):
    text, data = GrowingText(SENSOR), b"1,2,3,1\n" + line + b"\n4,5,6,0\n"
    events = np.concatenate([text.feed(data[at : at + step]) for at in range(0, len(data), step)])
    assert rows_of(events) == [(1, 2, 3, 1), (4, 5, 6, 0)]
    assert dict(text.left_out) == {reason: 1}


def test_memory_does_not_grow_without_line_ends():
    text = GrowingText(SENSOR)
    for _ in range(50):
        assert not len(text.feed(b"7" * LONGEST_LINE))
    assert len(text._rest) <= LONGEST_LINE and text.left_out["malformed"] == 1
    assert rows_of(text.feed(b"\n1,2,3,1\n")) == [(1, 2, 3, 1)]


def test_columns_and_unit_of_the_user_and_a_first_line_of_the_size():
    text = GrowingText(SENSOR, Layout.named("x,y,t,p", "s"))
    events = text.feed(b"240 180\n5 6 0.5 1\n7 8 0.500001 0\n")
    assert events.tolist() == [(500_000, 5, 6, True), (500_001, 7, 8, False)] and not text.left_out
