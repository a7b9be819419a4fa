"""One function over many items, in this process or in several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered(function: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Iterator[Result]:
    """Results in the order of the items, one at a time; jobs > 1 uses as many processes (joblib), else none.

    The results do not depend on jobs. Whatever function raises is raised here."""
    if jobs <= 1:
        yield from map(function, items)
        return
    from joblib import Parallel, delayed

    yield from Parallel(n_jobs=jobs, return_as="generator")(delayed(function)(item) for item in items)
