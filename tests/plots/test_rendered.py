import warnings

import numpy as np
import pytest

from spikeseg.errors import InputError
from spikeseg.plots import FORMATS, new_figure, rendered, short


def figure():
    drawn = new_figure(2, 1)
    axes = drawn.subplots()
    axes.plot([0, 1], [0, 2])  # clipped: svg names the path of the clip
    axes.imshow(np.eye(3), extent=(0, 1, 0, 2), aspect="auto")
    return drawn


@pytest.mark.parametrize("form", FORMATS)
def test_equal_figures_are_equal_bytes_without_a_date(form):
    pytest.importorskip("matplotlib")
    content = rendered(figure(), form, 20)
    assert content == rendered(figure(), form, 20)
    assert content[:5] in (b"\x89PNG\r", b"%PDF-", b"<?xml")
    assert b"Date" not in content and b"<dc:date>" not in content and b"Software" not in content


def test_a_notebook_shows_it():
    assert figure()._repr_png_() == rendered(figure(), dpi=72)


def test_a_name_in_letters_that_the_font_lacks_is_drawn_without_a_warning():
    drawn = figure()
    drawn.suptitle("\u591c", parse_math=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rendered(drawn, dpi=20).startswith(b"\x89PNG")


def test_a_long_name_loses_its_middle():
    assert short("a" * 20 + "b" * 20, 13) == "aaaaa...bbbbb" and short("night", 13) == "night"


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"spikeseg\[plots\]"):
        new_figure(1, 1)
