import numpy as np
import pytest

from spikeseg.data.recording import LABEL_DTYPE
from spikeseg.metrics.pixel import discs, pixel_counts, score

STILL = np.array([(0, 2, 3, 1), (100, 2, 3, 1)], LABEL_DTYPE)
NONE = np.zeros(0, LABEL_DTYPE)


def test_a_disc_of_one_pixel_radius_is_a_cross():
    found = discs(STILL, np.array([50, 200]), (6, 5), 1.0)
    expected = np.zeros((2, 6, 5), bool)
    expected[0, [2, 3, 3, 3, 4], [2, 1, 2, 3, 2]] = True  # nobody is there at 200
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("radius", "pixels"), [(0.0, 1), (1.0, 5), (1.5, 9), (2.0, 13)])
def test_sizes_of_discs(radius, pixels):
    assert discs(STILL, np.array([50]), (9, 9), radius).sum() == pixels


def test_a_position_between_pixels_is_in_the_nearest():
    between = np.array([(0, 2.6, 3.6, 1), (5, 2.4, 3.4, 1)], LABEL_DTYPE)
    assert np.argwhere(discs(between, np.array([0, 5]), (6, 5), 0.0)).tolist() == [[0, 4, 3], [1, 3, 2]]


def test_discs_are_cut_off_at_the_border_and_do_not_wrap():
    corner = np.array([(0, 0, 0, 1)], LABEL_DTYPE)
    assert np.argwhere(discs(corner, np.array([0]), (4, 4), 1.0)).tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0]]
    outside = np.array([(0, -1, 0, 1)], LABEL_DTYPE)
    assert np.argwhere(discs(outside, np.array([0]), (4, 4), 1.0)).tolist() == [[0, 0, 0]]


def test_counts_by_hand():
    saliency = np.zeros((1, 6, 5), np.float32)
    saliency[0, 3, 1:4] = 0.5  # three of the five pixels of the cross
    saliency[0, 0, 0:2] = 0.5, 0.4  # one alarm at the threshold, one pixel below it
    found = pixel_counts(saliency, np.array([50]), STILL, threshold=0.5, tolerance_px=1.0)
    assert found == {"tp": 3, "fp": 1, "fn": 2, "tn": 24}


def test_without_objects_only_false_alarms_count():
    saliency = np.zeros((2, 3, 3), np.float32)
    saliency[1, 1, 1] = 1
    assert pixel_counts(saliency, np.array([0, 1]), NONE, threshold=1, tolerance_px=1) == {"tp": 0, "fp": 1, "fn": 0, "tn": 17}


def test_silence_and_no_steps():
    silent = pixel_counts(np.zeros((1, 6, 5), np.float32), np.array([50]), STILL, threshold=0.1, tolerance_px=1)
    assert silent == {"tp": 0, "fp": 0, "fn": 5, "tn": 25}
    nothing = pixel_counts(np.zeros((0, 6, 5), np.float32), np.zeros(0), STILL, threshold=0.1, tolerance_px=1)
    assert nothing == {"tp": 0, "fp": 0, "fn": 0, "tn": 0}


def test_a_perfect_map_scores_one():
    times = np.array([0, 50, 100])
    truth = discs(STILL, times, (6, 5), 1.0)
    found = score([{"name": "a", **pixel_counts(truth.astype(np.float32), times, STILL, threshold=0.5, tolerance_px=1)}])
    assert [found[name] for name in ("sensitivity", "specificity", "informedness", "iou")] == [1, 1, 1, 1]


def test_score_by_hand():
    rows = [{"name": "a", "tp": 3, "fp": 1, "fn": 2, "tn": 24}, {"name": "b", "tp": 0, "fp": 1, "fn": 0, "tn": 17}]
    found = score(rows)
    assert found["sensitivity"] == pytest.approx(3 / 5) and found["specificity"] == pytest.approx(41 / 43)
    assert found["informedness"] == pytest.approx(3 / 5 + 41 / 43 - 1) and found["iou"] == pytest.approx(3 / 7)
    assert found["recordings"][0]["iou"] == pytest.approx(1 / 2) and found["recordings"][1]["sensitivity"] is None
