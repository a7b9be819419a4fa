"""spikeseg: event-camera recordings segmented into tracked objects by a spiking network that learns without labels.

The front door, loaded when it is used; importing the package imports none of its parts:

>>> import spikeseg as ss
>>> nights = ss.simulate(recordings=2, duration_s=1.0, difficulty="easy", seed=1)
>>> nights[0].info()["sensor_size"]
(240, 180)

`read` and `simulate` give recordings, `load` and `new` networks; `Network.train`, `Network.detect` and `evaluate` do the work.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikeseg.api import Evaluation, Network, Recording, evaluate, load, new, read, simulate

__version__ = "0.1.0"

__all__ = ["Evaluation", "Network", "Recording", "__version__", "evaluate", "load", "new", "read", "simulate"]


def __getattr__(name: str) -> Any:
    if name.startswith("_") or name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("spikeseg.api"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
