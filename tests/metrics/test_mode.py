"""Modes by name, ours and another package's."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from spikeseg import registry
from spikeseg.config.sections import EvaluationConfig
from spikeseg.data.frames.framing import FrameSpec
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE
from spikeseg.data.windows import WindowedRecording
from spikeseg.errors import InputError
from spikeseg.metrics.mode import CountSettings, LabelledRecording, mode_named, modes_of
from spikeseg.metrics.rates import DEFAULT
from spikeseg.registries import MODES

OURS = ["event", "event_exact", "event_stars", "pixel", "object", "object_1px", "volume", "track"]


@pytest.fixture
def broken(monkeypatch):
    """Another package whose mode cannot be loaded."""
    point = EntryPoint("broken", "no_such_package:MODE", "spikeseg.metrics")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "spikeseg.metrics" else [])
    monkeypatch.delitem(MODES.__dict__, "_entry_points", raising=False)  # read once
    yield
    MODES.__dict__.pop("_entry_points", None)


def test_modes_come_in_the_order_of_the_registry_each_before_its_variants():
    assert [mode.name for mode in modes_of()] == OURS
    assert [mode.name for mode in modes_of(["track", "object"])] == ["object", "object_1px", "track"]
    assert all(mode_named(name).name == name for name in OURS) and all(MODES[name].name == name for name in MODES)


def test_an_unknown_mode_is_one_line():
    for ask in (lambda: modes_of(["event", "colour"]), lambda: mode_named("colour")):
        with pytest.raises(InputError, match="mode 'colour': unknown, must be one of event, pixel, object, volume, track"):
            ask()


@pytest.mark.usefixtures("broken")
def test_a_mode_that_cannot_be_loaded_stops_only_what_asks_for_it():
    assert [mode.name for mode in modes_of(["event"])] == OURS[:3] and mode_named("object_1px").name == "object_1px"
    with pytest.raises(InputError, match="mode 'broken': entry point no_such_package:MODE"):
        modes_of()


def test_every_figure_that_is_shown_or_carried_is_scored():
    """Of a silent detector without tracks, or of one with none."""
    spec = FrameSpec(n_timesteps=2, timestep_us=10_000)
    events = np.zeros(2, EVENT_DTYPE)
    events["t"] = [0, 19_999]
    recording = WindowedRecording("r", events, np.ones(2, bool), (6, 5), spec, np.zeros(1, np.int64), lambda: iter(()))
    labelled = LabelledRecording.of(recording, np.zeros(0, LABEL_DTYPE), None, EvaluationConfig())

    class Silent:
        """The least that the modes ask of an answer."""

        scores = np.zeros(2)
        maps = ()

        def tracks_above(self, _):
            return []

        def paths_at(self, *_):
            return iter(())

        def object_maps(self, _):
            return iter([np.zeros((2, 5, 6), np.float32)])

    settings = CountSettings(EvaluationConfig(), 0.5, 0.5)
    for mode in modes_of():
        row = mode.count(labelled, Silent(), settings)
        if row is None:
            assert mode.name in ("event_exact", "event_stars")
            continue
        figures = mode.score([row], DEFAULT)
        assert {*mode.shown, *mode.folds} <= set(figures) and figures["recordings"][0]["name"] == "r"


def test_titles_are_filled_in_from_the_settings_of_metrics_json():
    settings = {"radius_px": 5.0, "pixel_tolerance_px": 1.0, "spatial_tolerance_px": 2.5, "slice_ms": 10.0}
    titles = {mode.name: mode.title.format(**settings) for mode in modes_of()}
    assert titles["event"] == "an event within 5 px of a labelled object"
    assert titles["volume"] == "slices of 10 ms, discs of 5 px" and titles["track"] == "tracks of objects, within 2.5 px"
    assert mode_named("event").figure_title("roc_auc") == "ROC-AUC" and mode_named("pixel").figure_title("iou") == "IoU"
