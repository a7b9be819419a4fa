"""A recorded launch compiled for a GPU that is not there, and what its code may not hold.

Checked in the PTX: no contraction of a multiplication and an addition (``fma.rn.f32``), no approximate operation. In the machine
code: no fused operation either, where no exact division needs one; local memory, which is where spilled registers go; and shared
memory against what a program of the target may have.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gpu_launches import Launch

KIB = 1024
SHARED_LIMITS = {80: 163 * KIB, 86: 99 * KIB, 89: 99 * KIB, 90: 227 * KIB, 100: 227 * KIB}
"""Bytes of shared memory that one program may have, by compute capability (CUDA C++ Programming Guide, table of technical
specifications per compute capability)."""
MOST_SPILLED, MOST_SPILLED_WIDE = 256, 1024
"""Bytes of local memory per thread; of variants whose counts or weights take four parts (counts from 2**14 on, weights of 4 and
more), which no configuration of ours asks for."""
APPROXIMATE = re.compile(
    r"\b(?:\w+\.approx[.\w]*|div\.full[.\w]*|(?:ex2|lg2|sin|cos|tanh)\.\w+[.\w]*|\w+(?:\.\w+)*\.ftz[.\w]*)", re.MULTILINE
)
"""Float operations of PTX that are not rounded as IEEE 754 says, or flush small numbers to 0."""
CONTRACTED = re.compile(r"\bfma\.r[nzmp](?:\.\w+)*\.f(?:32|64|16)\b")
MADE_OF_FUSED = re.compile(r"\b(?:div|sqrt|rcp)\.r[nzmp]\.f(?:32|64)\b")
"""Exact operations that the machine does in several fused ones."""


@dataclass(frozen=True)
class Compiled:
    """What one variant is on one target.

    Attributes:
        kernel, variant, capability: which.
        most_spilled: bytes of local memory that a thread may have.
        registers: of a thread.
        spilled: bytes of local memory of a thread.
        shared: bytes of shared memory of a program.
        warps: of a program.
        instructions: of the machine, in all.
        contracted, approximate: float operations that may not be there, as they stand in the PTX.
        fused: fused float operations in the machine code that no exact division explains.
        error: why it does not compile, or nothing.
    """

    kernel: str
    variant: str
    capability: int
    most_spilled: int = MOST_SPILLED
    registers: int = 0
    spilled: int = 0
    shared: int = 0
    warps: int = 0
    instructions: int = 0
    contracted: list[str] = field(default_factory=list)
    approximate: list[str] = field(default_factory=list)
    fused: int = 0
    error: str = ""

    def faults(self) -> list[str]:
        """What is wrong, in words; nothing where all is well."""
        if self.error:
            return [f"does not compile: {self.error}"]
        limit = SHARED_LIMITS[self.capability]
        found = [f"contracts: {operation}" for operation in self.contracted]
        found += [f"is approximate: {operation}" for operation in self.approximate]
        if self.fused:
            found.append(f"holds {self.fused} fused multiply-adds in machine code")
        if self.spilled > self.most_spilled:
            found.append(f"spills {self.spilled} bytes per thread, more than {self.most_spilled}")
        if self.shared > limit:
            found.append(f"needs {self.shared:,} bytes of shared memory; sm_{self.capability} has {limit:,}")
        return found

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"faults": self.faults()}


def assembled(launch: Launch, capability: int) -> Any:
    """Triton's compiled kernel: `asm` holds ptx and cubin, `metadata` shared memory and warps."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    source = ASTSource(launch.kernel, launch.signature, launch.constants, launch.attributes)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=dict(launch.options))


def compiled(launch: Launch, capability: int) -> Compiled:
    """The variant on this target, and what its code holds."""
    wide = any(launch.constants.get((at,)) == 4 for at, name in enumerate(launch.signature) if name.endswith("_PARTS"))
    blank = Compiled(launch.name, launch.variant, capability, MOST_SPILLED_WIDE if wide else MOST_SPILLED)
    try:
        kernel = assembled(launch, capability)
    except Exception as error:  # whatever a compiler may raise is what is to be told
        return replace(blank, error=f"{type(error).__name__}: {error}".strip()[:2000])
    ptx, cubin = kernel.asm["ptx"], kernel.asm["cubin"]
    usage, listing = resources(cubin), machine_code(cubin)
    return replace(
        blank,
        registers=usage["REG"],
        spilled=max(usage["STACK"], usage["LOCAL"]),
        shared=kernel.metadata.shared + usage["SHARED"],
        warps=kernel.metadata.num_warps,
        instructions=len(listing),
        contracted=sorted(set(CONTRACTED.findall(code_of(ptx)))),
        approximate=sorted(set(APPROXIMATE.findall(code_of(ptx)))),
        fused=0 if MADE_OF_FUSED.search(ptx) else sum("FFMA" in line or "DFMA" in line for line in listing),
    )


def code_of(ptx: str) -> str:
    """PTX without comments and debug sections."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", ptx.partition("\t.section")[0], flags=re.DOTALL)


def tool(name: str) -> str:
    """Path of ptxas, cuobjdump or nvdisasm, as Triton finds it. Raises RuntimeError where there is none."""
    import triton

    return str(getattr(triton.knobs.nvidia, name).path)


def _told(name: str, cubin: bytes, *options: str) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run([tool(name), *options, file.name], capture_output=True, text=True, check=True).stdout


def resources(cubin: bytes) -> dict[str, int]:
    """REG, STACK, SHARED and LOCAL of the one kernel: registers and bytes."""
    return {
        name: int(number)
        for name, number in re.findall(r"\b(REG|STACK|SHARED|LOCAL):(\d+)", _told("cuobjdump", cubin, "-res-usage"))
    }


def machine_code(cubin: bytes) -> list[str]:
    """The instructions, one a line."""
    listing = _told("cuobjdump", cubin, "-sass")
    return re.findall(r"^\s*/\*[0-9a-f]{4,}\*/\s+(.+?);", listing, re.MULTILINE)


def rolled(ptx: str, capability: int) -> list[str]:
    """The instructions of machine code whose loops are not unrolled, so that each stands there as often as one of PTX.

    Args:
        ptx: a kernel's, as Triton compiles it.
        capability: 90 for sm_90.
    """
    from triton.backends.nvidia.compiler import get_ptxas, sm_arch_from_capability

    lines = ptx.splitlines()
    labels = {found[1]: i for i, line in enumerate(lines) if (found := re.match(r"(\$\w+):", line))}
    jumps = ((i, re.search(r"\bbra(?:\.uni)?\s+(\$\w+);", line)) for i, line in enumerate(lines))
    heads = {labels[found[1]] for i, found in jumps if found and labels[found[1]] <= i}
    marked = [line + '\n.pragma "nounroll";' if i in heads else line for i, line in enumerate(lines)]
    with tempfile.TemporaryDirectory() as folder:
        source, cubin = Path(folder) / "kernel.ptx", Path(folder) / "kernel.cubin"
        source.write_text("\n".join(marked) + "\n")
        command = [get_ptxas(capability).path, "--fmad=false", f"--gpu-name={sm_arch_from_capability(capability)}"]
        subprocess.run([*command, str(source), "-o", str(cubin)], check=True)
        return machine_code(cubin.read_bytes())
