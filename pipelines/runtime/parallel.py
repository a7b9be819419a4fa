"""One function over many items: in this process, in several, in several threads, or on a Dask cluster."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from spikeseg.errors import InputError

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

DEATHS = 3
"""After so many deaths of workers in a row, without a result between them, the same item kills them every time."""
CONNECT_S = 600
"""Time in which a scheduler that is there must answer, s: far more than a busy one needs."""


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
        yield from map(function, items)
    elif threads:
        from joblib import Parallel, delayed

        tasks = (delayed(function)(item) for item in items)
        yield from Parallel(n_jobs=workers.jobs, return_as="generator", prefer="threads")(tasks)
    else:
        yield from _in_processes(function, list(items), workers.jobs)


def _in_processes(function: Callable[[Item], Result], items: Sequence[Item], jobs: int) -> Iterator[Result]:
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import BrokenProcessPool

    done, deaths = 0, 0
    while done < len(items):
        tasks = (delayed(function)(item) for item in items[done:])
        try:
            for result in Parallel(n_jobs=jobs, return_as="generator")(tasks):
                yield result
                done, deaths = done + 1, 0
        except BrokenProcessPool as error:
            deaths += 1
            if deaths >= DEATHS:
                raise InputError(
                    f"--jobs {jobs}: workers died {deaths} times in a row at item {done + 1} of {len(items)} (out of memory?); "
                    "try fewer jobs"
                ) from error
            log.warning("a worker died; its item is done again")


def _reach(address: str) -> None:
    """Raise OSError if nothing listens at a scheduler's address. The system tells that at once, however busy this machine is."""
    place = urlsplit(address if "://" in address else f"tcp://{address}")
    if place.scheme in ("tcp", "tls") and place.hostname and place.port:
        socket.create_connection((place.hostname, place.port)).close()


def _on_cluster(function: Callable[[Item], Result], items: Sequence[Item], address: str) -> Iterator[Result]:
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise InputError("--dask: needs the package dask: pip install 'spikeseg[dask]'") from error
    try:
        _reach(address)
        client = Client(address, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise InputError(f"--dask {address}: no scheduler answers ({' '.join(str(error).split())})") from error
    with client:
        futures = client.map(function, items, pure=False)
        try:
            while futures:
                yield futures[0].result()
                futures.pop(0).release()
        except KilledWorker as error:
            raise InputError(f"--dask {address}: {' '.join(str(error).split())}") from error
        finally:
            client.cancel(futures)
