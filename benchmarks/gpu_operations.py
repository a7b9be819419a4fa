"""What `gpu_emulator.Machine` does at each instruction of PTX but jumps and barriers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gpu_model as model
import numpy as np
from gpu_arithmetic import (
    ATOMIC,
    BINARY,
    COMPARISONS,
    RAW,
    TYPES,
    WIDER,
    Array,
    converted,
    dot4,
    field_of,
    funnel,
    high_product,
    leading_zeros,
    permuted,
    reversed_bits,
    shifted,
    three_way,
    whole_warps,
)
from gpu_matrices import group_product, load_matrix, product, store_matrix
from gpu_ptx import LANES, WIDTHS, Instruction, names


def binary(m: Any, one: Instruction, mask: Array | None) -> None:
    kind, (to, a, b) = one.parts[-1], one.operands
    if {"cc", "sat"} & set(one.parts):
        raise NotImplementedError(one.name)
    m.latency = model.DIVIDE if one.parts[0] in ("div", "rem") else 0.0
    m.write(to, BINARY[one.parts[0]](m.value(a, kind), m.value(b, kind)), mask)


def unary(function: Callable[[Array], Array]) -> Callable[..., None]:
    def run(m: Any, one: Instruction, mask: Array | None) -> None:
        m.write(one.operands[0], function(m.value(one.operands[1], one.parts[-1])), mask)

    return run


def multiply(m: Any, one: Instruction, mask: Array | None) -> None:
    """mul, mad and fma: with the low, the high or all bits of the product."""
    kind, (to, a, b, *more) = one.parts[-1], one.operands
    x, y = m.value(a, kind), m.value(b, kind)
    if one.parts[0] == "fma":
        wide = x.astype(np.float64) * y.astype(np.float64) + m.value(more[0], kind).astype(np.float64)
        m.write(to, wide.astype(TYPES[kind]), mask)
        return
    if "wide" in one.parts:
        kind = WIDER[kind]
        product = x.astype(TYPES[kind]) * y.astype(TYPES[kind])
    else:
        product = high_product(x, y) if "hi" in one.parts else x * y
    m.write(to, product + m.value(more[0], kind) if more else product, mask)


def shift(m: Any, one: Instruction, mask: Array | None) -> None:
    to, a, amount = one.operands
    m.write(to, shifted(m.value(a, one.parts[-1]), m.value(amount, "u32"), one.parts[0] == "shl"), mask)


def move(m: Any, one: Instruction, mask: Array | None) -> None:
    """mov, and cvta, which changes nothing here; with braces registers are joined or cut."""
    to, source = one.operands
    kind = one.parts[-1]
    if isinstance(source, tuple):
        bits = WIDTHS[kind] // len(source)
        whole = sum((m.value(part, f"u{bits}").astype(np.uint64) << np.uint64(bits * i) for i, part in enumerate(source)),
                    np.zeros(1, np.uint64))  # fmt: skip
        m.write(to, whole.astype(RAW[WIDTHS[kind]]), mask)
    elif isinstance(to, tuple):
        bits = WIDTHS[kind] // len(to)
        whole = m.value(source, kind).astype(np.uint64)
        for i, part in enumerate(to):
            m.write(part, (whole >> np.uint64(bits * i)).astype(RAW[bits]), mask)
    else:
        m.write(to, m.value(source, kind), mask)


def convert(m: Any, one: Instruction, mask: Array | None) -> None:
    to, source = one.operands
    m.write(to, converted(m.value(source, one.parts[-1]), one.parts[-2], one.parts[1:-2]), mask)


def compare(m: Any, one: Instruction, mask: Array | None) -> None:
    """setp, with a second condition where there is one."""
    kind, (to, a, b, *more) = one.parts[-1], one.operands
    x, y = m.value(a, kind), m.value(b, kind)
    how = one.parts[1]
    if how not in COMPARISONS and how.endswith("u"):  # or not a number
        found = COMPARISONS[how[:-1]](x, y) | np.isnan(x) | np.isnan(y)
    else:
        found = COMPARISONS[how](x, y)
        if how == "ne" and x.dtype.kind == "f":
            found &= ~(np.isnan(x) | np.isnan(y))
    first, _, second = str(to).partition("|")
    results = [found] + [~found] * bool(second)
    for register, result in zip((first, second), results, strict=False):
        if more:
            other = m.value(str(more[0]).lstrip("!"), "pred") ^ str(more[0]).startswith("!")
            result = BINARY[one.parts[2]](result, other)
        m.write(register, result, mask)


def choose(m: Any, one: Instruction, mask: Array | None) -> None:
    kind, (to, a, b, which) = one.parts[-1], one.operands
    m.write(to, np.where(m.value(which, "pred"), m.value(a, kind), m.value(b, kind)), mask)


def pick_bits(m: Any, one: Instruction, mask: Array | None) -> None:
    to, a, start, length = one.operands
    m.write(to, field_of(m.value(a, one.parts[-1]), m.value(start, "u32"), m.value(length, "u32")), mask)


def insert_bits(m: Any, one: Instruction, mask: Array | None) -> None:
    to, a, b, start, length = one.operands
    kind = one.parts[-1]
    at, many = m.value(start, "u32").astype(np.uint64), m.value(length, "u32").astype(np.uint64)
    field = ((np.uint64(1) << many) - np.uint64(1)) << at
    x, y = m.value(a, kind).astype(np.uint64), m.value(b, kind).astype(np.uint64)
    m.write(to, ((y & ~field) | ((x << at) & field)).astype(TYPES[kind]), mask)


def logic(m: Any, one: Instruction, mask: Array | None) -> None:
    to, *three, table = one.operands
    m.write(to, three_way(*(m.value(part, "b32") for part in three), m.number(table)), mask)


def permute(m: Any, one: Instruction, mask: Array | None) -> None:
    m.write(one.operands[0], permuted(*(m.value(part, "u32") for part in one.operands[1:])), mask)


def funnel_shift(m: Any, one: Instruction, mask: Array | None) -> None:
    m.write(one.operands[0], funnel(*(m.value(part, "u32") for part in one.operands[1:]), one.parts[1] == "l"), mask)


def four_products(m: Any, one: Instruction, mask: Array | None) -> None:
    a, b, c = (np.broadcast_to(m.value(part, "u32"), (m.n,)) for part in one.operands[1:])
    m.write(one.operands[0], dot4(a, b, c, one.parts[-2:]), mask)


# -- between threads -------------------------------------------------------------------------------


def exchange(m: Any, one: Instruction, mask: Array | None) -> None:
    """shfl: from another lane of the warp, or one's own where there is none."""
    to, a, by, clamp = one.operands[:4]
    register, _, whether = str(to).partition("|")
    amount, limit = m.value(by, "u32").astype(np.int64), m.value(clamp, "u32").astype(np.int64)
    segment, highest = (limit >> 8) & 31, limit & 31
    low = m.lane & segment
    top = low | (highest & ~segment)
    source = {"up": m.lane - amount, "down": m.lane + amount, "bfly": m.lane ^ amount}.get(
        one.parts[2], low | (amount & ~segment)
    )
    there = source >= top if one.parts[2] == "up" else source <= top
    other = np.where(there, source, m.lane)
    values = np.broadcast_to(m.value(a, one.parts[-1]), (m.n,))
    m.latency = model.SHUFFLE
    m.write(register, values[np.arange(m.n) - m.lane + other], mask)
    if whether:
        m.write(whether, np.broadcast_to(there, (m.n,)), mask)


