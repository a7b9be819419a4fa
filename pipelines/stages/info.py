"""What recordings hold, without a network: events, sensor, time, rates, hot pixels, labels, and what is dropped.

Recordings are gone through by ``data.long.iter_events``: its events, and what it drops, are those of ``readers.read``, so the
figures are of the events that every other command sees; formats that are read part by part take bounded memory. Checks are
lenient here: a recording that other commands would refuse is described, and marked as such.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.core import interrupts
from spikeseg.core.files import atomic_write
from spikeseg.core.text import many
from spikeseg.data.datasets.folders import PICTURE, recordings_at
from spikeseg.data.transforms import HOT_PIXEL_FREQUENCY
from spikeseg.errors import InputError, one_line

if TYPE_CHECKING:
    from spikeseg.data.long import LongEvents
    from spikeseg.data.readers import Layout, Stream
    from spikeseg.data.readers.recording_path import RecordingPath
    from spikeseg.data.summary import Summary

VERSION = 1


def info(
    paths: Iterable[str],
    *,
    hot_frequency: float = HOT_PIXEL_FREQUENCY,
    plots: Path | None = None,
    layout: Layout | None = None,
) -> Iterator[dict[str, Any]]:
    """Describe recordings one by one.

    Args:
        paths: see `spikeseg.data.datasets.folders.recordings_at`.
        hot_frequency: a pixel with more events/s on average is hot.
        plots: folder for a picture of each, <name>.info.png; needs matplotlib.
        layout: see ``readers.read``.

    Yields:
        A description as `describe` gives it; of what cannot be read ``{"source": path, "error": reason}``.

    Raises InputError: matplotlib is not installed, or a picture cannot be written.
    """
    if plots is not None:
        from spikeseg.plots import require_matplotlib

        require_matplotlib()
    taken: set[str] = set()
    for path in paths:
        for where, error in recordings_at(path):
            interrupts.check()
            try:
                if error:
                    raise InputError(error)
                description, summary = describe(str(where), hot_frequency, layout)
            except (InputError, OSError) as why:
                yield {"source": one_line(str(where)), "error": one_line(" ".join(str(why).split()))}
                continue
            if plots is not None:
                picture = plots / _unused(description["name"], taken)
                description["picture"] = str(atomic_write(picture, _picture(summary, description["name"])))
            yield description


def document(descriptions: Iterable[Mapping[str, Any]], hot_frequency: float) -> dict[str, Any]:
    """All descriptions as one, for JSON."""
    descriptions = list(descriptions)
    return {
        "version": VERSION,
        "hot_pixel_frequency": hot_frequency,
        "recordings": [entry for entry in descriptions if "error" not in entry],
        "unreadable": [entry for entry in descriptions if "error" in entry],
    }


def describe(
    source: str, hot_frequency: float = HOT_PIXEL_FREQUENCY, layout: Layout | None = None
) -> tuple[dict[str, Any], Summary]:
    """What one recording holds, times in µs by its own clock, ready for JSON, and the counts behind it.

    Raises InputError: see ``readers.read``, leniently."""
    from spikeseg.data.long import iter_events
    from spikeseg.data.readers.formats import detect
    from spikeseg.data.readers.recording_path import recording_path
    from spikeseg.data.recording import checked_labels
    from spikeseg.data.sensors import SENSOR_SIZES
    from spikeseg.data.summary import Summary
    from spikeseg.registries import READERS

    path = recording_path(source)
    form = detect(path.file)
    opened = _opener(source, layout)
    sized_by_file = opened().sensor_size is not None
    long = iter_events(source, lenient=True, open_stream=opened)
    summary = Summary(long.sensor_size)
    for part in long:
        summary.add(part)
    raw_labels, labels_file = _labels(long, path)
    labels_file = labels_file and one_line(labels_file)
    points, label_drops = checked_labels(source, raw_labels, long.sensor_size, long.span, True)
    label_drops = {reason: count for reason, count in label_drops.items() if count}
    known = next((name for name, size in SENSOR_SIZES.items() if size == long.sensor_size), None)
    hot, busiest = summary.hot_pixels(hot_frequency), summary.busiest_second
    description: dict[str, Any] = {
        "name": path.name,
        "source": one_line(source),
        "format": "HDF5" if form == "hdf5" else READERS[form].title,
        "file_bytes": Path(path.file).stat().st_size,
        "sensor": long.sensor or (None if sized_by_file else known),
        "sensor_size": list(long.sensor_size),
        "sensor_size_from": "file" if sized_by_file else "coordinates",
        "events": summary.events,
        "first_us": summary.first_us,
        "last_us": summary.last_us,
        "duration_us": summary.duration_us,
        "events_per_s": summary.events_per_s,
        "busiest_second": busiest and {"events": busiest[0], "start_us": busiest[1]},
        "on_share": summary.on / summary.events if summary.events else None,
        "hot_pixels": hot and {**dataclasses.asdict(hot), "event_share": hot.events / summary.events},
        "labels": None,
        "dropped": {**long.dropped, **label_drops},
        "needs_lenient": _needs_lenient(long.dropped, summary.events, label_drops, 0 if points is None else len(points)),
    }
    if points is not None:
        description["labels"] = {
            "objects": len(set(points["id"].tolist())),
            "points": len(points),
            "file": labels_file and one_line(labels_file),
        }
    return description, summary


def lines(description: Mapping[str, Any]) -> Iterator[str]:
    """A description for people."""
    width, height = description["sensor_size"]
    yield f"{description['name']}  ({description['source']})"
    yield _line("format", f"{description['format']}, file of {_size(description['file_bytes'])}")
    sensor = f"{description['sensor']}, " if description["sensor"] else ""
    guess = "" if description["sensor_size_from"] == "file" else " (not in the file: the smallest known that holds the events)"
    yield _line("sensor", f"{sensor}{width} x {height} pixels{guess}")
    if description["events"]:
        yield _line("events", f"{description['events']:,}, {description['on_share']:.1%} of them ON")
        first, last, length = (f"{description[key] / 1e6:.6f} s" for key in ("first_us", "last_us", "duration_us"))
        yield _line("time", f"{length}, from {first} to {last}")
    else:
        yield _line("events", "none")
    if description["events_per_s"] is not None:
        busiest = description["busiest_second"]
        most = ""
        if busiest:
            after = (busiest["start_us"] - description["first_us"]) // 1_000_000
            most = f"; {busiest['events']:,} in the busiest second, {after} s after the first event"
        yield _line("rate", f"{description['events_per_s']:,.0f} events/s{most}")
    if description["hot_pixels"]:
        yield from _hot_lines(description["hot_pixels"])
    labels = description["labels"]
    if labels:
        beside = f", in {labels['file']}" if labels["file"] else ""
        yield _line("labels", f"{many(labels['objects'], 'object')}, {many(labels['points'], 'point')}{beside}")
    else:
        yield _line("labels", "none")
    yield _line("dropped", "; ".join(f"{count:,} {reason}" for reason, count in description["dropped"].items()) or "nothing")
    if description["needs_lenient"]:
        yield _line("", "more than 1 % is dropped or out of order: other commands take it with --lenient only")
    if "picture" in description:
        yield _line("picture", description["picture"])


def _hot_lines(hot: Mapping[str, Any]) -> Iterator[str]:
    owned = f"; {hot['event_share']:.1%} of the events are theirs" if hot["pixels"] else ""
    yield _line("hot pixels", f"{hot['pixels']:,} above {hot['frequency']:g} events/s{owned}")
    hottest = ", ".join(f"({pixel['x']}, {pixel['y']}) {pixel['events_per_s']:,.1f}" for pixel in hot["hottest"])
    yield _line("", f"hottest (x, y) and events/s: {hottest}")


def _line(what: str, text: str) -> str:
    return f"  {what:<12}{text}"


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _opener(source: str, layout: Layout | None) -> Callable[[], Stream]:
    """What opens the recording anew, again and again; a format that is read whole is read once, and handed over in parts."""
    from spikeseg.data.readers import AS_USUAL, Columns, Stream, read_raw, read_stream, streamed
    from spikeseg.data.readers.raw import BLOCK_EVENTS
    from spikeseg.data.readers.recording_path import recording_path

    if streamed(recording_path(source).file):
        return lambda: read_stream(source, layout=layout or AS_USUAL)
    raw = read_raw(source, layout=layout or AS_USUAL)
    columns = Columns(raw.t, raw.x, raw.y, raw.p)
    if len({column.shape for column in columns}) != 1 or raw.t.ndim != 1:
        return raw.stream  # which the checks refuse

    def again() -> Stream:
        starts = range(0, max(len(raw.t), 1), BLOCK_EVENTS)
        parts = (Columns(*(column[at : at + BLOCK_EVENTS] for column in columns)) for at in starts)
        return Stream(parts, raw.sensor_size, raw.labels, raw.sensor, dict(raw.left_out))

    return again


def _labels(long: LongEvents, path: RecordingPath) -> tuple[Mapping[str, Any] | None, str | None]:
    """Label points, unchecked, and the file beside the recording that they came from, if one did."""
    from spikeseg.data.readers.labels import labels_of, read_labels

    beside = None if path.member else labels_of(Path(path.file))
    return (long.labels, None) if beside is None else (read_labels(beside), str(beside))


def _needs_lenient(dropped: Mapping[str, int], kept: int, label_drops: Mapping[str, int], points: int) -> bool:
    """Whether ``recording.checked`` refuses the recording unless told to be lenient."""
    from spikeseg.data.checks import DROP_LIMIT

    unusable = dropped.get("not finite", 0) + dropped.get("outside the sensor", 0)
    label_count = sum(label_drops.values())
    return (
        unusable > DROP_LIMIT * (kept + unusable)
        or dropped.get("out of order, sorted", 0) > DROP_LIMIT * kept
        or label_count > DROP_LIMIT * (points + label_count)
    )


def _unused(name: str, taken: set[str]) -> str:
    """<name>.info.png, with a number where two recordings share a name."""
    number, file = 1, f"{name}{PICTURE}"
    while file in taken:
        number += 1
        file = f"{name}_{number}{PICTURE}"
    taken.add(file)
    return file


def _picture(summary: Summary, title: str) -> bytes:
    from spikeseg.plots import rendered
    from spikeseg.plots.recording import recording_figure

    return rendered(recording_figure(summary, title), dpi=80)
