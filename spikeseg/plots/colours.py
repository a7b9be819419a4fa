"""Colours that no common colour blindness confuses: of polarities, of counts, of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

ON, OFF, BOTH, BESIDE = (0.84, 0.37, 0.0), (0.0, 0.45, 0.70), (0.35, 0.35, 0.35), (0.86, 0.86, 0.86)
GREEN = (0.0, 0.62, 0.45)
"""Vermilion and blue [Okabe and Ito 2008], greys; their bluish green."""
COUNTS, TIME = "magma", "cividis"
"""Maps of colours, of even steps in brightness; cividis: Nuñez et al. 2018."""
LARGE = 500
"""Side of a picture, pixels, that a panel shows one by one."""


def drive_colours(off: np.ndarray, on: np.ndarray) -> np.ndarray:
    """A picture of a drive by polarity: the stronger, the darker; vermilion where ON drives, blue where OFF, grey where both do.

    Args:
        off: (H, W) >= 0.
        on: (H, W) >= 0.

    Returns:
        float64 (H, W, 3), RGB from 0 to 1; white where nothing drives.
    """
    both = off + on
    strength = (both / (both.max() or 1.0))[..., None]
    balance = np.divide(on - off, both, out=np.zeros(both.shape), where=both > 0)[..., None]
    side = np.where(balance > 0, np.array(ON), np.array(OFF))
    colour = np.abs(balance) * side + (1 - np.abs(balance)) * np.array(BOTH)
    return np.asarray(1 - strength * (1 - colour))


def brightest(counts: np.ndarray) -> float:
    """Where a scale of events per pixel ends, at least 1: at the most that three pixels within 3 x 3 reach. Hot pixels stand
    alone or in pairs, and do not stretch it.

    Args:
        counts: whole numbers (H, W).
    """
    from scipy.ndimage import rank_filter

    return max(float(rank_filter(counts, -3, size=3, mode="constant").max(initial=0)), 1.0)


def interpolation(picture: np.ndarray) -> str:
    """How a picture (H, W, ...) is drawn: pixels as squares, unless they are too many for a panel, where none may get lost."""
    return "nearest" if max(picture.shape[:2]) <= LARGE else "antialiased"


def draw_counts(axes: Axes, counts: np.ndarray, end: float) -> AxesImage:
    """Draw events per pixel, log(1 + count); `counts_bar` is the scale.

    Args:
        axes: where.
        counts: whole numbers (H, W).
        end: of the scale, events: see `brightest`. Pixels with more have the colour of its end.
    """
    return axes.imshow(np.log1p(counts), cmap=COUNTS, vmin=0, vmax=np.log1p(end), interpolation=interpolation(counts))


def counts_bar(image: AxesImage, most: int, **place: Any) -> None:
    """The scale of `draw_counts`, in events; with a point at its end where a pixel has more.

    Args:
        image: what `draw_counts` gave.
        most: events of a pixel that are drawn on this scale.
        place: of Figure.colorbar: ax or cax, orientation, shrink, ...
    """
    end = image.norm.vmax or 0.0
    extend = "max" if np.log1p(most) > end else "neither"
    bar = image.figure.colorbar(image, extend=extend, label="events per pixel", **place)
    steps = np.outer(10 ** np.arange(19), [1, 3]).ravel()
    ticks = np.array([0, *steps[steps <= np.expm1(end) * 1.0001]])
    ticks = ticks[:: max(1, len(ticks) // 8)]
    bar.set_ticks(np.log1p(ticks).tolist(), labels=[f"{tick:,}" for tick in ticks])