def reduce_warp(m: Any, one: Instruction, mask: Array | None) -> None:
    kind, (to, a, *_) = one.parts[-1], one.operands
    values = np.broadcast_to(m.value(a, kind), (m.n,)).reshape(-1, LANES)
    functions = {
        "min": np.minimum,
        "max": np.maximum,
        "add": np.add,
        "and": np.bitwise_and,
        "or": np.bitwise_or,
        "xor": np.bitwise_xor,
    }
    if mask is not None and not whole_warps(mask):
        raise NotImplementedError(f"{one.name} by some lanes of a warp")
    m.latency = model.SHUFFLE
    m.write(to, np.repeat(functions[one.parts[2]].reduce(values, axis=1, dtype=values.dtype), LANES), mask)


def vote(m: Any, one: Instruction, mask: Array | None) -> None:
    """vote and activemask, among the lanes that take part."""
    active = np.ones(m.n, bool) if mask is None else mask
    if one.parts[0] == "activemask":
        held, how = active, "ballot"
    else:
        source = str(one.operands[1])
        held, how = active & (m.value(source.lstrip("!"), "pred") ^ source.startswith("!")), one.parts[2]
    lanes = np.broadcast_to(held, (m.n,)).reshape(-1, LANES)
    if how == "ballot":
        found = (lanes.astype(np.uint64) << np.arange(LANES, dtype=np.uint64)).sum(1).astype(np.uint32)
    elif how == "any":
        found = lanes.any(1)
    else:
        found = (lanes | ~active.reshape(-1, LANES)).all(1)
    m.latency = model.SHUFFLE
    m.write(one.operands[0], np.repeat(found, LANES), mask)


# -- memory ----------------------------------------------------------------------------------------


