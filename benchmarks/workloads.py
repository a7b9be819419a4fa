"""What the benchmarks run on: spikes at random, and simulated nights with the network that the demo trains on them.

Spikes at random need only torch and numpy; what else a function needs it imports itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch

from spikeseg.core.sparse import SpikeLists
from spikeseg.ops.types import BlockThreshold, Layer, TrainingRule

if TYPE_CHECKING:
    from spikeseg.models import SpikeSEG

DENSITIES = (0.001, 0.01, 0.05)
"""Share of input sites that spike in a step."""
CONV2_INPUT = (10, 4, 90, 120)
"""(T, C, H, W) of conv2's input at the demo's frame size."""
FRAMES = (10, 2, 180, 240)
"""(T, P, H, W) of the demo's windows."""
DEMO = Path(__file__).parents[1] / "configs" / "demo.yaml"
LARGEST_BLOCK = 2**22
"""Sites drawn at a time."""


def percent(density: float) -> str:
    """A share as the tables print it."""
    return f"{100 * density:g} %"


# -- at random --------------------------------------------------------------------------------------


def random_lists(density: float, samples: int, shape: tuple[int, int, int, int] = CONV2_INPUT, seed: int = 0) -> SpikeLists:
    """Samples whose sites spike independently, each with this chance per step."""
    rng = np.random.default_rng(seed)
    at_once = max(1, LARGEST_BLOCK // int(np.prod(shape)))
    counts = [min(at_once, samples - first) for first in range(0, samples, at_once)]
    return SpikeLists.joined([SpikeLists.of(rng.random((count, *shape), np.float32) < density) for count in counts])


def random_frames(density: float, samples: int, shape: tuple[int, int, int, int] = FRAMES, seed: int = 0) -> np.ndarray:
    """The same as frames uint8 (N, T, P, H, W)."""
    return random_lists(density, samples, shape, seed).dense()


def streaks(density: float, samples: int, shape: tuple[int, int, int, int] = CONV2_INPUT, seed: int = 0) -> SpikeLists:
    """Bars that move at a steady pace, each in one channel, make half of the spikes; noise makes the rest."""
    rng = np.random.default_rng(seed)
    steps, channels, height, width = shape
    offsets = np.array([[(along, across) for along in range(-3, 4)] for across in (0, 1)]).reshape(-1, 2)
    sites = channels * height * width
    number = max(1, round(density / 2 * sites / len(offsets)))
    parts = []
    for _ in range(samples):
        dense = np.zeros(shape, bool)
        start, pace = rng.random((number, 2)) * (height, width), rng.uniform(-2, 2, (number, 2))
        angle, channel = rng.uniform(0, np.pi, number), rng.integers(0, channels, number)
        turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1).reshape(-1, 2, 2)
        bar = np.einsum("nij,kj->nki", turn, offsets)
        for t in range(steps):
            at = np.rint(start[:, None] + t * pace[:, None] + bar).astype(int)
            dense[t, channel[:, None], at[..., 0] % height, at[..., 1] % width] = True
        noise = max(0.0, (density - dense.mean()) / (1 - dense.mean()))
        parts.append(SpikeLists.of((dense | (rng.random(shape, np.float32) < noise))[None]))
    return SpikeLists.joined(parts)


# -- the demo ---------------------------------------------------------------------------------------


def demo_rule() -> TrainingRule:
    """How the demo trains conv2, but without perturbing dead maps: that is the caller's work, not a kernel's."""
    from spikeseg.config.load import load_config
    from spikeseg.learning import LayerTrainer
    from spikeseg.models import SpikeSEG

    cfg = load_config(DEMO)
    net = SpikeSEG.from_config(cfg.model, stdp=cfg.stdp, homeostasis=cfg.homeostasis)
    trainer = LayerTrainer(net, "conv2", dataclasses.replace(cfg, backend="cpu"))
    return trainer.rule._replace(dead_recovery=False)


