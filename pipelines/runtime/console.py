"""What the user sees: log lines and progress bars on stderr, results on stdout."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, NoReturn, TypeVar
from weakref import WeakSet

from tqdm import tqdm

from spikeseg.core import interrupts
from spikeseg.core.compiling import WATCHERS
from spikeseg.core.files import refusal, writing
from spikeseg.errors import InputError

from .process import EXIT_INTERRUPTED, INTERRUPTED, unread_output_ends

Item = TypeVar("Item")

LOGGER = logging.getLogger("spikeseg")
TERMINAL_SECONDS, FILE_SECONDS = 0.2, 10.0
"""Least time between two updates of a bar: on a terminal, and in a log file, which keeps every one of them."""


def on_terminal() -> bool:
    """Whether stderr is a terminal on which a line can be written over."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class _Handler(logging.Handler):
    """Writes to whatever stderr is now, above a running progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if record.levelno >= logging.WARNING:
            line = f"{record.levelname.lower()}: {line}"
        tqdm.write(line, file=sys.stderr)


@contextlib.contextmanager
def logging_to_stderr(level: str) -> Iterator[None]:
    """Show log records of `level` and above, and each Python warning once, as one line, while the block runs."""
    handler = _Handler()
    earlier, passed_on = LOGGER.level, LOGGER.propagate
    LOGGER.addHandler(handler)
    LOGGER.propagate = False
    LOGGER.setLevel(level)
    with warnings.catch_warnings():
        shown: set[str] = set()

        def show(message: Warning | str, *_: object, **__: object) -> None:
            if str(message) not in shown:
                shown.add(str(message))
                LOGGER.warning("%s", message)

        warnings.showwarning = show
        compiling = _Compiling()
        WATCHERS.append(compiling)
        try:
            yield
        finally:
            WATCHERS.remove(compiling)
            LOGGER.removeHandler(handler)
            LOGGER.setLevel(earlier)
            LOGGER.propagate = passed_on


class _Compiling:
    """While functions are compiled, one line on a terminal that says how many are done; in a log file nothing. Progress bars
    leave that time out: their pace is that of the work."""

    bar: tqdm[NoReturn] | None = None
    since: float | None = None

    def __call__(self, count: int, another: bool) -> None:
        """See `spikeseg.core.compiling`."""
        if another and self.since is None:
            self.since = monotonic()
        elif not another and self.since is not None:
            _Remarked.wait(monotonic() - self.since)
            self.since = None
        if not another and self.bar is not None:
            self.bar.close()
            self.bar = None
        elif another and on_terminal() and LOGGER.isEnabledFor(logging.INFO):
            if self.bar is None:
                self.bar = tqdm(initial=count, bar_format="compiling: {n} functions done", file=sys.stderr, leave=False)
            self.bar.n = count
            self.bar.refresh()


class _LogFile(logging.FileHandler):
    """A log that ends, after a warning, where it finds no more room; the work goes on."""

    ended = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless the log has ended."""
        if not self.ended:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Called where writing has failed."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self.ended = True
        LOGGER.warning("%s; the log ends here", refusal(Path(self.baseFilename), error))

    def close(self) -> None:
        """Close the file; what it did not take is in no buffer any more."""
        with contextlib.suppress(OSError):
            super().close()


@contextlib.contextmanager
def logging_to_file(path: Path) -> Iterator[None]:
    """Write the log records that are shown to a file as well, with their times, while the block runs."""
    with writing(path):
        handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        handler.close()


def progress(items: Iterable[Item], what: str, unit: str, total: int | None = None) -> Iterator[Item]:
    """Pass items through under a progress bar on stderr with rate and remaining time; none below log level INFO.

    Between two items an interrupt ends the work.

    Args:
        items: what to go through.
        what: what is being done ("framing recordings").
        unit: name of one item ("recording").
        total: how many there are, where `items` has no length.
    """
    for item in _Remarked(items, total=total, **_appearance(what, unit)):
        interrupts.check()
        yield item
    interrupts.check()


class _Lines:
    """stderr for a bar where it is no terminal: each state of the bar is a line, and nothing is written over."""

    def write(self, text: str) -> None:
        """Write what is not there to move the cursor or to erase."""
        if line := text.strip():
            print(line, file=sys.stderr)

    def flush(self) -> None:
        """See `print`."""
        sys.stderr.flush()


