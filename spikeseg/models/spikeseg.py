"""SpikeSEG: the encoder and its decoder, with their settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikeseg.config.load import load_config
from spikeseg.config.sections import HomeostasisConfig, ModelConfig, STDPConfig
from spikeseg.core.sparse import SparseFrames
from spikeseg.ops.types import PooledSpikes

from .decoder import decode, spikes_of
from .encoder import Encoder, EncoderOutput


class SpikeSEG(nn.Module):
    """A spiking network that segments an event stream: it marks the pixels of the patterns that it has learned.

    Sources: Kirkland et al. 2020 (SpikeSEG), 2023 (settings for space domain awareness).

    Attributes:
        encoder: its layers.
        footprint: float64 (2, side, side), what the motion layer has learned, see `motion.footprint.Footprint`; None: nothing
            yet.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.footprint: np.ndarray | None = None

    @classmethod
    def from_config(
        cls,
        model: ModelConfig,
        *,
        in_channels: int = 2,
        seed: int = 42,
        stdp: STDPConfig | None = None,
        homeostasis: HomeostasisConfig | None = None,
        max_input: float = 1.0,
    ) -> SpikeSEG:
        """An untrained network: conv1 fixed, conv2 and conv3 drawn from the STDP section's normal distribution.

        Args:
            model: sizes, thresholds and leaks.
            in_channels: polarities, 2 (OFF, ON).
            seed: of the initial weights; the layers draw from separate streams.
            stdp: mean, spread and bounds of the initial weights (default: the section's defaults).
            homeostasis: where enabled, learned layers start at threshold + theta_rest.
            max_input: largest count of one pixel in one step, for the check of the exact range.

        Raises:
            InputError: sizes under which potentials could leave the exact range.
        """
        weights = stdp or STDPConfig()
        encoder = Encoder(model, in_channels=in_channels, max_input=max_input, max_weight=weights.reach, homeostasis=homeostasis)
        net = cls(encoder)
        for spec in net.encoder.specs:
            if not spec.learned:
                continue
            net.initialise(spec.name, seed, weights)
            if homeostasis is not None and homeostasis.enabled:
                net.encoder.layer(spec.name).threshold += homeostasis.theta_rest
        return net

    @classmethod
    def from_paper(cls, paper: str, **changes: Any) -> SpikeSEG:
        """The network of a paper: 'igarss2023' or 'kheradpisheh2018'.

        Args:
            paper: name of the preset (configs/<paper>.yaml names its sources).
            changes: keys of the model section, such as ``n_classes=1``.
        """
        config = load_config(None, {f"model.{key}": value for key, value in changes.items()}, paper=paper)
        return cls.from_config(
            config.model,
            in_channels=config.data.input_channels,
            seed=config.seed,
            stdp=config.stdp,
            homeostasis=config.homeostasis,
        )

    @property
    def config(self) -> ModelConfig:
        """The model section it was built from."""
        return self.encoder.config

    def initialise(self, layer: str, seed: int, stdp: STDPConfig) -> None:
        """Draw a layer's weights anew from N(weight_init_mean, weight_init_std), clamped to the bounds, on the CPU."""
        weight = self.encoder.layer(layer).weight
        generator = torch.Generator().manual_seed(seed * 1000 + self.config.layer(layer).index)
        drawn = torch.randn(weight.shape, generator=generator) * stdp.weight_init_std + stdp.weight_init_mean
        weight.copy_(drawn.clamp(stdp.weight_min, stdp.weight_max))

    def reset_state(self) -> None:
        """Bring every neuron to rest: the beginning of a sample."""
        self.encoder.reset_state()

    def encode(self, frames: Tensor, background: Tensor | None = None, upto: str = "conv3") -> EncoderOutput:
        """Run the encoder on from its present state; see `Encoder.forward`."""
        with torch.no_grad():
            return self.encoder(frames, background, upto)

    def infer(
        self, frames: np.ndarray | SparseFrames, background: np.ndarray | None = None, upto: str = "conv3", threads: int = 1
    ) -> dict[str, PooledSpikes]:
        """Spikes of whole samples, batched and as lists; see `Encoder.infer`."""
        with torch.no_grad():
            return self.encoder.infer(frames, background, upto, threads)

    def to_norse(self) -> nn.Module:
        """The encoder as a plain Norse network, a `norse.torch.SequentialState` of convolutions, cells and pools.

        It takes one step (B, P, H, W) and the state before it, None at rest, and returns the classification spikes, equal to ours
        where thresholds follow neither background nor drive, and the state after it; `norse.torch.Lift` runs whole sequences. On
        a GPU, switch off TF32 (torch.backends.cudnn.allow_tf32).
        """
        from spikeseg.core.norse_network import norse_layer, norse_network

        return norse_network(module for layer in self.encoder.chain() for module in norse_layer(*layer))

    def forward(self, frames: Tensor, background: Tensor | None = None) -> tuple[Tensor, EncoderOutput]:
        """Encode whole samples from rest and trace their classification spikes back.

        Args:
            frames: (T, P, H, W) or (T, B, P, H, W).
            background: see `Encoder.forward`.

        Returns:
            saliency (T, H, W) or (T, B, H, W) float32 >= 0, at the frames' resolution and exactly registered; and the output.

        Raises:
            ValueError: frames without a time axis (a single step has nothing to trace; use `encode`).
        """
        if frames.dim() not in (4, 5):
            raise ValueError(f"frames must be (T, P, H, W) or (T, B, P, H, W), not {tuple(frames.shape)}")
        batched = frames if frames.dim() == 5 else frames[:, None]
        self.reset_state()
        output = self.encode(batched, background)
        self.reset_state()
        samples = batched.transpose(0, 1).cpu().numpy()
        traced = torch.from_numpy(decode(self.encoder, samples, spikes_of(output)))
        saliency = traced.transpose(0, 1).to(output.classification_spikes.device)
        if frames.dim() == 5:
            return saliency, output
        return saliency[:, 0], output.map(lambda v: v[:, 0], lambda v: v[0])
