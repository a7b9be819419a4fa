"""What each part adds: the demo's network, changed in one thing at a time, trained and scored on simulated recordings.

Every variant is trained on the same recordings and scored on the same others, which nothing was chosen on. Printed are its
figures and, for three of them, the difference from the demo's own settings: the mean over recordings with a paired bootstrap
interval of 95 %.

    python benchmarks/ablation.py --json ablation.json
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikeseg.config.load import load_config
from spikeseg.config.sections import Config
from spikeseg.core.sparse import ANY_RESPONSE
from spikeseg.data.store.frames import Frames
from spikeseg.detection.network import load_network
from spikeseg.evaluation import detectors
from spikeseg.evaluation.results import Results
from spikeseg.models import SpikeSEG
from spikeseg.pipelines.stages import runs
from spikeseg.pipelines.stages.answers import ALL, labelled, labelled_recording_of
from spikeseg.pipelines.stages.prepare import STORE, prepare
from spikeseg.pipelines.stages.train import train

SEEN_FROM = 0.3
"""An event's score from which it counts as seen; no figure printed here depends on it."""

DIFFERENCES = {"event": "roc_auc", "event_stars": "roc_auc", "volume": "informedness"}
FIGURES = [
    ("event", "roc_auc"), ("event_stars", "roc_auc"), ("volume", "informedness"), ("object", "recall"), ("object", "precision"),
    ("object_1px", "f1"), ("track", "coverage"), ("track", "false_tracks_per_minute"), ("track", "position_error_px"),
]  # fmt: skip
HOT = {"name": "DropPixel", "hot_pixel_frequency": 15}


@dataclass(frozen=True)
class Variant:
    """A change to the demo: keys of the configuration, and how the trained network is changed ('untrained', 'shuffled') or read
    ('not tracked')."""

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    then: str = ""


VARIANTS = [
    Variant("the demo's"),
    Variant("untrained weights", then="untrained"),
    Variant("trained weights, shuffled in each map", then="shuffled"),
    Variant("polarities merged", {"data.transforms": [HOT, {"name": "MergePolarities"}]}),
    Variant("Gabor filters in conv1", {"model.use_dog_filters": False}),
    Variant("conv1 at scales 1 and 2", {"model.conv1_scales": [1, 2]}),
    Variant("conv1 forgets 90 % a step", {"model.leaks": [0.18, 0.2, 0.0]}),
    Variant("conv1 forgets nothing", {"model.leaks": [0.0, 0.2, 0.0]}),
    Variant("conv2 forgets nothing", {"model.leaks": [0.1, 0.0, 0.0]}),
    Variant("thresholds not adapted to the background", {"model.background_adaptive": False}),
    Variant("thresholds adapted to the drive", {"model.adaptive_thresholds": True}),
    Variant("binary frames", {"data.normalize": True}),
    Variant("WTA per map only", {"wta.mode": "global"}),
    Variant("WTA per place only", {"wta.mode": "local"}),
    Variant("no homeostasis, thresholds as they settle", {"homeostasis.enabled": False, "model.thresholds": [0.2, 6.7, 1.9]}),
    Variant("conv3 untrained", {"train_conv3": False}),
    Variant("three classes", {"model.n_classes": 3}),
    Variant("no windows overlap", {"data.window_overlap": 0.0}),
    Variant("HULK and SMASH instead of blobs", {"tracking.hulk": True}),
    Variant("HULK alone, instances not grouped", {"tracking.hulk": True, "tracking.smash": False}),
    Variant("not tracked", then="not tracked"),
]


