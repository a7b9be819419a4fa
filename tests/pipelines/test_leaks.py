"""Nothing a detector says depends on labels, noise makes no objects, and labels that are not theirs find nothing."""

import dataclasses
import shutil
from importlib import resources

import h5py
import numpy as np
import pytest
import torch

from spikeseg.config.load import load_config
from spikeseg.data.recording import EVENT_DTYPE, Recording
from spikeseg.data.store.frames import Frames
from spikeseg.detection.detect import detect_recording
from spikeseg.detection.network import load_network
from spikeseg.detection.readout import readout_of
from spikeseg.evaluation import detectors
from spikeseg.evaluation.results import CONTROL, Results
from spikeseg.pipelines.stages import answers, evaluate, runs, train
from spikeseg.pipelines.stages.prepare import STORE, find_frames, prepare
from spikeseg.registries import MODES
from spikeseg.simulation.noise import background_events, hot_events, refractory
from spikeseg.simulation.pixels import Sensor
from spikeseg.simulation.scene import DIFFICULTIES, draw_scene

SHORT = {
    "device": "cpu",
    "max_epochs": 3,
    "data.test_ratio": 0.6,
    "simulate.recordings": 10,
    "simulate.duration_s": 4.0,
    "logging.tensorboard": False,
    "evaluation.bootstrap": 200,
}
"""The demo, shortened: its network is that of the demo, for it hardly has anything to learn."""


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Configuration, network and frames of a short demo."""
    folder = tmp_path_factory.mktemp("night")
    places = {"cache_dir": str(folder / "cache"), "output_dir": str(folder / "runs")}
    cfg = load_config(resources.files("spikeseg.configs") / "demo.yaml", {**SHORT, **places})
    prepare(cfg)
    train.train(cfg)
    return cfg, runs.network_of(cfg), Frames.open(find_frames(cfg).path / STORE)


# -- labels --------------------------------------------------------------------------------------------


def test_labels_deleted_from_disk_leave_what_detect_writes_as_it_was(chain, tmp_path):
    (simulated,) = (chain.folder / "data_cache" / "simulated").glob("*/EBSSA/labelled_ebssa.h5")
    mine = tmp_path / "mine.h5"
    shutil.copy(simulated, mine)
    with h5py.File(mine) as file:
        names = [name for name in file if "Obj" in file[name] and file[name]["Obj"]["ts"].size][:2]

    def written(folder):
        chain.ok("detect", *(f"{mine}::{name}" for name in names), "-o", tmp_path / folder)
        return {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir() if "manifest" not in path.name}

    before = written("before")
    with h5py.File(mine, "r+") as file:
        for name in file:
            for part in [part for part in file[name] if part != "TD"]:
                del file[name][part]
        assert all(set(file[name]) == {"TD"} for name in file)
    assert written("after") == before and len(before) == 14 and b'"track_id": 1' in before["detections.json"]


def content(response):
    """Everything in a detector's answer, as bytes."""
    parts = [response.scores, *(part for lit in response.maps for part in (lit.index, lit.value)), *(response.positions or [])]
    parts += [] if response.saliency is None else [response.saliency]
    if response.tracked is not None:
        parts += [response.tracked.ids, *response.tracked.owners, response.tracked.tracks.field.velocities]
        parts += [part for track in response.tracked.tracks.tracks for part in (track.t_us, track.states, np.array(track.score))]
    return [np.ascontiguousarray(part).tobytes() for part in parts]


def swapped(cfg, store):
    """The same frames, each recording of the test split with the labels of another one."""
    other = Frames.open(find_frames(cfg).path / STORE)
    tested = [r for r, info in enumerate(store.recordings) if info.split == "test"]
    for r, donor in zip(tested, np.roll(tested, 1), strict=True):
        other.recordings[r] = dataclasses.replace(other.recordings[r], labels=store.recordings[donor].labels)
        assert not np.array_equal(other.labels(r), store.labels(r))
    return other


