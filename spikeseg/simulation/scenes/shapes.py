"""Shapes of a scene as small rasters: the distance to their edge and the intensity of their surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FAR_PX = 1e3
"""Distance outside a raster."""
MARGIN_PX = 3
"""Width of the strip around a shape within its raster."""
OUTLINE_PX = (1.5, 4.0)
"""Thickness of the outline of hollow shapes, uniform."""


@dataclass(frozen=True, eq=False)
class Shape:
    """A shape at its largest, in its own frame, whose middle is the raster's.

    Attributes:
        distance: float32 (S, S), px to the edge, negative within.
        tone: float32 (S, S), intensity, where that of the background is about 1.
        outline_px: thickness of the outline of a hollow shape; 0 for a filled one.
        radius_px: of the circle around it.
        fixed: whether it is a part of the background that stands in front of objects, with edges on those of pixels.
    """

    distance: np.ndarray
    tone: np.ndarray
    outline_px: float
    radius_px: float
    fixed: bool = False


def texture(rng: np.random.Generator, shape: tuple[int, int], wavelengths_px: tuple[float, float]) -> np.ndarray:
    """Periodic noise of wavelengths between two, mean 0 and standard deviation 1: float64 (H, W); 0 where none fits in."""
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])
    frequency = np.hypot(fx, fy)
    within = (frequency >= 1 / wavelengths_px[1]) & (frequency <= 1 / wavelengths_px[0])
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * within, shape)
    spread = field.std()
    return np.asarray((field - field.mean()) / spread) if spread > 1e-9 else np.zeros(shape)


def draw_shape(rng: np.random.Generator, style: str, diameter_px: float, contrast: float, spread: float) -> Shape:
    """An ellipse, a polygon or a blob.

    Args:
        rng: what it is drawn from.
        style: one of config.STYLES.
        diameter_px: of the circle around it.
        contrast: logarithm of its mean intensity.
        spread: standard deviation of that logarithm within, for textured ones.
    """
    radius = diameter_px / 2
    half = int(np.ceil(radius)) + MARGIN_PX
    axis = np.arange(-half, half + 1, dtype=np.float64)
    x, y = np.meshgrid(axis, axis)
    edge, slope = _edge(rng, np.arctan2(y, x))
    distance = (np.hypot(x, y) - radius * edge) / np.hypot(1.0, slope)
    tone = _tone(rng, distance.shape, style, diameter_px, contrast, spread)
    outline = min(float(rng.uniform(*OUTLINE_PX)), radius)
    return Shape(distance.astype(np.float32), tone, outline if style == "hollow" else 0.0, radius)


def capsule(rng: np.random.Generator, style: str, length_px: float, radius_px: float, contrast: float, spread: float) -> Shape:
    """All that lies within a radius of a line of that length, whose middle is the shape's; plain or textured, see draw_shape."""
    whole = length_px / 2 + radius_px
    half = int(np.ceil(whole)) + MARGIN_PX
    axis = np.abs(np.arange(-half, half + 1, dtype=np.float64))
    distance = np.hypot(np.maximum(axis - length_px / 2, 0), axis[:, None]) - radius_px
    return Shape(distance.astype(np.float32), _tone(rng, distance.shape, style, 2 * whole, contrast, spread), 0.0, whole)


def pillar(width_px: int, height_px: int, tone: float) -> Shape:
    """A pillar of one tone that belongs to the background."""
    half = max(width_px, height_px) // 2 + MARGIN_PX
    axis = np.abs(np.arange(-half, half + 1, dtype=np.float64))
    distance = np.maximum(axis[None] - width_px / 2, axis[:, None] - height_px / 2)
    full = np.full(distance.shape, tone, np.float32)
    return Shape(distance.astype(np.float32), full, 0.0, half, fixed=True)


def _tone(
    rng: np.random.Generator, size: tuple[int, ...], style: str, diameter_px: float, contrast: float, spread: float
) -> np.ndarray:
    """Intensity of a surface, float32 (S, S): see draw_shape."""
    field = texture(rng, (size[0], size[1]), (max(3.0, diameter_px / 8), max(6.0, diameter_px / 2)))
    return np.exp(contrast + (spread * field if style == "textured" else 0.0) * np.ones(size)).astype(np.float32)


def _edge(rng: np.random.Generator, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of the edge from the middle at angles (S, S), 1 at most, and its logarithmic slope over the angle."""
    fine = np.linspace(-np.pi, np.pi, 721)
    kind = rng.integers(3)
    if kind == 0:
        ratio = rng.uniform(0.4, 1.0)
        edge = ratio / np.sqrt((ratio * np.cos(fine)) ** 2 + np.sin(fine) ** 2)
    elif kind == 1:
        corners = rng.integers(3, 8)
        normals = 2 * np.pi * (np.arange(corners) + rng.uniform(-0.25, 0.25, corners)) / corners
        towards = np.cos(fine[:, None] - normals)
        edge = 1 / np.maximum(towards.max(axis=1), 0.05)  # two sides may be parallel, but for less
    else:
        order = np.arange(2, 6)
        edge = 1 + (rng.normal(0, 0.3, 4) / order) @ np.cos(order[:, None] * fine + rng.uniform(0, 2 * np.pi, (4, 1)))
        edge = np.maximum(edge, 0.3)
    edge = edge / edge.max()
    slope = np.gradient(np.log(edge), fine)
    return np.interp(angle, fine, edge), np.interp(angle, fine, slope)
