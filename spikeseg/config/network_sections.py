"""The sections of the network and of what changes it: model, stdp, wta, homeostasis."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from spikeseg.core.exact_range import LIMIT, THRESHOLD_LIMIT
from spikeseg.core.leak import CONFIGURABLE, LeakMode
from spikeseg.errors import InputError
from spikeseg.registries import RULES

from .checking import Fail
from .from_paper import FromPaper
from .keys import COUNT_MAX, key
from .layer_spec import LayerSpec, PoolSpec, scaled_kernel

DOG_MAPS = 24
"""Maps of differences of Gaussians, at most: the centres of more are so wide that float32 does not tell their kernels apart."""


class WTAMode(str, Enum):
    """Who competes: neurons of one map ('global'), neighbours of all maps ('local'), or both."""

    GLOBAL = "global"
    LOCAL = "local"
    BOTH = "both"


@dataclass(frozen=True)
class ModelConfig(FromPaper):
    """The network: sizes, thresholds and leaks of conv1, conv2, conv3, in this order."""

    _name = "model"

    n_classes: int = key(1, low=1, high=1024)
    conv1_channels: int = key(4, low=1, high=1024)
    conv1_scales: tuple[int, ...] = key((1,), low=1, high=32, omit_default=True)  # conv1's filters once at each size
    conv2_channels: int = key(36, low=1, high=4095)
    kernel_sizes: tuple[int, ...] = key((5, 5, 7), low=1, high=63)  # pixels, odd
    pool1_kernel: int = key(2, low=1, high=64)
    pool1_stride: int = key(2, low=1, high=64)
    pool2_kernel: int = key(2, low=1, high=64)
    pool2_stride: int = key(2, low=1, high=64)
    thresholds: tuple[float, ...] = key((0.1, 0.1, 0.1), low=0.0, high=THRESHOLD_LIMIT)  # base; learned: + theta
    leaks: tuple[float, ...] = key((0.09, 0.01, 0.0), low=0.0, high=LIMIT)  # lost per step, see leak_mode
    use_dog_filters: bool = key(True)  # conv1: differences of Gaussians; false: Gabor filters
    leak_mode: str = key("subtractive", choices=CONFIGURABLE)  # a potential, or a share of it (multiplicative)
    background_adaptive: bool = key(True)  # raise conv1's thresholds by the local background activity
    background_sigmas: float = key(3.0, low=0.0, high=100.0)  # k of theta + b + k sqrt(b)
    adaptive_thresholds: bool = key(False, omit_default=True)  # of learned layers: what homeostasis raised falls with the drive
    use_delay_connections: bool = key(True)  # the decoder reaches spikes of earlier steps
    delay_decay: float = key(0.9, low=0.0, high=1.0)  # decay of that reach per step
    motion: bool = key(False, omit_default=True)  # velocity-tuned maps behind the tracker: points that move, however faint

    def check(self, fail: Fail) -> None:
        """Check what involves several keys."""
        for name in ("kernel_sizes", "thresholds", "leaks"):
            if len(values := getattr(self, name)) != 3:
                fail(f"model.{name}", list(values), "three values, one per layer")
        if any(size % 2 == 0 for size in self.kernel_sizes):
            fail("model.kernel_sizes", list(self.kernel_sizes), "odd numbers ('same' padding)")
        if self.kernel_sizes[0] < 3:
            fail("model.kernel_sizes", list(self.kernel_sizes), "3 or more for conv1, whose filters have a centre and a surround")
        scales = self.conv1_scales
        if len(set(scales)) < max(1, len(scales)):
            fail("model.conv1_scales", list(scales), "different scales")
        if self.use_dog_filters and self.conv1_channels > DOG_MAPS:
            allowed = f"at most {DOG_MAPS} with use_dog_filters (the centre of every other map is twice as wide)"
            fail("model.conv1_channels", self.conv1_channels, allowed)
        for pool in ("pool1", "pool2"):
            kernel, stride = getattr(self, f"{pool}_kernel"), getattr(self, f"{pool}_stride")
            if stride > kernel:
                fail(f"model.{pool}_stride", stride, f"at most model.{pool}_kernel = {kernel}, or inputs are lost")
        if LeakMode(self.leak_mode).loses_share and max(self.leaks) > 1:
            fail("model.leaks", list(self.leaks), f"at most 1 with the {self.leak_mode} leak (a share lost per step)")

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
class STDPConfig(FromPaper):
    """Spike-timing dependent plasticity and the weights it starts from [Kheradpisheh 2018; Kirkland 2023]."""

    _name = "stdp"

    lr_plus: float = key(0.04, low=0.0, high=LIMIT)  # a+
    lr_minus: float = key(0.03, low=0.0, high=LIMIT)  # a-
    weight_min: float = key(0.0, low=-LIMIT, high=LIMIT)
    weight_max: float = key(1.0, low=-LIMIT, high=LIMIT)
    weight_init_mean: float = key(0.8, low=-LIMIT, high=LIMIT)
    weight_init_std: float = key(0.01, low=0.0, high=LIMIT)
    use_soft_bounds: bool = key(True)  # changes scaled by w(1-w)
    rule: str | None = key(None, choices=RULES, omit_default=True)  # null: multiplicative with soft bounds, additive without
    growth_every: int | None = key(
        None, low=1, high=COUNT_MAX, omit_default=True
    )  # samples after which rates double; null: never
    lr_plus_max: float = key(0.15, above=0.0, high=1000.0, omit_default=True)  # up to here; lr_minus in proportion

    def check(self, fail: Fail) -> None:
        """Check what involves several keys."""
        if self.weight_min >= self.weight_max:
            fail("stdp.weight_min", self.weight_min, f"below stdp.weight_max = {self.weight_max:g}")
        if not self.weight_min <= self.weight_init_mean <= self.weight_max:
            fail("stdp.weight_init_mean", self.weight_init_mean, f"within {self.weight_min:g} to {self.weight_max:g}")
        if self.growth_every is not None and not 0 < self.lr_plus <= self.lr_plus_max:
            fail("stdp.lr_plus", self.lr_plus, f"above 0, and at most stdp.lr_plus_max = {self.lr_plus_max:g}, with growth_every")

    @property
    def variant(self) -> str:
        """The learning rule by its name: `rule`, or else the one that use_soft_bounds means."""
        return self.rule or ("multiplicative" if self.use_soft_bounds else "additive")

    @property
    def reach(self) -> float:
        """The largest absolute weight."""
        return max(abs(self.weight_min), abs(self.weight_max))


@dataclass(frozen=True)
class WTAConfig(FromPaper):
    """Winner-take-all, with its own homeostasis per neuron (thresholds of the competition alone)."""

    _name = "wta"

    mode: WTAMode = key(WTAMode.BOTH)
    local_radius: int = key(2, low=0, high=32767)  # neurons, Chebyshev distance
    enable_homeostasis: bool = key(True)
    target_rate: float = key(0.1, low=0.0, high=1.0)  # share of competitions won
    homeostasis_lr: float = key(0.001, low=0.0, high=LIMIT)
    threshold_min: float = key(1.0, low=0.0, high=1e6)
    threshold_max: float = key(100.0, low=0.0, high=1e6)
    max_winners: int | None = key(None, low=1, high=COUNT_MAX)  # per sample; null: no limit
    track_statistics: bool = key(True, omit_default=True)  # WTAInhibition counts spikes and winners; changes no result

    def __post_init__(self) -> None:
        object.__setattr__(self, "mode", WTAMode(self.mode))

    def check(self, fail: Fail) -> None:
        """Check what involves several keys."""
        if self.threshold_min >= self.threshold_max:
            fail("wta.threshold_min", self.threshold_min, f"below wta.threshold_max = {self.threshold_max:g}")


@dataclass(frozen=True)
class HomeostasisConfig(FromPaper):
    """Homeostasis per feature map: its theta is added to the layer's threshold and kept for inference."""

    _name = "homeostasis"

    enabled: bool = key(True)
    theta_rest: float = key(0.1, low=0.0, high=THRESHOLD_LIMIT)
    theta_plus: float = key(0.02, low=0.0, high=THRESHOLD_LIMIT)  # per win
    tau_theta: float = key(500.0, low=1.0, high=1e9)  # samples
    theta_max: float = key(10.0, above=0.0, high=THRESHOLD_LIMIT)
    dead_neuron_recovery: bool = key(True)
    dead_threshold: float = key(0.01, low=0.0, high=1.0)  # share of samples won below which a map is dead
    recovery_boost: float = key(0.1, low=0.0, high=LIMIT)  # standard deviation of the noise added to a dead map's weights
    dead_warmup: int = key(100, low=1, high=COUNT_MAX)  # samples before a map can count as dead

    def check(self, fail: Fail) -> None:
        """Check what involves several keys."""
        if self.theta_rest > self.theta_max:
            fail("homeostasis.theta_rest", self.theta_rest, f"at most theta_max = {self.theta_max:g}")

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest theta, which is added to the threshold of a learned layer; 0 where it is off."""
        return (self.theta_rest, self.theta_max) if self.enabled else (0.0, 0.0)
