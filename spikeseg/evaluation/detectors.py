"""The detectors that `evaluate` sets side by side: raw events, filters, classical detectors on frames, the network untrained and
trained; the graded filter and the networks also tracked.

Each turns a `WindowedRecording` into a `Response`; none sees a label.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spikeseg.core.sparse import ANY_RESPONSE, SparseFrames, SparseMap
from spikeseg.data.windows import AT_ONCE, WindowedRecording, Windows
from spikeseg.detection.response import Response, from_maps, from_scores

if TYPE_CHECKING:
    import torch

    from spikeseg.config.sections import Config, EvaluationConfig, TrackingConfig
    from spikeseg.models import SpikeSEG
    from spikeseg.ops.types import PooledSpikes

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
        is_network: whether it has pixels to score.
        object_threshold: of a detector that tracks, the score from which a track is an object.
    """

    name: str
    title: str
    respond: Callable[[WindowedRecording], Response]
    threshold: float | None = None
    is_network: bool = False
    object_threshold: float = 0.5


def filters(settings: EvaluationConfig) -> list[Detector]:
    """The detectors without a network: raw events, tonic's Denoise, and the graded activity filter."""
    from spikeseg.detection import activity

    def raw(recording: WindowedRecording) -> Response:
        return from_scores(recording, np.ones(len(recording.events)))

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
        Detector("raw_events", "raw events", raw, PASSED),
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
            return Response(scores, from_scores(recording, scores).maps, places=positions)

        return respond

    return [
        Detector("blobs", "blobs of frames", on_frames(of_frames.blobs)),
        Detector("lines", "Hough lines of frames", on_frames(of_frames.lines)),
    ]


def tracked(
    name: str, title: str, detector: Detector, pixel_threshold: float, object_threshold: float, settings: TrackingConfig
) -> Detector:
    """A detector whose pixels are tracked: those that reach the threshold make objects, and tracks give the scores."""

    def respond(recording: WindowedRecording) -> Response:
        from spikeseg.detection.tracked import answer

        untracked = detector.respond(recording)
        return answer(recording, untracked.maps, pixel_threshold, settings, untracked.slices)

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
        from spikeseg.detection.tracked import unravelled

        maps, slices = [], []
        for k, (frames, spikes, (saliency,)) in enumerate(decoded(model, recording.windows(), [classes])):
            maps.append(saliency)
            if hulk is not None and hulk.hulk:
                read = (pixel_threshold, classes)
                slices.append(unravelled(recording, k, model, frames, spikes, saliency.dense(), read, hulk))
        response = from_maps(recording, maps)
        return dataclasses.replace(response, slices=slices) if slices else response

    return Detector(name, title, respond, is_network=True)


def decoded(
    model: SpikeSEG, windows: Windows, readouts: Sequence[Sequence[int] | None]
) -> Iterator[tuple[SparseFrames, dict[str, PooledSpikes], list[SparseMap]]]:
    """Windows as the network sees them, AT_ONCE encoded and traced together: which changes no result.

    Args:
        model: on any device.
        windows: see `WindowedRecording.windows`.
        readouts: the classes whose spikes are traced back; None: all.

    Yields:
        frames of a window; its spikes, as `Encoder.infer` gives those of one sample; its saliency, once per readout.
    """
    from spikeseg.models.decoder import decode_sparse

    while part := list(itertools.islice(windows, AT_ONCE)):
        frames = SparseFrames.joined([window_frames for _, window_frames, _ in part])
        rates = np.stack([window_rates for _, _, window_rates in part])
        spikes = model.infer(frames, rates)
        saliency = [decode_sparse(model.encoder, frames, spikes, classes) for classes in readouts]
        for n, (_, own, _) in enumerate(part):
            yield own, {level: pooled.part(n, n + 1) for level, pooled in spikes.items()}, [maps[n] for maps in saliency]


def load_network(cfg: Config, path: str, device: torch.device) -> SpikeSEG:
    """The network of a checkpoint, as the configuration runs it, on a device.

    Raises InputError when the file is no checkpoint or its tensors have another shape than the configuration asks for."""
    from spikeseg.learning import checkpoint

    saved, _ = checkpoint.load(path)
    model = checkpoint.build(cfg)
    checkpoint.restore(model, saved.encoder.state_dict(), path)
    model.encoder.backend = cfg.backend
    return model.to(device)
