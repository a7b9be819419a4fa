"""Text that is still being written."""

import numpy as np
import pytest

from spikeseg.data.growing import LONGEST_LINE, MANY_BAD, GrowingText
from spikeseg.data.readers import Layout, read_raw
from spikeseg.errors import InputError

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


@pytest.mark.parametrize(
    "head", ["# x y p t", "#x,y,p,t", "x y p t", "# recorded by hand\n# x y p t\n# and so on", "240 180\n# x y p t"]
)
@pytest.mark.parametrize("step", [1, 10**6])
def test_names_behind_a_comment_are_names(head, step):
    data = (head + "\n1 2 1 50\n3 4 0 60\n# t x y p\n5 6 1 70\n").encode()
    text = GrowingText(SENSOR)
    events = np.concatenate([text.feed(data[at : at + step]) for at in range(0, len(data), step)])
    assert rows_of(events) == [(50, 1, 2, 1), (60, 3, 4, 0), (70, 5, 6, 1)] and not text.left_out


def test_names_that_come_again_hold_from_there_on():
    text = GrowingText(SENSOR)
    events = text.feed(b"t,x,y,p\n1,2,3,1\nt,x,y,p\n4,5,6,0\np,y,x,t\n1,8,7,9\n")
    assert rows_of(events) == [(1, 2, 3, 1), (4, 5, 6, 0), (9, 7, 8, 1)] and not text.left_out


def test_names_that_nobody_knows_before_columns_of_the_user():
    text = GrowingText(SENSOR, Layout.named("x,y,t,p", "us"))
    assert rows_of(text.feed(b"col row when sign\n5 6 7 1\n")) == [(7, 5, 6, 1)] and not text.left_out


def test_comments_behind_a_row_and_rows_of_another_width():
    text = GrowingText(SENSOR)
    events = text.feed(b"1,2,3,1 # one\n9,1,2,3,1\n4,5,6,0\n")
    assert rows_of(events) == [(1, 2, 3, 1), (4, 5, 6, 0)] and dict(text.left_out) == {"malformed": 1}
    assert text.first_bad == (2, "9,1,2,3,1")


def test_two_ways_to_write_off_are_not_mixed():
    text = GrowingText(SENSOR)
    assert rows_of(text.feed(b"1,2,3,-1\n2,2,3,0\n3,2,3,1\n")) == [(1, 2, 3, 0), (3, 2, 3, 1)]
    assert dict(text.left_out) == {"malformed": 1}


@pytest.mark.parametrize("odd", [b"", b"oops\n"])  # line by line, too
def test_nanoseconds_since_1970_are_exact(odd):
    t0 = 1_700_000_000_123_456
    rows = "".join(f"{(t0 + k) * 1000 + 999},1,2,1\n" for k in range(50)).encode()
    text = GrowingText(SENSOR, Layout.named(None, "ns"))
    events = text.feed(rows + odd)
    assert (events["t"] - t0).tolist() == list(range(50)) and sum(text.left_out.values()) == bool(odd)


def test_a_size_that_is_not_the_sensors():
    for head in (b"640 480\n", b"t,x@640,y@480,on\n", b"# t,x@640,y@480,on\n"):
        with pytest.raises(InputError, match=r"night: line 2 tells of 640x480 pixels, --sensor-size of 240x180"):
            GrowingText(SENSOR, source="night").feed(b"# c\n" + head + b"1,2,3,1\n")


def test_names_that_tell_the_size_of_the_sensor():
    text = GrowingText(SENSOR, source="night")
    assert rows_of(text.feed(b"240 180\nx@240,t,y@180,on\r\n2,1,3,1\r\n")) == [(1, 2, 3, 1)] and not text.left_out
    with pytest.raises(InputError, match=r"night: line 4 holds 'y@0'; expected the sensor's height behind @"):
        text.feed(b"x@240,t,y@0,on\n")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1,2,3", "it has 3 columns, expected 4; --columns"),
        ("7,1,2,3,1", "it has 5 columns, expected 4; --columns"),
        ("1,2,oops,1", "'oops' is no number"),
        ("0.25,2,3,1", "times are whole µs; it looks like seconds"),
        ("1700000000.5,2,3,1", "it looks like seconds since 1970 (--time-unit s"),
        ("1700000000000000000,2,3,1", "it looks like ns since 1970 taken for µs"),
        ("nan,2,3,1", "the time is nan"),
        ("1,2,3,7", "its polarity is 7, expected 0 or 1"),
        ("1,240,3,1", "its pixel is (240, 3), the sensor has 240 x 180; --sensor-size"),
        ("1,2.5,3,1", "its pixel is (2.5, 3)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("step", [11, 10**6])
def test_too_many_bad_lines_name_the_first_and_what_to_do(line, words, step):
    text = GrowingText(SENSOR, source="night")
    data = b"# made by a camera\n1,2,3,1\n" + (line + "\n").encode() * (MANY_BAD - 1)
    for at in range(0, len(data), step):
        text.feed(data[at : at + step])
    text.check()  # not yet
    text.feed((line + "\n").encode())
    with pytest.raises(InputError) as caught:
        text.check()
    message = str(caught.value)
    assert message.startswith(f"night: {MANY_BAD} of {MANY_BAD + 1} lines are no events here ") and "\n" not in message
    assert f"the first is line 3, {line!r}: " in message and words in message and "--lenient" in message


def test_few_bad_lines_among_many_are_none_too_many_but_all_at_once_are():
    text = GrowingText(SENSOR)
    good = b"".join(b"%d,2,3,1\n" % t for t in range(200))
    for _ in range(400):
        text.feed(good)
        text.feed(b"oops\n")
        text.check()
    text.check(ended=True)
    for _ in range(MANY_BAD - 2):  # one has just been there
        text.feed(b"oops\n")
        text.check()
    text.feed(b"oops\n")
    with pytest.raises(InputError, match=r"input: 699 of 80699 lines"):
        text.check()


@pytest.mark.parametrize(("bad", "good", "refused"), [(1, 0, True), (2, 0, True), (1, 3, False), (2, 3, True), (2, 199, False)])
def test_at_the_end_the_limit_of_a_file_holds(bad, good, refused):
    text = GrowingText(SENSOR)
    text.feed(b"1,2,3,1\n" * good + b"1,2,3\n" * bad)
    text.check()
    if refused:
        with pytest.raises(InputError, match="are no events here"):
            text.check(ended=True)
    else:
        text.check(ended=True)
