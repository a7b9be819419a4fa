"""Which velocities a scale covers, and how its sums are built."""

import numpy as np
import pytest

from spikeseg.motion.scales import (
    DEEP_SCALES,
    DEFAULT_SCALES,
    FAST,
    LEVELS,
    MEDIUM,
    PATIENT,
    SECTORS,
    SLOW,
    SUBSLICES,
    Scale,
    Wiring,
    directions,
    sector,
)

ALL = (FAST, MEDIUM, PATIENT, SLOW)


def unfolded(wiring):
    """Of every map and sub-slice, the image that is read and the cells by which it lies further: (K, 16) and (K, 16, 2)."""
    image, offset = np.arange(SECTORS + 1)[:, None], np.zeros((SECTORS + 1, 1, 2), np.int64)
    for first, further in wiring.sums:
        image = np.concatenate([image[first], image[first]], 1)
        offset = np.concatenate([offset[first], offset[first] + further[:, None]], 1)
    return image, offset


@pytest.mark.parametrize("scale", ALL)
def test_velocities_fill_the_ring_between_the_slowest_and_the_fastest(scale):
    velocity = Wiring.of(scale).velocity
    speed = np.hypot(*velocity.T)
    assert speed.min() >= scale.slowest and speed.max() <= scale.fastest
    assert len(np.unique(velocity, axis=0)) == len(velocity)
    step = scale.velocity_step
    rng = np.random.default_rng(0)
    angle, asked = rng.uniform(0, 2 * np.pi, 500), np.sqrt(rng.uniform(scale.slowest**2, scale.fastest**2, 500))
    wanted = asked[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    nearest = np.hypot(*(wanted[:, None] - velocity).transpose(2, 0, 1)).min(1)
    inside = (asked >= scale.slowest + step) & (asked <= scale.fastest - step)
    assert nearest[inside].max() <= step * np.sqrt(0.5) + 1e-9 and nearest.max() < 1.5 * step


@pytest.mark.parametrize("scales", [DEFAULT_SCALES, DEEP_SCALES])
def test_the_scales_together_leave_no_speed_out(scales):
    spans = sorted((scale.slowest, scale.fastest) for scale in scales)
    assert spans[0][0] == 0 and max(fastest for _, fastest in spans) >= 120
    reached = 0.0
    for slowest, fastest in spans:
        assert slowest <= reached
        reached = max(reached, fastest)


@pytest.mark.parametrize("scale", ALL)
def test_maps_are_in_rows_of_vy_then_vx(scale):
    wiring = Wiring.of(scale)
    assert np.array_equal(np.lexsort(wiring.displacement.T), np.arange(len(wiring.displacement)))
    assert np.array_equal(wiring.velocity, wiring.displacement * scale.cell_px / scale.interval_s)


@pytest.mark.parametrize("scale", [*ALL, Scale(1.0, 1, 0.0, 60.0)])
def test_sums_follow_the_motion_within_a_cell(scale):
    wiring = Wiring.of(scale)
    assert len(wiring.sums) == LEVELS
    image, offset = unfolded(wiring)
    assert image.shape == (len(wiring.displacement), SUBSLICES)
    assert (image == [[sector(dx, dy)] for dx, dy in wiring.displacement.tolist()]).all()
    away = offset - wiring.displacement[:, None] * np.arange(SUBSLICES)[:, None] / SUBSLICES
    assert np.abs(away).max() <= 17 / 16 and np.abs(away.mean(1)).max() <= 0.6


def test_maps_share_their_sums():
    """Of the 1257 maps few different halves are left."""
    wiring = Wiring.of(MEDIUM)
    sizes = [len(sums.first) for sums in wiring.sums]
    assert sizes[-1] == len(wiring.displacement) == 1257 and sizes[0] < sizes[1] < sizes[2] < sizes[3] / 2
    for below, sums in zip(sizes[:-1], wiring.sums[1:], strict=True):
        assert set(sums.first.tolist()) == set(range(below))


@pytest.mark.parametrize(
    ("move", "expected"),
    [((0, 0), 8), ((3, 0), 0), ((2, 2), 1), ((0, 5), 2), ((-7, 1), 4), ((-1, 0), 4), ((0, -2), 6), ((9, -1), 0)],
)
def test_sectors_count_from_x_towards_y(move, expected):
    assert sector(*move) == expected
    unit = directions()[expected]
    if any(move):
        assert unit @ move / np.hypot(*move) >= np.cos(np.pi / SECTORS) - 1e-12
    else:
        assert not unit.any()
