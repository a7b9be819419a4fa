"""The process that a command is: it ends with the right exit code whatever signal comes when, and into whatever its output goes.

Interrupted (SIGINT, SIGTERM) it ends with 130, from its first import until its last line is written; one that comes later finds
it finished and changes nothing. A second Ctrl-C leaves at once, even while a compiled kernel runs. When nobody reads its output
any more (`spikeseg status | head -1`) it ends silently with 0.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, NoReturn

from spikeseg.core import interrupts

EXIT_INTERRUPTED = 130
INTERRUPTED = "interrupted"
AGAIN_S = 0.3
"""SIGINT within so long after the first signal is the same one, which `timeout`, or a launcher in a terminal, sends twice."""

_children: list[Callable[[], None]] = []
"""What ends the processes that this one has started."""


def ends_children(end: Callable[[], None]) -> None:
    """Call a function when the process leaves at once; it must not wait."""
    if end not in _children:
        _children.append(end)


@contextlib.contextmanager
def as_program() -> Iterator[None]:
    """Run the block as what this process is for; the process ends with it, see `end`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    atexit.register(_ignore_signals)  # first, so that it is called last
    sys.stderr = _Tolerant(sys.stderr)
    handled = interrupts.hold_back(counted_elsewhere=_watched())
    code: Any = 0
    try:
        yield
    except SystemExit as ended:
        code = ended.code
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt) and not interrupts.arrived():
            raise
    end(code, handled)


def end(code: Any, handled: Collection[int]) -> NoReturn:
    """End the process with an exit code, or with 130 if a signal has come.

    Args:
        code: as for `sys.exit`.
        handled: signals that are held back.
    """
    if interrupts.arrived() and code != EXIT_INTERRUPTED:
        print(INTERRUPTED, file=sys.stderr)
        code = EXIT_INTERRUPTED
    close_output()
    if code == EXIT_INTERRUPTED:
        with contextlib.suppress(Exception):
            atexit._run_exitfuncs()  # what Python does at its end, but without waiting for threads at work
        _leave(code)
    for number in handled:  # it is finished, and no signal changes that
        signal.signal(number, lambda *_: _leave(code))
    signal.set_wakeup_fd(-1)
    if interrupts.arrived():  # it came between the last line and this one
        _leave(EXIT_INTERRUPTED)
    sys.exit(code)


def close_output() -> None:
    """Write what is left of the output; nowhere, when nobody reads it."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except BrokenPipeError:
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        except (OSError, ValueError, AttributeError):  # closed, or none
            pass


def output_unread() -> bool:
    """Whether the standard output is a pipe that nobody reads any more."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))
    except (OSError, ValueError, AttributeError):  # closed, of a test, or on a system without poll
        return False


@contextlib.contextmanager
def unread_output_ends() -> Iterator[None]:
    """Exit with 0 when the block writes to a standard output that nobody reads any more."""
    try:
        yield
    except BrokenPipeError:
        if not output_unread():
            raise
        close_output()
        sys.exit(0)


class _Tolerant:
    """The standard error, whose lines are lost, and the work is not, when nobody reads it any more."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As the stream does."""
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As the stream does."""
        with contextlib.suppress(BrokenPipeError):
            self._stream.flush()


def _watched() -> bool:
    """Let a thread see signals as they come: Python's handlers wait until a compiled kernel returns. -> whether it can."""
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    except (OSError, ValueError):  # not on this system
        return False
    threading.Thread(target=_watch, args=(reading,), name="signals", daemon=True).start()
    return True


def _watch(reading: int) -> None:
    first: float | None = None
    while came := os.read(reading, 1):
        if came[0] not in interrupts.SIGNALS:
            continue
        now = time.monotonic()
        if first is None:
            first = now
            interrupts.arrive()
        elif came[0] == signal.SIGINT and now - first > AGAIN_S:
            _leave(EXIT_INTERRUPTED)


def _ignore_signals() -> None:
    for number in interrupts.SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _leave(code: Any) -> NoReturn:
    """End this process and its children now."""
    for end in _children:
        with contextlib.suppress(Exception):
            end()
    os._exit(code if isinstance(code, int) else int(code is not None))
