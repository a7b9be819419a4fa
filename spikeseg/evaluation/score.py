"""One recording, one detector's response: the counts and scores of every mode, by the same code for all detectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.data.recording import SOURCE_OBJECT, SOURCE_STAR
from spikeseg.data.windows import WindowedRecording
from spikeseg.detection.event_scores import places, reach_us
from spikeseg.detection.objects import find_objects
from spikeseg.detection.response import Response
from spikeseg.metrics import event, objects, pixel, track, truth, volume
from spikeseg.metrics.event import ANY_RESPONSE

if TYPE_CHECKING:
    from spikeseg.config.sections import EvaluationConfig
    from spikeseg.detection.tracked import TrackedObjects


@dataclass(frozen=True)
class LabelledRecording:
    """A recording with its labels: what a response is held against.

    Attributes:
        view: what the detectors saw.
        labels: LABEL_DTYPE.
        truth: TRUTH_DTYPE, one entry per event, where the recording is simulated.
        start_us, end_us: what is scored, both included.
    """

    view: WindowedRecording
    labels: np.ndarray
    truth: np.ndarray | None
    start_us: int
    end_us: int

    @property
    def scored(self) -> np.ndarray:
        """bool (n,): the events that are scored."""
        t = self.view.events["t"]
        return np.asarray((t >= self.start_us) & (t <= self.end_us))


def subject(
    view: WindowedRecording, labels: np.ndarray, of_event: np.ndarray | None, settings: EvaluationConfig
) -> LabelledRecording:
    """The subject under evaluation.scope: all of the recording, or from its first to its last label, where it has any."""
    t = view.events["t"]
    span = truth.span(labels) if settings.scope == "labelled_span" else None
    start, end = span or ((int(t[0]), int(t[-1])) if len(t) else (0, 0))
    return LabelledRecording(view, labels, of_event, start, end)


def near_objects(s: LabelledRecording, settings: EvaluationConfig) -> np.ndarray:
    """bool (n,): the events near a labelled object."""
    return truth.event_truth(s.view.events, s.labels, settings.radius_px, settings.max_label_gap_ms * 1000)


def event_scores(s: LabelledRecording, response: Response, settings: EvaluationConfig) -> event.EventScores:
    """Mode `event`: an event is true near a labelled object."""
    return event.EventScores(s.view.name, response.scores[s.scored], near_objects(s, settings)[s.scored])


def exact_scores(s: LabelledRecording, response: Response) -> event.EventScores | None:
    """Mode `event` by the truth of a simulation: an event is true if an object caused it. None without that truth."""
    if s.truth is None:
        return None
    caused = np.asarray(s.truth["source"] == SOURCE_OBJECT)
    return event.EventScores(s.view.name, response.scores[s.scored], caused[s.scored])


def star_scores(s: LabelledRecording, response: Response, settings: EvaluationConfig) -> event.EventScores | None:
    """Mode `event` against stars alone: the events near an object, and those that a star caused. None without that truth."""
    if s.truth is None:
        return None
    near = near_objects(s, settings)
    kept = s.scored & (near | (s.truth["source"] == SOURCE_STAR))
    return event.EventScores(s.view.name, response.scores[kept], near[kept])


def pixel_counts(
    s: LabelledRecording, response: Response, threshold: float, object_threshold: float, settings: EvaluationConfig
) -> dict[str, Any]:
    """Mode `pixel`: the steps whose middle is scored, each once (time that two windows share belongs to the earlier one). A
    detector that tracks lights up the pixels of its objects alone."""
    step_us = s.view.spec.timestep_us
    total = {"tp": 0, "fp": 0, "fn": 0, "tn": 0}
    labels = in_frame(s)
    maps: Iterator[np.ndarray] = (lit.dense() for lit in response.maps)
    if response.found is not None:
        maps, threshold = object_pixels(response.found, maps, object_threshold), ANY_RESPONSE
    seen = s.start_us
    for start, end, lit in zip(s.view.start_us.tolist(), s.view.end_us.tolist(), maps, strict=True):
        times = start + step_us * np.arange(s.view.spec.n_timesteps) + step_us // 2
        scored = (times >= seen) & (times <= s.end_us)
        seen = max(seen, end)
        found = pixel.counts(
            lit[scored],
            times[scored],
            labels,
            threshold=threshold,
            tolerance_px=settings.pixel_tolerance_px,
            max_gap_us=settings.max_label_gap_ms * 1000,
        )
        for name, count in found.items():
            total[name] += count
    return {"name": s.view.name, **total}


def object_pixels(found: TrackedObjects, maps: Iterable[np.ndarray], threshold: float) -> Iterator[np.ndarray]:
    """Maps (T, H, W) with nothing left but the pixels of the tracks that reach the threshold."""
    chosen = [False, *(one.score >= threshold for one in found.tracks.tracks)]  # by id
    owner = iter(found.owners)
    for parts, lit in zip(found.slices, maps, strict=True):
        kept = np.zeros_like(lit)
        for part in parts:
            of_object = np.array(chosen)[np.concatenate([np.zeros(1, np.int32), next(owner)])]
            kept[part.steps] = np.where(of_object[part.blobs.labels.dense()], lit[part.steps], 0)
        yield kept


def object_counts(
    s: LabelledRecording,
    response: Response,
    threshold: float,
    object_threshold: float,
    tolerance_px: float,
    settings: EvaluationConfig,
) -> dict[str, Any]:
    """Mode `object`: what a detector finds at the middle of each window (tracks that reach `object_threshold`, what it lists
    itself, or else blobs of what reaches the threshold) against the objects that are there, in sensor pixels."""
    height, width = s.view.shape[1:]
    scale = np.array([s.view.sensor_size[0] / width, s.view.sensor_size[1] / height])
    windows = []
    for k, (start, end) in enumerate(zip(s.view.start_us.tolist(), s.view.end_us.tolist(), strict=True)):
        middle = (start + end) // 2
        if not s.start_us <= middle <= s.end_us:
            continue
        if response.found is not None:
            found = places(response.found.tracks.tracks, middle, object_threshold)
        elif response.places is not None:
            found = response.places[k]
        else:
            blobs = find_objects(response.maps[k].dense(), threshold).objects
            found = (np.stack([blobs["x"], blobs["y"]], 1) + 0.5) * scale - 0.5
        at = truth.positions(s.labels, np.array([middle]), settings.max_label_gap_ms * 1000)
        windows.append((found, np.stack([at["x"], at["y"]], 1)))
    return {"name": s.view.name, **objects.counts(windows, tolerance_px)}


def volume_counts(
    s: LabelledRecording, response: Response, object_threshold: float, settings: EvaluationConfig
) -> dict[str, Any]:
    """Mode `volume`: a detector's output is every event, weighted by its score; that of one that tracks is, in the middle of
    every slice, the place of each of its objects, whether or not events fell there just then."""
    slice_us = round(settings.slice_ms * 1000)
    if response.found is not None:
        output = _paths(s, response.found, object_threshold, slice_us)
    else:
        said = np.flatnonzero(response.scores > 0)
        output = np.zeros(len(said), volume.OUTPUT_DTYPE)
        for name in "txy":
            output[name] = s.view.events[name][said]
        output["w"] = response.scores[said]
    found = volume.counts(
        output,
        s.labels,
        sensor_size=s.view.sensor_size,
        start_us=s.start_us,
        end_us=s.end_us,
        radius_px=settings.radius_px,
        slice_us=slice_us,
        max_gap_us=settings.max_label_gap_ms * 1000,
    )
    return {"name": s.view.name, **found}


def _paths(s: LabelledRecording, found: TrackedObjects, threshold: float, slice_us: int) -> np.ndarray:
    """Objects' places in the middle of every slice, as far as they are on the sensor: volume.OUTPUT_DTYPE."""
    times = np.arange(s.start_us, s.end_us + 1, slice_us) + slice_us // 2
    times = times[times <= s.end_us]
    parts = [np.zeros(0, volume.OUTPUT_DTYPE)]
    for one in found.tracks.tracks:
        if one.score < threshold:
            continue
        place = np.rint(one.at(times, reach_us(one)))
        inside = ((place >= 0) & (place < s.view.sensor_size)).all(1)  # nan is not
        part = np.zeros(int(inside.sum()), volume.OUTPUT_DTYPE)
        part["t"], part["x"], part["y"], part["w"] = times[inside], place[inside, 0], place[inside, 1], 1.0
        parts.append(part)
    return np.concatenate(parts)