@dataclass(frozen=True)
class Night:
    """Simulated recordings and the network trained on them.

    Attributes:
        frames: windows of the training split, uint16 (N, T, P, H, W).
        background: float32 (N, P, hb, wb).
        network: trained, on the cpu backend.
        spikes: what conv2 learned from.
    """

    frames: np.ndarray
    background: np.ndarray
    network: SpikeSEG
    spikes: SpikeLists

    @property
    def layers(self) -> list[Layer]:
        """conv1, conv2, conv3 as the operations take them."""
        return self.network.encoder.chain()

    def thresholds(self, background: np.ndarray) -> BlockThreshold:
        """conv1's thresholds under this background."""
        from spikeseg.models.adaptive_threshold import adaptive_threshold

        layer, sigmas = self.network.encoder.conv1, self.network.encoder.config.background_sigmas
        rates = torch.from_numpy(np.ascontiguousarray(background, np.float32))
        return adaptive_threshold(layer.threshold, layer.weight, rates, self.frames.shape[-2:], sigmas)

    def cropped(self, blocks: int) -> Night:
        """The liveliest part of the frame, this many blocks of the background wide and high."""
        stride = self.network.encoder.pool1.stride
        side = -(-self.frames.shape[-2] // self.background.shape[-2])
        dense = self.spikes.dense()
        *_, y, x = np.argwhere(dense)[len(self.spikes.sites) // 2]  # where a spike in the middle of all is
        row, column = (
            min(int(at) * stride // side, size - blocks) for at, size in zip((y, x), self.background.shape[-2:], strict=True)
        )
        here = self.frames[..., row * side : (row + blocks) * side, column * side : (column + blocks) * side]
        top, left, behind = row * side // stride, column * side // stride, blocks * side // stride
        lists = SpikeLists.of(dense[..., top : top + behind, left : left + behind])
        around = self.background[..., row : row + blocks, column : column + blocks]
        return Night(here, around, self.network, lists)

    def at_density(self, density: float, samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Windows with this share of sites above 0, and their background: thinned event by event, or laid over each other."""
        rng = np.random.default_rng(seed)
        frames, backgrounds = [], []
        for _ in range(samples):
            frame = np.zeros(self.frames.shape[1:], np.int64)
            background = np.zeros(self.background.shape[1:])
            for n in rng.permutation(len(self.frames)).tolist():
                frame += self.frames[n]
                background += self.background[n]
                if (frame > 0).mean() >= density:
                    break
            kept = _thinned(frame, density, rng)
            frames.append(kept)
            backgrounds.append(background * (kept.sum() / max(1, frame.sum())))
        return np.stack(frames).astype(np.uint16), np.stack(backgrounds).astype(np.float32)


def night(recordings: int = 12, duration_s: float = 8.0, max_epochs: int = 20) -> Night:
    """Simulate, prepare and train by the demo's configuration, in a temporary folder."""
    from spikeseg.config.load import load_config
    from spikeseg.data.store.frames import Frames
    from spikeseg.data.store.spikes import Spikes
    from spikeseg.learning import checkpoint
    from spikeseg.pipelines.runtime.console import LOGGER
    from spikeseg.pipelines.stages.prepare import STORE, prepare
    from spikeseg.pipelines.stages.train import train

    LOGGER.setLevel("WARNING")
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        cfg = load_config(
            DEMO,
            {
                "cache_dir": os.path.join(folder, "cache"),
                "output_dir": os.path.join(folder, "runs"),
                "simulate.recordings": recordings,
                "simulate.duration_s": duration_s,
                "max_epochs": max_epochs,
                "device": "cpu",
                "logging.log_level": "WARNING",
            },
        )
        store = Frames.open(prepare(cfg).path / STORE)
        run = train(cfg).path
        network, _ = checkpoint.load(run / cfg.checkpoint.save_dir / "conv3.pt")
        windows: dict[int, list[int]] = {}
        for recording, k in store.samples("train"):
            windows.setdefault(recording, []).append(k)
        parts = [store.read(recording, ks) for recording, ks in windows.items()]
        caches = [Spikes.open(path) for path in Path(folder).glob("cache/spikes/*/spikes.zarr")]
        (cache,) = (spikes for spikes in caches if spikes.attrs["layer"] == "conv2")
        spikes = SpikeLists.joined(cache.read(0, len(cache)))
    network.encoder.backend = "cpu"
    return Night(np.concatenate([part[1] for part in parts]), np.concatenate([part[2] for part in parts]), network, spikes)


def quick_night() -> Night:
    """A corner of a night that is soon over, with a network that has hardly learned."""
    return night(2, 2.0, 1).cropped(3)


def _thinned(frame: np.ndarray, density: float, rng: np.random.Generator) -> np.ndarray:
    """Each event kept with the same chance, the one that leaves this share of sites above 0 (found by bisection)."""
    low, high = 0.0, 1.0
    events = frame[frame > 0]
    for _ in range(20):
        chance = (low + high) / 2
        expected = (1.0 - (1.0 - chance) ** events).sum() / frame.size
        low, high = (low, chance) if expected > density else (chance, high)
    return rng.binomial(frame, high) if high < 1.0 else frame


# -- activity ---------------------------------------------------------------------------------------


def densities(
    frames: np.ndarray, layers: Sequence[Layer], threshold: BlockThreshold | None = None, ops: ModuleType | None = None
) -> list[float]:
    """Share of sites that spike in a step: of the input, then behind each layer and its pool; by the cpu backend unless given."""
    if ops is None:
        from spikeseg.ops import cpu as ops
    outputs = [output.lists for output in ops.encode(frames, layers, threshold)] if layers else []
    return [float((frames > 0).mean()), *(len(lists.sites) / len(frames) / np.prod(lists.shape) for lists in outputs)]


def as_lively(layers: Sequence[Layer], frames: np.ndarray, model: Sequence[float], ops: ModuleType | None = None) -> list[Layer]:
    """The layers with thresholds, one for all maps, under which each passes on the share of spikes that it does in `model`.

    Args:
        layers: conv1, conv2, conv3.
        frames: (N, T, P, H, W), what they are to see.
        model: densities of the input and behind each layer, see `densities`.
        ops: the backend, cpu unless given.
    """
    chosen: list[Layer] = []
    for i, layer in enumerate(layers):
        before = densities(frames, chosen, ops=ops)[-1]
        wanted = before * model[i + 1] / model[i] if model[i] else 0.0
        low, high = 1 / 4096, 100.0
        for _ in range(18):
            theta = (low * high) ** 0.5
            tried = layer._replace(threshold=torch.full_like(layer.threshold, theta))
            low, high = (theta, high) if densities(frames, [*chosen, tried], ops=ops)[-1] > wanted else (low, theta)
        chosen.append(layer._replace(threshold=torch.full_like(layer.threshold, high)))
    return chosen
