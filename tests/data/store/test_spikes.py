import shutil
from itertools import pairwise

import numpy as np
import pytest
import zarr
from rewriting import rewrite

from spikeseg.core.sparse import SpikeLists
from spikeseg.data.store import chunks
from spikeseg.data.store.arrays import COLUMNS, ArrayReader, ArrayWriter
from spikeseg.data.store.spikes import KIND, Spikes, SpikeWriter
from spikeseg.errors import InputError

SMALL, LARGE = (4, 2, 6, 5), (4, 2, 7, 7)


def dense(count, shape, seed, share=0.1):
    return (np.random.default_rng(seed).random((count, *shape)) < share).astype(np.uint8)


PARTS = [dense(3, SMALL, 0), dense(2, SMALL, 1), dense(3, LARGE, 2), dense(2, SMALL, 3), dense(2, LARGE, 4)]
PARTS[1][:] = 0  # samples 3 and 4 are silent
SAMPLES = [sample for part in PARTS for sample in part]


def write(path, parts=PARTS):
    with SpikeWriter(path, {"layer": "conv2"}) as writer:
        for part in parts:
            writer.add(SpikeLists.of(part))
    return path


def contents(path):
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write(tmp_path_factory.mktemp("spikes") / "spikes.zarr")


@pytest.fixture
def cache_copy(written, tmp_path):
    return shutil.copytree(written, tmp_path / "spikes.zarr")


@pytest.mark.parametrize("file_bytes", [2**28, 4 * 2**16])
def test_samples_of_any_size_come_back_in_order(tmp_path, monkeypatch, file_bytes):
    monkeypatch.setattr(chunks, "FILE_BYTES", file_bytes)
    cache = Spikes.open(write(tmp_path / "spikes"))
    assert cache.attrs == {"layer": "conv2"}
    assert len(cache) == len(SAMPLES) == 12
    for i, sample in enumerate(SAMPLES):
        assert cache[i].dtype == np.uint8
        assert np.array_equal(cache[i], sample)
    for i in (-1, 12):
        with pytest.raises(IndexError, match=f"sample {i} of 12"):
            cache[i]


def test_every_range_reads_as_few_lists(written):
    cache = Spikes.open(written)
    for first in range(13):
        for last in range(first, 13):
            found = cache.read(first, last)
            assert all(a.shape != b.shape for a, b in pairwise(found))
            assert all(lists.sites.dtype == np.int32 and lists.offsets[0] == 0 for lists in found)
            samples = [sample for lists in found for sample in lists.dense()]
            assert len(samples) == last - first
            assert all(np.array_equal(a, b) for a, b in zip(samples, SAMPLES[first:last], strict=True))
    assert [lists.samples for lists in cache.read(0, 12)] == [5, 3, 2, 2]
    for first, last in ((-1, 2), (3, 2), (0, 13)):
        with pytest.raises(IndexError, match=f"samples {first} to {last} of 12"):
            cache.read(first, last)


def test_lists_come_back_as_they_went_in(written):
    given = SpikeLists.of(PARTS[2])
    (found,) = Spikes.open(written).read(5, 8)
    assert np.array_equal(found.sites, given.sites)
    assert np.array_equal(found.offsets, given.offsets)
    assert found.shape == given.shape


def test_spikes_are_counted_without_reading_them(written, monkeypatch):
    cache = Spikes.open(written)
    monkeypatch.delattr(ArrayReader, "read")
    assert cache.spike_counts().tolist() == [int(sample.sum()) for sample in SAMPLES]
    assert cache.spike_counts().dtype == np.int64


def test_blocks_are_closed_by_the_sample_that_fills_them(written):
    cache, counts = Spikes.open(written), [int(sample.sum()) for sample in SAMPLES]
    assert cache.blocks(10**9) == [(0, 12)]
    assert cache.blocks(1) == [(0, 1), (1, 2), (2, 3), (3, 6), *((i, i + 1) for i in range(6, 12))]
    first, expected = 0, []
    for i in range(12):
        if sum(counts[first : i + 1]) >= 40 or i == 11:
            expected.append((first, i + 1))
            first = i + 1
    assert len(expected) > 3
    assert cache.blocks(40) == expected
    exactly = counts[0] + counts[1]
    assert cache.blocks(exactly)[0] == (0, 2)
    assert cache.blocks(exactly + 1)[0] == (0, 3)
    with pytest.raises(ValueError, match="at least 1"):
        cache.blocks(0)


def test_blocks_may_end_in_silence_or_hold_nothing_else(tmp_path):
    parts = [dense(1, SMALL, 0), np.zeros((3, *SMALL), np.uint8)]
    assert Spikes.open(write(tmp_path / "ends", parts)).blocks(1) == [(0, 1), (1, 4)]
    silent = Spikes.open(write(tmp_path / "silent", parts[1:]))
    assert silent.blocks(5) == [(0, 3)]
    assert silent.spike_counts().tolist() == [0, 0, 0]
    (lists,) = silent.read(0, 3)
    assert (lists.samples, len(lists.sites), lists.sites.dtype) == (3, 0, np.int32)


