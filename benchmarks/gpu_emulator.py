"""A GPU's programs run from their PTX, slowly but to the bit, with what they do counted.

All programs of a grid run at once, one array element a thread. Threads that part are brought together again by always going on
with those that are furthest behind; a barrier holds a program's threads until all are there. Memory is checked: an address
outside every tensor, or one that its width does not divide, is an error. Time is a model, see `gpu_model`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gpu_arithmetic import RAW, TYPES, Array
from gpu_model import Clock
from gpu_operations import OPERATIONS
from gpu_ptx import LANES, WIDTHS, Instruction, Program

ROOM = 1 << 15
"""Threads that run at once, whole programs."""
BASE = 1 << 20
"""Address of the first tensor: small numbers are no addresses."""
GAP = 512
"""Bytes between tensors, which belong to none."""


class Memory:
    """Copies of the storage of tensors, side by side, as the device's memory."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        self._storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in tensors}
        self._starts, size = {}, 0
        for pointer, storage in self._storages.items():
            self._starts[pointer] = size
            size += -(-storage.nbytes() // GAP) * GAP + GAP
        self.bytes, self.valid = np.zeros(size, np.uint8), np.zeros(size, bool)
        for pointer, storage in self._storages.items():
            inside = slice(self._starts[pointer], self._starts[pointer] + storage.nbytes())
            self.bytes[inside], self.valid[inside] = self._array(storage), True

    @staticmethod
    def _array(storage: Any) -> Array:
        return torch.empty(0, dtype=torch.uint8).set_(storage).numpy()

    def address(self, tensor: torch.Tensor) -> int:
        """Of a tensor's first element."""
        return BASE + self._starts[tensor.untyped_storage().data_ptr()] + tensor.storage_offset() * tensor.element_size()

    def bring_back(self) -> None:
        """What programs wrote, into the tensors."""
        for pointer, storage in self._storages.items():
            self._array(storage)[:] = self.bytes[self._starts[pointer] : self._starts[pointer] + storage.nbytes()]

    def positions(self, addresses: Array, size: int) -> Array:
        """Of elements of `size` bytes in `bytes`. Raises IndexError for an address that no tensor has."""
        at = addresses.astype(np.int64) - BASE
        wrong = (at < 0) | (at + size > len(self.bytes))
        if not wrong.any():
            wrong = ~(self.valid[at] & self.valid[at + size - 1]) | (at % size != 0)
        if wrong.any():
            raise IndexError(f"{int(wrong.sum())} threads at addresses of no tensor, or not divisible by {size}: {at[wrong][:4]}")
        return at


@dataclass
class Counts:
    """What a launch did.

    Attributes:
        executed: per instruction, how many warps issued it.
        sectors: per instruction, of 32 bytes, read from or written to global memory by warps.
        missed: per instruction, of these those that no earlier access of the same program brought near.
        cycles: of the slowest program, by the model.
        programs, warps: in the grid, and of a program.
    """

    executed: Array
    sectors: Array
    missed: Array
    cycles: float
    programs: int
    warps: int


class Machine:
    """Programs of one kernel, as many as fit into `ROOM`, in step."""

    def __init__(self, program: Program, memory: Memory, shared_size: int, scale: float) -> None:
        self.program, self.memory = program, memory
        self.shared_size = -(-(shared_size + program.shared_size) // 128) * 128 + 128
        self.scale = scale
        count = len(program.instructions)
        self.executed, self.sectors, self.missed = (np.zeros(count, np.int64) for _ in range(3))

    def run(self, grid: Sequence[int], arguments: Sequence[int]) -> Counts:
        """All programs of a grid. arguments: addresses and numbers, in the order of the parameters."""
        size = [*grid, 1, 1][:3]
        total, at_once = int(np.prod(size)), max(1, ROOM // self.program.threads)
        self.parameters = {
            name: np.array([value]).astype(np.int64).view(np.uint64)
            for name, value in zip(self.program.parameters, [*arguments, *[0] * 8], strict=False)
        }
        cycles = 0.0
        for first in range(0, total, at_once):
            cycles = max(cycles, self._some(np.arange(first, min(total, first + at_once)), size))
        return Counts(self.executed, self.sectors, self.missed, cycles, total, self.program.threads // LANES)

    def _some(self, blocks: Array, size: Sequence[int]) -> float:
        threads, number = self.program.threads, len(blocks)
        self.threads, self.n, self.warps = threads, number * threads, number * threads // LANES
        self.block = np.repeat(np.arange(number), threads)
        self.lane = np.arange(self.n) % LANES
        self.registers: dict[str, Array] = {}
        self.shared = np.zeros(number * self.shared_size, np.uint8)
        self.near = np.zeros((number, len(self.memory.bytes) // 32 + 1), bool)
        self.clock = Clock(self.program, self.warps, threads // LANES, self.scale)
        tid = np.tile(np.arange(threads, dtype=np.uint32), number)
        cta = np.repeat(blocks, threads)
        axes = {"x": cta % size[0], "y": cta // size[0] % size[1], "z": cta // (size[0] * size[1])}
        self.special = {
            "%tid.x": tid, "%tid.y": tid * 0, "%tid.z": tid * 0, "%ntid.x": np.full(1, threads), "%ntid.y": np.ones(1),
            "%laneid": self.lane, "%warpid": tid // LANES, "%ntid.z": np.ones(1),
            **{f"%ctaid.{axis}": value for axis, value in axes.items()},
            **{f"%nctaid.{axis}": np.full(1, n) for axis, n in zip("xyz", size, strict=True)},
        }  # fmt: skip
        self._go()
        return self.clock.slowest()

    def _go(self) -> None:
        instructions, leaders = self.program.instructions, self.program.leaders
        ends = dict(zip(leaders, [*leaders[1:], len(instructions)], strict=True))
        over = len(instructions)
        pc = np.zeros(self.n, np.int64)
        self.waits = np.zeros(self.n, bool)
        while True:
            at = int(np.where(self.waits, over, pc).min())
            if at == over:
                if not self.waits.any():
                    return
                raise RuntimeError("programs wait at a barrier that not all of their threads reach")
            active = (pc == at) & ~self.waits
            whole = bool(active.all())
            self.mask = None if whole else active
            warps = active.reshape(-1, LANES).any(1)
            self.clock.begin(None if warps.all() else warps)
            self.executed[at : ends[at]] += int(warps.sum())
            pc[active] = ends[at]
            for self.position in range(at, ends[at]):
                self._step(instructions[self.position], active, pc, over)
            self._release(pc, over)

    def _step(self, one: Instruction, active: Array, pc: Array, over: int) -> None:
        kind = one.parts[0]
        guard = None if not one.guard else self.registers[one.guard] ^ one.negated
        if kind == "bra":
            self.clock.branch(one)
            taken = active if guard is None else active & guard
            pc[taken] = self.program.labels[str(one.operands[-1])]
        elif kind in ("ret", "exit", "trap"):
            if kind == "trap" and (active if guard is None else active & guard).any():
                raise RuntimeError("a program trapped")
            pc[active if guard is None else active & guard] = over
        elif kind in ("bar", "barrier") and "warp" not in one.parts:
            if len(one.operands) > 1 and self.number(one.operands[1]) != self.threads:
                raise NotImplementedError(f"{one.name} {one.operands}: of some of the threads")
            self.clock.wait(one)
            self.waits |= active
        else:
            mask = self.mask if guard is None else guard & active
            self.latency = 0.0
            if kind not in OPERATIONS:
                raise NotImplementedError(f"{one.name}, of {one.line}: the emulator does not know this instruction")
            OPERATIONS[kind](self, one, mask)
            self.clock.did(one, self.latency)

    def _release(self, pc: Array, over: int) -> None:
        if self.waits.any():
            there = (self.waits | (pc == over)).reshape(-1, self.threads).all(1)
            free = np.repeat(there, self.threads) & self.waits
            if free.any():
                self.clock.meet(there & free.reshape(-1, self.threads).any(1))
                self.waits &= ~free

    # -- what operations use -----------------------------------------------------------------------

    def number(self, operand: Any) -> int:
        """An immediate."""
        return int(str(operand).rstrip("U"), 0)

    def value(self, operand: Any, kind: str) -> Array:
        """An operand as this type, of one thread each or the same for all."""
        text, wanted = str(operand), np.dtype(TYPES[kind])
        if text in self.registers:
            raw = self.registers[text]
        elif text in self.special:
            raw = self.special[text].astype(np.uint32)
        elif text in self.program.shared:
            raw = np.array([self.program.shared[text]], np.uint64)
        elif text[0] == "%":
            raw = np.zeros(1, RAW[self.program.width(text)])
        elif text[:2] in ("0f", "0F", "0d", "0D"):
            raw = np.array([int(text[2:], 16)], np.uint32 if text[1] in "fF" else np.uint64)
        else:
            raw = np.array([int(text.rstrip("U"), 0) & (1 << 64) - 1], np.uint64)
            return raw != 0 if kind == "pred" else raw.astype(RAW[WIDTHS[kind]]).view(wanted)
        return raw.view(wanted) if raw.dtype.itemsize == wanted.itemsize else raw.astype(RAW[WIDTHS[kind]]).view(wanted)

    def write(self, register: Any, values: Array, mask: Array | None) -> None:
        """Into a register of these threads, cut or drawn out to its width."""
        if register == "_":
            return
        width = self.program.width(str(register))
        raw = np.dtype(RAW[width])
        values = values.view(raw) if values.dtype.itemsize == raw.itemsize else values.astype(raw)
        if mask is None:
            self.registers[register] = np.broadcast_to(values, (self.n,)) if values.shape != (self.n,) else values
            return
        kept = self.registers.get(register)
        self.registers[register] = np.where(mask, values, np.zeros(self.n, raw) if kept is None else kept)

    def address(self, operand: Any) -> Array:
        """int64, of every thread: register, name or number, and what is added to it."""
        base, sign, offset = re.fullmatch(r"\[([^+\-\]]+)(?:([+-]+)(\d+))?\]", str(operand)).groups()  # type: ignore
        at = self.value(base, "u64").astype(np.int64) + (int(offset) * (-1 if "-" in sign else 1) if offset else 0)
        return np.broadcast_to(at, (self.n,))

    def threads_of(self, mask: Array | None) -> Array:
        """Which threads."""
        return np.arange(self.n) if mask is None else np.flatnonzero(mask)

    def shared_positions(self, addresses: Array, threads: Array, size: int) -> Array:
        """Of elements in `shared`. Raises IndexError for an address outside it."""
        if len(addresses) and (addresses.min() < 0 or addresses.max() + size > self.shared_size or (addresses % size).any()):
            raise IndexError(
                f"shared memory of {self.shared_size} bytes read or written at {addresses.min()} to {addresses.max()}"
            )
        return self.block[threads] * self.shared_size + addresses

    def touch(self, at: Array, threads: Array, read: bool) -> bool:
        """Count the sectors that warps read or write; -> whether some were not near."""
        sector, warp = at // 32, threads // LANES
        keys = np.unique(warp * (len(self.memory.bytes) // 32 + 1) + sector)
        self.sectors[self.position] += len(keys)
        far = ~self.near[self.block[threads], sector]
        if far.any():
            self.missed[self.position] += len(np.unique(self.block[threads][far] * self.near.shape[1] + sector[far]))
            self.near[self.block[threads], sector] |= read
        return bool(far.any())
