# mypy: allow-untyped-defs, no-check-untyped-defs
"""The fused training step, event-driven: it runs little further than the last winner.

Where input is only excitatory and potentials are small, a sample is run in uint16 (`compete_capped`), of which a register holds
twice as many as of int32. Sums saturate at a cap; where a neuron that has fired is at the cap, the sample is run again in int32
(`compete`). While samples end with places left for winners, so that every step counts, each row is run through several steps
before the next one, and winners are found afterwards: the row stays in the fastest cache, and little is computed for nothing.
"""

from __future__ import annotations

import numpy as np

from spikeseg.core.compiled import compiled
from spikeseg.ops.types import PlasticityForm

from .arguments import InputSpikes, Thresholds
from .competition_kernels import candidates, greedy
from .neuron_kernels import (
    NEVER,
    ZERO,
    add_and_test_capped,
    add_capped,
    excites,
    integrate,
    integrate_excitatory,
    lay_out,
    lift_capped,
    restless,
    sort_by_row,
    tabulate,
)

CAP = 2**16 - 1
"""A saturated potential in uint16, whose value is not known."""
BELOW_STEP = 48
"""Bits of a key below its step, where it has one."""
SPARE = np.int64(2**31 - 2**16) << 31
"""Subtracted from the `key` of a potential below the cap, which leaves bits for a step."""
AHEAD = 10
"""Steps that a row is run for before the next one, at most."""
AGAIN = 16
"""Samples that are run in int32 after one that did not fit uint16."""
UNTOUCHED = -2
"""State of a row before its first input, see `CappedNeurons.lifted`."""
LEFT, EXCITING, FITTING, WAIT, CALM, WINNERS, DEAD = range(7)
"""State of `train` between samples: of the current batch, samples still to come, whether its input is only excitatory, and
whether uint16 may do; samples until that is tried again; whether the sample before ended with places left for winners; how many
winners it had, and whether a map was dead after it."""


@compiled()
def apply_stdp(weight, winner, first_input, stdp):
    """STDP of one winner, in place: w + rate * (w * (1 - w)), or w + rate, clamped; float32 throughout.

    Args:
        weight: float32 (C_out, C_in, K, K).
        winner: (step, map, row, column).
        first_input: int32 (C_in, H, W), step of each input's first spike, large where silent.
        stdp: `Stdp`, not of the form CUSTOM.
    """
    t, m, row, column = winner[0], winner[1], winner[2], winner[3]
    multiplicative, late, early = stdp.form == PlasticityForm.MULTIPLICATIVE, stdp.late, stdp.early
    channels, kernel = weight.shape[1], weight.shape[2]
    height, width = first_input.shape[1], first_input.shape[2]
    half = kernel // 2
    one = np.float32(1.0)
    for c in range(channels):
        for ky in range(kernel):
            y = row + ky - half
            for kx in range(kernel):
                x = column + kx - half
                rate = late
                if 0 <= y < height and 0 <= x < width and first_input[c, y, x] <= t:
                    rate = early
                w = weight[m, c, ky, kx]
                w = w + rate * (w * (one - w)) if multiplicative else w + rate
                weight[m, c, ky, kx] = min(max(w, stdp.low), stdp.high)


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
        address = (winners[k, 1] * height + winners[k, 2]) * width + winners[k, 3]
        flat[address] = min(max(kept[k] + gained, low), high)


@compiled()
def begin_contest(spikes, contest, first_input):
    """Reset for a sample: no winners, no input spikes."""
    contest.won[:] = False
    contest.inhibited[:] = False
    contest.spent[:] = False
    first_input[:] = spikes.offsets.size - 1


@compiled()
def note_first(spikes, t, first_input):
    """Note which inputs spike for the first time in step t."""
    steps_of_first = first_input.reshape(-1)
    for k in range(spikes.offsets[t], spikes.offsets[t + 1]):
        site = spikes.sites[k]
        steps_of_first[site] = min(steps_of_first[site], np.int32(t))


