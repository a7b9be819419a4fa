"""PTX as a list of instructions, cut into blocks that run from their first instruction to their last."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

WIDTHS = {"pred": 1, "b8": 8, "u8": 8, "s8": 8, "b16": 16, "u16": 16, "s16": 16, "f16": 16, "b32": 32, "u32": 32, "s32": 32,
          "f32": 32, "b64": 64, "u64": 64, "s64": 64, "f64": 64}  # fmt: skip
LANES = 32
"""Threads of a warp."""
ENDS = ("bra", "bar", "barrier", "ret", "exit", "trap")
"""Instructions behind which threads may part or wait."""


def names(operand: Any) -> tuple[str, ...]:
    """One register, or several in braces."""
    return operand if isinstance(operand, tuple) else (operand,)


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        name: all of it, ``ld.global.v4.b32``; parts: its pieces.
        operands: as they stand, those in braces as a tuple.
        guard: register of the predicate, or nothing; negated: whether it must be false.
        line: of the source, ``name.py:7``.
    """

    name: str
    operands: tuple[str | tuple[str, ...], ...]
    guard: str = ""
    negated: bool = False
    line: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """``("ld", "global", "v4", "b32")``."""
        return tuple(self.name.split("."))


@dataclass
class Program:
    """A kernel.

    Attributes:
        instructions: in order.
        labels: name to position, those of debugging as well.
        registers: name, or prefix of a numbered bank, to width in bits.
        parameters: type of each, by name, in order.
        shared: offset of each array in shared memory that the code declares.
        shared_size: bytes of these.
        threads: of a program.
        leaders: positions at which a block begins.
    """

    instructions: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    registers: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    shared: dict[str, int] = field(default_factory=dict)
    shared_size: int = 0
    threads: int = 0
    leaders: list[int] = field(default_factory=list)

    def width(self, register: str) -> int:
        """Bits of a register."""
        found = self.registers.get(register)
        return self.registers[re.sub(r"\d+$", "", register)] if found is None else found


def parsed(ptx: str) -> Program:
    """Of the one kernel in this text. Raises ValueError for what is not understood."""
    program = Program()
    text = re.sub(r"/\*.*?\*/", "", ptx, flags=re.DOTALL)
    head, _, body = text.partition(".entry")
    declared, _, body = body.partition("{")
    for kind, name in re.findall(r"\.param\s+\.(\w+)[^,)]*?(\w+)\s*(?=[,)\n])", re.sub(r"//[^\n]*", "", declared)):
        program.parameters[name] = kind
    threads = re.search(r"\.(?:reqntid|maxntid)\s+([\d, ]+)", declared)
    for dimension in threads.group(1).split(",") if threads else ():
        program.threads = max(1, program.threads) * int(dimension)
    _shared(program, head)
    files = {number: path.rpartition("/")[2] for number, path in re.findall(r'\.file\s+(\d+)\s+(?:"[^"]*"\s+)?"([^"]*)"', ptx)}
    line = ""
    for raw in body.splitlines():
        located = re.match(r"\s*\.loc\s+(\d+)\s+(\d+)", raw)
        if located:
            line = line if located.group(2) == "0" else f"{files.get(located.group(1), '?')}:{located.group(2)}"
            continue
        for statement in re.sub(r"//.*", "", raw).strip().strip("{}" if raw.strip() in ("{", "}") else "").split(";"):
            _statement(program, statement.strip(), line)
    starts = {0, *(program.labels[str(one.operands[-1])] for one in program.instructions if one.parts[0] == "bra")}
    starts |= {i + 1 for i, one in enumerate(program.instructions) if one.parts[0] in ENDS}
    program.leaders = sorted(start for start in starts if start < len(program.instructions))
    return program


def _shared(program: Program, text: str) -> None:
    for align, kind, name, size in re.findall(r"\.shared\s+\.align\s+(\d+)\s+\.(\w+)\s+(\w+)\[(\d*)\]", text):
        start = -(-program.shared_size // int(align)) * int(align)
        program.shared[name] = start
        program.shared_size = start + int(size or 0) * WIDTHS[kind] // 8


def _statement(program: Program, text: str, line: str) -> None:
    while label := re.match(r"([$\w]+):\s*", text):
        program.labels[label.group(1)] = len(program.instructions)
        text = text[label.end() :]
    if text.startswith(".reg"):
        kind, names = text.split(None, 2)[1:]
        for name in names.split(","):
            program.registers[re.sub(r"<\d+>", "", name).strip()] = WIDTHS[kind.lstrip(".")]
        return
    if text.startswith(".shared"):
        _shared(program, text)
        return
    if not text or (text[0] in ".{}" and not re.match(r"\{\s*%", text)):
        return
    guard = re.match(r"@(!?)([%\w]+)\s+", text)
    rest = text[guard.end() :] if guard else text
    name, _, operands = rest.partition(" ") if "\t" not in rest.split(" ")[0] else rest.partition("\t")
    program.instructions.append(
        Instruction(
            name.strip(), _operands(operands.strip()), guard.group(2) if guard else "", bool(guard and guard.group(1)), line
        )
    )


def _operands(text: str) -> tuple[str | tuple[str, ...], ...]:
    found: list[str | tuple[str, ...]] = []
    for part in re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s][^,]*", text):
        if part[0] == "{":
            found.append(tuple(name.strip() for name in part[1:-1].split(",")))
        else:
            found.append(re.sub(r"\s+", "", part) if part[0] == "[" else part.strip())
    return tuple(found)
