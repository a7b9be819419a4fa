"""What moved in a recording: its events, the ways of its objects and stars, and what its surest objects look like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from spikeseg.core.clock import Clock
from spikeseg.core.text import many
from spikeseg.detection.schema import OTHER
from spikeseg.errors import one_line

from . import new_figure, short
from .colours import BESIDE, OFF, ON, TIME, brightest, counts_bar, draw_counts, interpolation
from .cutouts import Cutout, cutouts, draw_strip, strip_sides
from .labels import Label, place_labels, within

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path

    from spikeseg.detection.result import Detections

WIDTH, EDGE, TALL = 12.0, 0.65, 6.5
"""Inches: of the picture; left of panels, for the numbers of their axes; of a panel's height, at most."""
HEAD, ABOVE, BELOW, BAR, FOOT = 0.6, 0.3, 0.55, 0.6, 0.4
"""Inches: for the title; above a panel; below it; for a scale of colours; for the legend."""
LINES = 0.45
"""Inches: below a strip, for the times of its cut-outs."""
NAME, CLASS = 100, 24
"""Characters of the name of a recording, and of a class, at most."""
SHOWN = 8
"""Objects with a strip of cut-outs, and with times at their label: of more, those of the highest confidence."""
WIDEST, TALLEST = 9.0, 4.0
"""Sides of a panel to each other, at most; pixels of longer sensors are not drawn square."""
HEADING = 5.0
"""1/72 inch: over so long an end of a way its arrow head points."""
STAR = "0.45"


