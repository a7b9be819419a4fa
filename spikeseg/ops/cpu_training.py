"""The fused training step, event-driven: it looks no further than the last winner."""

from __future__ import annotations

import numpy as np

from spikeseg.compiled import compiled

from .cpu_kernels import (
    SCAN,
    ZERO,
    advance,
    excites,
    greedy,
    key,
    pour,
    reaches,
    restless,
    sort_by_row,
    spread,
    tabulate,
)


@compiled()
def candidates(v, theta, level, row, first, maps, half, keys, n_keys, won, inhibited, by_map, spent, competing):
    """Reset what has fired in a part of a row, and list those that may win.

    Args:
        v, theta: the part, from number `first` of the row on; potentials and thresholds are `level` apart.
        keys: int64 (maps, neurons of a map); n_keys: int64 (maps,), candidates so far, counted on.
        spent: bool (H, W, maps), neurons past their first spike; empty without `competing`.
        competing: float32 (maps, H, W), thresholds of the competition in potential; empty without.
    """
    height, width = inhibited.shape
    for start in range(0, v.size, SCAN):
        if not reaches(v[start : start + SCAN], theta[start : start + SCAN], level):
            continue
        for i in range(start, min(start + SCAN, v.size)):
            potential = np.int32(v[i] - level)
            if potential < theta[i]:
                continue
            v[i] = level
            column = (first + i) // maps - half
            m = (first + i) % maps
            if column < 0 or column >= width or (by_map and won[m]) or inhibited[row, column]:
                continue
            if competing.size:
                if spent[row, column, m]:
                    continue
                spent[row, column, m] = True
                if np.float32(potential) / np.float32(4096.0) < competing[m, row, column]:
                    continue
            keys[m, n_keys[m]] = key(potential, (m * height + row) * width + column)
            n_keys[m] += 1


@compiled()
def strengthen(weight, m, row, column, t, first_input, rates, bounds, soft):
    """STDP of one winner, in place: w + rate * (w * (1 - w)), clamped; float32 throughout.

    Args:
        weight: float32 (C_out, C_in, K, K).
        first_input: int32 (C_in, H, W), step of each input's first spike, large where silent.
        rates: float32 (2,), of synapses that came late or never, and of those in time.
        bounds: float32 (2,).
    """
    channels, kernel = weight.shape[1], weight.shape[2]
    height, width = first_input.shape[1], first_input.shape[2]
    half = kernel // 2
    one = np.float32(1.0)
    for c in range(channels):
        for ky in range(kernel):
            y = row + ky - half
            for kx in range(kernel):
                x = column + kx - half
                rate = rates[0]
                if 0 <= y < height and 0 <= x < width and first_input[c, y, x] <= t:
                    rate = rates[1]
                w = weight[m, c, ky, kx]
                w = w + rate * (w * (one - w)) if soft else w + rate
                weight[m, c, ky, kx] = min(max(w, bounds[0]), bounds[1])


@compiled()
def adapt_maps(theta, threshold, base, won, numbers):
    """Homeostasis per map after a sample. numbers: float32 rest, plus, tau, top; empty: none."""
    for m in range(theta.size):
        if numbers.size:
            raised = theta[m] + numbers[1] * np.float32(won[m])
            decayed = raised - (raised - numbers[0]) / numbers[2]
            theta[m] = min(max(decayed, numbers[0]), numbers[3])
        threshold[m] = theta[m] + base


@compiled()
def adapt_competition(competing, winners, n_winners, numbers):
    """Homeostasis of the competition after a sample. numbers: float32 target_rate, lr, low, high."""
    target, lr, low, high = numbers
    flat = competing.reshape(-1)
    lost, gained = lr * (np.float32(0.0) - target), lr * (np.float32(1.0) - target)
    height, width = competing.shape[1], competing.shape[2]
    kept = np.empty(n_winners, np.float32)
    for k in range(n_winners):
        kept[k] = competing[winners[k, 1], winners[k, 2], winners[k, 3]]
    for i in range(flat.size):
        flat[i] = min(max(flat[i] + lost, low), high)
    for k in range(n_winners):
        place = (winners[k, 1] * height + winners[k, 2]) * width + winners[k, 3]
        flat[place] = min(max(kept[k] + gained, low), high)


