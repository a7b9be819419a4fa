"""The process that a command is: exit codes whatever signal comes when, and into whatever its output goes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PIPE = subprocess.PIPE
START = "from spikeseg.pipelines.start import main; main()"
PROGRAM = "import os, signal, sys\nfrom spikeseg.pipelines.runtime.process import as_program\n"


def program(code: str, *words: str, **options) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code, *words], stdout=PIPE, stderr=PIPE, text=True, **options)


def ended(run: subprocess.Popen) -> tuple[int, str, str]:
    out, err = run.communicate()
    return run.returncode, out, err


# -- signals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_during_imports(number):
    hook = f"""
import os, signal, sys
class Importing:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.{number})
sys.meta_path.insert(0, Importing())
"""
    assert ended(program(hook + START, "--help"))[::2] == (130, "interrupted\n")


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ("os.kill(os.getpid(), signal.SIGTERM)", 130),  # in the last line of the work
        ("os.kill(os.getpid(), signal.SIGTERM); sys.exit(3)", 130),  # whatever the work says then
        ("import atexit; atexit.register(os.kill, os.getpid(), signal.SIGTERM)", 0),  # it is finished
        ("import atexit; atexit.register(os.kill, os.getpid(), signal.SIGINT); sys.exit(3)", 3),
        ("sys.late = type('L', (), {'__del__': lambda _, kill=os.kill: kill(os.getpid(), 15)})()", 0),  # when Python takes leave
    ],
)
def test_at_the_end(last, code):
    returned, out, err = ended(program(f"{PROGRAM}with as_program():\n    print('done')\n    {last}\n"))
    assert (returned, out) == (code, "done\n") and err == ("interrupted\n" if code == 130 else "")


def test_a_second_ctrl_c_leaves_at_once_even_in_a_kernel():
    """A call into compiled code, as of numba, during which Python calls no handler."""
    run = program(
        f"{PROGRAM}import hashlib\nwith as_program():\n"
        "    print('ready', flush=True)\n    hashlib.pbkdf2_hmac('sha256', b'a', b'b', 2**31 - 1)\n"
    )
    assert run.stdout.readline() == "ready\n"
    while run.poll() is None:
        run.send_signal(signal.SIGINT)
        try:
            run.wait(0.5)
        except subprocess.TimeoutExpired:
            continue
    assert ended(run)[0] == 130


def test_sent_twice_at_once_it_is_one():
    code, out, _ = ended(
        program(
            f"{PROGRAM}from spikeseg.core import interrupts\nwith as_program():\n    try:\n"
            "        for _ in range(2): os.kill(os.getpid(), signal.SIGINT)\n        interrupts.check()\n"
            "    finally:\n        print('saved')\n"
        )
    )
    assert (code, out) == (130, "saved\n")


WORK = """
from spikeseg.core import interrupts
from spikeseg.pipelines.runtime.parallel import Workers, ordered
def work(item):
    told = open(sys.argv[1], "w")
    print(os.getpid(), file=told, flush=True)
    while True:
        {wait}
with as_program():
    for _ in ordered(work, range(4), Workers(2), threads={threads}):
        pass
"""


@pytest.mark.parametrize("threads", [True, False])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process(tmp_path, number, threads):
    """Who works holds the pipe open: its end is theirs. Ctrl-C in a terminal goes to all of them."""
    if threads and number == signal.SIGKILL:
        pytest.skip("nothing to see")
    os.mkfifo(tmp_path / "pipe")
    wait = "interrupts.check()" if threads else "signal.pause()"
    run = program(PROGRAM + WORK.format(wait=wait, threads=threads), str(tmp_path / "pipe"), start_new_session=True)
    with open(tmp_path / "pipe") as told:
        workers = {int(told.readline()) for _ in range(2)}
        assert (workers == {run.pid}) == threads
        if number == signal.SIGINT:
            os.killpg(run.pid, number)
        else:
            run.send_signal(number)
        assert told.read() == ""
    code, _, err = ended(run)
    assert (code, err) == (130, "interrupted\n") if number != signal.SIGKILL else code == -9 and "Traceback" not in err


# -- output that nobody reads ------------------------------------------------------------------------


def unread(words: list[str], folder: Path, **options) -> tuple[int, str | None]:
    """Run a command into a pipe whose reader has left."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        run = subprocess.Popen([sys.executable, "-c", START, *words], stdout=writing, text=True, cwd=folder, **options)
    finally:
        os.close(writing)
    _, err = run.communicate()
    return run.returncode, err


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["status", "--help"], ["status", "-c", "tiny.yaml"]])
def test_output_that_nobody_reads_ends_silently_with_0(place, words):
    assert unread(words, place.folder, stderr=PIPE) == (0, "")


def test_an_error_is_one_all_the_same(place):
    code, err = unread(["status", "-c", "nowhere.yaml"], place.folder, stderr=PIPE)
    assert code == 3 and err.startswith("error: ") and err.count("\n") == 1


def test_the_work_is_done_although_nobody_reads_the_log(place):
    assert unread(["simulate", "made", "-c", "tiny.yaml"], place.folder, stderr=subprocess.STDOUT) == (0, None)
    assert (place.folder / "made" / "simulate-h5.manifest.json").is_file()
