"""Augmentation of training windows at random, where the configuration asks for it: flips, crops, lost events and noise.

The flips of whole recordings, labels and truth included, are `flipped`.

A window is changed the same way in every epoch, so the output of the frozen layers for it can be cached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spikeseg.config.sections import AugmentationConfig
from spikeseg.data.recording import Recording

from .background import BLOCK, block_side


def augment(
    frames: np.ndarray, background: np.ndarray, config: AugmentationConfig, seed: Sequence[int], *, binary: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """One window, changed at random as the configuration allows: flipped, cropped, thinned, with noise, in this order.

    Args:
        frames: (T, P, H, W), whole numbers.
        background: its background rates (P, h, w), which follow (to the block, where frames are no whole number of blocks).
        config: what is allowed; each flip happens with probability 1/2 when augmentation is enabled, everything else always.
        seed: of the random draws, such as (seed, recording, window).
        binary: whether frames hold 0 and 1, and not counts.

    Returns:
        copies, or the arguments themselves where nothing is changed; the arguments are not changed.
    """
    if not config.enabled:
        return frames, background
    rng = np.random.default_rng(list(seed))
    mirrored, swapped = rng.random(2) < 0.5
    upended = rng.random() < 0.5
    if mirrored and config.flip_horizontal:
        frames, background = frames[..., ::-1].copy(), background[..., ::-1].copy()
    if swapped and config.flip_polarity:
        frames, background = frames[:, ::-1].copy(), background[::-1].copy()
    if upended and config.flip_vertical:
        frames, background = frames[..., ::-1, :].copy(), background[..., ::-1, :].copy()
    if config.random_crop is not None:
        frames, background = _cropped(frames, background, config.random_crop, rng)
    if config.drop_rate:
        frames = _thinned(frames, config.drop_rate, rng)
        background = background * np.float32(1 - config.drop_rate)
    if config.noise_rate:
        frames, added = _with_noise(frames, config.noise_rate, rng, most=1 if binary else np.iinfo(np.uint16).max)
        background = background + np.float32(added / frames.size)
    return frames, background


def _cropped(
    frames: np.ndarray, background: np.ndarray, size: Sequence[int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A part of size (height, width) at a random place; a side of the frames that is shorter stays whole."""
    whole = frames.shape[-2:]
    height, width = (min(part, side) for part, side in zip(size, whole, strict=True))
    top, left = (int(rng.integers(side - part + 1)) for part, side in zip((height, width), whole, strict=True))
    part = frames[..., top : top + height, left : left + width].copy()
    if not background.size:
        return part, background
    old, new = block_side(whole, background.shape[-2:]), block_side((height, width), (-(-height // BLOCK), -(-width // BLOCK)))
    rows, columns = (
        (first + np.minimum(np.arange(0, side, new) + new // 2, side - 1)) // old
        for first, side in ((top, height), (left, width))
    )
    return part, background[:, rows[:, None], columns]  # of each new block the rate where its middle was


def _thinned(frames: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Frames that have lost each event with this probability."""
    left, events = frames.copy(), frames != 0
    left[events] = rng.binomial(frames[events], 1 - rate)
    return left


def _with_noise(frames: np.ndarray, rate: float, rng: np.random.Generator, most: int) -> tuple[np.ndarray, int]:
    """Frames with `rate` times as many events more, anywhere in the window, of which a cell holds `most`; and how many."""
    added = round(rate * float(frames.sum()))
    counts = frames.reshape(-1) + np.bincount(rng.integers(frames.size, size=added), minlength=frames.size)
    return np.minimum(counts, most).astype(frames.dtype).reshape(frames.shape), added


def flipped(recording: Recording, *, horizontal: bool = False, polarity: bool = False) -> Recording:
    """A recording, mirrored left to right, or with ON and OFF swapped, or both; events, labels and truth stay in register.

    The frames of a mirrored recording are the mirrored frames of the recording. The argument is not changed.
    """
    events, labels = recording.events.copy(), None if recording.labels is None else recording.labels.copy()
    if horizontal:
        last = recording.sensor_size[0] - 1
        events["x"] = last - events["x"]
        if labels is not None:
            labels["x"] = last - labels["x"]
    if polarity:
        events["p"] = ~events["p"]
    return replace(recording, events=events, labels=labels)
