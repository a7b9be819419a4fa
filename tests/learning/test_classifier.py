"""The linear read-out."""

import numpy as np
import pytest

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
    before = scored(spread=6.0, c=0.1)
    monkeypatch.setattr(classifier, "GRAM_BYTES", 0)
    after = scored(spread=6.0, c=0.1)
    np.testing.assert_array_equal(before.predicted, after.predicted)
    assert before.train_accuracy == after.train_accuracy


def test_labels_of_the_test_images_change_no_prediction():
    (a, y), (b, z) = blobs(spread=6.0), blobs(60, 1, 6.0)
    one, other = score_linear(a, y, b, z, 1.0), score_linear(a, y, b, (z + 1) % 3, 1.0)
    np.testing.assert_array_equal(one.predicted, other.predicted)
    assert one.accuracy != pytest.approx(other.accuracy)
