"""N-MNIST: what learning adds to a network that classifies it, beside the same network with weights that were not learned.

Run: python benchmarks/nmnist.py --data-root FOLDER [-c CONFIG] [--set KEY=VALUE ...] [--networks N] [--folds K] [--json FILE]
     [--markdown] [--quick]

FOLDER holds Train and Test, each with folders 0 to 9. The networks of N seeds learn without labels and are read out as by
`spikeseg classify`, twice: on the given split, and by cross-validation of all recordings together. There neither the network nor
the read-out has seen the digits of the fold that it is scored on; the folds are dealt anew for every seed. Every control has
its own read-out. Its weights are drawn at random, 0 and 1, as many ones in each layer as the learned weights have, or are the
learned ones of a layer, shuffled within each map.

Intervals are of 95 %: a bootstrap over digits and over seeds; those of differences are paired, digit by digit. The last table
reads the same networks out in grids of 1 x 1 to 4 x 4 cells. Nothing is chosen here.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from measure import options, table, write_json

from spikeseg.config.load import load_config, parse_overrides
from spikeseg.config.sections import Config
from spikeseg.evaluation.image_controls import random_weights, shuffled_weights
from spikeseg.evaluation.images import LabelledSpikes
from spikeseg.learning.classifier import score_linear
from spikeseg.learning.image_training import train_network, untrained_network
from spikeseg.metrics.rates import draws
from spikeseg.models.image_network import ImageNetwork
from spikeseg.pipelines.stages.classify import ImageData

CONFIG = "kheradpisheh2018_nmnist"
GRIDS = (1, 2, 3, 4)
"""Rows and columns of cells of the read-outs that are compared."""
RESAMPLES = 2000
TRAINED, UNTRAINED, RANDOM = "trained network", "untrained network", "random weights 0 and 1, as dense as the learned ones"
SHUFFLED = "learned weights shuffled within each map"
QUICK = (
    "images.maps=[4, 8]",
    "images.kernels=[5, 3]",
    "images.thresholds=[4, 4]",
    "images.radii=[2, 2]",
    "images.max_images=200",
    "images.grid=3",
)

Correct = dict[tuple[str, int], np.ndarray]
"""Network, rows of the read-out's grid -> which digits of a part it classifies correctly, bool (N,)."""


def networks(cfg: Config, train: LabelledSpikes) -> dict[str, ImageNetwork]:
    """A trained network and its controls, by title."""
    rng = np.random.default_rng((cfg.seed, 3))
    trained, untrained = (untrained_network(cfg, train.lists, cfg.device) for _ in range(2))
    train_network(trained, train.lists, cfg)
    every = range(len(trained.weights))
    changes = {RANDOM: (random_weights, every), SHUFFLED: (shuffled_weights, every)}
    changes |= {shuffled_title(layer, len(every)): (shuffled_weights, [layer]) for layer in every}
    found = {TRAINED: trained, UNTRAINED: untrained}
    for title, (change, layers) in changes.items():
        found[title] = untrained_network(cfg, train.lists, cfg.device)
        found[title].weights = [change(w, rng) if layer in layers else w for layer, w in enumerate(trained.weights)]
    return found


def shuffled_title(layer: int, layers: int) -> str:
    """What the control is called whose layer (counted from 0) is shuffled."""
    return f"the same, in layer {layer + 1} of {layers} alone"


def scored(cfg: Config, train: LabelledSpikes, test: LabelledSpikes) -> Correct:
    """Which of the test digits a network that learns from the training digits, and its controls, classify correctly."""
    grids = sorted({*GRIDS, cfg.images.grid})
    fine = math.lcm(*grids)
    images = dataclasses.replace(cfg.images, grid=fine)
    found: Correct = {}
    for title, network in networks(cfg, train).items():
        network.config = images
        features = [network.features(part.lists) for part in (train, test)]
        for grid in grids:
            a, b = (coarser(part, fine, grid) for part in features)
            read = score_linear(a, train.labels, b, test.labels, cfg.images.svm_c)
            found[title, grid] = read.predicted == test.labels
    return found


def coarser(features: np.ndarray, fine: int, grid: int) -> np.ndarray:
    """Features (N, maps * fine * fine), the highest potential of each cell, as those of a grid of fewer rows, a divisor."""
    own = fine // grid
    cells = features.reshape(len(features), -1, grid, own, grid, own)
    highest: np.ndarray = reduce(np.maximum, (cells[:, :, :, i, :, j] for i in range(own) for j in range(own)))
    return highest.reshape(len(features), -1)


def chosen(part: LabelledSpikes, which: np.ndarray) -> LabelledSpikes:
    """Some of the digits."""
    return LabelledSpikes(part.lists.chosen(which), part.labels[which])


def cross_validated(cfg: Config, every: LabelledSpikes, folds: int) -> Correct:
    """As `scored`, for all digits, each by networks and read-outs that have not seen it."""
    fold = np.random.default_rng((cfg.seed, 4)).permutation(len(every.labels)) % folds
    found: Correct = {}
    for number in range(folds):
        rest, held_out = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        for key, correct in scored(cfg, chosen(every, rest), chosen(every, held_out)).items():
            found.setdefault(key, np.zeros(len(fold), bool))[held_out] = correct
    return found


def resampled(correct: np.ndarray) -> np.ndarray:
    """The mean of values (seeds, digits) and its interval: digits and seeds are drawn with replacement. -> float64 (3,)."""
    seeds, digits = correct.shape
    by_digit = draws(seeds, RESAMPLES, 1) @ correct.astype(np.float64) / seeds
    means = (by_digit * draws(digits, RESAMPLES, 0)).sum(1) / digits
    return np.array([correct.mean(), *np.percentile(means, (2.5, 97.5))])


