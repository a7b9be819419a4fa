"""What the benchmark of extreme values draws, and what it counts as a fault."""

import numpy as np
import pytest

from spikeseg.config import load_config, merge_configs
from spikeseg.config.files import undotted
from spikeseg.config.sections import Config


@pytest.fixture(scope="module")
def benchmark(script):
    return script("robustness_values")


pytestmark = pytest.mark.filterwarnings("ignore:wta.threshold_min")


def test_what_is_drawn_is_accepted_bounded_work_and_the_same_again(benchmark):
    draws = [benchmark.drawn(np.random.default_rng(seed)) for seed in range(30)]
    assert draws == [benchmark.drawn(np.random.default_rng(seed)) for seed in range(30)]
    for changes, _ in draws:
        cfg = load_config(None, merge_configs(benchmark.SMALL, undotted(changes, "drawn")))
        assert cfg.max_epochs == 2 and benchmark.work(cfg) <= benchmark.CELLS
    assert len({name for changes, _ in draws for name in changes}) > 30


def test_values_reach_both_bounds_and_lie_between(benchmark):
    fields = {name: (hint, field) for name, hint, field in benchmark.fields_of(Config)}
    rng = np.random.default_rng(0)
    hint, field = fields["data.n_timesteps"]
    drawn = [benchmark.drawn_value(hint, field, rng) for _ in range(200)]
    assert min(drawn) == 1 and max(drawn) == 4096 and len(set(drawn)) > 50
    hint, field = fields["model.kernel_sizes"]
    assert all(size % 2 for _ in range(50) for size in benchmark.drawn_value(hint, field, rng))


@pytest.mark.parametrize(
    ("code", "said", "kind"),
    [
        (0, "", "done"),
        (3, "error: data.x: found 3, must be 4", "one line, exit code 3"),
        (3, "error: one\nerror: two", "FAULT"),
        (3, "", "FAULT"),
        (1, "error in spikeseg itself", "FAULT"),
        (-11, "", "FAULT"),
        ("hangs", "", "FAULT"),
        ("traceback", "KeyError", "FAULT"),
    ],
)
def test_what_is_a_fault(benchmark, code, said, kind):
    assert benchmark.kind({"code": code, "said": said}) == kind
