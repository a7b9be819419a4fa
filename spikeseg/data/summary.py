"""What a recording holds, counted part by part: how many events, where and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SECOND_US = 1_000_000
RATE_BINS = 256
"""Bins of the rate over time, at most."""
FIRST_BIN_US = 1_000
"""Their width at first; it doubles whenever the recording outgrows them."""


@dataclass(frozen=True)
class Pixel:
    """A pixel x, y (0-based) and its events."""

    x: int
    y: int
    events: int
    events_per_s: float


@dataclass(frozen=True)
class HotPixels:
    """Pixels above a frequency (events/s, on average over the recording): how many, and how many events are theirs.

    hottest: the pixels with the most events, above the frequency or not, the first by y, then x, where they are equal.
    """

    frequency: float
    pixels: int
    events: int
    hottest: list[Pixel]


class Summary:
    """Counts of a recording, added up part by part; memory does not grow with its length.

    Attributes:
        sensor_size: (width, height) in pixels.
        events, on: how many there are, and how many of them are ON.
        first_us, last_us: time of the first and of the last event, by the recording's clock; None without any.
        pixels: int64 (2, H, W), events by polarity (OFF, ON) and pixel.
    """

    def __init__(self, sensor_size: tuple[int, int]) -> None:
        self.sensor_size = width, height = sensor_size
        self.events = self.on = 0
        self.first_us: int | None = None
        self.last_us: int | None = None
        self.pixels = np.zeros((2, height, width), np.int64)
        self._bins, self._bin_us = np.zeros(RATE_BINS, np.int64), FIRST_BIN_US
        self._second = self._in_second = -1  # the last second seen, and its events so far
        self._busiest = (0, 0)

    def add(self, events: np.ndarray) -> None:
        """Add the next events: EVENT_DTYPE (n,), sorted by t, on the sensor, none before those already here."""
        if not len(events):
            return
        t = events["t"]
        self.first_us = int(t[0]) if self.first_us is None else self.first_us
        self.last_us = int(t[-1])
        self.events += len(events)
        self.on += int(np.count_nonzero(events["p"]))
        _, height, width = self.pixels.shape
        rows = events["p"] * np.int64(height) + events["y"]
        np.add.at(self.pixels.reshape(-1), rows * width + events["x"], 1)
        since = t - self.first_us
        self._add_to_bins(since)
        self._add_to_seconds(since // SECOND_US)

    def _add_to_bins(self, since: np.ndarray) -> None:
        while since[-1] >= RATE_BINS * self._bin_us:
            self._bins = np.concatenate([self._bins.reshape(-1, 2).sum(1), np.zeros(RATE_BINS // 2, np.int64)])
            self._bin_us *= 2
        self._bins += np.bincount(since // self._bin_us, minlength=RATE_BINS)

    def _add_to_seconds(self, second: np.ndarray) -> None:
        starts = np.flatnonzero(np.diff(second, prepend=-1))
        counts = np.diff(starts, append=len(second))
        if second[0] == self._second:
            counts[0] += self._in_second
        top = int(np.argmax(counts))
        if counts[top] > self._busiest[0]:
            self._busiest = int(counts[top]), int(second[starts[top]])
        self._second, self._in_second = int(second[-1]), int(counts[-1])

    @property
    def duration_us(self) -> int:
        """From the first event to the last, µs."""
        return 0 if self.first_us is None or self.last_us is None else self.last_us - self.first_us

    @property
    def events_per_s(self) -> float | None:
        """The mean rate; None where no time passes."""
        return self.events / self.duration_us * 1e6 if self.duration_us else None

    @property
    def busiest_second(self) -> tuple[int, int] | None:
        """The most events in one of the seconds counted from the first event, and when that second begins (µs, the recording's
        clock), the earliest where several have as many; None for a recording shorter than a second."""
        if self.first_us is None or self.duration_us < SECOND_US:
            return None
        return self._busiest[0], self.first_us + self._busiest[1] * SECOND_US

    def rates(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges of bins, seconds from the first event (n + 1,), and the rate in each, events/s (n,).

        The last bin, in which the recording ends, is left out unless it is the only one: it is not full."""
        bins = max(1, self.duration_us // self._bin_us)
        seconds = self._bin_us * 1e-6
        return np.arange(bins + 1) * seconds, self._bins[:bins] / seconds

    def hot_pixels(self, frequency: float, hottest: int = 5) -> HotPixels | None:
        """The pixels that transforms.DropPixel would drop at this frequency; None where no time passes."""
        if not self.duration_us:
            return None
        off, on = self.pixels.reshape(2, -1)
        places = np.union1d(np.flatnonzero(off), np.flatnonzero(on))
        counts = off[places] + on[places]
        hot = counts[counts > frequency * self.duration_us * 1e-6]
        width = self.sensor_size[0]
        top = [
            Pixel(int(places[k] % width), int(places[k] // width), int(counts[k]), float(counts[k] / self.duration_us * 1e6))
            for k in np.argsort(-counts, kind="stable")[:hottest]
        ]
        return HotPixels(frequency, len(hot), int(hot.sum()), top)
