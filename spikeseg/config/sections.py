"""The configuration's sections: every key with its default, its allowed values, its unit and its source.

The defaults are those of the reference configuration (configs/config.yaml). This is the one place that holds them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NoReturn, TypeVar

from spikeseg.core.leak import CONFIGURABLE, LeakMode
from spikeseg.errors import InputError
from spikeseg.registries import DATASETS, RULES

from .checking import Checker
from .files import Stack, read_paper
from .keys import key
from .layer_spec import LayerSpec, PoolSpec, scaled_kernel

S = TypeVar("S", bound="_FromPaper")
TIME_UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}  # name -> µs
SEED_MAX = 2**32 - 1  # every generator takes 32 bits, with layers and recordings mixed in
Fail = Callable[[str, Any, str], NoReturn]


class WTAMode(str, Enum):
    """Who competes: neurons of one map ('global'), neighbours of all maps ('local'), or both."""

    GLOBAL = "global"
    LOCAL = "local"
    BOTH = "both"


class _FromPaper:
    """Sections that a paper's preset can fill."""

    _name = ""

    @classmethod
    def from_paper(cls: type[S], paper: str, **changes: Any) -> S:
        """This section under a paper's preset ('igarss2023', 'kheradpisheh2018'), with some keys changed.

        Raises:
            InputError: unknown paper, key or value.
        """
        stack = Stack()
        stack.add(read_paper(paper), paper)
        stack.add({f"{cls._name}.{name}": value for name, value in changes.items()}, "overrides")
        section: S = getattr(Config.checked(stack.content, "defaults", stack.origins), cls._name)
        return section


@dataclass(frozen=True)
class ModelConfig(_FromPaper):
    """The network: sizes, thresholds and leaks of conv1, conv2, conv3, in this order."""

    _name = "model"

    n_classes: int = key(1, low=1)
    conv1_channels: int = key(4, low=1)
    conv1_scales: tuple[int, ...] = key((1,), low=1, omit_default=True)  # conv1's fixed filters once at each size, in kernels
    conv2_channels: int = key(36, low=1)
    kernel_sizes: tuple[int, ...] = key((5, 5, 7), low=1)  # pixels, odd
    pool1_kernel: int = key(2, low=1)
    pool1_stride: int = key(2, low=1)
    pool2_kernel: int = key(2, low=1)
    pool2_stride: int = key(2, low=1)
    thresholds: tuple[float, ...] = key((0.1, 0.1, 0.1), low=0.0)  # base; homeostasis adds its theta to learned layers
    leaks: tuple[float, ...] = key((0.09, 0.01, 0.0), low=0.0)  # lost per step: potential (subtractive) or share (multiplicative)
    use_dog_filters: bool = key(True)  # conv1: differences of Gaussians; false: Gabor filters
    leak_mode: str = key("subtractive", choices=CONFIGURABLE)
    background_adaptive: bool = key(True)  # raise conv1's thresholds by the local background activity
    background_sigmas: float = key(3.0, low=0.0)  # k of theta + b + k sqrt(b)
    adaptive_thresholds: bool = key(False, omit_default=True)  # of learned layers: what homeostasis raised falls with the drive
    use_delay_connections: bool = key(True)  # the decoder reaches spikes of earlier steps
    delay_decay: float = key(0.9, low=0.0, high=1.0)  # decay of that reach per step
    motion: bool = key(False, omit_default=True)  # velocity-tuned maps behind the tracker: points that move, however faint

    def layers(self, learned: Collection[str] = ("conv2", "conv3")) -> tuple[LayerSpec, ...]:
        """The convolutions, from the input to the classes.

        Args:
            learned: names of those that learn; `Config.layers` takes them from train_conv1, train_conv2, train_conv3.
        """
        channels = (self.conv1_channels * len(self.conv1_scales), self.conv2_channels, self.n_classes)
        kernels = (scaled_kernel(self.kernel_sizes[0], max(self.conv1_scales)), *self.kernel_sizes[1:])
        pool1 = PoolSpec("pool1", self.pool1_kernel, self.pool1_stride)
        pool2 = PoolSpec("pool2", self.pool2_kernel, self.pool2_stride)
        values = zip(channels, kernels, self.thresholds, self.leaks, (pool1, pool2, None), strict=True)
        return tuple(LayerSpec(f"conv{i}", i, *of_layer, f"conv{i}" in learned) for i, of_layer in enumerate(values, 1))

    def layer(self, name: str) -> LayerSpec:
        """The layer of this name. Raises InputError, naming those there are, where it is none."""
        layers = {layer.name: layer for layer in self.layers()}
        if name not in layers:
            raise InputError(f"layer: {name!r}, must be one of {', '.join(layers)}")
        return layers[name]


