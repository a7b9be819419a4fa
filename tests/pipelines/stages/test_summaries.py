"""What training tells TensorBoard and Weights & Biases; with these packages themselves where they are installed."""

import json
import logging
import struct
import sys
import types

import numpy as np
import pytest

from spikeseg.config import load_config
from spikeseg.errors import InputError
from spikeseg.learning import LayerTrainer, checkpoint
from spikeseg.pipelines.stages.summaries import FOLDER, SCALARS, Summaries

SETTINGS = {"device": "cpu", "model.n_classes": 2, "model.conv2_channels": 3, "logging.wandb_project": "nights"}


@pytest.fixture(scope="module")
def trained():
    """A network, and reports of its conv2."""
    cfg = load_config(None, SETTINGS)
    model = checkpoint.build(cfg)
    report = {**LayerTrainer(model, "conv2", cfg).report(), "wins_per_map": [2, 0, 3]}
    return model, [{**report, "samples": 10 * k} for k in (1, 2, 3)]


def written(trained, folder, **changes):
    model, reports = trained
    cfg = load_config(None, {**SETTINGS, **changes})
    with Summaries(cfg, folder, "conv2", model) as summaries:
        for report in reports:
            summaries.write(report)


def contents(log, block=2**15, head=7):
    """The records of a log in LevelDB's layout, behind a header as long as that of a record: CRC (4 bytes), length (2), kind (1:
    whole, 2: first, 3: middle, 4: last part)."""
    at, parts = head, []
    while at + head < len(log):
        if block - at % block < head:
            at += block - at % block
        length, kind = struct.unpack_from("<HB", log, at + 4)
        parts.append(log[at + head : at + head + length])
        at += head + length
        if kind in (1, 4):
            yield b"".join(parts)
            parts = []


def test_tensorboard_gets_scalars_histograms_and_filters(trained, tmp_path, monkeypatch):
    calls = []

    class Writer:
        def __getattr__(self, kind):
            return lambda *values, **_: calls.append((kind, *values))

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=lambda _: Writer()))
    written(trained, tmp_path)
    of = {kind: [call[1:] for call in calls if call[0] == kind] for kind in ("add_scalar", "add_histogram", "add_image", "close")}
    assert {name for name, *_ in of["add_scalar"]} == {f"conv2/{name}" for name in SCALARS} and len(of["close"]) == 1
    weights, thresholds, winners = of["add_histogram"][:3]
    assert weights[1].shape == (trained[0].encoder.conv2.weight.numel(),) and len(thresholds[1]) == 3
    assert winners == ("conv2/winners", pytest.approx(np.array([0, 0, 2, 2, 2])), 10)
    assert [name for name, *_ in of["add_histogram"][3:]] == 2 * ["conv2/weights", "conv2/thresholds"]  # nobody has won since
    assert [(name, step) for name, _, step in of["add_image"]] == [("conv2/filters", 10), ("conv2/filters", 20)]
    picture = of["add_image"][0][1]
    assert picture.dtype == np.uint8 and picture.shape[2] == 3 and min(picture.shape[:2]) > 100 and len(np.unique(picture)) > 5


def test_tensorboard_itself_reads_them(trained, tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    written(trained, tmp_path)
    found = reading.EventAccumulator(str(tmp_path / FOLDER))
    found.Reload()
    tags = found.Tags()
    assert tags["images"] == ["conv2/filters"] and "conv2/convergence_index" in tags["scalars"]
    assert sorted(tags["histograms"]) == ["conv2/thresholds", "conv2/weights", "conv2/winners"]


@pytest.mark.slow
def test_an_offline_run_of_wandb_holds_what_was_told(trained, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    from wandb.proto import wandb_internal_pb2

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    written(trained, tmp_path / "mine", **{"logging.wandb": True, "logging.tensorboard": False})
    wandb.teardown()  # its process has written all
    (folder,) = (tmp_path / "mine" / "wandb").glob("offline-run-*")
    (path,) = folder.glob("*.wandb")
    records = [wandb_internal_pb2.Record.FromString(content) for content in contents(path.read_bytes())]
    (run,) = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    assert (run.project, run.run_group, run.job_type) == ("nights", "mine", "conv2")
    rows = [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]
    assert [row["conv2/samples"] for row in rows] == [10, 20, 30]
    assert rows[0]["conv2/convergence_index"] == pytest.approx(trained[1][0]["convergence_index"])
    assert rows[0]["conv2/winners/_type"] == "histogram" and sum(rows[0]["conv2/winners/values"]) == 5
    assert len(list(folder.glob("files/media/images/conv2/filters_*.png"))) == 2


class Refusing:
    """A sink that refuses, and keeps what is asked of it."""

    def __init__(self, name: str, *refuses: str, error: type[Exception] = InputError) -> None:
        self.name, self.refuses, self.error, self.asked = name, refuses, error, []

    def _asked(self, what: str) -> None:
        self.asked.append(what)
        if what in self.refuses:
            raise self.error(f"{self.name} does not {what}")

    def write(self, *_: object) -> None:
        self._asked("write")

    def close(self) -> None:
        self._asked("close")


def summarised(trained, folder, *sinks):
    """Write one report to these sinks."""
    model, reports = trained
    cfg = load_config(None, {**SETTINGS, "logging.tensorboard": False})
    with Summaries(cfg, folder, "conv2", model) as summaries:
        summaries.sinks += sinks
        summaries.write(reports[0])


def test_a_sink_that_refuses_keeps_no_other_from_being_written_and_closed(trained, tmp_path):
    one, two, three = Refusing("one", "write", "close"), Refusing("two", "close"), Refusing("three")
    with pytest.raises(InputError, match=r"^one does not write$"):
        summarised(trained, tmp_path, one, two, three)
    assert one.asked == two.asked == three.asked == ["write", "close"]


def test_all_that_sinks_refuse_is_told(trained, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("spikeseg"), "propagate", True)
    with pytest.raises(InputError, match=r"^one does not close. Also: two does not close$"):
        summarised(trained, tmp_path, Refusing("one", "close"), Refusing("two", "close"), Refusing("three"))
    with pytest.raises(InputError, match=r"^one does not write$"):  # which was first; what follows is a warning
        summarised(trained, tmp_path, Refusing("one", "write", "close"))
    assert caplog.messages[-1] == "one does not close"
    with pytest.raises(KeyError, match="two does not close"):  # a fault of ours is not hidden behind a user's
        summarised(trained, tmp_path, Refusing("one", "close"), Refusing("two", "close", error=KeyError))
    assert caplog.messages[-1] == "one does not close"


def test_wandb_is_closed_where_tensorboard_cannot_begin(trained, tmp_path, monkeypatch):
    finished = []
    run = types.SimpleNamespace(define_metric=lambda *_, **__: None, finish=lambda: finished.append(True))
    wandb = types.SimpleNamespace(Settings=lambda **_: None, init=lambda **_: run, Error=RuntimeError)
    monkeypatch.setitem(sys.modules, "wandb", wandb)

    def refuse(_: str) -> None:
        raise FileExistsError(17, "File exists")

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=refuse))
    with pytest.raises(InputError, match="cannot write"):
        written(trained, tmp_path, **{"logging.wandb": True})
    assert finished == [True]


def test_without_wandb_the_extra_is_named(trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match=r"spikeseg\[wandb\]"):
        written(trained, tmp_path, **{"logging.wandb": True})
