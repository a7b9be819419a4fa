"""Events as text that is still being written: bytes come in pieces, whole lines become events, what is wrong is counted."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from spikeseg.config.sections import TIME_UNITS
from spikeseg.data.readers import AS_USUAL, Layout
from spikeseg.data.readers.layout import EXACT
from spikeseg.data.readers.text import WORDS, Header, delimiter_of, exact_times, header_of, is_number, is_size, split_line
from spikeseg.errors import InputError

from .checks import DROP_LIMIT
from .recording import EVENT_DTYPE
from .times import LATEST_US, what_is_too_far, what_unit

LONGEST_LINE = 4096
"""Bytes; what goes on for longer without an end of line is no event."""
MANY_BAD = 300
"""So many bad lines are looked at before they are too many."""
MALFORMED, OUTSIDE = "malformed", "outside the sensor"
SHOWN = 60
"""Characters of a bad line that a message shows."""


class Line(NamedTuple):
    """A line and its number, from 1."""

    number: int
    text: str


class GrowingText:
    """Turns text into events as it comes: one event per line, t in µs, x, y, p, as `readers.text` reads them.

    Columns are named by a line before the events, also behind #, and again by any that comes later; these, or the first line, may
    tell width and height. Polarity is 0 or 1, -1 or 1, or a word. Comments and empty lines are left alone. A line that is no
    event, or lies outside the sensor, is left out and counted: one bad line must not end the recording; `check` tells of too
    many.

    Attributes:
        left_out: reason -> count of lines.
        source: opens every message.
        lines: how many came so far, comments included.
        first_bad: the first of those left out, None without any.
    """

    def __init__(self, sensor_size: tuple[int, int], layout: Layout = AS_USUAL, source: str = "input") -> None:
        """
        Args:
            sensor_size: (width, height), px.
            layout: order of columns and unit of times, where lines do not tell them.
            source: opens every message.
        """
        self.sensor_size, self._layout, self.source = sensor_size, layout, source
        self.left_out: Counter[str] = Counter()
        self.lines = 0
        self.first_bad: Line | None = None
        self._rest = b""
        self._columns: list[int] | None = None
        self._width = layout.width
        self._off: float | None = None
        self._skipping = self._begun = False
        self._rows = self._in_a_row = 0

    def feed(self, data: bytes) -> np.ndarray:
        """The events of the lines that these bytes complete, EVENT_DTYPE (n,), in the order in which they came.

        Raises InputError: a line that tells of another width and height than the sensor's, or of an impossible one.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines and self._skipping:
            del lines[0]  # the end of a line that was too long
            self._skipping = False
        events = self._of(lines)
        if len(self._rest) > LONGEST_LINE:
            if not self._skipping:
                self.lines += 1
                self._too_long(self.lines, self._rest)
            self._rest, self._skipping = b"", True
        return events

    def end(self) -> np.ndarray:
        """The event of a last line without an end, if it is one."""
        rest, self._rest = self._rest, b""
        return self._of([] if self._skipping or not rest else [rest])

    def check(self, ended: bool = False) -> None:
        """Raise InputError, naming the first bad line, if there are too many: more than DROP_LIMIT, which is looked at from
        MANY_BAD on or when the input has `ended`; or MANY_BAD in a row. One line that was cut off at the end is none too many.
        """
        bad = sum(self.left_out.values())
        many = bad >= MANY_BAD or (ended and (bad > 1 or bad == self._rows))
        if self.first_bad is None or not ((many and bad > DROP_LIMIT * self._rows) or self._in_a_row >= MANY_BAD):
            return
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.left_out.items())
        line = self.first_bad
        shown = line.text[:SHOWN] + ("..." if len(line.text) > SHOWN else "")
        raise InputError(
            f"{self.source}: {bad} of {self._rows} lines are no events here ({reasons}); the first is line "
            f"{line.number}, {shown!r}: {self._complaint(line.text)}; --lenient goes on"
        )

    def _of(self, lines: list[bytes]) -> np.ndarray:
        first, self.lines = self.lines + 1, self.lines + len(lines)
        parts: list[np.ndarray] = []
        rows: list[Line] = []
        for number, raw in enumerate(lines, first):
            if len(raw) > LONGEST_LINE:
                self._too_long(number, raw)
                continue
            text = raw.decode("utf-8", "replace").strip().lstrip("\ufeff")
            header = self._header(text, number)
            if header is not None:
                parts.append(self._events(rows))
                rows = []
                self._name(header, number)
            elif text and not text.startswith("#"):
                if self._columns is None and self._begins(text, number):
                    continue
                self._begun = True
                rows.append(Line(number, text))
        return np.concatenate([*parts, self._events(rows)])

    def _header(self, text: str, number: int) -> Header | None:
        """What a line says that names the columns; of comments, only those before the events."""
        if not text or text[0].isdigit() or text[0] == "-" or (text.startswith("#") and self._begun):
            return None
        return header_of(split_line(text.lstrip("# ")), f"{self.source}: line {number}")

    def _name(self, header: Header, number: int) -> None:
        if header.size is not None:
            self._check_size(header.size, number)
        if not self._layout.columns:  # which take precedence
            self._columns, self._width = header.columns, header.width

    def _check_size(self, size: tuple[int, int], number: int) -> None:
        if size != self.sensor_size:
            told, given = (f"{width}x{height}" for width, height in (size, self.sensor_size))
            raise InputError(f"{self.source}: line {number} tells of {told} pixels, --sensor-size of {given}")

    def _begins(self, text: str, number: int) -> bool:
        """Whether a line that comes before all events is none of them: a size, or names that the user has told the meaning of."""
        words = split_line(text)
        if is_size(words):
            self._check_size((int(words[0]), int(words[1])), number)
            return True
        self._columns = self._layout.places
        named = [words[place] for place in self._columns if place < len(words)]
        return bool(self._layout.columns) and not any(is_number(word) for word in named)

    def _events(self, rows: list[Line]) -> np.ndarray:
        if not rows:
            return np.zeros(0, EVENT_DTYPE)
        self._rows += len(rows)
        table, t = self._table([row.text for row in rows])
        width, height = self.sensor_size
        with np.errstate(invalid="ignore"):
            sound = (table == np.floor(table)).all(1) & np.isin(table[:, 3], (-1, 0, 1)) & (t == np.floor(t))
            sound &= np.abs(t) < LATEST_US
            off = table[sound & (table[:, 3] <= 0), 3]
            self._off = float(off[0]) if self._off is None and len(off) else self._off
            sound &= (table[:, 3] > 0) | (table[:, 3] == self._off)
            inside = (table[:, 1] >= 0) & (table[:, 1] < width) & (table[:, 2] >= 0) & (table[:, 2] < height)
        kept = sound & inside
        for reason, mask in ((MALFORMED, ~sound), (OUTSIDE, sound & ~inside)):
            self._leave_out(reason, [rows[k] for k in np.flatnonzero(mask)])
        good = np.flatnonzero(kept)
        self._in_a_row = len(rows) - 1 - int(good[-1]) if len(good) else self._in_a_row + len(rows)
        events = np.zeros(len(good), EVENT_DTYPE)
        events["t"] = t[kept]
        events["x"], events["y"], events["p"] = table[kept, 1], table[kept, 2], table[kept, 3] > 0
        return events

    def _table(self, lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """float64 (n, 4): t, x, y, p, of which t is 0, nan for a line that is no row of numbers; and t (n,) in µs.

        All at once, or, if that fails, line by line."""
        assert self._columns is not None
        delimiter, unit = delimiter_of(lines[0]), self._layout.time_unit
        try:
            four = self._width == 4
            table = np.loadtxt(lines, delimiter=delimiter, usecols=None if four else self._columns, ndmin=2)
            if four and table.shape[1] != 4:
                raise ValueError
            table = table[:, self._columns] if four else table
            t = exact_times(lines, table[:, 0].copy(), self._columns[0], delimiter, unit)
        except ValueError:
            table = np.array([self._row(line) for line in lines])
            t = table[:, 0].copy()
        with np.errstate(over="ignore", invalid="ignore"):
            us = self._layout.in_us(t, self.source)
            large = np.flatnonzero(np.abs(t) >= EXACT) if unit == "ns" and t.dtype.kind == "f" else ()
        for k in large:
            us[k] = self._exact_us(lines[k])
        table[:, 0] = np.where(np.isnan(table[:, 0]), np.nan, 0)
        return table, us

    def _row(self, line: str) -> list[float]:
        words = self._words(line)
        try:
            return [WORDS[word] if (word := words[column].lower()) in WORDS else float(word) for column in self._columns or ()]
        except (ValueError, IndexError):
            return [np.nan] * 4

    def _exact_us(self, line: str) -> float:
        """Of ns that float64 does not hold; nan if they are not whole."""
        try:
            return int(self._words(line)[(self._columns or [0])[0]]) // 1000
        except ValueError:
            return np.nan

    def _words(self, line: str) -> list[str]:
        """The words of a row; none if it has too many or too few."""
        words = split_line(line.split("#")[0].strip())
        return words if self._width != 4 or len(words) == 4 else []

    def _complaint(self, line: str) -> str:
        """What is wrong with a line, and what to do."""
        columns, words = self._columns or self._layout.places, split_line(line.split("#")[0].strip())
        if len(line) >= LONGEST_LINE:
            return f"a line of more than {LONGEST_LINE} characters; is it text?"
        if len(words) <= max(columns) or (self._width == 4 and len(words) != 4):
            return f"it has {len(words)} columns, expected {self._width}; --columns says what unnamed ones hold"
        names = [words[column] for column in columns]
        wrong = next((word for word in names if not is_number(word)), None)
        if wrong is not None:
            return f"{wrong!r} is no number; --columns says what unnamed columns hold"
        t, _, _, p = self._row(line)
        unit = self._layout.time_unit
        if unit == "us" and np.isfinite(t) and t != np.floor(t):
            return f"times are whole µs; {what_unit(np.array([t]))}"
        if not np.isfinite(t) or not abs(t) * TIME_UNITS[unit] < LATEST_US:
            return what_is_too_far(int(t * TIME_UNITS[unit])) if np.isfinite(t) else f"the time is {names[0]}"
        if p not in (-1, 0, 1) or (p <= 0 and p != self._off):
            return f"its polarity is {names[3]}, expected 0 or 1, or -1 or 1; --columns says what unnamed columns hold"
        width, height = self.sensor_size
        return (
            f"its pixel is ({names[1]}, {names[2]}), the sensor has {width} x {height}; --sensor-size and --columns tell another"
        )

    def _too_long(self, number: int, start: bytes) -> None:
        self._rows, self._in_a_row = self._rows + 1, self._in_a_row + 1
        self._leave_out(MALFORMED, [Line(number, start[: LONGEST_LINE + 1].decode("utf-8", "replace"))])

    def _leave_out(self, reason: str, lines: list[Line]) -> None:
        if lines:
            self.left_out[reason] += len(lines)
            if self.first_bad is None or lines[0].number < self.first_bad.number:
                self.first_bad = lines[0]
