"""Events as text: separators, headers, words, damage."""

import numpy as np
import pytest

from spikeseg.data.readers import Layout, read, read_raw
from spikeseg.data.readers import text as text_reader
from spikeseg.errors import InputError

ROWS = [(0, 5, 6, 1), (10, 200, 170, 0), (20, 7, 8, 1)]


def text(rows=ROWS, separator=",", header=""):
    return header + "".join(separator.join(map(str, row)) + "\n" for row in rows)


def events(tmp_path, content, name="a.csv", **options):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return read(path, **options).events.tolist()


EXPECTED = [(0, 5, 6, True), (10, 200, 170, False), (20, 7, 8, True)]


@pytest.mark.parametrize("separator", [",", ", ", ";", "\t", " ", "   "])
@pytest.mark.parametrize("header", ["", "# any comment\n", "# t x y p\n", "\n\n"])
def test_without_names_the_order_is_t_x_y_p(tmp_path, separator, header):
    assert events(tmp_path, text(separator=separator, header=header)) == EXPECTED


@pytest.mark.parametrize("header", ["x,y,t,p", "X, Y, Timestamp, Polarity", '"x","y","ts","on"', "# x,y,t,p", "# a\nx,y,t,p"])
def test_names_give_the_order(tmp_path, header):
    rows = [(x, y, t, p) for t, x, y, p in ROWS]
    assert events(tmp_path, text(rows, header=header + "\n")) == EXPECTED


def test_more_columns_than_needed(tmp_path):
    rows = [(index, t, "note", x, y, p) for index, (t, x, y, p) in enumerate(ROWS)]
    assert events(tmp_path, text(rows, header=",t,comment,x,y,p\n")) == EXPECTED


@pytest.mark.parametrize(("on", "off"), [("True", "False"), ("true", "false"), (1.0, 0.0), (1, -1), (2, 1)])
def test_polarity_as_written_elsewhere(tmp_path, on, off):
    rows = [(t, x, y, on if p else off) for t, x, y, p in ROWS]
    assert events(tmp_path, text(rows)) == EXPECTED


def test_byte_order_mark_windows_lines_and_no_last_newline(tmp_path):
    content = "\ufeff" + text(header="t,x,y,p\n").replace("\n", "\r\n").rstrip()
    (tmp_path / "a.csv").write_bytes(content.encode())
    assert read(tmp_path / "a.csv").events.tolist() == EXPECTED


def test_wall_clock_microseconds_are_exact(tmp_path):
    t0 = 1_605_537_493_718_345
    rows = [(t + t0, x, y, p) for t, x, y, p in ROWS]
    assert [event[0] - t0 for event in events(tmp_path, text(rows))] == [0, 10, 20]


@pytest.mark.parametrize("name", ["a.txt", "events", "a.log"])
def test_text_by_content_where_the_name_says_nothing(tmp_path, name):
    assert events(tmp_path, text(separator=" "), name) == EXPECTED


def test_seconds_are_refused_with_the_remedy(tmp_path):
    with pytest.raises(InputError, match="1e6"):
        events(tmp_path, text([(0.5, 1, 1, 1), (0.75, 1, 1, 0)]))


