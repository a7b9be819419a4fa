"""Events as text that is still being written: bytes come in pieces, whole lines become events, what is wrong is counted."""

from __future__ import annotations

from collections import Counter

import numpy as np

from spikeseg.data.readers import AS_USUAL, Layout
from spikeseg.data.readers.raw import find_fields
from spikeseg.data.readers.text import WORDS, delimiter_of, is_size, split_line

from .recording import EVENT_DTYPE

LONGEST_LINE = 4096
"""Bytes; what goes on for longer without an end of line is no event."""

POLARITY = {1.0: True, 0.0: False, -1.0: False}


class GrowingText:
    """Turns text into events as it comes: one event per line, t in µs, x, y, p, as `readers.text` reads them.

    A first line may hold width and height, or name the columns. Polarity is 0 or 1, -1 or 1, or a word. Lines that begin with #
    and empty ones are left alone. A line that is no event, or lies outside the sensor, is left out and counted: one bad line must
    not end the recording.

    Attributes:
        left_out: reason -> count of lines.
    """

    def __init__(self, sensor_size: tuple[int, int], layout: Layout = AS_USUAL) -> None:
        """
        Args:
            sensor_size: (width, height), px.
            layout: order of columns and unit of times, where lines do not tell them.
        """
        self.sensor_size, self._layout = sensor_size, layout
        self.left_out: Counter[str] = Counter()
        self._rest = b""
        self._columns: tuple[int, int, int, int] | None = None
        self._skipping = False

    def feed(self, data: bytes) -> np.ndarray:
        """The events of the lines that these bytes complete, EVENT_DTYPE (n,), in the order in which they came."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines and self._skipping:
            del lines[0]  # the end of a line that was too long
            self._skipping = False
        if len(self._rest) > LONGEST_LINE:
            if not self._skipping:
                self.left_out["malformed"] += 1
            self._rest, self._skipping = b"", True
        short = [line for line in lines if len(line) <= LONGEST_LINE]
        self._count("malformed", len(lines) - len(short))
        return self._events([line.decode("utf-8", "replace") for line in short])

    def end(self) -> np.ndarray:
        """The event of a last line without an end, if it is one."""
        rest, self._rest = self._rest, b""
        return self._events([rest.decode("utf-8", "replace")] if rest and not self._skipping else [])

    def _events(self, lines: list[str]) -> np.ndarray:
        texts = [line for line in (raw.strip().lstrip("\ufeff") for raw in lines) if line and not line.startswith("#")]
        if texts and self._columns is None and is_size(split_line(texts[0])):
            del texts[0]  # width and height: the caller has named them
        if texts and self._columns is None:
            fields = find_fields(split_line(texts[0]))
            if fields is not None:
                names = split_line(texts.pop(0))
                first, second, third, fourth = (names.index(fields[name]) for name in "txyp")
                self._columns = first, second, third, fourth
            else:
                first, second, third, fourth = self._layout.places
                self._columns = first, second, third, fourth
        table = self._table(texts)
        table[:, 0] = self._layout.in_us(table[:, 0], "")
        width, height = self.sensor_size
        whole = (table == np.floor(table)).all(1) & (np.abs(table[:, 0]) < 2**53)
        sound = whole & np.isin(table[:, 3], list(POLARITY))
        inside = (table[:, 1] >= 0) & (table[:, 1] < width) & (table[:, 2] >= 0) & (table[:, 2] < height)
        self._count("malformed", int((~sound).sum()))
        self._count("outside the sensor", int((sound & ~inside).sum()))
        kept = table[sound & inside]
        events = np.zeros(len(kept), EVENT_DTYPE)
        events["t"], events["x"], events["y"], events["p"] = kept[:, 0], kept[:, 1], kept[:, 2], kept[:, 3] > 0
        return events

    def _table(self, lines: list[str]) -> np.ndarray:
        """float64 (n, 4): t, x, y, p; nan for a line that is no row of numbers. All at once, or, if that fails, line by line."""
        if not lines:
            return np.zeros((0, 4))
        assert self._columns is not None
        try:
            return np.loadtxt(lines, delimiter=delimiter_of(lines[0]), usecols=self._columns, ndmin=2, comments=None)
        except ValueError:
            return np.array([self._row(line) for line in lines])

    def _row(self, line: str) -> list[float]:
        assert self._columns is not None
        words = split_line(line)
        try:
            return [WORDS[word] if (word := words[column].lower()) in WORDS else float(word) for column in self._columns]
        except (ValueError, IndexError):
            return [np.nan] * 4

    def _count(self, reason: str, lines: int) -> None:
        if lines:
            self.left_out[reason] += lines
