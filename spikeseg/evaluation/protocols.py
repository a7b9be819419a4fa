"""Ways in which others have scored events of the night sky, to be compared with them.

``event-10px``: EBSSA's labelled recordings, event by event. An event is an object's where a label lies in a box of 10 x 10 px
around it and at most 10 ms away; of each recording the first 200,000 events count; recordings are dealt into four groups, and
the ROC-AUC of a group is that of all its events together. What a filter leaves open is chosen on the other three groups.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeseg.data.splits import split
from spikeseg.data.windows import WindowedRecording
from spikeseg.detection import noise_filters
from spikeseg.detection.response import Response
from spikeseg.metrics.event import roc_auc

from .detectors import Detector
from .folds import spread
from .text import cell, text_table


@dataclass(frozen=True)
class Protocol:
    """What counts, and how it is divided.

    Attributes:
        title: for people.
        box_px: side of the box around a label, its border included.
        window_us: largest time between an event and a label.
        most_events: of a recording, its first.
        folds: groups of recordings.
        recordings: how many the published comparison has.
        published: ROC-AUC of others there, by their name.
    """

    title: str
    box_px: float
    window_us: int
    most_events: int
    folds: int
    recordings: int
    published: Mapping[str, float]


PROTOCOLS = {
    "event-10px": Protocol(
        title="events within 10 x 10 px and 10 ms of a label",
        box_px=10.0,
        window_us=10_000,
        most_events=200_000,
        folds=4,
        recordings=43,
        published={"YNoise": 0.844, "a supervised network": 0.823, "MLPF": 0.813, "BAF": 0.693},
    )
}
"""By the name of `evaluate --protocol`."""

SAME_HERE = ("everything", "random")
"""Detectors that are other ones again where nothing but the scores of events counts."""
YNOISE = [{"window_us": 1000 * ms, "radius_px": r} for ms in (10, 50, 200, 1000) for r in (1, 2, 4)]
SURFACE = [{"tau_us": 1000.0 * ms, "radius_px": r} for ms in (10, 50, 200, 1000) for r in (1, 2, 4)]
WINDOWS = [{"length": n, "near_px": px} for n in (16, 36, 100) for px in (4, 10)]


@dataclass(frozen=True)
class Contender:
    """What answers, in each of the settings that are left open.

    Attributes:
        name, title: as of a detector.
        settings: those that it may take; [{}] where nothing is open.
        detectors: one for each.
    """

    name: str
    title: str
    settings: Sequence[Mapping[str, Any]]
    detectors: Sequence[Detector]

    @classmethod
    def of(cls, detector: Detector) -> Contender:
        """One that leaves nothing open."""
        return cls(detector.name, detector.title, [{}], [detector])


def noise_contenders() -> list[Contender]:
    """The filters that the protocol is published with: BAF, YNoise, double window, time surface."""
    kinds: list[tuple[str, str, Callable[..., np.ndarray], Sequence[Mapping[str, Any]]]] = [
        ("baf", "BAF", noise_filters.background_activity, [{}]),
        ("ynoise", "YNoise", noise_filters.ynoise, YNOISE),
        ("double_window", "double window filter", noise_filters.double_window, WINDOWS),
        ("time_surface", "time surface", noise_filters.time_surface, SURFACE),
    ]
    found = []
    for name, title, function, settings in kinds:
        made = [Detector(name, title, _Filter(function, own)) for own in settings]
        found.append(Contender(name, title, settings, made))
    return found


@dataclass(frozen=True)
class _Filter:
    """A filter as a detector's `respond`: what the transforms drop has score 0. No protocol asks for saliency: it gives none."""

    function: Callable[..., np.ndarray]
    settings: Mapping[str, Any]

    def __call__(self, recording: WindowedRecording) -> Response:
        scores = np.zeros(len(recording.events))
        scores[recording.kept] = self.function(recording.events[recording.kept], recording.sensor_size, **self.settings)
        return Response(scores, [])