@dataclass(frozen=True)
class STDPConfig(_FromPaper):
    """Spike-timing dependent plasticity and the weights it starts from [Kheradpisheh 2018; Kirkland 2023]."""

    _name = "stdp"

    lr_plus: float = key(0.04, low=0.0)  # a+
    lr_minus: float = key(0.03, low=0.0)  # a-
    weight_min: float = key(0.0)
    weight_max: float = key(1.0)
    weight_init_mean: float = key(0.8)
    weight_init_std: float = key(0.01, low=0.0)
    use_soft_bounds: bool = key(True)  # changes scaled by w(1-w)
    rule: str | None = key(None, choices=RULES, omit_default=True)  # null: multiplicative with soft bounds, additive without


@dataclass(frozen=True)
class WTAConfig(_FromPaper):
    """Winner-take-all, with its own homeostasis per neuron (thresholds of the competition alone)."""

    _name = "wta"

    mode: WTAMode = key(WTAMode.BOTH)
    local_radius: int = key(2, low=0)  # neurons, Chebyshev distance
    enable_homeostasis: bool = key(True)
    target_rate: float = key(0.1, low=0.0, high=1.0)  # share of competitions won
    homeostasis_lr: float = key(0.001, low=0.0)
    threshold_min: float = key(1.0, low=0.0)
    threshold_max: float = key(100.0, low=0.0)
    max_winners: int | None = key(None, low=1)  # per sample; null: no limit

    def __post_init__(self) -> None:
        object.__setattr__(self, "mode", WTAMode(self.mode))


@dataclass(frozen=True)
class HomeostasisConfig(_FromPaper):
    """Homeostasis per feature map: its theta is added to the layer's threshold and kept for inference."""

    _name = "homeostasis"

    enabled: bool = key(True)
    theta_rest: float = key(0.1, low=0.0)
    theta_plus: float = key(0.02, low=0.0)  # per win
    tau_theta: float = key(500.0, low=1.0)  # samples
    theta_max: float = key(10.0, above=0.0)
    dead_neuron_recovery: bool = key(True)
    dead_threshold: float = key(0.01, low=0.0, high=1.0)  # share of samples won below which a map is dead
    recovery_boost: float = key(0.1, low=0.0)  # standard deviation of the noise added to a dead map's weights
    dead_warmup: int = key(100, low=1)  # samples before a map can count as dead


@dataclass(frozen=True)
class AugmentationConfig:
    """Flips of training windows, each with probability 1/2."""

    enabled: bool = key(True)
    flip_horizontal: bool = key(True)
    flip_polarity: bool = key(False)


@dataclass(frozen=True)
class DataConfig:
    """Recordings, their framing and their splits."""

    dataset: str = key("ebssa", choices=DATASETS)
    data_root: str | None = key(None)
    sensor: str = key("all", choices=("ATIS", "DAVIS", "all"))
    batch_size: int = key(1, low=1)
    num_workers: int = key(0, low=0)  # processes for reading and preparing, threads for the network
    dask: str | None = key(None)  # address of a Dask scheduler, tcp://host:port, whose workers do it instead
    n_timesteps: int = key(10, low=1)
    timestep_ms: float = key(10.0, low=0.001)
    window_overlap: float = key(0.0, low=0.0, high=0.99)  # share of a window that the next one sees again
    input_height: int | None = key(128, low=1)  # null: the sensor's
    input_width: int | None = key(128, low=1)
    input_channels: int = key(2, choices=(2,))  # OFF, ON
    normalize: bool = key(True)  # binary spikes; false: event counts
    train_ratio: float = key(0.9, above=0.0, high=1.0)  # share of what the test split leaves
    test_ratio: float = key(0.2, low=0.0, high=0.9)
    folds: int = key(0, low=0)  # parts that what the test split leaves is dealt into; 0: train_ratio divides it
    fold: int = key(0, low=0)  # the one held out, 1 to folds: it validates, the others train
    columns: str | None = key(None, omit_default=True)  # of rows without names, in their order, - for others; null: t,x,y,p
    time_unit: str = key("us", choices=tuple(TIME_UNITS), omit_default=True)  # of t in text, .npy, .npz, HDF5 with one array
    lenient: bool = key(False)  # accept recordings of which more than 1 % must be dropped
    transforms: list[dict[str, Any]] = key([{"name": "DropPixel", "hot_pixel_frequency": 50}])
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)


