import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest
import zarr
from in_memory import in_memory
from rewriting import rewrite

from spikeseg.data.frames.background import Background
from spikeseg.data.frames.framing import FrameSpec, Windows, frame
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, TRUTH_DTYPE, Recording
from spikeseg.data.store import chunks
from spikeseg.data.store.frames import Frames, FramesWriter
from spikeseg.data.store.spikes import Spikes
from spikeseg.errors import InputError

SPEC = FrameSpec(4, 10_000)


def record(name, seed, count=300, sensor_size=(18, 14), duration=500_000, **fields):
    rng = np.random.default_rng(seed)
    events = np.zeros(count, EVENT_DTYPE)
    events["t"] = 7_000_000_000 + np.sort(rng.integers(0, duration, count))
    events["x"], events["y"] = rng.integers(0, sensor_size[0], count), rng.integers(0, sensor_size[1], count)
    events["p"] = rng.integers(0, 2, count)
    return Recording(events, sensor_size, fields.pop("labels", None), name, f"{name}.mat", **fields)


def labels(count):
    points = np.zeros(count, LABEL_DTYPE)
    points["t"], points["x"], points["y"], points["id"] = np.arange(count), 1.5, 2.25, 1
    return points


def truth(count, seed=0):
    told = np.zeros(count, TRUTH_DTYPE)
    told["source"] = np.random.default_rng(seed).integers(0, 4, count)
    told["object_id"] = np.arange(count) - 5
    return told


RECORDINGS = [
    (record("DAVIS_1", 1, labels=labels(3), truth=truth(300), sensor="DAVIS", dropped={"late": 2}), "train"),
    (record("ATIS_1", 2, sensor_size=(20, 16), labels=labels(0), sensor="ATIS"), "test"),
    (record("nothing", 3, count=0), "val"),
    (record("dävis 2", 4, count=200, labels=labels(2), truth=truth(200, 1)), "train"),
]


def kept_of(recording):
    return np.arange(len(recording.events)) % 7 != 0


def write(path, spec=SPEC, recordings=RECORDINGS, how=None):
    with FramesWriter(path, spec, {"dataset": "ebssa", "seed": 3}, how) as writer:
        for recording, split in recordings:
            kept = kept_of(recording)
            windows = frame(recording.events[kept], recording.sensor_size, spec)
            writer.add(in_memory(recording, windows, kept, Background().update(windows.frames)), split)
    return path


def everything(path):
    """All that the readers give, as a flat list."""
    cache = Frames.open(path)
    found = [cache.spec, cache.attrs, cache.recordings]
    for r in range(len(cache.recordings)):
        found += [*cache.windows(r), cache.events(r), cache.kept(r), cache.labels(r), cache.truth(r)]
    return found


def files(path):
    return sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write(tmp_path_factory.mktemp("store") / "frames.zarr")


@pytest.fixture
def cache_copy(written, tmp_path):
    return shutil.copytree(written, tmp_path / "frames.zarr")


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("size", [(None, None), (8, 10)])
def test_what_is_written_is_read(tmp_path, normalize, size):
    spec = FrameSpec(4, 10_000, *size, overlap=0.5, normalize=normalize)
    cache = Frames.open(write(tmp_path / "frames.zarr", spec))
    assert cache.spec == spec
    assert cache.attrs == {"dataset": "ebssa", "seed": 3}
    for r, (recording, split) in enumerate(RECORDINGS):
        info = cache.recordings[r]
        assert (info.name, info.sensor, info.split) == (recording.name, recording.sensor, split)
        assert info.sensor_size == recording.sensor_size
        assert info.dropped == recording.dropped
        kept = kept_of(recording)
        windows = frame(recording.events[kept], recording.sensor_size, spec)
        start_us, frames, background = cache.windows(r)
        assert info.n_windows == len(start_us)
        assert np.array_equal(start_us, windows.start_us)
        assert np.array_equal(frames, windows.frames)
        assert frames.dtype == (np.uint8 if normalize else np.uint16)
        assert np.array_equal(background, Background().update(windows.frames))
        assert np.array_equal(cache.events(r), recording.events)
        assert np.array_equal(cache.kept(r), kept)
        for ours, given in ((cache.labels(r), recording.labels), (cache.truth(r), recording.truth)):
            assert (ours is None) == (given is None)
            assert ours is None or np.array_equal(ours, given)
    first, third = cache.recordings[0], cache.recordings[2]
    assert (first.t_start, first.t_end) == tuple(RECORDINGS[0][0].events["t"][[0, -1]])
    assert (third.t_start, third.t_end, third.n_windows) == (None, None, 0)