def box_truth(events: np.ndarray, labels: np.ndarray, protocol: Protocol) -> np.ndarray:
    """Whether a label point lies within the protocol's box and time of each event: bool (n,).

    Args:
        events: with t (µs, sorted), x, y (pixels).
        labels: LABEL_DTYPE; they are taken as they are, none is interpolated.
        protocol: its box and time, borders included.
    """
    truth, half = np.zeros(len(events), bool), protocol.box_px / 2
    first = np.searchsorted(events["t"], labels["t"] - protocol.window_us, side="left")
    behind = np.searchsorted(events["t"], labels["t"] + protocol.window_us, side="right")
    for label, begin, end in zip(labels, first.tolist(), behind.tolist(), strict=True):
        part = events[begin:end]
        truth[begin:end] |= (np.abs(part["x"] - label["x"]) <= half) & (np.abs(part["y"] - label["y"]) <= half)
    return truth


def grouped(names: Iterable[str], folds: int, seed: int) -> dict[str, int]:
    """Recording -> its group, from 0; drawn by name and seed, as evenly as it goes. Raises InputError where they are fewer."""
    names = list(names)
    parts = {fold: split(names, 1.0, 0.0, seed, folds=folds, fold=fold) for fold in range(1, folds + 1)}
    return {name: fold - 1 for fold, part in parts.items() for name, own in part.items() if own == "val"}


def scored(
    contender: Contender,
    scores: Sequence[Sequence[np.ndarray]],
    truths: Sequence[np.ndarray],
    groups: Sequence[int],
    folds: int,
) -> dict[str, Any]:
    """A row of the result: the ROC-AUC of each group, of all events, and the mean over recordings.

    Args:
        contender: whose.
        scores: of each of its settings and each recording, float64 (n,).
        truths: of each recording, bool (n,).
        groups: of each recording.
        folds: how many groups there are.
    """
    of_group = np.asarray(groups)

    def auc(own: Sequence[np.ndarray], chosen: np.ndarray) -> float | None:
        rows = np.flatnonzero(chosen).tolist()
        if not rows:
            return None
        return roc_auc(np.concatenate([own[row] for row in rows]), np.concatenate([truths[row] for row in rows]))

    best, values = [], []
    for fold in range(folds):
        known = [auc(own, of_group != fold) or 0.0 for own in scores] if len(scores) > 1 else [0.0]
        best.append(int(np.argmax(known)))
        values.append(auc(scores[best[-1]], of_group == fold))
    of_recordings = [roc_auc(scores[best[group]][row], truths[row]) for row, group in enumerate(groups)]
    together = [scores[best[group]][row] for row, group in enumerate(groups)]
    return {
        "name": contender.name,
        "title": contender.title,
        "roc_auc": spread(values),
        "all_events": auc(together, np.ones(len(groups), bool)),
        "recordings": spread(of_recordings),
        "settings": [dict(contender.settings[at]) for at in best],
    }


def protocol_table(result: Mapping[str, Any]) -> str:
    """The result as text: a line per contender, what others have published below."""
    rows = []
    for row in result["rows"]:
        over, recordings = row["roc_auc"], row["recordings"]
        deviation = f" +- {over['std']:.3f}" if over["std"] is not None else ""
        each = " ".join(cell(value) for value in over["values"])
        rows.append([row["title"], f"{cell(over['mean'])}{deviation}", each, cell(row["all_events"]), cell(recordings["mean"])])
    heads = ["ROC-AUC", f"mean of {result['folds']} groups", "each", "all events", "mean of recordings"]
    published = ", ".join(f"{name} {value}" for name, value in result["published"]["roc_auc"].items())
    share = f"{result['object_events']:,} of {result['events']:,} events are an object's"
    lines = [f"{result['title']}; {share}, {len(result['recordings'])} recordings", text_table(heads, rows)]
    return "\n".join([*lines, f"published, on {result['published']['recordings']} recordings: {published}"])


def described(name: str) -> dict[str, Any]:
    """What a protocol asks for, for the file."""
    protocol = PROTOCOLS[name]
    asked = {key: value for key, value in dataclasses.asdict(protocol).items() if key not in ("recordings", "published")}
    return {"protocol": name, **asked, "published": {"recordings": protocol.recordings, "roc_auc": dict(protocol.published)}}
