import numpy as np
import pytest

from spikeseg.plots import new_figure
from spikeseg.plots.labels import Label, place_labels


def panel():
    pytest.importorskip("matplotlib")
    axes = new_figure(5, 4, laid_out=False).add_axes((0.1, 0.1, 0.8, 0.8))
    axes.set(xlim=(0, 100), ylim=(80, 0))
    return axes


def boxes(axes):
    """Of the texts alone, without their lines to the points."""
    renderer = axes.figure.canvas.get_renderer()
    return [super(type(note), note).get_window_extent(renderer) for note in axes.texts]


def test_labels_of_points_close_together_and_at_the_edges_or_outside_lie_apart_within_the_panel():
    axes, rng = panel(), np.random.default_rng(3)
    places = [*rng.uniform(45, 55, (12, 2)), (0, 0), (100, 0), (0, 80), (100, 80), (0, 80), (50, 95), (-4, 120)]
    place_labels(axes, [Label(f"{k}: 0.97\n1.25–3.50 s", x, y) for k, (x, y) in enumerate(places)], np.array(places))
    drawn = boxes(axes)
    assert len(drawn) == len(places)
    assert all(0 <= note.xy[0] <= 100 and 0 <= note.xy[1] <= 80 for note in axes.texts)  # others would not be drawn
    for number, box in enumerate(drawn):
        assert axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1
        assert not any(box.overlaps(other) for other in drawn[:number])


def test_a_label_keeps_off_the_points():
    axes, way = panel(), np.stack([np.linspace(50, 100, 200), np.full(200, 40.0)], 1)
    place_labels(axes, [Label("1", 50, 40)], way)
    (box,) = boxes(axes)
    assert not any(box.contains(*point) for point in axes.transData.transform(way))
    assert np.hypot(*(axes.transData.transform((50, 40)) - [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])) < 30
