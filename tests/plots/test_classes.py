"""The contact sheet of classes."""

import io

import numpy as np
import pytest

from spikeseg.errors import InputError
from spikeseg.plots.classes import classes_png, example_colours
from spikeseg.plots.colours import BESIDE, BOTH, OFF, ON, drive_colours

matplotlib = pytest.importorskip("matplotlib")


def luminance(colour) -> float:
    return float(np.dot(colour, (0.2126, 0.7152, 0.0722)))


def test_colours_tell_polarities_apart_and_the_stronger_is_the_darker():
    off = np.array([[0.0, 2.0, 0.0, 1.0, 0.0]])
    on = np.array([[2.0, 0.0, 1.0, 1.0, 0.0]])
    (strong_on, strong_off, weak_on, both, nothing) = drive_colours(off, on)[0]
    assert np.allclose(strong_on, ON) and np.allclose(strong_off, OFF) and np.allclose(both, BOTH) and np.allclose(nothing, 1)
    assert np.allclose(weak_on, (1 + np.array(ON)) / 2)
    assert luminance(strong_on) < luminance(weak_on) < luminance(nothing)


def test_colours_do_not_hang_on_red_and_green():
    """Blue tells the two polarities apart, which those who confuse red and green see."""
    assert OFF[2] - ON[2] > 0.5


def test_nothing_is_white():
    assert (drive_colours(np.zeros((3, 4)), np.zeros((3, 4))) == 1).all()


def example(**changes):
    plane = [[0, 0], [0, 0]]
    numbers = {"recording": "night", "t_start_us": 1_500_000, "t_end_us": 1_600_000, "x": 3.0, "y": 4.0, "events": 2}
    return {**numbers, "off": plane, "on": plane, "saliency": plane, **changes}


def test_events_that_did_not_drive_the_class_are_light():
    (first, second), (third, fourth) = example_colours(
        example(on=[[1, 1], [0, 0]], off=[[0, 0], [1, 0]], saliency=[[0, 5.0], [0, 0]])
    )
    assert np.allclose(first, BESIDE) and np.allclose(second, ON) and np.allclose(third, BESIDE) and (fourth == 1).all()


def entry(number, n_examples, name=""):
    prototype = {"off": [[0.0, 1.0], [0.0, 0.0]], "on": [[0.5, 0.0], [0.0, 0.0]]}
    counts = {"wins": 3, "windows_won": 2, "spikes": 9}
    return {"class_id": number, "class_name": name, "prototype": prototype, "examples": [example()] * n_examples, **counts}


def size(png):
    return matplotlib.image.imread(io.BytesIO(png)).shape[:2]


@pytest.mark.parametrize("trained", [True, False])
def test_a_sheet_has_a_row_per_class_whatever_it_answered_to(trained):
    content = {"trained": trained, "windows": 5, "classes": [entry(0, 4, "a satellite, or so"), entry(1, 0), entry(2, 1)]}
    assert classes_png(content).startswith(b"\x89PNG") and classes_png(content) == classes_png(content)
    one = {**content, "classes": content["classes"][:1]}
    assert size(classes_png(content))[0] > 2 * size(classes_png(one))[0]


def test_many_classes_stand_side_by_side():
    few, many = ({"trained": True, "windows": 5, "classes": [entry(k, 1) for k in range(n)]} for n in (10, 12))
    assert size(classes_png(many))[1] > size(classes_png(few))[1] and size(classes_png(many))[0] < size(classes_png(few))[0]


def test_classes_that_answer_to_nothing_are_drawn():
    assert classes_png({"trained": True, "windows": 0, "classes": [entry(0, 0)]})


def test_without_matplotlib_it_is_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match="plots"):
        classes_png({"trained": True, "windows": 0, "classes": []})
