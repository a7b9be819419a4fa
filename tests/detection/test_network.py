"""Windows encoded and traced back."""

import numpy as np
import pytest

import spikeseg
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, Recording
from spikeseg.data.windows import windowed
from spikeseg.detection.network import decoded, equal_runs


@pytest.fixture(scope="module", params=[True, False], ids=["delays", "no delays"])
def network(request):
    changes = {"device": "cpu", "data.data_root": None, "data.transforms": [], "model.use_delay_connections": request.param}
    return spikeseg.new("files", changes)


@pytest.fixture(scope="module")
def recording():
    """A dense spot that moves to the right over 40 x 30 px, 0.6 s."""
    rng = np.random.default_rng(0)
    events = np.zeros(30_000, EVENT_DTYPE)
    events["t"] = np.sort(rng.integers(0, 600_000, len(events)))
    events["x"] = np.clip(8 + events["t"] / 30_000 + rng.normal(0, 2, len(events)), 0, 39)
    events["y"], events["p"] = np.clip(15 + rng.normal(0, 3, len(events)), 0, 29), rng.integers(0, 2, len(events))
    return Recording(events, (40, 30), np.zeros(0, LABEL_DTYPE), "spot", "")


def test_what_is_wanted_later_is_what_would_be_traced_of_all(network, recording):
    model, view = network.model, windowed(recording, network.config.data)
    sets, (steps, _, _) = [None, [0], [1, 2]], view.shape
    wanted = np.random.default_rng(1).choice([0, 3, 3, 7, steps], len(view.start_us))
    assert len(wanted) > 16 and {0, 3, 7, steps} == set(wanted.tolist())
    seen = 0
    for whole, part, first in zip(
        decoded(model, view.windows(), sets), decoded(model, view.windows(), sets, wanted), wanted.tolist(), strict=True
    ):
        assert np.array_equal(whole.maps[0].dense(), part.maps[0].dense())
        for own, other in zip(whole.maps[1:], part.maps[1:], strict=True):
            assert np.array_equal(own.dense()[first:], other.dense()[first:]) and not other.dense()[:first].any()
            seen += len(other.index)
    assert seen


def test_runs_of_equal_numbers():
    assert equal_runs(np.array([2, 2, 0, 1, 1, 1])) == [(0, 2), (2, 3), (3, 6)]
    assert equal_runs(np.zeros(3)) == [(0, 3)] and equal_runs(np.zeros(0)) == []
