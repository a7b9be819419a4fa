"""Part by part as all at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.data.frames.background import Background
from spikeseg.data.frames.framing import FrameSpec, frame
from spikeseg.data.long import iter_events
from spikeseg.data.readers import Columns, Stream
from spikeseg.data.recording import checked
from spikeseg.data.sensors import SENSOR_SIZES, fitting_sensor
from spikeseg.data.store.frames import Frames, FramesWriter
from spikeseg.data.store.staging import stage, stage_long, streams
from spikeseg.data.transforms import build
from spikeseg.errors import InputError


def parts_of(columns, step, size):
    def opened():
        n = len(columns[0])
        parts = (Columns(*(c[at : at + step] for c in columns)) for at in range(0, max(n, 1), step))
        return Stream(parts, size)

    return opened


def whole(columns, size, lenient):
    size = size or SENSOR_SIZES[fitting_sensor("r", columns[1], columns[2])]
    return checked("r", "r", dict(zip("txyp", columns, strict=True)), size, lenient=lenient)


def compare(columns, step, size, lenient):
    try:
        want = whole(columns, size, lenient)
    except InputError as error:
        want = str(error)
    try:
        events = iter_events("r", lenient=lenient, open_stream=parts_of(columns, step, size))
        parts = list(events)
        got = np.concatenate(parts) if parts else None
    except InputError as error:
        got = str(error)
    if isinstance(want, str) or isinstance(got, str):
        assert isinstance(want, str) and isinstance(got, str), (want, got)
        return "refused"
    assert len(want.events) == (0 if got is None else len(got)) and events.sensor_size == want.sensor_size
    assert got is None or np.array_equal(got, want.events)
    assert events.dropped == want.dropped
    assert events.pixels.sum() == len(want.events)
    return "mended" if want.dropped else "read"


outcomes = {"refused": 0, "mended": 0, "read": 0}


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6), n=st.sampled_from([0, 1, 2, 40, 300]), step=st.sampled_from([1, 3, 50, 1000]),
    disorder=st.sampled_from([0, 0, 3, 10**5, 10**6, 3 * 10**6]), late=st.sampled_from([0.004, 0.02, 0.5]),
    coding=st.sampled_from([(0, 1), (-1, 1), (1, 2), (0, 2), (1, 1), (0, 0)]), known=st.booleans(), lenient=st.booleans(),
    outside=st.sampled_from([0, 0, 1, 30]), odd=st.sampled_from(["", "", "", "nan", "half", "gap", "inf"]),
    kind=st.sampled_from([np.int64, np.float64, np.uint64]),
)  # fmt: skip
def test_the_outcome_is_that_of_the_checks_at_once(seed, n, step, disorder, late, coding, known, lenient, outside, odd, kind):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(5_000_000, 9_000_000, n)).astype(kind)
    moved = rng.random(n) < late
    t[moved] -= rng.integers(0, disorder + 1, moved.sum()).astype(kind)
    x, y = rng.integers(0, 240, n).astype(np.float64), rng.integers(0, 180, n).astype(np.float64)
    p = np.array(coding)[rng.integers(0, 2, n)].astype(np.float64)
    if n:
        x[rng.integers(0, n, outside)] = 5000
        at = int(rng.integers(n))
        if odd in ("nan", "inf"):
            y[at] = float(odd)
        elif odd == "half":
            x[at] += 0.5
        elif odd == "gap":
            t[at:] += 4_000_000_000
    outcomes[compare((t, x, y, p), step, (240, 180) if known else None, lenient)] += 1


def test_all_outcomes_came():
    assert min(outcomes.values()) > 20, outcomes


@pytest.mark.parametrize("step", [7, 10**6])
@pytest.mark.parametrize(
    "chain", [[], [{"name": "DropPixel", "hot_pixel_frequency": 12}], [{"name": "DropPixel", "coordinates": [[3, 4], [99, 1]]}]]
)
@pytest.mark.parametrize("spec", [FrameSpec(5, 20_000, overlap=0.5, normalize=False), FrameSpec(3, 33_000, 9, 11)])
def test_the_cache_is_the_same(tmp_path, step, chain, spec):
    rng, n = np.random.default_rng(1), 4000
    t, hot = np.sort(rng.integers(0, 2_000_000, n)), rng.random(n) < 0.1
    t[50], t[60] = t[50] + 400, t[60] - 400
    x, y = np.where(hot, 3, rng.integers(0, 34, n)), np.where(hot, 4, rng.integers(0, 34, n))
    p = rng.integers(0, 2, n)
    labels = {"t": np.array([9.0, 3.0]), "x": np.array([1.0, 2.0]), "y": np.array([1.5, 99.0]), "id": np.array([1.0, 2.0])}
    recording = checked("r", "r", {"t": t, "x": x, "y": y, "p": p}, (34, 34), labels, lenient=True)
    events = iter_events("r", lenient=True, open_stream=parts_of((t, x, y, p), step, (34, 34)))
    events.labels = labels
    made = build(chain, (34, 34))
    assert streams(made)
    one, left = stage(recording, spec, made, tmp_path / "one")
    other, still = stage_long(events, "r", spec, made, tmp_path / "other", lenient=True)
    assert left == still and (chain == [] or left < n)
    for name, staged in (("one.zarr", one), ("other.zarr", other)):
        with FramesWriter(tmp_path / name, spec) as writer:
            writer.add(staged, "train")
    names = sorted(p.relative_to(tmp_path / "one.zarr") for p in (tmp_path / "one.zarr").rglob("*") if p.is_file())
    for name in names:
        assert (tmp_path / "one.zarr" / name).read_bytes() == (tmp_path / "other.zarr" / name).read_bytes(), name
    cache = Frames.open(tmp_path / "other.zarr")
    assert cache.recordings[0].dropped == {"out of order, sorted": recording.dropped["out of order, sorted"],
                                           "labels outside the sensor": 1}  # fmt: skip
    _, framed, rates = cache.windows(0)
    windows = frame(cache.events(0)[cache.kept(0)], (34, 34), spec, origin_us=int(recording.events["t"][0]))
    assert np.array_equal(framed, windows.frames) and np.array_equal(rates, Background().update(windows.frames))


def test_other_transforms_need_the_whole():
    assert not streams(build([{"name": "Denoise", "filter_time": 1000}], (34, 34)))
    assert not streams(build([{"name": "DropPixel", "hot_pixel_frequency": 9}] * 2, (34, 34)))
