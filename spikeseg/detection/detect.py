"""Detection in one recording: frames, saliency, objects, tracks, and a score for every event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.config.estimate import require_network_memory
from spikeseg.core.progress import Progress, silent
from spikeseg.data.windows import WindowedRecording, windowed

from .classes import UNNAMED, classes_of_tracks, classify, score_by_class
from .moving import motion_of
from .network import decoded
from .objects import Slice
from .readout import Readout
from .result import Detections
from .tables import Scale, detection_table, event_columns, object_table, position_errors, track_table, window_table
from .tracked import answer, scene_of, unravelled_slices

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.recording import Recording
    from spikeseg.models import SpikeSEG


def detect_recording(
    model: SpikeSEG,
    recording: Recording,
    config: Config,
    readout: Readout,
    progress: Progress = silent,
    class_names: Mapping[int, str] = UNNAMED,
) -> Detections:
    """Objects of every slice of every window, tracks, and each event's score and track; labels are not read.

    Args:
        model: the network, on any device.
        recording: any.
        config: of its sections data (how to frame) and tracking are read.
        readout: see `Readout`.
        progress: shown the windows as they pass.
        class_names: what classes are called.

    Raises:
        InputError: the transforms do not fit the recording.
    """
    view = windowed(recording, config.data, background=model.config.background_adaptive)
    return detect_windows(model, view, config, readout, progress, class_names)


def detect_windows(
    model: SpikeSEG,
    view: WindowedRecording,
    config: Config,
    readout: Readout,
    progress: Progress = silent,
    class_names: Mapping[int, str] = UNNAMED,
) -> Detections:
    """`detect_recording` of a recording that is framed already, such as one of the cache."""
    require_network_memory(config, view.shape[1:])
    hulk = config.tracking.hulk and not config.tracking.scenes  # which knows an object's class by its spikes
    scene = scene_of(view, config.tracking) if config.tracking.scenes else None
    wanted = None if scene is None else np.array([_first_step(parts, view.shape[0]) for parts in scene.slices], np.int64)
    n_classes = model.config.n_classes
    single = range(n_classes) if n_classes > 1 and not hulk else ()
    maps, slices, by_class = [], [], []
    windows: Iterable[Any] = decoded(model, view.windows(), [readout.classes, *([c] for c in single)], wanted)
    for k, window in enumerate(progress(windows, view.name, len(view.start_us))):
        maps.append(window.maps[0])
        by_class.append(window.maps[1:] or window.maps)  # of one class: all there is
        if hulk:
            slices.append(unravelled_slices(view, k, model, window, readout.threshold, readout.classes, config.tracking))
    motion = motion_of(config, model)
    response = answer(view, maps, readout.threshold, config.tracking, slices if hulk else None, motion, scene)
    tracked = response.tracked
    assert tracked is not None and response.saliency is not None
    lit = score_by_class(tracked.slices, n_classes) if hulk else classify(tracked.slices, by_class)
    scale, listed = Scale.of(view.sensor_size, view.shape[1:]), window_table(view)
    blobs = [part.blobs.objects for parts in tracked.slices for part in parts]
    classes = classes_of_tracks(tracked.tracks.tracks, lit)
    tracks = track_table(view.name, tracked.tracks.tracks, blobs, scale, readout.object_threshold, classes, class_names)
    star_field = tracked.tracks.field.mean
    return Detections(
        recording=view.name,
        sensor_size=view.sensor_size,
        readout=readout,
        star_field=(float(star_field[0]), float(star_field[1])),
        windows=listed,
        detections=detection_table(view.name, listed, tracked.slices, tracked.owners, scale, class_names),
        tracks=tracks,
        objects=object_table(tracks, tracked.ids),
        event_columns=event_columns(view.events, response.saliency, tracked.ids, response.scores),
        position_error=position_errors(tracked.tracks.tracks),
    )


def _first_step(slices: Sequence[Slice], steps: int) -> int:
    """The first step of the first slice with objects of a window, of so many steps; `steps` where there is none."""
    return min((part.steps.start for part in slices if len(part.blobs.objects)), default=steps)
