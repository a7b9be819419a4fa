"""What a learned footprint is worth to the motion layer: how faint objects may be with it, and with what has learned nothing.

Run: python benchmarks/footprint.py [--displacement PX ...] [--checkpoint FILE] [--json FILE] [--markdown] [--quick]

Recordings are those of `spikeseg simulate --kind limit`: ON events lie ahead of the object and OFF events behind it by a
displacement that nobody tells the layer. Several networks, each with its own seed, learn their footprints as `train-layer motion`
does, from recordings of other seeds, without labels. Recording i of a rate is shown to network i modulo their number, and to the
controls: the hand-made box, the footprint before learning, the learned weights shuffled, its two polarities merged, and the
footprint of the simulator. Everything but the footprint is the same: events, background, stars. The search is the deep one
(`tracking.deep`), whose maps have the footprint's receptive field.

The box stands there twice: flat up to its edges, by maps that count events in boxes, as they do without `deep`; and with the soft
edges of `Footprint.box`, by maps whose receptive field is as wide. Both are scored so along lines. Where a path is followed on,
either is taken for something round of the same spread, as every footprint is there, which is kind to boxes.

Each footprint has a threshold of its own: by recordings without objects, 0.1 false paths a minute. What counts as found is in
limit_scoring.py; R50 is where a logistic in the logarithm of the rate passes one half; differences are paired, recording by
recording, in dB of R50, with 95 % intervals of a bootstrap over recordings, those without objects included. AUC is that of single
events at one rate, object against all others, by the probability that the layer gives them. --checkpoint names a network whose
tracks without a motion layer are the last row.

footprint_evidence.py asks the same without a search, and --evidence stops there. "evidence": by how much brighter objects must be
for as much evidence along their true paths as the learned footprint gathers. "told": R50 of who is told once a second where the
object is and how it moves, so that nothing is lost but by the footprint; from 21 nat on, as 0.1 false alarms a minute ask for.
"information" needs no recordings: by how much brighter for as much expected log-likelihood ratio a second, in the middle of the
rates, as who knows from which density the simulator draws; it is the most that footprints can differ by.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from footprint_box import FlatBox
from footprint_evidence import Gathered, compared, expected, gathered
from footprint_scoring import SAMPLES, SEARCHED_PER_MINUTE, Answer, half_rate_samples, interval, thresholds
from joblib import Parallel, delayed
from limit_scoring import Track, judged
from measure import options, table, write_json

from spikeseg.config.load import load_config
from spikeseg.data.recording import SOURCE_OBJECT, Recording
from spikeseg.data.windows import WindowedRecording, windowed
from spikeseg.detection.motion_training import Night, footprint_of
from spikeseg.detection.moving import Motion, Prepared, found_in, frame_of, prepared
from spikeseg.learning.footprint import untrained_footprint
from spikeseg.metrics.event import roc_auc
from spikeseg.motion.footprint import Footprint
from spikeseg.simulation.limit import LimitConfig, limit_recording
from spikeseg.tracking.star_field import StarField

TITLES = {
    "flat": "hand-made box, flat",
    "box": "hand-made box, soft edges",
    "untrained": "untrained",
    "shuffled": "learned, shuffled",
    "merged": "learned, polarities merged",
    "learned": "learned",
    "true": "of the simulator",
    "none": "no motion layer",
}
SHOWN = ("flat", "box", "untrained", "shuffled", "merged", "true")
"""What the learned one is compared with."""
HARD = ("untrained", "shuffled", "none")
"""What finds nothing at faint rates is shown bright ones."""
RATES = (2.0, 2.5, 3.0, 3.5, 4.5, 6.0)
BRIGHT = (8.0, 16.0, 32.0, 64.0, 128.0)
AUC_RATE = 6.0
TRAINING_HZ = (4.0, 60.0)
SEED = 72_000
OF_QUIET, OF_TRAINING = 1, 1000


def learned(displacement: float, seed: int, recordings: int) -> tuple[Footprint, dict[str, Any]]:
    """What a network of this seed learns from recordings of its own, objects of TRAINING_HZ, log-uniform."""
    cfg = load_config("demo", {"seed": seed})
    rates = np.exp(np.random.default_rng(seed).uniform(*np.log(TRAINING_HZ), recordings))
    base = LimitConfig(displacement_px=displacement, seed=SEED + OF_TRAINING + seed)
    nights = [
        Night(functools.partial(_view, replace(base, rate_hz=float(rate)), index), StarField.still())
        for index, rate in enumerate(rates)
    ]
    share, report = footprint_of(nights, cfg)
    if share is None:
        raise SystemExit(f"seed {seed}: nothing learned from {recordings} recordings; give --train more")
    return Footprint(share), report


def _view(config: LimitConfig, index: int) -> WindowedRecording:
    return windowed(limit_recording(config, index), load_config("demo").data)


def footprints(displacement: float, own: Footprint, seed: int) -> dict[str, Footprint]:
    """The learned one and its controls."""
    order = np.random.default_rng(seed).permutation(own.share.size)
    return {
        "flat": FlatBox.drawn(),
        "box": Footprint.box(),
        "untrained": untrained_footprint(seed),
        "shuffled": Footprint(own.share.reshape(-1)[order].reshape(own.share.shape)),
        "merged": own.merged(),
        "learned": own,
        "true": Footprint.point(displacement),
    }


def answers(config: LimitConfig, index: int, shown: Mapping[str, Footprint], checkpoint: Path | None) -> dict[str, Answer]:
    """How each footprint does on one recording, and the network of the checkpoint without a motion layer."""
    recording = limit_recording(config, index)
    start = _prepared(recording)
    given = {name: _answer(recording, start, footprint) for name, footprint in shown.items()}
    return given if checkpoint is None else {**given, "none": _without(recording, checkpoint)}


def evidence(config: LimitConfig, index: int, shown: Mapping[str, Footprint]) -> dict[str, Gathered]:
    """What each footprint gathers of a recording's object where it is known."""
    recording = limit_recording(config, index)
    start = _prepared(recording)
    return {name: gathered(recording.labels, start, footprint) for name, footprint in shown.items()}


