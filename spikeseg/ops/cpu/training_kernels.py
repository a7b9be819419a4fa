# mypy: allow-untyped-defs, no-check-untyped-defs
"""The fused training step, event-driven: it looks little further than the last winner.

Where input only excites and potentials are small, a sample is run in uint16 (`compete_capped`), of which a register holds twice
as many as of int32. Sums stop at a cap; where a neuron that has fired is at the cap, the sample is run again in int32
(`compete`). While samples end with places left for winners, so that every step counts, each row is run through several steps
before the next one, and winners are found afterwards: the row stays in the fastest cache, and little is run in vain.
"""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled
from spikeseg.ops.types import PlasticityForm

from .neuron_kernels import (
    NEVER,
    SCAN,
    ZERO,
    add_capped,
    add_capped_and_look,
    advance,
    excites,
    greedy,
    key,
    lift_capped,
    pour,
    reaches,
    restless,
    sort_by_row,
    spread,
    tabulate,
)

CAP = 2**16 - 1
"""A potential in uint16 that is too high to be known."""
BELOW_STEP = 48
"""Bits of a key below its step, where it has one."""
SPARE = np.int64(2**31 - 2**16) << 31
"""What a `key` of a potential below the cap can do without, which leaves room for a step."""
AHEAD = 10
"""Steps that a row is run through before the next one, at most."""
AGAIN = 16
"""Samples that are run in int32 after one that did not fit."""
UNTOUCHED = -2
"""Where a row lies before its first input, see `run_row`."""
WINNERS, DEAD = range(2)
"""What `train` tells of the last sample: its winners, and whether a map was dead after it."""
MULTIPLICATIVE_RULE, CUSTOM_RULE = int(PlasticityForm.MULTIPLICATIVE), int(PlasticityForm.CUSTOM)


@compiled()
def candidates(v, theta, level, row, first, maps, half, keys, n_keys, later, cap, won, inhibited, by_map, spent, competing):
    """Reset what has fired in a part of a row, and list those that may win; -> whether they are known and there is room.

    Args:
        v, theta: the part, from number `first` of the row on; potentials and thresholds are `level` apart.
        keys: int64 (maps, neurons of a map); n_keys: int64 (maps,), candidates so far, counted on.
        later: added to each key. cap: of v, from which on a potential is not known.
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
            if v[i] >= cap:
                return False
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
            if n_keys[m] == keys.shape[1]:
                return False
            keys[m, n_keys[m]] = key(potential, (m * height + row) * width + column) + later
            n_keys[m] += 1
    return True


@compiled()
def apply_stdp(weight, m, row, column, t, first_input, rates, bounds, form):
    """STDP of one winner, in place: w + rate * (w * (1 - w)), or w + rate, clamped; float32 throughout.

    Args:
        weight: float32 (C_out, C_in, K, K).
        first_input: int32 (C_in, H, W), step of each input's first spike, large where silent.
        rates: float32 (2,), of synapses that came late or never, and of those in time.
        bounds: float32 (2,).
        form: `PlasticityForm` but CUSTOM.
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
                w = w + rate * (w * (one - w)) if form == MULTIPLICATIVE_RULE else w + rate
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


@compiled(allocates=True)
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
    begin, columns, lines, first_input, keys, n_keys, won, inhibited, spent, competing,
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
    no_counts = columns[:0]
    n_winners = 0
    for t in range(steps):
        sort_by_row(offsets, sites, no_counts, t, t + 1, height, width, first_input.shape[0], begin, columns, lines, no_counts)
        for k in range(offsets[t], offsets[t + 1]):
            inputs[sites[k]] = min(inputs[sites[k]], np.int32(t))
        n_keys[:] = 0
        level = np.int32(leak * (t + 1))
        for row in range(height):
            if exciting:
                a, b = pour(v[row], row, t, begin, columns, lines, table, theta, patch, leak, stamps[row])
                if a < b:
                    candidates(
                        v[row, a:b], theta[a:b], level, row, a, maps, half, keys, n_keys, 0, NEVER, won, inhibited,
                        by_map, spent, competing,
                    )  # fmt: skip
                continue
            found = advance(
                v[row], row, t, begin, columns, lines, no_counts, False, table, patch.size, theta, tiles, tile_of,
                stamps[row], opened,
                mode, leak, factor, restless_now,
            )  # fmt: skip
            for k in range(found):
                a, b = tiles[opened[k]], tiles[opened[k] + 1]
                candidates(
                    v[row, a:b], theta[a:b], ZERO, row, a, maps, half, keys, n_keys, 0, NEVER, won, inhibited,
                    by_map, spent, competing,
                )  # fmt: skip
        n_winners = greedy(keys, n_keys, won, inhibited, winners, n_winners, t, limit, by_map, by_place, radius)
        if n_winners == limit:
            break
    return n_winners


