"""Compiled code that another version kept: used where it fits, compiled anew where its types are gone."""

import os
import subprocess
import sys

import pytest

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


def run(folder, name):
    """-> what is printed, and whether something was compiled, with the class of the arguments under this name."""
    (folder / "pairs.py").write_text(PAIR.format(name=name))
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "kept"), "PYTHONPATH": str(folder)}
    command = [sys.executable, "-B", "-c", SCRIPT.format(name=name)]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
    told, found = done.stdout.splitlines()[:-1], int(done.stdout.splitlines()[-1])
    assert (told == ["0 True", "1 False"]) if "compiling" in done.stderr else not told
    return found, "compiling" in done.stderr


def test_a_renamed_type_compiles_anew(tmp_path):
    (tmp_path / "kernel.py").write_text(KERNEL)
    assert run(tmp_path, "Pair") == (5, True)
    assert run(tmp_path, "Pair") == (5, False)
    assert run(tmp_path, "Couple") == (5, True)
    assert run(tmp_path, "Couple") == (5, False)


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


def test_what_another_file_holds_is_compiled_anew(tmp_path):
    """Where a compiled function calls one of another file, or uses its constant, and only that file changes."""
    (tmp_path / "caller.py").write_text(CALLER)
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept"), "PYTHONPATH": str(tmp_path)}
    script = "import logging; logging.basicConfig(level=logging.INFO); import caller; print(caller.whole(5))"

    def result():
        done = subprocess.run([sys.executable, "-B", "-c", script], env=settings, capture_output=True, text=True, check=True)
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
def test_intrinsics_of_another_file_are_compiled_anew(tmp_path, line, call):
    kernel = f"{line}\nfrom spikeseg.core.compiled import compiled\n\n@compiled()\ndef whole(x):\n    return {call}\n"
    (tmp_path / "caller.py").write_text(kernel)
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept"), "PYTHONPATH": str(tmp_path)}
    for number in (1, 1000):
        (tmp_path / "helper.py").write_text(INTRINSIC.format(number=number))
        command = [sys.executable, "-B", "-c", "import caller; print(caller.whole(5))"]
        done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
        assert int(done.stdout) == 5 + number


UNKEPT = """
import resource, signal, logging
logging.basicConfig(level=logging.INFO)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))
import caller
print(caller.whole(5))
"""


@pytest.mark.parametrize("room", [0, 200, 4000])
def test_code_that_finds_no_room_is_compiled_all_the_same(tmp_path, room):
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "helper.py").write_text(HELPER.format(times=2, factor=1))
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept"), "PYTHONPATH": str(tmp_path)}
    for script in (UNKEPT.format(room=room), UNKEPT.format(room=10**9)):
        done = subprocess.run([sys.executable, "-B", "-c", script], env=settings, capture_output=True, text=True, check=True)
        assert int(done.stdout) == 10 and ("cannot be kept" in done.stderr) == (script == UNKEPT.format(room=room))


def test_code_that_can_be_kept_nowhere_is_compiled_all_the_same(tmp_path):
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "helper.py").write_text(HELPER.format(times=2, factor=1))
    (tmp_path / "file").write_text("")
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "file" / "kept"), "PYTHONPATH": str(tmp_path)}
    script = "import logging; logging.basicConfig(level=logging.INFO); import caller; print(caller.whole(5))"
    done = subprocess.run([sys.executable, "-B", "-c", script], env=settings, capture_output=True, text=True, check=True)
    assert int(done.stdout) == 10
