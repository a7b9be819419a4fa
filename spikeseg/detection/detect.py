"""Detection in one recording: frames, saliency, objects, tracks, and a score for every event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.core.progress import Progress, silent
from spikeseg.data.windows import windowed

from .moving import motion_of
from .network import decoded
from .objects import Blobs
from .readout import Readout
from .result import Detections
from .tables import Scale, event_columns, object_table, track_table, window_table
from .tracked import answer, unravelled_slices

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.recording import Recording
    from spikeseg.models import SpikeSEG


def detect_recording(
    model: SpikeSEG, recording: Recording, config: Config, readout: Readout, progress: Progress = silent
) -> Detections:
    """Objects of every slice of every window, tracks, and each event's score and track; labels are not read.

    Args:
        model: the network, on any device.
        recording: any.
        config: of its sections data (how to frame) and tracking are read.
        readout: see `Readout`.
        progress: shown the windows as they pass.

    Raises:
        InputError: the transforms do not fit the recording.
    """
    view = windowed(recording, config.data)
    hulk = config.tracking.hulk  # which knows an object's class by its spikes
    single = range(model.config.n_classes) if model.config.n_classes > 1 and not hulk else ()
    maps, slices, by_class = [], [], []
    windows: Iterable[Any] = decoded(model, view.windows(), [readout.classes, *([c] for c in single)])
    for k, window in enumerate(progress(windows, recording.name, len(view.start_us))):
        maps.append(window.maps[0])
        by_class.append(window.maps[1:])
        if hulk:
            slices.append(unravelled_slices(view, k, model, window, readout.threshold, readout.classes, config.tracking))
    motion = motion_of(config, model)
    response = answer(view, maps, readout.threshold, config.tracking, slices if hulk else None, motion)
    tracked = response.tracked
    assert tracked is not None and response.saliency is not None
    for parts, of_classes in zip(tracked.slices, by_class, strict=True):
        dense = [saliency.dense() for saliency in of_classes]
        for part in parts if dense else []:
            part.blobs.objects["class_id"] = strongest_class(part.blobs, [saliency[part.steps] for saliency in dense])
    scale, listed = Scale.of(recording.sensor_size, view.shape[1:]), window_table(view)
    objects = [part.blobs.objects for parts in tracked.slices for part in parts]
    star_field = tracked.tracks.field.mean
    return Detections(
        recording=recording.name,
        sensor_size=recording.sensor_size,
        readout=readout,
        star_field=(float(star_field[0]), float(star_field[1])),
        windows=listed,
        objects=object_table(recording.name, listed, tracked.slices, tracked.owners, scale),
        tracks=track_table(recording.name, tracked.tracks.tracks, objects, scale),
        event_columns=event_columns(recording.events, response.saliency, tracked.ids, response.scores),
    )


def strongest_class(blobs: Blobs, by_class: Sequence[np.ndarray]) -> np.ndarray:
    """int32 (n,): for each object of a slice the class, of those whose saliency (T, H, W) is given, that lit it up most."""
    (_, pixel, number), n = blobs.labels, len(blobs.objects)
    sums = np.stack([np.bincount(number, saliency.sum(0).reshape(-1)[pixel], n + 1)[1:] for saliency in by_class])
    return np.argmax(sums, 0).astype(np.int32)
