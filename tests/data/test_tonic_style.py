"""Ours inside tonic's Compose, its caching and its slicing."""

import doctest

import numpy as np
import pytest
import tonic
import tonic_folders
import torch
from tonic.slicers import SliceByTime

from spikeseg import data
from spikeseg.config import load_config
from spikeseg.data import DropPixel, Recordings, ToSpikes, tonic_style
from spikeseg.data.readers import read
from spikeseg.data.recording import LABEL_DTYPE
from spikeseg.data.windows import frame_spec, window_at, windowed
from spikeseg.errors import InputError

SENSOR = (20, 15)


def made(n=300, seed=0, order="xytp", kinds=("i2", "u2", "i8", "?")):
    """Events as tonic's datasets give them: columns in any order, of any type."""
    rng = np.random.default_rng(seed)
    events = np.zeros(n, [(name, dict(zip("xytp", kinds, strict=True))[name]) for name in order])
    events["t"] = 7_000 + np.sort(rng.integers(0, 95_000, n))
    events["x"], events["y"], events["p"] = rng.integers(0, 20, n), rng.integers(0, 15, n), rng.integers(0, 2, n)
    return events


@pytest.mark.parametrize("order, kinds", [("xytp", ("i2", "u2", "i8", "?")), ("tpxy", ("i8", "i8", "u8", "i4"))])
def test_spikes_in_a_chain_of_tonic(order, kinds):
    events = made(order=order, kinds=kinds)
    before = events.copy()
    denoised = tonic.transforms.Denoise(20_000)(events)
    chain = tonic.transforms.Compose([tonic.transforms.Denoise(20_000), ToSpikes((*SENSOR, 2), 10, 10.0)])
    spikes, counts = chain(events), ToSpikes(SENSOR, 10, 10.0, normalize=False)(denoised)
    theirs = tonic.transforms.ToFrame((*SENSOR, 2), time_window=10_000, include_incomplete=True)(denoised)
    assert (events == before).all() and 0 < len(denoised) < len(events)
    assert counts.shape == (10, 2, 15, 20) and counts[: len(theirs)].tolist() == theirs.tolist()
    assert spikes.dtype == np.uint8 and (spikes == (counts > 0)).all()


@pytest.mark.parametrize("size", [(None, None), (8, 10)])
def test_spikes_are_the_first_window_of_prepare(tmp_path, size):
    events = made()
    np.savez(tmp_path / "a.npz", **{name: events[name] for name in "txyp"}, sensor_size=np.array(SENSOR))
    keys = {"data.n_timesteps": 4, "data.timestep_ms": 5.0, "data.transforms": []}
    cfg = load_config("demo", {**keys, "data.input_height": size[0], "data.input_width": size[1]})
    view = windowed(recording := read(tmp_path / "a.npz"), cfg.data)
    counts = window_at(recording.events, int(view.start_us[0]), SENSOR, frame_spec(cfg.data))[0]
    assert counts.any() and ToSpikes(SENSOR, 4, 5.0, *size)(events).tolist() == (counts > 0).tolist()


def test_as_many_steps_as_the_events_last():
    assert ToSpikes(SENSOR, None, 10.0)(made()).shape == (10, 2, 15, 20)
    assert ToSpikes(SENSOR, None, 10.0)(made()[:1]).shape == ToSpikes(SENSOR, None)(made()[:0]).shape == (1, 2, 15, 20)
    assert not ToSpikes(SENSOR, 3)(made()[:0]).any()


