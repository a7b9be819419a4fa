"""A chunk of nothing but zeros is a file like every other: one that is missing is damage, never silence."""

import numpy as np
import pytest
import zarr

from spikeseg.core.sparse import SpikeLists
from spikeseg.data.store.arrays import new_array
from spikeseg.data.store.chunks import Layout
from spikeseg.data.store.spikes import Spikes, SpikeWriter
from spikeseg.errors import InputError


@pytest.mark.parametrize("per_file", [1, 3])
def test_zeros_are_written(tmp_path, per_file):
    array = new_array(zarr.open_group(tmp_path, mode="w"), "a", 6, np.zeros(4, np.int32), Layout(2, per_file), {}, "row value")
    array[:] = 0
    written = [path for path in (tmp_path / "a").rglob("*") if path.is_file() and path.name != "zarr.json"]
    assert len(written) == (3 if per_file == 1 else 1) and all(path.stat().st_size for path in written)


def test_silent_spikes_are_written_and_a_lost_file_is_not_taken_for_silence(tmp_path):
    path = tmp_path / "spikes"
    with SpikeWriter(path, {}) as writer:
        writer.add(SpikeLists.of(np.zeros((3, 4, 2, 6, 5), np.uint8)))
    silent = Spikes.open(path)
    assert len(silent) == 3 and not silent[0].any()
    files = [file for file in path.rglob("*") if file.is_file() and file.name != "zarr.json"]
    assert files
    for file in files:
        content = file.read_bytes()
        file.unlink()
        with pytest.raises(InputError):
            [Spikes.open(path)[i] for i in range(3)]
        file.write_bytes(content)
