"""Groups of instances as objects of slices."""

import numpy as np
import pytest

from spikeseg.detection import smash_objects
from spikeseg.detection.objects import WindowTime
from spikeseg.detection.smash import group
from spikeseg.models import decode

TIMES = {"start_us": 1_000_000, "end_us": 1_900_000, "step_us": 100_000}
ANY = 1e-9


def groups_in_slices(instances, number, saliency, threshold, *, start_us, end_us, step_us, from_us=None, **options):
    time = WindowTime(start_us, end_us, step_us, from_us)
    return smash_objects.groups_in_slices(instances, number, saliency, threshold, time, **options)


def decoded(model, frames):
    return decode(model.encoder, frames[None], model.infer(frames[None]))[0]


def by_hand(shares, classes, lit, part, min_pixels):
    """Rows of objects (x, y, width, height, score, class, pixels) and labels of one slice, from dense shares (n, T, H, W)."""
    rows, sums = [], []
    for share, class_id in zip(shares, classes, strict=True):
        own = np.where(lit[part], share[part], 0).sum(0, dtype=np.float64)
        y, x = np.nonzero(own)
        if len(y) < min_pixels:
            continue
        w, root = own[y, x], np.sqrt(own[y, x])
        centre = [(x * root).sum() / root.sum(), (y * root).sum() / root.sum()]
        rows.append((*centre, np.ptp(x) + 1, np.ptp(y) + 1, w.sum(), class_id, len(y)))
        sums.append(own)
    order = sorted(range(len(rows)), key=lambda k: -rows[k][4])
    sums = np.array([np.zeros(lit.shape[1:]), *(sums[k] for k in order)])
    return [rows[k] for k in order], np.argmax(sums, 0)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("threshold", [ANY, 0.5])
@pytest.mark.parametrize("step_us", [100_000, 30_000])
def test_objects_are_what_the_shares_say(crossing, find_in_slices, alone, threshold, step_us):
    model, frames, instances = crossing
    number = np.arange(len(instances)) if alone else group(instances)
    saliency = decoded(model, frames)
    threshold = max(threshold * saliency.max(), ANY)
    times = TIMES | {"step_us": step_us, "end_us": 1_000_000 + 9 * step_us}
    found = groups_in_slices(instances, number, saliency, threshold, **times)
    blobs = find_in_slices(saliency, threshold, **times)
    assert [s[:3] for s in found] == [s[:3] for s in blobs] and any(len(s.blobs.objects) for s in found)
    shares = instances.saliency(number)
    classes = [instances.class_id[number == g][0] for g in range(number.max() + 1)]
    for part in found:
        wanted, labels = by_hand(shares, classes, saliency >= threshold, part.steps, 3)
        assert len(part.blobs.objects) == len(wanted)
        assert np.allclose(np.reshape(part.blobs.objects.tolist(), (-1, 7)), np.reshape(wanted, (-1, 7)))
        assert np.array_equal(part.blobs.labels.dense(), labels) and part.blobs.labels.dense().dtype == np.int32


def test_one_object_is_the_blob_it_would_be_without_smash(hulk_tools, find_in_slices):
    network, dot, unravel = hulk_tools
    model, frames = network(), np.zeros((9, 2, 33, 60), np.uint8)
    dot(frames, 1, (15, 10), (0, 4), range(9))
    saliency, (_, instances) = decoded(model, frames), unravel(model, frames)
    found = groups_in_slices(instances, group(instances), saliency, ANY, **TIMES)
    blobs = find_in_slices(saliency, ANY, **TIMES)
    assert len(found) == 9
    for part, blob in zip(found, blobs, strict=True):
        assert part.blobs.objects["class_id"].tolist() == [1]
        part.blobs.objects["class_id"] = 0
        assert np.array_equal(part.blobs.objects, blob.blobs.objects)
        assert np.array_equal(part.blobs.labels.dense(), blob.blobs.labels.dense())


def test_a_group_in_pieces_is_one_object_and_a_crossing_is_two(hulk_tools, crossing, find_in_slices):
    network, dot, unravel = hulk_tools
    model, frames = network(), np.zeros((1, 2, 40, 80), np.uint8)
    dot(frames, 1, (20, 10), (0, 0), [0])
    dot(frames, 1, (20, 70), (0, 0), [0])
    saliency, (_, instances) = decoded(model, frames), unravel(model, frames)
    times = TIMES | {"end_us": 1_100_000}
    together = np.zeros(len(instances), int)
    assert len(groups_in_slices(instances, together, saliency, ANY, **times)[0].blobs.objects) == 2
    joined = groups_in_slices(instances, together, saliency, ANY, **times, pieces=False)[0].blobs
    assert len(joined.objects) == 1 and joined.objects["width"] == 63 and joined.objects["x"] == pytest.approx(40, abs=0.5)
    assert len(find_in_slices(saliency, ANY, **times)[0].blobs.objects) == 2
    assert len(groups_in_slices(instances, group(instances), saliency, ANY, **times)[0].blobs.objects) == 2
    model, frames, both = crossing
    saliency = decoded(model, frames)
    where_they_meet = groups_in_slices(both, group(both), saliency, ANY, **TIMES)[4].blobs
    assert sorted(where_they_meet.objects["class_id"]) == [0, 1]
    assert len(find_in_slices(saliency, ANY, **TIMES)[4].blobs.objects) == 1
    none = groups_in_slices(both, np.full(len(both), -1), saliency, ANY, **TIMES)
    assert len(none) == 9 and not any(len(s.blobs.objects) or len(s.blobs.labels.pixel) for s in none)


def test_few_pixels_earlier_windows_and_the_end_of_the_recording(crossing, find_in_slices):
    model, frames, both = crossing
    saliency, number = decoded(model, frames), group(both)
    assert not any(len(s.blobs.objects) for s in groups_in_slices(both, number, saliency, ANY, **TIMES, min_pixels=10**4))
    cut = {"from_us": 1_400_000, **TIMES, "end_us": 1_650_000}
    found, blobs = groups_in_slices(both, number, saliency, ANY, **cut), find_in_slices(saliency, ANY, **cut)
    assert [s[:3] for s in found] == [s[:3] for s in blobs] and len(found) == 3
    whole = groups_in_slices(both, number, saliency, ANY, **TIMES)
    assert np.array_equal(found[0].blobs.objects, whole[4].blobs.objects)
    assert groups_in_slices(both, number, saliency, ANY, **TIMES | {"from_us": TIMES["end_us"]}) == []


def test_silence_and_what_is_refused(hulk_tools, crossing):
    model, frames, both = crossing
    dark = np.zeros_like(frames)
    _, none = hulk_tools[2](model, dark)
    found = groups_in_slices(none, group(none), decoded(model, dark), ANY, **TIMES)
    assert len(found) == 9 and not any(len(s.blobs.objects) for s in found)
    with pytest.raises(ValueError, match="threshold"):
        groups_in_slices(both, group(both), decoded(model, frames), 0.0, **TIMES)
    with pytest.raises(ValueError, match="saliency"):
        groups_in_slices(both, group(both), decoded(model, frames)[1:], ANY, **TIMES)
