"""SpikeSEG: the encoder and its decoder, with their settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikeseg.config.load import from_dict, load_config
from spikeseg.config.sections import Config, DataConfig, HomeostasisConfig, ModelConfig, STDPConfig
from spikeseg.core.sparse import SparseFrames
from spikeseg.ops.types import PooledSpikes

from .decoder import decode_output
from .encoder import Encoder, EncoderOutput
from .layers import initial_weights


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
        model: ModelConfig | Config | Mapping[str, Any],
        *,
        in_channels: int | None = None,
        seed: int | None = None,
        stdp: STDPConfig | None = None,
        homeostasis: HomeostasisConfig | None = None,
        max_input: float = 1.0,
    ) -> SpikeSEG:
        """An untrained network: conv1 fixed, conv2 and conv3 drawn from the STDP section's normal distribution.

        Args:
            model: sizes, thresholds and leaks; or a whole configuration, which gives what is left out below, too. A dictionary is
                either of them: a nested configuration, or keys of the section model.
            in_channels: polarities: 2 (OFF, ON; the default), or 1, both merged.
            seed: of the initial weights (default: 42); the layers draw from separate streams.
            stdp: mean, spread and bounds of the initial weights (default: the section's defaults).
            homeostasis: where enabled, learned layers start at threshold + theta_rest.
            max_input: largest count of one pixel in one step, for the check of the exact range.

        Raises:
            InputError: a key or value of a dictionary that is not allowed; sizes under which potentials could leave the exact
                range.
        """
        if isinstance(model, Mapping):
            whole = {field.name for field in fields(Config)}.issuperset(model)
            checked = from_dict(model if whole else {"model": dict(model)}, "from_config")
            model = checked if whole else checked.model
        if isinstance(model, Config):
            whole_config, model = model, model.model
            stdp, homeostasis = stdp or whole_config.stdp, homeostasis or whole_config.homeostasis
            in_channels = whole_config.data.input_channels if in_channels is None else in_channels
            seed = whole_config.seed if seed is None else seed
        seed = Config.seed if seed is None else seed
        polarities = DataConfig.input_channels if in_channels is None else in_channels
        weights = stdp or STDPConfig()
        encoder = Encoder(model, in_channels=polarities, max_input=max_input, max_weight=weights.reach, homeostasis=homeostasis)
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
        return cls.from_config(load_config(None, {f"model.{key}": value for key, value in changes.items()}, paper=paper))

    @property
    def config(self) -> ModelConfig:
        """The model section it was built from."""
        return self.encoder.config

    @property
    def n_classes(self) -> int:
        """Maps of conv3."""
        return self.config.n_classes

    def get_layer_weights(self) -> dict[str, Tensor]:
        """The weights of 'conv1', 'conv2' and 'conv3', (C_out, C_in, K, K) float32: the layers' own tensors, no copies."""
        return {spec.name: self.encoder.layer(spec.name).weight for spec in self.encoder.specs}

    def freeze_layer(self, name: str) -> None:
        """Let training refuse a layer, until `unfreeze_layer`. STDPLearner, which is handed tensors, changes what it is handed.

        Raises InputError where there is no layer of this name."""
        self.encoder.layer(self.config.layer(name).name).frozen = True

    def unfreeze_layer(self, name: str) -> None:
        """Let a layer learn again. Raises InputError where there is none of this name."""
        self.encoder.layer(self.config.layer(name).name).frozen = False

    def initialise(self, layer: str, seed: int, stdp: STDPConfig) -> None:
        """Draw a layer's weights anew from N(weight_init_mean, weight_init_std), clamped to the bounds, on the CPU."""
        weight = self.encoder.layer(layer).weight
        weight.copy_(initial_weights(weight.shape, stdp, seed * 1000 + self.config.layer(layer).index))

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

    def decode(self, output: EncoderOutput) -> Tensor:
        """Trace the classification spikes of one call of `encode` back to the input of that call.

        Args:
            output: what it gave, up to conv3. Spikes of earlier calls are not in it, so nothing is traced through them: for whole
                samples encode all their steps at once.

        Returns:
            saliency float32 >= 0 of the frames' height and width, with the leading axes of the frames: (H, W), (T, H, W) or
            (T, B, H, W).

        Raises:
            ValueError: the encoder was stopped below conv3.
        """
        return decode_output(self.encoder, output)

    def forward(self, frames: Tensor, background: Tensor | None = None) -> tuple[Tensor, EncoderOutput]:
        """Encode whole samples from rest and trace their classification spikes back.

        Args:
            frames: (T, P, H, W) or (T, B, P, H, W), see `Encoder.forward`.
            background: see `Encoder.forward`.

        Returns:
            saliency (T, H, W) or (T, B, H, W) float32 >= 0, at the frames' resolution and exactly registered; and the output.

        Raises:
            ValueError: frames without a time axis (a single step has nothing to trace; use `encode`).
        """
        if frames.dim() not in (4, 5):
            raise ValueError(f"frames must be (T, P, H, W) or (T, B, P, H, W), not {tuple(frames.shape)}")
        self.reset_state()
        output = self.encode(frames, background)
        self.reset_state()
        return self.decode(output), output
