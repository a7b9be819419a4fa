"""Networks for images, scored by a linear read-out of their features."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from spikeseg.core.sparse import SpikeLists
from spikeseg.learning.classifier import Scored, score_linear
from spikeseg.models.image_network import Change, ImageNetwork, unchanged


class LabelledSpikes(NamedTuple):
    """Images as spikes (T, C, H, W), with their classes, int64 (N,)."""

    lists: SpikeLists
    labels: np.ndarray


def read_out(
    network: ImageNetwork, train: LabelledSpikes, test: LabelledSpikes, svm_c: float, change: Change = unchanged
) -> tuple[Scored, float]:
    """Scores of a linear read-out of a network's features, and how many ms an image's features took.

    Args:
        network: never sees a label.
        train: images on which the read-out is trained.
        test: images on which it is scored.
        svm_c: see `score_linear`.
        change: done to the input of every layer, for controls.

    Raises:
        InputError: see `ImageNetwork.features`.
    """
    network.features(train.lists.part(0, min(1, train.lists.samples)))  # compiles
    started = time.perf_counter()
    features = [network.features(images.lists, change) for images in (train, test)]
    milliseconds = 1000 * (time.perf_counter() - started) / (train.lists.samples + test.lists.samples)
    return score_linear(features[0], train.labels, features[1], test.labels, svm_c), milliseconds
