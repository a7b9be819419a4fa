"""Classical detectors on accumulated frames, as baselines: connected blobs, and lines.

Frame-based processing beside the event-based one of Afshar et al. 2020 (IEEE Sensors J. 20(24):15117): the events of a window
are counted per pixel; the frame is smoothed, and its pixels expressed as z, in standard deviations of the frame above its mean.
Blobs are connected pixels of high z. Lines are segments in the binary frame of high z, for a moving source draws a line. The
steps are the textbook's, the parameters ours: chosen on simulated recordings of seeds 101 and 102 alone, for the highest ROC-AUC
over events (what counts for `strength`) and the highest F1 of objects, in windows of 1 s; in windows of 0.1 s both are lower.

The Gaussian, the labelling and the Hough transform are those of scipy and scikit-image; ours are z, the choice among overlapping
segments, and the strength of a pixel. Pure functions: equal input, equal output.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .objects import OBJECT_DTYPE

SMOOTHING_PX = 1.5
"""Standard deviation of the Gaussian, about that of a source. Narrower lets noise through, wider loses dim sources and
positions."""

SIGMAS = 1.0
"""A pixel is lit above this z. Low, so that dim sources get a strength: what is not lit is background. From
1 to 3 the ROC-AUC over events falls by 0.01 to 0.02."""

OBJECT_SIGMAS = 14.0
"""A blob or segment is listed as an object from this peak z on: most of the fainter ones are stars and noise."""

OUTLINE = 1 / 3
"""An object ends where z falls below this share of OBJECT_SIGMAS, so that bright sources do not run into their neighbours. At a
half, sources that hardly move get shorter than a segment."""

MIN_PIXELS = 3
"""Blobs of fewer pixels are noise; as `objects.MIN_PIXELS`."""


class Hough(NamedTuple):
    """Settings of the Hough transform. Slow satellites move a few pixels in a window: segments of 10 px or more miss them
    (ROC-AUC 0.91 instead of 0.96).

    Attributes:
        min_votes: lit pixels on a line with which a segment begins.
        min_length_px: of a segment, its shortest length.
        max_gap_px: of a segment, its widest dark stretch.
        seed: of the order in which the transform draws pixels.
    """

    min_votes: int = 5
    min_length_px: int = 5
    max_gap_px: int = 2
    seed: int = 0


HOUGH = Hough()

REACH_PX = 2
"""A segment's strength holds within this distance: a source is a few pixels wide, its segment one."""

APART_PX = 5.0
"""A segment whose middle or end is this near to a stronger one is the same object: a wide streak gives several side by side."""


class FrameDetections(NamedTuple):
    """Objects of a window, OBJECT_DTYPE (n,), by falling score; for every pixel which of them it belongs to: index + 1, 0 for
    none, int32 (H, W); and for every pixel how strongly it is an object's, float64 (H, W), 0 where there is no object. What is
    too weak to be listed as an object has its strength all the same."""

    objects: np.ndarray
    labels: np.ndarray
    strength: np.ndarray


def accumulate(events: np.ndarray, sensor_size: tuple[int, int]) -> np.ndarray:
    """How many events, of either polarity, each pixel has. -> float64 (H, W).

    Args:
        events: with x, y (pixels).
        sensor_size: (width, height).

    Raises ValueError: events off the sensor.
    """
    width, height = sensor_size
    for name, side in zip("xy", sensor_size, strict=True):
        if len(events) and not 0 <= events[name].min() <= events[name].max() < side:
            raise ValueError(f"events.{name}: {events[name].min()}..{events[name].max()}; expected 0..{side - 1}")
    pixel = events["y"].astype(np.int64) * width + events["x"]
    return np.bincount(pixel, minlength=width * height).reshape(height, width).astype(np.float64)


