"""From maps of saliency to tracked objects: what `detect` writes and `evaluate` scores, by the same code."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from spikeseg.core.sparse import SparseMap
from spikeseg.data.frames.framing import to_sensor
from spikeseg.data.windows import WindowedRecording
from spikeseg.tracking.scene import Slices, Tracks, find_tracks

from .event_scores import event_scores
from .network import DecodedWindow
from .objects import Slice, WindowTime, joined, objects_in_slices
from .response import Response, TrackedObjects, from_maps
from .tables import Scale

if TYPE_CHECKING:
    from spikeseg.config.sections import TrackingConfig
    from spikeseg.models import SpikeSEG

    from .moving import Motion


def window_time(view: WindowedRecording, k: int) -> WindowTime:
    """The time of window k; what it shares with the window before belongs to that one."""
    before = int(view.end_us[k - 1]) if k else None
    return WindowTime(int(view.start_us[k]), int(view.end_us[k]), view.spec.timestep_us, before)


def slices_of(view: WindowedRecording, maps: Iterator[SparseMap] | Sequence[SparseMap], threshold: float) -> list[list[Slice]]:
    """Connected blobs of what reaches the threshold, slice by slice, of every window; time that two windows share belongs to the
    earlier one."""
    return [slices_of_window(view, k, saliency, threshold) for k, saliency in enumerate(maps)]


def slices_of_window(view: WindowedRecording, k: int, saliency: SparseMap, threshold: float) -> list[Slice]:
    """The same of window k."""
    bright = saliency.value >= threshold
    return objects_in_slices(saliency.index[bright], saliency.value[bright], saliency.shape, window_time(view, k))


def unravelled_slices(
    view: WindowedRecording,
    k: int,
    network: SpikeSEG,
    window: DecodedWindow,
    threshold: float,
    classes: Sequence[int] | None,
    settings: TrackingConfig,
) -> list[Slice]:
    """Objects of window k by HULK and SMASH [Kirkland et al. 2022], slice by slice as `slices_of` gives them.

    Args:
        view: the recording.
        k: number of the window.
        network: that the window went through.
        window: its output; the first map holds the saliency of `classes`.
        threshold: the saliency from which a pixel belongs to an object.
        classes: those that count; None: all.
        settings: smash, smash_threshold.
    """
    from . import hulk, smash
    from .smash_objects import groups_in_slices

    instances = hulk.instances(network.encoder, window.frames, window.spikes, classes)
    group = smash.group(instances, settings.smash_threshold) if settings.smash else np.arange(len(instances))
    return groups_in_slices(instances, group, window.maps[0].dense(), threshold, window_time(view, k))


def track(
    view: WindowedRecording, slices: Sequence[Sequence[Slice]], settings: TrackingConfig
) -> tuple[Tracks, list[np.ndarray]]:
    """The tracks of all objects, in sensor pixels, and `TrackedObjects.owners`."""
    _, height, width = view.shape
    flat = [part for window in slices for part in window]
    detections = in_sensor(flat, (height, width), view.sensor_size)
    tracks = find_tracks(detections, settings)
    offsets = np.cumsum([0, *map(len, detections.positions)])
    owner = np.zeros(offsets[-1], np.int32)
    for known in tracks.tracks:
        owner[offsets[known.slices] + known.detections] = known.id
    return tracks, [owner[a:b] for a, b in itertools.pairwise(offsets.tolist())]


def in_sensor(parts: Sequence[Slice], size: tuple[int, int], sensor_size: tuple[int, int]) -> Slices:
    """Detections in sensor pixels, for the tracker. size: (height, width) of the frames; sensor_size: (width, height)."""
    scale = Scale.of(sensor_size, size)
    objects, offsets = joined([part.blobs.objects for part in parts])
    positions = np.stack([to_sensor(objects["x"], scale.x), to_sensor(objects["y"], scale.y)], 1)
    times = [(part.start_us + part.end_us) / 2 for part in parts]
    return Slices(times, [positions[a:b] for a, b in itertools.pairwise(offsets.tolist())])


def answer(
    view: WindowedRecording,
    maps: Sequence[SparseMap],
    threshold: float,
    settings: TrackingConfig,
    slices: Sequence[Sequence[Slice]] | None = None,
    motion: Motion | None = None,
    scene: TrackedObjects | None = None,
) -> Response:
    """The response of a detector whose objects are tracked: an event's score comes from its track, see `event_scores`.

    Args:
        view: the recording.
        maps: its saliency, one per window.
        threshold: the saliency from which a pixel belongs to an object.
        settings: of the tracker.
        slices: of every window its objects; None: the connected blobs of the maps.
        motion: the motion layer; None: there is none.
        scene: under settings.scenes its objects, see `scene_of`; None: they are looked for.
    """
    if settings.scenes:
        from .scene_objects import scene_answer

        return scene_answer(view, maps, scene or scene_of(view, settings))
    saliency = from_maps(view, maps).scores
    slices = slices_of(view, maps, threshold) if slices is None else slices
    tracks, owners = track(view, slices, settings)
    if motion is None:
        ids = event_ids(view, saliency >= threshold, slices, owners)
        scores = event_scores(view.events, tracks.tracks, saliency, ids)
    else:
        from .moving import find_paths, merge
        from .path_slices import OWN

        found = find_paths(view, tracks.field, motion)
        slices, tracks, owners = merge(view, slices, tracks, found)
        own = found.responsibility
        ids = event_ids(view, (saliency >= threshold) | (own >= OWN), slices, owners)
        saliency = np.maximum(saliency, own)
        scores = event_scores(view.events, tracks.tracks, saliency, ids, own)
        if found.doubtful is not None:
            scores = np.where(ids > 0, scores, np.maximum(scores, found.doubtful))
    return Response(scores, maps, TrackedObjects(slices, tracks, owners, ids), saliency)


def scene_of(view: WindowedRecording, settings: TrackingConfig) -> TrackedObjects:
    """The objects of a scene, see `scene_objects`; settings: scene_window_ms."""
    from .scene_objects import scene_objects

    return scene_objects(view, [window_time(view, k) for k in range(len(view.start_us))], settings.scene_window_ms)


def event_ids(
    view: WindowedRecording, reached: np.ndarray, slices: Sequence[Sequence[Slice]], owners: Sequence[np.ndarray]
) -> np.ndarray:
    """int32 (n,): the track of each event that lies in one of its objects and reaches the threshold; 0 for the others.

    Args:
        view: the recording.
        reached: bool (n,), events whose saliency reaches the threshold.
        slices: of every window.
        owners: see `TrackedObjects`.
    """
    ids, chosen = np.zeros(len(view.events), np.int32), view.kept & reached
    owner, cells = iter(owners), np.zeros(view.shape, np.int32)
    for start, parts in zip(view.start_us.tolist(), slices, strict=True):
        of_steps = cells.reshape(len(cells), -1)
        for part in parts:
            labels = part.blobs.labels
            of_steps[part.steps, labels.pixel] = next(owner)[labels.number - 1]
        view.look_up(start, cells.reshape(-1), chosen, ids)
        for part in parts:
            of_steps[part.steps, part.blobs.labels.pixel] = 0
    return ids