@compiled()
def compete(spikes, neurons, thresholds, tiles, inputs, first_input, contest):
    """Run a layer on one sample until every winner is known; -> how many there are.

    Args:
        spikes: `InputSpikes`, without counts.
        neurons: `Neurons`.
        thresholds: `Thresholds`.
        tiles: `Tiles`.
        inputs: `SortedInput`.
        first_input: int32 (C_in, H, W), filled up to the step of the last winner.
        contest: `Contest`.
    """
    neurons.stamps[:] = 0
    begin_contest(spikes, contest, first_input)
    n_keys, limit = contest.n_keys, contest.rule.limit
    theta = thresholds.theta
    n_winners = 0
    for t in range(spikes.offsets.size - 1):
        sort_by_row(spikes, t, t + 1, 0, first_input.shape, inputs)
        note_first(spikes, t, first_input)
        n_keys[:] = 0
        level = np.int32(neurons.leak * (t + 1))
        for row in range(first_input.shape[1]):
            if thresholds.exciting:
                a, b = integrate_excitatory(neurons, row, t, inputs, theta, thresholds.patch)
                if a < b:
                    candidates(neurons.v[row, a:b], theta[a:b], level, row, a, contest, 0, NEVER)
                continue
            reaching = integrate(neurons, row, t, inputs, False, theta, tiles, thresholds.restless)
            for k in range(reaching):
                a, b = tiles.starts[neurons.opened[k]], tiles.starts[neurons.opened[k] + 1]
                candidates(neurons.v[row, a:b], theta[a:b], ZERO, row, a, contest, 0, NEVER)
        n_winners = greedy(contest, n_winners, t)
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
def run_row(capped, row, kept, begun, end, inputs, contest):
    """Run one row's neurons through some steps, as `integrate_excitatory` does, and list those that may win.

    Args:
        capped: `CappedNeurons`; lifted[row] is updated.
        row: the row.
        kept: the row of v that holds their potentials.
        begun: the first of the steps.
        end: one beyond the last.
        inputs: `SortedInput`.
        contest: `Contest`.

    Returns:
        Whether potentials and keys fit.
    """
    v, table, theta, below, patch_below = capped.v[kept], capped.table, capped.theta, capped.below, capped.patch_below
    leak, lifted = capped.leak, capped.lifted[row]
    begin, columns, lines = inputs.begin, inputs.columns, inputs.lines
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
            reaching = lift_capped(v[: theta.size], below, level) > level
        else:
            lifted = -1
            a, b = last, first  # between them neurons may be at their thresholds
            for k in range(begin[t, low], begin[t, high]):
                i = columns[k] * maps
                if add_and_test_capped(v[i : i + span], all_lines[here + lines[k], :span], patch_below, floor) > level:
                    a, b = min(a, i), max(b, i + span)
            v[a:first] = 0
            v[last:b] = 0
            a, b = max(a, first), min(b, last)
            reaching = a < b
        if reaching and not candidates(
            v[a:b], theta[a:b], np.int32(level), row, a, contest, (np.int64(t) << BELOW_STEP) - SPARE, CAP
        ):  # fmt: skip
            return False
    capped.lifted[row] = lifted
    return True


@compiled()
def compete_capped(spikes, ahead, capped, inputs, first_input, contest):
    """`compete` in uint16, `ahead` steps at once; -> how many winners there are, or -1 where potentials or keys do not fit."""
    capped.lifted[:] = UNTOUCHED
    begin_contest(spikes, contest, first_input)
    steps, limit = spikes.offsets.size - 1, contest.rule.limit
    n_winners = 0
    for begun in range(0, steps, ahead):
        end = min(begun + ahead, steps)
        sort_by_row(spikes, begun, end, 0, first_input.shape, inputs)
        for t in range(begun, end):
            note_first(spikes, t, first_input)
        contest.n_keys[:] = 0
        for row in range(first_input.shape[1]):
            kept = row if ahead < steps else 0  # rows that are run once share one
            if not run_row(capped, row, kept, begun, end, inputs, contest):
                return -1
        n_winners = greedy(contest, n_winners, 0, BELOW_STEP)
        if n_winners == limit:
            break
    return n_winners


