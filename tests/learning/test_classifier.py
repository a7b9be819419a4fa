"""The linear read-out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.learning import classifier
from spikeseg.learning.classifier import score_linear


def blobs(n=90, seed=0, spread=1.0):
    """(N, 4) features around three centres, and which."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    centres = np.array([[0, 0, 5, 1], [5, 0, 0, 1], [0, 5, 0, 1]], float)
    features = centres[labels] + spread * rng.normal(size=(n, 4)) * [1, 1, 1, 0]
    return features.astype(np.float32), labels


def scored(spread=1.0, change=lambda one: one, c=1.0):
    (a, y), (b, z) = blobs(spread=spread), blobs(60, 1, spread)
    return score_linear(change(a), y, change(b), z, c)


def test_what_can_be_told_apart_is():
    found = scored()
    assert found.accuracy == found.train_accuracy == 1.0 and found.predicted.dtype == np.int64
    hard = scored(spread=6.0)
    assert 0.4 < hard.accuracy < 0.95 and hard.accuracy == (hard.predicted == blobs(60, 1, 6.0)[1]).mean()


def test_scale_and_features_that_never_vary_do_not_matter():
    """The fourth feature is 1 in every image."""
    before = scored(spread=6.0).predicted
    np.testing.assert_array_equal(scored(spread=6.0, change=lambda one: one * [100, 0.01, 3, 7] + 5).predicted, before)
    np.testing.assert_array_equal(scored(spread=6.0, change=lambda one: one[:, :3]).predicted, before)


def test_both_ways_to_train_are_one_machine(monkeypatch):
    from sklearn import svm

    made, machine = [], svm.SVC
    monkeypatch.setattr(svm, "SVC", lambda **options: made.append(options["kernel"]) or machine(**options))
    for c in (0.001, 0.1, 1.0):
        monkeypatch.setattr(classifier, "GRAM_BYTES", 8 * 90**2)
        before = scored(spread=6.0, c=c)
        monkeypatch.setattr(classifier, "GRAM_BYTES", 8 * 90**2 - 1)
        after = scored(spread=6.0, c=c)
        np.testing.assert_array_equal(before.predicted, after.predicted)
        assert before.train_accuracy == after.train_accuracy
    assert made == ["precomputed", "linear"] * 3


def test_a_feature_that_never_varied_counts_for_nothing_in_the_test_either():
    """0.1 has a mean over 91 images that is not 0.1; so small a deviation is none."""
    (a, y), (b, z) = blobs(91), blobs(60, 1)
    a, b = (np.concatenate([one, np.full((len(one), 1), 0.1)], 1) for one in (a, b))
    assert a.dtype == np.float64 and a[:, 4].std() > 0
    b[:, 4] = np.random.default_rng(0).normal(size=60)
    with np.errstate(all="raise", under="ignore"):
        found = score_linear(a, y, b, z, 1.0)
    assert found.accuracy == 1.0
    nothing = score_linear(np.ones((6, 2)), np.array([0, 1, 1, 1, 1, 1]), np.zeros((4, 2)), np.array([1, 1, 0, 0]), 1.0)
    assert nothing.predicted.tolist() == [1] * 4 and nothing.accuracy == 0.5 and nothing.train_accuracy == pytest.approx(5 / 6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64])
def test_features_of_any_real_dtype(dtype):
    """Whole numbers, of which unsigned ones must not wrap around below their mean."""
    (a, y), (b, z) = ((np.rint(4 * one + 60), label) for one, label in (blobs(spread=3.0), blobs(60, 1, 3.0)))
    wanted = score_linear(a, y, b, z, 1.0)
    found = score_linear(a.astype(dtype), y, b.astype(dtype), z, 1.0)
    np.testing.assert_array_equal(found.predicted, wanted.predicted)
    assert found.train_accuracy == wanted.train_accuracy > 0.6


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-12, 12), min_size=4, max_size=4))
def test_features_scaled_by_powers_of_two_give_the_same_machine(seed, powers):
    (a, y), (b, z) = blobs(40, seed, 6.0), blobs(30, seed + 1, 6.0)
    y[:3] = range(3)
    scale = np.array([2.0**power for power in powers])
    one, other = score_linear(a, y, b, z, 0.3), score_linear(a * scale, y, b * scale, z, 0.3)
    np.testing.assert_array_equal(one.predicted, other.predicted)
    assert one.train_accuracy == other.train_accuracy


def test_the_order_of_the_test_images_changes_no_prediction():
    """Nothing is learned from the test images: each is judged alone."""
    (a, y), (b, z) = blobs(spread=6.0), blobs(60, 1, 6.0)
    order = np.random.default_rng(0).permutation(60)
    together = score_linear(a, y, b, z, 1.0).predicted
    np.testing.assert_array_equal(score_linear(a, y, b[order], z[order], 1.0).predicted, together[order])
    np.testing.assert_array_equal(score_linear(a, y, b[:5], z[:5], 1.0).predicted, together[:5])


def test_labels_of_the_test_images_change_no_prediction():
    (a, y), (b, z) = blobs(spread=6.0), blobs(60, 1, 6.0)
    one, other = score_linear(a, y, b, z, 1.0), score_linear(a, y, b, (z + 1) % 3, 1.0)
    np.testing.assert_array_equal(one.predicted, other.predicted)
    assert one.accuracy != pytest.approx(other.accuracy)
    shuffled = score_linear(a, y, b, np.random.default_rng(3).permutation(z), 1.0)
    np.testing.assert_array_equal(one.predicted, shuffled.predicted)
    assert shuffled.accuracy < one.accuracy and shuffled.train_accuracy == one.train_accuracy