def test_nan_is_dropped_and_counted(tmp_path):
    rows = [(t, 5, 5, t % 2) for t in range(200)]
    rows[7] = (7, "nan", 5, 1)
    (tmp_path / "a.csv").write_text(text(rows))
    assert read(tmp_path / "a.csv").dropped == {"not finite": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("frame,row,column\n1,2,3\n", "line 1 holds 'frame,row,column'; expected numbers, or names .t: t, ts,"),
        (
            "x,y,time\n1,2,3\n",
            "line 1 holds 'x,y,time'; no column for p; known names are p: p, pol, polarity, .*; --columns says",
        ),
        ("t,x@320,y@240,sign\n1,2,3,1\n", "no column for p; known names are p: .*; --columns says what each column holds"),
        ("t@9,x,y,on\n1,2,3,1\n", "no column for t; known"),
        ("# c\nt,x@0,y@240,on\n1,2,3,1\n", r"a\.csv: line 2 holds 'x@0'; expected the sensor's width behind @, a whole number"),
        (
            "t,x@320,y@abc,on\n1,2,3,1\n",
            "line 1 holds 'y@abc'; expected the sensor's height behind @, a whole number from 1 to 32767",
        ),
        ("t,x@-3,y@240,on\n1,2,3,1\n", "line 1 holds 'x@-3'; expected"),
        ("t,x@32768,y@240,on\n1,2,3,1\n", "line 1 holds 'x@32768'; expected"),
        (f"t,x@{'9' * 5000},y@240,on\n1,2,3,1\n", "line 1 holds 'x@9999.*9'; expected"),
        ("t,x@320,y@,on\n1,2,3,1\n", "line 1 holds 'y@'; expected"),
        ("t,x@320,y,on\n1,2,3,1\n", "line 1 holds 'y'; expected the sensor's height behind @.*, or neither width nor height"),
        ("t,x@30000,y@30000,on\n1,2,3,1\n", "30000 x 30000; no sensor has more"),
        ("640 480\nt,x@320,y@240,on\n1,2,3,1\n", "line 2 tells of 320 x 240 pixels, a line before it of 640 x 480"),
        (
            "t,x@3,y@240,on\n1,2,3,1\n2,3,3,1\n",
            "1 of 2 would be dropped .1 outside the sensor.*; check the file and its sensor size",
        ),
        ("a,y,time,b\n1,2,3,4\n", "no column for x and p; known names are x: x, xs; p: p,"),
        ("1,2,3\n", "line 1 has 3 columns"),
        ("1,2,3,1,9\n", "line 1 has 5 columns"),
        ("240 180\n", "line 1 has 2 columns"),
        ("240 180\n0 1 2\n", "line 1 has 2 columns"),
        ("240 180\n304 240\n0 1 2 1\n", "line 1 has 2 columns"),
        ("hello world\n", "expected numbers"),
        ("t,x,y,p\n", "no events"),
        ("\n \n", "no events"),
        ("# only\n# comments\n", "no events"),
        (text() + "30,1,2\n", "line 4 has 3 columns, line 1 has 4"),
        (text() + "\n# c\n30,1,2,1,5\n", "line 6 has 5 columns"),
        (text() + "30,1,,1\n", "line 4 holds ''"),
        (text() + "30,1,x,1\n", "line 4 holds 'x'"),
        ("0,1,1,True\n1,1,1,maybe\n", "line 2 holds 'maybe'"),
        ("t,x,y,p,q\n0,1,1\n", "line 2 has 3 columns"),
        ("t,x,y,q,p\n0,1,1,5,1\n2,1,1,5\n", "line 3 has 4 columns, line 2 has 5"),
    ],
)
def test_malformed(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        events(tmp_path, content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("before", ["", "# made by hand\n\n"])
@pytest.mark.parametrize("names", ["", "t x y p\n"])
def test_a_first_line_of_width_and_height(tmp_path, before, names):
    path = tmp_path / "a.txt"
    path.write_text(f"{before}640 480\n{names}" + text(separator=" "))
    recording = read(path)
    assert recording.sensor_size == (640, 480) and recording.events.tolist() == EXPECTED


@pytest.mark.parametrize("header", ["t,x@320,y@240,on\r\n", "320 240\n# t, X@320, Y@240, on\n", '"t","x@320","y@240","on"\n'])
@pytest.mark.parametrize("layout", [Layout.named(None, "us"), Layout.named("t,x,y,p", "us")])
def test_names_that_tell_the_size_of_the_sensor(tmp_path, header, layout):
    path = tmp_path / "a.csv"
    path.write_text(header + text())
    recording = read(path, layout=layout)
    assert recording.sensor_size == (320, 240) and recording.events.tolist() == EXPECTED


def test_names_that_tell_the_size_stand_anywhere(tmp_path):
    rows = [(y, "note", x, t, p) for t, x, y, p in ROWS]
    (tmp_path / "a.csv").write_text(text(rows, ";", "ys@240;note@1;xs@320;ts;pol\n"))
    recording = read(tmp_path / "a.csv")
    assert recording.sensor_size == (320, 240) and recording.events.tolist() == EXPECTED


@pytest.mark.parametrize("header", ["", "stamp a b pol\n", "240 180\n"])
def test_columns_are_named_by_the_user(tmp_path, header):
    rows = [(x, y, t, p) for t, x, y, p in ROWS]
    assert events(tmp_path, text(rows, " ", header), "a.txt", layout=Layout.named("x,y,t,p", "us")) == EXPECTED


def test_columns_that_are_passed_over(tmp_path):
    rows = [(t, "note", x, y, p, 9) for t, x, y, p in ROWS]
    assert events(tmp_path, text(rows), layout=Layout.named(" T,-,X,y,P,-", "us")) == EXPECTED


def test_more_columns_than_the_user_names(tmp_path):
    with pytest.raises(InputError, match=r"line 1 has 5 columns and data\.columns names 4"):
        events(tmp_path, "1 2 3 1 0\n", layout=Layout.named("x,y,t,p", "us"))


@pytest.mark.parametrize(
    "unit, times",
    [
        ("s", ["0.000003811", "0.0000138", "1e-3"]),
        ("ms", ["0.0038", "0.014", "1.0"]),
        ("us", ["4", "14", "1000"]),
        ("ns", ["4999", "14000", "1000999"]),
    ],
)
def test_units_of_time(tmp_path, unit, times):
    content = "".join(f"{t} {x} {y} {p}\n" for t, (_, x, y, p) in zip(times, ROWS, strict=True))
    assert [event[0] for event in events(tmp_path, content, layout=Layout.named(None, unit))] == [4, 14, 1000]


def test_wall_clocks_of_nanoseconds_and_seconds(tmp_path):
    rows = [(1_700_000_000_123_456_789 + 1000 * n, 5, 6, n % 2) for n in range(4)]
    found = [event[0] for event in events(tmp_path, text(rows), layout=Layout.named(None, "ns"))]
    assert found == [1_700_000_000_123_456 + n for n in range(4)]
    rows = [(f"1700000000.{123456 + n:06d}", 5, 6, n % 2) for n in range(4)]
    assert [event[0] for event in events(tmp_path, text(rows), layout=Layout.named(None, "s"))] == found


def test_whole_numbers_that_float64_does_not_hold(tmp_path):
    rows = [(2**53 + n, 5, 6, n % 2) for n in range(4)]
    (tmp_path / "a.csv").write_text(text(rows))
    assert [int(t) - 2**53 for t in read_raw(tmp_path / "a.csv").t] == [0, 1, 2, 3]
    for word in ("1e17", "9007199254740993.5", "99999999999999999999"):
        with pytest.raises(InputError, match=rf"line 5 holds the time '{word}'; from 2\^53 on only whole numbers are exact"):
            events(tmp_path, text([*rows, (word, 5, 6, 1)]))


@pytest.mark.parametrize("columns", ["x,y,t", "t,x,y,p,q", "t,x,y,p,t", "t x y p", ",t,x,y,p"])
def test_columns_that_make_no_sense(columns):
    with pytest.raises(InputError, match=r"data.columns: .*; expected t, x, y and p in their order"):
        Layout.named(columns, "us")


def test_units_that_make_no_sense():
    with pytest.raises(InputError, match=r"data\.time_unit: 'h'; allowed: s, ms, us, ns"):
        Layout.named(None, "h")


def test_not_text_at_all(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"0,1,1,1\n\xff\xfe\xfd")
    with pytest.raises(InputError, match="no text file"):
        read(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes(text().encode() * 500 + b"\xff\xfe")
    with pytest.raises(InputError, match="no text file"):
        read(tmp_path / "b.csv")


def test_large_enough_to_leave_the_head(tmp_path):
    rows = np.stack([np.arange(500), np.arange(500) % 200, np.arange(500) % 150, np.arange(500) % 2], axis=1)
    found = events(tmp_path, text(rows.tolist(), header="# c\n" * 5 + "t,x,y,p\n"))
    assert len(found) == 500 and found[-1] == (499, 99, 49, True)


@pytest.mark.parametrize("step", [1, 2, 5, 2**20])
def test_part_by_part_is_all_at_once(tmp_path, monkeypatch, step):
    monkeypatch.setattr(text_reader, "BLOCK_EVENTS", step)
    rows = [(10 * n, n % 7, n % 5, n % 2) for n in range(40)]
    lines = text(rows, header="# made here\nt,x,y,p\n").splitlines(keepends=True)
    for at in (5, 9, 10, 11, 30):
        lines.insert(at, "# a comment\n\n")
    (tmp_path / "a.csv").write_text("".join(lines))
    assert events(tmp_path, "".join(lines)) == [(t, x, y, bool(p)) for t, x, y, p in rows]
    assert all(len(part.t) <= step for part in text_reader.stream_text(tmp_path / "a.csv").parts)


def test_the_line_is_named_in_later_parts_too(tmp_path, monkeypatch):
    monkeypatch.setattr(text_reader, "BLOCK_EVENTS", 4)
    content = "# made here\n" + text([(n, 1, 1, 1) for n in range(20)])
    with pytest.raises(InputError, match="line 22 has 3 columns, line 2 has 4"):
        events(tmp_path, content + "20,1,1\n")
    with pytest.raises(InputError, match="line 23 holds 'one'"):
        events(tmp_path, content + "20,1,1,1\n21,1,one,1\n")
    (tmp_path / "b.csv").write_bytes(content.encode() + b"20,1,1,1\n21,\xff,1,1\n")
    with pytest.raises(InputError, match="no text file"):
        read(tmp_path / "b.csv")
