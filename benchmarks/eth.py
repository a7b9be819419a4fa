"""ETH-80: what learning adds to a network that tells classes of objects, each object scored by what has not seen it.

Run: python benchmarks/eth.py --data-root FOLDER [-c CONFIG] [--beside CONFIG] [--set KEY=VALUE ...] [--networks N] [--folds K]
     [--paint] [--json FILE] [--markdown] [--quick]

FOLDER holds a folder of images per class; images.group of the configuration tells objects by the names of files. The objects of
each class are dealt into K folds, anew for every one of N seeds; networks learn without labels, and all read-outs learn, from the
other folds. Every network has its own read-out. Beside the trained network stand the same network untrained and with weights that
were not learned, the network of another configuration, and linear SVMs (their C chosen by cross-validation by object on the
training images) on the pixels, on the spikes of the edges that the network sees, and on the outermost pixels, which show hardly
more than the backdrop; --paint makes the blue backdrop one grey first. The second table scores the same networks and read-outs on
images that are moved, each by up to so many pixels along both axes, its border repeated.

Intervals are of 95 %: a bootstrap over objects, within their class, and over seeds; those of differences are paired. A run is
coding all images, learning, features, and the read-out, without compiling. Nothing is chosen here.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measure import options, spread, summary, table, write_json

from spikeseg.config.load import load_config, parse_overrides
from spikeseg.config.sections import Config
from spikeseg.core.sparse import SpikeLists
from spikeseg.data.datasets.images import Images
from spikeseg.evaluation.image_controls import random_weights, shuffled_weights
from spikeseg.learning.classifier import score_linear
from spikeseg.learning.image_training import train_network, untrained_network
from spikeseg.metrics.rates import draws
from spikeseg.models.image_network import ImageNetwork
from spikeseg.pipelines.stages.classify import ImageData

CONFIG, BESIDE = "masquelier2007_eth80", "kheradpisheh2018_eth80"
TRAINED, UNTRAINED, RANDOM = "trained network", "untrained network", "random weights 0 and 1, as dense as the learned ones"
SHUFFLED = "learned weights shuffled within each map"
EDGES, PIXELS = "linear SVM on the edges' spikes, nothing learned below it", "linear SVM on the pixels"
BACKDROP = "linear SVM on the outermost 2 pixels alone"
MOVED = (4, 8, 12)
"""Pixels by which test images are moved, at most."""
LINEAR_C = (0.0001, 0.001, 0.01, 0.1)
"""C of the SVMs without a network: the best of these on the training images."""
BORDER = 2
BLUE = (30, 15)
"""By how much more than red and than green a pixel of the backdrop is blue."""
RESAMPLES = 2000
QUICK = (
    "images.height=24",
    "images.width=24",
    "images.gabor_sizes=[5]",
    "images.gabor_pool=3",
    "images.gabor_stride=2",
    "images.maps=[6]",
    "images.kernels=[7]",
    "images.thresholds=[8]",
    "images.radii=[3]",
    "images.max_images=300",
)
QUICK_BESIDE = ("images.height=24", "images.thresholds=[4, 6, 1]", "images.kernels=[5, 5, 1]", "images.max_images=100")

Correct = dict[tuple[str, int], np.ndarray]
"""Title, pixels by which test images are moved -> which ones what has not seen their objects classifies correctly, bool (N,)."""


class Coded(NamedTuple):
    """All images of a configuration, sorted by class and object.

    Attributes:
        cfg: the configuration.
        images: as they are.
        objects: which of the objects of all classes each shows, counted from 0.
        lists: images as spikes, by the pixels that they are moved by.
        plain: features (N, D) that need no network, by title, by the pixels that images are moved by.
        seconds: that coding takes.
    """

    cfg: Config
    images: Images
    objects: np.ndarray
    lists: dict[int, SpikeLists]
    plain: dict[int, dict[str, np.ndarray]]
    seconds: float


def coded(cfg: Config, moved: Sequence[int] = ()) -> Coded:
    """Read and code all images, as they are (0) and moved."""
    data = ImageData(cfg)
    parts = (data.images.train, data.images.test)
    names = [part.objects for part in parts if part.objects is not None]
    if not names:
        raise SystemExit("images.group: not set; it tells objects by the names of files")
    every = Images(*(np.concatenate(of) for of in zip(*((p.pixels, p.labels, p.objects) for p in parts), strict=True)))
    every = every.chosen(np.lexsort((np.asarray(every.objects), every.labels)))
    named = np.array([f"{label} {name}" for label, name in zip(every.labels, every.objects, strict=True)])  # type: ignore[arg-type]
    data.warm_up(cfg.device)
    started = time.perf_counter()
    lists = {0: data.coded(every, cfg.device)}
    seconds = time.perf_counter() - started
    images = {0: every, **{most: dataclasses.replace(every, pixels=shifted(every.pixels, most)) for most in moved}}
    lists |= {most: data.coded(images[most], cfg.device) for most in moved}
    plain = {most: without_network(images[most].pixels, lists[most]) for most in images}
    return Coded(cfg, every, np.unique(named, return_inverse=True)[1], lists, plain, seconds)


def shifted(pixels: np.ndarray, most: int, seed: int = 0) -> np.ndarray:
    """Images (N, H, W), each moved by -most to most pixels along both axes, its border repeated."""
    rng, (height, width) = np.random.default_rng((seed, most)), pixels.shape[1:]
    wide = np.pad(pixels, ((0, 0), (most, most), (most, most)), mode="edge")
    corners = rng.integers(0, 2 * most + 1, (len(pixels), 2))
    return np.stack([image[y : y + height, x : x + width] for image, (y, x) in zip(wide, corners, strict=True)])


def painted(root: Path, folder: Path) -> None:
    """Copies of the images in grey, their blue backdrop as one grey, the same in all: only the object is left."""
    from scipy.ndimage import binary_fill_holes, binary_opening
    from skimage.color import rgb2gray
    from skimage.io import imread, imsave

    paths = sorted(root.glob("*/*.png"))
    colours = [imread(path)[..., :3].astype(np.int64) for path in paths]
    blue = [(c[..., 2] - c[..., 0] > BLUE[0]) & (c[..., 2] - c[..., 1] > BLUE[1]) for c in colours]
    backdrops = [~binary_opening(binary_fill_holes(~mask)) for mask in blue]
    greys = [np.rint(255 * rgb2gray(c.astype(np.uint8))).astype(np.uint8) for c in colours]
    grey = np.uint8(np.median(np.concatenate([g[mask] for g, mask in zip(greys, backdrops, strict=True)])))
    for path, image, mask in zip(paths, greys, backdrops, strict=True):
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        imsave(folder / path.parent.name / path.name, np.where(mask, grey, image), check_contrast=False)


def dealt(labels: np.ndarray, objects: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The fold of each image, int64 (N,): those of an object share one, and each has as many of each class, within one."""
    rng = np.random.default_rng((seed, 5))
    fold = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        for number, own in enumerate(rng.permutation(np.unique(objects[labels == label]))):
            fold[objects == own] = number % count
    return fold