def _prepared(recording: Recording) -> Prepared:
    view = windowed(recording, load_config("demo").data)
    return prepared(view, frame_of(view, StarField.still()))


def _answer(recording: Recording, start: Prepared, footprint: Footprint) -> Answer:
    own = start._replace(events=start.events._replace(owner=start.events.owner.copy()))
    found = found_in(own, Motion(footprint, SEARCHED_PER_MINUTE, deep=True, boxes=isinstance(footprint, FlatBox)))
    tracks = [Track(path.t_s * 1e6, path.states[:, :2]) for path in found.paths]
    return _judged(recording, tracks, np.array(found.nats), found.responsibility)


def _judged(recording: Recording, tracks: Sequence[Track], nats: np.ndarray, scores: np.ndarray) -> Answer:
    objects = judged([], recording.labels).objects
    found = np.array([judged([track], recording.labels).found for track in tracks], np.int64)
    of_object = recording.truth["source"] == SOURCE_OBJECT
    auc = roc_auc(scores, of_object)
    return Answer(nats.astype(np.float64), found, float("nan") if auc is None else auc, objects)


@functools.cache
def _network(checkpoint: Path) -> Any:
    import spikeseg

    return spikeseg.load(checkpoint, {"device": "cpu", "model.motion": False})


def _without(recording: Recording, checkpoint: Path) -> Answer:
    network = _network(checkpoint)
    result = network.detect(recording)
    rows = [result.tracks[result.tracks["track_id"] == number] for number in result.object_ids]
    tracks = [Track(own["t_us"].astype(np.float64), np.stack([own["x"], own["y"]], 1)) for own in rows]
    return _judged(recording, tracks, np.full(len(tracks), np.inf), result.events["object_score"])


