"""The table of objects that `detect` prints."""

import numpy as np
import pytest

from pipelines.commands.what_moved import MOST_ROWS, print_objects
from spikeseg.detection.schema import OBJECT_COLUMNS, OBJECTS, OTHER, STAR, TRACK_COLUMNS, TRACKS, table_dtype
from spikeseg.detection.table_text import csv_text


@pytest.fixture
def found(tmp_path, capsys):
    """Print the objects of a folder that holds n of them, of falling confidence."""

    def printed(n, counts=None, class_name="", *, scores=(), others=STAR, seconds=1.24, start_us=0):
        table = np.zeros(n, table_dtype(OBJECT_COLUMNS, "a", class_name))
        table["recording"], table["object_id"], table["class_name"] = "a", np.arange(n) + 3, class_name
        table["t_start_us"], table["t_end_us"] = start_us + 50_000, start_us + 1_250_000
        table["x_start"], table["x_end"], table["y_end"] = -0.4, 120.6, 7.4
        table["speed"], table["speed_rel"], table["confidence"], table["events"] = 80.06, 78.1, 1 - np.arange(n) / 1000, 412
        (tmp_path / OBJECTS).write_text(csv_text(OBJECT_COLUMNS, [table]))
        tracks = np.zeros(len(scores), table_dtype(TRACK_COLUMNS, "a", ""))
        tracks["object_score"] = scores
        (tmp_path / TRACKS).write_text(csv_text(TRACK_COLUMNS, [tracks]))
        counts = {
            name: {"start_us": start_us, "end_us": start_us + 2_000_000, **own}
            for name, own in (counts or {"a": {"tracks": n + 21}}).items()
        }
        print_objects(tmp_path, counts, others=others, seconds=seconds)
        return capsys.readouterr().out.splitlines()

    return printed


def test_a_row_for_each_object_and_what_was_counted(found):
    heading, line, first, second, end = found(2)
    assert heading.split()[:3] == ["object", "seen", "(s)"] and set(line) <= {"-", " "}
    assert first.split() == "3 0.05 - 1.25 0, 0 121, 7 80.1 78.1 1.00 412".split() and second.split()[0] == "4"
    assert end == "2 objects, 21 stars, 1.2 s of work"


def test_times_of_a_clock_that_stands_far_off_are_counted_from_the_first_event(found):
    _, _, row, note, _ = found(1, start_us=1_700_000_000_000_000)
    assert " 0.05 - 1.25 " in row and note == "times are counted from the first event"


def test_in_scenes_there_are_no_stars(found):
    assert (
        "stars" not in "".join(found(1, others=OTHER))
        and found(1, others=OTHER)[-1] == "1 object, 21 other tracks, 1.2 s of work"
    )
    assert found(1, {"a": {"tracks": 1}}, others=OTHER)[-1] == "1 object, 0 other tracks, 1.2 s of work"


def test_where_nothing_is_found_what_else_to_try(found):
    assert found(0, {"a": {"tracks": 3}}, scores=[0.1, 0.314, 0.2], seconds=None) == [
        "0 objects, 3 stars, done before",
        "the track that comes nearest to an object has an object_score of 0.31, see tracks.csv; this looked for points that move "
        "among stars; --network scenes finds whole objects of any size",
    ]
    assert found(0, {"a": {"tracks": 0}}, others=OTHER)[1:] == [
        "this looked for whole objects that move; --network nights finds points on a night sky"
    ]


def test_recordings_and_classes_are_named_where_there_are_any(found):
    heading, _, row, end = found(1, {"a": {"tracks": 1}, "b": {"tracks": 2}}, "satellite")
    assert heading.split()[0] == "recording" and heading.split()[-1] == "class"
    assert row.split()[0] == "a" and row.split()[-1] == "satellite" and end == "1 object, 2 stars, 2 recordings, 1.2 s of work"


def test_of_very_many_those_of_the_highest_confidence_are_printed_in_their_order(found):
    _, _, *rows, more, _ = found(MOST_ROWS + 5)
    assert [int(row.split()[0]) for row in rows] == list(range(3, MOST_ROWS + 3)) and more.startswith("and 5 more in ")
