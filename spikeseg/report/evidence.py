"""What a report is made from: the files of a run, read, and what its network sees, looked at when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from spikeseg.core.progress import Progress, silent

from . import Absent
from .activity import Activity, activity
from .seen import Network, Seen, Source, see

if TYPE_CHECKING:
    from spikeseg.models.image_network import ImageNetwork


class Learned(NamedTuple):
    """What a network learned from: recordings, their events, and how long they last, s."""

    recordings: int
    events: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Provenance:
    """Where a run comes from.

    Attributes:
        name: of the run.
        folder: where it lies.
        config: its configuration, YAML.
        versions: of Python and packages, when it was made.
        digests: what -> SHA-256 or key.
        facts: further lines, what -> value: seed, device, revision, ...
    """

    name: str
    folder: str
    config: str
    versions: Mapping[str, str]
    digests: Mapping[str, str]
    facts: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Evidence:
    """A run of a network for events.

    Attributes:
        source: where it comes from.
        network: it.
        reports: by layer how its training ended, as metrics_final.json has it.
        history: the lines of metrics.jsonl.
        metrics: of its evaluation, the content of metrics.json; None without one.
        curves: of curves.json.
        recordings: that can be looked at.
        further: how many more there are.
        class_names: what the maps of the last layer are called.
        learned: what it learned from; None where that is not known any more.
        absent: what the run does not have ("metrics", "curves", "recordings", "history") -> why, and what would make it.
        progress: shown recordings that are looked at.
    """

    source: Provenance
    network: Network
    reports: Mapping[str, Mapping[str, Any]]
    history: Sequence[Mapping[str, Any]]
    metrics: Mapping[str, Any] | None
    curves: Mapping[str, Sequence[Sequence[float]]]
    recordings: Sequence[Source]
    further: int = 0
    class_names: Mapping[int, str] = field(default_factory=dict)
    learned: Learned | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = silent

    @cached_property
    def seen(self) -> list[Seen]:
        """What the network sees in the recordings. Raises Absent where there are none."""
        if not self.recordings:
            raise Absent(self.absent.get("recordings", "there is no recording to look at"))
        return [see(self.network, one) for one in self.progress(self.recordings, "looking at recordings", len(self.recordings))]

    @cached_property
    def example(self) -> Seen:
        """Of these the one with most labelled objects that were found, the first of equals. Raises Absent."""
        return max(self.seen, key=lambda seen: len(seen.verdict.found) if seen.verdict else len(seen.detections.object_ids))

    @cached_property
    def activity(self) -> Activity:
        """Spikes of the example. Raises Absent."""
        return activity(self.network, self.example)

    def layers(self) -> dict[str, list[Mapping[str, Any]]]:
        """The checks of each layer of the network, in order, and its end. Raises Absent where none has learned."""
        names = [spec.name for spec in self.network.model.encoder.specs]
        rows = {name: [row for row in self.history if row["layer"] == name] for name in names}
        for name, own in rows.items():
            end = self.reports.get(name)
            if end is not None and (not own or own[-1]["samples"] < end["samples"]):
                own.append(end)
        if not any(rows.values()):
            raise Absent(self.absent.get("history", "no layer has learned by STDP and winner-take-all"))
        return {name: own for name, own in rows.items() if own}

    def scored(self) -> Mapping[str, Any]:
        """The content of metrics.json. Raises Absent where it has not been evaluated."""
        if self.metrics is None:
            raise Absent(self.absent["metrics"])
        return self.metrics

    def tracks_of(self, detector: str) -> Mapping[str, Any]:
        """How the tracks of a detector were scored; empty where they were not. Raises Absent."""
        return self._figures("track", detector)

    def events_of(self, detector: str) -> Mapping[str, Any]:
        """How a detector's scores of events were scored; empty where they were not. Raises Absent."""
        return self._figures("event", detector)

    def _figures(self, mode: str, detector: str) -> Mapping[str, Any]:
        figures: Mapping[str, Any] = self.scored()["modes"].get(mode, {}).get(detector, {})
        return figures


@dataclass(frozen=True, eq=False)
class ImageEvidence:
    """A run of `spikeseg classify`.

    Attributes:
        source: where it comes from.
        network: it, the first where there are several.
        metrics: the content of its metrics.json.
    """

    source: Provenance
    network: ImageNetwork
    metrics: Mapping[str, Any]

    @property
    def confusion(self) -> np.ndarray:
        """int64 (classes, classes), images of each class (rows) taken for each, all seeds together."""
        return np.array([run["confusion"] for run in self.metrics["runs"]], np.int64).sum(0)
