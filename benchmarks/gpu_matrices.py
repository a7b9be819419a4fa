"""Instructions of PTX that move and multiply matrices, each held by the lanes of a warp together."""

from __future__ import annotations

from typing import Any

import gpu_model as model
import numpy as np
from gpu_arithmetic import TYPES, Array, whole_warps
from gpu_ptx import LANES, Instruction, names


def load_matrix(m: Any, one: Instruction, mask: Array | None) -> None:
    """ldmatrix: matrices of 8 rows of 16 bytes, whose rows lie where 8 lanes say."""
    _whole(one, mask)
    to, rows = names(one.operands[0]), m.address(one.operands[1])
    lane = m.lane
    for i, register in enumerate(to):
        at = m.shared_positions(rows, np.arange(m.n), 16).reshape(-1, LANES)[:, 8 * i : 8 * i + 8]
        tile = m.shared[at[:, :, None] + np.arange(16)].view(np.uint16)  # (warps, 8, 8)
        if "trans" in one.parts:
            tile = np.ascontiguousarray(tile.swapaxes(1, 2))
        pairs = np.ascontiguousarray(tile).view(np.uint32)  # (warps, 8, 4)
        warp = np.arange(m.n) // LANES
        m.write(register, pairs[warp, lane // 4, lane % 4], mask)
    m.latency = model.SHARED


def store_matrix(m: Any, one: Instruction, mask: Array | None) -> None:
    """stmatrix: the other way round."""
    _whole(one, mask)
    taking_part = np.ones(m.warps, bool) if mask is None else mask.reshape(-1, LANES)[:, 0]
    rows = m.address(one.operands[0])
    for i, register in enumerate(names(one.operands[1])):
        lanes = np.arange(m.n).reshape(-1, LANES)[taking_part, 8 * i : 8 * i + 8]
        at = m.shared_positions(rows[lanes], lanes, 16)
        pairs = np.ascontiguousarray(np.broadcast_to(m.value(register, "u32"), (m.n,))).reshape(-1, 8, 4)[taking_part]
        tile = pairs.view(np.uint16)  # (warps, 8, 8)
        if "trans" in one.parts:
            tile = np.ascontiguousarray(tile.swapaxes(1, 2))
        m.shared[at[:, :, None] + np.arange(16)] = tile.view(np.uint8)
    m.latency = model.SHARED


def _whole(one: Instruction, mask: Array | None) -> None:
    if mask is not None and not whole_warps(mask):
        raise NotImplementedError(f"{one.name} by some lanes of a warp")


def _bytes(m: Any, registers: tuple[str, ...], kind: str) -> Array:
    """(warps, LANES, registers, 4) as int64."""
    words = np.stack([np.broadcast_to(m.value(register, "u32"), (m.n,)) for register in registers], 1)
    return np.ascontiguousarray(words).view(TYPES[kind]).reshape(-1, LANES, len(registers), 4).astype(np.int64)


def _rows_of_a(m: Any, registers: tuple[str, ...], kind: str) -> Array:
    """The left factor of a product of bytes, of each warp: (warps, 16, 32)."""
    held = _bytes(m, registers, kind).reshape(-1, 8, 4, 2, 2, 4)  # row, quarter, right half, lower half, byte
    return held.transpose(0, 4, 1, 3, 2, 5).reshape(-1, 16, 32)


def product(m: Any, one: Instruction, mask: Array | None) -> None:
    """mma.m16n8k32 of bytes."""
    if "m16n8k32" not in one.parts:
        raise NotImplementedError(one.name)
    _whole(one, mask)
    to, a, b, c = (names(part) for part in one.operands)
    kinds = one.parts[-3:-1]
    left = _rows_of_a(m, a, kinds[0])
    right = _bytes(m, b, kinds[1]).reshape(-1, 8, 4, 2, 4).transpose(0, 3, 2, 4, 1).reshape(-1, 32, 8)
    _spread(m, to, [m.value(register, "s32") for register in c], left @ right, mask)
    m.latency = model.MATRIX


def _spread(m: Any, to: tuple[str, ...], before: list[Array], product_: Array, mask: Array | None) -> None:
    """Add products (warps, 16, columns) to the accumulators that lanes hold."""
    parts = product_.reshape(-1, 2, 8, product_.shape[2] // 8, 4, 2)  # lower half, row, group, quarter, column
    lanes = parts.transpose(0, 2, 4, 3, 1, 5).reshape(m.n, -1)
    for i, (register, old) in enumerate(zip(to, before, strict=True)):
        m.write(register, (lanes[:, i] + old).astype(np.int32), mask)


def group_product(m: Any, one: Instruction, mask: Array | None) -> None:
    """wgmma: of four warps, with the right factor in shared memory, and the left in registers."""
    if one.parts[1] != "mma_async":
        m.latency = model.MATRIX if one.parts[1] == "wait_group" else 0.0
        return
    _whole(one, mask)
    to, a, descriptor, *_ = one.operands
    if not isinstance(a, tuple) or one.parts[-2:] != ("s8", "s8"):
        raise NotImplementedError(f"{one.name}: of a left factor in shared memory")
    columns = int(one.parts[4].split("n")[1].split("k")[0])
    left = _rows_of_a(m, a, "s8")
    first = np.broadcast_to(m.value(descriptor, "u64"), (m.n,)).reshape(-1, LANES)[:, 0].astype(np.int64)
    start, stride, swizzle = (first & 0x3FFF) << 4, (first >> 32 & 0x3FFF) << 4, first >> 62 & 3
    if len(set(swizzle.tolist())) != 1 or swizzle[0] == 0:
        raise NotImplementedError(f"{one.name}: rows that are not swizzled")
    bits = {1: 3, 2: 2, 3: 1}[int(swizzle[0])]  # of 128, 64 and 32 bytes
    n, k = np.arange(columns)[:, None], np.arange(32)[None, :]
    at = start[:, None, None] + (n // 8) * stride[:, None, None] + (n % 8) * (16 << bits) + k
    at ^= (at >> 7 & (1 << bits) - 1) << 4
    warp = np.arange(m.warps) * LANES
    right = m.shared[m.block[warp][:, None, None] * m.shared_size + at].view(np.int8).astype(np.int64)
    added = m.value(one.operands[3], "pred")  # to what is there
    before = [np.where(added, m.value(register, "s32"), 0) for register in names(to)]
    _spread(m, names(to), before, left @ right.swapaxes(1, 2), mask)
    m.latency = model.MATRIX
