# mypy: allow-untyped-defs, no-check-untyped-defs
"""Compiled parts of the camera's motion and of what it explains."""

from __future__ import annotations

from spikeseg.core.compiled import compiled


@compiled()
def count_events(x, y, on, first, last, bin_px, signed, total):
    """Add events [first, last) to float32 images (rows, columns) of cells of bin_px: ON less OFF, and all. on: bool (n,) or (0,);
    without it, signed is left alone. Events beyond the last whole cell do not count."""
    rows, columns = total.shape
    known = on.size > 0
    for k in range(first, last):
        i, j = y[k] // bin_px, x[k] // bin_px
        if i < rows and j < columns:
            total[i, j] += 1
            if known:
                signed[i, j] += 1 if on[k] else -1
