"""Stage `classify`: images (or short recordings) as spikes, layers that learn from them, and a linear read-out that is scored.

The network never sees a label; the read-out sees those of the training images.
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.config import section_dict
from spikeseg.core.files import atomic_write
from spikeseg.errors import InputError

from ..runtime.console import bar
from ..runtime.manifest import Ingredients
from ..runtime.stage import StageResult, copied, run_stage

if TYPE_CHECKING:
    import torch

    from spikeseg.config.sections import Config
    from spikeseg.core.sparse import SpikeLists
    from spikeseg.data.datasets import Entry
    from spikeseg.data.datasets.images import Images, ImageSet
    from spikeseg.data.recording import Recording
    from spikeseg.evaluation.images import LabelledSpikes
    from spikeseg.learning.image_training import LayerResult
    from spikeseg.models.image_network import ImageNetwork

log = logging.getLogger(__name__)

STAGE, VERSION = "classify", 1
METRICS, NETWORK, FILTERS = "metrics.json", "network.pt", "filters.png"


def settings_for(dataset: str) -> str:
    """The built-in configuration made for a dataset.

    Args:
        dataset: a value of data.dataset.

    Raises:
        InputError: a dataset that has no classes.
    """
    from spikeseg.registries import DATASETS

    settings: str | None = DATASETS[dataset].settings if dataset in DATASETS else None
    if settings is None:
        names = ", ".join(name for name, entry in DATASETS.items() if entry.settings)
        raise InputError(
            f"data.dataset: {dataset!r} has no classes; spikeseg classify takes {names}, and those of tonic with classes, "
            "such as tonic:DVSGesture"
        )
    return settings


def classify(
    cfg: Config, *, controls: bool = False, repeat: int = 1, output: Path | None = None, force: bool = False
) -> StageResult:
    """Train on the training images, read out and score on the test images: ``classify/<key>/`` in the runs' folder.

    Args:
        cfg: the configuration.
        controls: whether to score what the network is compared with, too.
        repeat: networks, of seeds seed, seed + 1, ...; the split into training and test images stays that of cfg.seed.
        output: where a copy of metrics.json goes.
        force: whether to run although the result is there.

    Raises:
        InputError: images that cannot be read or do not fit the settings, or a backend that cannot run here.
    """
    settings_for(cfg.data.dataset)
    data = ImageData(cfg)

    def build(folder: Path) -> Mapping[str, Any]:
        metrics, network = measure(cfg, data, controls, repeat)
        atomic_write(folder / METRICS, json.dumps(metrics, indent=1, allow_nan=False) + "\n")
        atomic_write(folder / NETWORK, _saved(network))
        if picture := _filters(network):
            atomic_write(folder / FILTERS, picture)
        return {"seed": cfg.seed, "skipped": data.skipped}

    root = Path(cfg.output_dir) / STAGE
    result = run_stage(root, plan(cfg, data, controls=controls, repeat=repeat), build, force)
    return copied(result, METRICS, output)


def plan(cfg: Config, data: ImageData, *, controls: bool = False, repeat: int = 1) -> Ingredients:
    """What `classify` would do."""
    parts = ("images", "stdp", "convergence")
    config: dict[str, Any] = {part: section_dict(getattr(cfg, part)) for part in parts}
    config |= {"wta": cfg.wta.mode.value, "n_timesteps": cfg.data.n_timesteps, "timestep_ms": cfg.data.timestep_ms}
    config |= {"seed": cfg.seed, "controls": controls, "repeat": repeat, "dataset": cfg.data.dataset}
    return Ingredients(STAGE, VERSION, config, {"images": data.fingerprint})


class ImageData:
    """The images of a configuration, read when they are asked for.

    Attributes:
        fingerprint: of everything that is read.
        skipped: what could not be read, by name, with the reason; complete once everything was read."""

    def __init__(self, cfg: Config) -> None:
        from spikeseg.registries import DATASETS

        self.cfg, self.dataset = cfg, DATASETS[cfg.data.dataset]
        self.events = self.dataset.entries is not None
        if cfg.images.group is not None and not self.dataset.groups:
            raise InputError(f"images.group: found {cfg.images.group!r}, but {cfg.data.dataset} tells no objects; leave it out")
        if self.events and cfg.images.filters != "dog":
            raise InputError(
                f"images.filters: found {cfg.images.filters!r}, but {cfg.data.dataset} holds no pictures; leave it out"
            )
        self._images: ImageSet | None = None
        self.skipped: dict[str, str] = {}
        if self.events:
            from spikeseg.data.datasets.entry import combined

            entries = self.dataset.entries(_root(cfg))
            self.parts, drawn = _parts(cfg, entries)
            self.fingerprint = combined(*(entry.fingerprint for entry in entries), *drawn)
        else:
            self.fingerprint = self.images.fingerprint

    @property
    def images(self) -> ImageSet:
        """The pictures."""
        from spikeseg.data.datasets import ImageOptions

        cfg = self.cfg
        if self._images is None:
            size = (cfg.images.height, cfg.images.width)
            options = ImageOptions(size, cfg.seed, cfg.data.test_ratio, cfg.images.group)
            self._images = self.dataset.images(_root(cfg) if self.dataset.needs_root else "", options)
            self._skip(self._images.skipped)
        return self._images

    @property
    def kept_back(self) -> dict[str, list[str]]:
        """The objects of the test images, where they are told."""
        objects = None if self.events else self.images.test.objects
        return {} if objects is None else {"objects_kept_back": np.unique(objects).tolist()}

    @property
    def pixels(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The training and the test images themselves; None for recordings."""
        return None if self.events else (self.images.train.pixels, self.images.test.pixels)

    def spikes(self, device: torch.device) -> tuple[LabelledSpikes, LabelledSpikes, tuple[str, ...]]:
        """Training and test images as spikes, coded on this device, and the names of the classes."""
        from spikeseg.evaluation.images import LabelledSpikes

        if not self.events:
            train, test = (
                LabelledSpikes(self.coded(part, device), part.labels) for part in (self.images.train, self.images.test)
            )
            return train, test, self.images.classes
        from spikeseg.core.sparse import SpikeLists

        named = {entry.class_name for entries in self.parts.values() for entry in entries}
        classes = self.dataset.classes or tuple(sorted(named))
        sensor: tuple[int, int] | None = self.dataset.frame
        parts: list[LabelledSpikes] = []
        for part, entries in self.parts.items():
            recordings, labels = [], []
            with bar(f"reading {part}", "recording", len(entries)) as shown:
                for entry in entries:
                    shown.update()
                    try:
                        recording = entry.load(self.cfg.data.lenient)
                    except InputError as error:
                        self._skip({entry.name: str(error)})
                        continue
                    sensor = sensor or recording.sensor_size
                    recordings.append(self._first_spikes(recording, sensor))
                    labels.append(classes.index(entry.class_name))
            if not recordings:
                raise InputError(f"{self.cfg.data.data_root}: nothing of {part} can be read; {next(iter(self.skipped.values()))}")
            parts.append(LabelledSpikes(SpikeLists.joined(recordings), np.array(labels, np.int64)))
        return parts[0], parts[1], classes

    def _first_spikes(self, recording: Recording, sensor: tuple[int, int]) -> SpikeLists:
        """A recording as spikes, in the size asked for, or else the sensor's (width, height)."""
        from spikeseg.data.frames.first_spikes import first_spikes

        data, images = self.cfg.data, self.cfg.images
        size = (images.height or sensor[1], images.width or sensor[0])
        return first_spikes([recording], data.n_timesteps, data.timestep_ms * 1000, size, sensor)

    def _skip(self, reasons: Mapping[str, str]) -> None:
        """Leave out what cannot be read, and say so."""
        self.skipped |= reasons
        for name, reason in reasons.items():
            log.warning("skipped %s: %s", name, reason)

    def warm_up(self, device: torch.device) -> None:
        """Compile what codes images, so that compiling does not count as time that coding takes."""
        if not self.events:
            self.coded(dataclasses.replace(self.images.train, pixels=self.images.train.pixels[:1]), device)

    def coded(self, images: Images, device: torch.device) -> SpikeLists:
        """Pictures as spikes."""
        from spikeseg.models.filters import dog_kernel, edge_bank
        from spikeseg.ops import backend as ops_backend

        c, steps = self.cfg.images, self.cfg.data.n_timesteps
        ops, pixels = ops_backend(self.cfg.backend, device), self._sized(images.pixels)
        lists: SpikeLists
        if c.filters == "gabor":
            bank = edge_bank(c.gabor_sizes, c.gabor_orientations).to(device)
            lists = ops.oriented_latency(pixels, bank, c.contrast, steps, (c.gabor_pool, c.gabor_stride))
        else:
            lists = ops.latency(pixels, dog_kernel(c.dog_size, c.dog_sigma).to(device), c.contrast, steps)
        return lists

    def _sized(self, pixels: np.ndarray) -> np.ndarray:
        """In the size asked for; folders of images come in it."""
        c = self.cfg.images
        if self.dataset.resizes or not (c.height or c.width):
            return pixels
        from skimage.transform import resize

        wanted = (len(pixels), c.height or pixels.shape[1], c.width or pixels.shape[2])
        resized: np.ndarray = np.rint(resize(pixels / 255.0, wanted, order=1) * 255.0).astype(np.uint8)
        return resized


