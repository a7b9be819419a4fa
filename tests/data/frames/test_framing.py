import subprocess
import sys

import numpy as np
import pytest
import tonic.transforms
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.core.sparse import SparseFrames
from spikeseg.data.frames.framing import MAX_WINDOWS, FrameSpec, filled, frame, listed, pixels, starts, to_frame, to_sensor
from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.errors import InputError

SENSOR = (7, 5)


def make(rows, dtype=EVENT_DTYPE):
    return np.array(rows, dtype)


def random_events(seed, count=300, duration=3_000, sensor=SENSOR, origin=0):
    rng = np.random.default_rng(seed)
    events = np.zeros(count, EVENT_DTYPE)
    events["t"] = origin + np.sort(rng.integers(0, duration, count))
    events["x"], events["y"] = rng.integers(0, sensor[0], count), rng.integers(0, sensor[1], count)
    events["p"] = rng.integers(0, 2, count)
    return events


def blocks(events, spec, count=None, origin_us=None):
    """The windows in parts: starts and frames."""
    start_us, at = starts(events, spec, origin_us), 0
    for part in filled(events, SENSOR, spec, start_us, count):
        yield start_us[at : at + len(part)], part
        at += len(part)


def locate(events, start_us, spec):
    """Which events fall into the window that starts at start_us, and the step, row and column of each."""
    t = events["t"]
    inside = slice(np.searchsorted(t, start_us), np.searchsorted(t, start_us + spec.window_us))
    row, column = np.divmod(pixels(events[inside], SENSOR, spec), spec.size(SENSOR)[1])
    return inside, (t[inside] - start_us) // spec.timestep_us, row, column


event_lists = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 6), st.integers(0, 4), st.booleans()),
    min_size=1,
    max_size=60,
).map(lambda rows: make(sorted(rows)))


@settings(max_examples=150, deadline=None)
@given(event_lists, st.integers(1, 4), st.integers(1, 60), st.integers(0, 10**9))
def test_frames_are_those_of_tonic(events, n_timesteps, timestep_us, origin):
    events["t"] += origin
    spec = FrameSpec(n_timesteps, timestep_us, normalize=False)
    windows = frame(events, SENSOR, spec)
    ours = windows.frames.reshape(-1, 2, SENSOR[1], SENSOR[0])
    to_frame = tonic.transforms.ToFrame((*SENSOR, 2), time_window=timestep_us, include_incomplete=True)
    theirs = to_frame(events)
    # tonic loses a last event that falls exactly on a border; ours is whole
    assert np.array_equal(ours[: len(theirs)], theirs)
    late = events["t"] >= events["t"][0] + len(theirs) * timestep_us
    assert ours[len(theirs) :].sum() == late.sum()
    assert ours.sum() == len(events)
    binary = frame(events, SENSOR, FrameSpec(n_timesteps, timestep_us)).frames
    assert np.array_equal(binary, windows.frames > 0)


@settings(max_examples=80, deadline=None)
@given(event_lists, st.integers(1, 4), st.integers(1, 60), st.sampled_from([0.25, 0.5, 0.75]))
def test_overlapping_windows_are_those_of_tonic(events, n_timesteps, timestep_us, overlap):
    timestep_us *= 4
    spec = FrameSpec(n_timesteps, timestep_us, overlap=overlap, normalize=False)
    windows = frame(events, SENSOR, spec)
    to_frame = tonic.transforms.ToFrame(
        (*SENSOR, 2), time_window=spec.window_us, overlap=overlap * spec.window_us, include_incomplete=True
    )
    theirs = to_frame(events)
    assert len(windows.frames) - len(theirs) in (0, 1)
    assert np.array_equal(windows.frames.sum(axis=1)[: len(theirs)], theirs)
    assert windows.start_us[-1] <= events["t"][-1] < windows.start_us[-1] + spec.window_us
    assert len(windows.start_us) == 1 or events["t"][-1] >= windows.start_us[-2] + spec.window_us


def test_a_frame_worked_by_hand():
    events = make([(100, 0, 0, 0), (109, 6, 4, 1), (110, 6, 4, 1), (111, 6, 4, 1), (120, 1, 2, 0)])
    windows = frame(events, SENSOR, FrameSpec(2, 10, normalize=False))
    expected = np.zeros((2, 2, 2, 5, 7), np.uint16)
    expected[0, 0, 0, 0, 0] = expected[0, 0, 1, 4, 6] = expected[1, 0, 0, 2, 1] = 1
    expected[0, 1, 1, 4, 6] = 2
    assert windows.start_us.tolist() == [100, 120]
    assert windows.start_us.dtype == np.int64
    assert windows.frames.dtype == np.uint16
    assert np.array_equal(windows.frames, expected)
    binary = frame(events, SENSOR, FrameSpec(2, 10))
    assert binary.frames.dtype == np.uint8
    assert np.array_equal(binary.frames, expected > 0)


