"""Numbers in sentences."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def many(count: int, what: str) -> str:
    """Such as "1 star" or "1,200 stars"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def nearest(name: object, known: Iterable[str]) -> str:
    """Such as "; nearest: files", of a name that is mistyped, for the end of a message; "" where none is like it."""
    near = difflib.get_close_matches(str(name), list(known), 1)
    return f"; nearest: {near[0]}" if near else ""
