"""A process of the GPU day: a job a line, as JSON, on stdin; its answer, a line, on stdout. Everything else goes to stderr."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any


class Day:
    """The jobs.

    Args:
        dry: tiny shapes in Triton's interpreter.
        tiny: tiny shapes on the GPU.
        expected: the file of expectations.
    """

    def __init__(self, dry: bool, tiny: bool, expected: Path | None) -> None:
        import torch
        from gpu_day_cases import cases

        from spikeseg.ops import cuda

        self.dry, self.expected, self.ops = dry, expected, cuda
        self.device = torch.device("cpu" if dry else "cuda")
        if dry:
            cuda.tracing.WARP = 1024  # the interpreter takes as long over a few numbers as over many
        self.cases = cases(dry or tiny)

    def about(self) -> dict[str, Any]:
        """The machine, the card and its clocks, names of cases and timings."""
        import torch
        from gpu_day_timings import clocks, timings
        from measure import machine

        found = machine()
        if torch.cuda.is_available():
            card = torch.cuda.get_device_properties(0)
            found |= {"capability": f"{card.major}.{card.minor}", "gpu_memory_bytes": card.total_memory,
                      "processors": card.multi_processor_count, "cuda": torch.version.cuda}  # fmt: skip
        names = list(timings(self.ops, self.device, self.dry, self.expected))
        return found | {"clocks": clocks(), "cases": list(self.cases), "timings": names}

    def compile(self, name: str) -> dict[str, Any]:
        """Run the first samples of a case: what it needs is compiled, and kept on disk for all processes."""
        from gpu_day_cases import Training

        case = self.cases[name]
        if isinstance(case, Training):
            case.after(self.ops, self.device, case.chunk + 1 if len(case.inputs) > 1 else case.stride)
        else:
            case.digests(self.ops, self.device, min(2, case.samples))
        return {}

    def exact(self, name: str) -> dict[str, Any]:
        """Whether a case is exact."""
        from gpu_day_check import check, known

        wanted, origin = known(self.cases[name], self.expected)
        return check(self.cases[name], self.ops, self.device, wanted) | {"expected": origin}

    def time(self, name: str) -> dict[str, Any]:
        """How long something takes."""
        from gpu_day_timings import clocks, timings

        found = timings(self.ops, self.device, self.dry, self.expected)[name]()
        return found | {"clocks": clocks()}

    def answer(self, job: dict[str, Any]) -> dict[str, Any]:
        """To {"job": which, "name": of what}; an exception is an answer too."""
        try:
            found: dict[str, Any] = getattr(self, job["job"])(*([job["name"]] if "name" in job else []))
            return found
        except Exception as error:
            traceback.print_exc()
            return {"error": f"{type(error).__name__}: {error}"[:600], "traceback": traceback.format_exc()[-3000:]}


def main() -> None:
    """Answer jobs until stdin ends; with --one, look at some cases and say by the exit code whether they are exact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry", action="store_true", help="tiny shapes, in Triton's interpreter")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes, on the GPU")
    parser.add_argument("--expect", type=Path, metavar="FILE", help="what gpu_expect.py has written")
    parser.add_argument("--one", action="append", metavar="CASE", help="check this case and end")
    chosen = parser.parse_args()
    if chosen.dry:
        os.environ["TRITON_INTERPRET"] = "1"
    sys.path.insert(1, str(Path(__file__).parents[1]))  # spikeseg, where it is not installed
    day = Day(chosen.dry, chosen.tiny, chosen.expect)
    if chosen.one:
        answers = [day.answer({"job": "exact", "name": name}) for name in chosen.one]
        print(json.dumps(answers))
        sys.exit(not all(answer.get("exact") for answer in answers))
    answers_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints does not disturb the answers
    for line in sys.stdin:
        print(json.dumps(day.answer(json.loads(line))), file=answers_to, flush=True)


if __name__ == "__main__":
    main()
