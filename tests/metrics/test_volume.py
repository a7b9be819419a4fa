import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from spikeseg.data.recording import LABEL_DTYPE
from spikeseg.metrics import truth
from spikeseg.metrics.truth import positions
from spikeseg.metrics.volume import OUTPUT_DTYPE, region_counts, score

SLICE = 1000
NONE = np.zeros(0, LABEL_DTYPE)
SIDES = {0.5: 1, 1.0: 2, 1.5: 3, 1.7: 3, 2.0: 4, 5.0: 9}
"""Of a tile, by the radius: a disc has 1, 5, 9, 9, 13, 81 pixels."""


def output(*points):
    """From (t, x, y, w)."""
    return np.array(list(points), OUTPUT_DTYPE)


def still(x, y, end=10_000, name=1):
    return np.array([(0, x, y, name), (end, x, y, name)], LABEL_DTYPE)


def counted(out, labels, size=(9, 9), end=SLICE - 1, radius=1.5, **changes):
    found = region_counts(out, labels, sensor_size=size, start_us=0, end_us=end, radius_px=radius, slice_us=SLICE, **changes)
    return tuple(found[name] for name in ("tp", "fp", "fn", "tn"))


def plainly(out, labels, size, end, radius):
    """The definition, region by region and pixel by pixel; exact, because weights and times are whole numbers."""
    width, height = size
    n, side = -(-(end + 1) // SLICE), SIDES[radius]
    rows, columns = (grid.ravel() for grid in np.mgrid[-8 : height + 8, -8 : width + 8])
    cube = np.zeros((n, height, width), np.int64)
    np.add.at(cube, (out["t"] // SLICE, out["y"], out["x"]), out["w"].astype(np.int64))
    length = np.array([min(SLICE, end + 1 - k * SLICE) for k in range(n)])

    def dense(k, region):
        of_all = length.sum() * width * height
        return int(cube[k][region].sum() * of_all > cube.sum() * np.ones((height, width), int)[region].sum() * length[k])

    tp = fp = fn = tn = 0
    for k in range(n):
        occupied = np.zeros((height, width), bool)
        for p in positions(labels, np.array([k * SLICE + length[k] / 2])):
            squared = np.rint(((rows - p["y"]) ** 2 + (columns - p["x"]) ** 2) * 2**20)
            disc = np.zeros((height + 16, width + 16), bool)
            disc.flat[np.argsort(squared, kind="stable")[: side * side]] = True
            disc = disc[8:-8, 8:-8]
            occupied |= disc
            if disc.any():
                tp, fn = tp + dense(k, disc), fn + 1 - dense(k, disc)
        for top in range(0, height, side):
            for left in range(0, width, side):
                tile = (slice(top, top + side), slice(left, left + side))
                if not occupied[tile].any():
                    fp, tn = fp + dense(k, tile), tn + 1 - dense(k, tile)
    return tp, fp, fn, tn


def test_by_hand_one_slice():
    """9x9 pixels are 9 tiles of 3x3; an object in the middle of the middle tile leaves 8."""
    out = output((0, 4, 4, 1), (500, 8, 8, 1), (999, 8, 8, 1))
    assert counted(out, still(4, 4)) == (1, 1, 0, 7)


def test_a_disc_across_tiles_takes_them_all():
    assert counted(output((0, 3, 3, 1)), still(2, 2)) == (1, 0, 0, 5)  # the 3 x 3 pixels around it lie in four tiles
    assert counted(output((0, 4, 3, 1)), still(2, 2)) == (0, 0, 1, 5)
    assert counted(output((0, 3, 2, 1)), still(2, 1)) == (1, 0, 0, 7)  # in two


def test_an_event_counts_in_its_own_slice_only():
    late = output((SLICE, 4, 4, 1))
    assert counted(late, still(4, 4), end=2 * SLICE - 1) == (1, 0, 1, 16)
    assert counted(late, still(4, 4)) == (0, 0, 1, 8)  # after the end: ignored


def test_the_object_is_where_it_is_at_the_middle_of_the_slice():
    moving = np.array([(0, 1, 4, 1), (2 * SLICE, 7, 4, 1)], LABEL_DTYPE)  # at 2.5 and 5.5
    out = output((0, 2, 4, 1), (SLICE, 6, 4, 1))
    assert counted(out, moving, end=2 * SLICE - 1)[:1] == (2,)
    assert counted(output((0, 6, 4, 1), (SLICE, 2, 4, 1)), moving, end=2 * SLICE - 1)[:1] == (0,)


def test_weights_count_and_their_scale_does_not():
    weighty = output((0, 4, 4, 5.0), *[(0, x, 0, 0.1) for x in range(9)])
    assert counted(weighty, still(4, 4)) == (1, 0, 0, 8)
    equal = weighty.copy()
    equal["w"] = 1
    assert counted(equal, still(4, 4)) == (0, 3, 1, 5)  # 3 events in 9 pixels are above 10 in 81, one is not
    weighty["w"] *= 1e-6
    assert counted(weighty, still(4, 4)) == (1, 0, 0, 8)


@pytest.mark.parametrize("weight", [1.0, 0.1, 1 / 3])
def test_a_uniform_output_is_nowhere_above_its_own_density(weight):
    out = output(*[(500, x, y, weight) for x in range(10) for y in range(8)])
    tp, fp, fn, _ = counted(out, still(4, 4), size=(10, 8))
    assert (tp, fp, fn) == (0, 0, 1)


def test_silence_misses_every_object_and_alarms_nowhere():
    assert counted(output(), still(4, 4), end=3 * SLICE - 1) == (0, 0, 3, 24)


def test_without_objects_every_tile_is_a_chance_to_be_wrong():
    assert counted(output((0, 0, 0, 1)), NONE) == (0, 1, 0, 8)


def test_two_objects_are_two_discs():
    both = np.concatenate([still(1, 1), still(7, 7, name=2)])
    assert counted(output((0, 1, 1, 1)), both) == (1, 0, 1, 7)


def test_nothing_is_true_over_a_gap_in_the_labels():
    assert counted(output((0, 4, 4, 1)), still(4, 4), max_gap_us=9_999) == (0, 1, 0, 8)


def test_a_last_slice_partly_filled_counts_with_the_time_it_has():
    """1 event in a tenth of a slice is dense; spread over a whole one it would be below the recording's density."""
    dense = [(0, x, y, 1) for x in range(9) for y in range(9)]
    out = output(*dense, (SLICE, 0, 0, 1), (SLICE, 0, 1, 1))  # 2 in 9 px and 0.1 slices; 83 in 81 px and 1.1 slices
    assert counted(out, NONE, end=SLICE + 99) == (0, 10, 0, 8)
    assert counted(out[:-2], NONE, end=SLICE + 99) == (0, 9, 0, 9)


def test_what_lies_outside_the_scored_time_is_ignored():
    out = output((-1, 0, 0, 9), (0, 4, 4, 1), (SLICE, 0, 0, 9))
    assert counted(out, still(4, 4)) == counted(out[1:2], still(4, 4)) == (1, 0, 0, 8)


def test_a_perfect_detector_has_informedness_one():
    labels = still(4, 4)
    out = output(*[(k * SLICE, 4, 4, 1) for k in range(5)])
    tp, fp, fn, tn = counted(out, labels, end=5 * SLICE - 1)
    found = score([{"name": "a", "tp": tp, "fp": fp, "fn": fn, "tn": tn}])
    assert (found["sensitivity"], found["specificity"], found["informedness"]) == (1, 1, 1)


def test_score_by_hand():
    found = score([{"name": "a", "tp": 1, "fp": 1, "fn": 1, "tn": 3}, {"name": "b", "tp": 0, "fp": 2, "fn": 0, "tn": 2}])
    assert found["sensitivity"] == 0.5 and found["specificity"] == 0.625 and found["informedness"] == 0.125
    assert [r["informedness"] for r in found["recordings"]] == [0.25, None]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.tuples(st.integers(3, 14), st.integers(3, 14)),
    end=st.integers(0, 3 * SLICE),
    radius=st.sampled_from([0.5, 1.0, 1.7, 2.0, 5.0]),
    n=st.integers(0, 60),
    objects=st.integers(0, 3),
)
def test_equal_to_the_definition(seed, size, end, radius, n, objects):
    rng = np.random.default_rng(seed)
    out = np.zeros(n, OUTPUT_DTYPE)
    out["t"], out["w"] = rng.integers(0, end + 1, n), rng.integers(1, 4, n)
    out["x"], out["y"] = rng.integers(0, size[0], n), rng.integers(0, size[1], n)
    labels = np.zeros(2 * objects, LABEL_DTYPE)
    labels["id"], labels["t"] = np.arange(2 * objects) // 2, np.arange(2 * objects) % 2 * rng.integers(1, 3000)
    labels["x"], labels["y"] = rng.uniform(-1, size[0], 2 * objects), rng.uniform(-1, size[1], 2 * objects)
    assert counted(out, labels, size, end, radius) == plainly(out, labels, size, end, radius)


@pytest.mark.parametrize("radius", [2.0, 5.0])
@pytest.mark.parametrize("per_tile", [0.5, 1.4, 20.5])
def test_chance_is_zero_however_few_events_a_region_holds(per_tile, radius):
    """Discs and tiles have equal areas, so noise exceeds its mean in both equally often."""
    rng = np.random.default_rng(0)
    size, n_slices = (72, 72), 400 if radius == 5 else 80
    out = np.zeros(rng.poisson(per_tile * 72 * 72 / SIDES[radius] ** 2 * n_slices), OUTPUT_DTYPE)
    out["t"], out["x"], out["y"] = rng.integers(0, n_slices * SLICE, len(out)), *rng.integers(0, 72, (2, len(out)))
    out["w"] = 1
    labels = np.concatenate([still(x, y, n_slices * SLICE, 100 * x + y) for x in (10, 30, 50.3) for y in (10, 30.7, 50)])
    tp, fp, fn, tn = counted(out, labels, size, n_slices * SLICE - 1, radius)
    expected = poisson.sf(np.floor(per_tile), per_tile)
    assert tp + fn == 9 * n_slices
    assert (tp / (tp + fn), fp / (fp + tn)) == pytest.approx((expected, expected), abs=0.04)


def test_many_discs_are_taken_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    out = np.zeros(200, OUTPUT_DTYPE)
    out["t"], out["x"], out["y"], out["w"] = rng.integers(0, 5000, 200), *rng.integers(0, 9, (2, 200)), 1
    labels = np.concatenate([still(2, 2), still(6.3, 5.1, name=2)])
    whole = counted(out, labels, end=4999)
    monkeypatch.setattr(truth, "PIXELS_AT_ONCE", 600)
    assert counted(out, labels, end=4999) == whole


@pytest.mark.parametrize(
    ("out", "end", "says"),
    [
        (output((0, 9, 0, 1)), 10, r"output.x: 9..9; expected 0..8"),
        (output((0, 0, -1, 1)), 10, r"output.y: -1..-1; expected 0..8"),
        (output((0, 0, 0, -1)), 10, "finite weights from 0"),
        (output((0, 0, 0, np.nan)), 10, "finite weights from 0"),
        (output(), -1, "from 0 to -1"),
    ],
)
def test_what_is_no_output_is_refused(out, end, says):
    with pytest.raises(ValueError, match=says):
        counted(out, NONE, end=end)
