"""Log lines, bars, errors in one line, exit codes."""

import io
import logging
import resource
import signal
import sys
import warnings

import pytest

from spikeseg.core import compiling, interrupts
from spikeseg.errors import InputError
from spikeseg.pipelines.runtime.console import LOGGER, bar, logging_to_file, logging_to_stderr, one_line_errors, progress

LOG = logging.getLogger("spikeseg.somewhere")


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (InputError("a.npz: broken"), 3, "error: a.npz: broken"),
        (PermissionError(13, "Permission denied", "/x/y"), 3, "error: /x/y: permission denied"),
        (OSError(28, "No space left on device"), 3, "error: no space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 3, "or give the process more memory"),
        (MemoryError("Unable to allocate 7 TiB\nfor an array"), 3, "or give the process more memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 3, "or give the process more memory"),
        (OSError(12, "Cannot allocate memory", "/x"), 3, "or give the process more memory"),
        (RuntimeError("can't start new thread"), 3, "or give the process more memory"),
        (TypeError("two\nlines"), 1, "--debug: TypeError: two lines"),
    ],
)
def test_every_end_is_one_line_and_its_own_exit_code(capsys, raised, code, line):
    with pytest.raises(SystemExit) as ended, one_line_errors(debug=False):
        raise raised
    said = capsys.readouterr().err
    assert ended.value.code == code and said.endswith(line + "\n") and said.count("\n") == 1


def test_debug_adds_the_traceback(capsys):
    with pytest.raises(SystemExit), one_line_errors(debug=True):
        raise InputError("no")
    said = capsys.readouterr().err
    assert "Traceback" in said and said.endswith("error: no\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("then", [None, InputError("of a child that the signal ended"), SystemExit(0)])
def test_a_signal_gives_130_however_the_block_ends(capsys, number, then):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended, one_line_errors(debug=False):
        signal.raise_signal(number)  # raises nothing here
        if then is not None:
            raise then
    assert ended.value.code == 130 and signal.getsignal(number) is before
    assert capsys.readouterr().err == "interrupted\n" and not interrupts.arrived()


@pytest.mark.parametrize("stops", [True, False])
def test_in_a_log_file_a_remark_is_no_line_of_its_own(capsys, stops):
    with logging_to_stderr("INFO"), bar("training", "sample", 5, stops=stops) as shown:
        for number in range(5):
            shown.update()
            shown.set_postfix_str(f"C_l 0.{number}")
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("capsys")
def test_a_signal_ends_the_work_between_two_items():
    done = []
    for items in (progress(range(5), "a", "b"), updates(bar("a", "b", 5))):
        with pytest.raises(SystemExit), one_line_errors(debug=False):
            for item in items:
                done.append(item)
                if item == 2:
                    signal.raise_signal(signal.SIGTERM)
    assert done == [0, 1, 2] * 2


def updates(shown):
    with shown:
        for item in range(5):
            yield item
            shown.update()


def test_the_last_item_s_interrupt_is_not_lost():
    """What is written after the last item would hold what the interrupt has spoilt."""
    with pytest.raises(KeyboardInterrupt), interrupts.held_back():
        for _ in progress(range(2), "a", "b"):
            signal.raise_signal(signal.SIGINT)
            break
        list(progress([], "a", "b"))


def test_warnings_are_lines_told_once_and_levels_count(capsys):
    with logging_to_stderr("INFO"):
        LOG.info("hello")
        LOG.debug("not shown")
        for _ in range(2):
            warnings.warn("look out", stacklevel=1)
    LOG.warning("after the block")
    assert capsys.readouterr().err == "hello\nwarning: look out\n"


class Terminal(io.StringIO):
    """stderr that says it is a terminal."""

    def isatty(self):
        return True


def counted(monkeypatch, stderr, level="INFO"):
    """What counting to five says."""
    monkeypatch.setattr(sys, "stderr", stderr)
    with logging_to_stderr(level):
        assert list(progress(range(5), "counting", "thing")) == [0, 1, 2, 3, 4]
    return stderr.getvalue()


def test_bar_tells_rate_and_stays_silent_below_info(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    said = counted(monkeypatch, Terminal())
    assert "counting:   0%" in said and "thing/s]" in said and said.endswith("\r")
    assert counted(monkeypatch, Terminal(), "WARNING") == ""


@pytest.mark.parametrize("stderr", [io.StringIO, Terminal])
def test_without_a_terminal_progress_is_a_whole_line_now_and_then(monkeypatch, stderr):
    monkeypatch.setenv("TERM", "dumb")
    assert counted(monkeypatch, stderr()) == ""  # in no time
    monkeypatch.setattr("spikeseg.pipelines.runtime.console.FILE_SECONDS", 0.0)
    said = counted(monkeypatch, stderr())
    assert "counting: 4 of 5 things, 00:00 gone, " in said and "left\n" in said and not set(said) & {"\r", "\x1b"}
    assert counted(monkeypatch, stderr(), "WARNING") == ""


def test_while_functions_are_compiled_a_terminal_shows_how_many_are_done(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for stderr, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stderr)
        with logging_to_stderr("INFO"):
            for state in ((0, True), (1, True), (2, False)):
                for watcher in compiling.WATCHERS:
                    watcher(*state)
        said = stderr.getvalue()
        assert (said == "") if not shown else ("compiling: 1 functions done" in said and said.endswith("\r"))
    assert not compiling.WATCHERS


@pytest.mark.parametrize("form", [Terminal, io.StringIO])
def test_a_bar_s_pace_is_that_of_the_work_not_of_compiling(monkeypatch, form):
    stderr, console = form(), "spikeseg.pipelines.runtime.console"
    monkeypatch.setattr(sys, "stderr", stderr)
    clock = [1000.0]
    monkeypatch.setattr("tqdm.std.time", lambda: clock[0])
    monkeypatch.setattr(f"{console}.monotonic", lambda: clock[0])
    with logging_to_stderr("INFO"):
        shown = bar("looking", "window", 39)
        (watcher,) = compiling.WATCHERS
        for state in ((0, True), (1, True), (2, False)):
            watcher(*state)
            clock[0] += 40.0 if state[1] else 20.0
        shown.update()
        assert (shown.format_dict["elapsed"], shown.format_dict["rate"]) == (20.0, pytest.approx(1 / 20))
        shown.close()


@pytest.mark.parametrize("room", [0, 40, 200])
def test_a_log_that_finds_no_room_ends_with_one_warning(tmp_path, capsys, room):
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with logging_to_stderr("INFO"), logging_to_file(tmp_path / "a.log"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
            for number in range(50):
                LOGGER.info("line %d", number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    said = capsys.readouterr().err
    assert (
        said.count("warning: ") == said.count("the log ends here") == 1
        and f"cannot write {tmp_path}/a.log: file too large" in said
    )
    assert "line 49" in said and "Traceback" not in said and (tmp_path / "a.log").stat().st_size <= room
