"""Shift and stack, the classical search for faint moving objects: events are moved back along every velocity and counted.

For each velocity of a grid the events of a window are moved to the window's middle and counted in cells; the fullest 2 by 2 cells
of each velocity are kept, and of these the fullest paths that do not run into a fuller one. Fixed stars are masked beforehand, so
it is for fields that stand still. It is told what a real observer would have to guess: the range of speeds and how long an object
is in view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from limit_scoring import Track
from scipy import ndimage, stats

from spikeseg.core.compiled import compiled
from spikeseg.data.recording import Recording
from spikeseg.simulation.limit import LimitConfig, seconds_in_view

CELL_PX = 2.0
"""Side of a cell; a count is that of 2 by 2 cells, about a tube of 2 px."""
SPACING_PX = 4.0
"""Paths of neighbouring velocities come apart by as much from one end of a window to the other."""
LONGEST_S = 10.0
"""Longest window."""
APART_PX = 12.0
"""A path that comes this near to a fuller one, at any time of the window, is not told from it."""
STAR_PX, STAR_PARTS, STAR_CHANCE, STAR_MARGIN_PX = 5, 3, 1e-3, 2
"""A square of STAR_PX whose count in each third of the recording is reached by noise with STAR_CHANCE holds a star; it is masked
with its margin."""
TIMES_IN_VIEW = 200
"""Objects whose median time in view is the length of the windows."""


@dataclass(frozen=True, eq=False)
class Stack:
    """A search.

    Attributes:
        window_s: length of the windows; each overlaps the next by half.
        velocities: float64 (V, 2), px/s.
        duration_s: of the recordings.
    """

    window_s: float
    velocities: np.ndarray
    duration_s: float

    @classmethod
    def of(cls, config: LimitConfig) -> Stack:
        """The search that suits recordings of a configuration."""
        seconds = [seconds_in_view(config, index)[0] for index in range(TIMES_IN_VIEW)]
        window_s = float(min(np.median(seconds), LONGEST_S, config.duration_s))
        slow, fast = config.speed_px_s
        spacing = SPACING_PX / window_s
        axis = np.arange(-np.ceil(fast / spacing), np.ceil(fast / spacing) + 1) * spacing
        velocities = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
        speed = np.hypot(*velocities.T)
        return cls(window_s, velocities[(speed >= slow - spacing) & (speed <= fast + spacing)], config.duration_s)

    def paths(self, recording: Recording) -> list[Track]:
        """Paths, scored by their counts; none runs into a fuller one of its window."""
        events = recording.events[~star_mask(recording)[recording.events["y"], recording.events["x"]]]
        found = []
        steps = max(1, int(np.ceil((self.duration_s - self.window_s) / (self.window_s / 2))) + 1)
        for start_s in np.linspace(0, self.duration_s - self.window_s, steps):
            first, last = np.searchsorted(events["t"], [start_s * 1e6, (start_s + self.window_s) * 1e6])
            own = events[first:last]
            t_s = (own["t"] * 1e-6 - start_s - self.window_s / 2).astype(np.float32)
            counts, places = self._stacked(own["x"].astype(np.float32), own["y"].astype(np.float32), t_s, recording.sensor_size)
            found += self._paths(counts, places, start_s, recording.sensor_size)
        return found

    def _stacked(self, x: np.ndarray, y: np.ndarray, t_s: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """The highest count of each velocity, int32 (V,), and where it is at the window's middle, float64 (V, 2)."""
        reach = float(np.abs(self.velocities).max()) * self.window_s / 2
        columns, rows = (int(np.ceil((side + 2 * reach) / CELL_PX)) + 2 for side in size)
        counts, cells = np.zeros(len(self.velocities), np.int32), np.zeros(len(self.velocities), np.int64)
        grid = np.zeros((rows, columns), np.int32)
        stack_events(x, y, t_s, self.velocities.astype(np.float32), np.float32(reach), grid, counts, cells)
        row, column = np.divmod(cells, columns)
        return counts, np.stack([column + 1, row + 1], 1) * CELL_PX - reach - 0.5

    def _paths(self, counts: np.ndarray, places: np.ndarray, start_s: float, size: tuple[int, int]) -> list[Track]:
        half = self.window_s / 2
        times = np.linspace(-half, half, max(2, int(np.ceil(self.window_s / 0.1)) + 1))
        order = np.argsort(-counts, kind="stable")
        found = []
        while len(order) and counts[order[0]] > 0:
            best = order[0]
            path = places[best] + times[:, None] * self.velocities[best]
            inside = ((path >= -0.5) & (path < np.array(size) - 0.5)).all(1)
            if inside.sum() >= 2:
                at_us = (times[inside] + half + start_s) * 1e6
                found.append(Track(at_us, path[inside], float(counts[best])))
            order = order[_closest(places[order] - places[best], self.velocities[order] - self.velocities[best], half) > APART_PX]
        return found


def _closest(place: np.ndarray, velocity: np.ndarray, half_s: float) -> np.ndarray:
    """Shortest distance (n,) between paths that are `place` (n, 2) apart at time 0 and move apart by `velocity` (n, 2)."""
    squared = (velocity**2).sum(1)
    time = np.clip(-(place * velocity).sum(1) / np.maximum(squared, 1e-12), -half_s, half_s)
    return np.asarray(np.hypot(*(place + time[:, None] * velocity).T))


def star_mask(recording: Recording) -> np.ndarray:
    """bool (H, W): pixels near something that fires in every third of the recording: stars that stand still, hot pixels."""
    width, height = recording.sensor_size
    events = recording.events
    edges = np.linspace(0, events["t"][-1] + 1 if len(events) else 1, STAR_PARTS + 1)
    parts = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        own = events[(events["t"] >= low) & (events["t"] < high)]
        pixel = own["y"].astype(np.int64) * width + own["x"]
        counts = np.bincount(pixel, minlength=width * height).reshape(height, width).astype(np.float64)
        summed = np.rint(ndimage.uniform_filter(counts, STAR_PX, mode="constant") * STAR_PX**2)
        parts.append(summed > stats.poisson.isf(STAR_CHANCE, np.median(counts.mean()) * STAR_PX**2))
    return np.asarray(ndimage.binary_dilation(np.all(parts, axis=0), iterations=STAR_MARGIN_PX))


@compiled()
def stack_events(x, y, t_s, velocities, reach, grid, counts, cells):  # type: ignore[no-untyped-def]
    """Of each velocity the highest count of 2 by 2 cells, and the flat index of their first cell. grid is scratch."""
    rows, columns = grid.shape
    scale = np.float32(1 / CELL_PX)
    for k in range(len(velocities)):
        vx, vy = velocities[k, 0], velocities[k, 1]
        grid[:] = 0
        for n in range(len(x)):
            column = int((x[n] - vx * t_s[n] + reach + np.float32(0.5)) * scale)
            row = int((y[n] - vy * t_s[n] + reach + np.float32(0.5)) * scale)
            grid[row, column] += 1
        best, where = np.int32(0), 0
        for row in range(rows - 1):
            for column in range(columns - 1):
                count = grid[row, column] + grid[row, column + 1] + grid[row + 1, column] + grid[row + 1, column + 1]
                if count > best:
                    best, where = count, row * columns + column
        counts[k], cells[k] = best, where
