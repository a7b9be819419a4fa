"""One writer at a time; the others wait, say so, and find what was written."""

import logging
import multiprocessing
import threading
from pathlib import Path

import pytest

from spikeseg.core import interrupts
from spikeseg.errors import InputError
from spikeseg.pipelines.runtime.console import LOGGER
from spikeseg.pipelines.runtime.manifest import Ingredients
from spikeseg.pipelines.runtime.stage import locked, one_writer, run_in_folder


@pytest.fixture
def waiting(monkeypatch):
    """An event that is set when somebody says that he waits."""
    said = threading.Event()
    handler = logging.Handler()
    handler.emit = lambda record: "waiting for it" in record.getMessage() and said.set()
    LOGGER.addHandler(handler)
    before = LOGGER.level
    LOGGER.setLevel("INFO")
    yield said
    LOGGER.setLevel(before)
    LOGGER.removeHandler(handler)


def in_thread(function, *given):
    thread = threading.Thread(target=function, args=given)
    thread.start()
    return thread


def test_the_second_waits_and_says_so(tmp_path, waiting):
    order = []

    def second():
        with one_writer(tmp_path / "run"):
            order.append("second")

    with one_writer(tmp_path / "run"):
        with one_writer(tmp_path / "run"):  # as `train` and its `train-layer`
            thread = in_thread(second)
            waiting.wait()
        order.append("first")
    thread.join()
    assert order == ["first", "second"] and list((tmp_path / "run").iterdir()) == []


def test_two_in_one_folder_of_the_user_s_do_the_work_once(tmp_path, waiting):
    results, built = [], []

    def build(folder: Path) -> dict:
        if not built:
            built.append(in_thread(go))
            waiting.wait()
        (folder / "a.txt").write_text("a")
        return {}

    def go():
        results.append(run_in_folder(tmp_path / "out", Ingredients("detect", 1, {}, {}), build).ran)

    go()
    built[0].join()
    assert results == [True, False] or results == [False, True]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "detect.manifest.json"]


def count(folder: Path, times: int) -> None:
    for _ in range(times):
        with locked(folder):
            number = int(folder.read_text())
            folder.write_text("")
            folder.write_text(str(number + 1))


def test_lock_files_that_come_and_go_let_one_in_at_a_time(tmp_path):
    (tmp_path / "n").write_text("0")
    context = multiprocessing.get_context("fork")
    counting = [context.Process(target=count, args=(tmp_path / "n", 40)) for _ in range(4)]
    for process in counting:
        process.start()
    for process in counting:
        process.join()
    assert (tmp_path / "n").read_text() == "160" and [path.name for path in tmp_path.iterdir()] == ["n"]


def test_an_interrupt_ends_the_waiting(tmp_path, waiting):
    def interrupt():
        waiting.wait()
        interrupts.arrive()

    held, done = threading.Event(), threading.Event()

    def hold():
        with one_writer(tmp_path / "run"):
            held.set()
            done.wait()

    holder = in_thread(hold)
    held.wait()
    with interrupts.held_back():
        interrupter = in_thread(interrupt)
        with pytest.raises(KeyboardInterrupt), one_writer(tmp_path / "run"):
            pytest.fail("must wait")
        interrupter.join()
    done.set()
    holder.join()


def test_a_folder_that_was_made_for_nothing_goes(tmp_path):
    with pytest.raises(InputError), one_writer(tmp_path / "new"):
        raise InputError("no frames")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"), one_writer(tmp_path / "file" / "run"):
        pytest.fail("must be refused")
