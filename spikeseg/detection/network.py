"""A trained network, and its output for the windows of a recording."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spikeseg.core.sparse import SparseFrames, SparseMap
from spikeseg.data.windows import AT_ONCE, Windows

if TYPE_CHECKING:
    import torch

    from spikeseg.config.sections import Config
    from spikeseg.models import SpikeSEG
    from spikeseg.ops.types import PooledSpikes


class DecodedWindow(NamedTuple):
    """One window, encoded and decoded.

    Attributes:
        frames: of the window, one sample.
        spikes: by layer, as `Encoder.infer` gives those of one sample.
        maps: its saliency, once per set of classes.
    """

    frames: SparseFrames
    spikes: dict[str, PooledSpikes]
    maps: list[SparseMap]


def decoded(
    model: SpikeSEG, windows: Windows, classes: Sequence[Sequence[int] | None], wanted: np.ndarray | None = None
) -> Iterator[DecodedWindow]:
    """Windows encoded and traced back, AT_ONCE together: which changes no result.

    Args:
        model: on any device.
        windows: see `WindowedRecording.windows`.
        classes: sets of classes whose spikes are traced back; None: all.
        wanted: bool (N,), windows of which all sets are wanted: of the others the first alone is traced. None: of all windows.
    """
    from spikeseg.models.decoder import decode_sparse

    done = 0
    while batch := list(itertools.islice(windows, AT_ONCE)):
        frames, rates = SparseFrames.joined([own for _, own, _ in batch]), np.stack([own for _, _, own in batch])
        spikes = model.infer(frames, rates)
        maps = (
            [[saliency] for saliency in decode_sparse(model.encoder, frames, spikes, classes[0])]
            if classes
            else [[]] * len(batch)
        )
        for first, last in runs(np.ones(len(batch), bool) if wanted is None else wanted[done : done + len(batch)]):
            part = {level: pooled.part(first, last) for level, pooled in spikes.items()}
            for chosen in classes[1:]:
                for n, saliency in enumerate(decode_sparse(model.encoder, frames.part(first, last), part, chosen), first):
                    maps[n].append(saliency)
        done += len(batch)
        for n, (_, own, _) in enumerate(batch):
            yield DecodedWindow(own, {level: pooled.part(n, n + 1) for level, pooled in spikes.items()}, maps[n])


def runs(marks: np.ndarray) -> list[tuple[int, int]]:
    """Runs of True in bool (n,): the first of each, and one beyond the last."""
    edges = np.flatnonzero(np.diff(marks.astype(np.int8), prepend=0, append=0))
    return [(first, last) for first, last in edges.reshape(-1, 2).tolist()]


def load_network(cfg: Config, path: str, device: torch.device) -> SpikeSEG:
    """The network of a checkpoint, as the configuration runs it, on a device.

    Raises:
        InputError: the file is no checkpoint, or its tensors have another shape than the configuration asks for.
    """
    from spikeseg.learning import checkpoint

    saved, _ = checkpoint.load(path)
    model = checkpoint.rebuilt(saved, cfg, path)
    model.encoder.backend = cfg.backend
    return model.to(device)
