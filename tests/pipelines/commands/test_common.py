"""What several commands share."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from spikeseg.config import load_config
from spikeseg.pipelines.commands.common import after_training
from spikeseg.pipelines.commands.options import Request
from spikeseg.pipelines.runtime.stage import StageResult


@pytest.mark.parametrize(
    ("dataset", "labels", "command"),
    [
        ("synthetic", [], "spikeseg evaluate"),
        ("files", [None, (0, 3)], "spikeseg evaluate"),  # own recordings, some of which have labels beside them
        ("files", [None, None], "spikeseg detect RECORDING"),
    ],
)
def test_after_training_comes_what_its_recordings_allow(monkeypatch, dataset, labels, command):
    recordings = [SimpleNamespace(labels=rows) for rows in labels]
    monkeypatch.setattr("spikeseg.pipelines.stages.prepare.find_frames", lambda _: StageResult(Path("x"), "key", ran=False))
    monkeypatch.setattr("spikeseg.data.store.frames.Frames.open", lambda _: SimpleNamespace(recordings=recordings))
    assert after_training(load_config("demo", {"data.dataset": dataset}), Request()) == command
