import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter, median_filter

from spikeseg.core.sparse import SparseFrames
from spikeseg.data.frames.background import BLOCK, Background, block_side
from spikeseg.models.adaptive_threshold import adaptive_threshold

SHAPE = (10, 2, 80, 112)
"""T, P, H, W of a window."""


def noise(rate, windows=12, seed=0, shape=SHAPE):
    """Binary frames of Poisson events; rate per pixel and step, a number or an array that broadcasts."""
    draw = np.random.default_rng(seed).random((windows, *shape), np.float32)
    return (draw < -np.expm1(-np.asarray(rate))).astype(np.uint8)


def estimate(frames, block=BLOCK):
    """Rates of all windows of a recording."""
    return Background(block).update(frames)


def with_blob(frames, radius=6.0, speed=0.4):
    """The frames with a dense disc that moves `speed` pixels per step along a line."""
    frames = frames.copy()
    windows, steps, _, height, width = frames.shape
    y, x = np.mgrid[:height, :width]
    for k in range(windows):
        for step in range(steps):
            at = 8 + (k * steps + step) * speed
            frames[k, step, :, np.hypot(y - height // 2, x - at) < radius] = 1
    return frames


@pytest.mark.parametrize("rate", [0.001, 0.003, 0.01, 0.05])
def test_poisson_noise_is_measured_within_a_tenth(rate):
    rates = estimate(noise(rate))
    assert rates.dtype == np.float32
    assert rates.shape == (12, 2, 5, 7)
    assert rates.mean() == pytest.approx(rate, rel=0.1)


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05])
@pytest.mark.parametrize("speed", [0.1, 0.4, 0.8])
def test_a_dense_moving_object_does_not_lift_it(rate, speed):
    frames = noise(rate)
    blob = with_blob(frames, speed=speed)
    assert blob.mean() > 1.2 * frames.mean()
    assert estimate(blob).mean() == pytest.approx(estimate(frames).mean(), rel=0.1)


def test_an_object_does_not_lift_the_blocks_it_crosses_even_after_a_long_loud_past():
    past, frames = noise(0.05, windows=40, seed=3), noise(0.003, windows=8)
    clear = estimate(np.concatenate([past, frames]))[40:]
    crossed = estimate(np.concatenate([past, with_blob(frames)]))[40:]
    assert (crossed / clear).max() < 1.3


def test_a_warm_pixel_is_known_by_its_history():
    frames = noise(0.002, windows=16)
    warm = np.random.default_rng(1).random(SHAPE[1:]) < 0.01
    lit = frames | (warm & (np.random.default_rng(2).random(frames.shape) < 0.1)).astype(np.uint8)
    excess = estimate(lit).mean(axis=(1, 2, 3)) / estimate(frames).mean(axis=(1, 2, 3))
    assert excess[0] > 1.15
    assert excess[8:].mean() < 1.05


def test_hot_pixels_and_resting_stars_are_left_out():
    frames = noise(0.005)
    rng = np.random.default_rng(1)
    hot = rng.random(SHAPE[1:]) < 0.005
    lit = frames | (hot & (rng.random(frames.shape) < 0.5)).astype(np.uint8)
    assert lit.mean() > 1.4 * frames.mean()
    assert estimate(lit).mean() == pytest.approx(estimate(frames).mean(), rel=0.1)


def test_uneven_pixels_count_with_their_mean():
    spread = np.exp(0.5 * np.random.default_rng(2).standard_normal(SHAPE[1:]))
    assert estimate(noise(0.01 * spread / spread.mean())).mean() == pytest.approx(0.01, rel=0.1)


def test_polarities_and_places_are_kept_apart():
    rate = np.full(SHAPE[1:], 0.002)
    rate[1] = 0.01
    rate[:, :, 64:] *= 5
    rates = estimate(noise(rate)).mean(axis=0)
    assert rates[0, :, :3].mean() == pytest.approx(0.002, rel=0.15)
    assert rates[0, :, 5:].mean() == pytest.approx(0.01, rel=0.15)
    assert rates[1, :, :3].mean() == pytest.approx(0.01, rel=0.15)
    assert rates[1, :, 5:].mean() == pytest.approx(0.05, rel=0.15)


def test_it_knows_the_past_only():
    frames = with_blob(noise(0.01, windows=6))
    whole = estimate(frames)
    for k in (1, 3, 5):
        other = frames.copy()
        other[k:] = 1 - other[k:]
        assert np.array_equal(estimate(other)[:k], whole[:k])
        assert not np.array_equal(estimate(other)[k], whole[k])


def test_the_first_window_is_its_own_estimate_and_later_ones_are_half_new():
    quiet, loud = noise(0.005, windows=1), noise(0.04, windows=1, seed=1)
    first = estimate(np.concatenate([quiet, loud, loud, loud, loud]))
    assert np.array_equal(first[0], estimate(quiet)[0])
    alone = estimate(loud)[0].mean()
    shares = [(rates.mean() - alone) / (first[0].mean() - alone) for rates in first]
    assert shares == pytest.approx([1, 0.5, 0.25, 0.125, 0.0625], abs=0.04)


