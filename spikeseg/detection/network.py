"""A trained network, and its output for the windows of a recording."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spikeseg.config.estimate import windows_at_once
from spikeseg.core.sparse import SparseFrames, SparseMap
from spikeseg.data.windows import Windows

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
    """Windows encoded and traced back, as many together as `windows_at_once` says: which changes no result.

    Args:
        model: on any device.
        windows: see `WindowedRecording.windows`.
        classes: sets of classes whose spikes are traced back; None: all.
        wanted: int (N,), the first step of each window from which all sets are wanted, T and more: of none. Before it, the first
            set alone is traced, and the maps of the others are empty. None: all are wanted of all steps.
    """
    from spikeseg.models.decoder import decode_sets

    done, first_window = 0, next(windows, None)
    if first_window is None:
        return
    windows = itertools.chain([first_window], windows)
    steps, channels, height, width = first_window[1].shape[1:]
    at_once = windows_at_once(model.config, (steps, channels, height, width))
    while batch := list(itertools.islice(windows, at_once)):
        frames, rates = SparseFrames.joined([own for _, own, _ in batch]), np.stack([own for _, _, own in batch])
        spikes = model.infer(frames, rates)
        shape = (frames.shape[1], frames.shape[3], frames.shape[4])
        nothing = SparseMap(shape, np.zeros(0, np.int64), np.zeros(0, np.float32))
        maps = [[nothing] * len(batch) for _ in classes]
        starts = np.zeros(len(batch), np.int64) if wanted is None else wanted[done : done + len(batch)]
        for first, last in equal_runs(starts):
            seen, begin = frames.part(first, last), int(starts[first])
            part = {level: pooled.part(first, last) for level, pooled in spikes.items()}
            once = len(classes) if begin == 0 else 1
            found = decode_sets(model.encoder, seen, part, classes[:once])
            if once < len(classes) and begin < shape[0]:
                late = list(part)
                if model.config.use_delay_connections:
                    seen = seen.since(begin)
                else:  # what fired earlier is a gate of what is traced, too
                    late = late[-1:]
                part |= {level: part[level].since(begin) for level in late}
                found += decode_sets(model.encoder, seen, part, classes[once:])
            for own, new in zip(maps, found, strict=False):
                own[first:last] = new
        done += len(batch)
        for n, (_, own_frames, _) in enumerate(batch):
            yield DecodedWindow(
                own_frames, {level: pooled.part(n, n + 1) for level, pooled in spikes.items()}, [own[n] for own in maps]
            )


def equal_runs(numbers: np.ndarray) -> list[tuple[int, int]]:
    """Runs of equal numbers (n,): the first of each, and one beyond the last."""
    edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    return list(itertools.pairwise(edges)) if len(numbers) else []


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