def compared(runs: Sequence[Correct], grid: int) -> list[dict[str, Any]]:
    """Of each network: accuracy, and by how much the trained one is better, each with its interval."""
    titles = [title for title, rows in runs[0] if rows == grid]
    correct = {title: np.stack([run[title, grid] for run in runs]).astype(np.int64) for title in titles}
    rows = []
    for title in titles:
        ahead = correct[TRAINED] - correct[title]
        rows.append(
            {
                "network": title,
                "grid": grid,
                "accuracy": resampled(correct[title]).tolist(),
                "trained_better": resampled(ahead).tolist(),
                "by_seed": correct[title].mean(1).tolist(),
            }
        )
    return rows


def percent(values: Sequence[float], sign: str = "") -> str:
    """A mean and its interval, in percent."""
    return f"{100 * values[0]:{sign}.2f} [{100 * values[1]:{sign}.2f}, {100 * values[2]:{sign}.2f}]"


def measured(cfg: Config, count: int, folds: int) -> dict[str, Any]:
    """All figures, of `count` networks."""
    train, test, _ = ImageData(cfg).spikes(cfg.device)
    every = LabelledSpikes(type(train.lists).joined([train.lists, test.lists]), np.concatenate([train.labels, test.labels]))
    runs: dict[str, list[Correct]] = {"given split": [], "cross-validated": []}
    for seed in range(cfg.seed, cfg.seed + count):
        seeded = dataclasses.replace(cfg, seed=seed)
        runs["given split"].append(scored(seeded, train, test))
        runs["cross-validated"].append(cross_validated(seeded, every, folds))
        print(f"seed {seed}: done", file=sys.stderr)
    grids = sorted({*GRIDS, cfg.images.grid})
    rows = {name: [row for grid in grids for row in compared(found, grid)] for name, found in runs.items()}
    return {"digits": {"train": len(train.labels), "test": len(test.labels)}, "grid": cfg.images.grid, "rows": rows}


def report(found: Mapping[str, Any], *, markdown: bool) -> None:
    """Print the tables."""
    split, crossed = found["rows"]["given split"], found["rows"]["cross-validated"]
    head = ["", "given split, %", "trained better by", "cross-validated, %", "trained better by"]
    cells = []
    for a, b in zip(split, crossed, strict=True):
        if a["grid"] == found["grid"]:
            parts = [[percent(row["accuracy"]), percent(row["trained_better"], "+")] for row in (a, b)]
            cells.append([a["network"], *parts[0], *parts[1]])
    print(table(head, cells, markdown=markdown))
    print(
        "\nThe same networks, cross-validated, under other read-outs: accuracy in %, and by how much the trained one is better\n"
    )
    titles = list(dict.fromkeys(row["network"] for row in crossed))
    last = [title for title in titles if title not in (UNTRAINED, TRAINED)]
    head = ["cells of the read-out", TRAINED, *last]
    cells = []
    for grid in dict.fromkeys(row["grid"] for row in crossed):
        own = {row["network"]: row for row in crossed if row["grid"] == grid}
        cells.append(
            [f"{grid} x {grid}", percent(own[TRAINED]["accuracy"]), *(percent(own[t]["trained_better"], "+") for t in last)]
        )
    print(table(head, cells, markdown=markdown))


def drawn(folder: Path, parts: Mapping[str, int], seed: int = 0) -> None:
    """Recordings as N-MNIST's, of two classes: edges that sweep along rows (0) and along columns (1)."""
    rng = np.random.default_rng(seed)
    for part, count in parts.items():
        for digit in (0, 1):
            home = folder / part / str(digit)
            home.mkdir(parents=True)
            for number in range(count):
                t = np.sort(rng.integers(0, 100_000, 300))
                along, across, p = (t // 3000) % 34, rng.integers(10, 24, 300), rng.integers(0, 2, 300)
                x, y = (along, across) if digit else (across, along)
                columns = (x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255)
                (home / f"{number:05}.bin").write_bytes(np.stack(columns, 1).astype(np.uint8).tobytes())


def main() -> None:
    """Measure and print."""
    parser = options(__doc__ or "", markdown=True)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data-root", metavar="FOLDER", help="N-MNIST: Train and Test")
    parser.add_argument("-c", "--config", default=CONFIG, help="configuration file, or the name of a built-in one")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help="change a value of it")
    parser.add_argument("--networks", type=int, default=5, metavar="N", help="seeds")
    parser.add_argument("--folds", type=int, default=5, metavar="K")
    given = parser.parse_args()
    if not (given.quick or given.data_root):
        parser.error("--data-root: the folder of N-MNIST")
    changes = {"device": "cpu", **parse_overrides([*given.changes, *(QUICK if given.quick else ())])}
    count, folds = (2, 2) if given.quick else (given.networks, given.folds)
    with tempfile.TemporaryDirectory() as folder:
        if given.quick:
            drawn(Path(folder), {"Train": 20, "Test": 6})
        changes["data.data_root"] = folder if given.quick else given.data_root
        found = measured(load_config(given.config, overrides=changes), count, folds)
    print(f"{found['digits']['train']} + {found['digits']['test']} digits, {count} seeds, {folds} folds\n")
    report(found, markdown=given.markdown)
    write_json(given.json, "nmnist", {"networks": count, "folds": folds, **found})


if __name__ == "__main__":
    main()
