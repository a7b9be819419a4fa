"""Panels alone and in one picture; the sheet of filters."""

import warnings

import numpy as np
import pytest

from spikeseg.plots import rendered
from spikeseg.plots.panels import PAGE, Group, Panel, joined, panel_figure
from spikeseg.plots.patterns import ROWS, SHOWN, Patterns, pattern_groups, sheet

pytest.importorskip("matplotlib")


def drawn(seen, name):
    def draw(figure):
        seen.append(name)
        figure.subplots().plot([0, 1])

    return draw


def test_panels_stand_alone_or_in_lines_below_the_titles_of_their_groups():
    seen = []
    wide = [Panel(PAGE / 2 - 0.1, 1, drawn(seen, k), "what $it shows") for k in range(3)]
    groups = [Group("one $", wide), Group("", [Panel(1, 2, drawn(seen, 3))])]
    figure = joined(groups)
    assert seen == [0, 1, 2, 3] and figure.get_size_inches()[0] == pytest.approx(PAGE - 0.2)
    assert len(figure.subfigs) == 3  # two lines of the first group, one of the second
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rendered(figure, dpi=20) == rendered(joined(groups), dpi=20)
        alone = panel_figure(wide[0])
    assert tuple(alone.get_size_inches()) == (wide[0].width, 1) and alone.axes[0].get_position().width > 0.7


def test_patterns_are_cut_into_panels_and_the_first_ones_shown():
    drive = np.zeros((100, 2, 8, 8))
    drive[5, 1, 2, 3] = 1
    (group,) = pattern_groups([Patterns("conv2", drive, [f"{k}" for k in range(100)], np.zeros(100, bool))])
    assert group.title == f"conv2 (the first {SHOWN})" and len(group.panels) == SHOWN / (6 * ROWS)
    axes = panel_figure(group.panels[0]).axes[0]
    assert len(axes.images) == 6 * ROWS and [text.get_text() for text in axes.texts[:2]] == ["0", "1"]
    assert axes.images[5].get_array()[2, 3, 2] < 0.1 < 0.9 < axes.images[4].get_array().min()


def test_a_sheet_is_a_picture_of_pixels_with_every_map():
    drive = np.zeros((3, 2, 4, 5))
    drive[2, 0, 1, 1] = 2.0  # OFF: blue
    picture = sheet(drive)
    scale = picture.shape[0] // 11
    assert picture.dtype == np.uint8 and picture.shape == (11 * scale, 13 * scale, 3) and min(picture.shape[:2]) > 300
    small = picture[::scale, ::scale]
    red, _, blue = small[6 + 1, 1 + 1]  # the third map lies below the first
    assert red < 10 and blue > 150 and (small[1:5, 1:6] == 255).all() and (small[0] == 204).all()