def controls(cfg: Config, trained: ImageNetwork, lists: SpikeLists) -> dict[str, ImageNetwork]:
    """The same network with weights that were not learned, by title."""
    rng = np.random.default_rng((cfg.seed, 6))
    found = {UNTRAINED: untrained_network(cfg, lists, cfg.device)}
    for title, change in ((RANDOM, random_weights), (SHUFFLED, shuffled_weights)):
        found[title] = untrained_network(cfg, lists, cfg.device)
        found[title].weights = [change(weight, rng) for weight in trained.weights]
    return found


def scored(data: Coded, fold: np.ndarray, seed: int, *, beside: bool = False) -> tuple[Correct, list[float], list[int]]:
    """Cross-validated, of networks with this seed: who is right on which image, and of the trained networks the seconds of a run
    and the images that were shown to all their layers."""
    labels, seconds, shown = data.images.labels, list[float](), list[int]()
    correct: Correct = {}
    cfg, lists = dataclasses.replace(data.cfg, seed=seed), data.lists[0]
    for number in np.unique(fold):
        rest, held_out = np.flatnonzero(fold != number), np.flatnonzero(fold == number)

        def keep(
            title: str, features: Mapping[int, np.ndarray], c: float, parts: tuple[np.ndarray, ...] = (rest, held_out)
        ) -> None:
            learned, scored = parts
            for moved, seen in features.items():
                read = score_linear(features[0][learned], labels[learned], seen[scored], labels[scored], c)
                correct.setdefault((title, moved), np.zeros(len(labels), bool))[scored] = read.predicted == labels[scored]

        started = time.perf_counter()
        trained = untrained_network(cfg, lists, cfg.device)
        layers = train_network(trained, lists.chosen(rest), cfg)
        keep(TRAINED, {0: (features := trained.features(lists))}, cfg.images.svm_c)
        seconds.append(data.seconds + time.perf_counter() - started)
        shown.append(sum(layer.images for layer in layers))
        if beside:
            continue
        others = {moved: trained.features(seen) for moved, seen in data.lists.items() if moved}
        keep(TRAINED, {0: features, **others}, cfg.images.svm_c)
        for title, network in controls(cfg, trained, lists).items():
            keep(title, {moved: network.features(seen) for moved, seen in data.lists.items()}, cfg.images.svm_c)
        for title, plain in data.plain[0].items():
            every = {moved: features[title] for moved, features in data.plain.items()}
            keep(title, every, validated(plain, labels, data.objects, rest))
    return correct, seconds, shown


