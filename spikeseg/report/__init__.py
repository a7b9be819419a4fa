"""A report of a run: what was run, what was learned, what was found, in one page that asks no network for anything."""

from __future__ import annotations

LOOKED_AT = 12
"""Recordings that are looked at again with the network, where nobody says how many."""


class Absent(Exception):
    """A run has nothing of this kind; the message says in one line why, and what would make it."""