def track_counts(s: LabelledRecording, response: Response, object_threshold: float, settings: EvaluationConfig) -> dict[str, Any]:
    """Mode `track`: the tracks that reach the threshold against the labelled objects."""
    assert response.found is not None
    tracks = [
        track.FoundTrack(one.t_us, one.states[:, :2], one.states[:, 2:], one.score)
        for one in response.found.tracks.tracks
        if one.score >= object_threshold
    ]
    found = track.counts(
        tracks,
        s.labels,
        start_us=s.start_us,
        end_us=s.end_us,
        tolerance_px=settings.spatial_tolerance_px,
        slice_us=round(settings.slice_ms * 1000),
        max_gap_us=settings.max_label_gap_ms * 1000,
    )
    return {"name": s.view.name, **found}


def in_frame(s: LabelledRecording) -> np.ndarray:
    """The labels in pixels of the frame, which may be another size than the sensor."""
    height, width = s.view.shape[1:]
    labels = s.labels.copy()
    labels["x"] = (labels["x"] + 0.5) * width / s.view.sensor_size[0] - 0.5
    labels["y"] = (labels["y"] + 0.5) * height / s.view.sensor_size[1] - 0.5
    return labels


def with_labels_of(s: LabelledRecording, other: LabelledRecording, settings: EvaluationConfig) -> LabelledRecording:
    """The subject with another recording's labels, on its own clock: a control that must come out at chance."""
    labels = other.labels.copy()
    events, others = s.view.events["t"], other.view.events["t"]
    if len(events) and len(others):
        labels["t"] += int(events[0]) - int(others[0])
    return subject(s.view, labels, None, settings)


def on_other_events(answers: Sequence[event.EventScores], seed: int) -> list[event.EventScores]:
    """The same scores with the truth of all events of all recordings permuted: a control that must come out at chance.

    Across recordings, because the recordings differ in how many object events they hold and in how high their scores are; labels
    of another recording would not be at chance either: they lie where few events are, while the stars' many events all
    count as false."""
    truth_of_all = np.random.default_rng(seed).permutation(np.concatenate([answer.truth for answer in answers]))
    ends = np.cumsum([len(answer.truth) for answer in answers])[:-1]
    return [
        event.EventScores(answer.name, answer.scores, truth)
        for answer, truth in zip(answers, np.split(truth_of_all, ends), strict=True)
    ]
