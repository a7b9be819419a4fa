"""Stage `classify`: images (or short recordings) as spikes, layers that learn from them, and a linear read-out that is scored.

The network never sees a label; the read-out sees those of the training images.
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.config import section_dict
from spikeseg.core.files import atomic_write
from spikeseg.errors import InputError

from ..runtime.console import bar
from ..runtime.manifest import Ingredients
from ..runtime.stage import StageResult, run_stage

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.core.sparse import SpikeLists
    from spikeseg.data.datasets.images import Images, ImageSet
    from spikeseg.learning.image_training import LayerResult
    from spikeseg.models.image_network import ImageNetwork

log = logging.getLogger(__name__)

STAGE, VERSION = "classify", 1
METRICS, NETWORK, FILTERS = "metrics.json", "network.pt", "filters.png"
PIXEL_C = (0.0001, 0.001, 0.01, 0.1)
"""C of the SVM on pixels: the best of these by cross-validation on the training images."""


def settings_for(dataset: str) -> str:
    """The built-in configuration made for a dataset. Raises InputError for one that has no classes."""
    from spikeseg.registries import DATASETS

    settings: str | None = DATASETS[dataset].settings if dataset in DATASETS else None
    if settings is None:
        names = ", ".join(name for name, entry in DATASETS.items() if entry.settings)
        raise InputError(f"data.dataset: {dataset!r} has no classes; spikeseg classify takes {names}")
    return settings


def classify(
    cfg: Config, *, controls: bool = False, repeat: int = 1, output: Path | None = None, force: bool = False
) -> StageResult:
    """Train on the training images, read out and score on the test images: ``classify/<key>/`` in the runs' folder.

    Args:
        cfg: the configuration.
        controls: whether to score what the network is compared with, too.
        repeat: networks, of seeds seed, seed + 1, ...; the images stay dealt as they are.
        output: where a copy of metrics.json goes.

    Raises InputError when images cannot be read, or do not fit the settings."""
    settings_for(cfg.data.dataset)
    held = ImageData(cfg)
    parts = ("images", "stdp", "convergence")
    config: dict[str, Any] = {part: section_dict(getattr(cfg, part)) for part in parts}
    config |= {"wta": cfg.wta.mode.value, "n_timesteps": cfg.data.n_timesteps, "timestep_ms": cfg.data.timestep_ms}
    config |= {"seed": cfg.seed, "controls": controls, "repeat": repeat, "dataset": cfg.data.dataset}

    def build(folder: Path) -> Mapping[str, Any]:
        metrics, network = measure(cfg, held, controls, repeat)
        atomic_write(folder / METRICS, json.dumps(metrics, indent=1, allow_nan=False) + "\n")
        atomic_write(folder / NETWORK, _saved(network))
        if picture := _filters(network):
            atomic_write(folder / FILTERS, picture)
        return {"seed": cfg.seed}

    root = Path(cfg.output_dir) / STAGE
    done = run_stage(root, Ingredients(STAGE, VERSION, config, {"images": held.fingerprint}), build, force)
    if output is not None:
        atomic_write(output, (done.path / METRICS).read_bytes())
    return done


class ImageData:
    """The images of a configuration, read when they are asked for.

    Attributes:
        fingerprint: of everything that is read."""

    def __init__(self, cfg: Config) -> None:
        from spikeseg.registries import DATASETS

        self.cfg, self.dataset = cfg, DATASETS[cfg.data.dataset]
        self.events = self.dataset.entries is not None
        self._images: ImageSet | None = None
        if self.events:
            from spikeseg.data.datasets.entry import combined

            entries = self.dataset.entries(_root(cfg))
            self.parts = {part: [e for e in entries if part in e.path.parts] for part in ("Train", "Test")}
            if not all(self.parts.values()):
                raise InputError(f"{cfg.data.data_root}: expected N-MNIST's folders Train and Test, each with folders 0 to 9")
            self.fingerprint = combined(*(entry.fingerprint for entry in entries))
        else:
            self.fingerprint = self.images.fingerprint

    @property
    def images(self) -> ImageSet:
        """The pictures."""
        from spikeseg.data.datasets import ImageOptions

        cfg = self.cfg
        if self._images is None:
            options = ImageOptions((cfg.images.height, cfg.images.width), cfg.seed, cfg.data.test_ratio)
            self._images = self.dataset.images(_root(cfg) if self.dataset.needs_root else "", options)
        return self._images

    def spikes(self) -> tuple[SpikeLists, np.ndarray, SpikeLists, np.ndarray, tuple[str, ...]]:
        """Training and test as spikes with their labels, and the names of the classes."""
        if not self.events:
            held = self.images
            return self.coded(held.train), held.train.labels, self.coded(held.test), held.test.labels, held.classes
        from spikeseg.core.sparse import SpikeLists
        from spikeseg.data.frames.first_spikes import first_spikes
        from spikeseg.data.sensors import SENSOR_SIZES

        found: list[Any] = []
        width, height = SENSOR_SIZES["N-MNIST"]
        for part, entries in self.parts.items():
            steps, step_us = self.cfg.data.n_timesteps, self.cfg.data.timestep_ms * 1000
            lists = []
            with bar(f"reading {part}", "recording", len(entries)) as shown:
                for entry in entries:
                    lists.append(first_spikes([entry.load(self.cfg.data.lenient)], steps, step_us, (height, width)))
                    shown.update()
            labels = np.array([int(entry.path.parent.name) for entry in entries], np.int64)
            found += [SpikeLists.joined(lists), labels]
        return (*found, tuple(map(str, range(10))))

    def warm_up(self) -> None:
        """Compile what codes images, so that the time it takes is not told as theirs."""
        if not self.events:
            self.coded(dataclasses.replace(self.images.train, pixels=self.images.train.pixels[:1]))

    def coded(self, images: Images) -> SpikeLists:
        """Pictures as spikes."""
        from spikeseg.models.filters import dog_kernel
        from spikeseg.models.image_network import BACKENDS

        c = self.cfg.images
        ops = BACKENDS["reference" if self.cfg.backend == "reference" else "cpu"]
        return ops.latency(self._sized(images.pixels), dog_kernel(c.dog_size, c.dog_sigma), c.contrast, self.cfg.data.n_timesteps)

    def _sized(self, pixels: np.ndarray) -> np.ndarray:
        """In the size asked for; folders of images come in it."""
        c = self.cfg.images
        if self.dataset.resizes or not (c.height or c.width):
            return pixels
        from skimage.transform import resize

        wanted = (len(pixels), c.height or pixels.shape[1], c.width or pixels.shape[2])
        found: np.ndarray = np.rint(resize(pixels / 255.0, wanted, order=1) * 255.0).astype(np.uint8)
        return found


def _root(cfg: Config) -> str:
    if cfg.data.data_root is None:
        raise InputError(f"data.data_root: not set; give --data-root, the folder of {cfg.data.dataset}")
    return cfg.data.data_root


def measure(cfg: Config, held: ImageData, controls: bool, repeat: int) -> tuple[dict[str, Any], ImageNetwork]:
    """The content of metrics.json, and the (first) network."""
    from .classify_controls import scored_controls

    held.warm_up()
    started = time.perf_counter()
    train, labels, test, truth, classes = held.spikes()
    coding = 1000 * (time.perf_counter() - started) / (len(labels) + len(truth))
    runs, networks, predicted = [], [], []
    for seed in range(cfg.seed, cfg.seed + repeat):
        now = dataclasses.replace(cfg, seed=seed)
        network, learned = trained(now, train)
        scored, features_ms = read_out(now, network, train, labels, test, truth)
        confusion = np.zeros((len(classes), len(classes)), np.int64)
        np.add.at(confusion, (truth, scored.predicted), 1)
        runs.append(
            {
                "seed": seed,
                "accuracy": scored.accuracy,
                "train_accuracy": scored.train_accuracy,
                "layers": [_told(one) for one in learned],
                "confusion": confusion.tolist(),
                "milliseconds_per_image": {"coding": coding, "features": features_ms, "learning": _learning(learned)},
            }
        )
        networks.append(network)
        predicted.append(scored.predicted)
        log.info("seed %d: accuracy %.4f", seed, scored.accuracy)
    accuracies = [run["accuracy"] for run in runs]
    pixels = None if held.events else (held.images.train.pixels, held.images.test.pixels)
    compared = scored_controls(cfg, networks, predicted, train, labels, test, truth, pixels) if controls else {}
    metrics = {
        "version": VERSION,
        "dataset": cfg.data.dataset,
        "images": {"train": len(labels), "test": len(truth), "shape": list(train.shape)},
        "classes": list(classes),
        "accuracy": float(np.mean(accuracies)),
        "accuracy_deviation": float(np.std(accuracies)),
        "spikes_per_image": len(test.sites) / max(1, len(truth)),
        "runs": runs,
        "controls": compared,
        "settings": {"images": dataclasses.asdict(cfg.images), "n_timesteps": cfg.data.n_timesteps},
    }
    return metrics, networks[0]


def _unchanged(lists: SpikeLists) -> SpikeLists:
    return lists


def trained(
    cfg: Config, lists: SpikeLists, *, mode: str | None = None, change: Callable[[SpikeLists], SpikeLists] = _unchanged
) -> tuple[ImageNetwork, list[LayerResult]]:
    """A network that has learned from these images, layer by layer.

    Args:
        mode: of the competition; "none": no map knows of another.
        change: done to every layer's input."""
    from spikeseg.learning.image_training import learn

    network, learned = fresh(cfg, lists), []
    free = mode == "none"
    for number, inputs in enumerate(network.inputs(lists, change)):
        with bar(f"learning layer {number + 1}", "image", cfg.images.max_images) as shown:
            told = learn(
                network.weights[number], inputs, cfg, number,
                mode="global" if free else mode, winners=cfg.images.maps[number] if free else None, shown=shown.update,
            )  # fmt: skip
        log.info("layer %d: %s after %d images, %d of %d maps never won", number + 1, told.stopped, told.images, told.dead,
                 cfg.images.maps[number])  # fmt: skip
        learned.append(told)
    return network, learned


