"""Signals held back: a flag that `check` raises for, and nothing outside."""

import signal
import threading

import pytest

from spikeseg.core import interrupts

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@BOTH
def test_a_signal_raises_at_the_next_check_and_no_earlier(number):
    before = signal.getsignal(number)
    with interrupts.held_back():
        interrupts.check()
        signal.raise_signal(number)
        assert interrupts.arrived()
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
    assert signal.getsignal(number) is before and not interrupts.arrived()
    interrupts.check()


def test_one_that_python_would_lose_is_not():
    """In a finaliser KeyboardInterrupt is printed and dropped."""

    class Finalised:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    with interrupts.held_back():
        del (lambda: [Finalised()])()[:]
        assert interrupts.arrived()


def test_a_second_ctrl_c_raises_at_once_and_a_second_sigterm_does_not():
    with interrupts.held_back():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_block_within_a_block_changes_nothing():
    with interrupts.held_back():
        with interrupts.held_back():
            signal.raise_signal(signal.SIGINT)
        assert interrupts.arrived()


def test_waiting_that_nothing_else_ends_is_struck_where_it_is():
    with interrupts.held_back(), interrupts.at_once(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_the_library_keeps_python_s_ways():
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert not interrupts.arrived()


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.held_back():
            signal.raise_signal(signal.SIGINT)
            assert not interrupts.arrived()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_stops_alone():
    stop, seen = threading.Event(), []

    def work():
        with interrupts.stopped_by(stop):
            interrupts.check()
            stop.set()
            seen.append(interrupts.arrived())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True] and not interrupts.arrived()
