"""Numbers in sentences."""

from __future__ import annotations


def many(count: int, what: str) -> str:
    """Such as "1 star" or "1,200 stars"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
