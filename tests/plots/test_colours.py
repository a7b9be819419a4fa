import numpy as np
import pytest

from spikeseg.plots import new_figure
from spikeseg.plots.colours import brightest, counts_bar, draw_counts, interpolation


def test_hot_pixels_alone_or_in_pairs_do_not_stretch_the_scale():
    counts = np.random.default_rng(0).integers(0, 4, (20, 30))
    end = brightest(counts)
    assert end == 3
    counts[4, 7], counts[12, 20:22] = 9000, 8000
    assert brightest(counts) == end


@pytest.mark.parametrize("trail", [np.eye(9, dtype=int), np.eye(1, 9, dtype=int).T + np.zeros((9, 9), int)])
def test_a_trail_one_pixel_wide_reaches_the_end_of_the_scale(trail):
    assert brightest(50 * trail) == 50


def test_the_scale_of_nothing_ends_at_one_event():
    assert brightest(np.zeros((3, 5), int)) == brightest(np.zeros((1, 1), int)) == 1


@pytest.mark.parametrize(("most", "extend"), [(30, "neither"), (31, "max")])
def test_the_scale_is_in_events_and_says_where_pixels_exceed_it(most, extend):
    pytest.importorskip("matplotlib")
    axes = new_figure(3, 2).subplots()
    image = draw_counts(axes, np.array([[0, 30]]), 30)
    counts_bar(image, most, ax=axes)
    bar = image.colorbar
    assert bar.extend == extend
    assert [tick.get_text() for tick in bar.ax.get_yticklabels()] == ["0", "1", "3", "10", "30"]
    assert np.allclose(bar.get_ticks(), np.log1p([0, 1, 3, 10, 30]))


def test_pixels_are_squares_until_they_are_too_many():
    assert interpolation(np.zeros((180, 240))) == "nearest" and interpolation(np.zeros((720, 1280))) == "antialiased"
