"""The network: encoder, decoder and both together."""

from .decoder import decode
from .encoder import Encoder, EncoderOutput, SpikeLocation
from .spikeseg import SpikeSEG

__all__ = ["Encoder", "EncoderOutput", "SpikeLocation", "SpikeSEG", "decode"]