def test_windows_can_come_in_parts():
    frames = with_blob(noise(0.01, windows=7))
    estimator = Background()
    parts = [estimator.update(frames[:2]), estimator.update(frames[2:2]), estimator.update(frames[2:])]
    assert np.array_equal(np.concatenate(parts), estimate(frames))


def test_windows_can_come_as_lists():
    frames = with_blob(noise(0.01, windows=7)).astype(np.uint16) * np.uint16(3)
    estimator, events = Background(), SparseFrames.of(frames)
    first, last = events.part(0, 3), events.part(4, 7)
    parts = [estimator.update_listed(first), estimator.update(frames[3:4]), estimator.update_listed(last)]
    assert np.array_equal(np.concatenate(parts), estimate(frames)) and parts[0].any()


def test_silence_is_zero_and_nothing_is_nothing():
    assert not estimate(np.zeros((3, 10, 2, 20, 34), np.uint8)).any()
    empty = estimate(np.zeros((0, 10, 2, 20, 34), np.uint8))
    assert empty.shape == (0, 2, 2, 3)
    assert empty.dtype == np.float32


def test_a_frame_that_is_full_counts_one_per_pixel_and_step():
    assert estimate(np.ones((2, 10, 2, 34, 34), np.uint8)) == pytest.approx(1.0)


def test_counts_are_counted():
    counts = np.random.default_rng(0).poisson(2.0, (4, *SHAPE)).astype(np.uint16)
    assert estimate(counts).mean() == pytest.approx(2.0, rel=0.05)


def test_the_frames_are_left_as_they_were():
    frames = with_blob(noise(0.01, windows=2))
    before = frames.copy()
    estimate(frames)
    assert np.array_equal(frames, before)


@pytest.mark.parametrize("size", [(180, 240), (240, 304), (34, 34), (34, 240), (5, 7), (16, 17), (1, 1)])
@pytest.mark.parametrize("block", [16, 5])
def test_the_thresholds_of_the_first_layer_see_the_same_blocks(size, block):
    grid = estimate(np.zeros((1, 1, 1, *size), np.uint8), block).shape[-2:]
    side = block_side(size, grid)
    rates = np.arange(1, grid[0] * grid[1] + 1, dtype=np.float32).reshape(1, 1, *grid) / 1024
    theta = adaptive_threshold(torch.zeros(1), torch.ones(1, 1, 1, 1), torch.from_numpy(rates), size, 0.0).expand(size)
    y, x = np.mgrid[: size[0], : size[1]]
    assert np.array_equal(theta[0, 0].numpy(), rates[0, 0][y // side, x // side])


def slow_estimate(frames, block):
    """The definition, with scipy's filters over all pixels."""
    height, width = frames.shape[-2:]
    grid = -(-height // block), -(-width // block)
    side = block_side((height, width), grid)
    rows, columns = np.arange(0, height, side), np.arange(0, width, side)
    pixels = np.diff(np.append(rows, height))[:, None] * np.diff(np.append(columns, width))

    def means(values):
        return np.add.reduceat(np.add.reduceat(values.astype(float), rows, axis=-2), columns, axis=-1) / pixels

    def typical(blocks):
        return median_filter(blocks, size=(1, 3, 3), mode="nearest")

    def unusual(events):
        usual = typical(means(events))
        limit = 3.0 * usual + 4.0 * np.sqrt(usual) + 2.0
        spread = np.repeat(np.repeat(limit, side, axis=-2), side, axis=-1)[..., :height, :width]
        return np.any(events > spread, axis=0, keepdims=True)

    total, rate, found = np.zeros(frames.shape[2:]), None, []
    for window in frames:
        fired = window.sum(axis=0, dtype=float)
        total = total + fired
        quiet = ~maximum_filter(unusual(fired) | unusual(total), size=(1, 5, 5))
        share = means(quiet)
        with np.errstate(divide="ignore", invalid="ignore"):
            own = np.where(share > 0, means(fired * quiet) / share, typical(means(fired))) / len(window)
        rate = own if rate is None else 0.5 * rate + 0.5 * own
        found.append(typical(rate))
    return np.array(found, np.float32)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, bool, np.int64, np.float32])
@pytest.mark.parametrize("shape, block", [((1, 2, 5, 7), 16), ((3, 2, 33, 47), 16), ((2, 1, 17, 40), 4), ((2, 2, 1, 1), 1)])
def test_the_loops_give_what_the_definition_says(shape, block, dtype):
    rng = np.random.default_rng(4)
    rate = np.full((6, *shape), 0.02)
    rate[:, :, :, ::5, ::7] = 0.8  # hot pixels, in the corner and at the border too
    rate[3:5] *= 3.0
    frames = rng.poisson(rate)
    frames = np.minimum(frames, 1).astype(dtype) if dtype in (np.uint8, bool) else frames.astype(dtype)
    frames[5] = 0
    assert estimate(frames, block).tobytes() == slow_estimate(frames, block).tobytes()


def test_a_part_of_a_larger_array_is_estimated_alike():
    frames = noise(0.01, windows=3)
    frames.flags.writeable = False
    assert np.array_equal(estimate(frames[..., ::2, 3:70]), estimate(frames[..., ::2, 3:70].copy()))


def test_importing_the_module_compiles_nothing():
    code = "import sys, spikeseg.data.frames.background; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
