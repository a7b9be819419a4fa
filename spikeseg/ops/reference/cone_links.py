"""Cones of spikes in plain torch: which spikes and events below each spike the trace reaches; what the others must give.

`trace` says what is reached. Its links are found once per sample and followed for single spikes or groups of them: upwards,
unions of what they reach (`unite`), and downwards, sums of weights (`spread`). Lists lie on the host, as those of `encode` do;
all computing is done where the network lies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spikeseg.core.grid import snap
from spikeseg.core.packing import packed
from spikeseg.core.sparse import SparseFrames, SpikeLists
from spikeseg.ops.types import FAR, Cones, Groups, Layer, Links, Nodes, PooledSpikes

from .tracing import exact, reach_of

GROUPS_AT_ONCE = 128
"""Groups that `spread` follows side by side: it holds a number of each for every node."""


def cones(
    frames: np.ndarray | SparseFrames,
    layers: Sequence[Layer],
    spikes: Sequence[PooledSpikes],
    *,
    delay_connections: bool,
    decay: float,
) -> Cones:
    """The cones of all spikes of one sample.

    A spike reaches, through each synapse that excites, the spikes (or events) of that input: with delay connections those of its
    own and of earlier steps, the last of which is linked and leads on to those before; without, the last one up to its step.

    Args:
        frames: (1, T, P, H, W), or as lists.
        layers: the chain of which the spikes came; cones are found where its weights lie.
        spikes: of this one sample, of every layer, as `encode` returns them.
        delay_connections: see `trace`.
        decay: see `trace`; above 0 it reaches all earlier steps, however weakly.
    """
    device, steps = layers[0].weight.device, frames.shape[1]
    reach = reach_of(steps, decay, delay_connections=delay_connections)
    events = frames.lists if isinstance(frames, SparseFrames) else SpikeLists.of(frames)
    nodes, links = [_nodes(events, device, so_far=not delay_connections)[0]], []
    for i, (layer, pooled) in enumerate(zip(layers, spikes, strict=True)):
        low = nodes[i]
        up, source = _nodes(pooled.lists, device, so_far=not delay_connections and i < len(layers) - 1)
        neurons, size = up.sites.astype(np.int64), low.shape[1] * low.shape[2]
        if pooled.kept is not None:
            neurons = up.sites // (up.shape[1] * up.shape[2]) * size + pooled.kept[source]
        weight = snap(layer.weight.detach()).clamp(min=0).float()
        links.append(_linked(torch.from_numpy(neurons).to(device), up.steps, weight, low, bool(reach[1])))
        nodes.append(up)
    return Cones(nodes, links, reach, device)


def _nodes(lists: SpikeLists, device: torch.device, *, so_far: bool) -> tuple[Nodes, np.ndarray]:
    """The nodes, and the spike that each stands for; so_far: at each step, the last spike of every site up to it.

    Those of one step come by the step of the site's first spike, then by site.
    """
    fired = np.repeat(np.arange(lists.shape[0], dtype=np.int32), np.diff(lists.offsets))
    if not so_far:
        return Nodes(lists.sites, fired, fired, lists.shape[1:]), np.arange(len(fired))
    latest = _numbered(fired, lists.sites, lists.shape, device).cummax(0).values
    first = (latest < 0).sum(0)
    step, site = torch.nonzero(latest >= 0, as_tuple=True)
    order = torch.argsort(step * (len(latest) + 1) + first[site], stable=True)
    source = latest[step, site][order].cpu().numpy()
    return Nodes(_int32(site[order]), _int32(step[order]), fired[source], lists.shape[1:]), source


def _numbered(steps: np.ndarray, sites: np.ndarray, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """int64 (T, sites): the number of the node at each step and site, -1 where there is none."""
    numbers = torch.full((shape[0], int(np.prod(shape[1:]))), -1, dtype=torch.int64, device=device)
    where = torch.from_numpy(steps).long().to(device), torch.from_numpy(sites).long().to(device)
    numbers[where] = torch.arange(len(steps), device=device)
    return numbers


def _linked(neurons: Tensor, neuron_steps: np.ndarray, weight: Tensor, low: Nodes, carry: bool) -> Links:
    """Links from the neurons that fired to the nodes below: by row, then column, then channel of the receptive field.

    Args:
        neurons: int64 (n,), flat addresses (m*H + y)*W + x before the pool.
        neuron_steps: when they fired; rising.
        weight: (C_out, C, K, K), 0 for a synapse that inhibits.
        low: the nodes below.
        carry: whether nodes of earlier steps are reached, or only those of the same step.
    """
    device, kernel = weight.device, weight.shape[-1]
    channels, height, width = low.shape
    last = int(neuron_steps.max(initial=-1))
    latest = _numbered(low.steps, low.sites, (int(max(last, low.steps.max(initial=-1))) + 1, *low.shape), device)
    earlier = torch.full((len(low.sites),), -1, dtype=torch.int64, device=device)
    if carry:
        latest = latest.cummax(0).values if len(latest) else latest
        follows = np.flatnonzero((low.steps > 0) & (low.steps <= last))
        steps, sites = (torch.from_numpy(part[follows]).long().to(device) for part in (low.steps, low.sites))
        earlier[torch.from_numpy(follows).to(device)] = latest[steps - 1, sites]
    padded = F.pad(latest.reshape(-1, channels, height, width), (kernel // 2,) * 4, value=-1).permute(0, 2, 3, 1)
    taps, side = weight.permute(0, 2, 3, 1), torch.arange(kernel, device=device)
    targets, weights, counts = [neurons[:0]], [weight.flatten()[:0]], [neurons[:0]]
    bounds = np.searchsorted(neuron_steps, np.arange(last + 2))
    for t in range(last + 1):
        firing = neurons[bounds[t] : bounds[t + 1]]
        rows = (firing // width % height)[:, None] + side
        columns = (firing % width)[:, None] + side
        reached = padded[t][rows[:, :, None], columns[:, None, :]]  # (n, K, K, C)
        strength = taps[firing // (height * width)]
        linked = (reached >= 0) & (strength > 0)
        targets.append(reached[linked])
        weights.append(strength[linked])
        counts.append(linked.flatten(1).sum(1))
    offsets = F.pad(torch.cat(counts).cumsum(0), (1, 0)).cpu().numpy()
    return Links(offsets, _int32(torch.cat(targets)), torch.cat(weights).cpu().numpy(), _int32(earlier))


def unite(cones: Cones) -> tuple[np.ndarray, np.ndarray]:
    """Where the cone of every spike of the last layer lies, and which feature maps take part in it when.

    Returns:
        boxes: int32 (n, 4), left, top, right, bottom of the pixels it reaches; right and bottom are not part of the box. The box
            of a spike that reaches no pixel is (FAR, FAR, 0, 0).
        words: uint64 (n, W), packed: bit f*T + t is set where map f, counted through all layers, takes part with a spike at
            step t.
    """
    events, *layers = cones.nodes
    device, steps = cones.device, cones.steps
    sites = torch.from_numpy(events.sites).long().to(device)
    y, x = sites // events.shape[2] % events.shape[1], sites % events.shape[2]
    boxes = torch.stack([x, y, x + 1, y + 1], 1)
    took_part = torch.zeros((len(sites), 0), dtype=torch.bool, device=device)
    for low, nodes, links in zip(cones.nodes, layers, cones.links, strict=False):
        for now, before in _chains(low, links, device):
            boxes[now] = torch.cat(
                [torch.minimum(boxes[now, :2], boxes[before, :2]), torch.maximum(boxes[now, 2:], boxes[before, 2:])], 1
            )
            took_part[now] |= took_part[before]
        source, target = _ends(links, device)
        low_boxes, n, maps = boxes, len(nodes.sites), nodes.shape[0]
        boxes = torch.tensor([int(FAR), int(FAR), 0, 0], device=device).repeat(n, 1)
        boxes[:, :2].scatter_reduce_(0, source[:, None].expand(-1, 2), low_boxes[target, :2], "amin")
        boxes[:, 2:].scatter_reduce_(0, source[:, None].expand(-1, 2), low_boxes[target, 2:], "amax")
        reached = _times(torch.ones(len(source), device=device), (source, target), (n, len(low_boxes)), took_part.float()) > 0
        own = torch.zeros((n, maps, steps), dtype=torch.bool, device=device)
        feature = torch.from_numpy(nodes.sites).long().to(device) // (nodes.shape[1] * nodes.shape[2])
        own[torch.arange(n, device=device), feature, torch.from_numpy(nodes.fired).long().to(device)] = True
        took_part = torch.cat([reached, own.flatten(1)], 1)
    return _int32(boxes), packed(took_part.cpu().numpy())


def spread(cones: Cones, groups: Groups, cells: np.ndarray, n_cells: int) -> Groups:
    """What arrives at the events from groups of spikes of the last layer, summed over cells.

    A spike passes on its value times the weight of each link, and `Cones.reach` of it arrives, by the steps from the spike to the
    event. Spikes of a group are followed step by step, by sums that are exact where values are whole numbers, and what arrives is
    weakened last, so that the order of links does not matter (see `trace`).

    Args:
        cones: of one sample.
        groups: nodes of the last layer, and what each passes on, >= 0.
        cells: int32, of every event; -1 is left out.
        n_cells: above all of them.

    Returns:
        of each group the cells whose sum is above 0, in the order of their first events; sums are float64: at each event over the
        steps of the spikes, from its own on, then over the events of a cell in their order.
    """
    n_groups = len(groups.starts) - 1
    keys: list[np.ndarray] = [np.empty(0, np.int64)]
    sums: list[np.ndarray] = [np.empty(0)]
    for first in range(0, n_groups, GROUPS_AT_ONCE):
        last = min(first + GROUPS_AT_ONCE, n_groups)
        arriving = _arriving(cones, Groups(groups.starts[first : last + 1], groups.members, groups.values))
        where = torch.nonzero(arriving > 0, as_tuple=True)
        values, (group, event) = arriving[where].cpu().numpy(), (part.cpu().numpy() for part in where)
        inside = cells[event] >= 0
        key, first_entry, entry = np.unique(
            (first + group[inside]) * n_cells + cells[event[inside]], return_index=True, return_inverse=True
        )
        order = np.argsort(first_entry, kind="stable")  # entries come by group, then event
        keys.append(key[order])
        sums.append(np.bincount(entry, values[inside], len(key))[order])  # one after the other
    cell_keys = np.concatenate(keys)
    counts = np.bincount(cell_keys // n_cells, minlength=n_groups)
    return Groups(np.concatenate([[0], np.cumsum(counts)]), (cell_keys % n_cells).astype(np.int32), np.concatenate(sums))


def _arriving(cones: Cones, groups: Groups) -> Tensor:
    """What arrives at the events from each group: float64 (groups, events)."""
    device, top, events = cones.device, cones.nodes[-1], cones.nodes[0]
    members = slice(int(groups.starts[0]), int(groups.starts[-1]))
    member, value, owner = groups.members[members], groups.values[members], groups.owner
    step = top.steps[member] if not exact(cones.reach) else np.zeros(len(member), np.int32)
    pairs, column = np.unique(owner * (cones.steps + 1) + step, return_inverse=True)  # of group and step
    arriving = torch.zeros(len(top.sites), len(pairs), dtype=torch.float64, device=device)
    where = torch.from_numpy(member).long().to(device), torch.from_numpy(column).to(device)
    arriving[where] = torch.from_numpy(value).to(device)
    for below in range(len(cones.links) - 1, -1, -1):
        arriving = _passed_on(cones, below, arriving)
    total = arriving.new_zeros((len(events.sites), len(groups.starts) - 1))
    for t in np.unique(pairs % (cones.steps + 1)):  # rising, and each group at most once
        of_step = pairs % (cones.steps + 1) == t
        now, group = (
            torch.from_numpy(part).to(device) for part in (np.flatnonzero(of_step), pairs[of_step] // (cones.steps + 1))
        )
        if exact(cones.reach):
            total[:, group] += arriving[:, now]
        else:
            reach = cones.reach[np.maximum(t - events.steps, 0)]
            total[:, group] += arriving[:, now] * torch.from_numpy(reach).to(device)[:, None]
    return total.t()


def _passed_on(cones: Cones, below: int, arrived: Tensor) -> Tensor:
    """What arrives at the nodes `below` from those above them, without decay: float64 (nodes above, columns) -> (nodes below,
    columns)."""
    low, up, links, device = cones.nodes[below], cones.nodes[below + 1], cones.links[below], cones.device
    source, target = _ends(links, device)
    strength = torch.from_numpy(links.weights).to(device).double()
    out = _times(strength, (target, source), (len(low.sites), len(up.sites)), arrived)
    for now, before in reversed(_chains(low, links, device)):
        out[before] += out[now]
    return out


def _ends(links: Links, device: torch.device) -> tuple[Tensor, Tensor]:
    """The node above and the node below of every link."""
    source = np.repeat(np.arange(len(links.offsets) - 1), np.diff(links.offsets))
    return torch.from_numpy(source).to(device), torch.from_numpy(links.targets).long().to(device)


def _chains(low: Nodes, links: Links, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Step by step, the nodes that lead on to an earlier one at their site, and those earlier ones; no node twice in a step."""
    pairs = []
    for t in range(int(low.steps.max(initial=-1)) + 1):
        now = np.flatnonzero((low.steps == t) & (links.earlier >= 0))
        pairs.append((torch.from_numpy(now).to(device), torch.from_numpy(links.earlier[now]).long().to(device)))
    return pairs


def _times(entries: Tensor, where: tuple[Tensor, Tensor], size: tuple[int, int], dense: Tensor) -> Tensor:
    """A sparse matrix of these entries (row, column) times a dense one."""
    if not len(entries) or not dense.shape[1]:
        return dense.new_zeros((size[0], dense.shape[1]))
    return torch.sparse.mm(torch.sparse_coo_tensor(torch.stack(where), entries, size, check_invariants=False), dense)


def _int32(values: Tensor) -> np.ndarray:
    numbers: np.ndarray = values.to(torch.int32).cpu().numpy()
    return numbers
