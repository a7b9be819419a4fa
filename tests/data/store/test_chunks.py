"""Files of chunks are, byte for byte, those that zarr writes."""

import numpy as np
import pytest

from spikeseg.data.store import chunks
from spikeseg.data.store.arrays import ArrayReader, ArrayWriter
from spikeseg.data.store.chunks import Layout
from spikeseg.data.store.plan import ArrayRows, PlannedArrays

DTYPES = [np.bool_, np.uint8, np.uint16, np.int32, np.int64, np.float32, np.float64]


class Strided(ArrayRows):
    """Rows that come a few at a time, in memory that they share, and not always contiguous."""

    def parts(self, first, last):
        buffer = np.empty((6, *self.array.shape[1:]), self.array.dtype)
        for at in range(first, last, 3):
            part = buffer[: 2 * min(3, last - at) : 2]
            part[...] = self.array[at : min(at + 3, last)]
            yield part


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("source", [ArrayRows, Strided])
@pytest.mark.parametrize("layout", [Layout(1), Layout(1, 4), Layout(4), Layout(4, 3), Layout(2, 64)])
@pytest.mark.parametrize("counts", [(1,), (4, 0, 4), (3, 10, 1), (12, 12), (11, 26)])
def test_the_bytes_are_those_of_zarr(tmp_path, source, layout, counts):
    rng = np.random.default_rng(0)
    ours, zarrs = PlannedArrays(tmp_path / "ours", "test"), ArrayWriter(tmp_path / "zarr", "test")
    for number, dtype in enumerate(DTYPES):
        axes, shape = [("row", ()), ("row y x", (3, 5))][number % 2]
        for count in counts:
            rows = rng.integers(0, 2, (count, *shape)).astype(dtype)
            ours.append(f"group/{np.dtype(dtype)}", source(rows), layout, axes, units="1")
            zarrs.append(f"group/{np.dtype(dtype)}", rows, layout, axes, units="1")
    for plan in ours.files()[::-1]:
        plan.write()
    ours.finish({"n": 1})
    zarrs.finish({"n": 1})
    assert contents(tmp_path / "ours") == contents(tmp_path / "zarr")


def test_large_rows_are_not_gathered_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "FILE_BYTES", 100)
    ours, rows = PlannedArrays(tmp_path / "a", "test"), np.arange(30, dtype=np.int64).reshape(3, 10)
    ours.append("group/rows", ArrayRows(rows), Layout(1, 64), "row x")
    plans = ours.files()
    for plan in plans:
        plan.write()
        plan.write()
    ours.finish({})
    assert len(plans) == 3
    assert np.array_equal(ArrayReader(tmp_path / "a", "test").read("group/rows", 0, 3), rows)
