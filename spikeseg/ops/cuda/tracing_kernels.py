# mypy: allow-untyped-defs, no-check-untyped-defs
"""Triton kernels of tracing: what arrives at each spike, gathered from the spikes above that it helped to fire, in whole numbers.

Activity is int64 in units of 2**-12 to the power of the layers that it has come through. No decay is in it: what spikes of the
last layer pass on is held apart by their step, a lane each, and weakened last. So no sum depends on its order.

Every program owns what it writes.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit(
    do_not_specialize=["number", "steps", "channels", "maps", "height", "width", "above_height", "above_width"]
)  # one code for all frame sizes: nothing here gains by knowing them
def descend(
    sites, rows, until, starts, above_rows, neurons, above_values, weights, values,
    number, steps, channels, maps, height, width, above_height, above_width,
    KERNEL: tl.constexpr, POOL: tl.constexpr, STRIDE: tl.constexpr, LANES: tl.constexpr, DELAYED: tl.constexpr,
    NODES: tl.constexpr,
):  # fmt: skip
    """Down through a convolution and the pool behind it. Grid: (groups of NODES spikes below,), one thread each.

    The spikes of a row of pooled cells, and with them those of all cells of a row in reach, lie side by side: for each map above
    and each row of cells there is one stretch of spikes to go through.

    Args:
        sites, rows, until: int32 (number,), of the spikes below: address (c*H + y)*W + x; sample * steps + step; without delay
            connections, the step at which the site spikes next, which ends what this spike gates.
        starts: int32 (samples * maps * above_height * above_width + 1,), where the spikes of each site above begin.
        above_rows, neurons: int32, of the spikes above: like rows; which neuron of its map spiked, y*W + x before the pool.
        above_values: int64 (spikes above, LANES); values: int64 (number, LANES), filled.
        weights: int32 (maps, channels, KERNEL, KERNEL), in units, >= 0.
        LANES: 1, where nothing is weakened; else a power of two of at least `steps`, a lane for each step of a last spike.
        DELAYED: whether activity reaches spikes of earlier steps, or stays at the step of its lane.
    """
    HALF: tl.constexpr = KERNEL // 2
    LIFT: tl.constexpr = HALF + POOL  # keeps what is divided above 0
    REACH: tl.constexpr = (2 * HALF + POOL - 1) // STRIDE + 1  # cells along an axis whose windows a kernel can meet
    k = tl.program_id(0) * NODES + tl.arange(0, NODES)
    here = k < number
    site = tl.load(sites + k, mask=here, other=0)
    row = tl.load(rows + k, mask=here, other=0)
    channel = site // (height * width)
    y = site // width % height
    x = site % width
    top = (y + (LIFT * STRIDE + STRIDE - HALF - POOL)) // STRIDE - LIFT
    left = (x + (LIFT * STRIDE + STRIDE - HALF - POOL)) // STRIDE - LIFT
    first_column = tl.maximum(left, 0)
    end_column = tl.minimum(left + REACH, above_width)
    planes = row // steps * maps
    lane = tl.arange(0, LANES)
    total = tl.zeros((NODES, LANES), tl.int64)
    for m in range(maps):
        for i in range(REACH):
            below = top + i
            line = ((planes + m) * above_height + below) * above_width
            inside = here & (below >= 0) & (below < above_height) & (first_column < end_column)
            first = tl.load(starts + line + first_column, mask=inside, other=0)
            length = tl.load(starts + line + end_column, mask=inside, other=0) - first
            for j in range(tl.max(length)):
                spike = first + j
                reached = j < length
                neuron = tl.load(neurons + spike, mask=reached, other=0)
                up = y + HALF - neuron // width
                beside = x + HALF - neuron % width
                reached &= (up >= 0) & (up < KERNEL) & (beside >= 0) & (beside < KERNEL)
                if DELAYED:
                    reached &= tl.load(above_rows + spike, mask=reached, other=0) >= row
                weight = tl.load(
                    weights + ((m * channels + channel) * KERNEL + up) * KERNEL + beside, mask=reached, other=0
                )  # fmt: skip
                at = spike.to(tl.int64)[:, None] * LANES + lane[None, :]
                total += weight.to(tl.int64)[:, None] * tl.load(above_values + at, mask=reached[:, None], other=0)
    if not DELAYED:
        now = lane[None, :]
        ends = tl.load(until + k, mask=here, other=0)
        total = tl.where((now >= (row % steps)[:, None]) & (now < ends[:, None]), total, 0)
    tl.store(values + k.to(tl.int64)[:, None] * LANES + lane[None, :], total, mask=here[:, None])


@triton.jit(do_not_specialize=["number", "steps"])
def weaken(values, rows, reach, totals, number, steps, LANES: tl.constexpr, NODES: tl.constexpr):
    """What arrives at events, weakened by the steps from lane to event, and added up from the first lane on.

    Grid: (groups of NODES events,).

    Args:
        values: int64 (number, LANES), see `descend`.
        rows: int32 (number,), sample * steps + step.
        reach: float64 (steps + 1,), factor by the number of steps back.
        totals: float64 (number,), filled, in the unit of the values.
    """
    k = tl.program_id(0) * NODES + tl.arange(0, NODES)
    here = k < number
    step = tl.load(rows + k, mask=here, other=0) % steps
    total = tl.zeros((NODES,), tl.float64)
    for t in range(steps):
        back = t - step
        arrived = tl.load(values + k.to(tl.int64) * LANES + t, mask=here & (back >= 0), other=0).to(tl.float64)
        total += tl.load(reach + back, mask=here & (back >= 0), other=0.0) * arrived
    tl.store(totals + k, total, mask=here)
