"""HULK: each classification spike unravelled alone into an instance [Kirkland et al. 2022, IEEE Trans. Computers 71(11):2728].

An instance is what the decoder makes of one spike of conv3: the pixels it comes from, their bounding box, and its ASH, the
active spike hash: which feature maps took part, and when.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spikeseg.core.sparse import SparseFrames
from spikeseg.models.decoder import LEVELS
from spikeseg.ops.cpu import cone_links as cpu_cones
from spikeseg.ops.types import PooledSpikes

if TYPE_CHECKING:
    from spikeseg.models import Encoder


class Footprints(NamedTuple):
    """Where n instances or objects lie and what they are made of.

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
        n, bits = len(ash), ash.shape[1] * ash.shape[2]
        padded = np.zeros((n, -(-bits // 64) * 64), bool)
        padded[:, :bits] = ash.reshape(n, bits)
        packed = np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)
        return cls(np.asarray(boxes, np.int32).reshape(n, 4), packed, (ash.shape[1], ash.shape[2]))

    def unpacked(self) -> np.ndarray:
        """The ASHs, bool (n, F, T)."""
        features, steps = self.shape
        bits = np.unpackbits(self.ash.astype("<u8").view(np.uint8), axis=1, count=features * steps, bitorder="little")
        return bits.reshape(len(self.ash), features, steps).view(bool)

    def merged(self, group: np.ndarray, n: int) -> Footprints:
        """Unions of boxes and ASHs by group, int (n,) below n; every group needs a member."""
        order = np.argsort(group, kind="stable")
        if not n:
            return Footprints(self.boxes[:0], self.ash[:0], self.shape)
        first = np.searchsorted(group[order], np.arange(n))
        low, high = (np.minimum.reduceat(self.boxes[order, :2], first), np.maximum.reduceat(self.boxes[order, 2:], first))
        return Footprints(np.hstack([low, high]), np.bitwise_or.reduceat(self.ash[order], first), self.shape)


class Traced(NamedTuple):
    """Saliency of n groups of spikes, where it is above 0.

    Attributes:
        starts: int64 (n + 1,) into the others.
        cells: int32, which cell; each once per group, in no order.
        values: float64 > 0.
    """

    starts: np.ndarray
    cells: np.ndarray
    values: np.ndarray

    @property
    def owner(self) -> np.ndarray:
        """int64, the group of each entry."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


@dataclass(frozen=True)
class Instance:
    """One classification spike, unravelled.

    Attributes:
        mask: bool (H, W), pixels that the decoder lights up for this spike alone, at any step.
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
    """The instances of one sample, by step, then by address of the spike. ``instances[k]`` is one of them in full.

    Attributes:
        class_id: int32 (n,), from 0.
        step: int32 (n,).
        prints: their boxes and ASHs.
        spike: int32 (n,), index into the classification spikes of the sample.
        cones: of all spikes of the sample.
    """

    class_id: np.ndarray
    step: np.ndarray
    prints: Footprints
    spike: np.ndarray
    cones: cpu_cones.Cones

    def __len__(self) -> int:
        return len(self.spike)

    def __getitem__(self, k: int) -> Instance:
        k = range(len(self))[k]
        left, top, right, bottom = self.prints.boxes[k].tolist()
        one = Footprints(self.prints.boxes[k : k + 1], self.prints.ash[k : k + 1], self.prints.shape)
        mask = self.masks(np.array([k]))[0]
        return Instance(mask, (left, top, right, bottom), int(self.class_id[k]), int(self.step[k]), one.unpacked()[0])

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
        """bool (n, H, W), see `Instance`; of all instances, or of those of these indices."""
        numbers = np.arange(len(self)) if which is None else np.asarray(which)
        _, height, width = self.size
        pixels = self.cones.nodes[0].sites % np.int32(height * width)
        found = self._spread(numbers, np.arange(len(numbers) + 1), pixels, height * width)
        masks = np.zeros((len(numbers), height * width), bool)
        masks[found.owner, found.cells] = True
        return masks.reshape(-1, height, width)

    def saliency(self, group: np.ndarray | None = None, n: int | None = None) -> np.ndarray:
        """Saliency of groups of instances: what the decoder makes of each group's spikes alone; it is linear.

        Args:
            group: int (instances,), the group of each, -1 for none. None: every instance is a group of its own.
            n: number of groups; None: up to the highest given.

        Returns:
            (n, T, H, W) float32 >= 0.
        """
        number = np.arange(len(self)) if group is None else group
        count = int(number.max(initial=-1)) + 1 if n is None else n
        found = self.traced(number, count, self.cells, int(np.prod(self.size)))
        dense = np.zeros((count, int(np.prod(self.size))), np.float32)
        dense[found.owner, found.cells] = found.values
        return dense.reshape(count, *self.size)

    def traced(self, group: np.ndarray, n: int, cells: np.ndarray, n_cells: int) -> Traced:
        """Saliency of groups of instances, summed over cells.

        Args:
            group: int (instances,), the group of each, -1 for none.
            n: number of groups.
            cells: int32, one for each of `self.cells`: where its saliency counts; -1 for nowhere.
            n_cells: above all of them.
        """
        order = np.argsort(group, kind="stable")
        return self._spread(order, np.searchsorted(group[order], np.arange(n + 1)), cells, n_cells)

    def _spread(self, members: np.ndarray, starts: np.ndarray, cells: np.ndarray, n_cells: int) -> Traced:
        """See `traced`; starts int64 (groups + 1,) into members, which are indices of instances."""
        nodes, values, reach = self.spike[members], np.ones(len(members)), self.cones.reach
        for i in range(len(self.cones.links) - 1, -1, -1):
            up, low = self.cones.nodes[i + 1], self.cones.nodes[i]
            starts, nodes, values = cpu_cones.spread(starts, nodes, values, up.steps, *self.cones.links[i], low.steps, reach)
        return Traced(*cpu_cones.gather(starts, nodes, values, cells, n_cells))


def instances(
    encoder: Encoder,
    frames: np.ndarray | SparseFrames,
    found: Mapping[str, PooledSpikes],
    classes: Collection[int] | None = None,
) -> Instances:
    """Unravel every classification spike of one sample; a spike that comes from no pixel is left out.

    Args:
        encoder: the encoder that found the spikes; its configuration says how they are traced.
        frames: (T, P, H, W), what it saw, or as lists.
        found: its spikes of this one sample, by 'pool1', 'pool2', 'conv3', as `Encoder.infer` gives them.
        classes: whose classification spikes are unravelled; None: all.

    Raises:
        ValueError: frames or spikes of another number of samples than one.
    """
    said = [found[level] for level in LEVELS]
    shape = frames.shape[1:] if isinstance(frames, SparseFrames) and frames.shape[0] == 1 else frames.shape
    if len(shape) != 4 or any(one.lists.samples != 1 for one in said):
        raise ValueError(f"frames {frames.shape} and spikes of {said[-1].lists.samples} samples: must be (T, P, H, W) and one")
    settings = encoder.config
    events = frames if isinstance(frames, SparseFrames) else frames[None]
    cones = cpu_cones.cones(
        events, encoder.chain(), said, delay_connections=settings.use_delay_connections, decay=settings.delay_decay
    )
    prints = _footprints(cones, shape[0])
    top = cones.nodes[-1]
    class_id = top.sites // np.int32(top.shape[1] * top.shape[2])
    seen = prints.boxes[:, 0] < prints.boxes[:, 2]
    if classes is not None:
        seen &= np.isin(class_id, sorted(classes))
    spike = np.flatnonzero(seen).astype(np.int32)
    kept = Footprints(prints.boxes[spike], prints.ash[spike], prints.shape)
    return Instances(class_id[spike], top.steps[spike], kept, spike, cones)


def _footprints(cones: cpu_cones.Cones, steps: int) -> Footprints:
    """Of every spike of the last layer, from the events upwards: cones share most of what they reach."""
    events, *layers = cones.nodes
    features = sum(nodes.shape[0] for nodes in layers)
    pixels = events.sites % np.int32(events.shape[1] * events.shape[2])
    x, y = pixels % np.int32(events.shape[2]), pixels // np.int32(events.shape[2])
    boxes, before = np.stack([x, y, x + np.int32(1), y + np.int32(1)], 1), 0
    words = np.zeros((len(boxes), 0), np.uint64)
    for nodes, links in zip(layers, cones.links, strict=True):
        low_boxes, low_words, n = boxes, words, len(nodes.sites)
        boxes = np.tile(np.array([cpu_cones.FAR, cpu_cones.FAR, 0, 0], np.int32), (n, 1))
        words = np.zeros((n, -(-(before + nodes.shape[0]) * steps // 64)), np.uint64)
        bit = (before + nodes.sites // (nodes.shape[1] * nodes.shape[2])) * steps + nodes.fired
        words[np.arange(n), bit // 64] = np.uint64(1) << (bit % 64).astype(np.uint64)
        cpu_cones.unite(links.offsets, links.targets, links.earlier, low_boxes, low_words, boxes, words)
        before += nodes.shape[0]
    return Footprints(boxes, words, (features, steps))
