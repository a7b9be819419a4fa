"""Augmentation of training windows: mirrored, or with polarities swapped, at random, where the configuration asks for it.

The same of whole recordings, labels and truth included, is `flipped`.

A window is flipped the same way in every epoch, so the output of the frozen layers for it can be cached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spikeseg.config.sections import AugmentationConfig
from spikeseg.data.recording import Recording


def augment(
    frames: np.ndarray, background: np.ndarray, config: AugmentationConfig, seed: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """One window, flipped or not.

    Args:
        frames: (T, P, H, W).
        background: its background rates (P, h, w); mirrored with the frames (to the block, where the width is no whole number of
            blocks).
        config: which flips are allowed; each happens with probability 1/2 when augmentation is enabled.
        seed: of the random draws, such as (seed, recording, window).

    Returns:
        copies, or the arguments themselves where nothing is flipped; the arguments are not changed.
    """
    if not config.enabled:
        return frames, background
    mirrored, swapped = np.random.default_rng(list(seed)).random(2) < 0.5
    if mirrored and config.flip_horizontal:
        frames, background = frames[..., ::-1].copy(), background[..., ::-1].copy()
    if swapped and config.flip_polarity:
        frames, background = frames[:, ::-1].copy(), background[::-1].copy()
    return frames, background


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
