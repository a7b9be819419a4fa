"""Arguments of the compiled kernels, in groups.

Sizes: T steps, C maps below, H x W neurons of each of `maps` maps, K x K kernels, row length L = (W + 2 * (K // 2)) * maps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class InputSpikes(NamedTuple):
    """The input of one sample, step by step.

    Attributes:
        offsets: int64 (T + 1,) into sites and counts.
        sites: int32, flat addresses (c*H + y)*W + x; they rise within a step.
        counts: int32, the count at each; empty: 1.
    """

    offsets: np.ndarray
    sites: np.ndarray
    counts: np.ndarray


class SortedInput(NamedTuple):
    """The same input sorted by step and row; buffers, filled by `sort_by_row`.

    Attributes:
        begin: int64 (T, H + 1): the input of row y at step t is at begin[t, y] to begin[t, y + 1] - 1 of the others.
        columns: int32, column of each.
        lines: int32: of a table of (K, C) lines, the number of the one that an input adds to row -K//2, if there were such a row;
            at each row further down it is C more.
        times: int32, the count of each; unused where the input has none.
    """

    begin: np.ndarray
    columns: np.ndarray
    lines: np.ndarray
    times: np.ndarray


class Tiles(NamedTuple):
    """How rows are cut.

    Attributes:
        starts: int32 (tiles + 1,), first number of each tile, and the row's end.
        of_column: int32 (W + 2 * (K // 2),), the tile of each column.
    """

    starts: np.ndarray
    of_column: np.ndarray


class Neurons(NamedTuple):
    """The neurons of a layer at one frame size.

    Attributes:
        v: int32 (H, or 1 where all rows share it; more than L), potentials; wide enough for a line of the table from any column
            on.
        table: int32 (K, C, at least K * maps, beyond which it is 0: whole vectors, see `add_line`), weights as one spike adds
            them.
        stamps: int32 (H or 1, tiles in a row), the last step that each tile was run for, plus 1; 0 before the first. Where input
            is only excitatory, of the first alone: 0 before the row's first input, else 1 + a step whose floor the row lies on.
        opened: int32 (tiles in a row,), tiles touched in a step.
        columns: W.
        maps: of the layer.
        mode: `LeakCode`.
        leak: int32, in units (subtractive); 0 without a leak.
        factor: kept per step (multiplicative).
    """

    v: np.ndarray
    table: np.ndarray
    stamps: np.ndarray
    opened: np.ndarray
    columns: int
    maps: int
    mode: int
    leak: np.int32
    factor: float


class Thresholds(NamedTuple):
    """Thresholds in units, and what follows from them.

    Attributes:
        theta: int32 (L,) of every row, or (rows of blocks, L); unreachable beside the frame.
        patch: int32 (K * maps,), of the neurons that one spike reaches in a row; used where they depend on the map alone.
        exciting: whether input is only excitatory, see `neuron_kernels`.
        restless: whether a neuron without input may fire.
    """

    theta: np.ndarray
    patch: np.ndarray
    exciting: bool
    restless: bool


class CappedNeurons(NamedTuple):
    """`Neurons` whose input is only excitatory, in uint16.

    Attributes:
        v: uint16 (H, more than L). table: uint16, as theirs.
        theta: int32 (L,), thresholds of a row.
        below, patch_below: uint16 (L,) and (K * maps,), the numbers just below the thresholds of a row and of the neurons that
            one spike reaches, see `narrow`.
        lifted: int64 (H,), state of each row: UNTOUCHED before its first input in the sample, then the step to whose floor it was
            lifted, or below 0.
        leak: int32.
    """

    v: np.ndarray
    table: np.ndarray
    theta: np.ndarray
    below: np.ndarray
    patch_below: np.ndarray
    lifted: np.ndarray
    leak: np.int32


class WinnerRule(NamedTuple):
    """Winner-take-all: at most `limit` winners, one of each map (by_map), none within `radius` of another (by_position)."""

    limit: int
    by_map: bool
    by_position: bool
    radius: int


class Contest(NamedTuple):
    """Candidates and winners of a sample.

    Attributes:
        rule: of the competition.
        keys: int64 (maps, neurons of a map), candidates of each map, see `competition_kernels.key`.
        n_keys: int64 (maps,), how many.
        won: bool (maps,), maps that have a winner.
        inhibited: bool (H, W), positions near a winner.
        spent: bool (H, W, maps), neurons past their first spike; empty without `competing`.
        competing: float32 (maps, H, W), thresholds of the competition in potential; empty where it has none.
        winners: int32 (limit, 4), rows (step, map, row, column).
        half: columns beside the frame, K // 2.
    """

    rule: WinnerRule
    keys: np.ndarray
    n_keys: np.ndarray
    won: np.ndarray
    inhibited: np.ndarray
    spent: np.ndarray
    competing: np.ndarray
    winners: np.ndarray
    half: int


class Stdp(NamedTuple):
    """`Plasticity` in float32.

    Attributes:
        form: `PlasticityForm`.
        early: rate of a synapse whose input fired at or before the winner; late: of every other one, below 0.
        low, high: bounds of the weights.
    """

    form: int
    early: np.float32
    late: np.float32
    low: np.float32
    high: np.float32


class RuleNumbers(NamedTuple):
    """`TrainingRule` as the training kernel takes it.

    Attributes:
        stdp: the change of weights.
        batch_size: samples that see the same weights and thresholds.
        base: threshold to which theta is added.
        maps: float32 (rest, plus, tau, top) of the homeostasis per map; empty: none.
        competition: float32 (target_rate, lr, low, high) of that of the competition; empty: none.
        dead_threshold: share of samples won below which a map is dead.
        dead_warmup: samples before that; below 0: training does not stop for dead maps.
    """

    stdp: Stdp
    batch_size: int
    base: np.float32
    maps: np.ndarray
    competition: np.ndarray
    dead_threshold: np.float32
    dead_warmup: int


class Learned(NamedTuple):
    """`LearningState` as arrays.

    Attributes:
        weight: float32 (maps, C, K, K).
        threshold, theta: float32 (maps,).
        wins, recent_wins, seen: int64 (maps,).
        stale: bool (maps,), whose weights have changed since they were tabulated.
        progress: int64 (7,), see `training_kernels.LEFT`.
    """

    weight: np.ndarray
    threshold: np.ndarray
    theta: np.ndarray
    wins: np.ndarray
    recent_wins: np.ndarray
    seen: np.ndarray
    stale: np.ndarray
    progress: np.ndarray


class TrainingScratch(NamedTuple):
    """Scratch memory of training at one frame size.

    Attributes:
        neurons, capped: in int32, and in uint16.
        theta, patch: int32 (L,) and (K * maps,), buffers, see `Thresholds`.
        fine, whole: tiles for samples of fewer and of more spikes than `sparse`.
        inputs: buffers for the sorted input.
        first_input: int32 (C, H, W), step of each input's first spike, T and more where silent; filled up to the last winner's.
    """

    neurons: Neurons
    capped: CappedNeurons
    theta: np.ndarray
    patch: np.ndarray
    fine: Tiles
    whole: Tiles
    sparse: float
    inputs: SortedInput
    first_input: np.ndarray


class Pool(NamedTuple):
    """A pool, and the size of its output; kernel 0: none, whose output is as large as the frame."""

    kernel: int
    stride: int
    height: int
    width: int


class PooledCells(NamedTuple):
    """Spikes of a layer after its pool, of every step or of one; a cell is a neuron (m*H' + y)*W' + x of the output.

    Attributes:
        spiked: uint64 (T, cells // 64 + 1), a bit for each cell that has.
        potentials: int32 (T, cells), of its strongest input.
        indices: int32 (T, cells), row * W + column of that input, the lowest among equals.
    """

    spiked: np.ndarray
    potentials: np.ndarray
    indices: np.ndarray


class LayerScratch(NamedTuple):
    """Scratch memory of inference, of maps of one layer at one frame size that are run together.

    Attributes:
        maps: int32, their numbers in the layer.
        channel: the first of the channels that they read; the table has how many.
        neurons: with their weights.
        block: pixels of a block of thresholds.
        theta, patch: int32 (rows of blocks, L) and (K * maps,), buffers, see `Thresholds`.
        fine, whole: tiles for rows that input reaches in few places, and in many.
        inputs: buffers for the sorted input.
        pool: behind the layer.
        cells: of every step; no bit of `spiked` is set before and after.
    """

    maps: np.ndarray
    channel: int
    neurons: Neurons
    block: int
    theta: np.ndarray
    patch: np.ndarray
    fine: Tiles
    whole: Tiles
    inputs: SortedInput
    pool: Pool
    cells: PooledCells


class OutputSpikes(NamedTuple):
    """Buffers for the output of several samples: offsets int64 (N*T + 1,); sites, and pooling indices, int32."""

    offsets: np.ndarray
    sites: np.ndarray
    kept: np.ndarray