@compiled()
def fits(table, patch, leak, steps):
    """Whether weights, and thresholds with the leak of all steps, lie within the cap, and steps within a key."""
    highest = heaviest = ZERO
    for i in range(patch.size):
        highest = max(highest, patch[i])
    weights = table.reshape(-1)
    for i in range(weights.size):
        heaviest = max(heaviest, weights[i])
    return heaviest <= CAP and highest + np.int64(leak) * steps <= CAP and steps < 2**15


@compiled()
def narrow(theta, below):
    """uint16 numbers just below thresholds, int32 > 0; the cap for those out of reach."""
    for i in range(theta.size):
        below[i] = np.uint16(min(theta[i] - 1, CAP))


@compiled()
def run_row(
    v, row, begun, end, begin, columns, lines, table, theta, below, patch_below, leak, lifted,
    keys, n_keys, won, inhibited, by_map, spent, competing,
):  # fmt: skip
    """Run one row's neurons through some steps, as `pour` does, and list those that may win.

    Args:
        v, table: uint16. theta: int32, of the row; below, patch_below: uint16, the numbers below it, see `narrow`.
        lifted: UNTOUCHED before the row's first input in the sample, then the step whose floor the row lies on, or below 0.

    Returns:
        Whether potentials and keys fit, and lifted after these steps.
    """
    height, kernel, span = begin.shape[1] - 1, table.shape[0], patch_below.size
    half, maps = kernel // 2, span // kernel
    first, last = half * maps, theta.size - half * maps
    low, high, here = max(0, row - half), min(height, row + half + 1), (row + half) * table.shape[1]
    all_lines = table.reshape(-1, table.shape[2])
    for t in range(begun, end):
        spikes = begin[t, high] - begin[t, low]
        if spikes == 0:
            continue
        if lifted == UNTOUCHED:
            v[:] = 0
            lifted = 0
        floor, level = np.uint16(leak * t), np.uint16(leak * (t + 1))
        if spikes * span * 2 >= theta.size:
            if lifted != t:
                lift_capped(v[: theta.size], below, floor)
            for k in range(begin[t, low], begin[t, high]):
                add_capped(v[columns[k] * maps : columns[k] * maps + span], all_lines[here + lines[k], :span])
            lifted = t + 1
            a, b = first, last
            found = lift_capped(v[: theta.size], below, level) > level
        else:
            lifted = -1
            a, b = last, first  # between them neurons may be at their thresholds
            for k in range(begin[t, low], begin[t, high]):
                i = columns[k] * maps
                if add_capped_and_look(v[i : i + span], all_lines[here + lines[k], :span], patch_below, floor) > level:
                    a, b = min(a, i), max(b, i + span)
            v[a:first] = 0
            v[last:b] = 0
            a, b = max(a, first), min(b, last)
            found = a < b
        if found and not candidates(
            v[a:b], theta[a:b], np.int32(level), row, a, maps, half, keys, n_keys, (np.int64(t) << BELOW_STEP) - SPARE, CAP,
            won, inhibited, by_map, spent, competing,
        ):  # fmt: skip
            return False, lifted
    return True, lifted


@compiled()
def compete_capped(
    offsets, sites, steps, ahead, v, table, theta, below, patch_below, lifted, leak, begin, columns, lines,
    first_input, keys, n_keys, won, inhibited, spent, competing, winners, limit, by_map, by_place, radius,
):  # fmt: skip
    """`compete` in uint16, `ahead` steps at once; -> how many winners there are, or -1 where potentials or keys do not fit.

    Args:
        v: uint16 (H, at least (W + 2 * (K // 2)) * maps). table, theta, below, patch_below: see `run_row`. lifted: int64 (H,).
    """
    height, width = first_input.shape[1], first_input.shape[2]
    lifted[:] = UNTOUCHED
    won[:] = False
    inhibited[:] = False
    spent[:] = False
    first_input[:] = steps
    inputs = first_input.reshape(-1)
    no_counts = columns[:0]
    n_winners = 0
    for begun in range(0, steps, ahead):
        end = min(begun + ahead, steps)
        sort_by_row(offsets, sites, no_counts, begun, end, height, width, first_input.shape[0], begin, columns, lines, no_counts)
        for t in range(begun, end):
            for k in range(offsets[t], offsets[t + 1]):
                inputs[sites[k]] = min(inputs[sites[k]], np.int32(t))
        n_keys[:] = 0
        for row in range(height):
            kept = row if ahead < steps else 0  # rows that are run once share one
            fit, lifted[row] = run_row(
                v[kept], row, begun, end, begin, columns, lines, table, theta, below, patch_below, leak, lifted[row],
                keys, n_keys, won, inhibited, by_map, spent, competing,
            )  # fmt: skip
            if not fit:
                return -1
        n_winners = greedy(keys, n_keys, won, inhibited, winners, n_winners, 0, limit, by_map, by_place, radius, BELOW_STEP)
        if n_winners == limit:
            break
    return n_winners


