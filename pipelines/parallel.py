"""One function over many items, in this process or in several, or in several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered(
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int, *, threads: bool = False
) -> Iterator[Result]:
    """Results in the order of the items, one at a time; jobs > 1 uses as many processes, or threads (joblib), else neither.

    Threads suit the network, whose kernels run without the interpreter's lock and whose memory they share; processes all else.
    The results do not depend on jobs. Whatever function raises is raised here."""
    if jobs <= 1:
        yield from map(function, items)
        return
    from joblib import Parallel, delayed

    prefer = "threads" if threads else "processes"
    yield from Parallel(n_jobs=jobs, return_as="generator", prefer=prefer)(delayed(function)(item) for item in items)
