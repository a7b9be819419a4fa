"""How long programs take on a GPU that is not there: a model, with its numbers.

A warp issues an instruction per cycle, in order; what it reads must be ready, but what waits does not hold up what comes after
it, until a jump that depends on it, or a barrier, before which all that is stored must be ready: of a program this is the
longest chain of dependent instructions, or the number of its instructions, whichever is longer. One PTX instruction counts as
`scale` of the machine's: instructions in the kernel's machine code over those in its PTX, with loops not unrolled, or what
runs once would be counted several times.

A launch then takes at best the longest of these, and at worst their sum:

- issue: warp instructions of the busiest multiprocessor, over `schedulers` per cycle;
- latency: cycles of the slowest program, once for each wave of programs that the card holds at a time;
- memory: sectors that no earlier access of the same program brought near, over what the second-level cache delivers;

and `launch` on top, which a node of a CUDA graph costs before the next one can begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gpu_ptx import Instruction, Program

ALU = 5.0
"""Cycles until a result can be used. These are orders of magnitude from published microbenchmarks of Hopper cards (Luo et al.,
Benchmarking and Dissecting the Nvidia Hopper GPU Architecture via Microbenchmarking, 2024), not measured by us."""
SHUFFLE, SHARED, NEAR, FAR, ATOMIC, MATRIX, DIVIDE, BARRIER, JUMP = 24.0, 30.0, 40.0, 270.0, 300.0, 33.0, 45.0, 20.0, 8.0


@dataclass(frozen=True)
class Card:
    """A GPU. Clock in Hz, bandwidth of the second-level cache in bytes/s, LAUNCH in seconds."""

    name: str
    multiprocessors: int
    clock: float
    schedulers: int
    cache: float
    launch: float
    threads: int
    registers: int
    shared: int


H200 = Card("H200", 132, 1.98e9, 4, 5.5e12, 2.5e-6, 2048, 65536, 227 * 1024)


class Clock:
    """Times of every warp, in cycles."""

    def __init__(self, program: Program, warps: int, per_program: int, scale: float) -> None:
        self._now, self._stored = np.zeros(warps), np.zeros(warps)
        self._ready: dict[str, Any] = {}
        self._per_program, self._scale = per_program, scale
        self._some: Any = None
        self._registers = {name for name in program.registers}
        self._plans: dict[int, tuple[tuple[str, ...], tuple[str, ...]]] = {}

    def begin(self, some: Any) -> None:
        """The warps that the next instructions are of; all where None."""
        self._some = some

    def _plan(self, one: Instruction) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Registers read, and written."""
        if id(one) not in self._plans:
            writes = one.parts[0] not in ("st", "red", "bra", "bar", "cp", "fence") and len(one.operands) > 0
            found: list[list[str]] = [[], []]
            for i, operand in enumerate(one.operands):
                for text in operand if isinstance(operand, tuple) else (operand,):
                    for name in text.strip("[]").replace("|", "+").split("+"):
                        if name[:1] == "%":
                            found[writes and i == 0].append(name)
            if one.guard:
                found[0].append(one.guard)
            self._plans[id(one)] = tuple(found[0]), tuple(found[1])
        return self._plans[id(one)]

    def did(self, one: Instruction, latency: float) -> None:
        """An instruction, whose result is there after this many cycles; 0 for those of plain arithmetic."""
        reads, writes = self._plan(one)
        start = self._now
        for name in reads:
            if name in self._ready:
                start = np.maximum(start, self._ready[name])
        done = start + (latency or ALU)
        if one.parts[0] in ("st", "red", "atom"):
            later = np.maximum(self._stored, start)
            self._stored = later if self._some is None else np.where(self._some, later, self._stored)
        self._advance()
        for name in writes:
            old = self._ready.get(name)
            self._ready[name] = done if self._some is None or old is None else np.where(self._some, done, old)
        if one.parts[0] in ("cp", "wgmma"):  # waited for by name of no register
            pending = self._ready.get("", 0.0)
            if "wait_group" in one.parts or "wait_all" in one.parts:
                self._hold(pending)
            else:
                self._ready[""] = np.maximum(pending, done)

    def _advance(self) -> None:
        if self._some is None:
            self._now = self._now + self._scale
        else:
            self._now = self._now + self._scale * self._some

    def _hold(self, until: Any) -> None:
        later = np.maximum(self._now, until)
        self._now = later if self._some is None else np.where(self._some, later, self._now)

    def branch(self, one: Instruction) -> None:
        """A jump, which waits for what it depends on."""
        self._advance()
        if one.guard:
            self._hold(self._ready.get(one.guard, 0.0))
            self._now = self._now + (JUMP if self._some is None else JUMP * self._some)

    def wait(self, one: Instruction) -> None:
        """Arrival at a barrier, with all that was to be stored before it."""
        del one
        self._advance()
        self._hold(self._stored)

    def meet(self, programs: Any) -> None:
        """All threads of these programs are at their barrier."""
        by_program = self._now.reshape(-1, self._per_program)
        together = np.where(programs[:, None], by_program.max(1, keepdims=True) + BARRIER, by_program)
        self._now = together.reshape(-1)

    def slowest(self) -> float:
        """Cycles of the slowest warp, until its last store."""
        return float(np.maximum(self._now, self._stored).max())


@dataclass(frozen=True)
class Cost:
    """A launch: seconds that each limit asks for, its instructions and bytes."""

    issue: float
    latency: float
    memory: float
    instructions: float
    sectors: int
    missed: int

    def at_best(self, card: Card = H200) -> float:
        """Seconds where all overlaps."""
        return max(self.issue, self.latency, self.memory) + card.launch

    def at_worst(self, card: Card = H200) -> float:
        """Seconds where nothing does."""
        return self.issue + self.latency + self.memory + card.launch


def cost(counts: Any, scale: float, registers: int, shared: int, card: Card = H200, times: float = 1.0) -> Cost:
    """Of a launch.

    Args:
        counts: `gpu_emulator.Counts`.
        scale: machine instructions per PTX instruction.
        registers: of a thread.
        shared: bytes of shared memory of a program.
        card: where it is launched.
        times: how many times as many programs of the kind the launch has there.
    """
    threads = counts.warps * 32
    room = card.registers // max(1, registers * threads), card.shared // (shared + 1024), card.threads // threads
    resident = max(1, min(room))
    each = -(-counts.programs * times // card.multiprocessors)
    instructions = float(counts.executed.sum()) * scale
    missed = int(counts.missed.sum() * times)
    return Cost(
        issue=instructions / counts.programs * each / min(card.schedulers, counts.warps * min(each, resident)) / card.clock,
        latency=counts.cycles * -(-each // resident) / card.clock,
        memory=missed * 32 / card.cache,
        instructions=instructions * times,
        sectors=int(counts.sectors.sum() * times),
        missed=missed,
    )
