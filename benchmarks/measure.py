"""What the benchmarks share: timing side by side, peak memory, the machine, tables and JSON.

The benchmarks are scripts beside this file (``python benchmarks/prepare.py``), so they ``import measure``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("spikeseg", "numpy", "numba", "torch", "norse", "tonic", "zarr", "triton")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


# -- time ------------------------------------------------------------------------------------------


def interleaved(sides: Mapping[str, Callable[[], Any]], repetitions: int, warm_up: int = 1) -> dict[str, list[float]]:
    """Seconds that each side takes, measured in turns, so that a machine that speeds up or slows down does so for all.

    Args:
        sides: what to call, by name; a result is thrown away.
        repetitions: times that each side is measured. Every other round goes through the sides backwards.
        warm_up: rounds before, not measured: compilation, files read for the first time.

    Returns:
        Per side the seconds of each repetition, in order.
    """
    for _ in range(warm_up):
        for side in sides.values():
            side()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for repetition in range(repetitions):
        names = list(sides)[:: 1 if repetition % 2 == 0 else -1]
        for name in names:
            began = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def summary(times: Sequence[float]) -> dict[str, float]:
    """Median and spread: ``{"median", "min", "max"}``, in the unit of the times. Raises ValueError for none."""
    if not times:
        raise ValueError("no times to summarise")
    return {"median": statistics.median(times), "min": min(times), "max": max(times)}


def rates(amount: float, times: Sequence[float]) -> dict[str, float]:
    """``summary`` of amount / time: what goes through per second when each time handled `amount` of it."""
    return summary([amount / seconds for seconds in times])


def ratios(slow: Sequence[float], fast: Sequence[float]) -> dict[str, float]:
    """``summary`` of how many times longer `slow` took than `fast`, repetition by repetition."""
    return summary([a / b for a, b in zip(slow, fast, strict=True)])


# -- memory ----------------------------------------------------------------------------------------


def peak_memory(function: Callable[[], Any]) -> int:
    """Largest resident memory, in bytes, of a new process that does nothing but import what it needs and call `function`.

    Args:
        function: importable (defined at the top of a module, or a ``functools.partial`` of such a one). A script that
            calls this needs ``if __name__ == "__main__":``, because the new process imports it.

    Whatever was allocated here does not count; what the imports take does: subtract ``peak_memory(nothing)`` for a
    function alone.

    Raises RuntimeError when the new process fails (it prints why).
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_measured, args=(function, there))
    child.start()
    there.close()
    try:
        peak: int = here.recv()
    except EOFError:
        raise RuntimeError(f"{function}: failed in the process that measures its memory") from None
    finally:
        child.join()
        here.close()
    return peak


def nothing() -> None:
    """What ``peak_memory`` costs by itself, imports of the calling script included."""


def _measured(function: Callable[[], Any], answer: Any) -> None:
    function()
    answer.send(_peak_of_this_process())
    answer.close()


def _peak_of_this_process() -> int:
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss would start from what the parent held when it made this process
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


# -- where it ran ----------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    """The machine and the software: ``cpu``, ``cores`` (usable by this process), ``memory_bytes``, ``system``, ``python``,
    ``gpu`` (name or None), ``torch_threads``, ``environment`` (variables that set threads), and the version of each
    package that matters (None where it is not installed)."""
    import torch

    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch_threads": torch.get_num_threads(),
        "environment": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        **{name: _version(name) for name in PACKAGES},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


# -- in and out ------------------------------------------------------------------------------------


def options(description: str, *, markdown: bool = False) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes: ``--json FILE`` and ``--quick``; and ``--markdown``, where asked for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs; the times mean nothing")
    if markdown:
        parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    return parser


def table(header: Sequence[str], rows: Sequence[Sequence[object]], *, markdown: bool = False) -> str:
    """Aligned columns, the first to the left and the others to the right; numbers as ``number`` writes them."""
    cells = [list(header), *([number(cell) for cell in row] for row in rows)]
    if markdown:
        cells.insert(1, ["---", *["---:"] * (len(header) - 1)])
        return "\n".join("| " + " | ".join(row) + " |" for row in cells)
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    lines = [[cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(zip(row, widths, strict=True))]
             for row in cells]  # fmt: skip
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(line).rstrip() for line in lines)


def number(value: object) -> str:
    """Three significant digits, thousands set apart; anything but a float as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")


def spread(found: Mapping[str, float]) -> str:
    """A ``summary`` as one cell: median (min..max)."""
    return f"{number(found['median'])} ({number(found['min'])}..{number(found['max'])})"


def write_json(path: Path | None, benchmark: str, results: Mapping[str, Any]) -> None:
    """Write ``{"benchmark", "command", "machine", **results}`` as JSON; nothing without a path."""
    if path is None:
        return
    command = " ".join(["python", f"benchmarks/{benchmark}.py", *sys.argv[1:]])
    content = {"benchmark": benchmark, "command": command, "machine": machine(), **results}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