def fresh(cfg: Config, lists: SpikeLists) -> ImageNetwork:
    """An untrained network for these images."""
    from spikeseg.models.image_network import ImageNetwork

    network = ImageNetwork(cfg.images, cfg.stdp, in_channels=lists.shape[1], seed=cfg.seed)
    network.backend = "reference" if cfg.backend == "reference" else "cpu"
    return network


def read_out(
    cfg: Config,
    network: ImageNetwork,
    train: SpikeLists,
    labels: np.ndarray,
    test: SpikeLists,
    truth: np.ndarray,
    change: Callable[[SpikeLists], SpikeLists] = _unchanged,
) -> tuple[Any, float]:
    """How well a linear read-out of its features does, and how many ms an image's features took."""
    from spikeseg.learning.classifier import score_linear

    network.features(train.part(0, min(1, train.samples)))  # compiles
    started = time.perf_counter()
    features = [network.features(lists, change) for lists in (train, test)]
    spent = 1000 * (time.perf_counter() - started) / (train.samples + test.samples)
    return score_linear(features[0], labels, features[1], truth, cfg.images.svm_c), spent


def _told(learned: LayerResult) -> dict[str, Any]:
    return {**learned._asdict(), "milliseconds_per_image": 1000 * learned.seconds / learned.images}


def _learning(learned: Sequence[LayerResult]) -> float:
    """ms that an image takes in learning, all layers together."""
    return sum(1000 * one.seconds / one.images for one in learned)


def _saved(network: ImageNetwork) -> bytes:
    """Weights as a file that loads under torch.load(weights_only=True)."""
    import torch

    file = io.BytesIO()
    torch.save({"config": dataclasses.asdict(network.config), "weights": network.weights}, file)
    return file.getvalue()


def _filters(network: ImageNetwork) -> bytes | None:
    """The picture of what the maps have learned; None without matplotlib."""
    from spikeseg.plots.filters import filters_png

    try:
        return filters_png(network)
    except InputError as why:
        log.info("no picture of the filters: %s", why)
        return None
