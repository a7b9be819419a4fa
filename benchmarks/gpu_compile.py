"""Every kernel variant that the cuda backend launches, compiled for GPUs without one, and checked.

Run: python benchmarks/gpu_compile.py [--triton FOLDER] [--targets 90] [--only KERNEL] [--jobs N] [--json FILE] [--quick]

The variants are those that the real launchers ask for, recorded over many configurations (`gpu_launches`); what may not be in
their code says `gpu_checks`. With --triton also by the Triton in that folder (pip install --target FOLDER --no-deps
triton==3.6.0). Prints a table per Triton; exits with 1, and says what failed, where something did. Triton keeps what it compiled,
so a second run is quick.
"""

from __future__ import annotations

import collections
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import options, table, write_json

QUICK_TARGETS = (90,)


def parser() -> Any:
    """Options of the command."""
    found = options(str(__doc__).partition("\n")[0], markdown=True)
    found.add_argument("--triton", action="append", default=[], metavar="FOLDER", help="with the Triton in this folder too")
    found.add_argument(
        "--targets", type=int, nargs="+", metavar="CC", help="compute capabilities, 90 for sm_90 (all that are known)"
    )
    found.add_argument("--only", default="", metavar="TEXT", help="kernels whose name contains this")
    found.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes (one per core)")
    return found


def _one(task: tuple[int, int]) -> dict[str, Any]:
    from gpu_checks import compiled

    number, capability = task
    return compiled(_FOUND[number], capability).as_dict()


_FOUND: list[Any] = []
"""The variants, for the processes that compile: what they inherit need not be picklable."""


def compiled_here(targets: Sequence[int], only: str, jobs: int, quick: bool) -> dict[str, Any]:
    """Every variant on these targets by the Triton of this process: its version, and `Compiled` as dicts."""
    import triton
    from gpu_launches import cases, variants

    found = [launch for launch in variants(cases()) if only in launch.name]
    if quick:
        found = list({launch.name: launch for launch in found}.values())
    _FOUND[:] = found
    tasks = [(number, capability) for capability in targets for number in range(len(found))]
    print(f"triton {triton.__version__}: {len(found)} variants, {len(tasks)} compilations", file=sys.stderr)
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        results = []
        for result in pool.imap(_one, tasks):
            results.append(result)
            if len(results) % 100 == 0:
                print(f"    {len(results)} of {len(tasks)}", file=sys.stderr)
    return {"triton": triton.__version__, "results": results}


def compiled_there(folder: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The same by the Triton of a folder, in a process of its own. Raises RuntimeError where that process fails."""
    path = os.pathsep.join([str(Path(folder).resolve()), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, str(Path(__file__).resolve()), *arguments, "--json", file.name]
        done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.DEVNULL, check=False)
        if done.returncode not in (0, 1) or not Path(file.name).stat().st_size:
            raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}")
        (found,) = json.loads(Path(file.name).read_text())["compiled"]
        return dict(found)


def rows(results: Sequence[dict[str, Any]]) -> list[list[object]]:
    """Of each kernel and target: variants, what the most demanding of them needs, and how many fail."""
    groups = collections.defaultdict(list)
    for one in results:
        groups[one["kernel"], one["capability"]].append(one)
    most = {key: {what: max(one[what] for one in group) for what in ("registers", "shared", "spilled", "instructions")}
            for key, group in groups.items()}  # fmt: skip
    return [
        [kernel, f"sm_{capability}", len(group), *(most[kernel, capability].values()), sum(bool(one["faults"]) for one in group)]
        for (kernel, capability), group in sorted(groups.items())
    ]


def main() -> None:
    from gpu_checks import SHARED_LIMITS

    chosen = parser().parse_args()
    targets = chosen.targets or (QUICK_TARGETS if chosen.quick else sorted(SHARED_LIMITS))
    unknown = [target for target in targets if target not in SHARED_LIMITS]
    if unknown:
        sys.exit(f"--targets {unknown[0]}: the limits of {', '.join(map(str, SHARED_LIMITS))} are known")
    arguments = ["--targets", *map(str, targets), "--only", chosen.only, "--jobs", str(chosen.jobs), *["--quick"] * chosen.quick]
    found = [compiled_here(targets, chosen.only, chosen.jobs, chosen.quick)]
    found += [compiled_there(folder, arguments) for folder in chosen.triton]
    header = ["kernel", "target", "variants", "registers", "shared, bytes", "spilled, bytes", "instructions", "failed"]
    wrong = []
    for one in found:
        print(f"triton {one['triton']}; of a thread, or of a program, that which needs most\n")
        print(table(header, rows(one["results"]), markdown=chosen.markdown), end="\n\n")
        wrong += [
            f"triton {one['triton']}, sm_{result['capability']}, {result['kernel']}: {fault}\n    {result['variant']}"
            for result in one["results"]
            for fault in result["faults"]
        ]
    write_json(chosen.json, "gpu_compile", {"compiled": found})
    if wrong:
        sys.exit("\n".join([*wrong, f"{len(wrong)} faults"]))
    print(f"{sum(len(one['results']) for one in found)} compilations: nothing contracted, approximate, spilled or too large")


if __name__ == "__main__":
    os.environ.pop("TRITON_INTERPRET", None)
    sys.path.insert(1, str(Path(__file__).resolve().parents[1]))
    main()
