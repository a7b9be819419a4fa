"""`gpu_counts.py` with `settle.cu` in the place of the Triton kernel `settle`: the same options, the same comparison with the cpu backend.

Run: python benchmarks/settle_cuda.py --samples 2 --only "conv2, streaks"      (needs nvcc)
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.pop("TRITON_INTERPRET", None)
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(1, str(ROOT))

import gpu_counts  # noqa: E402
import torch  # noqa: E402
from gpu_checks import resources, rolled  # noqa: E402
from gpu_emulator import Machine, Memory  # noqa: E402
from gpu_model import cost  # noqa: E402
from gpu_ptx import parsed  # noqa: E402

from spikeseg.ops.cuda import neuron_kernels, tile_kernels, training_kernels  # noqa: E402

THREADS = 256
NAMES = ("HALT", "BASE", "END", "PHASE", "LR_PLUS", "LR_MINUS", "WEIGHT_MIN", "WEIGHT_MAX", "FIRST_BASE", "DEAD", "REST", "PLUS", "TAU",
         "THETA_MAX", "MULTIPLICATIVE_RULE", "CUSTOM_RULE", "HEIGHT_BITS", "NEVER", "UNITS")  # fmt: skip
ARGUMENTS = """words taps master table levels ranks tile_best row_best winners won cursor slot numbers threshold theta wins recent_wins
seen sample_size width_padded maps height width rows across row_bits column_bits radius limit most samples synapses dead_warmup
batch_size BY_MAP FORM MAP_RULE RECOVERY SELECT LEARN""".split()
_CODES: dict = {}


def code(maps: int) -> gpu_counts.Code:
    """Compiled by nvcc for sm_90, once for so many maps."""
    if maps not in _CODES:
        defined = {name: getattr(training_kernels, name).value for name in NAMES}
        defined |= {"SIDE": tile_kernels.SIDE.value, "NEURONS": tile_kernels.NEURONS.value, "THREADS": THREADS, "MAPS": maps}
        options = [f"-D{name}={value}" for name, value in defined.items()] + [f"-DNONE={neuron_kernels.NONE.value}ull"]
        with tempfile.TemporaryDirectory() as folder:
            ptx, cubin, source = Path(folder) / "s.ptx", Path(folder) / "s.cubin", ROOT / "spikeseg/ops/cuda/settle.cu"
            for kind, out in (("-ptx", ptx), ("-cubin", cubin)):
                subprocess.run(
                    ["nvcc", "-arch=sm_90", "-fmad=false", "-lineinfo", kind, *options, str(source), "-o", str(out)], check=True
                )
            program, machine = parsed(ptx.read_text()), [line for line in rolled(ptx.read_text(), 90) if "NOP" not in line]
            used = resources(cubin.read_bytes())
        print(f"settle.cu: {used}", file=sys.stderr)
        _CODES[maps] = gpu_counts.Code(program, len(machine) / len(program.instructions), used["REG"], 0)
    return _CODES[maps]


run_triton = gpu_counts.Emulated.__call__


def run(self: gpu_counts.Emulated, launch: gpu_counts.Launch) -> None:
    """A launch; that of `settle` by the kernel in CUDA C++."""
    given = launch.arguments
    if launch.name != "settle" or not given["BY_POSITION"]:
        run_triton(self, launch)
        return
    kernel, values = code(given["MAPS"]), [given[name] for name in ARGUMENTS]
    memory = Memory([value for value in values if isinstance(value, torch.Tensor)])
    numbers = [memory.address(value) if isinstance(value, torch.Tensor) else int(value) for value in values]
    shared = 16 * given["MAPS"] + 4 * given["height"] * -(-given["width"] // 32)
    counts = Machine(kernel.program, memory, shared, kernel.scale).run(launch.grid, numbers)
    memory.bring_back()
    self.costs.append((launch.name, cost(counts, kernel.scale, kernel.registers, shared, times=self.times)))


gpu_counts.Emulated.__call__ = run  # type: ignore[method-assign]

if __name__ == "__main__":
    gpu_counts.main()
