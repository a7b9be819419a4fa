"""A network as a graph of NIR, the Neuromorphic Intermediate Representation (Pedersen et al. 2024, Nat. Commun. 15:8122).

NIR describes neurons by equations, and leaves the step to the simulator; here a step is one unit of time, and R is 1. A layer is

    Conv2d (the leak that a step takes away as bias) -> IF or LIF, reset to 0 -> SumPool2d -> IF of threshold 1

where the sum and the IF behind it are a max pool: an OR within a step, after which every potential is 0 again. Where windows of a
pool reach over the border, a convolution with ones stands for the sum, as NIR pads both sides alike.

NIR fires above its threshold, spikeseg at it: on the grid, half a step less says the same. Several simulators take one threshold
per layer; where maps differ, weights and leak of each are divided by its threshold, which is 1 then. They are rounded to 2^-22:
sums below 4 are exact in float32, and every simulator gets the same ones.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from spikeseg.core.grid import GRID_BITS, HALF_STEP
from spikeseg.core.sizes import pooled_size
from spikeseg.errors import InputError

from .description import FORMAT, Description, Loss, PlainLayer

if TYPE_CHECKING:
    import nir

FINE = 2.0**22
"""Of weights over a threshold of 1."""
FLOOR, KEEP, GRID = "floor", "keep", "grid"
"""Of the metadata of neurons: where potentials stop; what share of them a step leaves, rounded to multiples of GRID (C, 1, 1)."""
METADATA = FORMAT.replace("-", "_")
"""Of the graph: JSON with the geometry and the losses."""


class OneThreshold(NamedTuple):
    """A layer whose neurons share a threshold.

    Attributes:
        weight: float32 (C_out, C_in, K, K).
        bias: float32 (C_out,), added at every step, 0 or less.
        threshold: to be exceeded.
        scaled: whether maps had thresholds of their own.
    """

    weight: np.ndarray
    bias: np.ndarray
    threshold: float
    scaled: bool


def one_threshold(layer: PlainLayer) -> OneThreshold:
    """A layer with one threshold; the same spikes, see `exact_inputs`."""
    lost = layer.leak if layer.mode.has_floor else 0.0
    exceeded = layer.threshold.astype(np.float64) - HALF_STEP
    if np.unique(exceeded).size == 1:
        bias = np.full(len(layer.weight), -lost, np.float32)
        return OneThreshold(layer.weight, bias, float(exceeded[0]), False)
    weight = (np.round(layer.weight / exceeded[:, None, None, None] * FINE) / FINE).astype(np.float32)
    return OneThreshold(weight, (np.round(-lost / exceeded * FINE) / FINE).astype(np.float32), 1.0, True)


def exact_inputs(layer: PlainLayer) -> int:
    """How many inputs and steps a neuron may sum, from one of its spikes to the next, before rounding could change a spike.

    Each adds at most half of 1 / FINE, and half a grid step over the threshold is kept free on both sides.
    """
    return int(HALF_STEP / float(layer.threshold.max()) * 2 * FINE)


def losses(network: Description) -> list[Loss]:
    """What NIR, or a simulator that reads it, does not say of these layers."""
    found = []
    floored = [layer.name for layer in network.layers if layer.mode.has_floor]
    shared = [layer.name for layer in network.layers if layer.mode.loses_share]
    scaled = [(layer.name, exact_inputs(layer)) for layer in network.layers if one_threshold(layer).scaled]
    if floored:
        names = " and ".join(floored)
        found.append(
            Loss(
                "floor",
                f"potentials of {names} stop at 0 in spikeseg; NIR's IF has no floor, so that they fall below it and spikes come "
                "later or not at all, until it is put back (sinabs: min_v_mem = 0; others: docs/export.md)",
            )
        )
    if shared:
        names = " and ".join(shared)
        found.append(
            Loss(
                "rounding",
                f"{names}: spikeseg rounds what a step leaves of a potential to 2^-{GRID_BITS}; NIR's LIF does not "
                "(docs/export.md puts it back)",
            )
        )
    if scaled:
        counts = ", ".join(f"{name} {inputs}" for name, inputs in scaled)
        found.append(
            Loss(
                "thresholds",
                "maps of a layer have thresholds of their own in spikeseg; here they are 1 and weights are divided by them: same "
                f"spikes while a neuron sums fewer inputs from one of its spikes to the next than: {counts}",
            )
        )
    return found


def nir_graph(network: Description) -> nir.NIRGraph:
    """The graph: nodes 'input', 'conv1', 'conv1_neurons', 'pool1', 'pool1_neurons', ..., 'output'.

    Its metadata holds the geometry, the losses and the notes, as JSON under 'spikeseg_export'.
    """
    import nir

    nodes: dict[str, nir.NIRNode] = {"input": nir.Input({"input": np.array([network.in_channels, *network.size])})}
    for number, (layer, size) in enumerate(zip(network.layers, network.sizes, strict=True), 1):
        shared = one_threshold(layer)
        nodes[layer.name] = _convolution(shared.weight, shared.bias, size, layer.weight.shape[-1] // 2)
        shape = (len(layer.weight), *size)
        neurons = f"{layer.name}_neurons"
        if layer.mode.loses_share:
            tau = 1.0 / (1.0 - layer.leak) if layer.leak < 1 else np.inf
            nodes[layer.name].weight = shared.weight * np.float32(tau)  # V <- V + (w I - V) / tau
            unit = shared.threshold / (layer.threshold.astype(np.float64) - HALF_STEP) if shared.scaled else np.ones(shape[0])
            rounding = {KEEP: layer.leak, GRID: unit[:, None, None] * 2.0**-GRID_BITS}
            nodes[neurons] = nir.LIF(
                _full(shape, tau), _full(shape, 1), _full(shape, 0), _full(shape, shared.threshold), metadata=rounding
            )
        else:
            floor = {FLOOR: 0.0} if layer.mode.has_floor else {}
            nodes[neurons] = nir.IF(_full(shape, 1), _full(shape, shared.threshold), _full(shape, 0), metadata=floor)
        if layer.pool is not None:
            nodes |= _pool(f"pool{number}", len(layer.weight), size, layer.pool)
    nodes["output"] = nir.Output({"output": np.array([len(network.layers[-1].weight), *network.sizes[-1]])})
    names = list(nodes)
    return nir.NIRGraph(nodes, list(zip(names[:-1], names[1:], strict=True)), metadata={METADATA: _json(network)})


def write_nir(file: BinaryIO, network: Description) -> None:
    """Write the graph as NIR's HDF5, which `nir.read` reads."""
    import io

    import nir

    content = io.BytesIO()
    nir.write(content, nir_graph(network))
    file.write(content.getvalue())


