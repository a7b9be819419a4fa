"""The linear read-out: a support vector machine on standardised features, by scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GRAM_BYTES = 2**31
"""Up to this size the products of all training features are kept; beyond, libsvm makes them as it needs them."""


@dataclass(frozen=True)
class Scored:
    """How well a read-out classifies.

    Attributes:
        accuracy, train_accuracy: shares of the test and of the training images that are classified correctly.
        predicted: int64 (N,), classes of the test images.
    """

    accuracy: float
    train_accuracy: float
    predicted: np.ndarray


def score_linear(train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray, c: float) -> Scored:
    """Train a linear SVM (one against one, as libsvm does it) and score it.

    Features are standardised by mean and deviation of the training images; one that never varies counts for nothing.

    Args:
        train: features (N, D) of the training images, of any real dtype.
        labels: their classes, int64 (N,).
        test: features of the test images.
        truth: their classes.
        c: the SVM's C.

    Returns:
        shares of images whose class is predicted correctly, and the classes predicted for the test images.
    """
    from sklearn.svm import SVC

    mean, deviation = train.mean(0, dtype=np.float64), train.std(0, dtype=np.float64)
    varies = (train.max(0) > train.min(0)) & (deviation > 0)  # a constant's deviation may be rounded to more than 0
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
    a, b = (((features - mean) * scale).astype(np.float32) for features in (train, test))
    if 8 * len(a) ** 2 <= GRAM_BYTES:
        machine = SVC(kernel="precomputed", C=c).fit(gram := a @ a.T, labels)
        predicted, predicted_train = machine.predict(b @ a.T), machine.predict(gram)
    else:
        machine = SVC(kernel="linear", C=c).fit(a, labels)
        predicted, predicted_train = machine.predict(b), machine.predict(a)
    return Scored(float((predicted == truth).mean()), float((predicted_train == labels).mean()), predicted.astype(np.int64))
