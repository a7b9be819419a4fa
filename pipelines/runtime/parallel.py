"""One function over many items: in this process, in several, in several threads, or on a Dask cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from spikeseg.core import interrupts
from spikeseg.errors import InputError

from .process import ends_children

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

DEATHS = 3
"""After so many deaths of workers in a row, without a result between them, the same item kills them every time."""
CONNECT_S = 600
"""Time in which a scheduler that is there must answer, s: far more than a busy one needs."""
LOOK_S, ORPHAN_S = 0.1, 1.0
"""How often whoever waits looks for an interrupt, and a worker for its parent, s."""
AHEAD = 2
"""Items handed out ahead, per worker."""
THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS",
)  # fmt: skip
"""What limits the threads of a worker process."""


@dataclass(frozen=True)
class Workers:
    """Which processes or threads do the work. The results do not depend on it.

    Attributes:
        jobs: processes, or threads for the network; 0 and 1: this process alone.
        dask: address of a Dask cluster's scheduler, which takes precedence over jobs; None: this machine.
    """

    jobs: int = 0
    dask: str | None = None

    @classmethod
    def of(cls, cfg: Config) -> Workers:
        """Those of the configuration's data section."""
        return cls(cfg.data.num_workers, cfg.data.dask)


def ordered(
    function: Callable[[Item], Result], items: Iterable[Item], workers: Workers, *, threads: bool = False
) -> Iterator[Result]:
    """Results in the order of the items, one at a time.

    Threads suit the network, whose kernels release the interpreter's lock and share its memory; processes suit everything else.
    On a cluster, function, items and results are sent over the network; files are named by absolute paths that all its machines
    see. The item of a worker that died is given to another.

    However it ends, nothing works on: processes are killed, threads end at their next window, a cluster's items are cancelled.

    Args:
        function: of one item.
        items: what to apply it to.
        workers: where.
        threads: use threads, not processes, on this machine.

    Raises:
        InputError: no cluster at the address, the package dask is missing, or workers keep dying. And whatever function raises.
    """
    if workers.dask:
        yield from _on_cluster(function, list(items), workers.dask)
    elif workers.jobs <= 1:
        for result in map(function, items):
            interrupts.check()  # what an interrupt may have spoilt is not used
            yield result
    elif threads:
        yield from _in_threads(function, items, workers.jobs)
    else:
        listed = list(items)
        yield from _in_processes(function, listed, max(1, min(workers.jobs, len(listed))))


def _in_order(submit: Callable[[Item], Future[Result]], items: Iterable[Item], ahead: int) -> Iterator[Result]:
    """Results in order, of items of which so many are handed out ahead."""
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(submit(item))
        if len(pending) >= ahead:
            yield _result(pending.popleft())
    while pending:
        yield _result(pending.popleft())


def _result(future: Future[Result]) -> Result:
    """What a future brings; an interrupt ends the waiting, and what it may have spoilt is not used."""
    while not wait([future], timeout=LOOK_S).done:
        interrupts.check()
    interrupts.check()
    return future.result()


def _in_threads(function: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Iterator[Result]:
    stop = threading.Event()

    def call(item: Item) -> Result:
        with interrupts.stopped_by(stop):
            interrupts.check()
            return function(item)

    pool = ThreadPoolExecutor(jobs)
    try:
        yield from _in_order(lambda item: pool.submit(call, item), items, AHEAD * jobs)
    finally:
        stop.set()  # those that still work end at their next window
        pool.shutdown(wait=not interrupts.arrived(), cancel_futures=True)


def _in_processes(function: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> Iterator[Result]:
    from joblib.externals.loky.process_executor import BrokenProcessPool

    done, deaths = 0, 0
    try:
        while done < len(items):
            try:
                for result in _in_order(lambda item: _submit(jobs, function, item), items[done:], AHEAD * jobs):
                    yield result
                    done, deaths = done + 1, 0
            except BrokenProcessPool as error:
                interrupts.check()
                deaths += 1
                if deaths >= DEATHS:
                    raise InputError(
                        f"--jobs {jobs}: workers died {deaths} times in a row at item {done + 1} of {len(items)} "
                        "(out of memory?); try fewer jobs"
                    ) from error
                log.warning("a worker died; its item is done again")
    except BaseException:  # of an item, an interrupt, or of whoever took the results: none writes on into what is removed now
        _end_workers()
        raise


# -- worker processes --------------------------------------------------------------------------------


def _submit(jobs: int, function: Callable[[Item], Result], item: Item) -> Future[Result]:
    """Hand an item to the worker processes, which are started, or started again, where need be."""
    from joblib.externals.loky import get_reusable_executor

    ends_children(_kill_workers)
    with _signals_blocked():  # so that those that are started now miss none: they see to them once they can
        executor = get_reusable_executor(jobs, env=_threads_each(jobs), initializer=_worker_starts, initargs=(os.getpid(),))
        future: Future[Result] = executor.submit(function, item)
    return future


def _threads_each(jobs: int) -> dict[str, str]:
    """The environment in which the workers together start as many threads as there are processors, unless it says already."""
    each = str(max(1, (os.cpu_count() or 1) // jobs))
    return {name: os.environ.get(name, each) for name in THREADS}


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, interrupts.SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _worker_starts(parent: int) -> None:
    """In a worker: Ctrl-C, which a terminal sends to it, too, is the parent's affair; and it ends when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, interrupts.SIGNALS)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(ORPHAN_S)
    os._exit(1)


def _kill_workers() -> None:
    """End the worker processes, whatever they do; without waiting."""
    from joblib.externals.loky import reusable_executor

    executor = reusable_executor._executor
    for worker in list(getattr(executor, "_processes", None) or ()):
        with contextlib.suppress(OSError):
            os.kill(worker, signal.SIGKILL)


def _end_workers() -> None:
    """End the worker processes, and wait until they are gone; the next item starts others."""
    from joblib.externals.loky import reusable_executor

    _kill_workers()
    executor = reusable_executor._executor
    if executor is not None:
        with warnings.catch_warnings(action="ignore"):  # that they are dead already
            executor.shutdown(wait=True, kill_workers=True)


# -- a cluster ---------------------------------------------------------------------------------------


def _reach(address: str) -> None:
    """Raise OSError if nothing listens at a scheduler's address. The system tells that at once, however busy this machine is."""
    place = urlsplit(address if "://" in address else f"tcp://{address}")
    if place.scheme in ("tcp", "tls") and place.hostname and place.port:
        socket.create_connection((place.hostname, place.port)).close()


def _on_cluster(function: Callable[[Item], Result], items: Sequence[Item], address: str) -> Iterator[Result]:
    try:
        import distributed
    except ImportError as error:
        raise InputError("--dask: needs the package dask: pip install 'spikeseg[dask]'") from error
    try:
        _reach(address)
        client = distributed.Client(address, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise InputError(f"--dask {address}: no scheduler answers ({' '.join(str(error).split())})") from error
    with client, ThreadPoolExecutor(1) as fetching:  # a result can be lost, and waited for again, while it is fetched
        futures = client.map(function, items, pure=False)
        try:
            while futures:
                yield _result(fetching.submit(futures[0].result))
                futures.pop(0).release()
        except distributed.KilledWorker as error:
            raise InputError(f"--dask {address}: {' '.join(str(error).split())}") from error
        finally:
            client.cancel(futures)
