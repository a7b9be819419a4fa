"""Compiled code that another version kept: used where it fits, compiled anew where its types are gone."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

SERVER = """
import json, os, sys, traceback
import numba
numba.njit("int64(int64)")(lambda x: x)  # what numba does once, before its compilations are heard
from numba.core import config
import spikeseg.core.compiled
for line in sys.stdin:
    folder, kept, script = json.loads(line)
    pipes = [os.pipe(), os.pipe()]
    process = os.fork()
    if not process:
        for number, (_, end) in enumerate(pipes, 1):
            os.dup2(end, number)
        os.environ["NUMBA_CACHE_DIR"] = kept
        config.reload_config()
        sys.path.insert(0, folder)
        failed = True
        try:
            exec(script, {"__name__": "__main__"})
            failed = False
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(failed)
    for _, end in pipes:
        os.close(end)
    told = [open(begin).read() for begin, _ in pipes]
    print(json.dumps([os.waitpid(process, 0)[1], *told]), flush=True)
"""


@pytest.fixture(scope="module")
def server():
    """A process that has loaded numba and waits for scripts."""
    command = [sys.executable, "-B", "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def python(server, tmp_path):
    """``python(script)``: run it in a new process that finds modules in tmp_path and keeps compiled code in tmp_path/kept, or in
    another folder; -> its stdout and stderr."""

    def run(script, kept="kept"):
        server.stdin.write(json.dumps([str(tmp_path), str(tmp_path / kept), script]) + "\n")
        server.stdin.flush()
        status, stdout, stderr = json.loads(server.stdout.readline())
        assert status == 0, stderr
        return SimpleNamespace(stdout=stdout, stderr=stderr)

    return run


KERNEL = """
from spikeseg.core.compiled import compiled

@compiled()
def total(pair):
    return pair.first + pair.second
"""
PAIR = """
from typing import NamedTuple

class {name}(NamedTuple):
    first: int
    second: int
"""
SCRIPT = """
import logging
logging.basicConfig(level=logging.INFO)
import kernel, pairs
from spikeseg.core.compiling import WATCHERS
WATCHERS.append(lambda count, another: print(count, another))
print(kernel.total(pairs.{name}(2, 3)))
"""


def test_a_renamed_type_compiles_anew(tmp_path, python):
    (tmp_path / "kernel.py").write_text(KERNEL)

    def run(name):
        """-> what is printed, and whether something was compiled, with the class of the arguments under this name."""
        (tmp_path / "pairs.py").write_text(PAIR.format(name=name))
        done = python(SCRIPT.format(name=name))
        told, found = done.stdout.splitlines()[:-1], int(done.stdout.splitlines()[-1])
        assert (told == ["0 True", "1 False"]) if "compiling" in done.stderr else not told
        return found, "compiling" in done.stderr

    assert run("Pair") == (5, True)
    assert run("Pair") == (5, False)
    assert run("Couple") == (5, True)
    assert run("Couple") == (5, False)


CALLER = """
from helper import FACTOR, twice
from spikeseg.core.compiled import compiled

@compiled()
def other(x):
    return twice(x) * FACTOR

@compiled("int64(int64)")
def whole(x):
    return other(x)
"""
HELPER = """
from spikeseg.core.compiled import compiled
FACTOR = {factor}

@compiled()
def twice(x):
    return x * {times}
"""


def test_what_another_file_holds_is_compiled_anew(tmp_path, python):
    """Where a compiled function calls one of another file, or uses its constant, and only that file changes."""
    (tmp_path / "caller.py").write_text(CALLER)
    script = "import logging; logging.basicConfig(level=logging.INFO); import caller; print(caller.whole(5))"

    def result():
        done = python(script)
        return int(done.stdout), "compiling" in done.stderr

    def with_helper(times, factor):
        (tmp_path / "helper.py").write_text(HELPER.format(times=times, factor=factor))
        return result()

    assert with_helper(2, 1) == (10, True)
    assert with_helper(2000, 1) == (10_000, True)
    assert with_helper(2000, 30) == (300_000, True)
    assert result() == (300_000, False)


INTRINSIC = """
from numba import types
from numba.extending import intrinsic

@intrinsic
def plus(typing, x):
    def generate(context, builder, signature, given):
        return builder.add(given[0], context.get_constant(types.int64, {number}))
    return types.int64(types.int64), generate
"""


@pytest.mark.parametrize(("line", "call"), [("from helper import plus", "plus(x)"), ("import helper", "helper.plus(x)")])
def test_intrinsics_of_another_file_are_compiled_anew(tmp_path, python, line, call):
    kernel = f"{line}\nfrom spikeseg.core.compiled import compiled\n\n@compiled()\ndef whole(x):\n    return {call}\n"
    (tmp_path / "caller.py").write_text(kernel)
    for number in (1, 1000):
        (tmp_path / "helper.py").write_text(INTRINSIC.format(number=number))
        assert int(python("import caller; print(caller.whole(5))").stdout) == 5 + number


UNKEPT = """
import resource, signal, logging
logging.basicConfig(level=logging.INFO)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))
import caller
print(caller.whole(5))
"""


@pytest.mark.parametrize("room", [0, 200, 4000])
def test_code_that_finds_no_room_is_compiled_all_the_same(tmp_path, python, room):
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "helper.py").write_text(HELPER.format(times=2, factor=1))
    for script in (UNKEPT.format(room=room), UNKEPT.format(room=10**9)):
        done = python(script)
        assert int(done.stdout) == 10 and ("cannot be kept" in done.stderr) == (script == UNKEPT.format(room=room))


def test_code_that_can_be_kept_nowhere_is_compiled_all_the_same(tmp_path, python):
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "helper.py").write_text(HELPER.format(times=2, factor=1))
    (tmp_path / "file").write_text("")
    script = "import logging; logging.basicConfig(level=logging.INFO); import caller; print(caller.whole(5))"
    assert int(python(script, "file/kept").stdout) == 10