def test_swapped_labels_of_the_test_split_change_no_prediction_of_any_detector(night):
    cfg, network, store = night
    trained_on, tested = answers.labelled(store, "train")[:1], answers.labelled(store, "test")[:1]
    predicted, thresholds = [], []
    for frames in (store, swapped(cfg, store)):
        compared, calibrated = evaluate.compared(cfg, network, frames, trained_on)
        thresholds.append(calibrated)
        recordings = {r: answers.labelled_recording_of(frames, r, cfg).recording for r in tested}
        predicted.append({(d.name, r): content(d.respond(recording)) for d in compared for r, recording in recordings.items()})
    assert len(predicted[0]) == 13
    assert predicted[0] == predicted[1] and thresholds[0] == thresholds[1]


# -- chance --------------------------------------------------------------------------------------------


def test_labels_of_other_recordings_find_nothing(night):
    """Event informedness lies around 0; modes that look at places may fall below, never rise above."""
    cfg, network, store = night
    readout = readout_of(cfg, network.checkpoint)
    model = load_network(cfg, str(network.checkpoint), torch.device("cpu"))
    plain = detectors.network("saliency", "", model)
    tracked = detectors.tracked("network", "", plain, (readout.threshold, readout.object_threshold), cfg.tracking)
    thresholds = evaluate.calibrated(cfg, store, answers.labelled(store, "train"), [tracked])
    results = Results(cfg, list(MODES), thresholds)
    for counted in answers.answers(cfg, [tracked], store, answers.labelled(store, "test"), "scoring", results.count):
        results.add(counted)
    modes = results.scores()
    control = modes["event"][CONTROL]
    low, high = control["intervals"]["informedness"]
    called = (control["tp"] + control["fp"]) / control["events"]
    chance = np.sqrt(called * (1 - called) / control["object_events"])  # standard deviation of recall where truth is permuted
    assert abs(control["informedness"]) < 3 * chance < 0.01 and high - low < 0.1
    for mode in ("pixel", "volume", "object", "object_1px"):
        value, interval = modes[mode][CONTROL]["informedness"], modes[mode][CONTROL]["intervals"]["informedness"]
        assert value <= 0 or interval[0] <= 0, mode
    assert modes["track"][CONTROL]["coverage"] < 0.1
    for mode, least in (("event", 0.5), ("pixel", 0.25), ("volume", 0.35)):  # three of six objects move by 8 px or less in all
        assert modes[mode]["network"]["informedness"] > least, mode


# -- noise ---------------------------------------------------------------------------------------------

NIGHTS, NOISE_S = 20, 8.0


def noise_only(k):
    """A recording of a covered telescope: background activity at a rate of simulate's medium range, and hot pixels."""
    low, high = DIFFICULTIES["medium"].noise_hz
    rng = np.random.default_rng([99, k])
    empty = draw_scene(rng, "sidereal", 0, low * (high / low) ** (k / (NIGHTS - 1)), DIFFICULTIES["medium"], (240, 180), NOISE_S)
    found = np.concatenate([make(empty, Sensor(), rng) for make in (background_events, hot_events)])
    found = found[refractory(found, Sensor().refractory_us)]
    found = found[np.argsort(found["t"], kind="stable")]
    events = np.empty(len(found), EVENT_DTYPE)
    for name in EVENT_DTYPE.names:
        events[name] = found[name]
    return Recording(events, (240, 180), None, f"noise{k}", "made up")


def test_noise_alone_makes_no_more_than_a_tenth_of_an_object_a_minute(night):
    cfg, network, _ = night
    readout = readout_of(cfg, network.checkpoint)
    assert readout.object_threshold == 0.5
    model = load_network(cfg, str(network.checkpoint), torch.device("cpu"))
    recordings = [noise_only(k) for k in range(NIGHTS)]
    rates = [len(one.events) / NOISE_S for one in recordings]
    assert min(rates) < 4_000 and max(rates) > 25_000
    found = [detect_recording(model, one, cfg, readout) for one in recordings]
    assert sum(len(one.object_ids) for one in found) / (NIGHTS * NOISE_S / 60) <= 0.1
    assert sum(bool(one.events["score"].any()) for one in found) > 0  # the network is not blind
    assert max(float(one.events["object_score"].max()) for one in found) < 0.5
