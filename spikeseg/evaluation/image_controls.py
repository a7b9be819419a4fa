"""What a network for images is compared with: pixels, weights that were not learned, learning without times or competition."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeseg.config.sections import Config
from spikeseg.core.sparse import SpikeLists
from spikeseg.learning.classifier import score_linear
from spikeseg.learning.image_training import LayerProgress, no_progress, train_network, untrained_network
from spikeseg.models.image_network import Change, ImageNetwork, unchanged

from .images import LabelledSpikes, read_out

PIXEL_C = (0.0001, 0.001, 0.01, 0.1)
"""C of the SVM on pixels: the best of these by cross-validation on the training images."""
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
    train: LabelledSpikes,
    test: LabelledSpikes,
    pixels: tuple[np.ndarray, np.ndarray] | None,
    progress: LayerProgress = no_progress,
) -> dict[str, Any]:
    """Accuracy of each control, by name; seeds are those of the networks.

    Beside it stand on how many test images the network is right in more seeds, on how many the control, and the probability of so
    uneven a split by chance (sign test over images; with one seed McNemar's).

    Args:
        cfg: the configuration of the networks.
        networks: trained, of seeds cfg.seed, cfg.seed + 1, ...; controls run where they lie.
        predicted: class of each test image by each of them, int64 (N,).
        train: the images that networks and read-outs learn from.
        test: the images on which they are scored.
        pixels: the images themselves, training and test; None for recordings.
        progress: shows how far each layer of a control that learns is.
    """
    correct: dict[str, list[np.ndarray]] = {name: [] for name in TITLES if pixels is not None or name != "pixels"}
    for seed, network in enumerate(networks, start=cfg.seed):
        for name, control, change in _controls(dataclasses.replace(cfg, seed=seed), network, train.lists, progress):
            scored, _ = read_out(control, train, test, cfg.images.svm_c, change)
            correct[name].append(scored.predicted == test.labels)
    if pixels is not None:
        correct["pixels"] = [_on_pixels(pixels[0], train.labels, pixels[1], test.labels) == test.labels] * len(networks)
    networks_correct = [classes == test.labels for classes in predicted]
    return {name: {"title": TITLES[name], **_compared(networks_correct, images)} for name, images in correct.items()}


def _controls(
    cfg: Config, network: ImageNetwork, lists: SpikeLists, progress: LayerProgress
) -> Iterator[tuple[str, ImageNetwork, Change]]:
    """Each control that is a network: its name, the network, and what is done to the input of its layers."""
    rng = np.random.default_rng((cfg.seed, 2))
    yield "untrained", untrained_network(cfg, lists, network.device), unchanged
    for name, layers, change in (
        ("random", range(len(network.weights)), random_weights),
        ("shuffled_weights", range(len(network.weights)), shuffled_weights),
        ("last_layer_shuffled", [len(network.weights) - 1], shuffled_weights),
    ):
        control = untrained_network(cfg, lists, network.device)
        control.weights = [change(w, rng) if k in layers else w for k, w in enumerate(network.weights)]
        yield name, control, unchanged

    def mixed(spikes: SpikeLists) -> SpikeLists:
        return shuffled_times(spikes, rng)

    control = untrained_network(cfg, lists, network.device)
    train_network(control, lists, cfg, change=mixed, progress=progress)
    yield "shuffled_times", control, mixed
    control = untrained_network(cfg, lists, network.device)
    train_network(control, lists, cfg, mode="none", progress=progress)
    yield "no_competition", control, unchanged


def _compared(network: Sequence[np.ndarray], control: Sequence[np.ndarray]) -> dict[str, Any]:
    """Which test images each classified correctly, (N,) bool per seed, in numbers."""
    from scipy.stats import binomtest

    ahead = np.sum(network, axis=0, dtype=np.int64) - np.sum(control, axis=0, dtype=np.int64)
    better, worse = int((ahead > 0).sum()), int((ahead < 0).sum())
    accuracies = [float(correct.mean()) for correct in control]
    return {
        "accuracy": float(np.mean(accuracies)),
        "accuracies": accuracies,
        "images_network_better": better,
        "images_control_better": worse,
        "p": float(binomtest(better, better + worse).pvalue) if better + worse else 1.0,
    }


def random_weights(weight: Tensor, rng: np.random.Generator) -> Tensor:
    """0 and 1 at random, with the mean of the weights."""
    drawn = (rng.random(tuple(weight.shape)) < float(weight.cpu().mean())).astype(np.float32)
    return torch.from_numpy(drawn).to(weight.device)


def shuffled_weights(weight: Tensor, rng: np.random.Generator) -> Tensor:
    """Each map's weights in another order."""
    shuffled = rng.permuted(weight.flatten(1).cpu().numpy(), axis=1).reshape(tuple(weight.shape))
    return torch.from_numpy(shuffled).to(weight.device)


def shuffled_times(lists: SpikeLists, rng: np.random.Generator) -> SpikeLists:
    """The same spikes of each image in other steps; as many in each step as before."""
    steps, offsets, sites = lists.shape[0], lists.offsets, lists.sites.copy()
    for n in range(lists.samples):
        first, last = offsets[n * steps], offsets[(n + 1) * steps]
        rng.shuffle(sites[first:last])
    step = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return SpikeLists(offsets, sites[np.lexsort((sites, step))], lists.shape)


def _on_pixels(train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Classes of the test images by a linear SVM on pixels, with the C of highest accuracy in three-fold cross-validation on the
    training images."""
    flat, other = (images.reshape(len(images), -1).astype(np.float32) for images in (train, test))
    fold = np.arange(len(flat)) % 3

    def validated(c: float) -> float:
        scores = (score_linear(flat[fold != k], labels[fold != k], flat[fold == k], labels[fold == k], c) for k in range(3))
        return sum(scored.accuracy for scored in scores)

    best = max(PIXEL_C, key=validated)
    return score_linear(flat, labels, other, truth, best).predicted
