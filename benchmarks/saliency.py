"""What conv1 at several scales and thresholds that follow the drive add: trained on dense recordings, run on sparse ones.

Run: python benchmarks/saliency.py [-c CONFIG] [--dense FILE ...] [--others FILE ...] [--seeds A B] [--json FILE] [--markdown]
     [--quick]

Trained on simulated scenes full of objects, or on the recordings that `--dense` names; then looked at are simulated scenes with
few, small, faint or fast objects, whose every event is known, and the recordings that `--others` names, whose events are not.

Each network stands beside two controls with its own thresholds: untrained weights, and its own, shuffled in each map of conv2 and
conv3. Spikes are those of conv3 in a window of 50 ms. An event counts as salient from a saliency of 0.5 on; shares are of the
events of objects, and of those of the background, the noise and hot pixels. Intervals of 95 %: a bootstrap over recordings.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ablation import shuffled
from measure import options, table, write_json
from scenes import scene
from scipy import stats

import spikeseg
from spikeseg.config.sections import Config
from spikeseg.data.recording import Recording
from spikeseg.data.windows import windowed
from spikeseg.detection.network import decoded
from spikeseg.learning import checkpoint
from spikeseg.models import SpikeSEG

DENSE, DENSE_SEED = ("large", "many", "growing", "moving"), 500
SPARSE, SEEDS = ("tiny", "faint", "small", "turning", "fast"), (9000, 9004)
"""The conditions that are trained on and looked at. Nobody looks at these seeds while choosing anything."""
SALIENT = 0.5
VARIANTS: dict[str, dict[str, Any]] = {
    "neither": {"model.conv1_scales": [1], "model.adaptive_thresholds": False},
    "scales 1 and 3": {"model.conv1_scales": [1, 3], "model.adaptive_thresholds": False},
    "adaptive thresholds": {"model.conv1_scales": [1], "model.adaptive_thresholds": True},
    "both": {"model.conv1_scales": [1, 3], "model.adaptive_thresholds": True},
}
HEAD = ("recordings", "network", "weights", "spikes a window", "objects' events", "other events", "ROC-AUC")


class Seen(NamedTuple):
    """What a network says about a recording: its spikes in conv3 a window, and which events are salient; nan: unknown."""

    spikes: float
    of_objects: float
    of_others: float
    roc_auc: float


def seen(model: SpikeSEG, config: Config, recording: Recording) -> Seen:
    """A recording through the network."""
    view = windowed(recording, config.data)
    scores = np.zeros(len(recording.events))
    spikes = [0]
    for start, window in zip(view.start_us.tolist(), decoded(model, view.windows(), [None]), strict=True):
        spikes.append(len(window.spikes["conv3"].lists.sites))
        view.look_up(start, window.maps[0].dense().reshape(-1), view.kept, scores)
    if recording.truth is None:
        return Seen(sum(spikes) / len(view.start_us), np.nan, float(np.mean(scores >= SALIENT)), np.nan)
    of_object = recording.truth["object_id"] > 0
    shares = [float(np.mean(scores[events] >= SALIENT)) if events.any() else np.nan for events in (of_object, ~of_object)]
    return Seen(sum(spikes) / len(view.start_us), *shares, _roc_auc(scores, of_object))


def _roc_auc(scores: np.ndarray, positive: np.ndarray) -> float:
    n = int(positive.sum())
    ranks = stats.rankdata(scores)[positive].sum() - n * (n + 1) / 2
    return float(ranks / (n * (len(scores) - n))) if 0 < n < len(scores) else np.nan


def networks(config: str, changes: Mapping[str, Any], dense: Sequence[Recording]) -> Iterator[tuple[str, SpikeSEG, Config]]:
    """A network trained on dense recordings, and its controls."""
    trained = spikeseg.new(config, {"device": "cpu", **changes}).train(dense, progress=False)
    yield "trained", trained.model, trained.config
    yield "untrained", checkpoint.untrained(trained.model, trained.config), trained.config
    yield "shuffled", shuffled(copy.deepcopy(trained.model), trained.config.seed), trained.config


def cell(values: Sequence[float], samples: int) -> str:
    """Mean (low..high)."""
    known = np.array([value for value in values if not np.isnan(value)])
    if not len(known):
        return "-"
    drawn = np.random.default_rng(0).choice(known, (samples, len(known))).mean(1)
    digits = 0 if known.mean() >= 10 else 3
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{known.mean():.{digits}f}" + (f" ({low:.{digits}f}..{high:.{digits}f})" if len(known) > 1 else "")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, look, print."""
    parser = options(__doc__ or "", markdown=True)
    parser.add_argument("-c", "--config", default="files", help="what else is set (files)")
    parser.add_argument("--dense", nargs="*", type=Path, default=[], metavar="FILE", help="recordings to train on")
    parser.add_argument("--others", nargs="*", type=Path, default=[], metavar="FILE", help="recordings to look at as well")
    parser.add_argument("--seeds", nargs=2, type=int, default=SEEDS, metavar=("A", "B"), help="of the scenes, B not among them")
    chosen = parser.parse_args(arguments)
    quick = {"max_epochs": 1} if chosen.quick else {}
    dense = [spikeseg.read(path) for path in chosen.dense] or [
        scene(name, DENSE_SEED) for name in DENSE[-1:] * chosen.quick or DENSE
    ]
    seeds = range(chosen.seeds[0], chosen.seeds[0] + 1 if chosen.quick else chosen.seeds[1])
    looked_at = {name: [scene(name, seed) for seed in seeds] for name in (SPARSE[2:3] if chosen.quick else SPARSE)}
    looked_at |= {path.stem: [spikeseg.read(path)] for path in chosen.others}
    rows, results = [], []
    for variant, changes in VARIANTS.items():
        for weights, model, config in networks(chosen.config, {**changes, **quick}, dense):
            print(f"{variant}, {weights}", file=sys.stderr, flush=True)
            for name, recordings in looked_at.items():
                found = [seen(model, config, recording) for recording in recordings]
                rows.append([name, variant, weights, *(cell(values, 2000) for values in zip(*found, strict=True))])
                results.append(
                    {"recordings": name, "network": variant, "weights": weights, "found": [f._asdict() for f in found]}
                )
    rows.sort(key=lambda row: list(looked_at).index(row[0]))
    print(table(HEAD, rows, markdown=chosen.markdown))
    write_json(chosen.json, "saliency", {"rows": results})


if __name__ == "__main__":
    main()