def _parts(cfg: Config, entries: Sequence[Entry]) -> tuple[dict[str, list[Entry]], tuple[str, ...]]:
    """Recordings to train and to test with: as the dataset splits them, or else this share of each class for testing; and what
    that was drawn by.

    Raises InputError where a part is missing, or a class has one recording."""
    from spikeseg.data.datasets.images import dealt

    if any(entry.part for entry in entries):
        parts = {part: [entry for entry in entries if entry.part == part] for part in ("train", "test")}
        if absent := [part for part, own in parts.items() if not own]:
            raise InputError(
                f"{cfg.data.data_root}: holds no recordings of {absent[0]}; {cfg.data.dataset} has a part to train and one to "
                "test with, and spikeseg classify takes both"
            )
        return parts, ()
    classes = sorted({entry.class_name for entry in entries})
    labels = np.array([classes.index(entry.class_name) for entry in entries], np.int64)
    rows = dealt(labels, classes, cfg.seed, cfg.data.test_ratio)
    drawn = {part: [entries[row] for row in own] for part, own in zip(("train", "test"), rows, strict=True)}
    return drawn, (str(cfg.seed), str(cfg.data.test_ratio))


def _root(cfg: Config) -> str:
    if cfg.data.data_root is None:
        raise InputError(f"data.data_root: not set; give --data-root, the folder of {cfg.data.dataset}")
    return cfg.data.data_root


