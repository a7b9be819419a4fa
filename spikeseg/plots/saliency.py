"""Events of a recording, their saliency, and the tracks over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from . import require_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spikeseg.detection.result import Detections


def detections_figure(detections: Detections) -> Figure:
    """`saliency_figure` of what a network detects in a recording.

    Raises:
        InputError: matplotlib is not installed.
    """
    rows = detections.tracks
    positions = np.stack([rows["x"], rows["y"]], 1)
    paths = [positions[rows["track_id"] == number] for number in detections.track_ids]
    return saliency_figure(detections.events, detections.events["score"], detections.sensor_size, paths, detections.recording)


def saliency_figure(
    events: np.ndarray,
    scores: np.ndarray,
    sensor_size: tuple[int, int],
    tracks: Sequence[np.ndarray] = (),
    title: str = "",
) -> Figure:
    """Two panels side by side: ON less OFF events per pixel, and the highest score per pixel with the tracks drawn in.

    Args:
        events: EVENT_DTYPE (n,).
        scores: (n,) saliency of each event, >= 0.
        sensor_size: (width, height) in pixels.
        tracks: (m, 2) positions x, y in pixels, one array per track; numbered from 1 in the figure.
        title: above both.

    Raises:
        InputError: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = sensor_size
    pixel = events["y"].astype(np.int64) * width + events["x"]
    balance = np.bincount(pixel, np.where(events["p"], 1.0, -1.0), width * height).reshape(height, width)
    best = np.zeros(width * height)
    np.maximum.at(best, pixel, scores)
    figure = Figure(figsize=(12, 12 * height / width / 2 + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    reach = max(1.0, float(np.quantile(np.abs(balance[balance != 0]), 0.95))) if balance.any() else 1.0
    left.imshow(balance, cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
    left.set_title("events: ON red, OFF blue")
    shown = np.log1p(best.reshape(height, width))
    image = right.imshow(shown, cmap="magma", vmin=0, interpolation="nearest")
    figure.colorbar(image, ax=right, label="log(1 + highest saliency)", shrink=0.8)
    for number, track in enumerate(tracks, 1):
        right.plot(track[:, 0], track[:, 1], color="cyan", linewidth=1)
        right.annotate(str(number), track[-1], color="cyan", fontsize=8)
    right.set_title("saliency and tracks")
    for axes in (left, right):
        axes.set(xlabel="x (px)", ylabel="y (px)", xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    figure.suptitle(title, parse_math=False)  # a name may hold $
    return figure