def without_network(pixels: np.ndarray, lists: SpikeLists) -> dict[str, np.ndarray]:
    """Features (N, D) that need no network, by title: spikes of the edges count the more the earlier they are."""
    pixels, steps = pixels.astype(np.float32), lists.shape[0]
    middle = np.zeros(pixels.shape[1:], bool)
    middle[BORDER:-BORDER, BORDER:-BORDER] = True
    worth = (steps - np.arange(steps, dtype=np.float32))[:, None, None, None]
    edges = np.stack([(lists.part(n, n + 1).dense()[0] * worth).sum(0).ravel() for n in range(len(pixels))])
    return {EDGES: edges, PIXELS: pixels.reshape(len(pixels), -1), BACKDROP: pixels[:, ~middle]}


def validated(features: np.ndarray, labels: np.ndarray, objects: np.ndarray, rows: np.ndarray) -> float:
    """The C of highest accuracy on these rows, cross-validated by object in three folds."""
    fold = dealt(labels[rows], objects[rows], 3, 0)

    def right(c: float) -> float:
        parts = [(rows[fold != k], rows[fold == k]) for k in np.unique(fold)]
        read = (score_linear(features[a], labels[a], features[b], labels[b], c).predicted == labels[b] for a, b in parts)
        return sum(float(correct.sum()) for correct in read)

    return max(LINEAR_C, key=right)


def resampled(values: np.ndarray, labels: np.ndarray, objects: np.ndarray) -> list[float]:
    """The mean of values (seeds, images) and its interval: objects of each class and seeds are drawn with replacement."""
    seeds, count = len(values), int(objects.max()) + 1
    of_class = np.array([labels[objects == number][0] for number in range(count)])
    sums = np.stack([np.bincount(objects, row, count) for row in values.astype(np.float64)])
    drawn = np.zeros((RESAMPLES, count))
    for label in np.unique(of_class):
        drawn[:, of_class == label] = draws(int((of_class == label).sum()), RESAMPLES, 10 + int(label))
    by_object = draws(seeds, RESAMPLES, 1) @ sums / seeds
    means = (by_object * drawn).sum(1) / (drawn @ np.bincount(objects, minlength=count))
    return [float(values.mean()), *(float(edge) for edge in np.percentile(means, (2.5, 97.5)))]


def measured(data: Coded, other: Coded, count: int, folds: int) -> dict[str, Any]:
    """All figures, of `count` seeds."""
    labels, objects, first = data.images.labels, data.objects, data.cfg.seed
    runs: list[Correct] = []
    seconds: dict[str, list[float]] = {"network": [], "beside": []}
    shown: dict[str, list[int]] = {"network": [], "beside": []}
    title = f"trained network of {other.cfg.experiment_name}"
    scored(data, np.arange(len(labels)) % 2, first, beside=True)  # compiles
    scored(other, np.arange(len(labels)) % 2, first, beside=True)
    for seed in range(first, first + count):
        fold = dealt(labels, objects, folds, seed)
        correct, own_seconds, own_shown = scored(data, fold, seed)
        against, other_seconds, other_shown = scored(other, fold, seed, beside=True)
        runs.append({**correct, (title, 0): against[TRAINED, 0]})
        for name, times, images in (("network", own_seconds, own_shown), ("beside", other_seconds, other_shown)):
            seconds[name] += times
            shown[name] += images
        print(f"seed {seed}: done", file=sys.stderr)
    values = {name: np.stack([run[name] for run in runs]).astype(np.int64) for name in runs[0]}
    rows = [
        {
            "title": name,
            "moved": moved,
            "accuracy": resampled(right, labels, objects),
            "trained_better": resampled(values[TRAINED, moved] - right, labels, objects),
            "by_seed": right.mean(1).tolist(),
        }
        for (name, moved), right in values.items()
    ]
    names = np.asarray(data.images.objects)
    wrong = {str(names[objects == k][0]): int((1 - values[TRAINED, 0][:, objects == k]).sum()) for k in range(objects.max() + 1)}
    run_seconds = {name: summary(times) for name, times in seconds.items()}
    return {"images": len(labels), "rows": rows, "wrong_by_object": wrong, "run_seconds": run_seconds, "images_shown": shown}


