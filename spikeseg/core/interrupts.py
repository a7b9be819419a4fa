"""SIGINT and SIGTERM as a flag that is looked at between two items of work: never lost, and striking nothing halfway.

Python raises KeyboardInterrupt in whatever frame is running; in a callback of the garbage collector it vanishes. Within
`held_back`, which commands enter, signals set a flag, and `check` raises. Outside of it, and so for whoever uses the library,
`check` does nothing and Ctrl-C raises where it comes.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _State:
    """Of this process: whether signals are held back, whether one has come, whether the next one, or a second SIGINT, raises."""

    held_back = False
    arrived = False
    at_once = False
    counted_elsewhere = False


class _Here(threading.local):
    """Of this thread: the event that stops it, too."""

    stop: threading.Event | None = None


_state, _here = _State(), _Here()


def held() -> bool:
    """Whether signals are held back."""
    return _state.held_back


def arrived() -> bool:
    """Whether a signal has come, or this thread is to stop."""
    return _state.arrived or (_here.stop is not None and _here.stop.is_set())


def check() -> None:
    """Raise KeyboardInterrupt if a signal has come; to be called between two items of work, in any thread."""
    if arrived():
        raise KeyboardInterrupt


def arrive() -> None:
    """Take note of a signal, where signals are held back."""
    _state.arrived = _state.held_back


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Let SIGINT and SIGTERM set the flag while the block runs; one that was ignored before stays so.

    A second SIGINT raises at once. Within another such block, and outside of the main thread, the block changes nothing.
    """
    if _state.held_back or threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = hold_back()
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
        _state.held_back = _state.arrived = False


def hold_back(counted_elsewhere: bool = False) -> dict[signal.Signals, Any]:
    """As `held_back`, for good. -> the handlers there were, of the signals that are held back now.

    Args:
        counted_elsewhere: whether something else sees to a second SIGINT, which then does not raise.
    """
    earlier = {number: signal.getsignal(number) for number in SIGNALS}
    changed = {number: handler for number, handler in earlier.items() if handler not in (signal.SIG_IGN, None)}
    _state.held_back, _state.arrived, _state.counted_elsewhere = True, False, counted_elsewhere
    for number in changed:
        signal.signal(number, _on_signal)
    return changed


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Let a signal raise where it comes while the block runs: for waiting that nothing else ends, such as for an answer typed."""
    before, _state.at_once = _state.at_once, True
    try:
        check()
        yield
    finally:
        _state.at_once = before


@contextlib.contextmanager
def stopped_by(event: threading.Event) -> Iterator[None]:
    """Let `check`, in this thread, raise once the event is set, too, while the block runs."""
    before, _here.stop = _here.stop, event
    try:
        yield
    finally:
        _here.stop = before


def _on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as `signal` calls it
    again = _state.arrived and number == signal.SIGINT and not _state.counted_elsewhere
    _state.arrived = True
    if again or _state.at_once:
        raise KeyboardInterrupt