@dataclass(frozen=True)
class ConvergenceConfig:
    """When a layer stops learning."""

    min_wins_per_neuron: int = key(10, low=0)
    target_ratio: float = key(0.9, above=0.0, high=1.0)  # share of maps that must stand still
    patience: int = key(20, low=1)  # epochs without a lower C_l
    delta_threshold: float = key(0.0001, low=0.0)  # mean |dw| between two checks
    check_interval: int = key(100, low=1)  # samples
    c_l_threshold: float = key(0.01, low=0.0)  # C_l, the mean of w(1-w) [Kheradpisheh 2018, eq. 4]


@dataclass(frozen=True)
class CheckpointConfig:
    """What training keeps on disk."""

    save_dir: str = key("checkpoints")  # inside the run's folder
    save_interval: int = key(1, low=1)  # epochs
    keep_last_n: int = key(3, low=0)
    save_best: bool = key(True)
    save_on_interrupt: bool = key(True)


@dataclass(frozen=True)
class LoggingConfig:
    """What training logs."""

    log_dir: str = key("logs")  # inside the run's folder
    log_level: str = key("INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    log_interval: int = key(100, low=1)  # samples
    tensorboard: bool = key(True)
    wandb: bool = key(False)
    wandb_project: str = key("spikeseg")


@dataclass(frozen=True)
class EvaluationConfig:
    """How results are scored, and the settings of the two activity filters."""

    radius_px: float = key(5.0, above=0.0)  # event and volume
    pixel_tolerance_px: float = key(1.0, low=0.0)
    spatial_tolerance_px: float = key(5.0, above=0.0)  # object
    slice_ms: float = key(10.0, above=0.0)  # volume [Afshar 2020]
    max_label_gap_ms: float = key(1000.0, above=0.0)  # no interpolation over longer ones
    scope: str = key("recording", choices=("recording", "labelled_span"))
    readout: str = key("all", choices=("all", "calibrated"))
    bootstrap: int = key(1000, low=1)
    confidence: float = key(0.95, above=0.0, high=0.9999)
    denoise_filter_time_us: int = key(10000, low=1)
    graded_radius_px: int = key(3, low=1)
    graded_tau_ms: float = key(500.0, above=0.0)


@dataclass(frozen=True)
class TrackingConfig:
    """From salient pixels to objects and tracks."""

    hulk: bool = key(False)  # objects from single spikes, unravelled one by one; false: connected blobs of all saliency
    smash: bool = key(True)  # under hulk: group instances by SMASH; false: each an object of its own
    smash_threshold: float = key(0.1, low=0.0, high=1.0)
    min_hits: int = key(3, low=2)  # slices of time (0.1 s)
    max_misses: int = key(3, low=0)  # slices of time
    gate_px: float = key(10.0, above=0.0)
    object_threshold: float = key(0.5, low=0.0, high=1.0)  # of a track's score: from here on it is an object, below a star
    false_alarms_per_minute: float = key(0.1, above=0.0, omit_default=True)  # of the motion layer, by noise alone
    deep: bool = key(False, omit_default=True)  # the motion layer looks longer: one scale and more candidates
    scene_window_ms: float | None = key(None, low=1.0, high=60_000.0, omit_default=True)  # of scenes; null: derived
    scenes: bool = key(False, omit_default=True)  # objects of any size and speed, whole: for real scenes instead of night skies


@dataclass(frozen=True)
class ImagesConfig(_FromPaper):
    """Images as spikes, the layers that learn from them, and the read-out of `spikeseg classify` [Kheradpisheh 2018].

    maps, kernels, thresholds, pools, strides, winners and radii have one entry per layer. STDP's rates and initial weights, the
    mode of the competition and the C_l at which a layer stops are those of the sections stdp, wta and convergence.
    """

    _name = "images"

    height: int | None = key(None, low=1)  # images are brought to this size; null: as they are
    width: int | None = key(None, low=1)
    dog_size: int = key(7, low=3)  # pixels, odd
    dog_sigma: float = key(1.0, above=0.0)  # of the centre; the surround's is twice as wide
    contrast: float = key(10.0, low=0.0)  # grey values; a weaker response of the filter gives no spike
    maps: tuple[int, ...] = key((32, 300), low=1)
    kernels: tuple[int, ...] = key((5, 5), low=1)  # pixels, odd
    thresholds: tuple[float, ...] = key((10.0, 20.0), above=0.0)
    pools: tuple[int, ...] = key((2, 1), low=1)  # behind each layer but the last, whose potentials are read
    strides: tuple[int, ...] = key((2, 1), low=1)
    winners: tuple[int, ...] = key((5, 8), low=1)  # per image, at most
    radii: tuple[int, ...] = key((2, 2), low=0)  # of the neighbourhood that a winner inhibits in all maps
    growth_every: int = key(500, low=1)  # images after which the rates double
    lr_plus_max: float = key(0.15, above=0.0)  # up to here
    max_images: int = key(60000, low=1)  # shown to a layer, at most
    grid: int = key(3, low=1)  # rows and columns of cells in which the last potentials are pooled; 1: the whole map
    svm_c: float = key(0.001, above=0.0)

    def __post_init__(self) -> None:
        names = ("maps", "kernels", "thresholds", "pools", "strides", "winners", "radii")
        lengths = {name: len(getattr(self, name)) for name in names}
        if len(set(lengths.values())) > 1 or not self.maps:
            raise InputError(f"images: one entry per layer each, found {lengths}")
        for name in ("kernels", "dog_size"):
            sizes = getattr(self, name) if name == "kernels" else (self.dog_size,)
            if any(size % 2 == 0 for size in sizes):
                raise InputError(f"images.{name}: found {getattr(self, name)}, must be odd")
        if any(stride > pool for pool, stride in zip(self.pools, self.strides, strict=True)):
            raise InputError(f"images.strides: found {self.strides}, must not exceed pools {self.pools}, or inputs are lost")


@dataclass(frozen=True)
class SimulateConfig:
    """The built-in labelled recordings of the night sky."""

    recordings: int = key(24, low=1)
    duration_s: float = key(8.0, above=0.0)
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
    device: str = key("cuda")
    backend: str = key("auto", choices=("auto", "reference", "cpu", "cuda"))  # kernels (spikeseg.ops); the same result with each
    max_epochs: int = key(50, low=1)
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
            origins: the same for single keys, by their dotted names.

        Raises:
            InputError: a key, type or value that is not allowed, or values that contradict each other.
        """
        checker = Checker(origins or {}, origin)
        config: Config = checker.section(cls, content)
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
        """Check what involves several keys."""
        model, stdp, wta, homeostasis = self.model, self.stdp, self.wta, self.homeostasis
        for name in ("kernel_sizes", "thresholds", "leaks"):
            if len(values := getattr(model, name)) != 3:
                fail(f"model.{name}", list(values), "three values, one per layer")
        if any(size % 2 == 0 for size in model.kernel_sizes):
            fail("model.kernel_sizes", list(model.kernel_sizes), "odd numbers ('same' padding)")
        scales = model.conv1_scales
        if len(set(scales)) < max(1, len(scales)) or (self.train_conv1 and scales != (1,)):
            fail("model.conv1_scales", list(scales), "different scales, and [1] with train_conv1, whose filters are learned")
        for pool in ("pool1", "pool2"):
            kernel, stride = getattr(model, f"{pool}_kernel"), getattr(model, f"{pool}_stride")
            if stride > kernel:
                fail(f"model.{pool}_stride", stride, f"at most model.{pool}_kernel = {kernel}, or inputs are lost")
        if LeakMode(model.leak_mode).loses_share and max(model.leaks) > 1:
            fail("model.leaks", list(model.leaks), f"at most 1 with the {model.leak_mode} leak (a share lost per step)")
        if stdp.weight_min >= stdp.weight_max:
            fail("stdp.weight_min", stdp.weight_min, f"below stdp.weight_max = {stdp.weight_max:g}")
        if not stdp.weight_min <= stdp.weight_init_mean <= stdp.weight_max:
            fail("stdp.weight_init_mean", stdp.weight_init_mean, f"within {stdp.weight_min:g} to {stdp.weight_max:g}")
        if wta.threshold_min >= wta.threshold_max:
            fail("wta.threshold_min", wta.threshold_min, f"below wta.threshold_max = {wta.threshold_max:g}")
        if homeostasis.theta_rest > homeostasis.theta_max:
            fail("homeostasis.theta_rest", homeostasis.theta_rest, f"at most theta_max = {homeostasis.theta_max:g}")
        rest = homeostasis.theta_rest if homeostasis.enabled else 0.0
        for layer in model.layers():
            if layer.threshold + (rest if layer.learned else 0.0) <= 0:
                fail("model.thresholds", list(model.thresholds), f"such that {layer.name} ends above 0")
        lowest = min(layer.threshold for layer in model.layers() if layer.learned) + rest
        if wta.enable_homeostasis and wta.threshold_min > lowest:
            warnings.warn(
                f"wta.threshold_min = {wta.threshold_min:g} exceeds the lowest threshold of a learned layer ({lowest:g}): with "
                "wta.enable_homeostasis, neurons whose potential lies between the two fire but never learn",
                stacklevel=2,
            )
