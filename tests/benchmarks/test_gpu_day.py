"""The GPU day without a GPU: its steps on a bare machine, and what it says of kernels that err, die or hang."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from bare import bare_environment

FOLDER = Path(__file__).parents[2] / "benchmarks"
FAKE = """
import json, os, sys, time
for line in sys.stdin:
    job = json.loads(line)
    name = job.get("name")
    if name == "dies":
        sys.exit("Segmentation fault, or so")
    if name == "hangs":
        time.sleep(3600)
    about = {"gpu": os.environ.get("CARD"), "cores": 1, "gpu_memory_bytes": 2**33, "torch": "2", "triton": "3", "cuda": "12",
             "cases": ["good", "dies", "raises", "hangs", "differs", "last"], "timings": ["train", "encode"]}
    unequal = {"exact": False, "first_sample": 7, "tensor": "weight", "index": [1, 0, 2], "got": 0.5, "want": 0.25,
               "different": 2, "of": 900}
    kernels = {"memset": {"us": 4.0}, "select_": {"us": 120.0}, "first_spikes": {"us": 280.0}}
    split = {"upload_us": 40.0, "download_us": 20.0, "kernels_us": 400.0, "kernels": kernels}
    clock = "990 MHz" if name == "train" else "1755 MHz"
    quick = {"per_s": {"median": 2.0, "min": 1.0, "max": 3.0}, "torch_per_s": {"median": 1.0}, "samples": 4, "split": split,
             "gpu_us": {"median": 110.0}, "wall_us": {"median": 150.0},
             "clocks": {"clocks.sm": clock, "clocks.max.sm": "1980 MHz"}}
    quick |= {"winners": 3} if name == "train" else {}
    answer = {"about": about, "time": quick}.get(job["job"], {"exact": True})
    answer = {"raises": {"error": "RuntimeError: an illegal memory access"}, "differs": unequal}.get(name, answer)
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def fake(script, tmp_path, monkeypatch):
    """The day with a process that answers at once, and without tests; -> main, the file it writes."""
    day, pool = script("gpu_day"), script("gpu_day_pool")
    (tmp_path / "worker.py").write_text(FAKE)
    monkeypatch.setattr(pool, "WORKER", tmp_path / "worker.py")
    monkeypatch.setattr(day, "COMPILE_S", 0.5)
    monkeypatch.setattr(day, "CASE_S", 5)
    monkeypatch.setattr(day, "_tests", lambda dry, clock: [("pytest", {"passed": True, "said": "12 passed"})])
    return day, tmp_path / "day.json"