@pytest.mark.parametrize("parts", [[], [SpikeLists.of(PARTS[0]).part(0, 0)]])
def test_no_samples(tmp_path, parts):
    with SpikeWriter(tmp_path / "spikes") as writer:
        for part in parts:
            writer.add(part)
    cache = Spikes.open(tmp_path / "spikes")
    assert len(cache) == 0
    assert cache.read(0, 0) == cache.blocks(5) == []
    assert cache.spike_counts().shape == (0,)
    with pytest.raises(IndexError):
        cache[0]


def test_lists_that_do_not_belong_together_are_refused(tmp_path):
    lists = SpikeLists.of(PARTS[0])
    writer = SpikeWriter(tmp_path / "spikes")
    for wrong in (
        lists._replace(shape=(5, *SMALL[1:])),
        lists._replace(sites=lists.sites[1:]),
        lists._replace(offsets=lists.offsets[::-1]),
        lists._replace(sites=lists.sites + 55),
        lists._replace(sites=lists.sites - 60),
    ):
        with pytest.raises(ValueError, match=r"do not hold samples of shape \("):
            writer.add(wrong)


def test_equal_samples_give_equal_bytes_however_they_are_added(written, tmp_path):
    again = write(tmp_path / "again")
    singly = write(tmp_path / "singly", [sample[None] for sample in SAMPLES])
    assert contents(again) == contents(singly) == contents(written)


def test_addresses_take_16_bits_where_they_fit(tmp_path):
    fits, above = (1, 1, 256, 256), (1, 1, 256, 257)
    parts = [np.zeros((1, *fits), np.uint8), np.zeros((1, *above), np.uint8)]
    for part in parts:
        part[..., -1, -1] = 1
    path = write(tmp_path / "spikes", parts)
    root = zarr.open_group(str(path), mode="r")
    assert root["spikes_1x1x256x256/sites"].dtype == np.uint16
    assert root["spikes_1x1x256x257/sites"].dtype == np.int32
    assert root["spikes_1x1x256x256/counts"].dtype == np.uint32
    assert [lists.sites.tolist() for lists in Spikes.open(path).read(0, 2)] == [[2**16 - 1], [256 * 257 - 1]]


def test_reading_touches_only_the_files_that_hold_the_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "FILE_BYTES", 2 * 2**16)
    full = np.ones((1, 1, 1, 2, 2**15), np.uint8)
    path = write(tmp_path / "spikes", [full] * 4)
    cache, calls = Spikes.open(path), []
    files = sorted((path / "spikes_1x1x2x32768/sites/c").iterdir())
    assert len(files) == 4
    files[3].unlink()
    read = ArrayReader.read
    monkeypatch.setattr(ArrayReader, "read", lambda *args: calls.append(args[1:]) or read(*args))
    assert cache.read(1, 3)[0].dense().all()
    assert calls == [("spikes_1x1x2x32768/sites", 2**16, 3 * 2**16)]
    with pytest.raises(InputError, match="missing"):
        cache.read(2, 4)


def test_damage_is_an_error_wherever_it_is(cache_copy):
    def read():
        return Spikes.open(cache_copy).read(0, 12)

    rng, names = np.random.default_rng(0), [name for name in contents(cache_copy) if name != "zarr.json"]
    assert sum("/c/" in name for name in names) == 4
    for name in names:
        content = (cache_copy / name).read_bytes()
        (cache_copy / name).unlink()
        with pytest.raises(InputError, match=r"damaged \(missing\)"):
            read()
        rewrite(cache_copy / name, content[:-1])
        with pytest.raises(InputError, match="not as it was written"):
            read()
        for at in {0, len(content) - 1, *rng.integers(0, len(content), 4).tolist()}:
            flipped = bytearray(content)
            flipped[at] ^= 1 << int(rng.integers(8))
            rewrite(cache_copy / name, flipped)
            with pytest.raises(InputError, match="damaged"):
                read()
        rewrite(cache_copy / name, content)
    read()


def test_addresses_outside_the_samples_never_reach_a_kernel(tmp_path):
    writer = ArrayWriter(tmp_path / "spikes", KIND)
    writer.append("spikes_1x1x2x2/sites", np.array([1, 4], np.uint16), COLUMNS, "spike")
    writer.append("spikes_1x1x2x2/counts", np.array([1, 1], np.uint32), COLUMNS, "step")
    writer.finish({"attrs": {}, "runs": [[1, 1, 2, 2, 2]]})
    cache = Spikes.open(tmp_path / "spikes")
    assert cache[0].sum() == 1
    with pytest.raises(InputError, match=r"sites: damaged \(an address outside samples of \(1, 1, 2, 2\)\)"):
        cache.read(0, 2)


def test_a_cache_of_version_1_says_so(tmp_path):
    ArrayWriter(tmp_path / "old", "spikeseg spikes, version 1").finish({})
    with pytest.raises(InputError, match="holds spikeseg spikes, version 1, not spikeseg spikes, version 2"):
        Spikes.open(tmp_path / "old")