def contrast(frame: np.ndarray, smoothing_px: float = SMOOTHING_PX) -> np.ndarray:
    """z of the smoothed frame: standard deviations above its mean; 0 everywhere in a frame without contrast.

    Args:
        frame: (H, W), any real dtype.
        smoothing_px: standard deviation of the Gaussian.

    Returns:
        float64 (H, W).
    """
    smooth = ndimage.gaussian_filter(np.asarray(frame, np.float64), smoothing_px) if frame.size else np.zeros(frame.shape)
    spread = smooth.std() if frame.size else 0.0
    if not spread > 1e-9 * np.abs(smooth).max(initial=0):  # uniform, but for rounding
        return np.zeros(frame.shape)
    return np.asarray((smooth - smooth.mean()) / spread)


def blobs(
    frame: np.ndarray,
    *,
    sigmas: float = SIGMAS,
    object_sigmas: float = OBJECT_SIGMAS,
    smoothing_px: float = SMOOTHING_PX,
    min_pixels: int = MIN_PIXELS,
    class_id: int = 0,
) -> FrameDetections:
    """Connected blobs (8 neighbours) of pixels above `sigmas`.

    Args:
        frame: (H, W), events per pixel.
        sigmas: z above which a pixel is lit.
        object_sigmas: blobs are objects from this peak z on, and end where z falls below OUTLINE of it (or `sigmas`).
        smoothing_px: standard deviation of the Gaussian.
        min_pixels: smaller blobs are dropped.
        class_id: given to every object.

    Returns:
        FrameDetections: strength is the peak z of the pixel's blob, and so is an object's score; x, y its centroid weighted by z.
    """
    from skimage.measure import regionprops

    z = contrast(frame, smoothing_px)
    part, peak = _parts(z, sigmas, min_pixels)
    strength = peak[part]

    part, peak = _parts(z, max(sigmas, object_sigmas * OUTLINE), min_pixels)
    listed = np.flatnonzero((peak > 0) & (peak >= object_sigmas))
    listed = listed[np.argsort(-peak[listed], kind="stable")]
    number = np.zeros(len(peak), np.int32)
    number[listed] = np.arange(1, len(listed) + 1)
    labels = number[part]
    objects = np.zeros(len(listed), OBJECT_DTYPE)
    for blob, region in zip(objects, regionprops(labels, z) if len(listed) else [], strict=True):  # in order of their numbers
        top, left, bottom, right = region.bbox
        (blob["y"], blob["x"]), blob["width"], blob["height"] = region.centroid_weighted, right - left, bottom - top
        blob["pixels"] = region.area
    objects["score"], objects["class_id"] = peak[listed], class_id
    return FrameDetections(objects, labels, strength)


