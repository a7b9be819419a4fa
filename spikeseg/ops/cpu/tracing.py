"""Spikes traced back to the pixels that caused them, event-driven: only where spikes are."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from spikeseg.core.grid import SCALE, SCALE32
from spikeseg.core.sparse import SparseFrames, SparseMap, SpikeLists
from spikeseg.ops.reference.tracing import exact, reach_of
from spikeseg.ops.types import Layer, PooledSpikes

from . import inference_kernels, tracing_kernels
from .memory import as_array
from .tracing_kernels import PIECE, Activity, Gates, Table
from .vectors import DOUBLES, TAPS

FEW = 4
"""A layer with this many times fewer maps than the one below is traced by `descend_few`."""
FARTHEST = 2.0**-800
"""Activity is weakened by so much at most from the last step to the first."""
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
    """See `reference.trace`."""
    return trace_sets(frames, layers, spikes, [None], delay_connections=delay_connections, decay=decay)[0]


def trace_sets(
    frames: np.ndarray | SparseFrames,
    layers: Sequence[Layer],
    spikes: Sequence[PooledSpikes],
    sets: Sequence[Collection[int] | None],
    *,
    delay_connections: bool,
    decay: float,
) -> list[list[SparseMap]]:
    """See `reference.trace_sets`: all at once, the activity of each map apart.

    What is traced at a step is as much stronger than at the last one as it is weakened on its way there, so that it is weakened
    at the events alone. Pixels for which that leaves two float32 to choose from are traced again as the reference does it
    (`rounding_error`), through what leads to them alone."""
    listed = inference_kernels.listed(frames)
    samples, steps, _, height, width = frames.shape
    gates = [PooledSpikes(listed.lists, None), *spikes[:-1]]
    reach = reach_of(steps, decay, delay_connections=delay_connections)
    maps = np.arange(len(layers[-1].weight))
    members = np.array([np.ones(len(maps)) if own is None else np.isin(maps, list(own)) for own in sets], np.float64)
    ways = _Ways(layers, [gate.lists for gate in gates], members, back=bool(reach[1:2].any()))
    within = reach[:-1] if ways.back else np.ones(steps)  # of what is traced at a step
    sums, touched = _zeros(height * width), _zeros(height * width // 64 + 1, dtype=np.uint64)
    found: list[list[SparseMap]] = [[] for _ in sets]
    for n in range(samples):
        last = spikes[-1].part(n, n + 1)
        if not len(last.lists.sites):
            for own in found:
                own.append(SparseMap((steps, height, width), np.zeros(0, np.int64), np.zeros(0, np.float32)))
            continue
        sample = [gate.part(n, n + 1) for gate in gates]
        if not delay_connections:
            sample = [PooledSpikes(*so_far(*gate)) for gate in sample]
        events = sample[0].lists
        if within[-1] < FARTHEST:
            arrived = ways.step_by_step(last.lists, sample, reach)
            summed = [_summed(events, own, sums, touched, 0.0) for own in arrived]
        else:
            arrived = ways.arrived(last.lists, sample, 1.0 / within[::-1])
            arrived *= np.repeat(within[::-1], np.diff(events.offsets))
            fired = [level.lists for level in (*sample[1:], last)]
            error = 0.0 if exact(reach) else rounding_error(layers, fired, frames.shape[2])
            summed = [_summed(events, own, sums, touched, error) for own in arrived]
        places = [index[doubtful] for index, _, doubtful in summed]
        again = []
        if any(map(len, places)):
            *sample, last = _leading_to(np.concatenate(places), [*sample, last], layers, (steps, height, width))
            arrived = ways.step_by_step(last.lists, sample, reach)
            again = [_summed(sample[0].lists, own, sums, touched, 0.0) for own in arrived]
        for k, (index, value, doubtful) in enumerate(summed):
            if len(doubtful):
                value[doubtful] = 0.0
                value[np.searchsorted(index, again[k][0])] = again[k][1]
                index, value = index[value > 0], value[value > 0]
            found[k].append(SparseMap((steps, height, width), index, value))
    return found


def _summed(
    events: SpikeLists, arrived: np.ndarray, sums: np.ndarray, touched: np.ndarray, error: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat indices of the pixels of one sample at which something arrived, what did, and which of them are in doubt; see
    `sum_pixels`."""
    n = len(events.sites)
    out = np.empty(n, np.int64), np.empty(n, np.float32), np.empty(n, np.int64)
    count, in_doubt = tracing_kernels.sum_pixels(events.offsets, events.sites, arrived, sums, touched, error, out)
    return out[0][:count].copy(), out[1][:count].copy(), out[2][:in_doubt].copy()


