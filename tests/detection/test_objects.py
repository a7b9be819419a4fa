"""Blobs of a saliency map, against values by hand and against a flood fill that follows the definition pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.detection.objects import MIN_PIXELS, OBJECT_DTYPE, WindowTime, connected, find_objects, slices


def saliency_of(*pixels, shape=(2, 20, 30)):
    """A map that is 0 but at (step, row, column, value)."""
    saliency = np.zeros(shape, np.float32)
    for step, row, column, value in pixels:
        saliency[step, row, column] = value
    return saliency


def test_values_of_one_blob_by_hand():
    saliency = saliency_of((0, 5, 10, 1.0), (1, 5, 11, 9.0), (1, 6, 12, 4.0))
    objects, labels = find_objects(saliency, 1.0)
    labels = labels.dense()
    assert len(objects) == 1 and objects.dtype == OBJECT_DTYPE
    blob = objects[0]
    assert blob["x"] == (1 * 10 + 3 * 11 + 2 * 12) / 6 and blob["y"] == (4 * 5 + 2 * 6) / 6  # by roots
    assert (blob["width"], blob["height"], blob["score"], blob["pixels"], blob["class_id"]) == (3, 2, 14.0, 3, 0)
    assert np.argwhere(labels).tolist() == [[5, 10], [5, 11], [6, 12]] and labels.max() == 1
    assert labels.dtype == np.int32


def test_centroid_weighs_every_step_that_reaches_the_threshold_and_no_other():
    saliency = saliency_of((0, 5, 10, 2.0), (1, 5, 10, 2.0), (0, 5, 11, 4.0), (1, 5, 11, 0.9))
    objects, _ = find_objects(saliency, 1.0, min_pixels=1)
    assert (objects["x"][0], objects["score"][0], objects["pixels"][0]) == (10.5, 8.0, 2)


def test_the_threshold_itself_counts_as_lit():
    saliency = saliency_of((0, 5, 10, 0.5))
    assert len(find_objects(saliency, 0.5, min_pixels=1).objects) == 1
    assert len(find_objects(saliency, 0.51, min_pixels=1).objects) == 0


@pytest.mark.parametrize("bridge", [0, 1, 2, 3])
@pytest.mark.parametrize("direction", [(0, 1), (1, 0), (1, 1), (1, -1)])
def test_gaps_up_to_the_bridge_join_and_wider_ones_do_not(bridge, direction):
    def parts(gap):
        row, column = 8 + direction[0] * (gap + 1), 15 + direction[1] * (gap + 1)
        saliency = saliency_of((0, 8, 15, 1.0), (0, row, column, 1.0))
        return len(find_objects(saliency, 1.0, min_pixels=1, bridge_px=bridge).objects)

    assert parts(bridge) == 1
    assert parts(bridge + 1) == 2


def test_a_pixel_that_comes_more_than_once_is_in_one_blob():
    rows, columns = np.array([[2, 3], [2, 3], [5, 9], [2, 4], [5, 9], [2, 3]]).T
    assert connected(rows, columns, (8, 12), 0).tolist() == [0, 0, 1, 0, 1, 0]


def test_bridges_hold_at_the_border_of_the_frame():
    saliency = saliency_of((0, 0, 0, 1.0), (0, 0, 3, 1.0), (0, 19, 29, 1.0), (0, 16, 29, 1.0))
    assert find_objects(saliency, 1.0, min_pixels=1, bridge_px=2).objects["pixels"].tolist() == [2, 2]


def test_small_blobs_are_dropped_by_lit_pixels_bridges_not_counted():
    saliency = saliency_of((0, 5, 5, 1.0), (0, 5, 8, 1.0), (0, 12, 20, 1.0), (0, 12, 21, 1.0), (0, 12, 22, 1.0))
    objects, labels = find_objects(saliency, 1.0)
    labels = labels.dense()
    assert objects["pixels"].tolist() == [MIN_PIXELS] and objects["x"].tolist() == [21.0]
    assert labels[5].max() == 0


def test_order_is_by_falling_score():
    saliency = saliency_of((0, 2, 20, 1.0), (0, 10, 5, 3.0), (0, 18, 15, 2.0), (0, 2, 5, 1.0))
    objects, labels = find_objects(saliency, 1.0, min_pixels=1)
    labels = labels.dense()
    assert objects["score"].tolist() == [3.0, 2.0, 1.0, 1.0]
    assert [labels[y, x] for y, x in ((10, 5), (18, 15))] == [1, 2]
    assert {labels[2, 5], labels[2, 20]} == {3, 4}


def test_unless_told_otherwise_gaps_of_two_pixels_join_and_three_pixels_suffice():
    line = saliency_of((0, 5, 5, 1.0), (0, 5, 8, 1.0), (0, 5, 11, 1.0))
    assert find_objects(line, 1.0).objects["pixels"].tolist() == [3]
    wider = saliency_of((0, 5, 5, 1.0), (0, 5, 6, 1.0), (0, 5, 7, 1.0), (0, 5, 11, 1.0))
    assert find_objects(wider, 1.0).objects["pixels"].tolist() == [3]
    assert find_objects(wider, 1.0, bridge_px=3).objects["pixels"].tolist() == [4]


def test_class_and_two_dimensions():
    flat = saliency_of((0, 5, 5, 1.0))[0]
    objects, labels = find_objects(flat, 1.0, min_pixels=1, class_id=3)
    labels = labels.dense()
    assert objects["class_id"].tolist() == [3] and labels.shape == flat.shape


@pytest.mark.parametrize("shape", [(2, 20, 30), (20, 30), (1, 1, 1), (3, 0, 5)])
def test_darkness_holds_no_object(shape):
    objects, labels = find_objects(np.zeros(shape, np.float32), 0.1)
    labels = labels.dense()
    assert objects.shape == (0,) and objects.dtype == OBJECT_DTYPE
    assert labels.shape == shape[-2:] and labels.dtype == np.int32 and not labels.any()


def test_the_map_stays_as_it_was():
    saliency = saliency_of((0, 5, 5, 1.0), (1, 5, 6, 0.2))
    before = saliency.copy()
    find_objects(saliency, 0.5)
    assert np.array_equal(saliency, before)


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan")])
def test_a_threshold_that_lights_everything_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold must be above 0"):
        find_objects(np.zeros((4, 4)), threshold)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(T, H, W\) or \(H, W\)"):
        find_objects(np.zeros((1, 2, 4, 4)), 1.0)


def flood(lit, reach):
    """Blobs by definition: lit pixels within `reach` in x and in y of each other, joined; as a set of sets."""
    left = {(int(r), int(c)) for r, c in np.argwhere(lit)}
    found = set()
    while left:
        edge = [left.pop()]
        blob = set(edge)
        while edge:
            r, c = edge.pop()
            near = {p for p in left if max(abs(p[0] - r), abs(p[1] - c)) <= reach}
            left -= near
            blob |= near
            edge += near
        found.add(frozenset(blob))
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 17),
    width=st.integers(1, 17),
    steps=st.integers(1, 3),
    density=st.floats(0.0, 0.3),
    bridge=st.integers(0, 3),
    min_pixels=st.integers(0, 4),
)
def test_blobs_equal_a_flood_fill(seed, height, width, steps, density, bridge, min_pixels):
    rng = np.random.default_rng(seed)
    saliency = np.where(rng.random((steps, height, width)) < density, rng.random((steps, height, width)) + 0.5, 0.0)
    objects, labels = find_objects(saliency, 1.0, min_pixels=min_pixels, bridge_px=bridge)
    labels = labels.dense()
    expected = {b for b in flood((saliency >= 1).any(0), bridge + 1) if len(b) >= min_pixels}
    got = {frozenset((int(r), int(c)) for r, c in np.argwhere(labels == i + 1)) for i in range(len(objects))}
    assert got == expected
    for i, blob in enumerate(objects):
        rows, columns = np.nonzero(labels == i + 1)
        weight = np.where(saliency >= 1, saliency, 0).sum(0)[rows, columns]
        assert blob["score"] == pytest.approx(weight.sum())
        assert blob["x"] == pytest.approx(np.average(columns, weights=np.sqrt(weight)))
        assert blob["y"] == pytest.approx(np.average(rows, weights=np.sqrt(weight)))
        assert (blob["width"], blob["height"]) == (np.ptp(columns) + 1, np.ptp(rows) + 1)
        assert blob["pixels"] == len(rows)


@pytest.mark.parametrize(
    ("n_steps", "step_us", "first", "expected"),
    [
        (10, 10_000, 0, [(0, 10)]),
        (10, 1_000, 0, [(0, 10)]),
        (10, 100_000, 0, [(k, k + 1) for k in range(10)]),
        (10, 100_000, 5, [(k, k + 1) for k in range(5, 10)]),
        (10, 50_000, 0, [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]),
        (10, 30_000, 0, [(0, 3), (3, 6), (6, 10)]),
        (10, 17_000, 0, [(0, 5), (5, 10)]),
        (4, 1_000_000, 1, [(1, 2), (2, 3), (3, 4)]),
        (10, 100_000, 10, []),
    ],
)
def test_slices_of_a_window(n_steps, step_us, first, expected):
    assert [(part.start, part.stop) for part in slices(n_steps, step_us, first)] == expected


@pytest.mark.parametrize(
    ("slice_us", "edges"), [(5_000, [0, 1, 2, 3, 4, 5]), (10_000, [0, 2, 5]), (20_000, [0, 5]), (100_000, [0, 5])]
)
def test_slices_of_another_length(slice_us, edges):
    assert [part.start for part in slices(5, 5_000, slice_us=slice_us)] + [5] == edges
    time = WindowTime(start_us=0, end_us=25_000, step_us=5_000)
    assert time.slices(5, slice_us) == slices(5, 5_000, slice_us=slice_us)


def moving(velocity, n_steps=10):
    """A dot of 3 by 1 pixels that moves by whole pixels per step."""
    saliency = np.zeros((n_steps, 12, 120), np.float32)
    for step in range(n_steps):
        saliency[step, 6, step * velocity : step * velocity + 3] = 1 + step
    return saliency


def times(found):
    return [(part.start_us, part.end_us) for part in found]


def test_slices_follow_a_fast_object_where_the_window_sees_a_streak(find_in_slices):
    saliency = moving(9)
    found = find_in_slices(saliency, 1.0, start_us=5_000_000, end_us=6_000_000, step_us=100_000)
    assert times(found) == [(5_000_000 + 100_000 * k, 5_100_000 + 100_000 * k) for k in range(10)]
    assert [part.blobs.objects["x"].tolist() for part in found] == [[pytest.approx(9 * k + 1)] for k in range(10)]
    assert [part.blobs.objects["score"].tolist() for part in found] == [[3 * (1 + k)] for k in range(10)]
    assert all(part.steps == slice(k, k + 1) and part.blobs.labels.number.max() == 1 for k, part in enumerate(found))
    assert len(find_objects(saliency, 1.0).objects) == 10  # broken; closer together it would be one, of 84 px


def test_a_short_window_is_one_slice(find_in_slices):
    (part,) = find_in_slices(moving(1), 1.0, start_us=0, end_us=100_000, step_us=10_000)
    assert part.steps == slice(0, 10) and part.blobs.objects == find_objects(moving(1), 1.0).objects


def test_what_the_window_before_held_is_left_out(find_in_slices):
    def of(from_us):
        return times(find_in_slices(moving(1, 4), 1.0, start_us=200_000, end_us=600_000, step_us=100_000, from_us=from_us))

    whole = [(200_000 + 100_000 * k, 300_000 + 100_000 * k) for k in range(4)]
    assert of(None) == of(0) == of(200_000) == whole
    assert of(400_000) == whole[2:]
    assert of(350_001) == of(399_999) == whole[2:]  # a step that began before is not taken
    assert of(600_000) == of(900_000) == []


def test_nothing_is_looked_for_after_the_end_of_the_recording(find_in_slices):
    found = find_in_slices(moving(1, 4), 1.0, start_us=0, end_us=230_000, step_us=100_000)
    assert times(found) == [(0, 100_000), (100_000, 200_000), (200_000, 230_000)]
