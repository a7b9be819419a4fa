"""Windows of the network that are worth looking at."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spikeseg.core.text import many
from spikeseg.data.frames.framing import to_frame
from spikeseg.metrics.truth import positions
from spikeseg.plots.windows import WindowView

from .seen import Network, Seen

if TYPE_CHECKING:
    from spikeseg.detection.hulk import Instances
    from spikeseg.detection.network import DecodedWindow
    from spikeseg.detection.result import Detections

CUT = 48
"""Side of the part of a window that is shown, frame pixels."""
MOMENTS = 33
"""Of the way of a labelled object through a window."""


class Chosen(NamedTuple):
    """A window to look at: of which recording, its number, the middle of what is shown (sensor pixels), and what that is."""

    seen: Seen
    window: int
    x: float
    y: float
    what: str


def chosen_windows(all_seen: Sequence[Seen]) -> list[Chosen]:
    """One window each of an object that was found, of one that was missed, and of a track that follows none: of each kind that
    with the most events; without labels, of the surest object."""
    kinds: dict[str, list[tuple[int, Seen, Detections, int]]] = {"found": [], "missed": [], "false": [], "": []}
    for seen in all_seen:
        if seen.verdict is None:
            kinds[""] += _sized(seen, seen.detections, seen.detections.object_ids)
        else:
            kinds["found"] += _sized(seen, seen.verdict.truth, seen.verdict.found)
            kinds["missed"] += _sized(seen, seen.verdict.truth, seen.verdict.missed)
            kinds["false"] += _sized(seen, seen.detections, seen.verdict.false)
    words = {
        "found": "an object that was found",
        "missed": "an object that was missed",
        "false": "a track that follows no object",
    }
    chosen = []
    for kind, entries in kinds.items():
        if entries:
            _, seen, of, number = max(entries, key=lambda entry: entry[0])
            chosen.append(_fullest(seen, of, number, words.get(kind, "an object")))
    return [choice for choice in chosen if choice is not None]


def _sized(seen: Seen, of: Detections, numbers: Sequence[int]) -> Iterator[tuple[int, Seen, Detections, int]]:
    events = np.bincount(of.event_columns["object_id"], minlength=max(numbers, default=0) + 1)
    return ((int(events[number]), seen, of, number) for number in numbers)


def _fullest(seen: Seen, of: Detections, number: int, what: str) -> Chosen | None:
    """The window with the most events of an object; None where there is no window."""
    view, way = seen.view, of.by_track[number]
    if not len(view.start_us):
        return None
    t = of.event_columns["t"][of.event_columns["object_id"] == number]
    counts = np.searchsorted(t, view.end_us) - np.searchsorted(t, view.start_us)
    k = (
        int(np.argmax(counts))
        if counts.any()
        else int(np.clip(np.searchsorted(view.start_us, way["t_us"][0], "right") - 1, 0, None))
    )
    middle = (view.start_us[k] + view.end_us[k]) / 2
    x, y = (float(np.interp(middle, way["t_us"], way[axis])) for axis in "xy")
    return Chosen(seen, k, x, y, what)


def window_view(network: Network, chosen: Chosen) -> WindowView:
    """The window as the network saw it, around its middle."""
    from spikeseg.detection.network import decoded

    seen, k = chosen.seen, chosen.window
    view, model = seen.view, network.model
    (window,) = decoded(model, itertools.islice(view.windows(), k, k + 1), [network.readout.classes])
    _, height, width = view.shape
    off, on = window.frames.dense()[0].sum(0).astype(np.int64)[[0, -1]]
    saliency = window.maps[0].dense().max(0)
    pieces, counted = _pieces(network, seen, k, window)
    start, end = int(view.start_us[k]), int(view.end_us[k])
    found = _pixels_of(seen, seen.detections, seen.detections.object_ids, (start, end))
    truth = None if seen.verdict is None else _pixels_of(seen, seen.verdict.truth, seen.verdict.truth.object_ids, (start, end))
    middle = [
        int(to_frame(np.array(at), size, cells))
        for at, size, cells in zip((chosen.x, chosen.y), view.sensor_size, (width, height), strict=True)
    ]
    left, top = (int(np.clip(at - CUT // 2, 0, max(size - CUT, 0))) for at, size in zip(middle, (width, height), strict=True))
    part = slice(top, top + CUT), slice(left, left + CUT)
    return WindowView(
        title=f"{seen.name}, {seen.clock.text(start, end)}: {chosen.what}",
        left=left,
        top=top,
        off=off[part],
        on=on[part],
        saliency=saliency[part],
        pieces=None if pieces is None else pieces[part],
        counted=counted,
        found=found[part],
        true=None if truth is None else truth[part],
        way=_way(seen, (start, end)),
    )


def _pieces(network: Network, seen: Seen, k: int, window: DecodedWindow) -> tuple[np.ndarray | None, str]:
    """What the detection cut window k into: int64 (H, W), from 1, 0 for nothing; and in words how many there are.

    None where it finds whole objects among the events, for which the network's window is not cut up."""
    from spikeseg.detection import hulk, smash
    from spikeseg.detection.tracked import slices_of_window

    settings, shape = network.cfg.tracking, window.maps[0].shape[1:]
    if settings.scenes:
        return None, ""
    if settings.hulk:
        instances = hulk.instances(network.model.encoder, window.frames, window.spikes, network.readout.classes)
        if not settings.smash:
            return _numbered(instances, np.arange(len(instances)), shape), f"instances: {many(len(instances), 'spike')}"
        group = smash.group(instances, settings.smash_threshold) if len(instances) else np.zeros(0, np.int64)
        counted = f"instances: {many(len(np.unique(group)), 'group')} of {many(len(instances), 'spike')}"
        return _numbered(instances, group, shape), counted
    number, count = np.zeros(shape, np.int64), 0
    slices = slices_of_window(seen.view, k, window.maps[0], network.readout.threshold)
    for piece in slices:
        lit = piece.blobs.labels.dense()
        number[lit > 0] = lit[lit > 0] + count
        count += len(piece.blobs.objects)
    return number, f"connected blobs: {count} in {many(len(slices), 'slice')} of the window"