def test_no_events_make_no_windows():
    windows = frame(make([]), SENSOR, FrameSpec(10, 10))
    assert windows.frames.shape == (0, 10, 2, 5, 7)
    assert windows.frames.dtype == np.uint8
    assert windows.start_us.shape == (0,)
    assert list(blocks(make([]), FrameSpec(10, 10))) == []
    assert frame(make([]), SENSOR, FrameSpec(10, 10, normalize=False)).frames.dtype == np.uint16


def test_an_empty_window_is_kept_as_silence_and_so_is_the_tail():
    windows = frame(make([(0, 1, 1, 1), (35, 2, 2, 1)]), SENSOR, FrameSpec(1, 10))
    assert windows.frames.sum(axis=(1, 2, 3, 4)).tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("column, value", [("x", -1), ("x", 7), ("y", -1), ("y", 5)])
def test_coordinates_outside_the_sensor_are_refused_where_tonic_wraps_them(column, value):
    events = make([(0, 1, 1, 1), (5, 2, 2, 1)])
    events[column][1] = value
    most = {"x": 6, "y": 4}[column]
    with pytest.raises(InputError, match=f"{column} = {value}, the sensor of 7x5 allows 0 to {most}"):
        frame(events, SENSOR, FrameSpec(1, 10))
    with pytest.raises(InputError, match=f"{column} = {value}"):
        next(blocks(events, FrameSpec(1, 10)))


def test_tonic_wraps_negative_coordinates():
    events = make([(0, 1, 1, 1), (5, -1, 2, 1)])
    assert tonic.transforms.ToFrame((*SENSOR, 2), time_window=10)(events)[0, 1, 2, 6] == 1


def test_unsorted_events_are_refused_where_tonic_bins_nothing():
    events = make([(30, 1, 1, 1), (20, 1, 1, 1), (10, 1, 1, 1)])
    assert tonic.transforms.ToFrame((*SENSOR, 2), time_window=10)(events).sum() < 3
    with pytest.raises(InputError, match="t goes back at index 1"):
        frame(events, SENSOR, FrameSpec(1, 10))


def test_counts_that_overflow_tonic_are_exact_and_those_that_overflow_ours_are_refused():
    events = np.zeros(40_000, EVENT_DTYPE)
    assert tonic.transforms.ToFrame((*SENSOR, 2), time_window=10)(events).min() == 40_000 - 65_536
    assert frame(events, SENSOR, FrameSpec(1, 10, normalize=False)).frames.max() == 40_000
    most = np.zeros(65_535, EVENT_DTYPE)
    assert frame(most, SENSOR, FrameSpec(1, 10, normalize=False)).frames.max() == 65_535
    with pytest.raises(InputError, match=r"65536 fall into one pixel and step from 0 µs, at most 65535"):
        frame(np.zeros(65_536, EVENT_DTYPE), SENSOR, FrameSpec(1, 10, normalize=False))
    assert frame(np.zeros(65_536, EVENT_DTYPE), SENSOR, FrameSpec(1, 10)).frames.sum() == 1


def test_the_events_are_left_as_they_were():
    events = random_events(0)
    before = events.copy()
    frame(events, SENSOR, FrameSpec(3, 100, height=3, width=9))
    assert np.array_equal(events, before)


def test_times_beyond_32_bits_are_exact():
    origin = 2**40 + 1
    events = random_events(1, origin=origin)
    late = frame(events, SENSOR, FrameSpec(3, 100))
    events["t"] -= origin
    early = frame(events, SENSOR, FrameSpec(3, 100))
    assert np.array_equal(late.frames, early.frames)
    assert np.array_equal(late.start_us, early.start_us + origin)


@pytest.mark.parametrize("height, width", [(5, 7), (3, 9), (10, 14), (1, 1), (None, 4), (2, None)])
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_locate_says_where_frame_puts_each_event(height, width, overlap):
    events = random_events(2)
    spec = FrameSpec(4, 100, height=height, width=width, overlap=overlap, normalize=False)
    windows = frame(events, SENSOR, spec)
    assert windows.frames.shape[-2:] == (height or 5, width or 7)
    rebuilt = np.zeros_like(windows.frames)
    times = np.zeros(len(events), int)
    for k, start in enumerate(windows.start_us):
        inside, step, row, column = locate(events, int(start), spec)
        times[inside] += 1
        for event, s, r, c in zip(events[inside], step, row, column, strict=True):
            rebuilt[k, s, int(event["p"]), r, c] += 1
            assert s == (event["t"] - start) // 100
            assert r == int(event["y"]) * (height or 5) // 5
            assert c == int(event["x"]) * (width or 7) // 7
    assert np.array_equal(rebuilt, windows.frames)
    assert times.min() >= 1
    assert times.max() == (2 if overlap else 1)


