"""The network: encoder, decoder and both together."""

from .decoder import decode
from .encoder import Encoder, EncoderOutput
from .spikeseg import SpikeSEG

__all__ = ["Encoder", "EncoderOutput", "SpikeSEG", "decode"]
