"""The detectors that `evaluate` sets side by side, beside its baselines: filters, classical detectors on frames, the network
untrained and trained; the graded filter and the networks also tracked.

Each turns a `WindowedRecording` into a `Response`; none sees a label.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spikeseg.core.sparse import ANY_RESPONSE
from spikeseg.data.windows import WindowedRecording
from spikeseg.detection.response import Response, from_maps, from_scores

if TYPE_CHECKING:
    from spikeseg.config.sections import EvaluationConfig, TrackingConfig
    from spikeseg.detection.moving import Motion
    from spikeseg.models import SpikeSEG

PASSED = 0.5
"""Threshold of a detector whose scores are 0 or 1."""


@dataclass(frozen=True)
class Detector:
    """Something that responds to a recording.

    Attributes:
        name: in metrics.json.
        title: in the table.
        respond: WindowedRecording -> Response.
        threshold: from which an event counts as seen; None: to be calibrated on the training split.
        is_network: whether it is a network.
        object_threshold: of a detector that tracks, the score from which a track is an object.
    """

    name: str
    title: str
    respond: Callable[[WindowedRecording], Response]
    threshold: float | None = None
    is_network: bool = False
    object_threshold: float = 0.5


def filters(settings: EvaluationConfig) -> list[Detector]:
    """The activity filters: tonic's Denoise, and a graded one."""
    from spikeseg.detection import activity

    def denoise(recording: WindowedRecording) -> Response:
        scores = np.zeros(len(recording.events))
        scores[recording.kept] = activity.denoise(recording.events[recording.kept], settings.denoise_filter_time_us)
        return from_scores(recording, scores)

    def graded(recording: WindowedRecording) -> Response:
        scores = np.zeros(len(recording.events))
        scores[recording.kept] = activity.graded(
            recording.events[recording.kept], recording.sensor_size, settings.graded_radius_px, settings.graded_tau_ms * 1000
        )
        return from_scores(recording, scores)

    return [
        Detector("denoise", "denoise filter", denoise, PASSED),
        Detector("graded", "graded filter", graded),
    ]


def classical() -> list[Detector]:
    """The two detectors on accumulated frames, as Afshar et al. 2020 compares: connected blobs and Hough lines."""
    from spikeseg.detection import classical as of_frames

    def on_frames(find: Callable[[np.ndarray], of_frames.FrameDetections]) -> Callable[[WindowedRecording], Response]:
        def respond(recording: WindowedRecording) -> Response:
            scores = np.zeros(len(recording.events))
            positions = []
            for start in recording.start_us.tolist():
                index, _ = recording.located(start)
                events = recording.events[index]
                detections = find(of_frames.accumulate(events, recording.sensor_size))
                scores[index] = np.maximum(scores[index], detections.strength[events["y"], events["x"]])
                positions.append(np.stack([detections.objects["x"], detections.objects["y"]], 1))
            return Response(scores, from_scores(recording, scores).maps, positions=positions)

        return respond

    return [
        Detector("blobs", "blobs of frames", on_frames(of_frames.blobs)),
        Detector("lines", "Hough lines of frames", on_frames(of_frames.lines)),
    ]


def tracked(
    name: str,
    title: str,
    detector: Detector,
    thresholds: tuple[float, float],
    settings: TrackingConfig,
    motion: Motion | None = None,
) -> Detector:
    """A detector whose pixels are tracked: those that reach the threshold make objects, and tracks give the scores.

    Args:
        name: see `Detector`.
        title: see `Detector`.
        detector: gives the pixels.
        thresholds: of pixels, and of objects.
        settings: of the tracker.
        motion: the motion layer; None: there is none.
    """
    pixel_threshold, object_threshold = thresholds

    def respond(recording: WindowedRecording) -> Response:
        from spikeseg.detection.tracked import answer

        untracked = detector.respond(recording)
        return answer(recording, untracked.maps, pixel_threshold, settings, untracked.slices, motion)

    return Detector(name, title, respond, is_network=detector.is_network, object_threshold=object_threshold)


def network(
    name: str,
    title: str,
    model: SpikeSEG,
    classes: Sequence[int] | None = None,
    hulk: TrackingConfig | None = None,
    pixel_threshold: float = ANY_RESPONSE,
) -> Detector:
    """A network's saliency as a detector.

    Args:
        name: see `Detector`.
        title: see `Detector`.
        model: the network.
        classes: those that count as object, None for all.
        hulk: where its `hulk` is set, objects are unravelled spike by spike, grouped as it says.
        pixel_threshold: the saliency from which a pixel belongs to them.
    """

    def respond(recording: WindowedRecording) -> Response:
        from spikeseg.detection.network import decoded
        from spikeseg.detection.tracked import unravelled_slices

        maps, slices = [], []
        for k, window in enumerate(decoded(model, recording.windows(), [classes])):
            maps.append(window.maps[0])
            if hulk is not None and hulk.hulk:
                slices.append(unravelled_slices(recording, k, model, window, pixel_threshold, classes, hulk))
        response = from_maps(recording, maps)
        return dataclasses.replace(response, slices=slices) if slices else response

    return Detector(name, title, respond, is_network=True)
