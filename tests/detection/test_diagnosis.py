import numpy as np
import pytest

from spikeseg.config.load import load_config
from spikeseg.data.recording import LABEL_DTYPE, checked
from spikeseg.data.windows import windowed
from spikeseg.detection.diagnosis import chosen_windows, diagnose
from spikeseg.models import SpikeSEG

WIDTH, HEIGHT = 32, 24
LABELS = np.array([(30_000, 4.0, 6.0, 1), (80_000, 20.0, 6.0, 1), (80_000, 3.0, 20.0, 2)], LABEL_DTYPE)


@pytest.fixture(scope="module")
def recording():
    """0.2 s, a bright source that crosses, among noise."""
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 200_000, 4000))
    source = rng.random(len(t)) < 0.5
    x = np.where(source, t / 200_000 * 30, rng.integers(0, WIDTH, len(t))).astype(np.int16)
    y = np.where(source, 6 + rng.integers(0, 3, len(t)), rng.integers(0, HEIGHT, len(t))).astype(np.int16)
    return checked("night", "night", {"t": t, "x": x, "y": y, "p": rng.integers(0, 2, len(t))}, (WIDTH, HEIGHT))


def view_of(recording, **changes):
    data = {"data.timestep_ms": 5.0, "data.input_height": HEIGHT // 2, "data.input_width": None, "data.transforms": [], **changes}
    return windowed(recording, load_config("demo", {"data.n_timesteps": 5, "data.window_overlap": 0.0, **data}).data)


@pytest.mark.parametrize("channels", [2, 1])
def test_every_layer_of_a_window(recording, channels):
    view = view_of(recording, **{"data.input_channels": channels})
    model = SpikeSEG.from_config({"conv2_channels": 4, "thresholds": [0.2, 1.0, 1.0]}, in_channels=channels)
    first, third = diagnose(model, view, LABELS, [1, 3])
    assert (first.recording, first.start_us, third.end_us) == ("night", view.start_us[1], int(view.end_us[3]))
    frames = [frames.dense()[0] for _, frames, _ in view.windows()]
    assert np.array_equal(first.events, frames[1].sum(0)) and first.events.shape == (channels, HEIGHT // 2, WIDTH)
    assert first.layers["conv1"].shape == (HEIGHT // 4, WIDTH // 2) and first.layers["conv2"].shape == (HEIGHT // 8, WIDTH // 4)
    alone = diagnose(model, view, None, [3])[0]
    assert alone.truth is None and np.array_equal(alone.saliency, third.saliency) and third.saliency.max() > 0
    assert [tuple(row) for row in third.truth] == [(80_000, 20.0, 2.75, 1), (80_000, 3.0, 9.75, 2)]
    assert LABELS["y"][1] == 6.0


def test_which_windows_are_looked_at(recording):
    view = view_of(recording)
    assert chosen_windows(view, None, 3).tolist() == [1, 4, 6]
    assert chosen_windows(view, None, 20).tolist() == list(range(len(view.start_us)))
    assert chosen_windows(view, LABELS, 3).tolist() == [1, 3]
    assert chosen_windows(view, LABELS[:0], 1).tolist() == [4]
