"""SMASH: its definition, what it groups, and objects that begin at another time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.config.sections import TrackingConfig
from spikeseg.detection.hulk import Footprints
from spikeseg.detection.smash import group, smash


def prints(seed, n, features=5, steps=16):
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 30, (n, 2))
    ash = rng.random((n, features, steps)) < rng.choice([0.05, 0.5, 0.9], (n, 1, 1))
    ash[:, 0, 0] = True
    return Footprints.of(np.hstack([corner, corner + rng.integers(1, 20, (n, 2))]), ash)


def by_definition(i, j):
    """SMASH of one pair of (box, ash)."""
    (box, ash), (other_box, other_ash) = i, j
    cells, other = ({(y, x) for y in range(b[1], b[3]) for x in range(b[0], b[2])} for b in (box.tolist(), other_box.tolist()))
    return np.sum(ash & other_ash) / np.sum(ash | other_ash) * len(cells & other) / len(cells | other)


def table(a, b):
    pairs = [list(zip(one.boxes, one.unpacked(), strict=True)) for one in (a, b)]
    return np.array([[by_definition(i, j) for j in pairs[1]] for i in pairs[0]]).reshape(len(pairs[0]), len(pairs[1]))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(0, 12), st.integers(0, 12))
def test_smash_by_its_definition(seed, n, m):
    a, b = prints(seed, n), prints(seed + 1, m)
    wanted = table(a, b)
    assert np.allclose(smash(a, b).toarray(), wanted, rtol=1e-12, atol=0)
    assert smash(a, b).nnz == np.sum(wanted > 0)
    assert np.allclose(smash(a, b, 0.2).toarray(), np.where(wanted >= 0.2, wanted, 0), rtol=1e-12, atol=0)
    assert np.array_equal(smash(a, b).toarray(), smash(b, a).toarray().T)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.integers(0, 25), st.sampled_from([0.0, 0.02, 0.1, 0.3, 1.0]))
def test_groups_are_what_links_connect(seed, n, threshold):
    a = prints(seed, n)
    linked, wanted = table(a, a) >= threshold, np.full(n, -1)
    for k in range(n):
        if wanted[k] < 0:
            number, front = wanted.max(initial=-1) + 1, [k]
            while front:
                wanted[front] = number
                front = [j for j in np.flatnonzero(linked[front].any(0)) if wanted[j] < 0]
    assert np.array_equal(group(a, threshold), wanted)
    other = np.random.default_rng(seed).permutation(n)
    again = group(Footprints(a.boxes[other], a.ash[other], a.shape), threshold)
    assert np.array_equal(wanted[other][:, None] == wanted[other], again[:, None] == again)


def test_the_threshold_is_the_configuration_s():
    halves = Footprints.of([[0, 0, 10, 1], [5, 0, 15, 1]], np.ones((2, 1, 1), bool))  # IoU 1/3
    by_tenths = np.zeros((2, 1, 10), bool)
    by_tenths[0, 0], by_tenths[1, 0, :3] = True, True  # Jaccard 3/10
    assert group(halves).tolist() == [0, 0] and TrackingConfig().smash_threshold == 0.1
    edge = Footprints.of(halves.boxes, by_tenths)  # 1/10, but for rounding
    value = smash(edge, edge)[0, 1]
    assert value == pytest.approx(0.1) and group(edge, value).tolist() == [0, 0]
    assert group(edge, np.nextafter(value, 1)).tolist() == [0, 1]


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="of one shape"):
        smash(prints(0, 2), prints(0, 2, steps=8))


def test_the_spikes_of_one_object_stay_together_and_far_objects_apart(hulk_tools):
    network, dot, unravel = hulk_tools
    model, frames = network(), np.zeros((8, 2, 40, 90), np.uint8)
    dot(frames, 1, (20, 8), (0, 3), range(8))
    _, one = unravel(model, frames)
    assert len(one) > 10 and not group(one).any()
    dot(frames, 1, (20, 80), (1, 0), range(8))
    _, two = unravel(model, frames)
    left = two.prints.boxes[:, 2] <= 60
    assert len(two) > len(one) == left.sum()
    assert set(group(two)[left]).isdisjoint(group(two)[~left]) and len(set(group(two))) == 2


def test_crossing_objects_are_told_apart_by_what_they_are_made_of(crossing):
    _, frames, both = crossing
    number = group(both)
    assert number.max() == 1
    share = both.saliency(number)
    for g in (0, 1):
        assert len(set(both.class_id[number == g])) == 1
        polarity = both.class_id[number == g][0]
        assert np.array_equal(share[g].any(0), frames[:, polarity].any(0))  # each its own path, the crossing included
    assert (share[0].any(0) & share[1].any(0)).any()
