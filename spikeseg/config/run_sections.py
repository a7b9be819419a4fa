"""The sections of how a run goes and what is made of its results: convergence, checkpoint, logging, evaluation, tracking."""

from __future__ import annotations

from dataclasses import dataclass

from .keys import COUNT_MAX, DAY_MS, key

RADIUS_MAX_PX = 100.0
"""Of discs, whose pixels are listed."""
DISTANCE_MAX_PX = 32_767.0
"""No sensor is larger."""


@dataclass(frozen=True)
class ConvergenceConfig:
    """When a layer stops learning."""

    min_wins_per_neuron: int = key(10, low=0, high=COUNT_MAX)
    target_ratio: float = key(0.9, above=0.0, high=1.0)  # share of maps that must stand still
    patience: int = key(20, low=1, high=COUNT_MAX)  # epochs without a lower C_l
    delta_threshold: float = key(0.0001, low=0.0, high=1e6)  # mean |dw| between two checks
    check_interval: int = key(100, low=1, high=COUNT_MAX)  # samples
    c_l_threshold: float = key(0.01, low=0.0, high=1e6)  # C_l, the mean of w(1-w) [Kheradpisheh 2018, eq. 4]


@dataclass(frozen=True)
class CheckpointConfig:
    """What training keeps on disk."""

    save_dir: str = key("checkpoints")  # inside the run's folder
    save_interval: int = key(1, low=1, high=COUNT_MAX)  # epochs
    keep_last_n: int = key(3, low=0, high=COUNT_MAX)
    save_best: bool = key(True)
    save_on_interrupt: bool = key(True)


@dataclass(frozen=True)
class LoggingConfig:
    """What training logs."""

    log_dir: str = key("logs")  # inside the run's folder
    log_level: str = key("INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    log_interval: int = key(100, low=1, high=COUNT_MAX)  # samples
    tensorboard: bool = key(True)
    wandb: bool = key(False)
    wandb_project: str = key("spikeseg")


@dataclass(frozen=True)
class EvaluationConfig:
    """How results are scored, and the settings of the two activity filters."""

    radius_px: float = key(5.0, above=0.0, high=RADIUS_MAX_PX)  # event and volume
    pixel_tolerance_px: float = key(1.0, low=0.0, high=RADIUS_MAX_PX)
    spatial_tolerance_px: float = key(5.0, above=0.0, high=RADIUS_MAX_PX)  # object
    slice_ms: float = key(10.0, low=0.1, high=DAY_MS)  # volume [Afshar 2020]
    max_label_gap_ms: float = key(1000.0, above=0.0, high=DAY_MS)  # no interpolation over longer ones
    scope: str = key("recording", choices=("recording", "labelled_span"))
    readout: str = key("all", choices=("all", "calibrated"))
    bootstrap: int = key(1000, low=1, high=100_000)
    confidence: float = key(0.95, above=0.0, high=0.9999)
    denoise_filter_time_us: int = key(10000, low=1, high=10**9)
    graded_radius_px: int = key(3, low=1, high=32)
    graded_tau_ms: float = key(500.0, low=0.001, high=DAY_MS)


@dataclass(frozen=True)
class TrackingConfig:
    """From salient pixels to objects and tracks."""

    hulk: bool = key(False)  # objects from single spikes, unravelled one by one; false: connected blobs of all saliency
    smash: bool = key(True)  # under hulk: group instances by SMASH; false: each an object of its own
    smash_threshold: float = key(0.1, low=0.0, high=1.0)
    min_hits: int = key(3, low=2, high=COUNT_MAX)  # slices of time (0.1 s)
    max_misses: int = key(3, low=0, high=COUNT_MAX)  # slices of time
    gate_px: float = key(10.0, above=0.0, high=DISTANCE_MAX_PX)
    object_threshold: float = key(0.5, low=0.0, high=1.0)  # of a track's score: from here on it is an object, below a star
    false_alarms_per_minute: float = key(0.1, low=1e-6, high=1000.0, omit_default=True)  # of the motion layer, by noise alone
    deep: bool = key(False, omit_default=True)  # the motion layer looks longer, by its footprint
    scene_window_ms: float | None = key(None, low=1.0, high=60_000.0, omit_default=True)  # of scenes; null: derived
    scenes: bool = key(False, omit_default=True)  # objects of any size and speed, whole: for real scenes instead of night skies