def test_all_steps_run_where_there_is_only_torch_triton_and_numpy(script, tmp_path):
    pytest.importorskip("triton", reason="the cuda backend needs triton")
    expected, found = tmp_path / "expected.json", tmp_path / "day.json"
    script("gpu_expect").main(["--dry", "--out", str(expected)])
    command = [sys.executable, str(FOLDER / "gpu_day.py"), "--dry", "--expect", str(expected), "--json", str(found)]
    done = subprocess.run(command, env=bare_environment(tmp_path), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    day = json.loads(found.read_text())
    assert set(day["exact"]) == set(script("gpu_day_cases").cases(True))
    assert {(one["exact"], one["expected"]) for one in day["exact"].values()} == {(True, "beforehand by cpu")}
    assert list(day["time"]) == ["train noise 0.1 %", "encode 0.1 %", "trace 1 %, decay 0.9", "operations"]
    assert not any("error" in one for one in day["time"].values())
    assert day["tests"]["pytest"]["passed"] and "tests collected" in day["tests"]["pytest"]["said"]
    printed = done.stdout.splitlines()
    assert len(printed) <= 20 and printed[0].startswith("Triton's interpreter: times mean nothing")
    assert printed[1] == f"exact: {len(day['exact'])} of {len(day['exact'])} cases"
    assert "memcheck: left out: dry" in printed


def test_what_the_gpu_needs_of_tests_and_benchmarks_imports_nothing_else(tmp_path):
    folders = [str(FOLDER), str(FOLDER.parent / "tests" / "shared"), str(FOLDER.parent / "tests")]
    code = f"import sys; sys.path[:0] = {folders}; import conftest, workloads, peers"
    done = subprocess.run([sys.executable, "-c", code], env=bare_environment(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_errs_dies_or_hangs_costs_its_case_alone(fake, monkeypatch, capsys):
    (day, path), _ = fake, monkeypatch.setenv("CARD", "a card")
    monkeypatch.setattr(day, "CASE_S", 0.5)
    assert day.main(["--json", str(path), "--minutes", "9"]) == 1
    exact = json.loads(path.read_text())["exact"]
    assert [name for name, one in exact.items() if one.get("exact")] == ["good", "last"]
    assert exact["dies"]["error"] == "the process died (1): Segmentation fault, or so"
    assert exact["hangs"]["error"] == "stopped after 0 s"
    printed = capsys.readouterr().out
    assert "a card; torch 2, triton 3, CUDA 12; clock 990 MHz to 1755 MHz, at most 1980 MHz;" in printed
    rate = "2.00 (1.00..3.00)/s, GPU 110 us each"
    assert f"train: {rate} (first_spikes 70.0, select 30.0, memset 1.00); plain torch 1.00/s" in printed
    assert f"encode: {rate} (host 35.0, upload 10.0, kernels 100, download 5.00); plain torch 1.00/s" in printed
    assert "exact: 2 of 6 cases" in printed
    assert "differs: first after sample 7: weight[1, 0, 2]: 0.5, must be 0.25 (2 of 900 differ)" in printed
    assert "raises: RuntimeError: an illegal memory access" in printed and printed.count("\n") <= 20


def test_a_day_without_a_card_and_one_without_time(fake, monkeypatch, capsys):
    day, path = fake
    assert day.main(["--json", str(path)]) == 3
    assert "no GPU that torch can use; --dry" in capsys.readouterr().err
    monkeypatch.setenv("CARD", "a card")
    left = iter([9.0])
    monkeypatch.setattr(day.Clock, "allowed", lambda clock, most: next(left, 0.0))
    assert day.main(["--json", str(path), "--only", "good|last|train"]) == 1
    assert "not run: the time was over" in capsys.readouterr().out


def erring(ops, at, name):
    """A backend on the CPU that is wrong by one unit, in one place, from this sample on."""

    class Training(ops.Training):
        learned = 0

        def run(self, lists, order):
            done = super().run(lists, order)
            before, self.learned = self.learned, self.learned + done
            if before <= at < self.learned:
                self.state.weight[1, 0, 2, 1] += 2**-12
            return done

    return SimpleNamespace(**{**vars(ops), "Training": Training, "__name__": name})


def test_a_mismatch_is_traced_to_its_sample_tensor_and_index(script):
    from spikeseg.ops import cpu, reference

    check, cases = script("gpu_day_check"), script("gpu_day_cases").cases(True)
    for name, at, first in (
        ("conv2, both", 1, 1),
        ("conv2, both", 2, 2),
        ("conv2, batches of 7", 2, 2),
        ("two sizes in turn", 0, 0),
    ):
        wanted = check.expect(cases[name], cpu)
        found = check.check(cases[name], erring(cpu, at, "erring"), "cpu", wanted)
        assert (found["exact"], found["first_sample"], found["tensor"]) == (False, first, "weight"), name
        assert found["index"] == [1, 0, 2, 1] and found["different"] == 1 and found["got"] - found["want"] == 2**-12
    encoded = cases["encode 180x240"]
    wanted = check.expect(encoded, cpu)
    assert check.check(encoded, reference, "cpu", wanted) == {"exact": True, "samples": 2}
    found = check.check(encoded, reference, "cpu", wanted._replace(samples=[wanted.samples[0], "another"]))
    assert (found["exact"], found["first_sample"], found["tensor"]) == (False, 1, None)


def test_expectations_of_another_input_are_not_believed_and_made_without_numba(script, tmp_path, monkeypatch):
    from spikeseg.ops import cpu

    check, case = script("gpu_day_check"), script("gpu_day_cases").cases(True)["images"]
    wanted = check.expect(case, cpu)
    path = tmp_path / "expected.json"
    path.write_text(json.dumps({"cases": {"images": wanted._replace(inputs="other")._asdict()}}))
    assert check.known(case, path) == (wanted, "numpy draws another input here, made now by cpu")
    assert check.known(case, None) == (wanted, "made now by cpu")
    monkeypatch.setitem(sys.modules, "spikeseg.ops.cpu", None)  # as without numba
    monkeypatch.setattr(check, "ON_THE_FLY", 2)
    small, origin = check.known(case, None)
    assert (small.samples, small.by, origin) == (wanted.samples[:2], "reference", "made now by reference")


def test_the_rule_is_the_demo_s(script):
    assert script("gpu_day_inputs").DEMO == script("workloads").demo_rule()


def test_the_demo_s_spikes_are_kept_and_timed_where_they_lie_beside_the_expectations(script, tmp_path):
    import torch

    timings, expected = script("gpu_day_timings"), tmp_path / "expected.json"
    lists = script("workloads").random_lists(0.2, 3, (2, 1, 4, 5))
    timings.write_demo(timings.demo_path(expected), lists)
    found = timings.read_demo(timings.demo_path(expected))
    assert found.shape == lists.shape and all((one == other).all() for one, other in zip(found[:2], lists[:2], strict=True))
    named = [set(timings.timings(None, torch.device("cpu"), True, path)) for path in (None, tmp_path / "other.json", expected)]
    assert named[0] == named[1] == named[2] - {"train the demo's"} and len(named[2]) == len(named[0]) + 1
