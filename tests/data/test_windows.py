"""What detectors see and answer."""

import numpy as np
import pytest
from in_memory import in_memory

from spikeseg.config.load import load_config
from spikeseg.core.sparse import SparseMap
from spikeseg.data import windows
from spikeseg.data.frames.background import Background
from spikeseg.data.frames.framing import FrameSpec, frame, starts
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, Recording
from spikeseg.data.store.frames import Frames, FramesWriter
from spikeseg.data.store.recordings import stored
from spikeseg.data.transforms import apply, build
from spikeseg.data.windows import WindowedRecording, cut_frames, cut_lists, window_at, windowed
from spikeseg.detection.response import from_maps, from_scores

SPEC = FrameSpec(n_timesteps=2, timestep_us=10, height=2, width=3, overlap=0.5)
SENSOR = (6, 4)


def view(rows: list[tuple[int, int, int, int]], kept: list[bool] | None = None) -> WindowedRecording:
    """A view of a few events (t, x, y, p)."""
    events = np.array(rows, EVENT_DTYPE)
    mask = np.ones(len(rows), bool) if kept is None else np.array(kept)
    start_us = starts(events[mask], SPEC, int(events["t"][0]) if len(events) else None)
    return WindowedRecording("r", events, mask, SENSOR, SPEC, start_us, lambda: iter(()))


def test_sparse_maps_give_back_what_they_were_made_of():
    dense = np.zeros((2, 3, 4), np.float32)
    dense[0, 1, 2], dense[1, 2, 3] = 0.25, 7.0
    sparse = SparseMap.of(dense)
    assert np.array_equal(sparse.dense(), dense) and sparse.index.tolist() == [6, 23]
    empty = SparseMap.of(np.zeros((1, 2, 2), np.float32))
    assert not len(empty.index) and not empty.dense().any()


def test_scores_become_maps_with_the_highest_of_each_pixel_and_step():
    v = view([(0, 0, 0, 0), (1, 1, 1, 1), (12, 5, 3, 0)])  # the first two share a pixel of the frame and a step
    response = from_scores(v, np.array([1.0, 3.0, 2.0]))
    assert v.start_us.tolist() == [0] and v.shape == (2, 2, 3)
    assert response.maps[0].dense().tolist() == [[[3, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 2]]]
    assert response.scores.tolist() == [1.0, 3.0, 2.0]


def test_maps_become_scores_of_kept_events_alone_and_the_highest_where_windows_overlap():
    v = view([(0, 0, 0, 0), (15, 0, 0, 1), (16, 0, 0, 1), (25, 5, 3, 0)], [True, True, False, True])
    assert v.start_us.tolist() == [0, 10]
    first, second = np.zeros((2, 2, 2, 3), np.float32)
    first[0, 0, 0], first[1, 0, 0] = 1.0, 2.0
    second[0, 0, 0], second[1, 1, 2] = 5.0, 4.0
    response = from_maps(v, [SparseMap.of(first), SparseMap.of(second)])
    assert response.scores.tolist() == [1.0, 5.0, 0.0, 4.0]


def test_a_window_ends_with_its_recording():
    v = view([(100, 0, 0, 0), (112, 0, 0, 0)])
    assert v.start_us.tolist() == [100] and v.end_us.tolist() == [113]


@pytest.mark.parametrize("rows", [[], [(5, 1, 1, 1)]])
def test_few_or_no_events_have_a_response(rows):
    v = view(rows)
    response = from_scores(v, np.ones(len(rows)))
    assert len(response.maps) == len(rows) == len(response.scores) == len(v.end_us)
    assert from_maps(v, response.maps).scores.tolist() == [1.0] * len(rows)


