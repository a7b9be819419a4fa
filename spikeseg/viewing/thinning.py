"""Which events of a recording are drawn where not all of them can be."""

from __future__ import annotations

import numpy as np

MOST_EVENTS, MOST_IN_CLOUD = 200_000, 30_000
"""That a page holds, some 4 MB of them; and of these, that stand in its cloud, which is turned without a graphics card, too."""
MOST_POINTS = 20_000
"""Of the paths of stars that a page draws."""


def drawn_events(owners: np.ndarray, object_ids: np.ndarray, most: int) -> np.ndarray:
    """Indices (m,) of the events to draw, rising, m <= most: of the objects' own events up to half of them, of the stars' up to
    half of what then is left, of all others the rest. Which of each of the three is drawn at random, the same every time.

    Args:
        owners: (n,) the track of each event, 0 for none.
        object_ids: the tracks that are objects.
        most: how many at most.
    """
    of_objects = np.isin(owners, object_ids) & (owners > 0)
    groups = (np.flatnonzero(of_objects), np.flatnonzero((owners > 0) & ~of_objects), np.flatnonzero(owners == 0))
    rng, left, taken = np.random.default_rng(0), most, list[np.ndarray]()
    for number, group in enumerate(groups):
        others = sum(map(len, groups[number + 1 :]))
        room = min(len(group), max(left // 2, left - others))
        taken.append(group[rng.choice(len(group), room, replace=False, shuffle=False)] if room < len(group) else group)
        left -= room
    return np.sort(np.concatenate(taken))


def thinned(counts: np.ndarray, most: int = MOST_POINTS) -> np.ndarray:
    """Which rows of tracks to draw, bool (n,): every k-th of each track, and its last, with the least k that leaves about `most`.

    Args:
        counts: rows of each track, which lie one after the other; n is their sum.
        most: how many are about enough.
    """
    step = max(1, -(-int(counts.sum()) // most))
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    keep = place % step == 0
    keep[np.cumsum(counts) - 1] = True
    return keep
