"""The hot loops, chosen by name; every backend gives the same bits as `reference`.

| backend | is | runs on |
|---|---|---|
| `reference` | plain torch: defines the meaning | CPU, GPU |
| `cpu` | event-driven, in integers, compiled by numba | CPU |
| `cuda` | Triton kernels | GPU |

Each is a package that exports the same:

- single layers, with all potentials: `layer_forward`, `pool`;
- learning: `select_winners`, `stdp_update`, and the class `Training`, the whole training step;
- inference over whole samples: `encode`;
- causes of spikes: `trace`, and for single spikes `cones`, followed by `unite` and `spread`;
- images: `latency`, `oriented_latency`, `fire_once`, `final_potentials`.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import torch

BACKENDS = ("reference", "cpu", "cuda")


def backend(name: str, device: torch.device | str = "cpu") -> ModuleType:
    """The backend asked for, never a substitute; 'auto' is `cuda` for a network on a GPU, else `cpu`.

    Args:
        name: 'auto', 'reference', 'cpu' or 'cuda'.
        device: where the network lies.

    Raises:
        ValueError: no backend of this name, or one that cannot run on this device.
    """
    kind = torch.device(device).type
    if name == "auto":
        name = "cuda" if kind == "cuda" else "cpu"
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}; one of auto, {', '.join(BACKENDS)}")
    if name != "reference" and name != kind:
        raise ValueError(f"backend {name!r} runs on a {name} device, but the network lies on {kind!r}; use 'auto'")
    return import_module(f".{name}", __name__)
