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


def decoded(model: SpikeSEG, windows: Windows, classes: Sequence[Sequence[int] | None]) -> Iterator[DecodedWindow]:
    """Windows encoded and traced back, AT_ONCE together: which changes no result.

    Args:
        model: on any device.
        windows: see `WindowedRecording.windows`.
        classes: sets of classes whose spikes are traced back; None: all.
    """
    from spikeseg.models.decoder import decode_sparse

    while batch := list(itertools.islice(windows, AT_ONCE)):
        frames, rates = SparseFrames.joined([own for _, own, _ in batch]), np.stack([own for _, _, own in batch])
        spikes = model.infer(frames, rates)
        maps = [decode_sparse(model.encoder, frames, spikes, chosen) for chosen in classes]
        for n, (_, own, _) in enumerate(batch):
            of_window = {level: pooled.part(n, n + 1) for level, pooled in spikes.items()}
            yield DecodedWindow(own, of_window, [saliency[n] for saliency in maps])


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
