import numpy as np
import pytest

from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.errors import InputError
from spikeseg.plots.saliency import saliency_figure


def events(n=50):
    rng = np.random.default_rng(0)
    e = np.zeros(n, EVENT_DTYPE)
    e["t"], e["x"], e["y"], e["p"] = np.arange(n), rng.integers(0, 20, n), rng.integers(0, 10, n), rng.random(n) < 0.5
    return e


def test_the_panels_show_polarity_balance_and_the_highest_score():
    e, scores = events(), np.linspace(0, 5, 50)
    figure = saliency_figure(e, scores, (20, 10), [np.array([[1.0, 2.0], [3.0, 4.0]])], "night")
    left, right = figure.axes[:2]
    balance, best = left.images[0].get_array(), right.images[0].get_array()
    assert balance.shape == best.shape == (10, 20)
    assert balance.sum() == pytest.approx((e["p"] * 2.0 - 1).sum())
    assert best[e["y"][-1], e["x"][-1]] == pytest.approx(np.log1p(5.0))
    assert len(right.lines) == 1 and figure.get_suptitle() == "night"


def test_a_recording_without_events_is_an_empty_figure():
    figure = saliency_figure(events(0), np.zeros(0), (20, 10))
    assert not np.any(figure.axes[1].images[0].get_array())


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"spikeseg\[plots\]"):
        saliency_figure(events(), np.zeros(50), (20, 10))
