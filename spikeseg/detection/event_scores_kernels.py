# mypy: allow-untyped-defs, no-check-untyped-defs
"""The loop of `event_scores`."""

from __future__ import annotations

from spikeseg.core.compiled import compiled
from spikeseg.core.interpolation_kernels import knot_before, linear


@compiled()
def raise_along(events, track, reach, score, shares, own, scores):
    """Raise the scores of events near a track.

    Args:
        events: of the time in which the track holds: int64 t (n,), µs, sorted, and x, y (n,), px.
        track: float64 t (k,), µs, and states (k, 4), x, y (px), vx, vy (px/s).
        reach: where the score has sunk to 0, px.
        score: of the track.
        shares: float64 and float32, of an event's score, by its place and by `own`.
        own: float32 (n,), the probability that an event is an object's.
        scores: float64 (n,), changed.
    """
    (t, x, y), (times, states) = events, track
    knot, last = 0, len(times) - 1
    column, row = states[:, 0], states[:, 1]
    for i in range(len(t)):
        now = float(t[i])
        if now < times[0] or now > times[last]:
            end = 0 if now < times[0] else last
            ahead = (now - times[end]) * 1e-6
            dx, dy = x[i] - (column[end] + ahead * states[end, 2]), y[i] - (row[end] + ahead * states[end, 3])
        else:
            knot = knot_before(now, times, knot)
            dx, dy = x[i] - linear(now, times, column, knot), y[i] - linear(now, times, row, knot)
        squared = dx * dx + dy * dy
        if squared < reach * reach:
            near = shares[0] * (1 - squared / (reach * reach)) + shares[1] * own[i]
            scores[i] = max(scores[i], score * near)
