"""Where the events of a recording lie, and their rate over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import new_figure
from .colours import brightest, counts_bar, draw_counts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spikeseg.data.summary import Summary


def recording_figure(summary: Summary, title: str = "") -> Figure:
    """Three panels: ON and OFF events per pixel, log(1 + count), on one scale of colours; below them the rate over time.

    Raises InputError where matplotlib is not installed.
    """
    width, height = summary.sensor_size
    maps = min(12.0, 10 * height / width / 2)
    figure = new_figure(10, maps + 2.6)
    panels = figure.subplot_mosaic([["ON", "OFF"], ["rate", "rate"]], height_ratios=[maps, 2.0])
    end = max(brightest(counts) for counts in summary.pixels)
    for name, counts in zip(("OFF", "ON"), summary.pixels, strict=True):
        image = draw_counts(panels[name], counts, end)
        panels[name].set(title=f"{name} events", xlabel="x (px)", ylabel="y (px)")
    counts_bar(image, int(summary.pixels.max()), ax=[panels["ON"], panels["OFF"]], shrink=0.8)
    edges, rates = summary.rates()
    panels["rate"].stairs(rates, edges, fill=True, color="tab:blue")
    panels["rate"].set(xlabel="time from the first event (s)", ylabel="events/s", xlim=(0, edges[-1]), ylim=(0, None))
    figure.suptitle(title, parse_math=False)  # a name may hold $
    return figure