def test_locate_outside_the_recording_finds_nothing():
    inside, step, row, column = locate(random_events(3), 10**7, FrameSpec(4, 100))
    assert inside.start == inside.stop == 300
    assert len(step) == len(row) == len(column) == 0


@pytest.mark.parametrize("count", [1, 3, 64])
def test_blocks_are_the_windows_in_parts(count):
    events = random_events(4)
    spec = FrameSpec(4, 100, overlap=0.5)
    whole = frame(events, SENSOR, spec, origin_us=-50)
    parts = [(start_us, frames.copy()) for start_us, frames in blocks(events, spec, count, -50)]
    assert max(len(frames) for _, frames in parts) == min(count, len(whole.start_us))
    assert np.array_equal(np.concatenate([frames for _, frames in parts]), whole.frames)
    assert np.array_equal(np.concatenate([start_us for start_us, _ in parts]), whole.start_us)


@pytest.mark.parametrize("normalize", [True, False])
def test_windows_as_lists_are_the_frames(normalize):
    events = random_events(4, count=4_000)
    spec = FrameSpec(4, 100, height=3, overlap=0.5, normalize=normalize)
    whole = frame(events, SENSOR, spec, origin_us=-50)
    assert whole.frames.max() > 1 or normalize
    lists, expected = listed(events, SENSOR, spec, whole.start_us), SparseFrames.of(whole.frames)
    assert lists.shape == expected.shape and np.array_equal(lists.counts, expected.counts)
    assert np.array_equal(lists.lists.offsets, expected.lists.offsets)
    assert np.array_equal(lists.lists.sites, expected.lists.sites)


def test_lists_count_no_further_than_frames():
    most, spec, start_us = np.zeros(65_535, EVENT_DTYPE), FrameSpec(1, 10, normalize=False), np.zeros(1, np.int64)
    assert listed(most, SENSOR, spec, start_us).counts.tolist() == [65_535]
    with pytest.raises(InputError, match=r"65536 fall into one pixel and step from 0 µs, at most 65535"):
        listed(np.zeros(65_536, EVENT_DTYPE), SENSOR, spec, start_us)
    assert listed(np.zeros(65_536, EVENT_DTYPE), SENSOR, FrameSpec(1, 10), start_us).counts.tolist() == [1]
    assert len(listed(make([]), SENSOR, spec, start_us[:0])) == 0


def test_windows_can_start_before_the_first_event_but_not_after():
    events = make([(35, 2, 2, 1), (47, 2, 2, 1)])
    assert starts(events, FrameSpec(1, 10), origin_us=5).tolist() == [5, 15, 25, 35, 45]
    with pytest.raises(InputError, match="first comes at 35 µs, before the windows start at 36"):
        starts(events, FrameSpec(1, 10), origin_us=36)


def test_an_impossibly_long_recording_is_refused_not_allocated():
    events = make([(0, 1, 1, 1), (2**60, 1, 1, 1)])
    with pytest.raises(InputError, match=f"at most {MAX_WINDOWS} allowed; check the timestamps"):
        frame(events, SENSOR, FrameSpec(10, 10_000))


@pytest.mark.parametrize(
    "wrong, match",
    [
        ({"n_timesteps": 0}, "data.n_timesteps: 0"),
        ({"n_timesteps": True}, "data.n_timesteps: True"),
        ({"timestep_us": 0}, "data.timestep_ms"),
        ({"timestep_us": 2.5}, "data.timestep_ms"),
        ({"height": 0}, "data.input_height: 0"),
        ({"width": -3}, "data.input_width: -3"),
        ({"overlap": 1.0}, "data.window_overlap: 1.0"),
        ({"overlap": -0.1}, "data.window_overlap: -0.1"),
        ({"overlap": float("nan")}, "data.window_overlap: nan"),
        ({"n_timesteps": 1, "timestep_us": 1, "overlap": 0.9}, "data.window_overlap: 0.9"),
    ],
)
def test_an_impossible_specification_names_its_key(wrong, match):
    with pytest.raises(InputError, match=match):
        FrameSpec(**{"n_timesteps": 10, "timestep_us": 10_000, **wrong})


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_blocks_in_the_same_memory_hold_the_same_frames(normalize, overlap):
    events = random_events(5, count=2_000)
    spec = FrameSpec(4, 100, overlap=overlap, normalize=normalize)
    whole, at, addresses = frame(events, SENSOR, spec), 0, set()
    for _, frames in blocks(events, spec, count=3):
        addresses.add(frames.__array_interface__["data"][0])
        assert np.array_equal(frames, whole.frames[at : at + len(frames)])
        at += len(frames)
    assert at == len(whole.start_us) > 6
    assert len(addresses) == 1