def load(m: Any, one: Instruction, mask: Array | None) -> None:
    kind = one.parts[-1]
    to, source = names(one.operands[0]), one.operands[1]
    if "param" in one.parts:
        m.write(to[0], m.parameters[str(source).strip("[]")].astype(RAW[WIDTHS[kind]]).view(TYPES[kind]), mask)
        return
    size = WIDTHS[kind] // 8
    threads = m.threads_of(mask)
    m.latency = model.SHARED
    if not len(threads):
        return
    addresses = m.address(source)[threads]
    if "shared" in one.parts[1] or "shared" in one.parts:
        memory, at = m.shared, m.shared_positions(addresses, threads, size)
    else:
        memory, at = m.memory.bytes, m.memory.positions(addresses, size)
        m.latency = model.FAR if m.touch(at, threads, read=True) else model.NEAR
    view = memory.view(TYPES[kind])
    for i, register in enumerate(to):
        values = np.zeros(m.n, TYPES[kind])
        values[threads] = view[at // size + i]
        m.write(register, values, mask)


def store(m: Any, one: Instruction, mask: Array | None) -> None:
    kind, (target, source) = one.parts[-1], one.operands
    size = WIDTHS[kind] // 8
    threads = m.threads_of(mask)
    if not len(threads):
        return
    addresses = m.address(target)[threads]
    if "shared" in one.name:
        memory, at = m.shared, m.shared_positions(addresses, threads, size)
    else:
        memory, at = m.memory.bytes, m.memory.positions(addresses, size)
        m.touch(at, threads, read=False)
    view = memory.view(RAW[WIDTHS[kind]])
    for i, register in enumerate(names(source)):
        values = np.broadcast_to(m.value(register, kind).view(RAW[WIDTHS[kind]]), (m.n,))
        view[at // size + i] = values[threads]


def copy_ahead(m: Any, one: Instruction, mask: Array | None) -> None:
    """cp.async: at once, as a program without races cannot tell the difference; bytes that are not read are 0."""
    if "commit_group" in one.parts or "wait_group" in one.parts or "wait_all" in one.parts:
        m.latency = model.SHARED
        return
    threads = m.threads_of(mask)
    if not len(threads):
        return
    target, source, size, *read = one.operands
    count = m.number(size)
    to = m.shared_positions(m.address(target)[threads], threads, count)
    asked = np.full(m.n, count) if not read else np.broadcast_to(m.value(read[0], "u32"), (m.n,))
    wanted = threads[asked[threads] > 0]
    filled = np.zeros((m.n, count), np.uint8)
    if len(wanted):
        at = m.memory.positions(m.address(source)[wanted], count)
        filled[wanted] = m.memory.bytes[at[:, None] + np.arange(count)]
        m.latency = model.FAR if m.touch(at, wanted, read=True) else model.NEAR
    m.shared[to[:, None] + np.arange(count)] = filled[threads]


def atomic(m: Any, one: Instruction, mask: Array | None) -> None:
    """atom and red: one thread after the other."""
    kind = one.parts[-1]
    returns = one.parts[0] == "atom"
    to, target, *values = one.operands if returns else (None, *one.operands)
    threads = m.threads_of(mask)
    m.latency = model.ATOMIC if "shared" not in one.name else 2 * model.SHARED
    if not len(threads):
        return
    size, addresses = WIDTHS[kind] // 8, m.address(target)[threads]
    if "shared" in one.name:
        view, at = m.shared.view(TYPES[kind]), m.shared_positions(addresses, threads, size) // size
    else:
        at = m.memory.positions(addresses, size)
        m.touch(at, threads, read=False)
        view, at = m.memory.bytes.view(TYPES[kind]), at // size
    new = [np.broadcast_to(m.value(value, kind), (m.n,))[threads] for value in values]
    name = next(part for part in one.parts[1:] if part in ATOMIC or part == "cas")
    old = np.zeros(m.n, TYPES[kind])
    for i, where in enumerate(at.tolist()):
        before = view[where]
        old[threads[i]] = before
        if name != "cas":
            with np.errstate(over="ignore"):
                view[where] = ATOMIC[name](before, new[0][i])
        elif before == new[0][i]:
            view[where] = new[1][i]
    if returns:
        m.write(names(to)[0], old, mask)


def nothing(m: Any, one: Instruction, mask: Array | None) -> None:
    """Fences: programs run in step."""


OPERATIONS: dict[str, Callable[[Any, Instruction, Array | None], None]] = {
    **dict.fromkeys(BINARY, binary),
    **dict.fromkeys(("mul", "mad", "fma"), multiply), **dict.fromkeys(("shl", "shr"), shift),
    **dict.fromkeys(("mov", "cvta"), move), "cvt": convert, "setp": compare, "selp": choose, "bfe": pick_bits, "bfi": insert_bits,
    "lop3": logic, "prmt": permute, "shf": funnel_shift, "dp4a": four_products,
    "neg": unary(np.negative), "not": unary(np.invert), "abs": unary(np.abs), "clz": unary(leading_zeros),
    "popc": unary(lambda a: np.bitwise_count(a).astype(np.uint32)), "brev": unary(reversed_bits), "sqrt": unary(np.sqrt),
    "bfind": unary(lambda a: np.uint32(31) - leading_zeros(a)),
    "shfl": exchange, "redux": reduce_warp, "vote": vote, "activemask": vote,
    "ld": load, "ldu": load, "st": store, "cp": copy_ahead, "atom": atomic, "red": atomic,
    "ldmatrix": load_matrix, "stmatrix": store_matrix, "mma": product, "wgmma": group_product,
    **dict.fromkeys(("fence", "membar", "bar", "barrier", "griddepcontrol", "nanosleep", "prefetch", "pragma"), nothing),
}  # fmt: skip
"""By the first part of the name."""