class _Remarked(tqdm):
    """A bar with room for a remark; in a log file that waits for the bar's next line, for each would be a line of its own."""

    shown: ClassVar[WeakSet[_Remarked]] = WeakSet()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not self.disable:
            self.shown.add(self)

    @classmethod
    def wait(cls, seconds: float) -> None:
        """Leave a time that has just passed out of what all bars say."""
        for bar in list(cls.shown):
            bar.start_t += seconds
            bar.last_print_t += seconds

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """As tqdm does it."""
        super().set_postfix_str(s, refresh and on_terminal())


class _Bar(_Remarked):
    """A bar whose every update is a point at which an interrupt ends the work."""

    def update(self, n: float | None = 1) -> bool | None:
        """As tqdm does it."""
        interrupts.check()
        return super().update(n)


def bar(what: str, unit: str, total: int, initial: int = 0, *, stops: bool = True) -> tqdm[NoReturn]:
    """A progress bar that the caller updates, with room for a remark at its end; otherwise as `progress`.

    Args:
        what: what is being done ("encoding").
        unit: name of one item ("window").
        total: how many items there are.
        initial: how many of them are done already.
        stops: whether an interrupt ends the work at an update; if not, the caller looks for one.
    """
    return (_Bar if stops else _Remarked)(total=total, initial=initial, **_appearance(what, unit))


def _appearance(what: str, unit: str) -> dict[str, Any]:
    """How a bar looks: on a terminal it is erased at its end; elsewhere it is a line every FILE_SECONDS, none before."""
    shown = {"desc": what, "unit": f" {unit}", "disable": not LOGGER.isEnabledFor(logging.INFO), "leave": False}
    if on_terminal():
        return {**shown, "file": sys.stderr, "mininterval": TERMINAL_SECONDS}
    form = "{desc}: {n_fmt} of {total_fmt}{unit}s, {elapsed} gone, {remaining} left{postfix}"
    return {**shown, "file": _Lines(), "mininterval": FILE_SECONDS, "delay": FILE_SECONDS, "bar_format": form}


EXIT_INPUT, EXIT_BUG = 3, 1

NO_MEMORY = (
    "can't allocate memory",  # torch on the CPU
    "not enough memory",  # torch, where the operating system says so
    "CUDA out of memory",
    "can't start new thread",
    "failed to map segment from shared object",  # a library that is loaded when memory is short
    "Unable to allocate internal buffer",  # OpenBLAS
)
"""How libraries say that they got no memory, where they do not raise MemoryError."""


def out_of_memory(error: BaseException) -> str:
    """The line that ends a command for which there is not enough memory."""
    said = " ".join(str(error).split())[:200]
    return (
        f"error: not enough memory{f' ({said})' if said else ''}; use fewer --jobs, smaller frames (data.input_height, "
        "data.input_width, data.n_timesteps) or fewer maps (model.conv2_channels), or give the process more memory"
    )


@contextlib.contextmanager
def one_line_errors(debug: bool, passed: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn an exception in the block into one line on stderr and an exit code.

    Bad input, too little memory and an operating system that refuses give 3, SIGINT and SIGTERM 130, an error of the program's
    own 1; output that nobody reads any more ends it silently with 0. Signals are held back, see `interrupts`; one that comes
    gives 130 however the block ends.

    Args:
        debug: print the traceback, too.
        passed: exceptions that are raised as they are.
    """
    with interrupts.held_back():
        try:
            with unread_output_ends():
                yield
            interrupts.check()
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            if isinstance(error, (SystemExit, *passed)) and not interrupts.arrived():
                raise
            code, line = _end(error)
            if debug:
                traceback.print_exc()
            print(line, file=sys.stderr)
            sys.exit(code)


def _end(error: BaseException) -> tuple[int, str]:
    """The exit code, and the line for the user."""
    if isinstance(error, KeyboardInterrupt) or interrupts.arrived():
        return EXIT_INTERRUPTED, INTERRUPTED
    if isinstance(error, InputError):
        return EXIT_INPUT, f"error: {error}"
    if _no_memory(error):
        return EXIT_INPUT, out_of_memory(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return EXIT_INPUT, f"error: {where}{(error.strerror or str(error)).lower()}"
    line = " ".join(f"{type(error).__name__}: {error}".split())  # whatever arrives here is a bug
    return EXIT_BUG, f"error in spikeseg itself, please report it with the output of --debug: {line}"


def _no_memory(error: BaseException) -> bool:
    """Whether an exception says that there was too little memory."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in NO_MEMORY)
