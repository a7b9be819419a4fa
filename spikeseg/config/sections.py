"""The configuration: every key with its default, its allowed values, its unit and its source.

The defaults are those of the reference configuration (configs/config.yaml). This is the one place that holds them: data, images
and simulate here, the network's in `network_sections`, those of a run and its results in `run_sections`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spikeseg.core.exact_range import THRESHOLD_LIMIT, check_range
from spikeseg.core.sizes import pooled_size
from spikeseg.errors import InputError
from spikeseg.registries import DATASETS

from .checking import Checker, Fail
from .from_paper import FromPaper
from .keys import COUNT_MAX, key
from .layer_spec import LayerSpec
from .network_sections import HomeostasisConfig, ModelConfig, STDPConfig, WTAConfig, WTAMode
from .run_sections import CheckpointConfig, ConvergenceConfig, EvaluationConfig, LoggingConfig, TrackingConfig

__all__ = [
    "SEED_MAX", "TIME_UNITS", "AugmentationConfig", "CheckpointConfig", "Config", "ConvergenceConfig", "DataConfig",
    "EvaluationConfig", "HomeostasisConfig", "ImagesConfig", "LoggingConfig", "ModelConfig", "STDPConfig", "SimulateConfig",
    "TrackingConfig", "WTAConfig", "WTAMode",
]  # fmt: skip

TIME_UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}  # name -> µs
SIDE_MAX_PX = 8192  # of frames and images
SEED_MAX = 2**32 - 1  # every generator takes 32 bits, with layers and recordings mixed in


@dataclass(frozen=True)
class AugmentationConfig:
    """What is done to training windows at random; each flip with probability 1/2."""

    enabled: bool = key(True)
    flip_horizontal: bool = key(True)
    flip_polarity: bool = key(False)
    flip_vertical: bool = key(False, omit_default=True)
    random_crop: tuple[int, ...] | None = key(None, low=1, high=SIDE_MAX_PX, omit_default=True)  # height, width of a part, pixels
    drop_rate: float = key(0.0, low=0.0, high=0.99, omit_default=True)  # share of the events that are lost
    noise_rate: float = key(0.0, low=0.0, high=100.0, omit_default=True)  # events that are added, per event


@dataclass(frozen=True)
class DataConfig:
    """Recordings, their framing and their splits."""

    dataset: str = key("ebssa", choices=DATASETS)
    data_root: str | None = key(None)
    sensor: str = key("all", choices=("ATIS", "DAVIS", "all"))
    batch_size: int = key(1, low=1, high=65_536)
    num_workers: int = key(0, low=0, high=256)  # processes for reading and preparing, threads for the network
    dask: str | None = key(None)  # address of a Dask scheduler, tcp://host:port, whose workers do it instead
    n_timesteps: int = key(10, low=1, high=4096)
    timestep_ms: float = key(10.0, low=0.001, high=3_600_000.0)
    window_overlap: float = key(0.0, low=0.0, high=0.99)  # share of a window that the next one sees again
    input_height: int | None = key(128, low=1, high=SIDE_MAX_PX)  # null: the sensor's
    input_width: int | None = key(128, low=1, high=SIDE_MAX_PX)
    input_channels: int = key(2, choices=(1, 2))  # 2: OFF, ON; 1: both merged
    normalize: bool = key(True)  # binary spikes; false: event counts
    train_ratio: float = key(0.9, above=0.0, high=1.0)  # share of what the test split leaves
    test_ratio: float = key(0.2, low=0.0, high=0.9)
    folds: int = key(0, low=0, high=10_000)  # parts that what the test split leaves is dealt into; 0: train_ratio divides it
    fold: int = key(0, low=0, high=10_000)  # the one held out, 1 to folds: it validates, the others train
    train_recordings: str | None = key(None, omit_default=True)  # file that lists those that train, in place of ratios and folds
    val_recordings: str | None = key(None, omit_default=True)  # likewise those that validate; what neither lists is for tests
    include_unlabelled: bool = key(True, omit_default=True)  # false: recordings without labels are left out
    windows_per_recording: int | None = key(None, low=1, high=COUNT_MAX, omit_default=True)  # that train, at most, spread evenly
    shuffle_train: bool = key(True, omit_default=True)  # false: windows are learned from in their order
    columns: str | None = key(None, omit_default=True)  # of rows without names, in their order, - for others; null: t,x,y,p
    time_unit: str = key("us", choices=tuple(TIME_UNITS), omit_default=True)  # of t in text, .npy, .npz, HDF5 with one array
    lenient: bool = key(False)  # accept recordings of which more than 1 % must be dropped
    transforms: list[dict[str, Any]] = key([{"name": "DropPixel", "hot_pixel_frequency": 50}])
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)

    def check(self, fail: Fail) -> None:
        """Check what involves several keys."""
        crop = self.augmentation.random_crop
        if crop is not None and len(crop) != 2:
            fail("data.augmentation.random_crop", list(crop), "two numbers, height and width in pixels")
        if self.augmentation.flip_polarity and self.input_channels == 1:
            fail("data.augmentation.flip_polarity", True, "false with data.input_channels = 1: both polarities are one")
        if self.val_recordings is not None and self.train_recordings is None:
            fail("data.val_recordings", self.val_recordings, "given together with data.train_recordings")
        if self.train_recordings is not None and (self.folds or self.fold):
            fail("data.train_recordings", self.train_recordings, "null with data.folds: either of them deals recordings out")
        if self.fold > self.folds:
            fail("data.fold", self.fold, f"at most data.folds = {self.folds}")
        window_us = self.n_timesteps * round(1000 * self.timestep_ms)
        if round((1.0 - self.window_overlap) * window_us) < 1:
            fail("data.window_overlap", self.window_overlap, f"less for windows of {window_us} µs, or they do not advance")


@dataclass(frozen=True)
class ImagesConfig(FromPaper):
    """Images as spikes, the layers that learn from them, and the read-out of `spikeseg classify` [Kheradpisheh 2018].

    maps, kernels, thresholds, pools, strides, winners and radii have one entry per layer. STDP's rates and initial weights, the
    mode of the competition and the C_l at which a layer stops are those of the sections stdp, wta and convergence.
    """

    _name = "images"

    group: str | None = key(None, omit_default=True)  # of file names: what it finds names the object; an object is in one part
    height: int | None = key(None, low=1, high=SIDE_MAX_PX)  # images are brought to this size; null: as they are
    width: int | None = key(None, low=1, high=SIDE_MAX_PX)
    filters: str = key("dog", choices=("dog", "gabor"), omit_default=True)  # that find edges; gabor: by orientation
    gabor_sizes: tuple[int, ...] = key((7,), low=3, high=255, omit_default=True)  # pixels, odd; a bank of filters of each size
    gabor_orientations: int = key(4, low=1, high=64, omit_default=True)
    gabor_pool: int = key(5, low=1, high=64, omit_default=True)  # pixels; the strongest response of each filter stays
    gabor_stride: int = key(4, low=1, high=64, omit_default=True)
    dog_size: int = key(7, low=3, high=255)  # pixels, odd
    dog_sigma: float = key(1.0, low=0.01, high=1000.0)  # of the centre; the surround's is twice as wide
    contrast: float = key(10.0, low=0.0, high=1e6)  # grey values; a weaker response of the filter gives no spike
    maps: tuple[int, ...] = key((32, 300), low=1, high=4095)
    kernels: tuple[int, ...] = key((5, 5), low=1, high=63)  # pixels, odd
    thresholds: tuple[float, ...] = key((10.0, 20.0), above=0.0, high=THRESHOLD_LIMIT)
    pools: tuple[int, ...] = key((2, 1), low=1, high=64)  # behind each layer but the last, whose potentials are read
    strides: tuple[int, ...] = key((2, 1), low=1, high=64)
    winners: tuple[int, ...] = key((5, 8), low=1, high=COUNT_MAX)  # per image, at most
    radii: tuple[int, ...] = key((2, 2), low=0, high=32_767)  # of the neighbourhood that a winner inhibits in all maps
    growth_every: int = key(500, low=1, high=COUNT_MAX)  # images after which the rates double
    lr_plus_max: float = key(0.15, above=0.0, high=1000.0)  # up to here
    max_images: int = key(60000, low=1, high=COUNT_MAX)  # shown to a layer, at most
    grid: int = key(
        3, low=1, high=SIDE_MAX_PX
    )  # rows and columns of cells in which the last potentials are pooled; 1: the whole map
    svm_c: float = key(0.001, low=1e-9, high=1e9)

    def __post_init__(self) -> None:
        names = ("maps", "kernels", "thresholds", "pools", "strides", "winners", "radii")
        lengths = {name: len(getattr(self, name)) for name in names}
        if len(set(lengths.values())) > 1 or not self.maps:
            raise InputError(f"images: one entry per layer each, found {lengths}")
        for name in ("kernels", "gabor_sizes", "dog_size"):
            sizes = (self.dog_size,) if name == "dog_size" else getattr(self, name)
            if any(size % 2 == 0 for size in sizes):
                raise InputError(f"images.{name}: found {getattr(self, name)}, must be odd")
        if any(stride > pool for pool, stride in zip(self.pools, self.strides, strict=True)):
            raise InputError(f"images.strides: found {self.strides}, must not exceed pools {self.pools}, or inputs are lost")
        if self.gabor_stride > self.gabor_pool:
            allowed = f"must not exceed gabor_pool {self.gabor_pool}, or pixels are lost"
            raise InputError(f"images.gabor_stride: found {self.gabor_stride}, {allowed}")
        if not self.gabor_sizes:
            raise InputError("images.gabor_sizes: found none, must hold one size at least")
        if self.group is not None:
            try:
                re.compile(self.group)
            except re.error as error:
                raise InputError(f"images.group: found {self.group!r}, must be a regular expression ({error})") from None


@dataclass(frozen=True)
class SimulateConfig:
    """The built-in labelled recordings of the night sky."""

    recordings: int = key(24, low=1, high=100_000)
    duration_s: float = key(8.0, low=0.1, high=3600.0)
    difficulty: str = key("medium", choices=("easy", "medium", "hard", "extreme"))
    sensor: str = key("DAVIS", choices=("DAVIS", "ATIS", "both"))
    noise: str = key("poisson", choices=("poisson", "measured"), omit_default=True)  # measured: a real sensor's in the dark
    seed: int | None = key(None, low=0, high=SEED_MAX)  # null: the top-level seed


@dataclass(frozen=True)
class Config:
    """The whole configuration."""

    experiment_name: str = key("spikeseg_default")
    output_dir: str = key("./runs")
    cache_dir: str = key("./data_cache")
    seed: int = key(42, low=0, high=SEED_MAX)
    device: str = key("auto")  # cuda where there is a GPU, else cpu
    backend: str = key("auto", choices=("auto", "reference", "cpu", "cuda"))  # kernels (spikeseg.ops); the same result with each
    max_epochs: int = key(50, low=1, high=1_000_000)
    max_samples_per_epoch: int | None = key(None, low=1, high=COUNT_MAX, omit_default=True)  # null: all
    train_conv1: bool = key(False)
    train_conv2: bool = key(True)
    train_conv3: bool = key(True)
    model: ModelConfig = field(default_factory=ModelConfig)
    stdp: STDPConfig = field(default_factory=STDPConfig)
    wta: WTAConfig = field(default_factory=WTAConfig)
    homeostasis: HomeostasisConfig = field(default_factory=HomeostasisConfig)
    data: DataConfig = field(default_factory=DataConfig)
    convergence: ConvergenceConfig = field(default_factory=ConvergenceConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    images: ImagesConfig = field(default_factory=ImagesConfig)
    simulate: SimulateConfig = field(default_factory=SimulateConfig)

    @classmethod
    def checked(cls, content: Mapping[str, Any], origin: str, origins: Mapping[str, str] | None = None) -> Config:
        """The configuration that a nested dictionary holds; keys that are missing have their defaults.

        Args:
            content: sections and their keys.
            origin: where it comes from, for errors.
            origins: what errors say first of single keys, by their dotted names.

        Raises:
            InputError: a key, type or value that is not allowed, or values that contradict each other.
        """
        checker = Checker(origins or {}, origin)
        config: Config = checker.section(cls, content)
        for section in (config.model, config.stdp, config.wta, config.homeostasis, config.data):
            section.check(checker.fail)
        config._check_together(checker.fail)
        return config

    def layers(self) -> tuple[LayerSpec, ...]:
        """The network's convolutions; `learned` as train_conv1, train_conv2, train_conv3 say."""
        switches = {"conv1": self.train_conv1, "conv2": self.train_conv2, "conv3": self.train_conv3}
        return self.model.layers([name for name, on in switches.items() if on])

    def learned_layers(self) -> list[str]:
        """The names of the layers that are trained, in order."""
        return [layer.name for layer in self.layers() if layer.learned]

    def _check_together(self, fail: Fail) -> None:
        """Check what involves several sections."""
        model, stdp, wta = self.model, self.stdp, self.wta
        if self.train_conv1 and model.conv1_scales != (1,):
            fail("model.conv1_scales", list(model.conv1_scales), "[1] with train_conv1, whose filters are learned")
        rest, top = self.homeostasis.range
        for layer in model.layers():
            if layer.threshold + (rest if layer.learned else 0.0) <= 0:
                fail("model.thresholds", list(model.thresholds), f"such that {layer.name} ends above 0")
        fan_in = self.data.input_channels
        for layer in self.layers():
            try:
                check_range(
                    layer.name,
                    fan_in=fan_in * layer.kernel**2,
                    max_weight=max(1.0, stdp.reach if layer.learned else 1.0),
                    max_threshold=layer.threshold + (top if layer.learned else 0.0),
                )
            except ValueError as error:
                raise InputError(f"model: {error}") from None
            fan_in = layer.channels
        self._check_pools(fail)
        lowest = min(layer.threshold for layer in model.layers() if layer.learned) + rest
        if wta.enable_homeostasis and wta.threshold_min > lowest:
            warnings.warn(
                f"wta.threshold_min = {wta.threshold_min:g} exceeds the lowest threshold of a learned layer ({lowest:g}): with "
                "wta.enable_homeostasis, neurons whose potential lies between the two fire but never learn",
                stacklevel=2,
            )

    def _check_pools(self, fail: Fail) -> None:
        """Refuse a pool that is larger than what it pools, where the size of frames is set."""
        for side in ("input_height", "input_width"):
            length = getattr(self.data, side)
            for layer in self.model.layers() if length is not None else ():
                if layer.pool is None:
                    continue
                if layer.pool.kernel > length:
                    at = f"data.{side} = {getattr(self.data, side)}"
                    fail(
                        f"model.{layer.pool.name}_kernel", layer.pool.kernel, f"at most {length}, all that is left of {at} there"
                    )
                length = pooled_size(length, layer.pool.kernel, layer.pool.stride)
