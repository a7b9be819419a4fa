"""scikit-learn's digits."""

import numpy as np

from spikeseg.data.datasets.digits import load_digits


def test_digits_are_there_and_dealt_by_seed():
    found, same, other, more = load_digits(1, 0.2), load_digits(1, 0.2), load_digits(2, 0.2), load_digits(1, 0.3)
    assert found.train.pixels.shape[1:] == (8, 8) and len(found.train.labels) + len(found.test.labels) == 1797
    assert found.train.pixels.max() == 255 and found.classes == tuple("0123456789")
    assert {int(value) for value in np.unique(found.train.pixels)} <= {round(k * 255 / 16) for k in range(17)}
    share = np.bincount(found.test.labels) / (np.bincount(found.test.labels) + np.bincount(found.train.labels))
    assert (abs(share - 0.2) < 0.01).all()
    for one, again in ((found.train, same.train), (found.test, same.test)):
        np.testing.assert_array_equal(one.pixels, again.pixels)
        np.testing.assert_array_equal(one.labels, again.labels)
    assert found.fingerprint == same.fingerprint and len({found.fingerprint, other.fingerprint, more.fingerprint}) == 3
    assert (found.test.labels != other.test.labels).any()