def rounding_error(layers: Sequence[Layer], spikes: Sequence[SpikeLists], polarities: int) -> float:
    """Bound on the relative error of float64 saliency that is weakened on its way from layer to layer, in one pass for all steps.

    No summand is below 0, so that it is the number of roundings that a summand goes through, times that of one: in each layer as
    many as spikes pass something on to one neuron or event, then one for each polarity and each map that is kept apart, and of
    what weakens it four a step; the sums that `reference.trace` adds up over steps and polarities are rounded, too. Where float32
    is the same throughout the bound, it is what `trace` gives (the rounding test of Ziv, Fast evaluation of elementary
    mathematical functions with correctly rounded last bit, 1991).

    Args:
        layers: the chain.
        spikes: of each layer, of one sample.
        polarities: P.
    """
    roundings = 2 * polarities + len(layers[-1].weight) + 4 * spikes[0].shape[0] + 8
    for layer, lists in zip(layers, spikes, strict=True):
        kernel, stride = layer.pool or (1, 1)
        across = -(-(2 * _reach_px(layer) + kernel) // stride)  # cells of the pool that reach into a filter's width
        _, _, height, width = lists.shape
        counts, columns = _zeros(height, width, dtype=np.int32), np.empty(width, np.int32)
        roundings += tracing_kernels.most_within(lists.sites, across, counts, columns)
    return 2.0**-53 * roundings


def _leading_to(
    pixels: np.ndarray, spikes: Sequence[PooledSpikes], layers: Sequence[Layer], shape: tuple[int, int, int]
) -> list[PooledSpikes]:
    """The events of one sample at some pixels from some steps on, and the spikes of each layer that can pass anything on to them:
    nothing else adds to what arrives there.

    Args:
        pixels: flat indices (t*H + y)*W + x.
        spikes: the events, then the spikes of each layer.
        layers: which gave them.
        shape: (T, H, W) of the sample.
    """
    steps, *size = shape
    since, led = np.full(math.prod(size), steps, np.int32), []
    np.minimum.at(since, pixels % len(since), (pixels // len(since)).astype(np.int32))
    reaches = [*(_reach_px(layer) for layer in layers), 0]
    for (lists, kept), half in zip(spikes, reaches, strict=True):
        chosen, around = np.empty(len(lists.sites), np.bool_), np.full(lists.shape[2:], steps, np.int32)
        tracing_kernels.lead_on(lists.offsets, lists.sites, _NONE if kept is None else kept, since, half, chosen, around)
        led.append(PooledSpikes(lists.only(chosen), None if kept is None else kept[chosen]))
        since = around.reshape(-1)
    return led


class _Ways:
    """The ways down from the last layer's spikes to the events.

    Args:
        layers: the chain.
        gates: the events, then the spikes of each layer but the last.
        members: float64 (sets, maps), 1 where a map of the last layer is in a set, else 0.
        back: whether activity reaches earlier steps, too.
    """

    def __init__(self, layers: Sequence[Layer], gates: Sequence[SpikeLists], members: np.ndarray, *, back: bool) -> None:
        self.back, self._members = back, members
        used = np.flatnonzero(members.any(0))
        apart = len(members) > 1
        cuts = range(0, len(used), DOUBLES if apart else max(len(used), 1))
        self._parts = [used[first : first + cuts.step] for first in cuts]
        *below, last = layers
        lanes = DOUBLES if apart else 1
        self._below = [_Descent(layer, gate, lanes) for layer, gate in zip(below, gates, strict=False)]
        self._last = [_Descent(last._replace(weight=last.weight[own]), gates[-1], lanes, last=True) for own in self._parts]

    def arrived(self, last: SpikeLists, gates: Sequence[PooledSpikes], strength: np.ndarray) -> np.ndarray:
        """What arrives at the events of one sample, of each set: float64 (sets, events).

        Args:
            last: the last layer's spikes.
            gates: the events, then the spikes of each layer but the last.
            strength: float64, how strongly the spikes of each step are traced.
        """
        size, total = last.shape[2] * last.shape[3], np.zeros((len(self._members), len(gates[0].lists.sites)))
        maps, values = last.sites // size, np.repeat(strength, np.diff(last.offsets))[:, None]
        for own, descent in zip(self._parts, self._last, strict=True):
            place = np.full(self._members.shape[1], -1)
            place[own] = np.arange(len(own))
            traced, arrived = PooledSpikes(last, None), values
            if len(own) < len(place):
                part = last.only(place[maps] >= 0)
                sites = part.sites - (own - np.arange(len(own)))[place[part.sites // size]] * size
                traced, arrived = PooledSpikes(part._replace(sites=sites.astype(np.int32)), None), values[place[maps] >= 0]
            for i in range(len(gates) - 1, -1, -1):
                below = self._below[i] if i < len(self._below) else descent
                arrived = below.run(traced, arrived, gates[i].lists, back=self.back)
                traced = gates[i]
            if arrived.shape[1] == 1:
                total += arrived.T
            else:
                total += self._members[:, own] @ arrived[:, : len(own)].T
        return total

    def step_by_step(self, last: SpikeLists, gates: Sequence[PooledSpikes], reach: np.ndarray) -> np.ndarray:
        """The same, weakened last: in the order of the reference."""
        offsets, values = gates[0].lists.offsets, np.zeros((len(self._members), len(gates[0].lists.sites)))
        for t in np.flatnonzero(np.diff(last.offsets)).tolist():
            arrived = self.arrived(_of_step(last, t), [_until(gate, t) for gate in gates], np.ones(t + 1))
            values[:, : arrived.shape[1]] += np.repeat(reach[t::-1], np.diff(offsets[: t + 2])) * arrived
        return values


def _of_step(spikes: SpikeLists, t: int) -> SpikeLists:
    """The spikes of one step of one sample, with nothing in the steps before; later ones are left out."""
    offsets = np.zeros(t + 2, np.int64)
    first, offsets[-1] = spikes.offsets[t], spikes.offsets[t + 1] - spikes.offsets[t]
    return SpikeLists(offsets, spikes.sites[first : spikes.offsets[t + 1]], (t + 1, *spikes.shape[1:]))


def _until(spikes: PooledSpikes, t: int) -> PooledSpikes:
    """The spikes of one sample up to a step; nothing is copied."""
    (offsets, sites, (_, *shape)), kept = spikes.lists, spikes.kept
    end = offsets[t + 1]
    lists = SpikeLists(offsets[: t + 2], sites[:end], (t + 1, shape[0], shape[1], shape[2]))
    return PooledSpikes(lists, None if kept is None else kept[:end])


class _Descent:
    """A convolution as traces go down through it, with its scratch.

    Args:
        layer: of the chain.
        gates: the spikes below.
        lanes: how many parts of the activity are kept apart: 1 or DOUBLES.
        last: whether it is the last layer, of which each map is a part.
    """

    def __init__(self, layer: Layer, gates: SpikeLists, lanes: int, *, last: bool = False) -> None:
        maps, channels, kernel = layer.weight.shape[:3]
        _, _, height, width = gates.shape
        weight = as_array(layer.weight)
        self._lanes = lanes
        if last if lanes > 1 else maps * FEW <= channels:
            self._kernel, spans = tracing_kernels.descend_few, _EVERYWHERE
            weights = _taps(weight.tobytes(), weight.shape)
            room = _zeros(height + kernel - 1, maps, width + kernel - 1 + weights.shape[-1])
            stamps = _zeros(1, len(room), dtype=np.int32)
        else:
            self._kernel = tracing_kernels.descend
            weights, spans, apart = _lines(weight.tobytes(), weight.shape)
            kernel, pieces = weights.shape[1], -(-(width + weights.shape[1] - 1) // PIECE)
            lines, beside = (channels * height, 1) if apart else (height, channels)
            room = _zeros(lines, (pieces * PIECE * beside + weights.shape[-1]) * lanes)
            stamps = _zeros(2, lines, pieces, dtype=np.int32)
        self._table = Table(weights, room, stamps, spans, kernel, channels, height, width)

    def run(self, traced: PooledSpikes, strongly: np.ndarray, gates: SpikeLists, *, back: bool) -> np.ndarray:
        """See `descend`. traced: the layer's spikes; strongly: float64 (spikes, lanes), how strongly each is traced."""
        lists, kept = traced
        out = np.empty((len(gates.sites), self._lanes))
        cells = lists.shape[2] * lists.shape[3]
        activity = Activity(lists.offsets, lists.sites, _NONE if kept is None else kept, cells, strongly)
        self._kernel(activity, Gates(gates.offsets, gates.sites), self._table, back, out)
        return out


@functools.lru_cache(_MOST)
def _taps(weight: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Weights as `descend_few` takes them, of the bytes of float32 (C_out, C_in, K, K)."""
    excitatory = _excitatory(weight, shape)
    return _padded(excitatory[:, :, ::-1, ::-1].transpose(1, 2, 0, 3), TAPS)


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


def _reach_px(layer: Layer) -> int:
    """How far from a neuron the weights lie that pass anything on, at most, px."""
    weight = as_array(layer.weight)
    return _lines(weight.tobytes(), weight.shape)[0].shape[1] // 2


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