@compiled()
def begin_batch(learned, scratch, steps, width):
    """Lay out the present weights and thresholds; -> whether input is only excitatory, and whether uint16 may do."""
    neurons, capped = scratch.neurons, scratch.capped
    for m in range(neurons.maps):
        if learned.stale[m]:
            tabulate(learned.weight, neurons.table, m)
            tabulate(learned.weight, capped.table, m)
            learned.stale[m] = False
    lay_out(learned.threshold, scratch.theta, scratch.patch, neurons.maps, neurons.table.shape[0] // 2, width)
    narrow(scratch.theta, capped.below)
    narrow(scratch.patch, capped.patch_below)
    exciting = excites(scratch.theta, neurons)
    return exciting, exciting and fits(neurons.table, scratch.patch, neurons.leak, steps)


@compiled()
def count_wins(learned, gains, rule):
    """Count a sample and its wins, int64 (maps,); -> whether a map is dead."""
    dead = False
    for m in range(gains.size):
        learned.wins[m] += gains[m]
        learned.recent_wins[m] += gains[m]
        learned.seen[m] += 1
        if 0 <= rule.dead_warmup <= learned.seen[m]:
            dead = dead or np.float32(learned.recent_wins[m]) < rule.dead_threshold * np.float32(learned.seen[m])
    return dead


@compiled(allocates=True)
def train(begun, order, lists, steps, scratch, contest, learned, rule):
    """Learn from the samples of `order`, from number `begun` on.

    Args:
        begun: samples of `order` that have been learned already.
        order: int64, samples of `lists`.
        lists: `InputSpikes` of many samples, one after the other, without counts.
        steps: of a sample.
        scratch: `TrainingScratch`.
        contest: `Contest`.
        learned: `Learned`, changed in place.
        rule: `RuleNumbers`.

    Returns:
        how many are learned then: all; or fewer, when a map is dead after the last of them; or one more than before, whose
        change of weights is left to the caller, where the rule is CUSTOM.
    """
    offsets, sites, progress = lists.offsets, lists.sites, learned.progress
    neurons, first_input, winners, stdp = scratch.neurons, scratch.first_input, contest.winners, rule.stdp
    custom = stdp.form == PlasticityForm.CUSTOM
    gains = np.empty(neurons.maps, np.int64)
    for n in range(begun, order.size):
        if progress[LEFT] == 0:
            exciting, fitting = begin_batch(learned, scratch, steps, first_input.shape[2])
            progress[EXCITING], progress[FITTING] = exciting, fitting
            progress[LEFT] = min(rule.batch_size, order.size - n)
        at = order[n] * steps
        inside = offsets[at : at + steps + 1]
        first, last = inside[0], inside[-1]
        spikes = InputSpikes(inside - first, sites[first:last], lists.counts)
        n_winners = -1
        if progress[FITTING] and progress[WAIT] == 0:
            ahead = AHEAD if progress[CALM] else 1
            n_winners = compete_capped(spikes, ahead, scratch.capped, scratch.inputs, first_input, contest)
            if n_winners < 0:
                progress[WAIT] = AGAIN
        else:
            progress[WAIT] = max(0, progress[WAIT] - 1)
        if n_winners < 0:
            exciting = progress[EXCITING] != 0
            restless_now = False if exciting else restless(scratch.theta, neurons)
            thresholds = Thresholds(scratch.theta, scratch.patch, exciting, restless_now)
            tiles = scratch.fine if last - first < scratch.sparse else scratch.whole
            n_winners = compete(spikes, neurons, thresholds, tiles, scratch.inputs, first_input, contest)
        progress[CALM] = n_winners < contest.rule.limit
        progress[LEFT] -= 1
        gains[:] = 0
        for k in range(n_winners):
            if not custom:
                apply_stdp(learned.weight, winners[k], first_input, stdp)
            learned.stale[winners[k, 1]] = True
            gains[winners[k, 1]] += 1
        if contest.competing.size:
            adapt_competition(contest.competing, winners, n_winners, rule.competition)
        dead = count_wins(learned, gains, rule)
        adapt_maps(learned.theta, learned.threshold, rule.base, gains, rule.maps)
        progress[WINNERS], progress[DEAD] = n_winners, dead
        if dead or custom:
            return n + 1
    return order.size