def _numbered(instances: Instances, group: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """int64 (H, W): the group, from 1, whose saliency is highest at each pixel; 0 where there is none."""
    height, width = size
    number = np.zeros(height * width, np.int64)
    if len(group):
        lit = instances.traced(group, int(group.max()) + 1, instances.cells % np.int32(height * width), height * width)
        rising = np.argsort(lit.values, kind="stable")
        owner = np.repeat(np.arange(len(lit.starts) - 1), np.diff(lit.starts))
        number[lit.members[rising]] = owner[rising] + 1
    return number.reshape(size)


def _pixels_of(seen: Seen, of: Detections, numbers: Sequence[int], span: tuple[int, int]) -> np.ndarray:
    """bool (H, W), frame pixels with an event of one of these objects within a time."""
    view, columns = seen.view, of.event_columns
    _, height, width = view.shape
    t = columns["t"]
    part = slice(*np.searchsorted(t, span))
    own = np.isin(columns["object_id"][part], numbers) if len(numbers) else np.zeros(part.stop - part.start, bool)
    lit = np.zeros((height, width), bool)
    x, y = (
        np.clip(np.rint(to_frame(columns[axis][part][own].astype(np.float64), size, cells)).astype(np.int64), 0, cells - 1)
        for axis, size, cells in zip("xy", view.sensor_size, (width, height), strict=True)
    )
    lit[y, x] = True
    return lit


def _way(seen: Seen, span: tuple[int, int]) -> np.ndarray:
    """float64 (n, 2): where labelled objects are within a time, in frame pixels, nan between two of them."""
    parts = [np.full((0, 2), np.nan)]
    if seen.verdict is not None:
        view, times = seen.view, np.linspace(*span, MOMENTS)
        _, height, width = view.shape
        for way in seen.verdict.truth.by_track.values():
            labels = np.zeros(len(way), [("t", "<i8"), ("x", "<f8"), ("y", "<f8"), ("id", "<i4")])
            labels["t"], labels["x"], labels["y"] = way["t_us"], way["x"], way["y"]
            at = positions(labels, times)
            x, y = to_frame(at["x"], view.sensor_size[0], width), to_frame(at["y"], view.sensor_size[1], height)
            parts += [np.stack([x, y], 1), np.full((1, 2), np.nan)]
    return np.concatenate(parts)
