"""What the classes of a network answer to: how often each wins, and the events that drive it most.

docs/output-files.md describes the document (classes.json) for users; `document` is its one layout.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.core.progress import Progress, silent
from spikeseg.core.sparse import SparseMap
from spikeseg.data.frames.framing import to_sensor
from spikeseg.data.windows import WindowedRecording
from spikeseg.learning.competition import Competition
from spikeseg.models.prototypes import POLARITIES, ReceptiveField, prototypes

from .network import decoded
from .tables import Scale

if TYPE_CHECKING:
    from spikeseg.config.sections import WTAConfig
    from spikeseg.models import SpikeSEG

VERSION = 1
"""Of the document. It rises when a field changes its meaning, its unit or its name, or goes."""
EXAMPLES = 4
"""Of each class."""
DIGITS = 5
"""Significant digits of drives."""


@dataclass(frozen=True)
class Example:
    """A window as a spike of a class saw it, cut out around the spike's receptive field.

    Of all spikes of the class in the window it is the one into whose field most is traced back of this class, beyond any other.

    Attributes:
        recording: its name.
        t_start_us, t_end_us: the window, µs; its end is not part of it.
        x, y: middle of the receptive field, px of the sensor.
        width, height: of the receptive field, px of the sensor.
        drive: what the decoder traces back into the field from all spikes of the class: saliency, summed.
        lead: by how much that is more than of any other class.
        events: how many it is traced back to.
        counts: int64 (2, size, size), events of the window by polarity, OFF first, in pixels of the frame.
        saliency: float64 (size, size), the drive of every pixel.
    """

    recording: str
    t_start_us: int
    t_end_us: int
    x: float
    y: float
    width: float
    height: float
    drive: float
    lead: float
    events: int
    counts: np.ndarray
    saliency: np.ndarray


@dataclass(frozen=True)
class RecordingSurvey:
    """What the classes answered to in one recording.

    Attributes:
        recording: its name.
        windows: how many it has.
        wins: int64 (classes,), spikes of conv3 that won the competition of their window.
        windows_won: int64 (classes,), windows in which a class won at least once.
        spikes: int64 (classes,), all spikes of conv3.
        examples: of each class, by falling drive; no two of a class overlap in time.
    """

    recording: str
    windows: int
    wins: np.ndarray
    windows_won: np.ndarray
    spikes: np.ndarray
    examples: Sequence[Sequence[Example]]


def survey_recording(model: SpikeSEG, view: WindowedRecording, wta: WTAConfig, progress: Progress = silent) -> RecordingSurvey:
    """Run a network over a recording and see which classes answer.

    Args:
        model: the network, on any device.
        view: the recording.
        wta: how classes compete.
        progress: shown the windows as they pass.
    """
    n = model.config.n_classes
    competition, field = Competition(model, "conv3", wta), ReceptiveField.of(model.encoder.specs)
    wins, windows_won, spikes = (np.zeros(n, np.int64) for _ in range(3))
    best: list[list[Example]] = [[] for _ in range(n)]
    windows: Iterable[Any] = decoded(model, view.windows(), [[number] for number in range(n)])
    for k, window in enumerate(progress(windows, view.name, len(view.start_us))):
        fired = window.spikes["conv3"].lists
        if not len(fired.sites):
            continue
        maps, rows, columns = np.unravel_index(fired.sites, fired.shape[1:])
        won = competition.wins(window.spikes["pool2"].lists)
        wins, windows_won, spikes = wins + won, windows_won + (won > 0), spikes + np.bincount(maps, minlength=n)
        driven = _Driven(view, k, window.maps, field)
        for number in np.unique(maps).tolist():
            own = maps == number
            _keep(best[number], driven.example(number, np.stack([rows[own], columns[own]], 1)))
    ranked = [sorted(found, key=lambda example: -example.lead)[:EXAMPLES] for found in best]
    return RecordingSurvey(view.name, len(view.start_us), wins, windows_won, spikes, ranked)


def _keep(best: list[Example], found: Example) -> None:
    """Add an example: of two that overlap in time the stronger one, and of all the EXAMPLES strongest and the last."""
    if best and found.t_start_us < best[-1].t_end_us:
        if found.lead > best[-1].lead:
            best[-1] = found
        return
    best.append(found)
    if len(best) > EXAMPLES + 1:
        best.remove(min(best[:-1], key=lambda example: example.lead))


class _Driven:
    """What drives each class in window k of a recording. maps: its saliency, one class after the other."""

    def __init__(self, view: WindowedRecording, k: int, maps: Sequence[SparseMap], field: ReceptiveField) -> None:
        self.view, self.k, self.maps, self.size, self.field = view, k, maps, field.size, field
        _, self.height, self.width = maps[0].shape
        n_pixels = self.height * self.width
        drives = [np.bincount(saliency.index % n_pixels, saliency.value, n_pixels) for saliency in maps]
        frames = np.stack(drives).reshape(len(maps), self.height, self.width)
        around = (self.size, self.size)
        self.drives = np.pad(frames, ((0, 0), around, around))  # so that every field lies inside
        self.sums = np.pad(self.drives, ((0, 0), (1, 0), (1, 0))).cumsum(1).cumsum(2)
        self.events, self.cells = view.located(int(view.start_us[k]))

    def example(self, number: int, neurons: np.ndarray) -> Example:
        """The window as one of the neurons (n, 2) of a class, rows and columns of conv3, saw it: the one of most lead."""
        size, view = self.size, self.view
        top, left = (self.field.stride * neurons[:, axis] + self.field.first + size for axis in (0, 1))
        sums = self.sums
        fields = sums[:, top + size, left + size] - sums[:, top, left + size] - sums[:, top + size, left] + sums[:, top, left]
        lead = fields[number] - np.delete(fields, number, 0).max(0, initial=0.0)
        chosen = int(np.argmax(lead))
        corner = np.array([top[chosen], left[chosen]])
        own = self.drives[number, corner[0] : corner[0] + size, corner[1] : corner[1] + size]
        place = np.stack(np.divmod(self.cells % (self.height * self.width), self.width)) + size - corner[:, None]
        seen = ((place >= 0) & (place < size)).all(0)
        counts = np.zeros((len(POLARITIES), size, size), np.int64)
        np.add.at(counts, (view.events["p"][self.events[seen]].astype(np.int64), *place[:, seen]), 1)
        scale = Scale.of(view.sensor_size, (self.height, self.width))
        y, x = corner - size + (size - 1) / 2
        return Example(
            recording=view.name,
            t_start_us=int(view.start_us[self.k]),
            t_end_us=int(view.end_us[self.k]),
            x=float(to_sensor(x, scale.x)),
            y=float(to_sensor(y, scale.y)),
            width=size * scale.x,
            height=size * scale.y,
            drive=float(own.sum()),
            lead=float(lead[chosen]),
            events=int(np.count_nonzero(np.isin(self.cells[seen], self.maps[number].index))),
            counts=counts,
            saliency=own,
        )


def document(
    model: SpikeSEG, network: str, trained: bool, surveys: Sequence[RecordingSurvey], said: Mapping[str, str]
) -> dict[str, Any]:
    """What classes.json holds, without names.

    Args:
        model: the network.
        network: its id.
        trained: whether it has learned anything.
        surveys: of all recordings.
        said: recording -> what its dataset says that it shows; empty where it says nothing.
    """
    patterns = prototypes(model.encoder)
    return {
        "version": VERSION,
        "network": network,
        "trained": trained,
        "receptive_field": patterns.shape[-1],
        "recordings": [{"name": survey.recording, "windows": survey.windows} for survey in surveys],
        "windows": sum(survey.windows for survey in surveys),
        "classes": [_class_entry(number, pattern, surveys, said) for number, pattern in enumerate(patterns)],
    }


def named(content: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    """The document with these names of the classes."""
    classes = [{**entry, "class_name": names.get(entry["class_id"], "")} for entry in content["classes"]]
    return {**content, "classes": classes}


def text(content: Mapping[str, Any]) -> str:
    """The text of classes.json: a line per class."""
    head = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in content.items() if name != "classes")
    classes = ",\n".join(json.dumps(entry, allow_nan=False) for entry in content["classes"])
    return f'{{{head},\n"classes": [\n{classes}\n]}}\n'


def _class_entry(number: int, pattern: np.ndarray, surveys: Sequence[RecordingSurvey], said: Mapping[str, str]) -> dict[str, Any]:
    ranked = [
        (rank, -example.lead, n, example) for n, own in enumerate(surveys) for rank, example in enumerate(own.examples[number])
    ]
    shown = [example for *_, example in sorted(ranked, key=lambda entry: entry[:3])[:EXAMPLES]]
    planes = np.broadcast_to(pattern, (len(POLARITIES), *pattern.shape[1:]))  # merged: each drives as much
    return {
        "class_id": number,
        "class_name": "",
        "wins": int(sum(survey.wins[number] for survey in surveys)),
        "windows_won": int(sum(survey.windows_won[number] for survey in surveys)),
        "spikes": int(sum(survey.spikes[number] for survey in surveys)),
        **({"answers_to": _answers_to(number, surveys, said)} if said else {}),
        "prototype": {polarity: _rounded(plane) for polarity, plane in zip(POLARITIES, planes, strict=True)},
        "examples": [_example_entry(example) for example in shown],
    }


def _answers_to(number: int, surveys: Sequence[RecordingSurvey], said: Mapping[str, str]) -> dict[str, int]:
    """Wins of a class by what the recordings show, most first."""
    wins: Counter[str] = Counter()
    for survey in surveys:
        if survey.recording in said:
            wins[said[survey.recording]] += int(survey.wins[number])
    return {name: count for name, count in wins.most_common() if count}


def _example_entry(example: Example) -> dict[str, Any]:
    numbers = {name: getattr(example, name) for name in ("recording", "t_start_us", "t_end_us", "x", "y", "width", "height")}
    counts = {polarity: plane.tolist() for polarity, plane in zip(POLARITIES, example.counts, strict=True)}
    return {
        **numbers,
        "drive": _short(example.drive),
        "lead": _short(example.lead),
        "events": example.events,
        **counts,
        "saliency": _rounded(example.saliency),
    }


def _rounded(plane: np.ndarray) -> list[list[float]]:
    return [[_short(value) for value in row] for row in plane.tolist()]


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
