"""A recording and what was found in it as a file for the viewer rerun (https://rerun.io)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.core import interrupts
from spikeseg.core.files import writing

from . import require
from .style import OBJECTS, OFF, ON, STAR, rgb

if TYPE_CHECKING:
    from spikeseg.detection.result import Detections

TIMELINE = "time"
"""Of the file: seconds by the recording's own clock."""


def write_rerun(path: Path, detections: Detections) -> None:
    """Write a .rrd: the events of each window as points, every track as a line, and boxes of the objects over time.

    Other than all other files its bytes differ from time to time: rerun writes down when it was told what.

    Args:
        path: the file, in a folder that nobody reads yet.
        detections: what was detected in the recording.

    Raises:
        InputError: rerun is not installed (extra 'rerun'), or the file cannot be written.
    """
    (rerun,) = require("rrd")
    name = hashlib.sha256(detections.recording.encode()).hexdigest()[:16]
    with writing(path):
        stream = rerun.RecordingStream("spikeseg", recording_id=name)
        stream.save(str(path.absolute()))
        stream.send_recording_name(detections.recording)
        _log_events(rerun, stream, detections)
        _log_tracks(rerun, stream, detections)
        stream.flush()
        stream.disconnect()


def _log_events(rerun: Any, stream: Any, detections: Detections) -> None:
    """The events of each window at its start, by polarity."""
    columns = detections.event_columns
    edges = [*detections.windows["t_start_us"].tolist(), *detections.windows["t_end_us"][-1:].tolist()]
    ends = np.searchsorted(columns["t"], edges)
    for start, first, last in zip(edges, ends[:-1], ends[1:], strict=False):
        interrupts.check()
        stream.set_time(TIMELINE, duration=start * 1e-6)
        for polarity, name, colour in ((True, "on", ON), (False, "off", OFF)):
            own = first + np.flatnonzero(columns["p"][first:last] == polarity)
            places = np.stack([columns["x"][own], columns["y"][own]], 1).astype(np.float32)
            stream.log(f"events/{name}", rerun.Points2D(places, colors=rgb(colour), radii=0.5))


def _log_tracks(rerun: Any, stream: Any, detections: Detections) -> None:
    """Each track as a line for all time; of objects their boxes, from the first to the last time at which they were seen."""
    shades = {number: OBJECTS[k % len(OBJECTS)] for k, number in enumerate(detections.object_ids)}
    for number, track in detections.by_track.items():
        shade = shades.get(number)
        place = f"{'objects' if shade else 'stars'}/{number}"
        way = np.stack([track["x"], track["y"]], 1)
        stream.log(
            f"{place}/way",
            rerun.LineStrips2D([way], colors=rgb(shade or STAR), radii=1.0 if shade else 0.3),
            static=True,
        )
        if shade is None:
            continue
        for row in track:
            stream.set_time(TIMELINE, duration=int(row["t_us"]) * 1e-6)
            box = rerun.Boxes2D(
                centers=[[row["x"], row["y"]]],
                sizes=[[row["width"], row["height"]]],
                colors=rgb(shade),
                labels=str(number),
            )
            stream.log(f"{place}/box", box)
        stream.log(f"{place}/box", rerun.Clear(recursive=False))