def test_what_is_no_event_is_refused():
    with pytest.raises(InputError, match="ToSpikes: found an array of float64; expected events"):
        ToSpikes(SENSOR)(np.zeros((4, 4)))
    outside = made()
    outside["x"][:30] = 25
    with pytest.raises(InputError, match=r"ToSpikes: .*outside the sensor"):
        ToSpikes(SENSOR)(outside)
    assert ToSpikes(SENSOR, lenient=True)(outside).shape == (10, 2, 15, 20)
    for sensor, steps in (((3,), 1), ((3, 4, 7), 1), (SENSOR, -1), (SENSOR, 0)):
        with pytest.raises(InputError, match=r"sensor_size: |data\.n_timesteps: (-1|0), must"):
            ToSpikes(sensor, steps)
    with pytest.raises(InputError, match="timestep_ms: nan, must be finite"):
        ToSpikes(SENSOR, timestep_ms=float("nan"))


def test_our_drop_pixel_in_a_chain_of_tonic_is_tonics():
    events = made(2000)
    ours = tonic.transforms.Compose([DropPixel(hot_pixel_frequency=70)])(events)
    assert 0 < len(ours) < len(events) and (ours == tonic.transforms.DropPixel(hot_pixel_frequency=70)(events)).all()


@pytest.fixture
def folder(tmp_path):
    for k, labels in enumerate(("t,x,y,id\n9000,3,4,1\n", None)):
        events = made(seed=k)
        np.savez(tmp_path / f"r{k}.npz", **{name: events[name] for name in "txyp"}, sensor_size=np.array(SENSOR))
        if labels:
            (tmp_path / f"r{k}.labels.csv").write_text(labels)
    return tmp_path


def test_recordings_with_labels(folder):
    recordings = Recordings(folder)
    assert len(recordings) == 2 and recordings.names == ["r0", "r1"] and recordings.classes == ()
    events, target = recordings[0]
    assert [events[name].tolist() for name in "txyp"] == [made()[name].tolist() for name in "txyp"]
    assert target.tolist() == [(9000, 3.0, 4.0, 1)]
    assert recordings[1][1].dtype == LABEL_DTYPE and not len(recordings[1][1])
    assert recordings.recording(0).sensor_size == SENSOR and len(list(recordings)) == 2
    changed = Recordings(folder, transform=len, target_transform=len, transforms=lambda a, b: (a + 1, b + 1))
    assert list(changed) == [(301, 2), (301, 1)]


def test_caching_slicing_and_batches_of_tonic(folder, tmp_path):
    plain = Recordings(folder)
    cached = tonic.DiskCachedDataset(plain, cache_path=str(tmp_path / "cache"))
    for _ in range(2):  # written, then read
        for (events, target), (known, labels) in zip((cached[0], cached[1]), plain, strict=True):
            assert events.dtype == known.dtype and (events == known).all() and target.tolist() == labels.tolist()
    sliced = tonic.SlicedDataset(plain, SliceByTime(time_window=20_000), transform=ToSpikes(SENSOR, 2, 10.0))
    batch = next(iter(torch.utils.data.DataLoader([sliced[k][0] for k in range(4)], batch_size=4)))
    assert len(sliced) == 8 and batch.shape == (4, 2, 2, 15, 20) and batch.any()


def test_classes_of_a_dataset_of_tonic(tmp_path):
    tonic_folders.nmnist(tmp_path)
    digits = Recordings(tmp_path, "tonic:NMNIST", part="test", transform=ToSpikes((34, 34), 5, 20.0))
    assert digits.classes == ("0 - zero", "7 - seven") and len(digits) == 4
    assert [(frames.shape, target) for frames, target in digits] == [((5, 2, 34, 34), k) for k in (0, 0, 1, 1)]
    assert len(Recordings(tmp_path, "tonic:NMNIST")) == 8


def test_recordings_that_are_not_there(folder):
    with pytest.raises(InputError, match="dataset 'mnist': holds images, no recordings"):
        Recordings(folder, "mnist")
    with pytest.raises(InputError, match="part 'test': no recordings; the parts of dataset files here: none"):
        Recordings(folder, part="test")
    with pytest.raises(IndexError):
        Recordings(folder)[2]
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        data.Nothing  # noqa: B018


def test_the_example():
    failed, tried = doctest.testmod(tonic_style)
    assert tried and not failed