def measure(cfg: Config, data: ImageData, controls: bool, repeat: int) -> tuple[dict[str, Any], ImageNetwork]:
    """The content of metrics.json, and the (first) network."""
    from spikeseg.evaluation.image_controls import scored_controls
    from spikeseg.evaluation.images import read_out
    from spikeseg.learning.image_training import train_network, untrained_network
    from spikeseg.ops.device import network_device

    device = network_device(cfg.device, cfg.backend)
    data.warm_up(device)
    started = time.perf_counter()
    train, test, classes = data.spikes(device)
    coding = 1000 * (time.perf_counter() - started) / (len(train.labels) + len(test.labels))
    runs: list[dict[str, Any]] = []
    networks, predicted = [], []
    for seed in range(cfg.seed, cfg.seed + repeat):
        seeded = dataclasses.replace(cfg, seed=seed)
        network = untrained_network(seeded, train.lists, device)
        layers = train_network(network, train.lists, seeded, progress=learning_bar)
        scored, features_ms = read_out(network, train, test, cfg.images.svm_c)
        confusion = np.zeros((len(classes), len(classes)), np.int64)
        np.add.at(confusion, (test.labels, scored.predicted), 1)
        runs.append(
            {
                "seed": seed,
                "accuracy": scored.accuracy,
                "train_accuracy": scored.train_accuracy,
                "layers": [_layer_metrics(layer) for layer in layers],
                "confusion": confusion.tolist(),
                "milliseconds_per_image": {"coding": coding, "features": features_ms, "learning": _learning_ms(layers)},
            }
        )
        networks.append(network)
        predicted.append(scored.predicted)
        log.info("seed %d: accuracy %.4f", seed, scored.accuracy)
    accuracies = [run["accuracy"] for run in runs]
    compared = scored_controls(cfg, networks, predicted, train, test, data.pixels, learning_bar) if controls else {}
    metrics = {
        "version": VERSION,
        "dataset": cfg.data.dataset,
        "images": {"train": len(train.labels), "test": len(test.labels), "shape": list(train.lists.shape), **data.kept_back},
        "classes": list(classes),
        "accuracy": float(np.mean(accuracies)),
        "accuracy_deviation": float(np.std(accuracies)),
        "spikes_per_image": len(test.lists.sites) / max(1, len(test.labels)),
        "runs": runs,
        "controls": compared,
        "settings": {"images": section_dict(cfg.images), "n_timesteps": cfg.data.n_timesteps},
    }
    return metrics, networks[0]


@contextmanager
def learning_bar(layer: int, images: int) -> Iterator[Callable[[int], object]]:
    """A progress bar of a layer that learns, see `spikeseg.learning.image_training.LayerProgress`."""
    with bar(f"learning layer {layer}", "image", images) as shown:
        yield shown.update


def _layer_metrics(layer: LayerResult) -> dict[str, Any]:
    return {**layer._asdict(), "milliseconds_per_image": 1000 * layer.seconds / layer.images}


def _learning_ms(layers: Sequence[LayerResult]) -> float:
    """ms that an image takes in learning, all layers together."""
    return sum(1000 * layer.seconds / layer.images for layer in layers)


def _saved(network: ImageNetwork) -> bytes:
    """Weights as a file that loads under torch.load(weights_only=True)."""
    import torch

    file = io.BytesIO()
    weights = [weight.cpu() for weight in network.weights]
    torch.save({"config": section_dict(network.config), "weights": weights}, file)
    return file.getvalue()


def _filters(network: ImageNetwork) -> bytes | None:
    """The picture of what the maps have learned; None without matplotlib."""
    from spikeseg.plots.filters import filters_png

    try:
        return filters_png(network)
    except InputError as why:
        log.info("no picture of the filters: %s", why)
        return None
