"""Spikes traced back to the pixels that caused them, event-driven: only where spikes are."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from spikeseg.core.grid import SCALE, SCALE32
from spikeseg.core.sparse import SparseFrames, SparseMap, SpikeLists
from spikeseg.ops.reference.tracing import exact, reach_of, rounding_error
from spikeseg.ops.types import Layer, PooledSpikes

from . import inference_kernels, tracing_kernels
from .memory import as_array
from .tracing_kernels import PIECE, Activity, Gates, Table
from .vectors import DOUBLES, TAPS

FEW = 4
"""A layer with this many times fewer maps than the one below is traced by `descend_few`."""
_MOST = 16
"""Shapes of scratch, and layers' weights as the kernels take them, that are kept for the next call."""


def trace(
    frames: np.ndarray | SparseFrames,
    layers: Sequence[Layer],
    spikes: Sequence[PooledSpikes],
    *,
    delay_connections: bool,
    decay: float,
) -> list[SparseMap]:
    """See `reference.trace`. Activity is weakened on its way; pixels for which that leaves two float32 to choose from are traced
    again as the reference does it (`reference.tracing.rounding_error`), through what leads to them alone."""
    gates = [PooledSpikes(inference_kernels.listed(frames).lists, None), *spikes[:-1]]
    descents = [_Descent(layer, gate.lists) for layer, gate in zip(layers, gates, strict=True)]
    samples, steps, _, height, width = frames.shape
    reach = reach_of(steps, decay, delay_connections=delay_connections)
    error = 0.0 if exact(reach) else rounding_error(layers, steps, frames.shape[2])
    sums, touched = _zeros(height * width), _zeros(height * width // 64 + 1, dtype=np.uint64)
    saliency = []
    for n in range(samples):
        last = spikes[-1].part(n, n + 1)
        if not len(last.lists.sites):
            saliency.append(SparseMap((steps, height, width), np.zeros(0, np.int64), np.zeros(0, np.float32)))
            continue
        sample = [gate.part(n, n + 1) for gate in gates]
        if not delay_connections:
            sample = [PooledSpikes(*so_far(*gate)) for gate in sample]
        whole = Activity(last.lists.offsets, last.lists.sites, np.ones(len(last.lists.sites)))
        arrived = _arrived(whole, descents, sample, decay if delay_connections else 0.0)
        index, value, doubtful = _summed(sample[0].lists, arrived, sums, touched, error)
        if len(doubtful):
            value[doubtful] = 0.0
            pixels = np.unique(index[doubtful] % (height * width))
            *sample, last = _leading_to(pixels, [*sample, last], layers, (height, width))
            arrived = _step_by_step(last.lists, descents, sample, reach)
            again, surely, _ = _summed(sample[0].lists, arrived, sums, touched, 0.0)
            value[np.searchsorted(index, again)] = surely
            index, value = index[value > 0], value[value > 0]
        saliency.append(SparseMap((steps, height, width), index, value))
    return saliency


def _summed(
    events: SpikeLists, arrived: np.ndarray, sums: np.ndarray, touched: np.ndarray, error: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat indices of the pixels of one sample at which something arrived, what did, and which of them are in doubt; see
    `sum_pixels`."""
    n = len(events.sites)
    out = np.empty(n, np.int64), np.empty(n, np.float32), np.empty(n, np.int64)
    count, in_doubt = tracing_kernels.sum_pixels(events.offsets, events.sites, arrived, sums, touched, error, out)
    return out[0][:count].copy(), out[1][:count].copy(), out[2][:in_doubt].copy()


def _leading_to(
    pixels: np.ndarray, spikes: Sequence[PooledSpikes], layers: Sequence[Layer], size: tuple[int, int]
) -> list[PooledSpikes]:
    """The events of one sample at some pixels, and the spikes of each layer that can pass anything on to them: nothing else adds
    to what arrives there.

    Args:
        pixels: flat indices into a frame.
        spikes: the events, then the spikes of each layer.
        layers: which gave them.
        size: (height, width) of a frame.
    """
    marks, led = np.zeros(math.prod(size), np.bool_), []
    marks[pixels] = True
    reaches = [*(layer.weight.shape[-1] // 2 for layer in layers), 0]
    for (lists, kept), half in zip(spikes, reaches, strict=True):
        chosen, around = np.empty(len(lists.sites), np.bool_), np.zeros(lists.shape[2:], np.bool_)
        tracing_kernels.lead_on(lists.sites, _NONE if kept is None else kept, marks, half, chosen, around)
        led.append(PooledSpikes(lists.only(chosen), None if kept is None else kept[chosen]))
        marks = around.reshape(-1)
    return led


def _arrived(activity: Activity, descents: Sequence[_Descent], gates: Sequence[PooledSpikes], decay: float) -> np.ndarray:
    """What arrives at the events of one sample.

    Args:
        activity: spikes of the last layer.
        descents: through each layer.
        gates: the events, then the spikes of each layer but the last.
        decay: what a step passes on to the one before.
    """
    arrived = activity.values
    for i in range(len(descents) - 1, -1, -1):
        lists, kept = gates[i]
        arrived = np.zeros(len(lists.sites))
        descents[i].run(activity, lists, decay, arrived)
        neurons, shape = lists.sites, lists.shape
        if i and kept is not None:
            below = gates[i - 1].lists.shape
            neurons = lists.sites // (shape[2] * shape[3]) * (below[2] * below[3]) + kept
        activity = Activity(lists.offsets, neurons, arrived)
    return arrived


def _step_by_step(last: SpikeLists, descents: Sequence[_Descent], gates: Sequence[PooledSpikes], reach: np.ndarray) -> np.ndarray:
    """What arrives at the events of one sample from spikes of the last layer, weakened last: in the order of the reference."""
    offsets, values = gates[0].lists.offsets, np.zeros(len(gates[0].lists.sites))
    for t in np.flatnonzero(np.diff(last.offsets)).tolist():
        arrived = _arrived(_of_step(last, t), descents, [_until(gate, t) for gate in gates], 1.0)
        values[: len(arrived)] += np.repeat(reach[t::-1], np.diff(offsets[: t + 2])) * arrived
    return values


def _of_step(spikes: SpikeLists, t: int) -> Activity:
    """The spikes of one step of one sample, with nothing in the steps before; later ones are left out."""
    offsets = np.zeros(t + 2, np.int64)
    first, offsets[-1] = spikes.offsets[t], spikes.offsets[t + 1] - spikes.offsets[t]
    return Activity(offsets, spikes.sites[first : spikes.offsets[t + 1]], np.ones(offsets[-1]))


def _until(spikes: PooledSpikes, t: int) -> PooledSpikes:
    """The spikes of one sample up to a step; nothing is copied."""
    (offsets, sites, (_, *shape)), kept = spikes.lists, spikes.kept
    end = offsets[t + 1]
    lists = SpikeLists(offsets[: t + 2], sites[:end], (t + 1, shape[0], shape[1], shape[2]))
    return PooledSpikes(lists, None if kept is None else kept[:end])


class _Descent:
    """A convolution as traces go down through it, with its scratch. gates: the spikes below."""

    def __init__(self, layer: Layer, gates: SpikeLists) -> None:
        maps, channels, kernel = layer.weight.shape[:3]
        _, _, height, width = gates.shape
        weight = as_array(layer.weight)
        if maps * FEW <= channels:
            self._kernel, spans = tracing_kernels.descend_few, _EVERYWHERE
            weights = _taps(weight.tobytes(), weight.shape)
            room = _zeros(maps, height + kernel - 1, width + kernel - 1 + weights.shape[-1])
            stamps = _zeros(1, *room.shape[:2], dtype=np.int32)
        else:
            self._kernel = tracing_kernels.descend
            weights, spans, apart = _lines(weight.tobytes(), weight.shape)
            kernel, pieces = weights.shape[1], -(-(width + weights.shape[1] - 1) // PIECE)
            lines, beside = (channels * height, 1) if apart else (height, channels)
            room = _zeros(lines, pieces * PIECE * beside + weights.shape[-1])
            stamps = _zeros(2, lines, pieces, dtype=np.int32)
        self._table = Table(weights, room, stamps, spans, kernel, channels, height, width)

    def run(self, activity: Activity, gates: SpikeLists, decay: float, out: np.ndarray) -> None:
        """See `descend`."""
        self._kernel(activity, Gates(gates.offsets, gates.sites), self._table, decay, out)


@functools.lru_cache(_MOST)
def _taps(weight: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Weights as `descend_few` takes them, of the bytes of float32 (C_out, C_in, K, K)."""
    excitatory = _excitatory(weight, shape)
    return _padded(excitatory[:, :, ::-1, ::-1].transpose(1, 0, 2, 3), TAPS)


@functools.lru_cache(_MOST)
def _lines(weight: bytes, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, bool]:
    """Weights and spans as `descend` takes them, without the borders of 0 that all maps share, of the bytes of float32 (C_out,
    C_in, K, K); and whether lines are of one channel each."""
    weights, (maps, channels, kernel, _) = _excitatory(weight, shape), shape
    at = np.concatenate(np.nonzero(weights)[2:])
    border = int(min(at.min(), kernel - 1 - at.max())) if len(at) else kernel // 2
    weights = weights[:, :, border : kernel - border, border : kernel - border]
    kernel -= 2 * border
    passes_on = weights.max((2, 3)) > 0
    apart = channels > 1 and bool((passes_on.sum(1) <= 1).all())
    if apart:
        weights = weights.sum(1, keepdims=True)
    spans = np.zeros((maps, 5), np.int64)
    made = np.zeros((maps, kernel, -(-kernel * weights.shape[1] // DOUBLES) * DOUBLES))
    for m, own in enumerate(weights):
        _, rows, columns = np.nonzero(own)
        if not len(rows):
            continue
        first = int(columns.min())
        line = _padded(own[:, :, first : columns.max() + 1].transpose(1, 2, 0).reshape(kernel, -1), DOUBLES)
        made[m, :, : line.shape[1]] = line
        spans[m] = rows.min(), rows.max() + 1, first, line.shape[1], passes_on[m].argmax() if apart else 0
    return made, spans, apart


def _padded(lines: np.ndarray, lanes: int) -> np.ndarray:
    """The last axis lengthened with 0 to a multiple of `lanes`."""
    beyond = -lines.shape[-1] % lanes
    return np.ascontiguousarray(np.pad(lines, [(0, 0)] * (lines.ndim - 1) + [(0, beyond)]))


def _excitatory(weight: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """float64 (C_out, C_in, K, K), rounded as the network rounds; 0 for what inhibits."""
    given = np.frombuffer(weight, np.float32).reshape(shape)
    return np.maximum(np.rint(given * SCALE32), 0.0).astype(np.float64) / SCALE


_NONE, _EVERYWHERE = np.empty(0, np.int32), np.empty((0, 5), np.int64)
_scratch = threading.local()


def _zeros(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    """An array that the kernels leave as they take it, zeros or whatever it holds. Those of the last few shapes are kept, by each
    thread, for the next call: first touching new memory is slow."""
    made: dict[Any, np.ndarray] = _scratch.__dict__.setdefault("made", {})
    if (shape, dtype) not in made:
        if len(made) >= _MOST:
            made.clear()
        made[shape, dtype] = np.zeros(shape, dtype)
    return made[shape, dtype]


def so_far(lists: SpikeLists, kept: np.ndarray | None) -> tuple[SpikeLists, np.ndarray | None]:
    """Spikes up to each step, and the pooling index of the last of each site."""
    cells = int(np.prod(lists.shape[1:]))
    indices = _NONE if kept is None else kept
    offsets = np.zeros(lists.shape[0] + 1, np.int64)

    def fill(sites: np.ndarray, out: np.ndarray) -> int:
        scratch = np.full(cells, -1, np.int32), np.zeros(cells, np.int32)
        count: int = tracing_kernels.reached(lists.offsets, lists.sites, indices, *scratch, offsets, sites, out)
        return count

    count = fill(_NONE, _NONE)
    sites, out = np.zeros(count, np.int32), np.zeros(count, np.int32)
    fill(sites, out)
    return SpikeLists(offsets, sites, lists.shape), None if kept is None else out
