"""Counts of a recording, against the same counted the plain way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.data.summary import RATE_BINS, Summary
from spikeseg.data.transforms import DropPixel

SIZE = (7, 5)


def events_at(t, seed=0):
    rng = np.random.default_rng(seed)
    events = np.zeros(len(t), EVENT_DTYPE)
    events["t"] = np.sort(np.asarray(t, np.int64))
    events["x"], events["y"] = rng.integers(0, SIZE[0], len(t)), rng.integers(0, SIZE[1], len(t))
    events["p"] = rng.random(len(t)) < 0.3
    return events


def summary_of(events, step=None):
    summary = Summary(SIZE)
    for at in range(0, len(events), step or max(1, len(events))):
        summary.add(events[at : at + step] if step else events)
    return summary


def plain_busiest(t):
    counts = {}
    for time in t.tolist():
        second = (time - int(t[0])) // 1_000_000
        counts[second] = counts.get(second, 0) + 1
    most = max(counts.values())
    return most, int(t[0]) + min(s for s, n in counts.items() if n == most) * 1_000_000


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 400), step=st.sampled_from([1, 2, 7, 100, 1000]),
    span=st.sampled_from([1, 900, 999_999, 1_000_000, 4_000_000, 10**9, 10**13]),
    start=st.sampled_from([0, -5_000_000, 16 * 10**14]),
)  # fmt: skip
def test_counts_are_those_of_all_events_at_once(seed, n, step, span, start):
    events = events_at(start + np.random.default_rng(seed).integers(0, span + 1, n), seed)
    summary, t = summary_of(events, step), events["t"]
    assert (summary.events, summary.on) == (n, int(events["p"].sum()))
    assert (summary.first_us, summary.last_us) == (t[0], t[-1])
    assert summary.duration_us == t[-1] - t[0]
    want = np.zeros((2, SIZE[1], SIZE[0]), int)
    for event in events:
        want[int(event["p"]), event["y"], event["x"]] += 1
    assert np.array_equal(summary.pixels, want)
    assert summary.busiest_second == (plain_busiest(t) if summary.duration_us >= 1_000_000 else None)
    assert summary.events_per_s == (pytest.approx(n / summary.duration_us * 1e6) if summary.duration_us else None)
    edges, rates = summary.rates()
    width_us = round(edges[1] * 1e6)
    assert 1 <= len(rates) <= RATE_BINS and len(edges) == len(rates) + 1
    assert len(rates) > RATE_BINS // 2 - 1 or width_us == 1000
    counted = np.bincount((t - t[0]) // width_us)[: len(rates)]
    assert rates * width_us / 1e6 == pytest.approx(np.pad(counted, (0, len(rates) - len(counted))))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), frequency=st.sampled_from([0.5, 1.0, 3.0, 10.0, 50.0]))
def test_hot_pixels_are_those_that_drop_pixel_drops(seed, frequency):
    rng = np.random.default_rng(seed)
    events = events_at(rng.integers(0, 10_000_000, 600), seed)
    events["x"][:250], events["y"][:250] = 3, 2
    hot = summary_of(events, 100).hot_pixels(frequency)
    kept = DropPixel(hot_pixel_frequency=frequency)(events)
    dropped = {(e["x"], e["y"]) for e in events} - {(e["x"], e["y"]) for e in kept}
    assert (hot.pixels, hot.events) == (len(dropped), len(events) - len(kept))
    assert (hot.hottest[0].x, hot.hottest[0].y) == (3, 2) and hot.hottest[0].events >= 250
    rates = [pixel.events_per_s for pixel in hot.hottest]
    assert len(rates) == 5 and rates == sorted(rates, reverse=True)
    for pixel in hot.hottest:
        assert pixel.events == np.sum((events["x"] == pixel.x) & (events["y"] == pixel.y))
        assert pixel.events_per_s == pytest.approx(pixel.events / (events["t"][-1] - events["t"][0]) * 1e6)


def test_a_pixel_at_the_frequency_is_not_hot():
    events = events_at(np.linspace(0, 2_000_000, 21))
    events["x"], events["y"] = 1, 1
    summary = summary_of(events)
    assert (summary.hot_pixels(10.5).pixels, summary.hot_pixels(10.49).pixels) == (0, 1)
    assert len(DropPixel(hot_pixel_frequency=10.5)(events)) == 21


def test_equally_hot_pixels_come_by_row():
    events = events_at(np.arange(4) * 1_000_000)
    events["x"], events["y"] = [6, 1, 0, 5], [0, 0, 3, 0]
    assert [(p.x, p.y) for p in summary_of(events).hot_pixels(10).hottest] == [(1, 0), (5, 0), (6, 0), (0, 3)]


@pytest.mark.parametrize("times", [[], [5], [7, 7, 7]])
def test_where_no_time_passes_there_is_no_rate(times):
    summary = summary_of(events_at(times))
    assert summary.events == len(times) and summary.duration_us == 0
    assert summary.events_per_s is summary.busiest_second is summary.hot_pixels(15.0) is None
    edges, rates = summary.rates()
    assert len(edges) == 2 and rates.tolist() == [len(times) * 1000.0]


def test_an_hour_of_silence_and_years_of_clock_take_no_more_memory():
    summary = summary_of(events_at([0, 3_600_000_000, 10**15]), 1)
    assert summary.busiest_second == (1, 0) and len(summary.rates()[1]) <= RATE_BINS
