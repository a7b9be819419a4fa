import functools
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "measure.py"


@pytest.fixture(scope="module")
def measure():
    spec = importlib.util.spec_from_file_location("measure", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(PATH.parent))  # as for the scripts beside it: a new process has to find it
    sys.modules["measure"] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(PATH.parent))
    del sys.modules["measure"]


def test_sides_take_turns_and_none_is_always_first(measure):
    calls = []
    times = measure.interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repetitions=3, warm_up=2)
    assert calls == list("abab" + "ab" + "ba" + "ab")
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 3, "b": 3}
    assert all(second >= 0 for seconds in times.values() for second in seconds)


def test_summaries(measure):
    assert measure.summary([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}
    assert measure.rates(12, [3.0, 1.0, 2.0]) == {"median": 6.0, "min": 4.0, "max": 12.0}
    assert measure.ratios([4.0, 9.0, 2.0], [1.0, 3.0, 2.0]) == {"median": 3.0, "min": 1.0, "max": 4.0}
    with pytest.raises(ValueError, match="no times"):
        measure.summary([])


def test_peak_memory_counts_what_the_function_holds_and_not_what_this_process_holds(measure):
    size = 300 * 2**20
    here = np.ones(size, np.uint8)
    alone = measure.peak_memory(measure.nothing)
    assert 0 < alone < size
    assert 0.95 * size < measure.peak_memory(functools.partial(np.ones, size, np.uint8)) - alone < 1.2 * size
    assert here.all()


def test_a_function_that_fails_has_no_peak(measure):
    with pytest.raises(RuntimeError, match="failed"):
        measure.peak_memory(functools.partial(np.ones, -1))


def test_tables_are_aligned(measure):
    text = measure.table(["side", "rate"], [["ours", 12345.6], ["theirs", 0.5], ["n", 7], ["x", "1 (0..2)"]])
    assert text.splitlines() == [
        "side        rate",
        "------  --------",
        "ours      12,346",
        "theirs     0.500",
        "n              7",
        "x       1 (0..2)",
    ]
    assert measure.number(123.4) == "123"
    assert measure.number(99.96) == "100"
    assert measure.spread({"median": 2.0, "min": 1.0, "max": 3000.0}) == "2.00 (1.00..3,000)"


def test_json_says_where_it_was_measured(measure, tmp_path):
    measure.write_json(None, "prepare", {})
    measure.write_json(tmp_path / "new" / "out.json", "prepare", {"framing": [1]})
    found = json.loads((tmp_path / "new" / "out.json").read_text())
    assert (found["benchmark"], found["framing"]) == ("prepare", [1])
    assert found["command"].startswith("python benchmarks/prepare.py")
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["numpy"] == np.__version__
    assert found["machine"]["cpu"]
