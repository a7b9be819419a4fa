"""Stray times, silences and clocks that move, in a stream."""

import numpy as np
import pytest

from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.data.stream_clock import BLOCK, FEW, MANY, StreamClock

HOUR = 3_600_000_000


def events(*times):
    made = np.zeros(sum(map(np.size, times)), EVENT_DTYPE)
    made["t"] = np.concatenate([np.atleast_1d(t) for t in times]) if times else 0
    made["x"] = np.arange(len(made)) % 100
    return made


def steady(first, n, step=1000):
    return first + np.arange(n) * step


def through(given, step):
    """The times that pass, part by part; the moves; the number of strays."""
    clock = StreamClock()
    pieces = [piece for at in range(0, len(given), step) for piece in clock.take(given[at : at + step])]
    pieces += clock.end()
    parts, moves = [[]], []
    for piece in pieces:
        if piece.moved is not None:
            moves.append((piece.moved.from_us, piece.moved.to_us))
            parts.append([])
        parts[-1] += piece.events["t"].tolist()
    passed = sum(len(part) for part in parts)
    assert passed + clock.stray == len(given)
    return parts, moves, clock.stray


@pytest.fixture(params=[1, 7, BLOCK + 1, 10**6])
def step(request):
    return request.param


def test_what_is_in_order_passes_as_it_came(step):
    rng = np.random.default_rng(0)
    given = events(np.cumsum(rng.integers(0, 2000, 3000)) + rng.integers(-500_000, 500_000, 3000))
    assert through(given, step) == ([given["t"].tolist()], [], 0)


@pytest.mark.parametrize("stray", [2 * HOUR, 30_000_000, 5_000_000, 2**52, -(2**52), -2_000_000])
@pytest.mark.parametrize("at", [0, 1, 3, 50, 999])
def test_one_stray_time_costs_itself_alone(stray, at, step):
    good = steady(10_000_000, 1000)
    base = int(good[min(at, 999)])
    given = events(good[:at], [base + stray], good[at:])
    if at == 0 and stray == -2_000_000:
        assert through(given, step) == ([given["t"].tolist()], [], 0)  # which may as well be an event before a silence
        return
    assert through(given, step) == ([good.tolist()], [], 1)


@pytest.mark.parametrize("stray", [2 * HOUR, 30_000_000, -HOUR])
def test_a_stray_time_at_the_end(stray, step):
    good = steady(0, 100)
    assert through(events(good, [int(good[-1]) + stray]), step) == ([good.tolist()], [], 1)


def test_strays_now_and_then_leave_all_others(step):
    rng = np.random.default_rng(1)
    good, parts = steady(0, 3000), []
    for k, t in enumerate(good):
        parts.append([t])
        if k % 50 == 49:
            parts.append(rng.integers(2 * HOUR, 2**52, rng.integers(1, 4)))
    given = events(*parts)
    assert through(given, step) == ([good.tolist()], [], len(given) - len(good))


@pytest.mark.parametrize("seconds", [1.5, 9, 60, 3599])
def test_a_silence_is_no_new_part(seconds, step):
    good = steady(0, 500)
    later = steady(int(good[-1] + seconds * 1e6), 500)
    assert through(events(good, later), step) == ([[*good.tolist(), *later.tolist()]], [], 0)


@pytest.mark.parametrize("gap", [2_000_000, 60_000_000])
def test_a_stream_of_few_events_loses_none(gap, step):
    given = events(steady(0, 200, gap))
    assert through(given, step) == ([given["t"].tolist()], [], 0)


def test_a_silence_before_the_end(step):
    given = events(steady(0, 100), steady(60_000_000, FEW))
    assert through(given, step) == ([given["t"].tolist()], [], 0)
    given = events(steady(0, 100), [5_000_000])
    assert through(given, step) == ([given["t"].tolist()], [], 0)


@pytest.mark.parametrize("first", [0, 10**15])
def test_a_clock_that_starts_again_begins_a_part(first, step):
    one, two = steady(7 * HOUR, 1000), steady(first, MANY + 200)
    assert through(events(one, two), step) == ([one.tolist(), two.tolist()], [(int(one[-1]), first)], 0)


def test_a_clock_that_starts_again_often(step):
    one = steady(2_000_000, 600, 10_000)
    parts, moves, stray = through(events(one, one, one), step)
    assert parts == [one.tolist()] * 3 and len(moves) == 2 and not stray


def test_a_start_that_is_stray_is_forgotten(step):
    good = steady(0, 500)
    assert through(events([2**50], good), step) == ([good.tolist()], [], 1)
    assert through(events([2**50], good[:3]), step) == ([good[:3].tolist()], [], 1)


def test_little_is_held_back():
    clock = StreamClock()
    rng = np.random.default_rng(2)
    for _ in range(20):
        clock.take(events(rng.integers(0, 2**52, 1000)))
        assert len(clock._aside) <= MANY and len(clock._held) <= FEW


def test_nothing_comes_of_nothing():
    clock = StreamClock()
    assert clock.take(events()) == [] and clock.end() == [] and clock.stray == 0
