"""Classes of the objects that `detect --follow` reports: those of what the network lit up where they were, window by window."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from spikeseg.data.frames.framing import to_sensor
from spikeseg.tracking.scene import ObjectTrack

from .classes import UNNAMED, classify, strongest_class
from .objects import NO_CLASS, Slice
from .path_slices import COVER_PX
from .tables import Scale

if TYPE_CHECKING:
    from spikeseg.core.sparse import SparseFrames
    from spikeseg.models import SpikeSEG
    from spikeseg.ops.types import PooledSpikes


class FollowedClasses:
    """The class of each object, by its lasting id: that of most saliency, over all windows since it was reported first.

    Args:
        model: the network.
        scale: of its frames.
        names: what classes are called.
    """

    def __init__(self, model: SpikeSEG, scale: Scale, names: Mapping[int, str] = UNNAMED) -> None:
        self.model, self.scale, self.names = model, scale, names
        self._saliency: dict[int, np.ndarray] = {}

    def add(
        self,
        frames: np.ndarray | SparseFrames,
        spikes: Mapping[str, PooledSpikes],
        parts: Sequence[Slice],
        objects: Sequence[tuple[int, ObjectTrack]],
    ) -> None:
        """Take the objects of a window.

        Args:
            frames: the window, one sample.
            spikes: what the network made of it.
            parts: its slices, whose blobs are given their classes.
            objects: that are reported, by their lasting ids.
        """
        from spikeseg.models.decoder import decode_sparse

        if not objects or not any(len(part.blobs.objects) for part in parts):
            return
        n_classes = self.model.config.n_classes
        lit = classify([parts], [[decode_sparse(self.model.encoder, frames, spikes, [k])[0] for k in range(n_classes)]])
        for number, track in objects:
            own = self._saliency.setdefault(number, np.zeros(n_classes))
            for part, saliency in zip(parts, lit, strict=True):
                near = self._nearest(part, track)
                if near is not None:
                    own += saliency[near]

    def keep(self, numbers: Collection[int]) -> None:
        """Forget all objects but these."""
        self._saliency = {number: own for number, own in self._saliency.items() if number in numbers}

    def of(self, number: int) -> tuple[int, str]:
        """An object's class and what that is called; NO_CLASS and '' where none lit it up."""
        own = self._saliency.get(number)
        class_id = NO_CLASS if own is None else int(strongest_class(own[None])[0])
        return class_id, self.names.get(class_id, "")

    def _nearest(self, part: Slice, track: ObjectTrack) -> int | None:
        """The blob of a slice that lies where the track is, none further than COVER_PX away."""
        blobs = part.blobs.objects
        if not len(blobs):
            return None
        (place,) = track.at(np.array([(part.start_us + part.end_us) / 2]), part.end_us - part.start_us)
        away = np.hypot(to_sensor(blobs["x"], self.scale.x) - place[0], to_sensor(blobs["y"], self.scale.y) - place[1])
        nearest = int(np.argmin(away))
        return nearest if away[nearest] <= COVER_PX else None
