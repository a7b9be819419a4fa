"""The class of objects and tracks."""

import numpy as np

from spikeseg.core.sparse import SparseMap
from spikeseg.detection.classes import (
    classes_of_tracks,
    classify,
    longest,
    names_of,
    saliency_by_class,
    score_by_class,
    strongest_class,
)
from spikeseg.detection.objects import NO_CLASS, OBJECT_DTYPE, Blobs, Labels, Slice, find_objects
from spikeseg.tracking.scene import ObjectTrack

WHOLE = slice(0, 2)
"""The steps of a window that is one slice."""


def two_blobs():
    """Two objects, at x = 2 and 7, and the saliency of two classes: the first lights up the left one most, the second the
    right."""
    saliency = np.zeros((2, 6, 9), np.float32)
    saliency[0, 1:3, 1:3], saliency[1, 4:6, 6:9] = 1.0, 2.0
    weak, strong = saliency * 0.4, saliency * 0.6
    strong[:, :, :4], weak[:, :, :4] = weak[:, :, :4].copy(), strong[:, :, :4].copy()
    return find_objects(saliency, 0.5), [SparseMap.of(weak), SparseMap.of(strong)]


def by_x(blobs, values):
    return dict(zip(np.rint(blobs.objects["x"]).tolist(), values, strict=True))


def test_an_object_has_the_class_that_lit_it_up_most():
    blobs, classes = two_blobs()
    assert by_x(blobs, strongest_class(saliency_by_class(blobs, classes, WHOLE)).tolist()) == {2: 0, 7: 1}
    nothing = find_objects(np.zeros((2, 6, 9)), 0.5)
    assert strongest_class(saliency_by_class(nothing, classes, WHOLE)).tolist() == []


def test_saliency_is_summed_over_the_pixels_of_each_object_and_the_steps_of_the_slice():
    rng = np.random.default_rng(0)
    blobs, _ = two_blobs()
    classes = [(rng.random((5, 6, 9)) * (rng.random((5, 6, 9)) < 0.4)).astype(np.float32) for _ in range(3)]
    labels = blobs.labels.dense()
    for steps in (slice(0, 5), slice(1, 3), slice(4, 5)):
        sums = saliency_by_class(blobs, [SparseMap.of(saliency) for saliency in classes], steps)
        expected = [[saliency[steps][:, labels == n].sum(dtype=np.float64) for saliency in classes] for n in (1, 2)]
        assert np.allclose(sums, expected)


def test_what_no_class_lit_up_is_of_none_and_the_first_of_equals_is_taken():
    assert strongest_class(np.array([[0.0, 0.0], [0.0, 1e-9], [2.0, 2.0]])).tolist() == [NO_CLASS, 1, 0]


def test_objects_are_classified_by_the_saliency_of_their_own_slice():
    """The window has two slices; in the second the other class is the strong one."""
    blobs, _ = two_blobs()
    parts = [Slice(slice(k, k + 1), k, k + 1, Blobs(blobs.objects.copy(), blobs.labels)) for k in (0, 1)]
    everywhere = np.ones((6, 9), np.float32)
    maps = [SparseMap.of(np.stack([everywhere * a, everywhere * b])) for a, b in ((2.0, 0.0), (1.0, 3.0))]
    lit = classify([parts, []], [maps, maps])
    assert [part.blobs.objects["class_id"].tolist() for part in parts] == [[0, 0], [1, 1]]
    assert [part[0].tolist() for part in lit] == [[12.0, 6.0], [0.0, 18.0]]  # 6 pixels: the right object comes first


def track(slices, detections):
    n = len(slices)
    return ObjectTrack(1, np.arange(n), np.array(slices), np.array(detections), np.zeros((n, 4)), np.zeros((n, 2)), 0.5)


def test_a_track_has_the_class_that_lit_up_most_of_it_not_that_of_most_detections():
    lit = [np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[0.0, 5.0]]), np.array([[1.0, 0.0]])]
    tracks = [track([0, 1, 2], [0, 0, 0]), track([0], [1]), track([0, 2], [0, 0])]
    assert classes_of_tracks(tracks, lit).tolist() == [1, NO_CLASS, 0]
    assert classes_of_tracks([], []).tolist() == []


def test_objects_of_single_spikes_keep_their_class_with_their_score():
    objects = np.zeros(3, OBJECT_DTYPE)
    objects["class_id"], objects["score"] = [1, NO_CLASS, 0], [4.0, 9.0, 0.5]
    part = Slice(slice(0, 1), 0, 1, Blobs(objects, Labels((1, 1), np.zeros(0, np.int32), np.zeros(0, np.int32))))
    (scores,) = score_by_class([[part]], 2)
    assert scores.tolist() == [[0.0, 4.0], [0.0, 0.0], [0.5, 0.0]]
    assert strongest_class(scores).tolist() == [1, NO_CLASS, 0]


def test_names():
    names = {0: "cat", 3: "satellite"}
    assert names_of(np.array([3, NO_CLASS, 1, 0]), names).tolist() == ["satellite", "", "", "cat"]
    assert names_of(np.zeros(0, np.int32), names).tolist() == []
    assert (longest(names), longest({})) == ("satellite", "")