def measured(displacement: float, asked: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """All figures of a displacement."""
    run = Parallel(asked.jobs)
    say(f"{displacement:g} px: {asked.seeds} networks learn from {asked.train} recordings each")
    taught = run(delayed(learned)(displacement, seed, asked.train) for seed in range(asked.seeds))
    each = [footprints(displacement, own, seed) for seed, (own, _) in enumerate(taught)]
    shown = [{name: own[name] for name in own if name in ("learned", *asked.controls)} for own in each]
    base = LimitConfig(displacement_px=displacement, seed=SEED, duration_s=asked.seconds)
    rng = np.random.default_rng(SEED)
    drawn = rng.integers(0, asked.recordings, (len(asked.rates) + len(asked.bright), SAMPLES, asked.recordings))
    chosen = {
        rate: np.concatenate([np.arange(asked.recordings)[None], part])
        for rate, part in zip(sorted({*asked.rates, *asked.bright}), drawn, strict=False)
    }
    rows = _evidence(base, shown, chosen, asked)
    if not asked.evidence:
        for name, own in _searched(base, shown, chosen, asked, say).items():
            rows[name] = {**rows.get(name, {}), **own}
    return {"config": asdict(base), "footprints": rows, "training": [report for _, report in taught]}


def _evidence(
    base: LimitConfig, shown: Sequence[Mapping[str, Footprint]], chosen: Mapping[float, np.ndarray], asked: argparse.Namespace
) -> dict[str, Any]:
    """What footprints are worth without a search."""
    by_rate = [
        Parallel(asked.jobs)(
            delayed(evidence)(replace(base, rate_hz=rate), _index(asked, rate, index), shown[index % len(shown)])
            for index in range(asked.recordings)
        )
        for rate in asked.rates
    ]
    rows = compared(asked.rates, by_rate, [chosen[rate] for rate in asked.rates], base.sensor_size)
    of_information = expected(base.displacement_px, base.noise_hz, shown, asked.rates)
    return {name: {"information_db": own, **rows.get(name, {})} for name, own in of_information.items()}


def _index(asked: argparse.Namespace, rate: float, index: int) -> int:
    """Number of a recording: no two rates share one."""
    return sorted({*asked.rates, *asked.bright}).index(rate) * asked.recordings + index


def _searched(
    base: LimitConfig,
    shown: Sequence[Mapping[str, Footprint]],
    chosen: Mapping[float, np.ndarray],
    asked: argparse.Namespace,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Thresholds, R50 and AUC of every footprint, by searches."""
    run = Parallel(asked.jobs)
    say(f"  {asked.quiet} recordings without objects")
    alone = replace(base, objects=0, seed=SEED + OF_QUIET)
    quiet = run(delayed(answers)(alone, index, shown[index % len(shown)], None) for index in range(asked.quiet))
    drawn = np.random.default_rng(SEED + OF_QUIET).integers(0, asked.quiet, (SAMPLES, asked.quiet))
    drawn, minutes = np.concatenate([np.arange(asked.quiet)[None], drawn]), asked.quiet * asked.seconds / 60
    cuts = {name: thresholds([own[name] for own in quiet], minutes, drawn) for name in shown[0]}
    cuts["none"] = np.zeros(SAMPLES + 1)
    rates = {name: asked.bright if name in HARD else asked.rates for name in (*shown[0], "none")}
    by_rate: dict[float, list[dict[str, Answer]]] = {}
    for rate in sorted({*asked.rates, *asked.bright}):
        say(f"  {rate:g} events/s")
        names = [name for name in shown[0] if rate in rates[name]]
        checkpoint = asked.checkpoint if rate in rates["none"] else None
        by_rate[rate] = run(
            delayed(answers)(
                replace(base, rate_hz=rate), _index(asked, rate, index),
                {name: shown[index % len(shown)][name] for name in names}, checkpoint,
            )
            for index in range(asked.recordings)
        )  # fmt: skip
    half = {
        name: half_rate_samples(
            own, [[answer[name] for answer in by_rate[rate]] for rate in own], cuts[name], [chosen[rate] for rate in own]
        )
        for name, own in rates.items()
        if name != "none" or asked.checkpoint
    }
    return {name: _row(name, own, half, rates[name], by_rate, cuts) for name, own in half.items()}


def _row(
    name: str,
    half: np.ndarray,
    halves: Mapping[str, np.ndarray],
    rates: Sequence[float],
    by_rate: Mapping[float, Sequence[Mapping[str, Answer]]],
    cuts: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Figures of one footprint; above_learned_db: how much more its objects need than those of the learned one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        above = 10 * np.log10(half / halves["learned"])
    near = min(rates, key=lambda rate: abs(rate - AUC_RATE))
    cut = cuts[name][0]
    return {
        "threshold_nats": None if name == "none" else interval(cuts[name]),
        "half_rate_hz": interval(half),
        "above_learned_db": interval(above, zero=True),
        "shares": [
            {"rate_hz": rate, "found": sum(bool(own[name].found[own[name].nats >= cut].any()) for own in by_rate[rate]),
             "objects": sum(own[name].objects for own in by_rate[rate])}
            for rate in rates
        ],
        "event_auc": float(np.nanmean([own[name].auc for own in by_rate[near]])),
        "event_auc_rate_hz": near,
    }  # fmt: skip


def report(displacement: float, found: Mapping[str, Any], markdown: bool) -> str:
    """The table of a displacement."""
    rows = []
    for name, own in found["footprints"].items():
        row = [TITLES[name], _cell(own, "information_db")]
        row += ["" if name == "learned" else _cell(own, key) for key in ("evidence_db", "told_above_learned_db")]
        row.append(_cell(own, "told_half_rate_hz"))
        if "half_rate_hz" in own:
            beyond = _beyond(own["shares"])
            half, above = (beyond if own[key][0] is None else _spread(own[key]) for key in ("half_rate_hz", "above_learned_db"))
            cut = _cell(own, "threshold_nats") if own["threshold_nats"] else ""
            auc = f"{own['event_auc']:.3f} ({own['event_auc_rate_hz']:g}/s)"
            row += ["" if name == "learned" else above, half, cut, auc]
        rows.append(row)
    told = ["dB by R50, told", "R50, told, events/s"]
    of_search = ["dB by R50", "R50, events/s", "threshold, nat", "event ROC-AUC"]
    head = ["footprint", "dB by information", "dB by evidence", *told, *of_search]
    columns = max(map(len, rows))
    rows = [row + [""] * (columns - len(row)) for row in rows]
    title = f"ON and OFF displaced by {displacement:g} px; dB more than with the learned footprint (by information: the truth)"
    return f"{title}\n\n" + table(head[:columns], rows, markdown=markdown)


def _beyond(shares: Sequence[Mapping[str, Any]]) -> str:
    """Where half are found, if the fit cannot tell."""
    few, many = (
        [share["rate_hz"] for share in shares if (2 * share["found"] < share["objects"]) == less] for less in (True, False)
    )
    if not few:
        return f"below {many[0]:g}"
    return f"{few[-1]:g} to {many[0]:g}" if many else f"beyond {few[-1]:g}"


def _cell(own: Mapping[str, Any], key: str) -> str:
    return _spread(own[key]) if key in own else ""


def _spread(values: Sequence[float | None]) -> str:
    middle, low, high = ("beyond" if value is None else f"{round(value, 2) + 0.0:.2f}" for value in values)
    return f"{middle} ({low}..{high})"


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = options("What a learned footprint is worth.", markdown=True)
    parser.add_argument("--displacement", nargs="+", type=float, default=[0.7, 1.5], metavar="PX", help="[0.7 1.5]")
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES), metavar="HZ", help="[2 to 6]")
    parser.add_argument("--bright", nargs="+", type=float, default=list(BRIGHT), metavar="HZ",
                        help="for what learned nothing [8 to 128]")  # fmt: skip
    parser.add_argument("--recordings", type=int, default=30, metavar="N", help="for each rate [30]")
    parser.add_argument("--quiet", type=int, default=30, metavar="N", help="without objects, for thresholds [30]")
    parser.add_argument("--train", type=int, default=12, metavar="N", help="that a network learns from [12]")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="networks [5]")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="of a recording [20]")
    parser.add_argument("--controls", nargs="+", choices=SHOWN, default=list(SHOWN), metavar="NAME",
                        help="what the learned one is compared with: %(choices)s [all]")  # fmt: skip
    parser.add_argument("--evidence", action="store_true", help="along true paths only, no searches")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="a network, for the row without motion layer")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes [1]")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rates, chosen.bright, chosen.displacement = [4.0, 8.0], [64.0], [1.5]
        chosen.recordings, chosen.quiet, chosen.train, chosen.seeds, chosen.seconds = 1, 1, 6, 1, 8.0
    chosen.rates, chosen.bright = sorted(chosen.rates), sorted(chosen.bright)
    if not chosen.checkpoint and not {*HARD} & {*chosen.controls}:
        chosen.bright = []
    return chosen


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    chosen = arguments()
    results = {}
    for displacement in chosen.displacement:
        results[f"{displacement:g}"] = measured(displacement, chosen, _say)
        print(report(displacement, results[f"{displacement:g}"], chosen.markdown) + "\n", flush=True)
        write_json(chosen.json, "footprint", {"displacements": results})


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
