"""What the user sees: log lines and progress bars on stderr, results on stdout."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from tqdm import tqdm

from spikeseg.errors import InputError

Item = TypeVar("Item")

LOGGER = logging.getLogger("spikeseg")
TERMINAL_SECONDS, FILE_SECONDS = 0.2, 10.0
"""Least time between two updates of a bar: on a terminal, and in a log file, which keeps every one of them."""


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
        try:
            yield
        finally:
            LOGGER.removeHandler(handler)
            LOGGER.setLevel(earlier)
            LOGGER.propagate = passed_on


@contextlib.contextmanager
def logging_to_file(path: Path) -> Iterator[None]:
    """Write the log records that are shown to a file as well, with their times, while the block runs."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        handler.close()


def progress(items: Iterable[Item], what: str, unit: str, total: int | None = None) -> Iterator[Item]:
    """Pass items through under a progress bar on stderr with rate and remaining time; none below log level INFO.

    Args:
        items: what to go through.
        what: what is being done ("framing recordings").
        unit: name of one item ("recording").
        total: how many there are, where `items` has no length.
    """
    yield from tqdm(items, total=total, **_appearance(what, unit))


def bar(what: str, unit: str, total: int, initial: int = 0) -> tqdm[NoReturn]:
    """A progress bar that the caller updates, with room for a remark at its end; otherwise as `progress`.

    Args:
        what: what is being done ("encoding").
        unit: name of one item ("window").
        total: how many items there are.
        initial: how many of them are done already.
    """
    return tqdm(total=total, initial=initial, **_appearance(what, unit))


def _appearance(what: str, unit: str) -> dict[str, Any]:
    """How a bar looks: on a terminal it is erased at its end; in a log file it stays, and is updated rarely."""
    terminal = sys.stderr.isatty()
    return {
        "desc": what,
        "unit": f" {unit}",
        "file": sys.stderr,
        "mininterval": TERMINAL_SECONDS if terminal else FILE_SECONDS,
        "disable": not LOGGER.isEnabledFor(logging.INFO),
        "leave": not terminal,
    }


EXIT_INPUT, EXIT_INTERRUPTED, EXIT_BUG = 3, 130, 1


@contextlib.contextmanager
def one_line_errors(debug: bool, passed: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn an exception in the block into one line on stderr and an exit code.

    Bad input and an operating system that refuses give 3, SIGINT and SIGTERM 130, an error of the program's own 1.

    Args:
        debug: print the traceback, too.
        passed: exceptions that are raised as they are.
    """
    try:
        with _terminable():
            yield
    except passed:
        raise
    except KeyboardInterrupt:
        _leave(EXIT_INTERRUPTED, "interrupted", debug)
    except InputError as error:
        _leave(EXIT_INPUT, f"error: {error}", debug)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _leave(EXIT_INPUT, f"error: {where}{(error.strerror or str(error)).lower()}", debug)
    except Exception as error:  # the outermost handler: whatever arrives here is a bug
        line = " ".join(f"{type(error).__name__}: {error}".split())
        _leave(EXIT_BUG, f"error in spikeseg itself, please report it with the output of --debug: {line}", debug)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM interrupt the block as SIGINT does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


def _leave(code: int, line: str, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exc()
    print(line, file=sys.stderr)
    sys.exit(code)
