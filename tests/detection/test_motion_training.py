"""The motion layer learns from recordings whose labels it does not see."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from spikeseg.config.load import load_config
from spikeseg.data.windows import windowed
from spikeseg.detection import motion_training
from spikeseg.detection.motion_training import Night, footprint_of, train_motion
from spikeseg.learning import checkpoint
from spikeseg.motion.footprint import Footprint
from spikeseg.simulation.limit import LimitConfig, limit_recording
from spikeseg.tracking.star_field import StarField

CONFIG = load_config("demo", {"device": "cpu", "backend": "cpu"})
BRIGHT = LimitConfig(
    rate_hz=60.0, noise_hz=0.05, duration_s=8.0, speed_px_s=(5.0, 12.0), stars=0, displacement_px=1.5, sensor_size=(96, 72)
)


def views_of(config, count):
    return [partial(windowed, limit_recording(config, index), CONFIG.data) for index in range(count)]


@pytest.fixture(scope="module")
def nights():
    return [Night(view, StarField.still()) for view in views_of(BRIGHT, 8)]


def test_it_learns_where_on_and_off_lie(nights):
    shown = []

    def progress(items, title, total):
        shown.append((title, total))
        return items

    share, report = footprint_of(nights, CONFIG, progress)
    on, off = Footprint(share).displacement()
    assert on == pytest.approx(1.5, abs=0.4) and off == pytest.approx(-1.5, abs=0.4)
    assert report["on_ahead_px"] == on and report["off_ahead_px"] == off
    assert 1 <= report["rounds"] == len(shown) <= motion_training.ROUNDS and shown[0] == ("motion round 1/3", 8)
    assert 6 <= report["paths"] <= 12 and report["samples"] >= 100
    again, _ = footprint_of(nights, CONFIG)
    assert again.tobytes() == share.tobytes()


def test_it_learns_nothing_without_objects(caplog):
    share, report = footprint_of(
        [Night(views_of(LimitConfig(**{**vars(BRIGHT), "objects": 0}), 1)[0], StarField.still())], CONFIG
    )
    assert share is None and report["on_ahead_px"] is None and report["samples"] == 0
    assert "too few to learn from" in caplog.text


def test_it_takes_some_recordings_drawn_by_the_seed_and_their_beginning(monkeypatch):
    model, asked = checkpoint.build(CONFIG), []
    monkeypatch.setattr(motion_training, "MOST_RECORDINGS", 2)
    monkeypatch.setattr(motion_training, "MOST_SECONDS", 1.5)
    monkeypatch.setattr(motion_training, "ROUNDS", 1)
    monkeypatch.setattr(
        motion_training, "find_paths", lambda view, field, motion: asked.append(view) or _nothing_found(view, field, motion)
    )
    views = views_of(LimitConfig(**{**vars(BRIGHT), "duration_s": 3.0}), 4)
    learned = train_motion(model, views, CONFIG)
    assert learned.share is None and len(asked) == 2 and model.footprint is None
    for view in asked:
        since = (view.events["t"] - view.events["t"][0]) * 1e-6
        assert view.kept[since < 1.49].mean() > 0.9 and not view.kept[since >= 1.5].any()


def test_a_path_at_the_threshold_is_an_object(monkeypatch):
    (view,) = views_of(LimitConfig(**{**vars(BRIGHT), "duration_s": 2.0}), 1)
    found = SimpleNamespace(
        paths=["below", "at", "above"], nats=[19.9, 20.0, 20.1], threshold=20.0, search=SimpleNamespace(events=None)
    )
    monkeypatch.setattr(motion_training, "find_paths", lambda *_: found)
    monkeypatch.setattr(motion_training, "winner_spikes", lambda path, *_: path)
    assert motion_training._spikes(Night(view, StarField.still()), None, None) == ["at", "above"]


class _nothing_found:
    paths, nats, threshold = (), np.zeros(0), 20.0

    def __init__(self, *_):
        pass
