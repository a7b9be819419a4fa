"""What a network of `classify` is compared with: pixels, weights that were not learned, learning without times or competition."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .classify import PIXEL_C, fresh, read_out, trained

if TYPE_CHECKING:
    from torch import Tensor

    from spikeseg.config.sections import Config
    from spikeseg.core.sparse import SpikeLists
    from spikeseg.models.image_network import ImageNetwork

TITLES = {
    "pixels": "linear SVM on the pixels",
    "untrained": "untrained network",
    "random": "random weights 0 and 1, as dense as the learned ones",
    "shuffled_weights": "learned weights shuffled within each map",
    "last_layer_shuffled": "the same, in the last layer alone",
    "shuffled_times": "spike times shuffled within each image, in learning and read-out",
    "no_competition": "learned without competition between maps",
}


def scored_controls(
    cfg: Config,
    networks: Sequence[ImageNetwork],
    predicted: Sequence[np.ndarray],
    train: SpikeLists,
    labels: np.ndarray,
    test: SpikeLists,
    truth: np.ndarray,
    pixels: tuple[np.ndarray, np.ndarray] | None,
) -> dict[str, Any]:
    """Accuracy of each control, by name; seeds are those of the networks.

    Beside it stand on how many test images the network is right in more seeds, on how many the control, and the probability of so
    uneven a split by chance (sign test over images; with one seed McNemar's).

    Args:
        networks: trained, of seeds cfg.seed, cfg.seed + 1, ...
        predicted: what each of them said to the test images.
        train, test: the images as spikes.
        labels, truth: their classes.
        pixels: the images themselves, training and test; None for recordings.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in TITLES if pixels is not None or name != "pixels"}
    for seed, network in enumerate(networks, start=cfg.seed):
        now = dataclasses.replace(cfg, seed=seed)
        rng = np.random.default_rng((seed, 2))

        def score(name: str, network: ImageNetwork, change: Callable[[SpikeLists], SpikeLists] | None = None) -> None:
            options = {} if change is None else {"change": change}
            scored, _ = read_out(now, network, train, labels, test, truth, **options)  # noqa: B023
            found[name].append(scored.predicted == truth)

        score("untrained", fresh(now, train))
        for name, layers, change in (
            ("random", range(len(network.weights)), _random),
            ("shuffled_weights", range(len(network.weights)), _shuffled),
            ("last_layer_shuffled", [len(network.weights) - 1], _shuffled),
        ):
            control = fresh(now, train)
            control.weights = [change(w, rng) if k in layers else w for k, w in enumerate(network.weights)]
            score(name, control)

        def mixed(lists: SpikeLists) -> SpikeLists:
            return shuffled_times(lists, rng)  # noqa: B023

        score("shuffled_times", trained(now, train, change=mixed)[0], mixed)
        score("no_competition", trained(now, train, mode="none")[0])
    if pixels is not None:
        found["pixels"] = [_on_pixels(pixels[0], labels, pixels[1], truth) == truth] * len(networks)
    right = [one == truth for one in predicted]
    return {name: {"title": TITLES[name], **_compared(right, each)} for name, each in found.items()}


def _compared(network: Sequence[np.ndarray], control: Sequence[np.ndarray]) -> dict[str, Any]:
    """Which test images each got right, (N,) bool per seed, in numbers."""
    from scipy.stats import binomtest

    ahead = np.sum(network, axis=0, dtype=np.int64) - np.sum(control, axis=0, dtype=np.int64)
    better, worse = int((ahead > 0).sum()), int((ahead < 0).sum())
    accuracies = [float(one.mean()) for one in control]
    return {
        "accuracy": float(np.mean(accuracies)),
        "accuracies": accuracies,
        "images_network_better": better,
        "images_control_better": worse,
        "p": float(binomtest(better, better + worse).pvalue) if better + worse else 1.0,
    }


def _random(weight: Tensor, rng: np.random.Generator) -> Tensor:
    """0 and 1 at random, with the mean of the weights."""
    import torch

    return torch.from_numpy((rng.random(tuple(weight.shape)) < float(weight.mean())).astype(np.float32))


def _shuffled(weight: Tensor, rng: np.random.Generator) -> Tensor:
    """Each map's weights in another order."""
    import torch

    return torch.from_numpy(rng.permuted(weight.flatten(1).numpy(), axis=1).reshape(tuple(weight.shape)))


def shuffled_times(lists: SpikeLists, rng: np.random.Generator) -> SpikeLists:
    """The same spikes of each image in other steps; as many in each step as before."""
    from spikeseg.core.sparse import SpikeLists

    steps, offsets, sites = lists.shape[0], lists.offsets, lists.sites.copy()
    for n in range(lists.samples):
        first, last = offsets[n * steps], offsets[(n + 1) * steps]
        rng.shuffle(sites[first:last])
    step = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return SpikeLists(offsets, sites[np.lexsort((sites, step))], lists.shape)


def _on_pixels(train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What a linear SVM on pixels says to the test images, with the C that three folds of the training images like best."""
    from spikeseg.learning.classifier import score_linear

    flat, other = (one.reshape(len(one), -1).astype(np.float32) for one in (train, test))
    fold = np.arange(len(flat)) % 3

    def validated(c: float) -> float:
        scores = (score_linear(flat[fold != k], labels[fold != k], flat[fold == k], labels[fold == k], c) for k in range(3))
        return sum(one.accuracy for one in scores)

    best = max(PIXEL_C, key=validated)
    return score_linear(flat, labels, other, truth, best).predicted