def test_a_stored_view_is_the_recording_as_it_was_framed(tmp_path):
    rng = np.random.default_rng(3)
    events = np.zeros(300, EVENT_DTYPE)
    events["t"] = 1_000 + np.sort(rng.integers(0, 1_000, 300))
    events["x"], events["y"], events["p"] = rng.integers(0, 6, 300), rng.integers(0, 4, 300), rng.integers(0, 2, 300)
    recording = Recording(events, SENSOR, None, "r", "made up")
    chain = [{"name": "RefractoryPeriod", "delta": 20}]
    kept, passed = apply(events, build(chain, SENSOR))
    windows = frame(kept, SENSOR, SPEC, origin_us=int(events["t"][0]))
    with FramesWriter(tmp_path / "frames.zarr", SPEC) as writer:
        writer.add(in_memory(recording, windows, passed, Background().update(windows.frames)), "test")
    v = stored(Frames.open(tmp_path / "frames.zarr"), 0)
    assert np.array_equal(v.events, events) and np.array_equal(v.kept, passed) and not v.kept.all()
    seen = list(v.windows())
    assert [start for start, _, _ in seen] == v.start_us.tolist() == windows.start_us.tolist()
    for (start, frames, _), dense in zip(seen, windows.frames, strict=True):
        index, flat = v.located(start)
        assert v.kept[index].all() and np.array_equal(frames.dense()[0], dense)
        assert np.array_equal(np.unique(flat), np.flatnonzero(frames.dense()[0].any(1).reshape(-1)))

    changes = {"data.n_timesteps": 2, "data.timestep_ms": 0.01, "data.input_height": 2, "data.input_width": 3}
    changes |= {"model.pool1_kernel": 1, "model.pool1_stride": 1, "model.pool2_kernel": 1, "model.pool2_stride": 1}
    cfg = load_config("demo", {**changes, "data.window_overlap": 0.5, "data.normalize": True, "data.transforms": chain})
    own = windowed(recording, cfg.data)
    assert own.spec == SPEC and np.array_equal(own.kept, v.kept) and np.array_equal(own.start_us, v.start_us)
    for (start, frames, rates), (was, stored_frames, stored_rates) in zip(own.windows(), seen, strict=True):
        assert start == was and np.array_equal(rates, stored_rates)
        assert np.array_equal(frames.dense(), stored_frames.dense())


@pytest.mark.parametrize("at_once", [2**20, 40, 0])
@pytest.mark.parametrize("normalize", [True, False])
def test_windows_are_cut_alike_however_many_at_once(tmp_path, monkeypatch, at_once, normalize):
    monkeypatch.setattr(windows, "EVENTS_AT_ONCE", at_once)
    rng = np.random.default_rng(1)
    events = np.zeros(900, EVENT_DTYPE)
    events["t"] = np.sort(np.concatenate([rng.integers(0, 300, 600), rng.integers(900, 1_000, 300)]))
    events["x"], events["y"], events["p"] = rng.integers(0, 6, 900), rng.integers(0, 4, 900), rng.integers(0, 2, 900)
    spec = FrameSpec(2, 10, overlap=0.5, normalize=normalize)
    whole = frame(events, SENSOR, spec, origin_us=-7)
    assert not whole.frames[40].any() and whole.frames.any()
    events.tofile(tmp_path / "events")
    for given in (events, np.memmap(tmp_path / "events", EVENT_DTYPE, "r")):
        made = np.concatenate([frames.copy() for frames in cut_frames(given, SENSOR, spec, whole.start_us)])
        assert made.dtype == whole.frames.dtype and np.array_equal(made, whole.frames)
        starts_us, lists = zip(*cut_lists(given, SENSOR, spec, whole.start_us), strict=True)
        assert np.array_equal(np.concatenate(starts_us), whole.start_us)
        assert np.array_equal(np.concatenate([part.dense() for part in lists]), whole.frames)
    assert not list(cut_frames(events, SENSOR, spec, whole.start_us[:0]))


def test_a_window_alone_is_that_of_the_recording_and_silent_without_events():
    events = np.array([(3, 1, 2, 1), (12, 5, 3, 0), (15, 5, 3, 0)], EVENT_DTYPE)
    spec = FrameSpec(2, 10, normalize=False)
    assert np.array_equal(window_at(events, 0, SENSOR, spec), frame(events, SENSOR, spec, origin_us=0).frames)
    silent = window_at(events[:0], 0, SENSOR, spec)
    assert silent.shape == (1, 2, 2, 4, 6) and not silent.any()


def test_a_background_that_nobody_asks_for_is_not_estimated():
    events = np.array([(t, t % 6, t % 4, t % 2) for t in range(300)], EVENT_DTYPE)
    data = load_config("demo", {"data.timestep_ms": 0.01, "data.n_timesteps": 4, "data.transforms": []}).data
    recording = Recording(events, SENSOR, np.zeros(0, LABEL_DTYPE), "r", "")
    with_it, without = windowed(recording, data), windowed(recording, data, background=False)
    for (start, frames, rates), (own_start, own_frames, none) in zip(with_it.windows(), without.windows(), strict=True):
        assert start == own_start and np.array_equal(frames.dense(), own_frames.dense())
        assert rates.size and none.shape == (2, 0, 0)
