"""Expectations of the GPU day, made on a CPU beforehand: digests of every case after every sample, and the demo's spikes.

Writes results/gpu_expect.json and results/gpu_expect_demo.npz (below 2 MB, not under version control); copy them with the
tree to the GPU machine. Without them `gpu_day.py` makes what it can there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gpu_day_cases import cases
from gpu_day_check import EXPECTED, expect
from gpu_day_timings import demo_path, write_demo
from measure import machine
from workloads import night

DEMO_SAMPLES = 400


def main(arguments: list[str] | None = None) -> None:
    """Make and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=EXPECTED, metavar="FILE", help=f"where to [{EXPECTED}]")
    parser.add_argument("--dry", action="store_true", help="the tiny shapes of gpu_day.py --dry, without the demo")
    chosen = parser.parse_args(arguments)
    from spikeseg.ops import cpu

    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    made = {}
    for name, case in cases(chosen.dry).items():
        made[name] = expect(case, cpu)._asdict()
        print(f"{name}: {len(made[name]['samples'])} digests", flush=True)
        chosen.out.write_text(json.dumps({"machine": machine(), "cases": made}, separators=(",", ":")) + "\n")
    if not chosen.dry:
        lists = night().spikes
        write_demo(demo_path(chosen.out), lists.part(0, min(DEMO_SAMPLES, lists.samples)))


if __name__ == "__main__":
    main()
