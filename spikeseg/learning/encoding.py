"""What a layer learns from: windows, augmented, through the frozen layers below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spikeseg.config.layer_spec import LayerSpec
    from spikeseg.config.sections import Config
    from spikeseg.core.sparse import SpikeLists
    from spikeseg.models import SpikeSEG


def frozen_below(cfg: Config, layer: str) -> LayerSpec | None:
    """The layer whose output a layer learns from, or None for the first, which learns from the frames."""
    index = cfg.model.layer(layer).index
    return next((spec for spec in cfg.layers() if spec.index == index - 1), None)


def windows_used(n_windows: int, most: int | None) -> np.ndarray:
    """Which of a recording's windows are learned from: int64, all, or `most` of them, spread evenly over the recording."""
    if most is None or n_windows <= most:
        return np.arange(n_windows)
    return ((np.arange(most) + 0.5) * n_windows / most).astype(np.int64)


def training_spikes(
    model: SpikeSEG, cfg: Config, layer: str, windows: np.ndarray, rates: np.ndarray, numbers: Sequence[tuple[int, int]]
) -> SpikeLists:
    """The spikes that a layer is trained on.

    Args:
        model: the network, its layers below trained.
        cfg: the configuration.
        layer: its name.
        windows: (N, T, P, H, W) frames, whole numbers.
        rates: (N, P, h, w) float32, their background activity.
        numbers: of each window its recording's and its own, which decide how it is augmented.

    Returns:
        N samples of the layer below, after its pool; of the frames, for the first layer.
    """
    from spikeseg.core.sparse import SpikeLists
    from spikeseg.data.frames.augmentation import augment

    augmented = [
        augment(window, window_rates, cfg.data.augmentation, seed=(cfg.seed, *number), binary=cfg.data.normalize)
        for window, window_rates, number in zip(windows, rates, numbers, strict=True)
    ]
    frames = np.stack([window for window, _ in augmented])
    below = frozen_below(cfg, layer)
    if below is None:
        return SpikeLists.of(frames)
    background = np.stack([window_rates for _, window_rates in augmented])
    encoded = model.infer(frames, background, upto=below.name, threads=max(1, cfg.data.num_workers))
    return encoded[below.output].lists


def prepare_first_layer(model: SpikeSEG, cfg: Config) -> None:
    """Draw conv1's weights at random, in place of its fixed filters, and add theta_rest of homeostasis to its thresholds."""
    model.initialise("conv1", cfg.seed, cfg.stdp)
    model.encoder.conv1.threshold += cfg.homeostasis.theta_rest if cfg.homeostasis.enabled else 0.0
