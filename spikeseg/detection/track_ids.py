"""Lasting ids of tracks that are computed anew for every window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass
class TrackIds:
    """Lasting ids: a track takes the id with which it shares most detections.

    Attributes:
        given: of every track of the last call.
        reported: those that were reported as objects and may come again.
        objects: how many were ever reported.
    """

    given: list[int] = field(default_factory=list)
    reported: set[int] = field(default_factory=set)
    objects: int = 0
    _owner: dict[tuple[int, int], int] = field(default_factory=dict)
    _hits: Sequence[Sequence[tuple[int, int]]] = ()
    _last: int = 0

    def carry_over(self, tracks: Sequence[Sequence[tuple[int, int]]]) -> list[int]:
        """The number of each track, from 1.

        Args:
            tracks: of each its detections (number of the slice, index in it); no detection belongs to two.
        """
        votes = [Counter(self._owner[hit] for hit in hits if hit in self._owner) for hits in tracks]
        wishes = sorted((-count, number, k) for k, vote in enumerate(votes) for number, count in vote.items())
        given: dict[int, int] = {}
        for _, number, k in wishes:
            if k not in given and number not in given.values():
                given[k] = number
        for k in range(len(tracks)):
            if k not in given:
                given[k] = self.new()
        self._owner = {hit: given[k] for k, hits in enumerate(tracks) for hit in hits}
        self.given, self._hits = [given[k] for k in range(len(tracks))], tracks
        return self.given

    def new(self) -> int:
        """An id that nothing has had."""
        self._last += 1
        return self._last

    def give(self, k: int, number: int) -> None:
        """Track k of the last call has this id."""
        self.given[k] = number
        self._owner.update((hit, number) for hit in self._hits[k])

    def report(self, numbers: Iterable[int], others: Iterable[int] = ()) -> frozenset[int]:
        """These are objects; -> those of them that never were before. others: further ids that may come again."""
        now = set(numbers)
        fresh = frozenset(now - self.reported)
        self.objects += len(fresh)
        self.reported = (self.reported | now) & (set(self._owner.values()) | now | set(others))
        return fresh
