"""The CUDA kernels on a card, in one go: are they exact, how fast are they, what do pytest and compute-sanitizer say.

    python benchmarks/gpu_expect.py            # beforehand, on any CPU: what is expected (git-ignored, below 2 MB)
    python benchmarks/gpu_day.py               # on the card; needs torch for CUDA, triton and numpy, no network; five minutes
    python benchmarks/gpu_day.py --dry         # the same steps without a card, in Triton's interpreter; its times mean nothing

Every case runs by itself, in a process that may die: what it finds is in the JSON file before the next one begins. The exit code
is 0 where every case is exact, every timing ends and every test passes, 1 where not, 3 without a card.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpu_day_pool import WORKER, Clock, Job, Worker, answered, ran
from measure import number, spread

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
CASE_S, COMPILE_S, TIMING_S, TESTS_S, SANITIZER_S = 60, 90, 40, 150, 90
"""Seconds that a case, its compilation, a timing, pytest and a run of the sanitizer may take."""
NO_CARD = 3
SMALL = ("conv2, both", "encode 180x240")
"""The cases that the sanitizer watches, with tiny shapes."""
TABLE_LINES = 20


class Report:
    """What is found, in a file that is written after every piece.

    Args:
        path: JSON.
        dry: whether no card is looked at.
    """

    def __init__(self, path: Path, dry: bool) -> None:
        self.path, self.content = path, {"dry": dry, "about": {}, "compile": {}, "exact": {}, "time": {}, "tests": {}}
        path.parent.mkdir(parents=True, exist_ok=True)

    def tell(self, job: Job, answer: Job) -> None:
        """Keep an answer, and say so."""
        if job["job"] == "about":
            self.content["about"] = answer
        else:
            self.content[job["job"]][job["name"]] = answer
        self.path.write_text(json.dumps(self.content, indent=1) + "\n")
        print(f"  {job['job']} {job.get('name', '')}: {_brief(answer)}", file=sys.stderr, flush=True)

    @property
    def failures(self) -> list[str]:
        """What is not as it must be."""
        unequal = [name for name, found in self.content["exact"].items() if not found.get("exact")]
        untimed = [name for name, found in self.content["time"].items() if "error" in found]
        return unequal + untimed + [name for name, found in self.content["tests"].items() if found.get("passed") is False]


def _brief(answer: Job) -> str:
    shown = {k: v for k, v in answer.items() if k in ("exact", "error", "passed", "said", "seconds", "gpu")}
    return json.dumps(shown)[:300]


def main(arguments: list[str] | None = None) -> int:
    """Run the day; -> the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="tiny shapes, in Triton's interpreter")
    parser.add_argument("--json", type=Path, default=RESULTS / "gpu_day.json", metavar="FILE", help="what is found [%(default)s]")
    parser.add_argument(
        "--expect", type=Path, metavar="FILE", help="made by gpu_expect.py [results/gpu_expect.json; with --dry none]"
    )
    parser.add_argument("--minutes", type=float, default=5.0, metavar="N", help="what has not begun by then is left out [5]")
    parser.add_argument("--only", default="", metavar="REGEX", help="the cases and timings whose names match, and no tests")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that compile and compare side by side")
    chosen = parser.parse_args(arguments)
    report, clock = Report(chosen.json, chosen.dry), Clock(None if chosen.dry else 60 * chosen.minutes)
    expected = chosen.expect or (None if chosen.dry else RESULTS / "gpu_expect.json")
    options = [*(["--expect", str(expected)] if expected else []), *(["--dry"] if chosen.dry else [])]
    first = Worker(options)
    try:
        about = first.ask({"job": "about"}, clock.allowed(CASE_S))
        report.tell({"job": "about"}, about)
        if "error" in about or not (about["gpu"] or chosen.dry):
            print(about.get("error", "no GPU that torch can use; --dry runs the same steps without one"), file=sys.stderr)
            return NO_CARD
        _compare(chosen, report, clock, [first, *(Worker(options) for _ in range(_beside(chosen, about)))])
        wanted = [name for name in about["timings"] if re.search(chosen.only, name)]
        answered(
            [{"job": "time", "name": name} for name in wanted], [first], functools.partial(clock.allowed, TIMING_S), report.tell
        )
    finally:
        first.close()
    if not chosen.only:
        for name, found in _tests(chosen.dry, clock):
            report.tell({"job": "tests", "name": name}, found)
    report.content["seconds"] = round(clock.taken, 1)
    report.path.write_text(json.dumps(report.content, indent=1) + "\n")
    print("\n".join(table(report.content)))
    print(f"all of it: {report.path}", file=sys.stderr)
    return 1 if report.failures or not report.content["exact"] else 0