@compiled(allocates=True)
def train(
    begun, order, offsets, sites, steps, v, table, theta, patch, fine, fine_of, whole, whole_of, sparse, stamps, opened,
    narrow_v, narrow_table, below, patch_below, lifted, wait, calm,
    mode, leak, factor, begin, columns, lines, first_input, keys, n_keys, won, inhibited, spent, competing,
    winners, limit, by_map, by_place, radius, weight, threshold, adaptive, wins, recent_wins, seen, stale, left, last, batch_size,
    rates, bounds, form, base, map_numbers, competition_numbers, dead_threshold, dead_warmup,
):  # fmt: skip
    """Learn from the samples of `order`, from number `begun` on; -> how many are learned then: all, or fewer when a map is dead
    after the last of them (dead_warmup < 0: never), or one more, its weights left to the caller, where the rule is CUSTOM.

    fine, whole: tiles for samples of fewer and of more spikes than `sparse`.
    narrow_v, narrow_table, below, patch_below, lifted: see `compete_capped`. wait: int64 (1,), samples until it is tried again.
    calm: bool (1,), whether the sample before ended with places left for winners.
    stale: bool (maps,), whose weights have changed since they were tabulated. left: int64 (1,), samples of the batch in hand
    still to come. last: int64 (2,), filled, see WINNERS."""
    maps = won.size
    half, width = table.shape[0] // 2, inhibited.shape[1]
    gains = np.empty(maps, np.int64)
    exciting = fitting = False
    for n in range(begun, order.size):
        if left[0] == 0:
            for m in range(maps):
                if stale[m]:
                    tabulate(weight, table, m)
                    tabulate(weight, narrow_table, m)
                    stale[m] = False
            spread(threshold, theta, patch, maps, half, width)
            narrow(theta, below)
            narrow(patch, patch_below)
            exciting = excites(table, theta, mode, leak, factor)
            fitting = exciting and fits(table, patch, leak, steps)
            left[0] = min(batch_size, order.size - n)
        at = order[n] * steps
        inside = offsets[at : at + steps + 1]
        first, end = inside[0], inside[-1]
        n_winners = -1
        if fitting and wait[0] == 0:
            n_winners = compete_capped(
                inside - first, sites[first:end], steps, AHEAD if calm[0] else 1, narrow_v, narrow_table, theta,
                below, patch_below, lifted, leak, begin, columns, lines, first_input, keys, n_keys,
                won, inhibited, spent, competing, winners, limit, by_map, by_place, radius,
            )  # fmt: skip
            if n_winners < 0:
                wait[0] = AGAIN
        else:
            wait[0] = max(0, wait[0] - 1)
        if n_winners < 0:
            tiles, tile_of = (fine, fine_of) if end - first < sparse else (whole, whole_of)
            n_winners = compete(
                inside - first, sites[first:end], steps, v, table, theta, patch, exciting, tiles, tile_of, stamps, opened,
                mode, leak, factor, restless(theta, mode, leak, factor), begin, columns, lines,
                first_input, keys, n_keys, won, inhibited, spent, competing, winners, limit, by_map, by_place, radius,
            )  # fmt: skip
        calm[0] = n_winners < limit
        left[0] -= 1
        gains[:] = 0
        for k in range(n_winners):
            m = winners[k, 1]
            if form != CUSTOM_RULE:
                apply_stdp(weight, m, winners[k, 2], winners[k, 3], winners[k, 0], first_input, rates, bounds, form)
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
        last[WINNERS], last[DEAD] = n_winners, dead
        if dead or form == CUSTOM_RULE:
            return n + 1
    return order.size
