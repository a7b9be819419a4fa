import numpy as np
import pytest

pytest.importorskip("matplotlib")

from spikeseg.data.recording import LABEL_DTYPE
from spikeseg.detection.diagnosis import Diagnosis
from spikeseg.plots import FORMATS, rendered
from spikeseg.plots.diagnosis import diagnosis_figure

TRUTH = np.array([(10, 3.0, 2.0, 1), (20, 5.0, 2.0, 1), (20, 8.0, 6.0, 4)], LABEL_DTYPE)


def window(truth, polarities=2):
    rng = np.random.default_rng(0)
    layers = {"conv1": rng.integers(0, 4, (4, 6)).astype(float), "conv2": np.zeros((2, 3))}
    events = rng.integers(0, 3, (polarities, 8, 12)).astype(float)
    return Diagnosis("night", 1_000_000, 1_500_000, events, layers, rng.random((8, 12)), truth)


def test_a_row_per_window_with_five_panels():
    figure = diagnosis_figure([window(TRUTH), window(None, 1), window(TRUTH[:0])], radius_px=2.0)
    rows = np.array(figure.axes).reshape(3, 5)
    assert [axes.get_title().split(":")[0] for axes in rows[0]] == ["input", "conv1", "conv2", "saliency", "truth"]
    assert [row[-1].get_title() for row in rows] == ["truth: 2 objects", "truth: not labelled", "truth: no object"]
    rings = [(patch.center, patch.radius) for patch in rows[0, -1].patches]
    assert rings == [((5.0, 2.0), 2.0), ((8.0, 6.0), 2.0)] and not rows[1, -1].patches
    assert rows[0, 1].get_title() == f"conv1: {int(window(None).layers['conv1'].sum())} spikes"
    assert "1.00" in rows[0, 0].get_ylabel()


@pytest.mark.parametrize("form", FORMATS)
def test_equal_windows_give_equal_bytes(form):
    first, second = (rendered(diagnosis_figure([window(TRUTH)], 2.0), form) for _ in range(2))
    assert first == second and len(first) > 1000