def _beside(chosen: argparse.Namespace, about: Job) -> int:
    """Further processes: one per two cores and per 4 GiB of the card, seven at most."""
    if chosen.workers is not None or chosen.dry:
        return max(1, chosen.workers or 1) - 1
    return max(0, min(8, about["cores"] // 2, about["gpu_memory_bytes"] // 2**32) - 1)


def _compare(chosen: argparse.Namespace, report: Report, clock: Clock, workers: list[Worker]) -> None:
    """Compile, then compare, side by side; all workers but the first are gone behind it."""
    names = [name for name in report.content["about"]["cases"] if re.search(chosen.only, name)]
    try:
        for job, most in (("compile", COMPILE_S), ("exact", CASE_S)):
            if not (chosen.dry and job == "compile"):
                jobs = [{"job": job, "name": name} for name in names]
                answered(jobs, workers, functools.partial(clock.allowed, most), report.tell)
    finally:
        for worker in workers[1:]:
            worker.close()


# -- pytest, compute-sanitizer ----------------------------------------------------------------------


def _tests(dry: bool, clock: Clock) -> Iterator[tuple[str, Job]]:
    """(name, what came of it)."""
    yield "pytest", _pytest(dry, clock)
    tool = shutil.which("compute-sanitizer") or next(map(str, Path("/usr/local").glob("cuda*/bin/compute-sanitizer")), None)
    for check in ("memcheck", "racecheck"):
        if dry or tool is None:
            yield check, {"passed": None, "said": "left out: dry" if dry else "left out: no compute-sanitizer here"}
            continue
        command = [tool, "--tool", check, "--error-exitcode", "9", sys.executable, str(WORKER), "--tiny"]
        code, said = ran([*command, *(word for name in SMALL for word in ("--one", name))], clock.allowed(SANITIZER_S), ROOT)
        summary = [line for line in said.splitlines() if "SUMMARY" in line] or said.splitlines()[-1:]
        yield check, {"passed": code == 0 if code is not None else None, "said": " ".join(summary)[-200:], "output": said[-4000:]}


def _pytest(dry: bool, clock: Clock) -> Job:
    if importlib.util.find_spec("pytest") is None:
        return {"passed": None, "said": "left out: no pytest here"}
    side_by_side = ["-n", str(min(8, os.cpu_count() or 1))] if importlib.util.find_spec("xdist") and not dry else []
    command = [sys.executable, "-m", "pytest", "-q", *side_by_side, "--confcutdir=tests/ops", "-m", "gpu", "tests/ops"]
    code, said = ran([*command, *(["--collect-only"] if dry else [])], clock.allowed(TESTS_S), ROOT)
    failed = [line for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))]
    good = code in ((0, 5) if dry else (0,))  # 5: none is marked gpu where there is none
    last = "; ".join([*(said.strip().splitlines() or [""])[-1:], *failed[:3]])[:300]
    return {"passed": good, "said": last, "failed": failed, "output": "" if good else said[-6000:]}


# -- the table --------------------------------------------------------------------------------------


def table(found: dict[str, Any]) -> list[str]:
    """What was found, in TABLE_LINES lines at most; what is wrong comes first."""
    about, exact = found["about"], found["exact"]
    card = "Triton's interpreter: times mean nothing" if found["dry"] else about["gpu"]
    versions = f"torch {about['torch']}, triton {about['triton']}, CUDA {about.get('cuda')}"
    lines = [f"{card}; {versions}{_clocks(found)}; {found.get('seconds', 0):.0f} s"]
    right = sum(bool(one.get("exact")) for one in exact.values())
    lines.append(f"exact: {right} of {len(exact)} cases")
    wrong = [f"  {name}: {_wrong(one)}" for name, one in exact.items() if not one.get("exact")]
    rows = [line for name, one in found["time"].items() for line in _timing(name, one)]
    tests = [f"{name}: {one['said']}" for name, one in found["tests"].items()]
    room = TABLE_LINES - len(lines) - len(tests)
    if len(wrong) > max(3, room - len(rows)):
        kept = max(3, room - len(rows)) - 1
        wrong = [*wrong[:kept], f"  and {len(wrong) - kept} more"]
    return [*lines, *wrong, *rows[: room - len(wrong)], *tests]


def _clocks(found: dict[str, Any]) -> str:
    """Behind which clocks were timed."""
    told = [one["clocks"] for one in found["time"].values() if one.get("clocks")]
    if not told:
        return ""
    rising = sorted((one["clocks.sm"] for one in told), key=lambda clock: (len(clock), clock))
    return f"; clock {rising[0]} to {rising[-1]}, at most {told[0]['clocks.max.sm']}"


def _wrong(one: Job) -> str:
    if "error" in one:
        return one["error"][:160]
    place = f"first after sample {one['first_sample']}"
    if one.get("tensor") is None:
        return f"{place}; {one['note']}"
    where = f"{one['tensor']}{one.get('index', '')}: {one['got']}, must be {one['want']}"
    return f"{place}: {where} ({one.get('different', '?')} of {one.get('of', '?')} differ)"


def _timing(name: str, one: Job) -> list[str]:
    if "error" in one:
        return [f"{name}: {one['error'][:120]}"]
    if "per_s" not in one:
        calls = {k: v.get("gpu_us", v["wall_us"]) for k, v in one.items() if isinstance(v, dict) and "wall_us" in v}
        parts = [f"{k} {number(v['median'])}" for k, v in calls.items()]
        return [f"one call, us: {', '.join(parts)}"]
    gpu = f", GPU {number(one['gpu_us']['median'])} us each" if "gpu_us" in one else ""
    return [f"{name}: {spread(one['per_s'])}/s{gpu}{_parts(one)}; plain torch {number(one['torch_per_s']['median'])}/s"]


def _parts(one: Job) -> str:
    """Where the time of a sample goes, us: of training by kernel, of inference by what it is."""
    split, samples = one.get("split"), one["samples"]
    if not split:
        return ""
    if "winners" in one:
        first = sorted(split["kernels"].items(), key=lambda kernel: -kernel[1]["us"])[:3]
        return " (" + ", ".join(f"{name.strip('_')[:24]} {number(part['us'] / samples)}" for name, part in first) + ")"
    moved = {"upload": split["upload_us"], "kernels": split["kernels_us"], "download": split["download_us"]}
    host = one["wall_us"]["median"] - sum(moved.values()) / samples
    return f" (host {number(max(0.0, host))}, " + ", ".join(f"{k} {number(v / samples)}" for k, v in moved.items()) + ")"


if __name__ == "__main__":
    sys.exit(main())
