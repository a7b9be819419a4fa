"""Reviews: read with all that can be wrong in them, and matched with the objects of another result."""

import json

import numpy as np
import pytest

from spikeseg.errors import InputError
from spikeseg.viewing.review import Mark, matched, read_review

GOOD = {"object_id": 3, "mark": "right", "t_us": [10, 20], "x": [1.5, 2], "y": [3, 4]}


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_review_is_read(tmp_path):
    review = read_review(written(tmp_path / "a", {"version": 1, "recording": "night", "sensor_size": [2, 2], "marks": [GOOD]}))
    (mark,) = review.marks
    assert (review.recording, mark.object_id, mark.mark) == ("night", 3, "right")
    assert mark.t_us.tolist() == [10, 20] and mark.x.tolist() == [1.5, 2.0] and mark.y.tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "cannot be read as a review"),
        ("[1]", "is no review"),
        ({"version": 2, "recording": "n", "marks": []}, "version: found 2"),
        ({"version": 1, "recording": 3, "marks": []}, "recording must be a name"),
        ({"mark": "good"}, "marks[0].mark: found 'good', must be one of right, wrong, unsure"),
        ({"object_id": -1}, "marks[0].object_id: found -1"),
        ({"object_id": True}, "marks[0].object_id: found True"),
        ({"x": [1, "2"]}, "marks[0].x: must be a list of finite numbers"),
        ({"x": [1, float("nan")]}, "marks[0].x: must be a list of finite numbers"),
        ({"y": [1]}, "equally many"),
        ({"t_us": [20, 20]}, "must rise"),
        ({"t_us": [], "x": [], "y": []}, "at least one"),
    ],
)
def test_what_is_wrong_in_a_review_is_named(tmp_path, content, told):
    if isinstance(content, dict) and "version" not in content:
        content = {"version": 1, "recording": "n", "marks": [{**GOOD, **content}]}
    with pytest.raises(InputError) as caught:
        read_review(written(tmp_path / "bad.review.json", content))
    assert told in str(caught.value) and "bad.review.json" in str(caught.value)


def mark_of(rows, shift=0.0, part=slice(None)):
    rows = rows[part]
    return Mark(99, "right", rows["t_us"], rows["x"] + shift, rows["y"])


@pytest.fixture
def tracks(night):
    """Rows by number of each object."""
    return {number: night.tracks[night.tracks["track_id"] == number] for number in night.object_ids}


def test_marks_follow_the_way_of_an_object_not_its_number(tracks):
    renumbered = {7: tracks[2], 8: tracks[1], 9: tracks[4]}
    first, second = mark_of(tracks[1], shift=2.5), mark_of(tracks[2], part=slice(0, 7))
    found, lost = matched([first, second], renumbered)
    assert found == {8: first, 7: second} and lost == []


def test_what_went_elsewhere_or_at_another_time_is_not_found(tracks):
    elsewhere = mark_of(tracks[1], shift=7.0)
    brief = mark_of(tracks[2], part=slice(0, 2))
    late = Mark(1, "right", tracks[4]["t_us"] + 700_000, tracks[4]["x"], tracks[4]["y"])
    found, lost = matched([elsewhere, brief, late], tracks)
    assert found == {2: brief}  # all of its life, however short, was there
    assert lost == [elsewhere, late]
    assert matched([], tracks) == ({}, []) and matched([brief], {}) == ({}, [brief])


def test_a_larger_object_may_be_further_off(tracks):
    large = {1: tracks[1].copy()}
    large[1]["width"] = 16
    mark = mark_of(tracks[1], shift=7.0)
    assert matched([mark], large) == ({1: mark}, [])


def test_of_two_marks_of_one_way_the_closer_one_is_the_objects(tracks):
    near, nearer = mark_of(tracks[1], shift=1.0), mark_of(tracks[1], shift=0.5)
    assert matched([near, nearer], {1: tracks[1]}) == ({1: nearer}, [near])


def test_a_single_point_is_found(tracks):
    rows = tracks[1][:1]
    point = Mark(1, "wrong", rows["t_us"], np.array([2.9]), np.array([5.0]))
    assert matched([point], tracks)[0] == {1: point}
