"""What a metric mode is, and its input: a labelled recording and a detector's answer to it.

A mode is one file of this package that defines a `Mode`, and one line of `spikeseg.registries.MODES`; another package registers
its own by an entry point of the group ``spikeseg.metrics``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from spikeseg.data.frames.framing import to_frame
from spikeseg.registries import MODES

from .rates import Bootstrap
from .truth import span

if TYPE_CHECKING:
    from spikeseg.config.sections import EvaluationConfig
    from spikeseg.core.sparse import SparseMap
    from spikeseg.data.windows import WindowedRecording


@dataclass(frozen=True)
class LabelledRecording:
    """A recording with its labels: what a detector's answer is held against.

    Attributes:
        recording: what the detector saw.
        labels: LABEL_DTYPE, in sensor pixels.
        truth: TRUTH_DTYPE, one entry per event, where the recording is simulated.
        start_us, end_us: what is scored, both included, µs.
    """

    recording: WindowedRecording
    labels: np.ndarray
    truth: np.ndarray | None
    start_us: int
    end_us: int

    @classmethod
    def of(
        cls, recording: WindowedRecording, labels: np.ndarray, truth_of_events: np.ndarray | None, settings: EvaluationConfig
    ) -> LabelledRecording:
        """Scored as evaluation.scope says: all of it, or from its first to its last label, where it has any."""
        t = recording.events["t"]
        labelled = span(labels) if settings.scope == "labelled_span" else None
        start, end = labelled or ((int(t[0]), int(t[-1])) if len(t) else (0, 0))
        return cls(recording, labels, truth_of_events, start, end)

    @property
    def name(self) -> str:
        """Of the recording."""
        return self.recording.name

    @property
    def scored(self) -> np.ndarray:
        """bool (n,): the events that are scored."""
        t = self.recording.events["t"]
        return np.asarray((t >= self.start_us) & (t <= self.end_us))

    @property
    def frame_labels(self) -> np.ndarray:
        """The labels in pixels of the frame, which may be another size than the sensor."""
        _, height, width = self.recording.shape
        labels = self.labels.copy()
        labels["x"] = to_frame(labels["x"], self.recording.sensor_size[0], width)
        labels["y"] = to_frame(labels["y"], self.recording.sensor_size[1], height)
        return labels

    def with_labels_of(self, other: LabelledRecording, settings: EvaluationConfig) -> LabelledRecording:
        """This recording with another one's labels, on its own clock and without truth of events: a control that must come out
        at chance."""
        labels = other.labels.copy()
        events, others = self.recording.events["t"], other.recording.events["t"]
        if len(events) and len(others):
            labels["t"] += int(events[0]) - int(others[0])
        return LabelledRecording.of(self.recording, labels, None, settings)


class Track(Protocol):
    """The path of a tracked object in sensor pixels; `spikeseg.tracking.scene.ObjectTrack` is one."""

    @property
    def t_us(self) -> np.ndarray:
        """float64 (n,), n >= 1, rising, µs."""

    @property
    def states(self) -> np.ndarray:
        """float64 (n, 4): x, y in px and vx, vy in px/s."""

    @property
    def score(self) -> float:
        """0 to 1, how surely it is an object."""


class Answer(Protocol):
    """A detector's answer to a recording, as modes see it; `spikeseg.detection.response.Response` is one.

    The methods that are asked for tracks return None where the detector does not track.
    """

    @property
    def scores(self) -> np.ndarray:
        """float64 (n,) >= 0, one per event."""

    @property
    def maps(self) -> Sequence[SparseMap]:
        """Per window, the saliency of each step and pixel of the frame."""

    @property
    def points(self) -> np.ndarray | None:
        """Of a baseline that does not track, `volume.OUTPUT_DTYPE` (m,): each is an object for an instant."""

    @property
    def everywhere(self) -> bool:
        """Whether every pixel is an object's at all times."""

    def tracks_above(self, threshold: float) -> Sequence[Track] | None:
        """The tracks whose score reaches the threshold."""

    def paths_at(self, times_us: np.ndarray, threshold: float) -> Iterator[np.ndarray] | None:
        """Of each of these tracks, where it is at times (n,), µs: float64 (n, 2), x, y in sensor pixels, nan where it is not."""

    def object_maps(self, threshold: float) -> Iterator[np.ndarray] | None:
        """Per window float32 (T, H, W), the maps with nothing left but the pixels of these tracks' objects."""

    def window_objects(self, recording: WindowedRecording, window: int, threshold: float) -> np.ndarray:
        """float64 (m, 2), x, y in sensor pixels of the objects of a window, tracks aside: those that the detector lists, or the
        blobs of pixels that reach the threshold."""


@dataclass(frozen=True)
class CountSettings:
    """How an answer is counted.

    Attributes:
        evaluation: radii, tolerances, the length of slices.
        threshold: from which an event's score, or a pixel's saliency, counts as detected.
        object_threshold: from which a track's score makes it an object.
        is_network: whether the detector is a network.
    """

    evaluation: EvaluationConfig
    threshold: float
    object_threshold: float
    is_network: bool = True

    @property
    def max_gap_us(self) -> float:
        """Longest time between two labels over which positions are interpolated, µs."""
        return self.evaluation.max_label_gap_ms * 1000

    @property
    def slice_us(self) -> int:
        """Length of a slice, µs."""
        return round(self.evaluation.slice_ms * 1000)


Count = Callable[[LabelledRecording, Answer, CountSettings], Any]
Score = Callable[[Sequence[Any], Bootstrap], dict[str, Any]]


@dataclass(frozen=True)
class Mode:
    """A way to score detectors.

    Attributes:
        name: in metrics.json; that under which it is registered.
        title: what counts, for the table; filled in from the settings in metrics.json ("within {radius_px:g} px").
        shown: figures in the table, in this order.
        folds: figures that cross-validation carries.
        count: the counts of an answer to one recording, a row; None where the mode does not apply. May run in a thread.
        score: of one detector's rows, one per recording, what `rates.summary` returns.
        permuted: rows of the shuffled-label control from the network's rows and a seed; None: answers are counted again, against
            the labels of another recording.
        figure_titles: of figures that tables show under another name.
        chance: figure -> what an answer that does not depend on where objects are gets on average, where that is fixed.
        chance_note: why, and what stands for the level of the other figures, for people.
        variants: modes that come with this one, behind it.
    """

    name: str
    title: str
    shown: tuple[str, ...]
    count: Count
    score: Score
    folds: tuple[str, ...] = ()
    permuted: Callable[[Sequence[Any], int], Sequence[Any]] | None = None
    figure_titles: Mapping[str, str] = field(default_factory=dict)
    chance: Mapping[str, float] = field(default_factory=dict)
    chance_note: str = ""
    variants: tuple[Mode, ...] = ()

    def figure_title(self, figure: str) -> str:
        """Of a figure, for tables."""
        return self.figure_titles.get(figure, figure)


def modes_of(names: Iterable[str] | None = None) -> list[Mode]:
    """The registered modes of these names (None: all) in the order of the registry, each followed by its variants.

    Raises InputError for a name that is not registered."""
    chosen = {name: MODES[name] for name in (MODES if names is None else names)}
    return [mode for name in MODES if name in chosen for mode in (chosen[name], *chosen[name].variants)]


def mode_named(name: str) -> Mode:
    """A mode or a variant of one. Raises InputError where no package at hand registers it."""
    if name not in MODES:
        for registered in MODES:
            for variant in MODES[registered].variants:
                if variant.name == name:
                    return variant
    mode: Mode = MODES[name]
    return mode
