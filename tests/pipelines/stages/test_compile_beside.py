"""The process that compiles beside: only where something is compiled and a core is free, and never for longer than the block."""

import subprocess
import sys
from typing import ClassVar

import pytest

from spikeseg.config.load import load_config
from spikeseg.core.compiling import WATCHERS
from spikeseg.pipelines.stages import compile_beside
from spikeseg.pipelines.stages.compile_beside import compiled_beside

NIGHTS, SCENES = load_config("demo", {"device": "cpu"}), load_config("files", {"device": "cpu"})


class Process(subprocess.Popen):
    """One that does nothing, and for as long as it is let."""

    words: ClassVar[list[list[str]]] = []

    def __init__(self, words, **options):
        self.words.append(words)
        super().__init__([sys.executable, "-c", "import sys; sys.stdin.read()"], **{**options, "stdin": subprocess.PIPE})


@pytest.fixture
def started(monkeypatch):
    """The processes that are started, as their command lines."""
    monkeypatch.setattr(Process, "words", [])
    monkeypatch.setattr(compile_beside.subprocess, "Popen", Process)
    monkeypatch.setattr(compile_beside, "cores", lambda: 2)
    return Process.words


def compile_one() -> None:
    for watcher in tuple(WATCHERS):
        watcher(0, True)


@pytest.mark.parametrize(("cfg", "scenes"), [(NIGHTS, False), (SCENES, True)])
def test_one_process_is_started_by_the_first_function_and_ended_with_the_block(started, cfg, scenes):
    with pytest.raises(KeyboardInterrupt), compiled_beside(cfg):
        assert not started
        compile_one()
        compile_one()
        (process,) = compile_beside._started
        assert process.poll() is None
        raise KeyboardInterrupt
    assert process.poll() is not None and not WATCHERS and not compile_beside._started
    process.stdin.close()
    ((*_, text),) = started
    assert text.endswith(f"compile_last({scenes})")
    compile(text, "", "exec")


def test_none_is_started_where_nothing_is_compiled_or_no_core_is_free(started, monkeypatch):
    with compiled_beside(NIGHTS):
        pass
    points = load_config("demo", {"device": "cpu", "model.motion": False})
    with compiled_beside(points):
        compile_one()
    monkeypatch.setattr(compile_beside, "cores", lambda: 1)
    with compiled_beside(NIGHTS):
        compile_one()
    assert not started and compile_beside.cores() == 1


def test_a_process_that_cannot_be_started_is_done_without(started, monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise OSError("no memory")

    monkeypatch.setattr(compile_beside.subprocess, "Popen", refused)
    with compiled_beside(NIGHTS):
        compile_one()
    assert not compile_beside._started
