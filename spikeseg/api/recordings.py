"""Recordings at the front door: read, simulated, summarised and plotted."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.config.sections import Config, DataConfig, SimulateConfig
from spikeseg.data import recording as recordings_
from spikeseg.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spikeseg.data.summary import Summary


class Recording(recordings_.Recording):
    """A `spikeseg.data.recording.Recording` with a summary and a plot.

    >>> import spikeseg as ss
    >>> night = ss.simulate(recordings=1, duration_s=1.0, difficulty="easy", seed=1)[0]
    >>> night.events.dtype.names
    ('t', 'x', 'y', 'p')
    """

    def summary(self) -> Summary:
        """Events by pixel and polarity, and over time."""
        from spikeseg.data.summary import Summary

        summary = Summary(self.sensor_size)
        summary.add(self.events)
        return summary

    def info(self) -> dict[str, Any]:
        """What it holds: name, sensor, sensor_size (width, height), events, on_share, duration_s, events_per_s, labelled objects
        (None where nobody labelled it) and what the checks dropped, by reason.

        >>> import spikeseg as ss
        >>> night = ss.simulate(duration_s=1.0, difficulty="easy", seed=1)[0]
        >>> night.info()["name"], night.info()["sensor_size"]
        ('DAVIS_0000', (240, 180))
        """
        summary = self.summary()
        return {
            "name": self.name,
            "source": self.source,
            "sensor": self.sensor,
            "sensor_size": self.sensor_size,
            "events": summary.events,
            "on_share": summary.on / summary.events if summary.events else None,
            "duration_s": summary.duration_us * 1e-6,
            "events_per_s": summary.events_per_s,
            "objects": None if self.labels is None else len(set(self.labels["id"].tolist())),
            "dropped": dict(self.dropped),
        }

    def plot(self) -> Figure:
        """A matplotlib figure: events per pixel and polarity, and their rate over time.

        Raises:
            InputError: matplotlib is not installed (extra 'plots').

        >>> import spikeseg as ss
        >>> figure = ss.simulate(duration_s=1.0)[0].plot()
        >>> [axes.get_title() for axes in figure.axes][:2]
        ['ON events', 'OFF events']
        """
        from spikeseg.plots.recording import recording_figure

        return recording_figure(self.summary(), self.name)

    @classmethod
    def of(cls, recording: recordings_.Recording) -> Recording:
        """A recording of the library as one of this class."""
        return cls(**{field.name: getattr(recording, field.name) for field in dataclasses.fields(recording)})


def read(
    path: str | Path,
    *,
    sensor_size: tuple[int, int] | None = None,
    lenient: bool = False,
    columns: str | None = None,
    time_unit: str = "us",
) -> Recording:
    """Read a recording, in any format that the command line reads.

    Args:
        path: a file, or ``FILE.h5::NAME`` for one of several in a file, ``FILE.mcap::TOPIC`` of a bag.
        sensor_size: (width, height) in pixels, for formats that do not tell it.
        lenient: accept a recording of which more than 1 % must be dropped.
        columns: of rows without names: t, x, y, p in their order, such as "x,y,t,p"; "-" for other columns.
        time_unit: of t in text, .npy, .npz, and HDF5 with one array: "s", "ms", "us" or "ns".

    Raises:
        InputError: no such file, an unknown format, or content that does not pass the checks.

    >>> import tempfile, pathlib
    >>> import spikeseg as ss
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "two.csv"
    >>> _ = path.write_text("t,x,y,p\\n10,3,4,1\\n20,3,5,0\\n")
    >>> ss.read(path, sensor_size=(8, 8)).events["y"].tolist()
    [4, 5]
    """
    from spikeseg.data.readers import Layout
    from spikeseg.data.readers import read as read_recording

    layout = Layout.named(columns, time_unit)
    return Recording.of(read_recording(path, sensor_size=sensor_size, lenient=lenient, layout=layout))


def simulate(
    recordings: int = 1,
    *,
    duration_s: float = SimulateConfig.duration_s,
    difficulty: str = SimulateConfig.difficulty,
    sensor: str = SimulateConfig.sensor,
    seed: int = Config.seed,
) -> list[Recording]:
    """Simulated recordings of the night sky, labelled, with the cause of every event.

    Args:
        recordings: how many.
        duration_s: length of each, s.
        difficulty: 'easy', 'medium', 'hard' or 'extreme': how bright the satellites are, and what the telescope and clouds do.
        sensor: 'DAVIS' (240 x 180), 'ATIS' (304 x 240) or 'both', in turn.
        seed: the same seed gives the same events.

    Raises:
        InputError: a value that is not allowed.

    >>> import spikeseg as ss
    >>> [night.name for night in ss.simulate(recordings=2, duration_s=0.5, sensor="both")]
    ['DAVIS_0000', 'ATIS_0001']
    """
    from spikeseg.simulation.recordings import SimulationConfig
    from spikeseg.simulation.recordings import simulate as simulated

    config = SimulationConfig(recordings, duration_s, difficulty, sensor, seed)
    return [Recording.of(recording) for recording in simulated(config)]


def as_recordings(
    recordings: recordings_.Recording | str | Path | Iterable[recordings_.Recording | str | Path], data: DataConfig
) -> list[recordings_.Recording]:
    """Recordings as they are, and those that paths name, read as ``data`` says; one alone is a list of one.

    Raises:
        InputError: neither a recording nor a path, a path that cannot be read, or a recording put together by hand whose events
            are not as `spikeseg.data.recording.checked` leaves them.
    """
    given = [recordings] if isinstance(recordings, (recordings_.Recording, str, Path)) else recordings
    if not isinstance(given, Iterable):
        raise InputError(f"recordings: found {type(given).__name__}, must be recordings or paths")
    return [_recording(item, data) for item in given]


def _recording(item: Any, data: DataConfig) -> recordings_.Recording:
    if isinstance(item, (str, Path)):
        return read(item, lenient=data.lenient, columns=data.columns, time_unit=data.time_unit)
    if not isinstance(item, recordings_.Recording):
        raise InputError(f"recordings: found {type(item).__name__}, must be recordings or paths")
    events = item.events
    if not isinstance(events, np.ndarray) or events.dtype != recordings_.EVENT_DTYPE or events.ndim != 1:
        raise InputError(f"{item.name}: events: must be an array (n,) of {recordings_.EVENT_DTYPE}")
    if np.any(events["t"][1:] < events["t"][:-1]):
        raise InputError(f"{item.name}: events: must be sorted by t")
    return item
