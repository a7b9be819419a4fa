"""A page that shows a recording and what was found in it: one file, which asks no network for anything."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.core.clock import Clock
from spikeseg.detection.schema import OTHER

from . import require
from .review import MARKS, VERSION, Review, matched
from .style import GROUND, OBJECTS, OFF, ON, STAR
from .thinning import MOST_EVENTS, MOST_IN_CLOUD, drawn_events, thinned

if TYPE_CHECKING:
    from spikeseg.detection.result import Detections

PARTS = ("page.html", "page.css", "state.js", "cloud.js", "frame.js", "objects.js", "page.js")
"""Files of the page; the scripts run in this order, in one scope."""
DECIMALS = 4
"""Of positions, as in tracks.csv."""
SHOWN = (
    "object_id", "t_start_us", "t_end_us", "x_start", "y_start", "x_end", "y_end", "speed", "speed_rel", "width", "height",
    "events", "confidence", "class_name",
)  # fmt: skip
"""Columns of objects.csv that the page shows."""


def view_html(detections: Detections, review: Review | None = None, *, others: str = OTHER) -> str:
    """The page of a recording.

    Args:
        detections: what was detected in it.
        review: marks that it shows; None: nobody has marked anything yet.
        others: what a track that is no object is called.

    Raises:
        InputError: plotly is not installed (extra 'view').
    """
    (plotly,) = require("view")
    text = json.dumps(content(detections, review, others), allow_nan=False, separators=(",", ":"))
    web = files(__package__).joinpath("web")
    page, style, *scripts = (web.joinpath(name).read_text(encoding="utf-8") for name in PARTS)
    return Template(page).substitute(
        title=html.escape(detections.recording),
        style=style,
        script="\n".join(scripts),
        plotly=plotly.get_plotlyjs(),
        data=text.replace("<", "\\u003c"),  # so that no name ends the element
    )


def content(detections: Detections, review: Review | None = None, others: str = OTHER) -> dict[str, Any]:
    """What the page holds, ready for JSON: the recording's facts, events to draw, tracks, objects, and the marks of a review."""
    columns = detections.event_columns
    t, paths, ids = columns["t"], detections.by_track, detections.object_ids
    start, end = (int(t[0]), int(t[-1])) if len(t) else (0, 0)
    drawn = drawn_events(columns["object_id"], np.array(ids, np.int64), MOST_EVENTS)
    far = np.ones(len(drawn), bool)
    far[drawn_events(columns["object_id"][drawn], np.array(ids, np.int64), MOST_IN_CLOUD)] = False
    marks, earlier = matched(review.marks if review else (), {number: paths[number] for number in ids})
    stars = {number: path for number, path in paths.items() if number not in set(ids)}
    shown = np.split(thinned(np.array([*map(len, stars.values())], np.int64)), np.cumsum([*map(len, stars.values())]))
    told: dict[str, Any] = {
        "version": VERSION,
        "recording": detections.recording,
        "sensor_size": [int(side) for side in detections.sensor_size],
        "origin_us": Clock.of(start, end).zero_us,
        "start_us": start,
        "end_us": end,
        "event_count": len(t),
        "star_count": len(stars),
        "others": others,
        "events": {
            "t": _packed((t[drawn] - start) / 1e6, "<f4"),
            "x": _packed(columns["x"][drawn], "<u2"),
            "y": _packed(columns["y"][drawn], "<u2"),
            "on": _packed(columns["p"][drawn], "u1"),
            "owner": _packed(columns["object_id"][drawn], "<i4"),
            "far": _packed(far, "u1"),
        },
        "objects": [
            {**{name: row[name].item() for name in SHOWN}, **_path(paths[number], boxes=True)}
            for number, row in zip(ids, detections.objects, strict=True)
        ],
        "stars": [{"track_id": number, **_path(path[kept])} for (number, path), kept in zip(stars.items(), shown, strict=False)],
        "earlier": [
            {"object_id": max([0, *paths]) + k, "mark": mark.mark, **_path(_columns(mark))} for k, mark in enumerate(earlier, 1)
        ],
        "marks": {str(number): mark.mark for number, mark in marks.items()},
        "words": list(MARKS),
        "colours": {"objects": OBJECTS, "on": ON, "off": OFF, "star": STAR, "ground": GROUND},
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return {**told, "digest": digest[:16]}


def _columns(mark: Any) -> dict[str, np.ndarray]:
    return {"t_us": mark.t_us, "x": mark.x, "y": mark.y}


def _path(rows: Any, boxes: bool = False) -> dict[str, list[float]]:
    """Times, µs, and positions of a track; and the sides of its boxes."""
    names = ("x", "y", "width", "height") if boxes else ("x", "y")
    return {"t_us": rows["t_us"].tolist()} | {name: np.round(rows[name], DECIMALS).tolist() for name in names}


def _packed(column: np.ndarray, dtype: str) -> str:
    """The bytes of an array as base64."""
    return base64.b64encode(np.ascontiguousarray(column, dtype).data).decode()
