"""Flips of training windows: seeded, exact, and without a trace in the caller's arrays."""

import numpy as np
import pytest
import torch

from spikeseg.config.sections import AugmentationConfig
from spikeseg.data.frames.augmentation import augment
from spikeseg.data.frames.augmentation import flipped as flipped_recording
from spikeseg.data.frames.framing import FrameSpec, frame
from spikeseg.data.recording import checked

ALL = AugmentationConfig(flip_horizontal=True, flip_polarity=True)


def window(width=6, blocks=3):
    rng = np.random.default_rng(0)
    return rng.random((3, 2, 4, width)) < 0.3, rng.random((2, 2, blocks)).astype(np.float32)


def flipped(config, n=200):
    """Which of n windows came back mirrored and with polarities swapped: two (n,) bool."""
    frames = np.zeros((1, 2, 1, 2), bool)
    frames[0, 0, 0, 0] = True
    rates = np.ones((2, 1, 1), np.float32)
    found = [np.argwhere(augment(frames, rates, config, (7, 0, k))[0])[0] for k in range(n)]
    return np.array([f[3] == 1 for f in found]), np.array([f[1] == 1 for f in found])


def test_each_flip_falls_on_about_half_of_the_windows_independently():
    mirrored, swapped = flipped(ALL)
    assert 0.35 < mirrored.mean() < 0.65 and 0.35 < swapped.mean() < 0.65
    assert 0.35 < (mirrored == swapped).mean() < 0.65


def test_a_flip_that_is_not_allowed_never_happens_and_leaves_the_other_coin_as_it_is():
    mirrored, swapped = flipped(ALL)
    for config, expected in (
        (AugmentationConfig(flip_horizontal=True, flip_polarity=False), (mirrored, False)),
        (AugmentationConfig(flip_horizontal=False, flip_polarity=True), (False, swapped)),
        (AugmentationConfig(enabled=False, flip_horizontal=True, flip_polarity=True), (False, False)),
    ):
        found = flipped(config)
        assert (found[0] == expected[0]).all() and (found[1] == expected[1]).all()


def test_the_background_is_flipped_with_its_frames():
    frames, rates = window()
    seen = set()
    for k in range(40):
        f, r = augment(frames, rates, ALL, (1, k))
        for mirror in (1, -1):
            for swap in (1, -1):
                if np.array_equal(f, frames[:, ::swap, :, ::mirror]):
                    assert np.array_equal(r, rates[::swap, :, ::mirror])
                    seen.add((mirror, swap))
    assert len(seen) == 4


def test_the_same_seed_gives_the_same_window_and_the_arguments_stay():
    frames, rates = window()
    before = frames.copy(), rates.copy()
    for k in range(10):
        first, second = augment(frames, rates, ALL, (1, k)), augment(frames, rates, ALL, (1, k))
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
        assert first[0].dtype == frames.dtype and first[1].dtype == rates.dtype
    assert np.array_equal(frames, before[0]) and np.array_equal(rates, before[1])


@pytest.mark.parametrize(("width", "blocks"), [(6, 3), (6, 1), (1, 1)])
def test_what_comes_back_fits_torch(width, blocks):
    """numpy calls a reversed axis of length 1 contiguous; torch refuses its negative stride."""
    frames, rates = window(width, blocks)
    for k in range(20):
        for array in augment(frames, rates, ALL, (1, k)):
            assert torch.from_numpy(array).shape == array.shape


@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("polarity", [False, True])
def test_a_flipped_recording_has_flipped_frames_and_its_labels_lie_on_its_objects(horizontal, polarity):
    rng = np.random.default_rng(1)
    n, size = 400, (31, 20)
    t = np.sort(rng.integers(0, 100_000, n))
    labels = {"t": t[:3], "x": [4.0, 0.0, 30.0], "y": [5.0, 6.0, 7.0], "id": [1, 1, 2]}
    columns = t, rng.integers(0, size[0], n), rng.integers(0, size[1], n), rng.integers(0, 2, n)
    recording = checked("a", "a", dict(zip("txyp", columns, strict=True)), size, labels)
    found = flipped_recording(recording, horizontal=horizontal, polarity=polarity)
    spec = FrameSpec(n_timesteps=4, timestep_us=10_000, height=None, width=None, overlap=0.0, normalize=False)
    wanted = frame(recording.events, size, spec).frames
    wanted = wanted[..., ::-1] if horizontal else wanted
    wanted = wanted[:, :, ::-1] if polarity else wanted
    np.testing.assert_array_equal(frame(found.events, size, spec).frames, wanted)
    assert found.labels["x"].tolist() == ([26.0, 30.0, 0.0] if horizontal else [4.0, 0.0, 30.0])
    np.testing.assert_array_equal(found.labels[["t", "y", "id"]], recording.labels[["t", "y", "id"]])
    again = flipped_recording(found, horizontal=horizontal, polarity=polarity)
    np.testing.assert_array_equal(again.events, recording.events)
    assert (recording.events["x"] == columns[1]).all()


def test_a_vertical_flip_leaves_the_other_coins_as_they_are():
    frames, rates = window()
    upright, upended = 0, 0
    for k in range(40):
        f, r = augment(frames, rates, AugmentationConfig(flip_vertical=True), (1, k))
        g, q = augment(frames, rates, AugmentationConfig(), (1, k))
        if np.array_equal(f, g):
            upright += 1
        else:
            assert np.array_equal(f, g[..., ::-1, :]) and np.array_equal(r, q[:, ::-1])
            upended += 1
    assert upright > 10 < upended


def test_a_crop_is_a_part_and_its_background_that_of_its_place():
    frames = np.arange(2 * 40 * 50, dtype=np.uint16).reshape(1, 2, 40, 50)
    rates = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)  # blocks of 14 px
    config, places = AugmentationConfig(flip_horizontal=False, random_crop=(16, 90)), set()
    for k in range(30):
        f, r = augment(frames, rates, config, (1, k), binary=False)
        top = int(f[0, 0, 0, 0]) // 50
        assert np.array_equal(f, frames[:, :, top : top + 16]) and r.shape == (2, 1, 4)
        assert np.array_equal(r[:, 0], rates[:, (top + 8) // 14])
        places.add(top)
    assert min(places) < 5 and max(places) > 19 and max(places) <= 24


def test_events_are_lost_and_added_at_the_rates_asked_for():
    frames, rates = np.full((5, 2, 40, 50), 3, np.uint16), np.full((2, 3, 4), 0.5, np.float32)
    f, r = augment(frames, rates, AugmentationConfig(flip_horizontal=False, drop_rate=0.25), (1, 2), binary=False)
    assert 0.745 < f.sum() / frames.sum() < 0.755 and f.max() == 3 and f.dtype == frames.dtype and np.allclose(r, 0.375)
    f, r = augment(frames, rates, AugmentationConfig(flip_horizontal=False, noise_rate=0.5), (1, 2), binary=False)
    assert int(f.sum()) == 1.5 * frames.sum() and (f >= frames).all() and np.allclose(r, 2.0)
    few = (np.arange(20_000).reshape(5, 2, 40, 50) % 10 == 0).astype(np.uint8)
    f, _ = augment(few, rates, AugmentationConfig(flip_horizontal=False, noise_rate=1.0), (1, 2))
    assert set(np.unique(f)) == {0, 1} and 1.8 < f.sum() / few.sum() < 2.0
    again, _ = augment(few, rates, AugmentationConfig(flip_horizontal=False, noise_rate=1.0), (1, 2))
    assert np.array_equal(f, again)
