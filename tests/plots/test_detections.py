import itertools

import numpy as np
import pytest

from spikeseg.detection.readout import Readout
from spikeseg.detection.result import Detections
from spikeseg.detection.schema import DETECTION_COLUMNS, EVENT_COLUMNS, TRACK_COLUMNS, WINDOW_DTYPE, table_dtype
from spikeseg.detection.tables import object_table
from spikeseg.plots import rendered
from spikeseg.plots.colours import TIME
from spikeseg.plots.detections import SHOWN, STAR, detections_figure

ROWS = 5


def made(objects, stars, events=200, sensor_size=(60, 40), start_us=0):
    """Objects that move to the right and stars that move down, each in 5 detections of a second."""
    width, height = sensor_size
    rows = ROWS * (objects + stars)
    tracks = np.zeros(rows, table_dtype(TRACK_COLUMNS, "night"))
    number, step = np.divmod(np.arange(rows), ROWS)
    tracks["recording"], tracks["track_id"], tracks["t_us"] = "night", number + 1, start_us + step * 250_000
    tracks["is_object"] = number < objects
    tracks["object_score"] = np.where(number < objects, 0.9 - number / 100, 0.1)
    tracks["x"] = np.where(tracks["is_object"], (1 + step) * width / 8, (number * 7 + 3) % width)
    tracks["y"] = np.where(tracks["is_object"], (number * 5 + 2) % height, step * height / 8)
    tracks["width"] = tracks["height"] = 3
    rng = np.random.default_rng(0)
    columns = {name: np.zeros(events, column.dtype) for name, column in EVENT_COLUMNS.items()}
    columns["t"] = start_us + np.sort(rng.integers(0, 1_000_001, events))
    columns["x"], columns["y"] = (rng.integers(0, side, events).astype(np.int16) for side in sensor_size)
    columns["object_id"] = rng.integers(0, objects + 1, events).astype(np.int32)
    table = object_table(tracks, columns["object_id"])
    nothing = np.zeros(0, table_dtype(DETECTION_COLUMNS))
    return Detections(
        "night $5$", sensor_size, Readout(0.5, 0.5), (0.0, 0.0), np.zeros(0, WINDOW_DTYPE), nothing, tracks, table, columns
    )


@pytest.fixture(autouse=True)
def needs_matplotlib():
    pytest.importorskip("matplotlib")


def panel(figure, title):
    (axes,) = (axes for axes in figure.axes if axes.get_title().startswith(title))
    return axes


def test_events_stand_on_the_left_and_what_moved_on_the_right():
    found = made(2, 3)
    figure = detections_figure(found, "star")
    counts = np.zeros((40, 60))
    np.add.at(counts, (found.event_columns["y"], found.event_columns["x"]), 1)
    assert np.allclose(panel(figure, "events").images[0].get_array(), np.log1p(counts))
    right = panel(figure, "2 objects, 3 stars")
    stars, *ways = right.collections[0], *(ways for ways in right.collections[2:])
    assert len(stars.get_segments()) == 3 and len(ways) == 2
    grey = (float(STAR),) * 3
    assert np.allclose(stars.get_colors()[:, :3], grey) and stars.get_linewidths()[0] < 1 < ways[0].get_linewidths()[0]
    rows = found.tracks[found.tracks["track_id"] == 2]
    ends = np.array(ways[1].get_segments())[:, 1]
    assert np.allclose(ends, np.stack([rows["x"], rows["y"]], 1)[1:])


def test_objects_are_coloured_by_time_and_point_where_they_went():
    from matplotlib import colormaps

    found = made(1, 0)
    figure = detections_figure(found)
    right = panel(figure, "1 object, no other track")
    last = found.event_columns["t"][-1]
    shares = np.arange(1, ROWS) * 250_000
    first = found.event_columns["t"][0]
    assert np.allclose(right.collections[2].get_colors(), colormaps[TIME]((shares - first) / (last - first)), atol=0.01)
    head = right.lines[-1]
    tip, *rest = head.get_marker().vertices[[1, 0, 2, 3]]
    assert np.allclose(tip, (1, 0)) and all(x < 0 for x, _ in rest)
    assert (head.get_xdata()[0], head.get_ydata()[0]) == (ROWS * 60 / 8, 2)


@pytest.mark.parametrize(("step", "points_to"), [((1, 0), (1, 0)), ((0, 1), (0, -1)), ((-1, -1), (-(0.5**0.5), 0.5**0.5))])
def test_arrow_heads_point_along_the_last_of_the_way_and_y_points_down(step, points_to):
    found = made(1, 0, sensor_size=(40, 40))
    found.tracks["x"], found.tracks["y"] = (20 + 3 * direction * np.arange(ROWS) for direction in step)
    head = panel(detections_figure(found), "1 object").lines[-1]
    assert np.allclose(head.get_marker().vertices[1], points_to)


def test_every_object_has_its_number_and_the_surest_their_times_confidence_and_strip():
    found = made(12, 1, sensor_size=(240, 180))
    figure = detections_figure(found)
    labels = [text.get_text() for text in panel(figure, "12 objects").texts]
    assert labels[0] == "1: 0.90\n0.000–1.000 s" and labels[SHOWN:] == ["9", "10", "11", "12"]
    strips = [axes.get_title() for axes in figure.axes if "confidence" in axes.get_title()]
    assert len(strips) == SHOWN
    events = np.count_nonzero(found.event_columns["object_id"] == 1)
    speed = found.objects["speed"][0]
    assert strips[0] == f"1: 0.000–1.000 s, {speed:.1f} px/s, confidence 0.90, {events} events"
    texts = " ".join(text.get_text() for text in figure.texts)
    assert "each of the 8 surest of 12 objects" in texts and "240 x 180 px, 0.9945 s, 200 events" in texts


def test_no_panel_covers_another_whatever_the_sensor():
    for sensor_size in ((34, 34), (1280, 16), (16, 1280), (240, 180)):
        figure = detections_figure(made(3, 1, sensor_size=sensor_size))
        places = [axes.get_position() for axes in figure.axes]
        assert len(places) == 7 and all(0 <= p.x0 and p.x1 <= 1 and 0 <= p.y0 and p.y1 <= 1 for p in places)
        assert not any(a.overlaps(b) for a, b in itertools.combinations(places, 2))
        assert min(p.width * 12 for p in places) > 1 and figure.get_size_inches()[1] < 16


def test_an_empty_recording_and_one_without_an_object_say_so():
    def said(found):
        figure = detections_figure(found)
        return [text.get_text() for axes in figure.axes for text in axes.texts], figure

    texts, figure = said(made(0, 0, events=0))
    assert texts == ["the recording holds no events", "no object was found"]
    assert panel(figure, "no events") and panel(figure, "no object, no other track")
    texts, figure = said(made(0, 4))
    assert texts == ["no object was found"] and panel(figure, "no object, 4 other tracks") and len(figure.axes) == 4
    assert said(made(0, 0, events=1))[0] == ["no object was found"]


def test_times_of_an_absolute_clock_are_counted_from_the_first_event():
    figure = detections_figure(made(1, 0, start_us=1_700_000_000_000_000))
    assert any("s from 1700000000.0" in text.get_text() for text in figure.texts)
    assert "time from the first event (s)" in {axes.get_xlabel() for axes in figure.axes}


def test_equal_detections_are_equal_bytes():
    assert rendered(detections_figure(made(1, 1)), dpi=30) == rendered(detections_figure(made(1, 1)), dpi=30)
