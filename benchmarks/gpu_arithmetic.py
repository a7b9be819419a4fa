"""What instructions of PTX compute, on arrays with one element a thread (PTX ISA 8 and 9, section Instruction Set)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gpu_ptx import LANES

Array = np.ndarray
TYPES: dict[str, Any] = {
    "pred": np.bool_, "b8": np.uint8, "u8": np.uint8, "s8": np.int8, "b16": np.uint16, "u16": np.uint16, "s16": np.int16,
    "b32": np.uint32, "u32": np.uint32, "s32": np.int32, "f32": np.float32,
    "b64": np.uint64, "u64": np.uint64, "s64": np.int64, "f64": np.float64,
}  # fmt: skip
RAW: dict[int, Any] = {1: np.bool_, 8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
"""How registers of a width are kept."""
WIDER: dict[str, str] = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}
COMPARISONS: dict[str, Callable[[Array, Array], Array]] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal,
}  # fmt: skip


def quotient(a: Array, b: Array) -> Array:
    """Towards 0; anything where b is 0."""
    if a.dtype.kind == "f":
        return a / b
    safe = np.where(b == 0, 1, b)
    if a.dtype.kind == "u":
        return a // safe
    found = np.abs(a.astype(np.int64)) // np.abs(safe.astype(np.int64))
    return np.where((a < 0) != (safe < 0), -found, found).astype(a.dtype)


def remainder(a: Array, b: Array) -> Array:
    """With the sign of a."""
    return a - quotient(a, b) * b


def shifted(a: Array, amount: Array, left: bool) -> Array:
    """By the amount, clamped to the width."""
    bits = a.dtype.itemsize * 8
    by = np.minimum(amount, bits - 1).astype(a.dtype)
    found = a << by if left else a >> by
    return np.where(amount >= bits, 0 if left or a.dtype.kind == "u" else a >> a.dtype.type(bits - 1), found).astype(a.dtype)


def field_of(a: Array, start: Array, length: Array) -> Array:
    """bfe: `length` bits from bit `start` on, with the sign of the highest where a is signed."""
    bits = a.dtype.itemsize * 8
    wide = a.astype(np.int64) if a.dtype.kind == "i" else a.astype(np.uint64)
    start, length = np.minimum(start & 255, 63).astype(wide.dtype), np.minimum(length & 255, bits).astype(wide.dtype)
    low = (wide >> start) & ((wide.dtype.type(1) << length) - wide.dtype.type(1))
    if a.dtype.kind == "i":
        negative = (length > 0) & ((low >> np.maximum(length - 1, 0)) & 1 == 1)
        low = np.where(negative, low - (wide.dtype.type(1) << length), low)
    return low.astype(a.dtype)


def permuted(a: Array, b: Array, selector: Array) -> Array:
    """prmt: four bytes chosen from the eight of b:a; bit 3 of a nibble repeats the byte's sign."""
    both = a.astype(np.uint64) | (b.astype(np.uint64) << np.uint64(32))
    found = np.zeros(np.broadcast(a, selector).shape, np.uint64)
    for i in range(4):
        nibble = (selector.astype(np.uint64) >> np.uint64(4 * i)) & np.uint64(15)
        byte = (both >> ((nibble & np.uint64(7)) * np.uint64(8))) & np.uint64(255)
        byte = np.where(nibble & np.uint64(8), np.where(byte & np.uint64(128), np.uint64(255), np.uint64(0)), byte)
        found |= byte << np.uint64(8 * i)
    return found.astype(np.uint32)


def three_way(a: Array, b: Array, c: Array, table: int) -> Array:
    """lop3: any function of three bits, by its table of eight."""
    found = np.zeros_like(a)
    for row in range(8):
        if table >> row & 1:
            found |= (a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c)
    return found


def converted(a: Array, to: str, how: tuple[str, ...]) -> Array:
    """cvt: towards 0, down, up or to even where a fraction is left; numbers out of reach are clamped."""
    target = np.dtype(TYPES[to])
    if a.dtype.kind == "f" and (target.kind in "iu" or {"rmi", "rpi", "rzi", "rni"} & set(how)):
        rounded = {"rmi": np.floor, "rpi": np.ceil, "rni": np.rint}.get(
            next((h for h in how if h in ("rmi", "rpi", "rni")), ""), np.trunc
        )
        whole = rounded(a)
        if target.kind == "f":
            return whole.astype(target)
        limits = np.iinfo(target)
        inside = np.clip(np.nan_to_num(whole.astype(np.float64)), float(limits.min), float(limits.max))
        top = inside >= float(limits.max)
        return np.where(top, limits.max, np.where(top, 0, inside).astype(target)).astype(target)
    if "sat" in how and target.kind in "iu":
        limits = np.iinfo(target)
        return np.clip(a, max(limits.min, np.iinfo(a.dtype).min), min(limits.max, np.iinfo(a.dtype).max)).astype(target)
    return a.astype(target)


def high_product(a: Array, b: Array) -> Array:
    """The upper half of a product."""
    if a.dtype.itemsize == 8:
        whole = a.astype(object) * b.astype(object)
        return np.array([int(one) >> 64 & (1 << 64) - 1 for one in whole], np.uint64).view(a.dtype)
    wide = np.int64 if a.dtype.kind == "i" else np.uint64
    return (a.astype(wide) * b.astype(wide) >> wide(32)).astype(a.dtype)


def leading_zeros(a: Array) -> Array:
    """clz."""
    bits = a.dtype.itemsize * 8
    found = np.full(a.shape, bits, np.uint32)
    for bit in range(bits):
        found = np.where(a >> a.dtype.type(bit) & a.dtype.type(1), bits - 1 - bit, found)
    return found.astype(np.uint32)


def reversed_bits(a: Array) -> Array:
    """brev of 32 bits."""
    found = np.zeros_like(a)
    for bit in range(32):
        found |= ((a >> np.uint32(bit)) & np.uint32(1)) << np.uint32(31 - bit)
    return found


def funnel(a: Array, b: Array, amount: Array, left: bool) -> Array:
    """shf.l and shf.r with wrapping amounts, of b:a."""
    both = a.astype(np.uint64) | b.astype(np.uint64) << np.uint64(32)
    by = (amount & np.uint32(31)).astype(np.uint64)
    return ((both << by) >> np.uint64(32) if left else both >> by).astype(np.uint32)


def dot4(a: Array, b: Array, c: Array, signs: tuple[str, ...]) -> Array:
    """dp4a: four products of bytes, added up."""
    kinds = [np.int8 if sign == "s32" else np.uint8 for sign in signs[:2]]
    x, y = (
        np.ascontiguousarray(v).view(np.uint8).view(k).reshape(-1, 4).astype(np.int64) for v, k in zip((a, b), kinds, strict=True)
    )
    return ((x * y).sum(1) + c.astype(np.int64)).astype(np.uint32)


def whole_warps(mask: Array) -> bool:
    """Whether all lanes of each warp take part, or none."""
    lanes = mask.reshape(-1, LANES)
    return bool((lanes.all(1) == lanes.any(1)).all())


BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add, "sub": np.subtract, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "div": quotient, "rem": remainder, "min": np.minimum, "max": np.maximum,
}  # fmt: skip
"""Of two operands of the instruction's type."""
ATOMIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda old, new: old + new, "or": lambda old, new: old | new, "and": lambda old, new: old & new,
    "xor": lambda old, new: old ^ new, "min": min, "max": max, "exch": lambda _, new: new,
    "inc": lambda old, new: 0 if old >= new else old + 1,
}  # fmt: skip
