"""Boxes of tracks, and average precision against a second, slow way to the same."""

import numpy as np
import pytest

from spikeseg.data.boxes import BOX_DTYPE, read_boxes, write_boxes
from spikeseg.evaluation.boxes import average_precision, boxes_of, hits, overlap, score_boxes

TRACKS = np.dtype([(name, "<f8") for name in ("t_us", "x", "y", "width", "height", "object_score")]
                  + [("track_id", "<i4"), ("is_object", "?")])  # fmt: skip


def made(seed, n, windows=12, confident=True):
    """Boxes around a few places, on whole pixels."""
    rng = np.random.default_rng(seed)
    boxes = np.zeros(n, BOX_DTYPE)
    boxes["start"] = 40_000 * rng.integers(0, windows, n)
    boxes["end"] = boxes["start"] + 40_000
    boxes["x"], boxes["y"] = rng.choice([20, 60], n) + rng.integers(-3, 4, n), 30 + rng.integers(-3, 4, n)
    boxes["width"], boxes["height"] = rng.integers(6, 14, n), rng.integers(6, 14, n)
    boxes["confidence"] = np.round(rng.random(n), 1) if confident else 1.0
    return boxes


def pixels(box):
    """The half pixels that a box covers."""
    x, y, width, height = (round(2 * float(box[name])) for name in ("x", "y", "width", "height"))
    return {(c, r) for c in range(2 * x - width, 2 * x + width) for r in range(2 * y - height, 2 * y + height)}


def slow_average_precision(predicted, truth):
    """By sets of pixels, lists, and for every recall the best precision at that or a larger one."""
    order = sorted(range(len(predicted)), key=lambda row: (-predicted["confidence"][row], row))
    free, curve, found = list(range(len(truth))), [], 0
    for rank, row in enumerate(order, 1):
        same = [k for k in free if truth["start"][k] == predicted["start"][row]]
        mine = pixels(predicted[row])
        shares = {k: len(mine & pixels(truth[k])) / len(mine | pixels(truth[k])) for k in same}
        best = max(same, key=lambda k: shares[k], default=None)
        if best is not None and shares[best] >= 0.5:
            free.remove(best)
            found += 1
        curve.append((found / len(truth), found / rank))
    levels = [k / len(truth) for k in range(1, len(truth) + 1)]
    return sum(max((p for r, p in curve if r >= level - 1e-12), default=0.0) for level in levels) / len(truth)


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_the_slow_way(seed):
    predicted, truth = made(seed, 40), made(100 + seed, 25, confident=False)
    found = hits(predicted, truth)
    assert 3 < found.sum() < len(truth)
    assert average_precision(found, len(truth)) == pytest.approx(slow_average_precision(predicted, truth))


def test_overlap_is_that_of_pixels():
    boxes = made(3, 30)
    for box in boxes[:5]:
        slow = [len(pixels(box) & pixels(one)) / len(pixels(box) | pixels(one)) for one in boxes]
        np.testing.assert_allclose(overlap(box, boxes), slow)


def test_figures_of_all_recordings():
    truth = made(1, 10, confident=False)
    pairs = {"right": (truth, truth), "nothing": (truth[:0], truth), "alone": (made(2, 4), truth[:0]), "empty": (truth[:0],) * 2}
    scored = score_boxes(pairs)
    one = {name: own["average_precision"] for name, own in scored["recordings"].items()}
    assert one["nothing"] == 0.0 and one["alone"] is one["empty"] is None
    assert scored["map"] == pytest.approx((one["right"] + 0.0) / 2) and one["right"] == 1.0
    assert (scored["hits"], scored["predicted"], scored["boxes"]) == (10, 14, 20)
    assert (scored["precision"], scored["recall"], scored["f1"]) == pytest.approx((10 / 14, 0.5, 20 / 34))
    assert score_boxes({})["map"] is None


@pytest.mark.parametrize(("shift_us", "hit"), [(0, 0), (15_000, 0), (-15_000, 0), (25_000, 1), (-25_000, None)])
def test_a_window_that_is_not_aligned_hits_no_neighbour(shift_us, hit):
    """An object moves from 20 to 24 px between two windows; a box at 23 px is nearer to the second, and of the first in time."""
    truth = np.repeat(made(1, 1, confident=False), 2)
    truth["start"], truth["x"], truth["width"] = [40_000, 80_000], [20, 24], 12
    truth["end"] = truth["start"] + 40_000
    predicted = truth[:1].copy()
    predicted["x"] = 23
    predicted["start"] += shift_us
    predicted["end"] += shift_us
    assert hits(predicted, truth).tolist() == [hit is not None]
    for window in range(2):
        assert hits(predicted, truth[window : window + 1]).tolist() == [hit == window]


def test_a_box_is_taken_once_and_the_surer_one_takes_it():
    truth = made(1, 1, confident=False)
    predicted = np.repeat(truth, 3)
    predicted["confidence"] = [0.2, 0.9, 0.5]
    assert hits(predicted, truth).tolist() == [True, False, False]
    predicted["start"] += 40_000
    predicted["end"] += 40_000
    assert not hits(predicted, truth).any()


def test_tracks_give_a_box_per_window():
    rows = [(100_000, 10, 20, 4, 6, 0.7, 1, 1), (200_000, 20, 20, 8, 6, 0.7, 1, 1), (150_000, 90, 90, 5, 5, 0.1, 2, 0)]
    boxes = boxes_of(np.array(rows, TRACKS), 0, 300_000)
    assert boxes["start"].tolist() == [40_000, 80_000, 120_000, 160_000, 200_000]
    assert boxes["x"].tolist() == [10.0, 10.0, 14.0, 18.0, 20.0] and boxes["width"].tolist() == pytest.approx([4, 4, 5.6, 7.2, 8])
    assert set(boxes["confidence"]) == {0.7} and (boxes["end"] - boxes["start"] == 40_000).all()
    assert len(boxes_of(np.array(rows[2:], TRACKS), 0, 300_000)) == 0


def test_the_example_of_the_documentation(tmp_path):
    """From tracks to the file and the figure."""
    rows = [(100_000 * k, 10 + 5 * k, 20, 4, 6, 0.7, 1, 1) for k in range(1, 9)]
    tracks, events = np.array(rows, TRACKS), {"t": np.array([0, 900_000])}
    boxes = boxes_of(tracks, events["t"][0], events["t"][-1])
    write_boxes(tmp_path / "NAME_bb_windows_40ms.txt", boxes)
    truth = read_boxes(tmp_path / "NAME_bb_windows_40ms.txt")
    assert len(truth) == len(boxes) > 15 and score_boxes({"NAME": (boxes, truth)})["map"] == 1.0