def percent(values: Sequence[float], sign: str = "") -> str:
    """A mean and its interval, in percent."""
    return f"{100 * values[0]:{sign}.2f} [{100 * values[1]:{sign}.2f}, {100 * values[2]:{sign}.2f}]"


def report(found: Mapping[str, Any], *, markdown: bool) -> None:
    """Print the table and what stands below it."""
    cells: list[list[object]] = []
    rows = found["rows"]
    for row in [row for row in rows if not row["moved"]]:
        lead = "" if row["title"] == TRAINED else percent(row["trained_better"], "+")
        seeds = f"{np.mean(row['by_seed']):.4f} ± {np.std(row['by_seed']):.4f}, least {min(row['by_seed']):.4f}"
        cells.append([row["title"], percent(row["accuracy"]), seeds, lead])
    print(table(["", "accuracy, %", "over seeds", "the network better by"], cells, markdown=markdown))
    wrong = [f"{name} {count}" for name, count in found["wrong_by_object"].items() if count]
    print(f"\nimages that the trained networks have wrong, all seeds together, by object: {', '.join(wrong) or 'none'}")
    for name, times in found["run_seconds"].items():
        images = found["images_shown"][name]
        print(f"a run, {name}: {spread(times)} s, {min(images)} to {max(images)} images shown")
    print("\nTest images moved: accuracy in %, and by how much the trained network is better\n")
    moved = {(row["title"], row["moved"]): row for row in rows if row["moved"]}
    cells = []
    for title in dict.fromkeys(title for title, _ in moved):
        own = [moved[title, most] for most in MOVED]
        cells.append(
            [
                title,
                *(percent(r["accuracy"]) + ("" if title == TRAINED else f", {percent(r['trained_better'], '+')}") for r in own),
            ]
        )
    print(table(["", *(f"up to {most} px" for most in MOVED)], cells, markdown=markdown))


def drawn(folder: Path, objects: int, views: int, seed: int = 0) -> None:
    """Pictures of two classes, rings and crosses, each object of its own size and grey, moved about: ring3-002.png, ..."""
    from skimage.io import imsave

    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:24, :24]
    for name in ("cross", "ring"):
        (folder / name).mkdir(parents=True)
        for number in range(objects):
            reach, grey = rng.uniform(5, 8), rng.uniform(150, 250)
            for view in range(views):
                down, across = y - 11.5 - rng.uniform(-2, 2), x - 11.5 - rng.uniform(-2, 2)
                away = np.hypot(down, across)
                bars = (np.minimum(abs(down), abs(across)) < 1.5) & (away < reach)
                inside = bars if name == "cross" else abs(away - reach) < 1.5
                image = np.clip(np.where(inside, grey, 60) + rng.normal(0, 3, y.shape), 0, 255).astype(np.uint8)
                imsave(folder / name / f"{name}{number}-{view:03}.png", image, check_contrast=False)


def main() -> None:
    """Measure and print."""
    parser = options(__doc__ or "", markdown=True)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data-root", metavar="FOLDER", help="a folder of images per class")
    parser.add_argument("-c", "--config", default=CONFIG, help="configuration file, or the name of a built-in one")
    parser.add_argument("--beside", default=BESIDE, metavar="CONFIG", help="configuration of the network beside it")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help="change a value of it")
    parser.add_argument("--networks", type=int, default=5, metavar="N", help="seeds")
    parser.add_argument("--folds", type=int, default=3, metavar="K", help="2: half of the objects are kept back")
    parser.add_argument("--paint", action="store_true", help="make the blue backdrop one grey first")
    given = parser.parse_args()
    if not (given.quick or given.data_root):
        parser.error("--data-root: the folder of ETH-80")
    count, folds = (2, 2) if given.quick else (given.networks, given.folds)
    with tempfile.TemporaryDirectory() as folder:
        if given.quick:
            drawn(Path(folder), 4, 6)
        root = folder if given.quick else given.data_root
        if given.paint:
            painted(Path(root), Path(folder) / "painted")
            root = str(Path(folder) / "painted")
        shared = {"device": "cpu", "data.data_root": root}
        own = parse_overrides([*(QUICK if given.quick else ()), *given.changes])
        data = coded(load_config(given.config, overrides={**shared, **own}), MOVED)
        shared["images.group"] = data.cfg.images.group
        other = parse_overrides(QUICK_BESIDE if given.quick else ())
        found = measured(data, coded(load_config(given.beside, overrides={**shared, **other})), count, folds)
    print(f"{found['images']} images of {data.objects.max() + 1} objects, {count} seeds, {folds} folds by object\n")
    report(found, markdown=given.markdown)
    write_json(given.json, "eth", {"networks": count, "folds": folds, **found})


if __name__ == "__main__":
    main()
