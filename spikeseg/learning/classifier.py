"""The linear read-out: a support vector machine on standardised features, by scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GRAM_BYTES = 2**31
"""Up to this size the products of all training features are kept; beyond, libsvm makes them as it needs them."""


@dataclass(frozen=True)
class Scored:
    """How a read-out did.

    Attributes:
        accuracy, train_accuracy: shares of images.
        predicted: int64 (N,), of the test images.
    """

    accuracy: float
    train_accuracy: float
    predicted: np.ndarray


def score_linear(train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray, c: float) -> Scored:
    """Train a linear SVM (one against one, as libsvm does it) and score it.

    Features are standardised by mean and deviation of the training images; one that never varies counts for nothing.

    Args:
        train, test: features (N, D), of any real dtype.
        labels, truth: classes int64 (N,).
        c: the SVM's C.
    """
    from sklearn.svm import SVC

    mean, deviation = train.mean(0, dtype=np.float64), train.std(0, dtype=np.float64)
    varies = (train.max(0) > train.min(0)) & (deviation > 0)  # a constant's deviation may be rounded to more than 0
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
    a, b = (((one - mean) * scale).astype(np.float32) for one in (train, test))
    if 8 * len(a) ** 2 <= GRAM_BYTES:
        machine = SVC(kernel="precomputed", C=c).fit(gram := a @ a.T, labels)
        found, known = machine.predict(b @ a.T), machine.predict(gram)
    else:
        machine = SVC(kernel="linear", C=c).fit(a, labels)
        found, known = machine.predict(b), machine.predict(a)
    return Scored(float((found == truth).mean()), float((known == labels).mean()), found.astype(np.int64))
