"""The clock of events that are still coming: a stray time is told from a clock that has moved, by what comes after it.

A file is refused where its clock jumps (`checks.time_order`). A stream goes on: the night must not end for one time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import checks
from .recording import EVENT_DTYPE

STEP_US = 1_000_000
"""An event that is further ahead of those before it is set aside until others tell what it is, µs."""
NEAR_US = 10_000_000
"""A silence of this length is common, µs."""
FEW, MANY = 4, 32
"""Events in a row that tell of a silence up to NEAR_US; and of a longer one, or of a clock that has moved."""
BLOCK = 512


class Moved(NamedTuple):
    """A clock that has moved further than a silence or a disorder: from the latest event to the first one after it, µs."""

    from_us: int
    to_us: int

    def __str__(self) -> str:
        return f"the clock of the events goes from {self.from_us / 1e6:.3f} s to {self.to_us / 1e6:.3f} s"


class Piece(NamedTuple):
    """Events that follow those before, EVENT_DTYPE (n,) as they came; or, after `moved`, begin a new part."""

    events: np.ndarray
    moved: Moved | None = None


class StreamClock:
    """Passes on events whose times go on from those before. Holds back MANY at most.

    An event that is more than STEP_US ahead of the latest, or `checks.MAX_BACKWARD_US` behind it, is set aside. If the next one
    is where the others were, what is aside was stray: it is left out and counted. If others in a row go on from there, it was a
    silence, or, beyond `checks.MAX_GAP_US` or backwards, the clock has moved.

    Attributes:
        stray: events left out.
    """

    def __init__(self) -> None:
        self.stray = 0
        self._latest: int | None = None
        self._settled = 0  # events in a row since the first, up to FEW: until then the first may itself be stray
        self._aside: list[np.ndarray] = []
        self._held: list[np.ndarray] = []  # of a clock that is not settled
        self._aside_first = self._aside_latest = 0

    def take(self, events: np.ndarray) -> list[Piece]:
        """What these events, in the order in which they came, let pass."""
        pieces: list[Piece] = []
        for first in range(0, len(events), BLOCK):
            self._block(events[first : first + BLOCK], pieces)
        return pieces

    def end(self) -> list[Piece]:
        """What is held back, at the end: of few events aside, those that follow a silence."""
        pieces: list[Piece] = []
        if self._settled < FEW and len(self._aside) <= len(self._held):
            if self._held:
                pieces.append(Piece(np.concatenate(self._held)))
            self._held, self._settled = [], FEW
        enough = FEW if self._jump() > NEAR_US else 1
        silence = 0 < self._jump() <= checks.MAX_GAP_US and len(self._aside) >= enough
        if self._settled < FEW or silence:
            self._go_over(pieces)
        else:
            self._drop_aside()
        return pieces

    def _block(self, events: np.ndarray, pieces: list[Piece]) -> None:
        if self._latest is not None and self._settled == FEW and not self._aside and self._goes_on(events["t"], self._latest):
            self._latest = max(self._latest, int(events["t"].max()))
            pieces.append(Piece(events))
            return
        passed: list[int] = []
        for k, t in enumerate(events["t"].tolist()):
            if self._latest is None:
                self._latest = t
            if -checks.MAX_BACKWARD_US <= t - self._latest <= STEP_US:
                self._drop_aside()
                self._latest = max(self._latest, t)
                if self._settled < FEW:
                    self._settled += 1
                    self._held.append(events[k : k + 1])
                    if self._settled == FEW:
                        pieces.append(Piece(np.concatenate(self._held)))
                        self._held = []
                else:
                    passed.append(k)
                continue
            self._set_aside(events[k : k + 1], t)
            if len(self._aside) >= (FEW if 0 < self._jump() <= NEAR_US else MANY):
                if passed:
                    pieces.append(Piece(events[passed]))
                    passed = []
                self._go_over(pieces)
        if passed:
            pieces.append(Piece(events[passed]))

    @staticmethod
    def _goes_on(t: np.ndarray, latest: int) -> bool:
        """Whether none of these times (n,), n > 0, is to be set aside."""
        highest = np.maximum.accumulate(np.maximum(t, latest))
        ahead = np.diff(highest, prepend=latest)
        return bool((highest - t).max() <= checks.MAX_BACKWARD_US and ahead.max() <= STEP_US)

    def _set_aside(self, event: np.ndarray, t: int) -> None:
        if self._aside and not -checks.MAX_BACKWARD_US <= t - self._aside_latest <= checks.MAX_GAP_US:
            self._drop_aside()
        if not self._aside:
            self._aside_first = self._aside_latest = t
        self._aside.append(event.copy())
        self._aside_latest = max(self._aside_latest, t)

    def _jump(self) -> int:
        """From the latest event to the first one aside, µs."""
        return self._aside_first - (self._latest or 0) if self._aside else 0

    def _drop_aside(self) -> None:
        self.stray += len(self._aside)
        self._aside = []

    def _go_over(self, pieces: list[Piece]) -> None:
        """The clock goes on where the events aside are."""
        moved, silence = None, 0 < self._jump() <= checks.MAX_GAP_US
        if self._settled < FEW and silence:
            pieces += [Piece(np.concatenate(self._held))] if self._held else []
        elif self._settled < FEW:  # the few before were stray
            self.stray += len(self._held)
        elif not silence:
            assert self._latest is not None
            moved = Moved(self._latest, self._aside_first)
        self._held = []
        pieces.append(Piece(np.concatenate([np.zeros(0, EVENT_DTYPE), *self._aside]), moved))
        self._latest, self._settled, self._aside = self._aside_latest, FEW, []
