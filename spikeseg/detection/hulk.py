"""HULK: each classification spike unravelled alone into an instance [Kirkland et al. 2022, IEEE Trans. Computers 71(11):2728].

An instance is what the decoder traces one spike of conv3 back to: the pixels that caused it, their bounding box, and its ASH, the
active spike hash: which feature maps took part, and when.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spikeseg.core.packing import packed, unpacked
from spikeseg.core.sparse import SparseFrames
from spikeseg.models.decoder import LEVELS
from spikeseg.ops import backend as ops_backend
from spikeseg.ops.types import Cones, Groups, PooledSpikes

if TYPE_CHECKING:
    from spikeseg.models import Encoder


class Footprints(NamedTuple):
    """Bounding boxes and ASHs of n instances or objects.

    Attributes:
        boxes: int32 (n, 4), left, top, right, bottom in pixels of the frame; right and bottom are not part of the box.
        ash: uint64 (n, W), packed: bit f*T + t is set where feature f took part with a spike at step t.
        shape: (F, T). Features are the maps of pool1, of pool2 and of conv3, in this order.
    """

    boxes: np.ndarray
    ash: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def of(cls, boxes: np.ndarray, ash: np.ndarray) -> Footprints:
        """From boxes int (n, 4) and ASHs bool (n, F, T)."""
        n, features, steps = ash.shape
        words = packed(ash.reshape(n, features * steps))
        return cls(np.asarray(boxes, np.int32).reshape(n, 4), words, (features, steps))

    def unpacked(self) -> np.ndarray:
        """The ASHs, bool (n, F, T)."""
        features, steps = self.shape
        return unpacked(self.ash, features * steps).reshape(len(self.ash), features, steps)

    def merged(self, group: np.ndarray, n: int) -> Footprints:
        """Unions of boxes and ASHs.

        Args:
            group: int (footprints,), the group of each, from 0; every group needs a member.
            n: number of groups.
        """
        order = np.argsort(group, kind="stable")
        if not n:
            return Footprints(self.boxes[:0], self.ash[:0], self.shape)
        first = np.searchsorted(group[order], np.arange(n))
        low, high = (np.minimum.reduceat(self.boxes[order, :2], first), np.maximum.reduceat(self.boxes[order, 2:], first))
        return Footprints(np.hstack([low, high]), np.bitwise_or.reduceat(self.ash[order], first), self.shape)


@dataclass(frozen=True)
class Instance:
    """One classification spike, unravelled.

    Attributes:
        mask: bool (H, W), pixels with saliency, at any step, when the decoder traces this spike alone.
        box: left, top, right, bottom of the mask, pixels; right and bottom are not part of it.
        class_id: the spike's class, from 0.
        step: when it fired.
        ash: bool (F, T), see `Footprints`.
    """

    mask: np.ndarray
    box: tuple[int, int, int, int]
    class_id: int
    step: int
    ash: np.ndarray


@dataclass(frozen=True)
class Instances:
    """The instances of one sample, by step, then by address of the spike. ``instances[k]`` is the `Instance` of number k.

    Attributes:
        class_id: int32 (n,), from 0.
        step: int32 (n,).
        prints: their boxes and ASHs.
        spike: int32 (n,), index into the classification spikes of the sample.
        cones: of all spikes of the sample.
        backend: name of the operations that follow them, see `spikeseg.ops`.
    """

    class_id: np.ndarray
    step: np.ndarray
    prints: Footprints
    spike: np.ndarray
    cones: Cones
    backend: str = "auto"

    def __len__(self) -> int:
        return len(self.spike)

    def __getitem__(self, k: int) -> Instance:
        k = range(len(self))[k]
        left, top, right, bottom = self.prints.boxes[k].tolist()
        footprint = Footprints(self.prints.boxes[k : k + 1], self.prints.ash[k : k + 1], self.prints.shape)
        mask = self.masks(np.array([k]))[0]
        return Instance(mask, (left, top, right, bottom), int(self.class_id[k]), int(self.step[k]), footprint.unpacked()[0])

    @property
    def size(self) -> tuple[int, int, int]:
        """(T, H, W) of the sample."""
        return (self.prints.shape[1], *self.cones.nodes[0].shape[1:])

    @property
    def cells(self) -> np.ndarray:
        """int32, flat index into (T, H, W) of each event that a trace may end at."""
        events, pixels = self.cones.nodes[0], self.size[1] * self.size[2]
        return events.steps * np.int32(pixels) + events.sites % np.int32(pixels)

    def masks(self, which: np.ndarray | None = None) -> np.ndarray:
        """bool (n, H, W), see `Instance`.

        Args:
            which: indices of instances; None: all of them.
        """
        numbers = np.arange(len(self)) if which is None else np.asarray(which)
        _, height, width = self.size
        pixels = self.cones.nodes[0].sites % np.int32(height * width)
        saliency = self._spread(numbers, np.arange(len(numbers) + 1), pixels, height * width)
        masks = np.zeros((len(numbers), height * width), bool)
        masks[saliency.owner, saliency.members] = True
        return masks.reshape(-1, height, width)

    def saliency(self, group: np.ndarray | None = None, n: int | None = None) -> np.ndarray:
        """Saliency of groups of instances: each group's spikes decoded alone (decoding is linear).

        Args:
            group: int (instances,), the group of each, -1 for none. None: every instance is a group of its own.
            n: number of groups; None: up to the highest given.

        Returns:
            (n, T, H, W) float32 >= 0.
        """
        number = np.arange(len(self)) if group is None else group
        count = int(number.max(initial=-1)) + 1 if n is None else n
        saliency = self.traced(number, count, self.cells, int(np.prod(self.size)))
        dense = np.zeros((count, int(np.prod(self.size))), np.float32)
        dense[saliency.owner, saliency.members] = saliency.values
        return dense.reshape(count, *self.size)

    def traced(self, group: np.ndarray, n: int, cells: np.ndarray, n_cells: int) -> Groups:
        """Saliency of groups of instances, summed over cells.

        Args:
            group: int (instances,), the group of each, -1 for none.
            n: number of groups.
            cells: int32, one for each of `self.cells`: where its saliency counts; -1 for nowhere.
            n_cells: above all of them.

        Returns:
            of each group the cells where it is above 0, in the order of their first events, and how much; float64.
        """
        order = np.argsort(group, kind="stable")
        return self._spread(order, np.searchsorted(group[order], np.arange(n + 1)), cells, n_cells)

    def _spread(self, which: np.ndarray, starts: np.ndarray, cells: np.ndarray, n_cells: int) -> Groups:
        """See `traced`; starts int64 (groups + 1,) into which, indices of instances."""
        groups = Groups(starts, self.spike[which], np.ones(len(which)))
        saliency: Groups = ops_backend(self.backend, self.cones.device).spread(self.cones, groups, cells, n_cells)
        return saliency


def instances(
    encoder: Encoder,
    frames: np.ndarray | SparseFrames,
    spikes: Mapping[str, PooledSpikes],
    classes: Collection[int] | None = None,
) -> Instances:
    """Unravel every classification spike of one sample; a spike that comes from no pixel is left out.

    It runs where the encoder lies, by the operations of its backend.

    Args:
        encoder: the encoder that gave the spikes; its configuration says how they are traced.
        frames: (T, P, H, W), its input, or as lists.
        spikes: of this one sample, by 'pool1', 'pool2', 'conv3', as `Encoder.infer` gives them.
        classes: whose classification spikes are unravelled; None: all.

    Raises:
        ValueError: frames or spikes of another number of samples than one.
    """
    levels = [spikes[level] for level in LEVELS]
    shape = frames.shape[1:] if isinstance(frames, SparseFrames) and frames.shape[0] == 1 else frames.shape
    if len(shape) != 4 or any(pooled.lists.samples != 1 for pooled in levels):
        raise ValueError(f"frames {frames.shape} and spikes of {levels[-1].lists.samples} samples: must be (T, P, H, W) and one")
    settings, ops = encoder.config, ops_backend(encoder.backend, encoder.conv1.weight.device)
    events = frames if isinstance(frames, SparseFrames) else frames[None]
    cones: Cones = ops.cones(
        events, encoder.chain(), levels, delay_connections=settings.use_delay_connections, decay=settings.delay_decay
    )
    boxes, ash = ops.unite(cones)
    top = cones.nodes[-1]
    class_id = top.sites // np.int32(top.shape[1] * top.shape[2])
    unravelled = boxes[:, 0] < boxes[:, 2]
    if classes is not None:
        unravelled &= np.isin(class_id, sorted(classes))
    spike = np.flatnonzero(unravelled).astype(np.int32)
    features = sum(nodes.shape[0] for nodes in cones.nodes[1:])
    prints = Footprints(boxes[spike], ash[spike], (features, cones.steps))
    return Instances(class_id[spike], top.steps[spike], prints, spike, cones, encoder.backend)
