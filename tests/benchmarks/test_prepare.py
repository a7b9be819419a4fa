"""The benchmark of framing and of the prepare stage: that it runs, compares and reports; never how fast anything is."""

import functools
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_of_prepare", FOLDER / "prepare.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(FOLDER))  # as for a script: measure.py lies beside it
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
        sys.modules.pop("measure", None)
    return module


@pytest.mark.slow
def test_a_quick_run_reports_both_sides_and_the_stage(tmp_path):
    command = [sys.executable, str(FOLDER / "prepare.py"), "--quick", "--json", str(tmp_path / "out.json")]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "all frames equal to tonic's" in run.stdout
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["benchmark"] == "prepare"
    assert found["machine"]["tonic"]
    cases = {(one["size"], one["density"], one["kind"]) for one in found["framing"]}
    assert cases == {(size, 0.01, kind) for size in ("180x240", "240x304") for kind in ("binary", "counts")}
    for one in found["framing"]:
        assert one["equal"]
        assert one["frames_compared"] > 1
        assert set(one["seconds"]) == set(one["events_per_s"]) == {"ours", "ours, whole", "tonic"}
        assert all(len(seconds) == found["repetitions"] for seconds in one["seconds"].values())
        assert all(set(rate) == {"median", "min", "max"} for rate in one["events_per_s"].values())
    assert len(found["stage"]) == 2
    for one in found["stage"]:
        assert one["recordings"] == 2
        assert one["events"] > 1000
        assert sum(one["shares"].values()) == pytest.approx(1.0)
        assert {"read", "check", "transform", "frame", "background", "compress and write"} < set(one["shares"])
        assert all(share > 0 for share in one["shares"].values())
        assert one["peak_bytes"] > found["start_bytes"] > 0
    assert not list(tmp_path.glob("data_cache"))


@pytest.mark.parametrize("side", ["ours", "ours_whole"])
@pytest.mark.parametrize("wrong", ["one pixel", "one frame less"])
def test_frames_that_differ_from_tonics_fail_it(benchmark, monkeypatch, side, wrong):
    size = (30, 20)
    events = benchmark.random_events(500, size, 0.05)
    assert benchmark.check_equal(events, size) == 8
    right = functools.partial(getattr(benchmark, side))

    def spoilt(frames):
        frames = np.concatenate([frames.reshape(-1, 2, 20, 30)])
        if wrong == "one frame less":
            return frames[:7]
        frames[3, 1, 4, 5] ^= 1
        return frames

    if side == "ours":
        monkeypatch.setattr(benchmark, side, lambda *args: iter([spoilt(np.concatenate([p.copy() for p in right(*args)]))]))
    else:
        monkeypatch.setattr(benchmark, side, lambda *args: spoilt(right(*args))[None])
    with pytest.raises(SystemExit, match=r"differ from tonic's"):
        benchmark.check_equal(events, size)


def test_the_clock_counts_each_part_once_and_inside_generators_too(benchmark, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: now[0])
    clock = benchmark.Clock()

    def spend(seconds):
        now[0] += seconds

    def items():
        for _ in range(3):
            spend(1.0)
            yield None

    inner = clock.timed("inner", spend)
    with clock.part("outer"):
        spend(2.0)
        inner(5.0)
        for _ in clock.timed("steps", items)():
            spend(0.25)
    assert clock.seconds == {"outer": 2.75, "inner": 5.0, "steps": 3.0}