def test_a_block_is_as_large_as_the_cache_allows(monkeypatch):
    monkeypatch.setattr("spikeseg.data.frames.framing.BLOCK_BYTES", 3 * 4 * 2 * 5 * 7 + 1)
    events, spec = random_events(6), FrameSpec(4, 100)
    assert [len(frames) for _, frames in blocks(events, spec)] == [3, 3, 2]
    monkeypatch.setattr("spikeseg.data.frames.framing.BLOCK_BYTES", 1)
    assert {len(frames) for _, frames in blocks(events, spec)} == {1}


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 3.75])
def test_the_frame_covers_the_sensor(scale):
    """The outer edges of the first and the last of 8 frame pixels are those of the sensor."""
    assert to_sensor(-0.5, scale) == -0.5
    assert to_sensor(7.5, scale) == 8 * scale - 0.5


@pytest.mark.parametrize("sensor, length", [(240, 128), (180, 180), (304, 100), (7, 9)])
def test_to_the_frame_and_back(sensor, length):
    positions = np.linspace(-0.5, sensor - 0.5, 50)
    assert np.allclose(to_sensor(to_frame(positions, sensor, length), sensor / length), positions, rtol=0, atol=1e-9)
    assert to_frame(np.array([-0.5, sensor - 0.5]), sensor, length).tolist() == [-0.5, length - 0.5]


@settings(max_examples=100, deadline=None)
@given(
    event_lists,
    st.integers(1, 4),
    st.integers(1, 60),
    st.sampled_from([0.0, 0.25, 0.8]),
    st.sampled_from([(None, None), (3, 9), (10, 14)]),
    st.integers(-500, 0),
)
def test_frames_are_where_locate_says(events, n_timesteps, timestep_us, overlap, size, before):
    spec = FrameSpec(n_timesteps, 5 * timestep_us, *size, overlap=overlap, normalize=False)
    windows = frame(events, SENSOR, spec, origin_us=int(events["t"][0]) + before)
    expected = np.zeros_like(windows.frames)
    for sample, start in zip(expected, windows.start_us, strict=True):
        inside, step, row, column = locate(events, int(start), spec)
        np.add.at(sample, (step, events["p"][inside].astype(int), row, column), 1)
    assert np.array_equal(windows.frames, expected)


@pytest.mark.parametrize("readonly", [True, False])
@pytest.mark.parametrize(
    "dtype",
    [
        [("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "<i8")],
        [("t", "<u4"), ("x", "<u2"), ("y", "<u1"), ("p", "<u1")],
        [("t", "<f8"), ("x", "<f4"), ("y", "<f4"), ("p", "<f4")],
    ],
)
def test_events_of_other_types_are_framed_alike(dtype, readonly):
    events = random_events(7)
    other = np.zeros(len(events), dtype)
    for name in "txyp":
        other[name] = events[name]
    other.flags.writeable = not readonly
    for normalize in (True, False):
        spec = FrameSpec(4, 100, normalize=normalize)
        assert np.array_equal(frame(other, SENSOR, spec).frames, frame(events, SENSOR, spec).frames)


@pytest.mark.parametrize(
    "column, value, match",
    [
        ("x", 2**16 + 1, "x = 65537, the sensor of 7x5 allows 0 to 6"),
        ("y", -(2**16), "y = -65536, the sensor of 7x5 allows 0 to 4"),
        ("x", 1.5, "x = 1.5, must be a whole number"),
        ("p", -1, "p = -1.0, must be 0 or 1"),
        ("p", 2, "p = 2.0, must be 0 or 1"),
    ],
)
def test_values_that_would_change_are_refused(column, value, match):
    events = np.zeros(3, [("t", "<i8"), ("x", "<f8"), ("y", "<f8"), ("p", "<f8")])
    events[column][1] = value
    with pytest.raises(InputError, match=match):
        frame(events, SENSOR, FrameSpec(1, 10))


def test_importing_the_module_compiles_nothing():
    code = "import sys, spikeseg.data.frames; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