def _parts(z: np.ndarray, sigmas: float, min_pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """The blob of each pixel, from 1, 0 for none, int (H, W), and the peak of each, 0 for none and where it is too small."""
    from skimage.measure import label

    above = z > sigmas
    part = label(above, connectivity=2) if above.any() else np.zeros(z.shape, np.int64)
    pixels = np.bincount(part.ravel(), minlength=1)
    peak = np.zeros(len(pixels))
    np.maximum.at(peak, part.ravel(), z.ravel())
    peak[pixels < min_pixels] = 0
    peak[0] = 0
    return part, peak


def lines(
    frame: np.ndarray,
    *,
    sigmas: float = SIGMAS,
    object_sigmas: float = OBJECT_SIGMAS,
    smoothing_px: float = SMOOTHING_PX,
    transform: Hough = HOUGH,
    class_id: int = 0,
) -> FrameDetections:
    """Segments in the binary frame of pixels above `sigmas`, by the probabilistic Hough transform [Galambos et al. 1999].

    Args:
        frame: (H, W), events per pixel.
        sigmas: z above which a pixel is lit.
        object_sigmas: segments are objects from this peak z on; drawn through pixels above OUTLINE of it (or `sigmas`).
        smoothing_px: standard deviation of the Gaussian.
        transform: see `Hough`.
        class_id: given to every object.

    Returns:
        FrameDetections: strength is the highest peak z of the segments within REACH_PX of the pixel, a segment's that of the
        pixels on it: it ranks events better than the mean z, the sum of z, or the length of the segment. An object's score is the
        strength of its segment, x, y its midpoint, width and height those of the box around it; its pixels lie within REACH_PX.
    """
    z = contrast(frame, smoothing_px)
    ridge = np.zeros(z.shape)
    for _, pixels, peak in zip(*_segments(z, sigmas, transform), strict=True):
        ridge[pixels] = np.maximum(ridge[pixels], peak)
    ends, drawn, peaks = _segments(z, max(sigmas, object_sigmas * OUTLINE), transform)
    listed = _distinct(ends, peaks, object_sigmas)
    objects = np.zeros(len(listed), OBJECT_DTYPE)
    objects["x"], objects["y"] = ends[listed].mean(1).T
    objects["width"], objects["height"] = np.ptp(ends[listed], axis=1).T + 1
    objects["score"], objects["class_id"] = peaks[listed], class_id
    own = np.zeros(z.shape, np.int32)
    for number, k in reversed(list(enumerate(listed, 1))):  # the strongest last: it keeps its pixels
        own[drawn[k]] = number
    labels = _nearest(own)
    objects["pixels"] = np.bincount(labels.ravel(), minlength=len(listed) + 1)[1:]
    return FrameDetections(objects, labels, _grown(ridge))


def _segments(
    z: np.ndarray, sigmas: float, transform: Hough
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Ends of n segments through pixels above `sigmas`, int64 (n, 2 ends, x and y), their pixels, and the peak z of each (n,)."""
    from skimage.draw import line
    from skimage.transform import probabilistic_hough_line

    above, (votes, length_px, gap_px, seed) = z > sigmas, transform
    segments = probabilistic_hough_line(above, votes, length_px, gap_px, rng=seed) if above.any() else []
    ends = np.array(segments, np.int64).reshape(-1, 2, 2)
    drawn = [line(y0, x0, y1, x1) for (x0, y0), (x1, y1) in ends]
    return ends, drawn, np.array([z[pixels].max() for pixels in drawn], np.float64)


def _distinct(ends: np.ndarray, peaks: np.ndarray, object_sigmas: float) -> np.ndarray:
    """Indices of the segments that are objects, by falling peak, of equals the longest first. ends: (n, 2, 2)."""
    first, last = ends[:, 0].astype(np.float64), ends[:, 1].astype(np.float64)
    order = np.lexsort((-np.hypot(*(last - first).T), -peaks))
    left = order[peaks[order] >= object_sigmas]
    listed = []
    while len(left):
        k = left[0]
        listed.append(k)
        points = np.stack([first[left], last[left], (first[left] + last[left]) / 2])
        left = left[(_distance(points, first[k], last[k]) > APART_PX).all(0)]
    return np.array(listed, np.int64)


def _distance(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distance of points (..., 2) from the segment between start and end (2,), px."""
    along = end - start
    share = np.clip((points - start) @ along / max(along @ along, 1e-9), 0, 1)[..., None]
    return np.asarray(np.linalg.norm(points - start - share * along, axis=-1))


def _grown(ridge: np.ndarray) -> np.ndarray:
    """The highest value within REACH_PX of each pixel, Euclidean, the border included."""
    if not ridge.any():
        return ridge
    reach = np.arange(-REACH_PX, REACH_PX + 1)
    disc = np.hypot(reach[:, None], reach[None, :]) <= REACH_PX
    return np.asarray(ndimage.maximum_filter(ridge, footprint=disc, mode="constant"))


def _nearest(own: np.ndarray) -> np.ndarray:
    """The number, from 1, nearest to each pixel and within REACH_PX of it, else 0. own: int32 (H, W)."""
    if not own.any():
        return own
    distance, (row, column) = ndimage.distance_transform_edt(own == 0, return_indices=True)
    return np.where(distance <= REACH_PX, own[row, column], 0).astype(np.int32)
