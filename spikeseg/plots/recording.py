"""Where the events of a recording lie, and their rate over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import require_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spikeseg.data.summary import Summary


def recording_figure(summary: Summary, title: str = "") -> Figure:
    """Three panels: ON and OFF events per pixel, log(1 + count), on one scale of colours; below them the rate over time.

    Raises InputError where matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = summary.sensor_size
    figure = Figure(figsize=(10, min(12.0, 10 * height / width / 2) + 2.6), layout="constrained")
    FigureCanvasAgg(figure)
    ratios = [min(12.0, 10 * height / width / 2), 2.0]
    panels = figure.subplot_mosaic([["ON", "OFF"], ["rate", "rate"]], height_ratios=ratios)
    off, on = np.log1p(summary.pixels)
    brightest = max(float(off.max()), float(on.max()), 1.0)
    for name, counts in (("ON", on), ("OFF", off)):
        axes = panels[name]
        image = axes.imshow(counts, cmap="magma", vmin=0, vmax=brightest, interpolation="nearest")
        axes.set(title=f"{name} events", xlabel="x (px)", ylabel="y (px)")
    figure.colorbar(image, ax=[panels["ON"], panels["OFF"]], label="log(1 + events)", shrink=0.8)
    edges, rates = summary.rates()
    panels["rate"].stairs(rates, edges, fill=True, color="tab:blue")
    panels["rate"].set(xlabel="time from the first event (s)", ylabel="events/s", xlim=(0, edges[-1]), ylim=(0, None))
    figure.suptitle(title, parse_math=False)  # a name may hold $
    return figure
