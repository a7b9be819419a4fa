"""Processes that work for the GPU day: one that dies or hangs costs its job, not the day. Needs nothing but Python."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("gpu_day_worker.py")
Job = dict[str, Any]


class Clock:
    """How much time is left. Without a limit there is always enough."""

    def __init__(self, seconds: float | None) -> None:
        self.began, self.seconds = time.monotonic(), seconds

    @property
    def taken(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    def allowed(self, most: float) -> float | None:
        """Seconds that something may take which has `most` at most; None: as long as it likes."""
        return None if self.seconds is None else min(most, self.seconds - self.taken)


class Worker:
    """A process that answers one job after another; it is started anew after a job that it did not survive.

    Args:
        options: words for its command line.
    """

    def __init__(self, options: Sequence[str]) -> None:
        self._command = [sys.executable, str(WORKER), *options]
        self._process: subprocess.Popen[str] | None = None
        self._said = tempfile.TemporaryFile("w+")

    def ask(self, job: Job, seconds: float | None) -> Job:
        """The answer to a job: as the worker gives it, or {"error": why there is none}."""
        if seconds is not None and seconds <= 0:
            return {"error": "not run: the time was over"}
        began = time.monotonic()
        if self._process is not None and self._process.poll() is not None:  # stopped in the moment in which it answered
            self.close()
        process = self._process = self._process or self._started()
        assert process.stdin is not None and process.stdout is not None
        stopped = threading.Event()

        def stop() -> None:
            stopped.set()
            process.kill()

        timer = threading.Timer(seconds, stop) if seconds is not None else None
        try:
            if timer:
                timer.start()
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            if timer:
                timer.cancel()
        if line:
            answer: Job = json.loads(line)
        elif stopped.is_set():
            answer = {"error": f"stopped after {seconds:.0f} s"}
        else:
            answer = {"error": f"the process died ({process.wait()}): {self._last_words()}"}
        if "error" in answer:  # after an error of CUDA nothing more runs in that process
            self.close()
        return answer | {"seconds": round(time.monotonic() - began, 2)}

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()
            self._process = None

    def _started(self) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=self._said, text=True)

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = [line for line in self._said.read()[-4000:].splitlines() if line.strip()]
        return lines[-1] if lines else "without a word"


def answered(
    jobs: Sequence[Job], workers: Sequence[Worker], seconds: Callable[[], float | None], told: Callable[[Job, Job], None]
) -> None:
    """Have jobs done by several workers at a time.

    Args:
        jobs: in the order in which they begin.
        workers: each takes the next job as soon as it is free.
        seconds: how long a job that begins now may take.
        told: called with each job and its answer, by one thread at a time.
    """
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    lock = threading.Lock()

    def work(worker: Worker) -> None:
        while True:
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            answer = worker.ask(job, seconds())
            with lock:
                told(job, answer)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers[1:]]
    for thread in threads:
        thread.start()
    work(workers[0])
    for thread in threads:
        thread.join()


def ran(command: Sequence[str], seconds: float | None, folder: Path) -> tuple[int | None, str]:
    """Run a command; -> (exit code, what it printed), the code None where it was stopped.

    Args:
        command: words.
        seconds: that it may take.
        folder: where it runs.
    """
    if seconds is not None and seconds <= 0:
        return None, "not run: the time was over"
    try:
        done = subprocess.run(
            command, cwd=folder, timeout=seconds, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        said = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout or ""
        return None, f"{said}\nstopped after {seconds:.0f} s"
    return done.returncode, done.stdout
