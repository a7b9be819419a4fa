"""Exported graphs in four simulators: Norse, spikingjelly, snnTorch and sinabs (the extra 'interop').

Each reads NIR by its own importer, and then says neurons its own way. What a graph means and an importer leaves out is set behind
it, here and in docs/export.md for programs without spikeseg:

============  =========================================================================================================
Norse         potentials have no floor, and are not rounded: a hook behind each cell
spikingjelly  the same
snnTorch      IF is imported as a Leaky of beta 0.9 that subtracts its threshold, and its output cannot be passed on: replaced
sinabs        neurons subtract their threshold, fire several times in a step, and stop at minus their threshold: set
============  =========================================================================================================
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from spikeseg.errors import InputError

from .nir_graph import FLOOR, GRID, KEEP

if TYPE_CHECKING:
    import nir

Run = Callable[[Tensor], Tensor]
"""Frames (T, N, P, H, W) float32 -> spikes (T, N, C, H', W')."""


def simulated(graph: nir.NIRGraph, simulator: str, frames: np.ndarray, *, as_imported: bool = False) -> np.ndarray:
    """The output spikes of a graph in a simulator, from rest.

    Args:
        graph: see `nir_graph`.
        simulator: of SIMULATORS.
        frames: (N, T, P, H, W), whole numbers.
        as_imported: whether to run what the importer gives, rather than what the graph means.

    Returns:
        float32 (N, T, C, H', W'); 0 and 1, or counts where the simulator gives several spikes in a step.

    Raises:
        InputError: an unknown simulator, or one that is not installed.
        Exception: whatever the simulator raises for a graph that it cannot read or run.
    """
    if simulator not in SIMULATORS:
        raise InputError(f"simulator: found {simulator!r}, must be one of {', '.join(SIMULATORS)}")
    with _silence(), torch.no_grad():
        try:
            run = SIMULATORS[simulator](graph, frames.shape[0], not as_imported)
        except ModuleNotFoundError as error:
            raise InputError(f"simulator {simulator}: {error.name} is not installed; {INSTALL[simulator]}") from None
        spikes = run(torch.from_numpy(frames.astype(np.float32)).transpose(0, 1).contiguous())
    found: np.ndarray = spikes.transpose(0, 1).numpy()
    return found


def _norse(graph: nir.NIRGraph, samples: int, settle: bool) -> Run:
    from norse.torch import from_nir

    del samples
    network = from_nir(graph, dt=1.0)
    for name, settled in _settled(graph).items() if settle else ():
        network.get_submodule(name).register_forward_hook(
            lambda _, __, out, settled=settled: (out[0], out[1]._replace(v=settled(out[1].v)))
        )
    return lambda frames: _step_by_step(network, frames)


def _spikingjelly(graph: nir.NIRGraph, samples: int, settle: bool) -> Run:
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    del samples
    network = import_from_nir(graph, dt=1.0)
    for name, settled in _settled(graph).items() if settle else ():
        network.get_submodule(name).register_forward_hook(
            lambda _, __, out, settled=settled: (out[0], tuple(settled(v) for v in out[1]))
        )
    return lambda frames: _step_by_step(network, frames)


def _snntorch(graph: nir.NIRGraph, samples: int, settle: bool) -> Run:
    import nir
    import snntorch
    from snntorch.import_nir import import_from_nir

    del samples
    network, settled = import_from_nir(graph), _settled(graph)
    for name, node in graph.nodes.items() if settle else ():
        if not isinstance(node, (nir.IF, nir.LIF)):
            continue
        tau = float(node.tau.flat[0]) if isinstance(node, nir.LIF) else 1.0  # snnTorch's potential is tau times NIR's
        beta = 1.0 - 1.0 / tau if isinstance(node, nir.LIF) else 1.0
        neuron = snntorch.Leaky(
            beta=beta,
            threshold=float(node.v_threshold.flat[0]) * tau,
            reset_mechanism="zero",
            init_hidden=True,
            reset_delay=False,
        )
        if name in settled:
            neuron.register_forward_hook(
                lambda module, _, __, settled=settled[name], tau=tau: setattr(module, "mem", settled(module.mem / tau) * tau)
            )
        setattr(network, name, neuron)
    return lambda frames: _step_by_step(network, frames)


def _sinabs(graph: nir.NIRGraph, samples: int, settle: bool) -> Run:
    import sinabs
    from sinabs.activation import MembraneReset, SingleSpike

    network = sinabs.from_nir(graph, batch_size=samples)
    for name in _neurons(graph) if settle else ():
        neuron = network.get_submodule(name)
        neuron.reset_fn, neuron.spike_fn, neuron.min_v_mem = MembraneReset(), SingleSpike, None
        if FLOOR in graph.nodes[name].metadata:
            neuron.min_v_mem = nn.Parameter(torch.zeros(()), requires_grad=False)

    def run(frames: Tensor) -> Tensor:
        spikes, _ = network(frames.transpose(0, 1).flatten(0, 1))
        return spikes.unflatten(0, (samples, -1)).transpose(0, 1)

    return run


SIMULATORS: dict[str, Callable[[Any, int, bool], Run]] = {
    "norse": _norse, "spikingjelly": _spikingjelly, "snntorch": _snntorch, "sinabs": _sinabs,
}  # fmt: skip
"""By name: graph, samples, whether to set what the importer left out -> what runs it."""
_EXTRA = "install the extra 'interop'"
INSTALL = dict.fromkeys(SIMULATORS, _EXTRA) | {
    "sinabs": "`pip install --no-deps sinabs pbr` (it asks for an older NIR than the others, and works with this one)"
}
"""How to get each."""


def _neurons(graph: nir.NIRGraph) -> list[str]:
    """Names of the nodes that are neurons."""
    import nir

    return [name for name, node in graph.nodes.items() if isinstance(node, (nir.IF, nir.LIF))]


def _settled(graph: nir.NIRGraph) -> dict[str, Callable[[Tensor], Tensor]]:
    """Of neurons whose potential has a floor, or is rounded: the potential at the end of a step -> what it has to be."""
    settled: dict[str, Callable[[Tensor], Tensor]] = {}
    for name in _neurons(graph):
        metadata = graph.nodes[name].metadata
        if FLOOR in metadata:
            settled[name] = functools.partial(torch.clamp, min=float(metadata[FLOOR]))
        elif KEEP in metadata:
            settled[name] = functools.partial(_rounded, float(metadata[KEEP]), torch.from_numpy(np.asarray(metadata[GRID])))
    return settled


def _rounded(keep: float, grid: Tensor, v: Tensor) -> Tensor:
    """The potential of which the next step keeps a multiple of the grid."""
    return v if keep == 0 else ((keep * v / grid).round() * grid / keep).float()


def _step_by_step(network: nn.Module, frames: Tensor) -> Tensor:
    state, spikes = None, []
    for frame in frames:
        fired, state = network(frame, state)
        spikes.append(fired)
    return torch.stack(spikes)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Without what importers print and warn of: that others are newer than they are."""
    with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
