"""A stretch of a recording in the frame of the scene before which the camera moves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .camera import MOVES, CameraMotion
from .camera_kernels import stabilise
from .camera_tiles import Events, Image, Tiles

PARTS_S = 1 / 16
"""Events are counted in parts of about this length, s."""
BLOCK = 8
"""Side of the blocks of cells that are taken to move alike."""
FRAME_PX, FRAME_S = (0.25, 5e-3)
"""The frame of the scene is kept up so often that it moves by so little between, and at least so often, s."""
SLOWEST = 0.1
"""Where the scene moves by less than this share of its mean, as where the camera turns back, this much counts."""
UNSTEADY_PX, UNSTEADY_S = 2.0, 0.25
"""A stretch is aligned with itself where the motion departs from its mean by so much within so long."""
ALIGNED_S, ROUNDS = 1 / 8, 2
"""Images of this length, s, are aligned with the rest, so many times over."""


@dataclass(frozen=True, eq=False)
class SceneWindow:
    """Where the scene lies.

    Attributes:
        motion: of the camera.
        span_s: from when to when.
        parts: how many of equal length.
        clock: start and step of the matrices, s.
        to_sensor: float64 (k, 2, 3), see CameraMotion.frame, and back.
        to_scene: float64 (k, 2, 3).
        corner: int64 (2,), of the frame (x, y) from the sensor's centre, px.
        size: (rows, columns) of the frame, cells of 1 px.
    """

    motion: CameraMotion
    span_s: tuple[float, float]
    parts: int
    clock: tuple[float, float]
    to_sensor: np.ndarray
    to_scene: np.ndarray
    corner: np.ndarray
    size: tuple[int, int]

    @classmethod
    def of(cls, motion: CameraMotion, span_s: tuple[float, float]) -> SceneWindow:
        """From the camera's motion."""
        begin, end = span_s
        half = np.array(motion.sensor_size) / 2
        corners = np.array([[x, y, 1.0] for x in (-half[0], half[0]) for y in (-half[1], half[1])])
        rates = motion.at(np.linspace(begin, end, 100))
        fastest = float(np.linalg.norm(rates @ corners.T, axis=1).max())
        steps = int(np.ceil((end - begin) / min(FRAME_PX / max(fastest, 1e-9), FRAME_S))) + 1
        times = np.linspace(begin, end, steps)
        to_sensor = motion.frame(times, steps // 2)
        to_scene = _inverse(to_sensor)
        places = to_scene @ corners.T
        low = np.maximum(np.floor(places.min((0, 2))), -2 * half).astype(np.int64)
        high = np.minimum(np.ceil(places.max((0, 2))), 2 * half).astype(np.int64)
        columns, rows = (high - low + 1).tolist()
        parts = max(1, round((end - begin) / PARTS_S))
        return cls(motion, span_s, parts, (begin, float(times[1] - begin)), to_sensor, to_scene, low, (rows, columns))

    def cells(self, events: Events, part: slice) -> np.ndarray:
        """Int32 (n,): the cell, row * columns + column, in which each of some events lies; -1 outside."""
        cell = np.empty(part.stop - part.start, np.int32)
        centre = (np.array(self.motion.sensor_size) - 1) / 2
        place = (*centre.tolist(), *(-self.corner.astype(float)).tolist())
        stabilise(events, part.start, part.stop, self.clock, self.to_scene, place, self.size, cell)
        return cell

    def part_of(self, t_s: np.ndarray) -> np.ndarray:
        """Int32 (n,): the part in which times lie."""
        begin, end = self.span_s
        return np.minimum((t_s - begin) * (self.parts / (end - begin)), self.parts - 1).astype(np.int32)

    @property
    def unsteady(self) -> bool:
        """Whether the camera's motion changes so much that its error may add up."""
        times = np.linspace(*self.span_s, 50)
        rates = self.motion.at(times)
        places = np.array([[x, y, 1.0] for x in (-0.5, 0.5) for y in (-0.5, 0.5)]) * [*self.motion.sensor_size, 1]
        away = np.linalg.norm((rates - rates.mean(0)) @ places.T, axis=1)
        return bool(away.max() * UNSTEADY_S > UNSTEADY_PX)

    def aligned(self, events: Events, part: slice) -> SceneWindow:
        """The same, each moment's image of the scene moved to where the others have it; itself where the motion is steady."""
        window, (begin, end) = self, self.span_s
        number = round((end - begin) / ALIGNED_S)
        if number < 3 or not self.unsteady:
            return self
        (rows, columns), middles = self.size, begin + (np.arange(number) + 0.5) * (end - begin) / number
        tiles = Tiles.of((columns, rows))
        moment = np.minimum((events.t_s[part] - begin) * (number / (end - begin)), number - 1).astype(np.int64)
        centre = self.corner + (np.array([columns, rows]) - 1) / 2
        times = self.clock[0] + self.clock[1] * np.arange(len(self.to_scene))
        for _ in range(ROUNDS):
            images = _images(window.cells(events, part), moment, number, self.size, tiles)
            steps = [tiles.step(_unsigned(tiles, image), _unsigned(tiles, images.sum(0) - image)) for image in images]
            motions = np.array([step.motion if step.support >= MOVES else np.zeros((2, 3)) for step in steps])
            motions[:, :, 2] -= motions[:, :, :2] @ centre
            change = np.stack([np.interp(times, middles, column) for column in motions.reshape(number, 6).T], -1).reshape(
                -1, 2, 3
            )
            to_scene = window.to_scene + change[:, :, :2] @ window.to_scene
            to_scene[:, :, 2] += change[:, :, 2]
            window = replace(window, to_scene=np.ascontiguousarray(to_scene), to_sensor=_inverse(to_scene))
        return window

    def flow(self) -> tuple[np.ndarray, np.ndarray]:
        """How far and in which direction blocks of cells move in each part, and the block of each cell: see usual_there."""
        rows, columns = self.size
        down, across = -(-rows // BLOCK), -(-columns // BLOCK)
        grid = np.stack(np.meshgrid(np.arange(across), np.arange(down)), -1).reshape(-1, 2) * BLOCK + (BLOCK - 1) / 2
        places = np.column_stack([grid + self.corner, np.ones(len(grid))])
        seconds = (self.span_s[1] - self.span_s[0]) / self.parts
        middles = self.span_s[0] + (np.arange(self.parts) + 0.5) * seconds
        at = np.clip(((middles - self.clock[0]) / self.clock[1]).astype(int), 0, len(self.to_sensor) - 1)
        on_sensor = places @ self.to_sensor[at].transpose(0, 2, 1)
        edge = (np.abs(on_sensor) - np.array(self.motion.sensor_size) / 2).max(-1)
        seen, whole = edge <= BLOCK / 2, edge <= -BLOCK / 2
        rates = self.motion.at(middles)
        way = (on_sensor @ rates[:, :, :2].transpose(0, 2, 1) + rates[:, None, :, 2]) * seconds
        length = np.linalg.norm(way, axis=-1)
        floor = SLOWEST * float(length[seen].mean()) if seen.any() else 0.0
        flow = np.empty((len(grid), 3, self.parts), np.float32)
        flow[:, 0] = (np.maximum(length, max(floor, 1e-6)) * np.where(whole, 1, np.where(seen, -1, 0))).T
        flow[:, 1:] = (way / np.maximum(length, 1e-9)[..., None]).transpose(1, 2, 0)
        block = (np.arange(rows) // BLOCK)[:, None] * across + np.arange(columns) // BLOCK
        return flow, block.astype(np.int32).ravel()


def _inverse(matrices: np.ndarray) -> np.ndarray:
    """Float64 (k, 2, 3) of the inverses of affine (k, 2, 3)."""
    whole = np.tile(np.eye(3), (len(matrices), 1, 1))
    whole[:, :2] = matrices
    return np.ascontiguousarray(np.linalg.inv(whole)[:, :2])


def _images(cell: np.ndarray, moment: np.ndarray, number: int, size: tuple[int, int], tiles: Tiles) -> np.ndarray:
    """Float32 (number, rows, columns) of the tiles' cells: events of each moment."""
    rows, columns = tiles.shape
    row, column = np.divmod(cell, size[1])
    row, column = row // tiles.bin_px, column // tiles.bin_px
    inside = (cell >= 0) & (row < rows) & (column < columns)
    flat = (moment[inside] * rows + row[inside]) * columns + column[inside]
    return np.bincount(flat, minlength=number * rows * columns).reshape(number, rows, columns).astype(np.float32)


def _unsigned(tiles: Tiles, total: np.ndarray) -> Image:
    return tiles.finish(np.zeros_like(total), total.copy())
