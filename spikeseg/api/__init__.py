"""The front door: recordings in, networks trained, objects and tracks out, without a command line or a folder of stages.

``import spikeseg as ss`` offers what is listed here. The stages of the command line are this plus files.
"""

from .network import Network, load, new
from .recordings import Recording, read, simulate
from .scoring import Evaluation, evaluate

__all__ = ["Evaluation", "Network", "Recording", "evaluate", "load", "new", "read", "simulate"]