def test_samples_come_by_split_in_the_order_of_the_recordings(written):
    cache = Frames.open(written)
    counts = [info.n_windows for info in cache.recordings]
    assert min(counts[0], counts[1], counts[3]) > 5
    assert cache.samples("train") == [(0, k) for k in range(counts[0])] + [(3, k) for k in range(counts[3])]
    assert cache.samples("test") == [(1, k) for k in range(counts[1])]
    assert cache.samples("val") == []
    assert len(cache.samples()) == sum(counts)
    with pytest.raises(InputError, match="split: 'tset', must be one of train, val, test"):
        cache.samples("tset")


def test_windows_are_read_in_the_order_asked_for(written):
    cache = Frames.open(written)
    whole = cache.windows(3)
    for ks in ([5, 2, 3, 3, 0], [1, 2, 3], [4], []):
        for part, full in zip(cache.read(3, ks), whole, strict=True):
            assert part.dtype == full.dtype
            assert np.array_equal(part, full[ks] if ks else full[:0])
    for ks in ([-1], [0, cache.recordings[3].n_windows]):
        with pytest.raises(IndexError, match="dävis 2"):
            cache.read(3, ks)


def test_equal_input_gives_equal_bytes(written, tmp_path):
    again = write(tmp_path / "again.zarr")
    assert files(again) == files(written)
    for name in files(written):
        assert (again / name).read_bytes() == (written / name).read_bytes(), name


def test_any_zarr_reader_opens_it(written):
    root = zarr.open_group(str(written), mode="r")
    frames = root["frames_14x18/frames"]
    cache = Frames.open(written)
    train = np.concatenate([cache.windows(0)[1], cache.windows(3)[1]])
    assert frames.dtype == bool
    assert frames.chunks == (1, 4, 2, 14, 18)
    assert np.array_equal(frames[:], train)
    recording, start_us = root["frames_14x18/recording"][:], root["frames_14x18/start_us"]
    assert recording.tolist() == [r for r, _ in cache.samples("train")]
    assert start_us.attrs["units"] == "µs"
    assert np.array_equal(start_us[:][recording == 3], cache.windows(3)[0])
    assert root["events/t"].attrs["units"] == "µs"
    assert root["events/t"].shape[0] == sum(len(recording.events) for recording, _ in RECORDINGS)