@compiled()
def compete(
    offsets, sites, steps, v, table, theta, patch, exciting, tiles, tile_of, stamps, opened, mode, leak, factor, restless_now,
    begin, columns, channels, first_input, keys, n_keys, won, inhibited, spent, competing,
    winners, limit, by_map, by_place, radius,
):  # fmt: skip
    """Run a layer on one sample until every winner is known; -> how many there are.

    Args:
        offsets: int64 (T + 1,) into sites.
        exciting, restless_now: see `excites` and `restless`.
        first_input: int32 (C_in, H, W), filled up to the step of the last winner.
        keys, n_keys: int64 (maps, neurons of a map) and (maps,), scratch.
    """
    height, width = first_input.shape[1], first_input.shape[2]
    maps, half = won.size, table.shape[0] // 2
    stamps[:] = 0
    won[:] = False
    inhibited[:] = False
    spent[:] = False
    first_input[:] = steps
    inputs = first_input.reshape(-1)
    no_counts = np.empty(0, np.int32)
    reached = np.empty(2, np.int64)
    n_winners = 0
    for t in range(steps):
        sort_by_row(offsets, sites, no_counts, t, t + 1, height, width, begin, columns, channels, no_counts)
        for k in range(offsets[t], offsets[t + 1]):
            inputs[sites[k]] = min(inputs[sites[k]], np.int32(t))
        n_keys[:] = 0
        level = np.int32(leak * (t + 1))
        for row in range(height):
            if exciting:
                if pour(v[row], row, t, begin, columns, channels, table, theta, patch, leak, stamps[row], reached):
                    a, b = reached
                    candidates(
                        v[row, a:b], theta[a:b], level, row, a, maps, half, keys, n_keys, won, inhibited, by_map, spent, competing
                    )
                continue
            found = advance(
                v[row], row, t, begin, columns, channels, no_counts, False, table, patch.size, theta, tiles, tile_of,
                stamps[row], opened,
                mode, leak, factor, restless_now,
            )  # fmt: skip
            for k in range(found):
                a, b = tiles[opened[k]], tiles[opened[k] + 1]
                candidates(
                    v[row, a:b], theta[a:b], ZERO, row, a, maps, half, keys, n_keys, won, inhibited, by_map, spent, competing
                )
        n_winners = greedy(keys, n_keys, won, inhibited, winners, n_winners, t, limit, by_map, by_place, radius)
        if n_winners == limit:
            break
    return n_winners


@compiled()
def train(
    order, offsets, sites, steps, v, table, theta, patch, fine, fine_of, whole, whole_of, sparse, stamps, opened,
    mode, leak, factor, begin, columns, channels, first_input, keys, n_keys, won, inhibited, spent, competing,
    winners, limit, by_map, by_place, radius, weight, threshold, adaptive, wins, recent_wins, seen, stale, left, batch_size,
    rates, bounds, soft, base, map_numbers, competition_numbers, dead_threshold, dead_warmup,
):  # fmt: skip
    """Learn from the samples of `order`; -> how many, fewer when a map is dead after the last of them (dead_warmup < 0: never).

    fine, whole: tiles for samples of fewer and of more spikes than `sparse`.
    stale: bool (maps,), whose weights have changed since they were tabulated. left: int64 (1,), samples of the batch in hand
    still to come."""
    maps = won.size
    half, width = table.shape[0] // 2, inhibited.shape[1]
    gains = np.empty(maps, np.int64)
    for n in range(order.size):
        if left[0] == 0:
            for m in range(maps):
                if stale[m]:
                    tabulate(weight, table, m)
                    stale[m] = False
            spread(threshold, theta, patch, maps, half, width)
            left[0] = min(batch_size, order.size - n)
        at = order[n] * steps
        inside = offsets[at : at + steps + 1]
        few = inside[-1] - inside[0] < sparse
        tiles, tile_of = (fine, fine_of) if few else (whole, whole_of)
        n_winners = compete(
            inside - inside[0], sites[inside[0] : inside[-1]], steps, v, table, theta, patch,
            excites(table, theta, mode, leak, factor), tiles, tile_of, stamps, opened,
            mode, leak, factor, restless(theta, mode, leak, factor), begin, columns, channels,
            first_input, keys, n_keys, won, inhibited, spent, competing, winners, limit, by_map, by_place, radius,
        )  # fmt: skip
        left[0] -= 1
        gains[:] = 0
        for k in range(n_winners):
            m = winners[k, 1]
            strengthen(weight, m, winners[k, 2], winners[k, 3], winners[k, 0], first_input, rates, bounds, soft)
            stale[m] = True
            gains[m] += 1
        if competing.size:
            adapt_competition(competing, winners, n_winners, competition_numbers)
        dead = False
        for m in range(maps):
            wins[m] += gains[m]
            recent_wins[m] += gains[m]
            seen[m] += 1
            if 0 <= dead_warmup <= seen[m]:
                dead = dead or np.float32(recent_wins[m]) < dead_threshold * np.float32(seen[m])
        adapt_maps(adaptive, threshold, base, gains, map_numbers)
        if dead:
            return n + 1
    return order.size
