"""A recording laid down gives the cache that the same recording in memory gives."""

import pickle

import numpy as np
import pytest
from in_memory import in_memory

from spikeseg.data.frames.background import Background
from spikeseg.data.frames.framing import FrameSpec, frame
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, TRUTH_DTYPE, Recording
from spikeseg.data.store.frames import FramesWriter
from spikeseg.data.store.staging import stage
from spikeseg.data.transforms import apply, build

SIZE = (18, 14)


def recordings(rng):
    for name, count in (("a", 400), ("none", 0), ("b", 3000), ("c", 1)):
        events = np.zeros(count, EVENT_DTYPE)
        events["t"] = 5_000_000 + np.sort(rng.integers(0, 900_000, count))
        events["x"], events["y"], events["p"] = rng.integers(0, 18, count), rng.integers(0, 14, count), rng.integers(0, 2, count)
        labels = np.zeros(2, LABEL_DTYPE) if name == "a" else None
        truth = np.zeros(count, TRUTH_DTYPE) if name != "b" else None
        yield Recording(events, SIZE, labels, name, f"{name}.h5", "DAVIS", truth, {"late": 3})


@pytest.mark.parametrize(
    "spec", [FrameSpec(4, 10_000), FrameSpec(5, 7_000, overlap=0.6, normalize=False), FrameSpec(3, 20_000, 9, 11)]
)
@pytest.mark.parametrize(
    "chain", [[], [{"name": "DropPixel", "hot_pixel_frequency": 15}], [{"name": "RandomFlipPolarity", "p": 0.5}],
              [{"name": "DropEvent", "p": 1.0}]]
)  # fmt: skip
def test_the_same_bytes(tmp_path, spec, chain):
    def elsewhere(plans):
        for plan in plans[::-1]:
            pickle.loads(pickle.dumps(plan)).write()

    made = build(chain, SIZE)
    with (
        FramesWriter(tmp_path / "memory.zarr", spec) as memory,
        FramesWriter(tmp_path / "staged.zarr", spec, write=elsewhere) as staged,
    ):
        for number, recording in enumerate(recordings(np.random.default_rng(0))):
            passed, kept = apply(recording.events, made)
            windows = frame(passed, SIZE, spec, origin_us=int(recording.events["t"][0]) if len(recording.events) else None)
            memory.add(in_memory(recording, windows, kept, Background().update(windows.frames)), "train")
            one, left = stage(recording, spec, made, tmp_path / str(number))
            assert left == len(passed)
            staged.add(one, "train")
    names = sorted(p.relative_to(tmp_path / "memory.zarr") for p in (tmp_path / "memory.zarr").rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(tmp_path / "staged.zarr") for p in (tmp_path / "staged.zarr").rglob("*") if p.is_file())
    for name in names:
        assert (tmp_path / "memory.zarr" / name).read_bytes() == (tmp_path / "staged.zarr" / name).read_bytes(), name
