"""Cones of spikes: which spikes and events below each spike the trace reaches, as lists of links, event-driven.

`reference.trace` defines what is reached. Links are found once per sample; `cone_traversal` follows them with the loops here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikeseg.core.bits import lowest
from spikeseg.core.compiled import compiled
from spikeseg.core.grid import snap
from spikeseg.core.sparse import SparseFrames, SpikeLists
from spikeseg.ops.reference.tracing import reach_of
from spikeseg.ops.types import Cones, Groups, Layer, Links, Nodes, PooledSpikes

from . import inference_kernels, tracing
from .memory import as_array

Array = np.ndarray


def cones(
    frames: Array | SparseFrames,
    layers: Sequence[Layer],
    spikes: Sequence[PooledSpikes],
    *,
    delay_connections: bool,
    decay: float,
) -> Cones:
    """The cones of all spikes of one sample.

    Args:
        frames: (1, T, P, H, W), or as lists.
        layers: see `reference.cones`.
        spikes: see `reference.cones`.
        delay_connections: see `trace`.
        decay: see `trace`; above 0 it reaches all earlier steps, however weakly.
    """
    steps = frames.shape[1]
    reach = reach_of(steps, decay, delay_connections=delay_connections)
    nodes, links = [_nodes(inference_kernels.listed(frames).lists, so_far=not delay_connections)[0]], []
    for i, layer in enumerate(layers):
        below = nodes[i]
        up, source = _nodes(spikes[i].lists, so_far=not delay_connections and i < len(layers) - 1)
        neurons, kept, size = up.sites, spikes[i].kept, below.shape[1] * below.shape[2]
        if kept is not None:
            neurons = up.sites // np.int32(up.shape[1] * up.shape[2]) * np.int32(size) + kept[source]
        weight = as_array(snap(layer.weight.detach()).clamp(min=0))
        taps = np.ascontiguousarray(weight.transpose(0, 2, 3, 1))
        links.append(Links(*link(neurons, up.steps, taps, below.shape, below.sites, below.steps, bool(reach[1]))))
        nodes.append(up)
    return Cones(nodes, links, reach)


def _nodes(lists: SpikeLists, *, so_far: bool) -> tuple[Nodes, Array]:
    """The nodes, and the spike that each stands for; so_far: at each step, the last spike of every site up to it."""
    fired = np.repeat(np.arange(lists.shape[0], dtype=np.int32), np.diff(lists.offsets))
    if not so_far:
        return Nodes(lists.sites, fired, fired, lists.shape[1:]), np.arange(len(fired), dtype=np.int32)
    numbers = np.arange(len(lists.sites), dtype=np.int32)
    latest, source = tracing.so_far(lists, numbers)
    assert source is not None
    steps = np.repeat(np.arange(latest.shape[0], dtype=np.int32), np.diff(latest.offsets))
    return Nodes(latest.sites, steps, fired[source], latest.shape[1:]), source


@compiled(allocates=True)
def link(
    neurons: Array, steps: Array, taps: Array, shape: tuple[int, int, int], low_sites: Array, low_steps: Array, carry: bool
) -> tuple[Array, Array, Array, Array]:
    """Links from the neurons that fired to the nodes below.

    Args:
        neurons: int32 (n,), flat addresses (m*H + y)*W + x before the pool.
        steps: int32 (n,), when each fired; they rise.
        taps: float32 (C_out, K, K, C), excitatory weights, 0 where a synapse is not.
        shape: (C, H, W) of the nodes below.
        low_sites: int32, the nodes below.
        low_steps: int32, their steps; they rise.
        carry: whether nodes of earlier steps are reached, or only those of the same step.

    Returns:
        as `Links`.
    """
    channels, height, width = shape
    kernel, size, per = taps.shape[1], height * width, (channels + 63) // 64
    half, n, first, last, now = kernel // 2, 0, 0, 0, -1
    open_taps = np.zeros((taps.shape[0], kernel, kernel, per), np.uint64)
    for m in range(taps.shape[0]):
        for ky in range(kernel):
            for kx in range(kernel):
                for c in range(channels):
                    if taps[m, ky, kx, c] > 0:
                        open_taps[m, ky, kx, c // 64] |= np.uint64(1) << np.uint64(c % 64)
    active, latest = np.zeros((size, per), np.uint64), np.empty((size, channels), np.int32)
    earlier = np.full(low_sites.size, -1, np.int32)
    offsets, room = np.zeros(neurons.size + 1, np.int64), 32 * neurons.size + kernel * kernel * channels
    targets, weights = np.empty(room, np.int32), np.empty(room, np.float32)
    for k in range(neurons.size):
        if steps[k] != now:
            now = steps[k]
            if not carry:
                for i in range(first, last):
                    active[low_sites[i] % size] = 0
                while last < low_sites.size and low_steps[last] < now:
                    last += 1
                first = last
            while last < low_sites.size and low_steps[last] <= now:
                c, pixel = low_sites[last] // size, low_sites[last] % size
                bit = np.uint64(1) << np.uint64(c % 64)
                if active[pixel, c // 64] & bit:
                    earlier[last] = latest[pixel, c]
                active[pixel, c // 64] |= bit
                latest[pixel, c] = last
                last += 1
        if n + kernel * kernel * channels > targets.size:
            targets = np.concatenate((targets, np.empty_like(targets)))
            weights = np.concatenate((weights, np.empty_like(weights)))
        m, y, x = neurons[k] // size, neurons[k] // width % height, neurons[k] % width
        for ky in range(max(0, half - y), min(kernel, height + half - y)):
            row = (y + ky - half) * width + x - half
            for kx in range(max(0, half - x), min(kernel, width + half - x)):
                for w in range(per):
                    left = active[row + kx, w] & open_taps[m, ky, kx, w]
                    while left:
                        c = 64 * w + lowest(left)
                        left &= left - np.uint64(1)
                        targets[n], weights[n] = latest[row + kx, c], taps[m, ky, kx, c]
                        n += 1
        offsets[k + 1] = n
    return offsets, targets[:n], weights[:n], earlier


@compiled()
def unite(offsets: Array, targets: Array, earlier: Array, low_boxes: Array, low_words: Array, boxes: Array, words: Array) -> None:
    """Unions over cones, into boxes int32 (n, 4) (left, top, right, bottom, the last two not part of it) and words uint64 (n, W).

    Nodes below may have fewer words. Their boxes and words are overwritten by unions over all the nodes that each leads on to.
    """
    for k in range(earlier.size):
        if earlier[k] >= 0:
            for edge in range(4):
                smaller = low_boxes[earlier[k], edge] < low_boxes[k, edge]
                if smaller == (edge < 2):
                    low_boxes[k, edge] = low_boxes[earlier[k], edge]
            for w in range(low_words.shape[1]):
                low_words[k, w] |= low_words[earlier[k], w]
    for k in range(boxes.shape[0]):
        left, top, right, bottom = boxes[k]
        for j in range(offsets[k], offsets[k + 1]):
            low = targets[j]
            left, top = min(left, low_boxes[low, 0]), min(top, low_boxes[low, 1])
            right, bottom = max(right, low_boxes[low, 2]), max(bottom, low_boxes[low, 3])
            for w in range(low_words.shape[1]):
                words[k, w] |= low_words[low, w]
        boxes[k, 0], boxes[k, 1], boxes[k, 2], boxes[k, 3] = left, top, right, bottom


@compiled(allocates=True)
def spread(groups: Groups, links: Links) -> tuple[Array, Array, Array]:
    """What arrives below from the nodes of each group, without decay.

    Args:
        groups: of nodes.
        links: of all nodes.

    Returns:
        as `Groups`: the nodes below, each once per group, rising.
    """
    starts, nodes, values = groups
    offsets, targets, weights, earlier = links
    below = earlier.size
    arrived, listed, n = np.zeros(below), np.zeros(below, np.bool_), 0
    out_starts = np.zeros(starts.size, np.int64)
    out_nodes, out_values = np.empty(below + 64, np.int32), np.empty(below + 64, np.float64)
    for g in range(starts.size - 1):
        if n + below > out_nodes.size:
            out_nodes = np.concatenate((out_nodes, np.empty_like(out_nodes)))
            out_values = np.concatenate((out_values, np.empty_like(out_values)))
        for i in range(starts[g], starts[g + 1]):
            for j in range(offsets[nodes[i]], offsets[nodes[i] + 1]):
                low = targets[j]
                arrived[low] += values[i] * weights[j]
                while low >= 0 and not listed[low]:
                    listed[low] = True
                    out_nodes[n] = low
                    low = earlier[low]
                    n += 1
        out_nodes[out_starts[g] : n].sort()
        for i in range(n - 1, out_starts[g] - 1, -1):
            low = out_nodes[i]
            before = earlier[low]
            if before >= 0:
                arrived[before] += arrived[low]
            out_values[i] = arrived[low]
            arrived[low], listed[low] = 0.0, False
        out_starts[g + 1] = n
    return out_starts, out_nodes[:n], out_values[:n]


@compiled(allocates=True)
def weaken(parts: Groups, steps: Array, bounds: Array, low_steps: Array, reach: Array) -> tuple[Array, Array, Array]:
    """Parts of groups put together, weakened by the steps that each has come.

    Args:
        parts: of events; those of group g are parts ``bounds[g]`` to ``bounds[g + 1] - 1``.
        steps: int64, where each part comes from; rising within a group.
        bounds: int64 (groups + 1,).
        low_steps: int32, of all events.
        reach: see `Cones`.

    Returns:
        as `Groups`: the events, each once per group, rising.
    """
    starts, nodes, values = parts
    total, listed, n = np.zeros(low_steps.size), np.zeros(low_steps.size, np.bool_), 0
    out_starts = np.zeros(bounds.size, np.int64)
    out_nodes, out_values = np.empty(nodes.size, np.int32), np.empty(nodes.size, np.float64)
    for g in range(bounds.size - 1):
        for part in range(bounds[g], bounds[g + 1]):
            for i in range(starts[part], starts[part + 1]):
                node = nodes[i]
                weakened = values[i] * reach[steps[part] - low_steps[node]]
                total[node] += weakened
                if not listed[node]:
                    listed[node] = True
                    out_nodes[n] = node
                    n += 1
        out_nodes[out_starts[g] : n].sort()
        for i in range(out_starts[g], n):
            out_values[i] = total[out_nodes[i]]
            total[out_nodes[i]], listed[out_nodes[i]] = 0.0, False
        out_starts[g + 1] = n
    return out_starts, out_nodes[:n], out_values[:n]


@compiled(allocates=True)
def gather(starts: Array, nodes: Array, values: Array, cells: Array, n_cells: int) -> tuple[Array, Array, Array]:
    """Sums over the nodes of each group that lie in one cell.

    Args:
        starts: int64 (groups + 1,) into nodes and values.
        nodes: int32.
        values: float64.
        cells: int32, of every node; -1 is left out.
        n_cells: above all of them.

    Returns:
        the same three for the cells whose sum is above 0: each once per group.
    """
    total, n = np.zeros(n_cells), 0
    out_starts = np.zeros(starts.size, np.int64)
    out_cells, out_values = np.empty(nodes.size, np.int32), np.empty(nodes.size, np.float64)
    for g in range(starts.size - 1):
        for i in range(starts[g], starts[g + 1]):
            cell = cells[nodes[i]]
            if cell >= 0 and values[i] > 0.0:
                if total[cell] == 0.0:
                    out_cells[n] = cell
                    n += 1
                total[cell] += values[i]
        for i in range(out_starts[g], n):
            out_values[i] = total[out_cells[i]]
            total[out_cells[i]] = 0.0
        out_starts[g + 1] = n
    return out_starts, out_cells[:n], out_values[:n]
