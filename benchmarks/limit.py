"""How faint an object may be: the share of objects found against their rate of events, beside the physical limit.

Run: python benchmarks/limit.py [--condition NAME ...] [--checkpoint FILE] [--json FILE] [--figure FILE] [--markdown] [--quick]

Recordings are those of `spikeseg simulate --kind limit`. The network is the demo's, trained here on a few simulated nights unless
a checkpoint is named, and is run as `detect` runs it, with its own thresholds. The opponents (the graded filter, blobs and Hough
lines of frames, all tracked by the network's tracker; shift and stack) have their thresholds set on recordings of other seeds: of
those with no more than 0.1 false tracks a minute the one that finds most. In the row below the network the score from which its
tracks are objects is set in the same way.

An object counts as found when a track that is called an object is within 5 px of it for at least half of the track's life, and
for at least 1 s or a quarter of the object's time in view. A track is false when it is within 5 px of no object for more than
half of its life; their rate is measured on recordings without objects. The limit is that of an ideal detector that counts events
within 2 px of every possible path, see limit_bound.py; R50 is where a logistic in the logarithm of the rate, fitted to the
shares, passes one half. Intervals, of 95 %: Wilson's for shares, the exact one for counts, and for R50 a bootstrap over
recordings or the likelihood ratio, whichever is wider.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from limit_bound import FALSE_ALARMS_PER_MINUTE, Search, bound
from limit_detectors import OF_NETWORK, TITLES, Trained
from limit_scoring import half_rate, rate_interval, share_interval
from limit_work import Bench, Setting, answers, calibrated
from measure import options, table, write_json

from spikeseg.simulation.camera_noise import VARIANTS
from spikeseg.simulation.limit import LimitConfig, seconds_in_view

RATES = tuple((2.0 ** (np.arange(15) / 2)).round(2).tolist())
"""Events/s, in steps of 1.5 dB."""
BASE = LimitConfig()
CONDITIONS = {
    "base": BASE,
    "noise0.02": replace(BASE, noise_hz=0.02),
    "noise0.5": replace(BASE, noise_hz=0.5),
    "slow": replace(BASE, speed_px_s=(0.5, 4.0)),
    "fast": replace(BASE, speed_px_s=(40.0, 120.0)),
    "drift60": replace(BASE, field="drift", field_speed_px_s=60.0),
    "at-rest": replace(BASE, field="drift", at_rest=True),
    "turn": replace(BASE, field="turn"),
    "5s": replace(BASE, duration_s=5.0),
    "60s": replace(BASE, duration_s=60.0),
    "three": replace(BASE, objects=3),
    "displaced1.5": replace(BASE, displacement_px=1.5),
    **{name: replace(BASE, noise=name) for name in VARIANTS},
}
"""Noise variants have the mean rate of the base; hot pixels come on top of it."""
SEED = 71_000
OF_QUIET, OF_CALIBRATION, OF_BOUND = 1, 2, 4
"""What is added to the seed: for recordings without objects, for calibration (and one more), for times in view of the limit."""
BESIDE = 1.02
"""Points of one rate lie beside each other in the figure, by this factor."""
TICKS = (1, 2, 4, 8, 16, 32, 64, 128)
CALIBRATION_RATES = (8.0, 16.0, 32.0, 64.0)
TIMES_IN_VIEW = 400


def limit_of(config: LimitConfig) -> float:
    """The rate at which an ideal detector finds half of the objects, for noise that is Poisson at the mean rate. Where the field
    moves it knows how, so that it searches velocities among the stars; objects at rest might move at any speed up to the
    highest."""
    config = replace(config, seed=config.seed + OF_BOUND, objects=1)
    seconds = np.concatenate([seconds_in_view(config, index) for index in range(TIMES_IN_VIEW)])
    slowest, fastest = config.speed_px_s
    search = Search(config.sensor_size, config.duration_s, (0.0 if config.at_rest else slowest, fastest))
    return bound(config.noise_hz, seconds[seconds > 0], search, config.sigma_px, config.displacement_px)


def measured(bench: Bench, names: Sequence[str], rates_hz: Sequence[float], asked: argparse.Namespace) -> dict[str, Any]:
    """All figures of a condition. asked: recordings, few, quiet, calibration."""
    config = bench.config
    settings = {}
    for name in names:
        _say(f"  calibrating {name}")
        count = asked.calibration if name != "stack" else min(asked.calibration, asked.few)
        settings[name] = calibrated(bench, name, count, config.seed + OF_CALIBRATION, CALIBRATION_RATES, FALSE_ALARMS_PER_MINUTE)
    _say(f"  {len(rates_hz)} rates")
    each = [(rate, index) for rate in range(len(rates_hz)) for index in range(asked.recordings)]
    items = [
        (replace(config, rate_hz=rates_hz[rate]), rate * asked.recordings + index, _chosen(settings, index, asked.few))
        for rate, index in each
    ]
    of_rates = bench.run(answers, items)
    _say("  false tracks")
    alone = replace(config, seed=config.seed + OF_QUIET, objects=0)
    quiet = bench.run(answers, [(alone, index, _chosen(settings, index, asked.few)) for index in range(asked.quiet)])
    limit_hz = limit_of(config)
    found: dict[str, Any] = {"config": asdict(config), "limit_hz": limit_hz, "detectors": {}}
    for name, setting in settings.items():
        by_rate = [[own[name] for (rate, _), own in zip(each, of_rates, strict=True) if rate == k and name in own]
                   for k in range(len(rates_hz))]  # fmt: skip
        false = [own[name].false for own in quiet if name in own]
        found["detectors"][name] = {
            "setting": asdict(setting),
            **_curve(rates_hz, by_rate, limit_hz, config.seed),
            "false_tracks": _false(sum(false), len(false) * config.duration_s / 60),
        }
    return found


def _chosen(settings: dict[str, Setting], index: int, few: int) -> dict[str, Setting]:
    return {name: own for name, own in settings.items() if name != "stack" or index < few}


def _curve(rates_hz: Sequence[float], by_rate: Sequence[Sequence[Any]], limit_hz: float, seed: int) -> dict[str, Any]:
    """Shares with intervals, R50 and its distance from the limit; null for what lies beyond the rates measured."""
    found = [np.array([own.found for own in part]) for part in by_rate]
    objects = [np.array([own.objects for own in part]) for part in by_rate]
    rows = [
        {
            "rate_hz": rate, "found": int(f.sum()), "objects": int(o.sum()),
            "interval": share_interval(int(f.sum()), int(o.sum())), "false": sum(own.false for own in part),
        }
        for rate, f, o, part in zip(rates_hz, found, objects, by_rate, strict=True)
    ]  # fmt: skip
    half = [value if 0 < value < np.inf else None for value in half_rate(np.array(rates_hz), found, objects, seed)]
    gap = [None if value is None else 10 * np.log10(value / limit_hz) for value in half]
    return {"rates": rows, "half_rate_hz": half, "gap_db": gap}


def _false(count: int, minutes: float) -> dict[str, Any]:
    return {"count": count, "minutes": minutes, "per_minute": count / minutes, "interval": rate_interval(count, minutes)}


def report(name: str, found: dict[str, Any], markdown: bool) -> str:
    """The tables of a condition."""
    rows, shares = [], []
    for key, own in found["detectors"].items():
        lost = own["false_tracks"]
        per_minute = f"{lost['per_minute']:.2f} ({lost['interval'][0]:.2f}..{lost['interval'][1]:.2f})"
        rows.append([TITLES[key], _spread(own["half_rate_hz"], own["rates"]), _with_ends(own["gap_db"]), per_minute])
        shares.append([f"{row['found'] / row['objects']:.2f} ({row['interval'][0]:.2f}..{row['interval'][1]:.2f})"
                       for row in own["rates"]])  # fmt: skip
    head = ["detector", "R50, events/s", "dB to the limit", "false tracks a minute"]
    rates = [row["rate_hz"] for row in next(iter(found["detectors"].values()))["rates"]]
    by_rate = [[f"{rate:g}", *cells] for rate, cells in zip(rates, zip(*shares, strict=True), strict=True)]
    return "\n\n".join(
        [
            f"{name}: limit {found['limit_hz']:.2f} events/s",
            table(head, rows, markdown=markdown),
            table(["events/s", *(TITLES[key] for key in found["detectors"])], by_rate, markdown=markdown),
        ]
    )


def _spread(half: Sequence[float | None], rates: Sequence[dict[str, Any]]) -> str:
    if half[0] is None:
        most = rates[-1]["found"] / rates[-1]["objects"]
        return f"over {rates[-1]['rate_hz']:g}" if most < 0.5 else f"under {rates[0]['rate_hz']:g}"
    return _with_ends(half)


def _with_ends(values: Sequence[float | None]) -> str:
    """A value and its interval; ? for an end beyond what was measured."""
    value, low, high = ("?" if value is None else f"{value:.1f}" for value in values)
    return "-" if value == "?" else f"{value} ({low}..{high})"


def draw(path: Path, conditions: dict[str, Any]) -> None:
    """A figure: for every condition the share found against the rate, with intervals, and the limit."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    columns = min(3, len(conditions))
    figure, axes = plt.subplots(
        -(-len(conditions) // columns), columns, figsize=(5 * columns, 4 * -(-len(conditions) // columns)), squeeze=False
    )
    for spare in axes.ravel()[len(conditions) :]:
        spare.remove()
    shown: dict[str, Any] = {}
    for ax, (name, found) in zip(axes.ravel(), conditions.items(), strict=False):
        for place, (key, own) in enumerate(found["detectors"].items()):
            rate = [row["rate_hz"] * BESIDE ** (place - (len(found["detectors"]) - 1) / 2) for row in own["rates"]]
            share = np.array([row["found"] / row["objects"] for row in own["rates"]])
            ends = np.array([row["interval"] for row in own["rates"]]).T
            bars = np.abs(ends - share)
            look = {"marker": "o", "markersize": 3, "capsize": 2, "linewidth": 1, "color": f"C{list(TITLES).index(key)}"}
            shown[TITLES[key]] = ax.errorbar(rate, share, bars, **look)
        shown["limit"] = ax.axvline(found["limit_hz"], color="black", linestyle="--", linewidth=1)
        ax.axhline(0.5, color="grey", linewidth=0.5)
        ax.set(title=name, xscale="log", xlabel="events/s of the object", ylabel="share of objects found", ylim=(-0.03, 1.03))
        ax.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS], minor=False)
        ax.minorticks_off()
        ax.set_xlim(min(found["limit_hz"], rate[0]) / 1.2, rate[-1] * 1.2)
    figure.tight_layout()
    figure.legend(list(shown.values()), list(shown), fontsize=8, loc="lower center", ncols=3, bbox_to_anchor=(0.5, 1.0))
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = options("Faintest objects that are found, and the physical limit.", markdown=True)
    parser.add_argument("--condition", nargs="+", choices=[*CONDITIONS], default=["base"], metavar="NAME",
                        help=f"one or more of: {', '.join(CONDITIONS)} [base]")  # fmt: skip
    parser.add_argument("--detectors", nargs="+", choices=[*TITLES], default=[*TITLES], metavar="NAME",
                        help=f"some of: {', '.join(TITLES)} [all]; stack where the field stands still")  # fmt: skip
    parser.add_argument("--rates", nargs="+", type=float, default=RATES, metavar="HZ", help="[1 to 128 in steps of 1.5 dB]")
    parser.add_argument("--recordings", type=int, default=24, metavar="N", help="with objects, for each rate [24]")
    parser.add_argument("--few", type=int, default=6, metavar="N", help="of all these for shift and stack, which is slow [6]")
    parser.add_argument("--quiet", type=int, default=100, metavar="N", help="without objects, for false tracks [100]")
    parser.add_argument("--calibration", type=int, default=30, metavar="N", help="without objects, for thresholds [30]")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="a network [trained here]")
    parser.add_argument("--set", dest="changes", nargs="+", default=[], metavar="KEY=VALUE",
                        help="changes to the configuration of the network")  # fmt: skip
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the recordings [{SEED}]")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes [all cores]")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the curves there (needs matplotlib)")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rates, chosen.recordings, chosen.few, chosen.quiet, chosen.calibration = [8.0, 128.0], 2, 1, 2, 2
    chosen.rates = sorted(chosen.rates)
    return chosen


def main() -> None:
    """Measure, print, and write JSON and a figure where asked to."""
    chosen = arguments()
    conditions: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        checkpoint = chosen.checkpoint.resolve() if chosen.checkpoint else None
        if checkpoint is None and set(OF_NETWORK) & set(chosen.detectors):
            from detect import trained

            _say("training the demo's network")
            checkpoint = trained(Path(home), chosen.quick)
        network = Trained(checkpoint, tuple(chosen.changes)) if checkpoint else None
        for name in chosen.condition:
            config = replace(CONDITIONS[name], seed=chosen.seed)
            if chosen.quick:
                config = replace(config, duration_s=5.0)
            _say(name)
            names = [own for own in chosen.detectors if own != "stack" or config.field == "still"]
            conditions[name] = measured(Bench(config, network, chosen.jobs), names, chosen.rates, chosen)
            print(report(name, conditions[name], chosen.markdown) + "\n", flush=True)
            write_json(chosen.json, "limit", {"conditions": conditions})
    if chosen.figure:
        draw(chosen.figure, conditions)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