class _Page:
    """A figure that is filled from top to bottom; all in inches.

    Attributes:
        figure: the figure.
        y: where the next thing begins, from below.
    """

    def __init__(self, height: float) -> None:
        self.figure, self._height, self.y = new_figure(WIDTH, height, laid_out=False), height, height

    def panel(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes with their lower left corner at x, y."""
        return self.figure.add_axes((x / WIDTH, y / self._height, width / WIDTH, height / self._height))

    def text(self, text: str, size: float, down: float) -> None:
        """A line of text in the middle of the page, so high."""
        middle = (self.y - down / 2) / self._height
        self.figure.text(0.5, middle, text, fontsize=size, ha="center", va="center", parse_math=False)
        self.y -= down


class _Maps(NamedTuple):
    """The two panels of a sensor: sides of each (inches), and how many stand beside each other."""

    width: float
    height: float
    across: int

    @classmethod
    def of(cls, sensor_size: tuple[int, int]) -> _Maps:
        """sensor_size: (width, height), px."""
        across = 1 if sensor_size[0] > 3 * sensor_size[1] else 2
        sides = float(np.clip(sensor_size[1] / sensor_size[0], 1 / WIDEST, TALLEST))
        height = min((WIDTH / across - EDGE - 0.2) * sides, TALL)
        return cls(height / sides, height, across)

    @property
    def block(self) -> float:
        """Height of a panel with its titles and its scale of colours, inches."""
        return ABOVE + self.height + BELOW + BAR

    def place(self, page: _Page) -> Iterator[tuple[Axes, Axes]]:
        """The left or upper panel and the axes of its scale, then the other's."""
        for number in range(2):
            if number % self.across == 0:
                page.y -= self.block
            x = (number % self.across + 0.5) * WIDTH / self.across - self.width / 2 + (EDGE - 0.2) / 2
            panel = page.panel(x, page.y + BAR + BELOW, self.width, self.height)
            yield panel, page.panel(x + 0.1 * self.width, page.y + BAR - 0.12, 0.8 * self.width, 0.12)


def detections_figure(detections: Detections, others: str = OTHER) -> Figure:
    """Two panels, events per pixel and the ways of objects and stars, above a strip of cut-outs of each object.

    Args:
        detections: of a recording.
        others: what a track that is no object is called.

    Raises:
        InputError: matplotlib is not installed.
    """
    objects, t = detections.objects, detections.event_columns["t"]
    surest = objects[np.lexsort((objects["object_id"], -objects["events"], -objects["confidence"]))]
    span = (int(t[0]), int(t[-1])) if len(t) else (0, 0)
    clock, maps = Clock.of(*span), _Maps.of(detections.sensor_size)
    page = _Page(HEAD + maps.block * (2 // maps.across) + _strips_height(len(surest)) + FOOT)
    page.text(short(one_line(detections.recording), NAME), 13, 0.32)
    page.text(_facts(detections, span, clock), 10, HEAD - 0.32)
    (left, scale), (right, times) = maps.place(page)
    _draw_events(left, right, scale, detections)
    ways = _draw_tracks(right, times, detections, span, clock)
    right.set_title(_counted(detections, others))
    place_labels(right, [_label(row, number < SHOWN, clock) for number, row in enumerate(surest)], ways)
    if len(surest):
        _draw_strips(page, detections, surest, clock)
    page.figure.legend(handles=_legend(detections, others), loc="lower center", ncols=8, fontsize=8, frameon=False)
    return page.figure


def _facts(detections: Detections, span: tuple[int, int], clock: Clock) -> str:
    width, height = detections.sensor_size
    seconds = (span[1] - span[0]) / 1e6
    from_zero = f" from {span[0] / 1e6:.6f} s" if clock.zero_us else ""
    events = many(len(detections.event_columns["t"]), "event")
    return f"{width} x {height} px, {seconds:.{2 if seconds >= 1 else 4}f} s{from_zero}, {events}"


def _counted(detections: Detections, others: str) -> str:
    """How many objects and other tracks there are."""
    objects = len(detections.objects)
    counts = ((objects, "object"), (len(detections.track_ids) - objects, others))
    return ", ".join(many(count, what) if count else f"no {what}" for count, what in counts)


def _draw_events(left: Axes, right: Axes, bar: Axes, detections: Detections) -> None:
    """Events per pixel on the left, with their scale; faintly behind the ways on the right."""
    width, height = detections.sensor_size
    columns = detections.event_columns
    pixel = columns["y"].astype(np.int64) * width + columns["x"]
    counts = np.bincount(pixel, minlength=width * height).reshape(height, width)
    end = brightest(counts)
    counts_bar(draw_counts(left, counts, end), int(counts.max()), cax=bar, orientation="horizontal")
    seen = np.log1p(np.minimum(counts, end))
    right.imshow(seen, cmap="Greys", vmin=0, vmax=4 * np.log1p(end), interpolation=interpolation(counts))
    left.set_title("events" if len(pixel) else "no events")
    if not len(pixel):
        left.text(0.5, 0.5, "the recording holds no events", color="white", ha="center", transform=left.transAxes)
    for axes in (left, right):
        axes.set(xlabel="x (px)", ylabel="y (px)", xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="auto")
        axes.locator_params(integer=True, min_n_ticks=1)


def _draw_tracks(axes: Axes, bar: Axes, detections: Detections, span: tuple[int, int], clock: Clock) -> np.ndarray:
    """Ways of objects, bold, coloured by time, and of stars, thin and grey. -> points along those of objects, px (n, 2)."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize

    first, last = (clock.seconds(t) for t in span)
    times = ScalarMappable(Normalize(first, last if last > first else first + 1), TIME)
    ways = detections.by_track.values()
    stars = [np.stack([way["x"], way["y"]], 1) for way in ways if not way["is_object"][0]]
    axes.add_collection(LineCollection(stars, colors=STAR, linewidths=0.8), autolim=False)
    axes.scatter([star[-1, 0] for star in stars], [star[-1, 1] for star in stars], s=4, color=STAR, linewidths=0)
    moving = [way for way in ways if way["is_object"][0]]
    for way in moving:
        _draw_way(axes, way, times, clock)
    if not moving:
        box = {"facecolor": "white", "edgecolor": "none"}
        axes.text(0.5, 0.5, "no object was found", ha="center", transform=axes.transAxes, bbox=box, zorder=9)
    axes.figure.colorbar(times, cax=bar, orientation="horizontal", label=clock.name)
    bar.ticklabel_format(useOffset=False)
    bar.locator_params(nbins=max(2, int(bar.get_position().width * WIDTH * 1.3)))  # so that numbers do not touch
    steps = np.linspace(0, 1, 9)[:, None, None]
    along = [steps * way[1:] + (1 - steps) * way[:-1] for way in (np.stack([way["x"], way["y"]], 1) for way in moving)]
    return np.concatenate([np.empty((0, 2)), *(points.reshape(-1, 2) for points in along)])


def _draw_way(axes: Axes, way: np.ndarray, times: Any, clock: Clock) -> None:
    """The way of an object from a ring at its start to an arrow head at its end; way: of schema.TRACK_COLUMNS."""
    from matplotlib.collections import LineCollection

    points = np.stack([way["x"], way["y"]], 1)
    colours = times.to_rgba(clock.seconds(way["t_us"]))
    axes.plot(*points.T, color="black", linewidth=4, solid_capstyle="round", zorder=3)
    pieces = list(np.stack([points[:-1], points[1:]], 1))
    axes.add_collection(LineCollection(pieces, colors=colours[1:], linewidths=2.6, capstyle="round", zorder=4), autolim=False)
    first, last = within(axes, points[[0, -1]])
    axes.plot(*first, marker="o", markersize=6, color=colours[0], markeredgecolor="black", zorder=5, clip_on=False)
    drawn = axes.transData.transform(points)
    far = np.flatnonzero(np.hypot(*(drawn - drawn[-1]).T) > HEADING * axes.figure.dpi / 72)
    dx, dy = drawn[-1] - drawn[far[-1] if len(far) else 0]
    head = _arrow_head(dx, dy) if dx or dy else "s"
    axes.plot(*last, marker=head, markersize=11, color=colours[-1], markeredgecolor="black", zorder=6, clip_on=False)


def _arrow_head(dx: float, dy: float) -> Path:
    """A marker that points to the right by dx and up by dy."""
    from matplotlib.path import Path

    across, along = np.array([[0.7, -1.0], [0.0, 1.0], [-0.7, -1.0], [0.0, -0.55], [0.7, -1.0]]).T
    x, y = np.array([dx, dy]) / np.hypot(dx, dy)
    return Path(np.stack([along * x + across * y, along * y - across * x], 1), closed=True)


def _label(row: np.void, times: bool, clock: Clock) -> Label:
    number = f"{row['object_id']}"
    text = f"{number}: {row['confidence']:.2f}\n{clock.text(row['t_start_us'], row['t_end_us'])}" if times else number
    return Label(text, row["x_end"], row["y_end"])


def _strip_size(objects: int) -> tuple[float, float]:
    """Width and height of a strip, inches."""
    width = WIDTH / min(objects, 2) - 0.55
    return width, width / strip_sides()


def _strips_height(objects: int) -> float:
    """Of all strips with what stands above and below, inches."""
    shown = min(objects, SHOWN)
    return 0.35 + (shown + 1) // 2 * (ABOVE + _strip_size(shown)[1] + LINES) if shown else 0.0


def _draw_strips(page: _Page, detections: Detections, surest: np.ndarray, clock: Clock) -> None:
    """Strips of cut-outs of the surest objects, two beside each other."""
    shown = surest[:SHOWN]
    several = "each object" if len(surest) <= SHOWN else f"each of the {SHOWN} surest of {len(surest)} objects"
    whose = "the object" if len(surest) == 1 else several
    page.text(f"events around {whose}, moving with it: when, and for how long", 9, 0.35)
    width, height = _strip_size(len(shown))
    for number, row in enumerate(shown):
        low = page.y - (number // 2 + 1) * (ABOVE + height + LINES) + LINES
        axes = page.panel(0.4 + number % 2 * WIDTH / 2, low, width, height)
        moments, side = cutouts(detections, int(row["object_id"]))
        middles = draw_strip(axes, moments)
        axes.set_xticks(middles, [_moment(moment, clock) for moment in moments], fontsize=7)
        axes.set_yticks([sum(axes.get_ylim()) / 2], [f"{side} px"], fontsize=7, rotation=90, va="center")
        axes.tick_params(length=0)
        name = f" ({short(row['class_name'], CLASS)})" if row["class_name"] else ""
        axes.set_title(
            f"{row['object_id']}{name}: {clock.text(row['t_start_us'], row['t_end_us'])}, {row['speed']:.1f} px/s, "
            f"confidence {row['confidence']:.2f}, {many(row['events'], 'event')}",
            fontsize=8, parse_math=False,
        )  # fmt: skip


def _moment(moment: Cutout, clock: Clock) -> str:
    """The middle of a moment, and how long it is."""
    middle, ms = clock.text((moment.start_us + moment.end_us) / 2), (moment.end_us - moment.start_us) / 1000
    length = f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.3g} ms"
    return f"{middle}\n{length if moment.events else 'no event'}"


def _legend(detections: Detections, others: str) -> list[Any]:
    """What the marks mean."""
    from matplotlib import colormaps
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    middle = colormaps[TIME](0.5)
    edge: dict[str, Any] = {"linestyle": "none", "color": middle, "markeredgecolor": "black"}
    objects = [
        Line2D([], [], linewidth=2.6, color=middle, label="object, number: confidence, times"),
        Line2D([], [], marker="o", label="first seen", **edge),
        Line2D([], [], marker=_arrow_head(1, 0), markersize=10, label="last seen", **edge),
    ]
    stars = [Line2D([], [], linewidth=0.8, marker=".", markersize=3, color=STAR, label=others)]
    events = [Patch(color=colour, label=f"{kind} event") for kind, colour in (("ON", ON), ("OFF", OFF), ("other", BESIDE))]
    stars = stars if len(detections.track_ids) > len(detections.objects) else []
    return [*objects, *stars, *events] if len(detections.objects) else stars