def read_nir(path: str | Path) -> nir.NIRGraph:
    """A graph in a file, with names of nodes that can stand in the program that simulators make of them.

    Raises:
        InputError: no such file, no graph, or a node whose name is more than letters, digits and underscores.
    """
    import nir

    try:
        graph = nir.read(path)
        names = [*graph.nodes] + [end for edge in graph.edges for end in edge]
    except Exception as error:  # whatever it is, the file is at fault
        raise InputError(f"{path}: not a NIR graph ({type(error).__name__}: {' '.join(str(error).split())[:200]})") from None
    for name in names:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", str(name)):
            raise InputError(f"{path}: node {str(name)[:40]!r}: names must be letters, digits, dots and underscores")
    return graph


def metadata_of(graph: nir.NIRGraph) -> dict[str, Any]:
    """What `nir_graph` has put into the metadata; empty for a graph of somebody else."""
    content: dict[str, Any] = json.loads(str(graph.metadata.get(METADATA, "{}")))
    return content


def _json(network: Description) -> str:
    geometry = network.geometry()
    geometry["losses"] |= {loss.name: loss.text for loss in losses(network)}
    return json.dumps(geometry, sort_keys=True, allow_nan=False)


def _convolution(weight: np.ndarray, bias: np.ndarray, size: tuple[int, int], padding: int, stride: int = 1) -> nir.Conv2d:
    import nir

    return nir.Conv2d(
        input_shape=size, weight=weight, stride=(stride, stride), padding=(padding, padding), dilation=(1, 1), groups=1, bias=bias
    )


def _pool(name: str, maps: int, size: tuple[int, int], pool: tuple[int, int]) -> dict[str, nir.NIRNode]:
    """A max pool over spikes: how many there are in each window, and neurons that fire for one or more."""
    import nir

    kernel, stride = pool
    out = tuple(pooled_size(side, kernel, stride) for side in size)
    over = max((many - 1) * stride + kernel - side for many, side in zip(out, size, strict=True))
    if over:  # windows begin `over` pixels before the frame, and see nothing there
        weight = np.zeros((maps, maps, kernel + over, kernel + over), np.float32)
        weight[np.arange(maps), np.arange(maps), over:, over:] = 1
        counted: nir.NIRNode = _convolution(weight, np.zeros(maps, np.float32), size, over, stride)
    else:
        counted = nir.SumPool2d(np.array([kernel, kernel]), np.array([stride, stride]), np.array([0, 0]))
    shape = (maps, *out)
    return {name: counted, f"{name}_neurons": nir.IF(_full(shape, 1), _full(shape, 1 - HALF_STEP), _full(shape, 0))}


def _full(shape: tuple[int, ...], value: float) -> np.ndarray:
    return np.full(shape, value, np.float32)
