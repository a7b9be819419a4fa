"""Text files of boxes, and the objects that their boxes are of."""

import numpy as np
import pytest

from spikeseg.data.boxes import BOX_DTYPE, label_points, read_boxes, write_boxes
from spikeseg.errors import InputError

HEAD = "window_start_timestamp_us\twindow_end_timestamp_us\tcenter_x\tcenter_y\twidth\theight"


def test_boxes_come_back(tmp_path):
    boxes = np.array([(0, 40_000, 5, 6, 7, 8, 0.25), (40_000, 80_000, 9, 1, 3, 4, 1.0)], BOX_DTYPE)
    write_boxes(tmp_path / "b.txt", boxes[::-1])
    assert (tmp_path / "b.txt").read_text().startswith(f"{HEAD}\tconfidence\n40000\t80000\t9\t1\t3\t4\t1.000000\n")
    assert read_boxes(tmp_path / "b.txt").tolist() == boxes.tolist()


def test_columns_in_any_order_and_no_confidence(tmp_path):
    (tmp_path / "b.txt").write_text("\t".join(reversed(HEAD.split("\t"))) + "\n8\t7\t6\t5\t40000\t0\n")
    assert read_boxes(tmp_path / "b.txt").tolist() == [(0, 40_000, 5.0, 6.0, 7.0, 8.0, 1.0)]
    (tmp_path / "b.txt").write_text(HEAD + "\n")
    assert len(read_boxes(tmp_path / "b.txt")) == 0


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "boxes have no column window_start_timestamp_us"),
        ("a\tb\n1\t2\n", "boxes have no column window_start_timestamp_us; the first line names"),
        (f"{HEAD}\n0\t40000\t5\t6\t7\n", "line 2: .*expected 6 numbers"),
        (f"{HEAD}\n0\t40000\t5\t6\t7\tx\n", "line 2: could not convert"),
        (f"{HEAD}\n0\t40000\t5\t6\t0\t8\n", "finite and larger than 0"),
        (f"{HEAD}\n0\t0\t5\t6\t7\t8\n", "finite and larger than 0"),
        (f"{HEAD}\n0\t40000\tnan\t6\t7\t8\n", "finite and larger than 0"),
    ],
)
def test_refused(tmp_path, text, message):
    (tmp_path / "b.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_boxes(tmp_path / "b.txt")


def test_boxes_that_follow_each_other_are_of_one_object():
    rows = [(k * 40_000, (k + 1) * 40_000, 100 + 8 * k, 50, 9, 9, 1) for k in (0, 1, 2, 4, 12)]
    other = [(k * 40_000, (k + 1) * 40_000, 300 - 8 * k, 50, 9, 9, 1) for k in (1, 2, 4)]
    boxes = np.sort(np.array(rows + other, BOX_DTYPE), order="start")
    points = label_points(boxes)
    ids = dict(zip(zip(points["t"].tolist(), points["x"].tolist(), strict=True), points["id"].tolist(), strict=True))
    assert {ids[(k * 40_000 + 20_000, 100 + 8 * k)] for k in (0, 1, 2, 4)} == {1}
    assert {ids[(k * 40_000 + 20_000, 300 - 8 * k)] for k in (1, 2, 4)} == {2}
    assert ids[(12 * 40_000 + 20_000, 100 + 8 * 12)] == 3  # too long after
