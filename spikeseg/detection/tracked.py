"""From a map of saliency to tracked objects: what `detect` writes and `evaluate` scores, by the same code."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spikeseg.core.sparse import SparseFrames, SparseMap
from spikeseg.data.windows import WindowedRecording
from spikeseg.detection.response import Response, from_maps
from spikeseg.tracking.scene import Slices, Tracks, find_tracks

from .event_scores import event_scores
from .objects import Slice, lit_in_slices, together
from .schema import to_sensor

if TYPE_CHECKING:
    from spikeseg.config.sections import TrackingConfig
    from spikeseg.models import SpikeSEG
    from spikeseg.ops.types import PooledSpikes


@dataclass(frozen=True)
class TrackedObjects:
    """The objects of a recording.

    Attributes:
        slices: of every window, in frame pixels.
        tracks: of all of them, in sensor pixels.
        owners: of every slice, in order of time, the track's id of each object; 0 for none.
        ids: int32 (n,), of every event; see `event_ids`.
    """

    slices: Sequence[Sequence[Slice]]
    tracks: Tracks
    owners: Sequence[np.ndarray]
    ids: np.ndarray


def slices_of(view: WindowedRecording, maps: Iterator[SparseMap] | Sequence[SparseMap], threshold: float) -> list[list[Slice]]:
    """Connected blobs of what reaches the threshold, slice by slice, of every window; time that two windows share belongs to the
    earlier one."""
    found = []
    for k, lit in enumerate(maps):
        start, end = int(view.start_us[k]), int(view.end_us[k])
        seen_us = int(view.end_us[k - 1]) if k else None
        bright = lit.value >= threshold
        index, value = lit.index[bright], lit.value[bright]
        step_us = view.spec.timestep_us
        found.append(lit_in_slices(index, value, lit.shape, start_us=start, end_us=end, step_us=step_us, from_us=seen_us))
    return found


def track(
    view: WindowedRecording, slices: Sequence[Sequence[Slice]], settings: TrackingConfig
) -> tuple[Tracks, list[np.ndarray]]:
    """The tracks of all objects, in sensor pixels, and `TrackedObjects.owners`."""
    _, height, width = view.shape
    flat = [part for window in slices for part in window]
    detections = in_sensor(flat, (height, width), view.sensor_size)
    tracks = find_tracks(detections, settings)
    before = np.cumsum([0, *map(len, detections.positions)])
    owner = np.zeros(before[-1], np.int32)
    for one in tracks.tracks:
        owner[before[one.slices] + one.detections] = one.id
    return tracks, [owner[a:b] for a, b in itertools.pairwise(before.tolist())]


def in_sensor(parts: Sequence[Slice], size: tuple[int, int], sensor_size: tuple[int, int]) -> Slices:
    """Detections in sensor pixels, for the tracker. size: (height, width) of the frames; sensor_size: (width, height)."""
    scale = (sensor_size[0] / size[1], sensor_size[1] / size[0])
    objects, before = together([part.blobs.objects for part in parts])
    positions = np.stack([to_sensor(objects[name], by) for name, by in zip("xy", scale, strict=True)], 1)
    times = [(part.start_us + part.end_us) / 2 for part in parts]
    return Slices(times, [positions[a:b] for a, b in itertools.pairwise(before.tolist())])


def unravelled(
    view: WindowedRecording,
    k: int,
    network: SpikeSEG,
    frames: SparseFrames,
    spikes: Mapping[str, PooledSpikes],
    lit: np.ndarray,
    reading: tuple[float, Sequence[int] | None],
    settings: TrackingConfig,
) -> list[Slice]:
    """Objects of window k by HULK and SMASH [Kirkland et al. 2022], slice by slice as `slices_of` gives them.

    Args:
        view: what the network saw.
        network, frames, spikes: that found these spikes in these frames of one sample.
        lit: (T, H, W), their saliency.
        reading: the saliency from which a pixel counts as lit, and the classes that count (None: all).
        settings: smash, smash_threshold.
    """
    from . import hulk, smash
    from .smash_objects import groups_in_slices

    instances = hulk.instances(network.encoder, frames, spikes, reading[1])
    group = smash.group(instances, settings.smash_threshold) if settings.smash else np.arange(len(instances))
    return groups_in_slices(
        instances,
        group,
        lit,
        reading[0],
        start_us=int(view.start_us[k]),
        end_us=int(view.end_us[k]),
        step_us=view.spec.timestep_us,
        from_us=int(view.end_us[k - 1]) if k else None,
    )


def answer(
    view: WindowedRecording,
    maps: Sequence[SparseMap],
    threshold: float,
    settings: TrackingConfig,
    slices: Sequence[Sequence[Slice]] | None = None,
) -> Response:
    """The response of a detector whose lit pixels are tracked: an event's score comes from its track, see `event_scores`. Objects
    are those of `slices`, or else connected blobs."""
    lit = from_maps(view, maps)
    slices = slices_of(view, maps, threshold) if slices is None else slices
    tracks, owners = track(view, slices, settings)
    ids = event_ids(view, lit.scores >= threshold, slices, owners)
    scores = event_scores(view.events, tracks.tracks, lit.scores, ids)
    return Response(scores, maps, TrackedObjects(slices, tracks, owners, ids), lit.scores)


def event_ids(
    view: WindowedRecording, reached: np.ndarray, slices: Sequence[Sequence[Slice]], owners: Sequence[np.ndarray]
) -> np.ndarray:
    """int32 (n,): the track of each event that lies in one of its objects and reaches the threshold; 0 for the others.

    Args:
        view: what the network saw.
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
