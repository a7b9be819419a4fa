"""Footprints: shares, displacement, spread, and what is refused."""

import numpy as np
import pytest

from spikeseg.motion.footprint import BLUR_LEAST, REACH, SIDE, SIGMA_PX, Footprint

MIDDLE = np.arange(SIDE) - REACH


def test_a_point_has_on_ahead_and_off_behind():
    share = Footprint.point(1.5, 0.9).share
    assert share.shape == (2, SIDE, SIDE) and share.sum() == pytest.approx(1) and (share >= 0).all()
    assert share[0].sum() == pytest.approx(share[1].sum()) and np.allclose(share[0], share[1, :, ::-1])
    assert np.allclose(share, share[:, ::-1])  # nothing tells one side of the path from the other
    off, on = ((part.sum(0) * MIDDLE).sum() / part.sum() for part in share)
    assert on == pytest.approx(1.5, abs=0.01) and off == pytest.approx(-1.5, abs=0.01)


@pytest.mark.parametrize("move", [0.0, 0.7, 1.5, -2.0])
@pytest.mark.parametrize("sigma", [0.8, SIGMA_PX, 1.5])
def test_displacement_and_spread_are_measured(move, sigma):
    footprint = Footprint.point(move, sigma)
    assert footprint.displacement() == pytest.approx((move, -move), abs=0.02)
    assert footprint.sigma() == pytest.approx(np.hypot(sigma, 12**-0.5), rel=0.02)  # a pixel is as wide as it is


def test_the_spread_has_a_least_value():
    lone = np.zeros((2, SIDE, SIDE))
    lone[0, REACH, REACH - 2], lone[1, REACH, REACH + 2] = 3.0, 1.0
    footprint = Footprint.normalised(lone)
    assert footprint.sigma() == BLUR_LEAST and footprint.displacement() == (2.0, -2.0)


def test_a_box_is_flat_over_its_square_and_knows_no_polarity():
    for side in (1, 3, 4, 5):
        share = Footprint.box(side).share
        across = share.sum((0, 1))
        assert share.sum() == pytest.approx(1) and np.array_equal(share[0], share[1])
        assert across.sum() / across.max() == pytest.approx(side) and across[REACH] == across.max()
        assert np.allclose(across, across[::-1]) and not across[np.abs(MIDDLE) > side / 2 + 0.5].any()
    assert Footprint.box().displacement() == pytest.approx((0.0, 0.0))


def test_merged_polarities_are_alike():
    merged = Footprint.point(1.5).merged()
    assert np.array_equal(merged.share[0], merged.share[1]) and merged.share.sum() == pytest.approx(1)
    assert np.allclose(merged.share.sum(0), Footprint.point(1.5).share.sum(0))
    assert merged.displacement() == pytest.approx((0.0, 0.0), abs=1e-9) and merged.sigma() > Footprint.point(1.5).sigma()


def test_an_object_of_one_polarity_has_no_displacement_of_the_other():
    only_on = Footprint.point(1.0).share * np.array([0.0, 1.0])[:, None, None]
    assert Footprint.normalised(only_on).displacement() == pytest.approx((1.0, 0.0), abs=0.01)


def test_the_table_holds_the_shares_and_one_that_stands_still():
    footprint = Footprint.point(1.5)
    table = footprint.table((30, 20))
    assert table.density.shape == (3, SIDE, SIDE) and table.density.dtype == np.float64
    assert np.array_equal(table.density[:2], footprint.share)
    assert table.density[2].sum() == pytest.approx(0.5) and np.allclose(table.density[2], table.density[2].T)
    assert (table.on, table.off) == footprint.displacement() and table.sigma == footprint.sigma()
    assert (table.width, table.height) == (30.0, 20.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda share: share[:1], r"shape \(1, 13, 13\), must be \(2, 13, 13\)"),
        (lambda share: share[:, :, :-1], r"must be \(2, 13, 13\)"),
        (lambda share: 2 * share, "shares sum to 2, must be 1"),
        (lambda share: np.where(share == share.max(), np.nan, share), "finite numbers >= 0"),
        (lambda share: np.where(share == share.max(), -share, share), "finite numbers >= 0"),
    ],
)
def test_what_is_no_footprint_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Footprint(change(Footprint.point().share))


def test_what_differs_in_the_last_digit_gives_the_same_bits():
    """As exp does from processor to processor."""
    weights = np.exp(np.random.default_rng(3).standard_normal((2, SIDE, SIDE)))
    near = np.nextafter(weights, np.where(np.arange(SIDE) % 2, np.inf, 0.0))
    assert (near != weights).all()
    share = Footprint.normalised(weights).share
    assert np.array_equal(Footprint.normalised(near).share, share) and share.sum() == pytest.approx(1, abs=1e-7)
    assert share == pytest.approx(weights / weights.sum(), abs=2e-9)
