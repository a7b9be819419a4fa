# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled union-find: what is connected has one root, the lowest number among it."""

from __future__ import annotations

from .compiled import compiled


@compiled()
def root(parent, i):
    """The root of i. parent: int64 (n,), of a root itself."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@compiled()
def join(parent, i, j):
    """Make i and j of one root."""
    a, b = root(parent, i), root(parent, j)
    parent[max(a, b)] = min(a, b)


@compiled()
def number(parent, part):
    """Number the components in the order of their roots: int64 (n,), filled in; -> how many."""
    n = 0
    for i in range(len(part)):
        own = root(parent, i)
        if own == i:
            part[i] = n
            n += 1
        else:
            part[i] = part[own]
    return n