def shuffled(model: SpikeSEG, seed: int) -> SpikeSEG:
    """The same weights in each map of conv2 and conv3, at random places: as sparse, but without form."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for layer in (model.encoder.conv2, model.encoder.conv3):
            flat = layer.weight.flatten(1)
            for m in range(len(flat)):
                flat[m] = flat[m][torch.from_numpy(rng.permutation(flat.shape[1]))]
    return model


def measured(cfg: Config, variant: Variant, test: Config) -> dict[str, Any]:
    """Scores of a variant, by mode, as `evaluate` gives them."""
    from spikeseg.learning import checkpoint

    train(cfg)
    network = runs.network_of(cfg)
    model = load_network(cfg, str(network.checkpoint), torch.device("cpu"))
    if variant.then == "untrained":
        model = checkpoint.untrained(model, cfg)
    if variant.then == "shuffled":
        model = shuffled(model, cfg.seed)
    detector = detectors.network("network", "network", model, hulk=cfg.tracking)
    if variant.then != "not tracked":
        detector = detectors.tracked("network", "network", detector, (ANY_RESPONSE, 0.5), cfg.tracking)
    store = Frames.open(prepare(test).path / STORE)
    results = Results(cfg, ("event", "object", "volume", "track"), {"network": SEEN_FROM})
    for r in labelled(store, ALL):
        results.add(results.count(detector, labelled_recording_of(store, r, cfg)))
    return {mode: rows["network"] for mode, rows in results.scores().items()}


def difference(scores: dict[str, Any], base: dict[str, Any], mode: str, figure: str, seed: int = 0) -> tuple[float, float, float]:
    """Mean over recordings of the figure less the base's, and its paired bootstrap interval of 95 %."""
    pairs = [
        (a[figure], b[figure])
        for a, b in zip(scores[mode]["recordings"], base[mode]["recordings"], strict=True)
        if a[figure] is not None and b[figure] is not None
    ]
    gain = np.array([a - b for a, b in pairs])
    drawn = np.random.default_rng(seed).choice(gain, (2000, len(gain))).mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(gain.mean()), float(low), float(high)


def lines(name: str, scores: dict[str, Any], base: dict[str, Any]) -> str:
    """A row of the table, as Markdown."""
    cells = []
    for mode, figure in FIGURES:
        value = scores.get(mode, {}).get(figure)
        cells.append("-" if value is None else f"{value:.3f}" if figure != "false_tracks_per_minute" else f"{value:.1f}")
    for mode, figure in DIFFERENCES.items():
        gain, low, high = difference(scores, base, mode, figure)
        cells.append("" if scores is base else f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]")
    return f"| {name} | " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the variants and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=24, help="of the training set and of the test set")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each")
    parser.add_argument("--seeds", type=int, nargs=2, default=(30001, 30002), help="of the training set and of the test set")
    parser.add_argument("--only", nargs="*", help="variants whose names contain one of these (and the demo's)")
    parser.add_argument("--set", dest="pairs", nargs="*", default=[], help="KEY=VALUE changes to all of them")
    parser.add_argument("--json", type=Path, help="where all scores go")
    given = parser.parse_args(arguments)
    from spikeseg.config.load import parse_overrides

    chosen = [v for k, v in enumerate(VARIANTS) if not k or not given.only or any(part in v.name for part in given.only)]
    common = {
        "simulate.recordings": given.recordings,
        "simulate.duration_s": given.seconds,
        "device": "cpu",
        "logging.tensorboard": False,
        "data.train_ratio": 1.0,
        "data.test_ratio": 0.0,
        **parse_overrides(given.pairs),
    }
    heads = [f"{mode} {figure}" for mode, figure in FIGURES] + [f"difference of {m} {f}" for m, f in DIFFERENCES.items()]
    print("| variant | " + " | ".join(heads).replace("_", " ") + " |")
    print("|---|" + "---:|" * len(heads))
    scores: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path.cwd()
        os.chdir(folder)
        try:
            for variant in chosen:
                changes = {**common, **variant.changes}
                cfg = load_config("demo", {**changes, "simulate.seed": given.seeds[0]})
                test = load_config("demo", {**changes, "simulate.seed": given.seeds[1]})
                scores[variant.name] = measured(cfg, variant, test)
                print(lines(variant.name, scores[variant.name], scores[chosen[0].name]), flush=True)
        finally:
            os.chdir(home)
    if given.json:
        setting = {"variants": [asdict(v) for v in chosen], "recordings": given.recordings, "seeds": list(given.seeds)}
        given.json.write_text(json.dumps(setting | {"scores": scores}, indent=1) + "\n")


if __name__ == "__main__":
    main()
