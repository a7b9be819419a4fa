import numpy as np

from spikeseg.detection.schema import OBJECT_COLUMNS, TRACK_COLUMNS, table_dtype
from spikeseg.plots.colours import BESIDE, OFF, ON
from spikeseg.plots.cutouts import FEWEST, MOMENTS, SMALLEST, cutouts


class Found:
    """Of detections what cut-outs look at: one object, 1, on a straight way from (10, 40) to (70, 20) in a second."""

    def __init__(self, t, x, y, p, ids, size=3.0):
        self.tracks, self.objects = np.zeros(3, table_dtype(TRACK_COLUMNS)), np.zeros(1, table_dtype(OBJECT_COLUMNS))
        self.tracks["track_id"] = 1, 1, 2
        self.tracks["t_us"][:2], self.tracks["x"][:2], self.tracks["y"][:2] = (0, 1_000_000), (10, 70), (40, 20)
        self.by_track = {1: self.tracks[:2], 2: self.tracks[2:]}
        self.objects["object_id"], self.objects["t_end_us"] = 1, 1_000_000
        self.objects["width"] = self.objects["height"] = size
        columns = (np.asarray(t), np.rint(x).astype(np.int16), np.rint(y).astype(np.int16), np.asarray(p, bool), np.asarray(ids))
        order = np.argsort(columns[0], kind="stable")
        self.event_columns = {
            name: column[order] for name, column in zip(("t", "x", "y", "p", "object_id"), columns, strict=True)
        }


def moving(n=400, seed=0):
    """Times, and pixels two ahead (ON) and two behind (OFF) of the object."""
    t = np.sort(np.random.default_rng(seed).integers(0, 1_000_000, n))
    on = np.arange(n) % 2 == 0
    return t, np.rint(10 + 60e-6 * t) + np.where(on, 2, -2), np.rint(40 - 20e-6 * t), on


def test_an_object_stands_still_in_its_cut_outs():
    t, x, y, on = moving()
    moments, side = cutouts(Found(t, x, y, on, np.ones(len(t))), 1)
    assert side == SMALLEST and len(moments) == MOMENTS
    middle = SMALLEST // 2
    for number, moment in enumerate(moments):
        assert number * 200_000 <= moment.start_us < moment.end_us <= (number + 1) * 200_000 and moment.events == FEWEST
        assert (moment.picture[middle, middle + 2] < 1).any() and (moment.picture[middle, middle - 2] < 1).any()
        near = np.zeros((SMALLEST, SMALLEST), bool)
        near[middle - 1 : middle + 2, middle - 3 : middle + 4] = True  # half a pixel of rounding each way
        assert (moment.picture[~near] == 1).all()
        ahead, behind = moment.picture[:, middle + 1 :].reshape(-1, 3), moment.picture[:, :middle].reshape(-1, 3)
        assert np.allclose(ahead[ahead.sum(1).argmin()], ON) and np.allclose(behind[behind.sum(1).argmin()], OFF)


def test_events_of_others_are_grey_and_where_the_object_has_none_it_says_so():
    t, x, y, on = moving()
    of_object = t < 200_000
    moments, _ = cutouts(Found(t, x, y, on, np.where(of_object, 1, 2)), 1)
    assert [moment.events > 0 for moment in moments] == [True, False, False, False, False]
    assert moments[1].start_us == moments[1].end_us == 300_000 and (moments[1].picture == 1).all()
    beside = Found(np.r_[t, t], np.r_[x, x + 4], np.r_[y, y + 4], np.r_[on, on], np.repeat([1, 0], len(t)))
    colours = {tuple(colour) for colour in cutouts(beside, 1)[0][2].picture[11:].reshape(-1, 3).round(6)}
    assert colours == {(1.0, 1.0, 1.0), BESIDE}


def test_a_large_object_is_drawn_in_cells_of_several_pixels():
    t, x, y, on = moving()
    moments, side = cutouts(Found(t, x, y, on, np.ones(len(t)), size=400.0), 1)
    assert side == 601 and moments[0].picture.shape == (121, 121, 3)
    assert {moment.events for moment in moments} == {np.count_nonzero((t >= 0) & (t < 200_000))} | {
        np.count_nonzero((t >= k * 200_000) & (t < (k + 1) * 200_000)) for k in range(1, 5)
    }


def test_of_a_single_detection_the_moments_are_those_of_its_events():
    t, x, y, on = moving()
    found = Found(t, x, y, on, np.ones(len(t)))
    found.objects["t_end_us"] = 0
    assert all(moment.events for moment in cutouts(found, 1)[0])
    assert not any(moment.events for moment in cutouts(Found([5], [1], [1], [True], [0]), 1)[0])