def test_files_may_be_written_in_any_order_and_twice(tmp_path, monkeypatch, written):
    monkeypatch.setattr(chunks, "FILE_BYTES", 5 * 4 * 2 * 14 * 18)

    def backwards(plans):
        for plan in [*plans[::-1], *plans[:3]]:
            pickle.loads(pickle.dumps(plan)).write()  # as another process would

    path, whole = tmp_path / "frames.zarr", tmp_path / "whole.zarr"
    write(path, how=backwards)
    write(whole)
    per_group = [name for name in files(path) if name.startswith("frames_14x18/frames/c/")]
    assert len(per_group) == -(-len(Frames.open(written).samples("train")) // 5) > 3
    assert files(path) == files(whole)
    assert all((path / name).read_bytes() == (whole / name).read_bytes() for name in files(path))
    for ours, before in zip(everything(path), everything(written), strict=True):
        assert np.array_equal(ours, before)


def reads_as_before(path, before):
    try:
        return all(np.array_equal(now, then) for now, then in zip(everything(path), before, strict=True))
    except InputError:
        return False


def read_files(path):
    """The files that reading needs (the index of the recordings is there for other readers only)."""
    return [name for name in files(path) if "/recording/c/" not in name]


def test_a_missing_file_is_an_error_on_opening(cache_copy):
    for name in files(cache_copy):
        content = (cache_copy / name).read_bytes()
        (cache_copy / name).unlink()
        with pytest.raises(InputError) as caught:
            Frames.open(cache_copy)
        assert name in str(caught.value)
        assert "missing" in str(caught.value)
        rewrite(cache_copy / name, content)
    Frames.open(cache_copy)


def test_a_truncated_or_longer_file_is_an_error_on_opening(cache_copy):
    for name in files(cache_copy):
        content = (cache_copy / name).read_bytes()
        for wrong in (content[:-1], content[: len(content) // 2], b"", content + b"\0"):
            rewrite(cache_copy / name, wrong)
            with pytest.raises(InputError, match="damaged"):
                Frames.open(cache_copy)
        rewrite(cache_copy / name, content)
    Frames.open(cache_copy)


def test_a_flipped_bit_is_an_error_wherever_it_is(cache_copy):
    rng, good = np.random.default_rng(0), everything(cache_copy)
    for name in read_files(cache_copy):
        content = (cache_copy / name).read_bytes()
        for at in {0, len(content) // 2, len(content) - 1, *rng.integers(0, len(content), 3).tolist()}:
            flipped = bytearray(content)
            flipped[at] ^= 1 << int(rng.integers(8))
            rewrite(cache_copy / name, flipped)
            if name == "zarr.json" and reads_as_before(cache_copy, good):
                continue  # white space between the values, or a key that means nothing
            with pytest.raises(InputError, match=r"damaged|unfinished") as caught:
                everything(cache_copy)
            assert "\n" not in str(caught.value), (name, at)
        rewrite(cache_copy / name, content)
    everything(cache_copy)


def test_an_edited_table_of_contents_is_an_error(cache_copy):
    meta = cache_copy / "zarr.json"
    for before, after in ('"t_start": 7', '"t_start": 8'), ("DAVIS_1", "DAVIS_7"), ('"seed": 3', '"seed": 4'):
        content = meta.read_text()
        assert before in content
        meta.write_text(content.replace(before, after, 1))
        with pytest.raises(InputError, match=r"zarr.json: damaged \(its checksum does not match\)"):
            Frames.open(cache_copy)
        meta.write_text(content)


def test_a_recording_without_windows_reads_as_such(tmp_path):
    recording, _ = RECORDINGS[2]
    with FramesWriter(tmp_path / "frames.zarr", SPEC) as writer:
        none = frame(recording.events, recording.sensor_size, SPEC)
        writer.add(in_memory(recording, none, np.zeros(0, bool), Background().update(none.frames)), "train")
    cache = Frames.open(tmp_path / "frames.zarr")
    for start_us, frames, background in (cache.windows(0), cache.read(0, [])):
        assert (len(start_us), len(background), frames.shape) == (0, 0, (0, 4, 2, 14, 18))
        assert frames.dtype == np.uint8
    assert cache.samples("train") == []
    assert cache.events(0).dtype == EVENT_DTYPE
    assert len(cache.events(0)) == len(cache.kept(0)) == 0


def test_silence_is_written_like_everything_else(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "FILE_BYTES", 2 * 4 * 2 * 14 * 18)
    recording, split = RECORDINGS[0]
    silent = Windows(np.arange(7), np.zeros((7, 4, 2, 14, 18), np.uint8))
    with FramesWriter(tmp_path / "frames.zarr", SPEC) as writer:
        writer.add(in_memory(recording, silent, np.zeros(300, bool), Background().update(silent.frames)), split)
    path = tmp_path / "frames.zarr"
    cache = Frames.open(path)
    assert len([name for name in files(path) if "frames_14x18/frames/c" in name]) == 4
    start_us, frames, background = cache.windows(0)
    assert start_us.tolist() == list(range(7))
    assert frames.shape == silent.frames.shape
    assert not frames.any()
    assert not background.any()
    (path / "frames_14x18/frames/c/1/0/0/0/0").unlink()
    with pytest.raises(InputError, match="missing"):
        cache.windows(0)


def test_damage_after_opening_is_an_error_on_reading(cache_copy):
    cache = Frames.open(cache_copy)
    cache.windows(0)
    shard = cache_copy / "frames_14x18/frames/c/0/0/0/0/0"
    shard.unlink()
    with pytest.raises(InputError, match=r"frames/c/0/0/0/0/0: damaged \(missing\); remove .* make it again"):
        cache.windows(0)
    with pytest.raises(InputError, match="missing"):
        cache.read(3, [2])
    cache.windows(1)
    (cache_copy / "events/x/c/0").write_bytes(b"")
    with pytest.raises(InputError, match="events/x/c/0: damaged"):
        cache.events(1)


def test_a_writer_that_fails_leaves_nothing_that_opens(tmp_path):
    path = tmp_path / "frames.zarr"
    recording, split = RECORDINGS[0]
    windows = frame(recording.events, recording.sensor_size, SPEC)
    with pytest.raises(ZeroDivisionError), FramesWriter(path, SPEC) as writer:
        writer.add(in_memory(recording, windows, np.ones(300, bool), Background().update(windows.frames)), split)
        raise ZeroDivisionError
    with pytest.raises(InputError, match="unfinished"):
        Frames.open(path)


def test_what_is_no_cache_is_refused(tmp_path, written):
    (tmp_path / "file").write_text("hello")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/zarr.json").write_text("{")
    zarr.create_group(str(tmp_path / "other"), attributes={"a": 1})
    zarr.create_array(str(tmp_path / "array"), shape=(3,), dtype="int8")
    for name, match in [
        ("file", "no spikeseg frames"),
        ("folder", "no spikeseg frames"),
        ("absent", "no spikeseg frames"),
        ("broken", "damaged"),
        ("other", "unfinished"),
        ("array", "damaged"),
    ]:
        with pytest.raises(InputError, match=match) as caught:
            Frames.open(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(InputError, match="holds spikeseg frames, version 1, not spikeseg spikes, version 2"):
        Spikes.open(written)


def test_an_existing_folder_is_not_overwritten(cache_copy):
    with pytest.raises(InputError, match="exists already"):
        FramesWriter(cache_copy, SPEC)
    everything(cache_copy)


def test_a_path_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        FramesWriter(tmp_path / "file" / "frames.zarr", SPEC)


def test_what_does_not_belong_together_is_refused(tmp_path):
    recording, _ = RECORDINGS[0]
    windows = frame(recording.events, recording.sensor_size, SPEC)
    background, kept = Background().update(windows.frames), np.ones(300, bool)
    writer = FramesWriter(tmp_path / "frames.zarr", SPEC)
    with pytest.raises(InputError, match="DAVIS_1: split 'tset', must be one of train, val, test"):
        writer.add(in_memory(recording, windows, kept, background), "tset")
    writer.add(in_memory(replace(recording, name="other"), windows, kept, background), "train")
    with pytest.raises(InputError, match=r"other: a second recording of this name \(DAVIS_1.mat\)"):
        writer.add(in_memory(replace(recording, name="other"), windows, kept, background), "train")
    with pytest.raises(ValueError, match="background: rows float32"):
        writer.add(in_memory(recording, windows, kept, np.repeat(background, 2, axis=-1)), "train")


def test_attributes_survive_whatever_their_keys(tmp_path):
    with FramesWriter(tmp_path / "frames.zarr", SPEC, {"b": {10: 1, 9: (2, 0.1)}, "a": "µ"}):
        pass
    cache = Frames.open(tmp_path / "frames.zarr")
    assert cache.attrs == {"a": "µ", "b": {"10": 1, "9": [2, 0.1]}}
    assert cache.recordings == cache.samples() == []
