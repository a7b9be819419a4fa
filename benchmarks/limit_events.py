"""Whether what is scored lies on a faint object's own events: shares of events, whose source the simulator knows.

Run: python benchmarks/limit_events.py [--rates HZ ...] [--recordings N] [--checkpoint FILE] [--set KEY=VALUE ...] [--seed N]
     [--json FILE] [--markdown] [--quick]

Recordings are those of limit.py's base, each with one object; the network is run as `detect` runs it. An event is scored from an
`object_score` of 0.5 on. "are the object's": of the scored events; "are scored": of the object's events. All recordings of a rate
are taken together, those in which nothing was found included. Intervals of 95 %: a bootstrap over recordings.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from limit import BASE
from measure import options, table, write_json

import spikeseg
from spikeseg.config.load import parse_overrides
from spikeseg.data.recording import SOURCE_OBJECT
from spikeseg.simulation.limit import limit_recording

RATES = (4.0, 8.0, 16.0)
SEED = 74_000
SCORED = 0.5
SAMPLES = 2000


def counted(network: Any, rate_hz: float, index: int, seed: int) -> tuple[int, int, int]:
    """Of one recording: scored events that are the object's, scored events, and events of the object."""
    recording = limit_recording(replace(BASE, rate_hz=rate_hz, seed=seed), index)
    scored = network.detect(recording).events["object_score"] >= SCORED
    own = recording.truth["source"] == SOURCE_OBJECT
    return int((scored & own).sum()), int(scored.sum()), int(own.sum())


def share(part: np.ndarray, whole: np.ndarray, seed: int) -> list[float | None]:
    """Share of all recordings together, and its interval; None where there is no event.

    Args:
        part: int64 (n,), events of each recording.
        whole: int64 (n,), those they are a part of.
        seed: of the bootstrap.
    """
    chosen = np.random.default_rng(seed).integers(0, len(part), (SAMPLES, len(part)))
    with np.errstate(invalid="ignore"):
        samples = part[chosen].sum(1) / whole[chosen].sum(1)
        value = part.sum() / whole.sum()
    ends = np.nanquantile(samples, [0.025, 0.975]) if np.isfinite(samples).any() else (np.nan, np.nan)
    return [float(own) if np.isfinite(own) else None for own in (value, *ends)]


def measured(network: Any, rates: Sequence[float], recordings: int, seed: int) -> list[dict[str, Any]]:
    """A row for each rate; no two rates share a recording's number."""
    rows = []
    for number, rate in enumerate(rates):
        _say(f"{rate:g} events/s")
        of_rate = [counted(network, rate, number * recordings + index, seed) for index in range(recordings)]
        both, scored, own = np.array(of_rate, np.int64).T
        rows.append({"rate_hz": rate, "recordings": recordings, "scored": int(scored.sum()), "of_object": int(own.sum()),
                     "are_the_objects": share(both, scored, seed), "are_scored": share(both, own, seed)})  # fmt: skip
    return rows


def report(rows: Sequence[dict[str, Any]], markdown: bool) -> str:
    """The table."""
    head = ["events/s", "scored events", "are the object's", "object's events", "are scored"]
    cells = [
        [
            f"{row['rate_hz']:g}",
            f"{row['scored']:,}",
            _cell(row["are_the_objects"]),
            f"{row['of_object']:,}",
            _cell(row["are_scored"]),
        ]
        for row in rows
    ]
    return table(head, cells, markdown=markdown)


def _cell(values: Sequence[float | None]) -> str:
    middle, low, high = ("-" if value is None else f"{value:.2f}" for value in values)
    return f"{middle} ({low}..{high})"


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    parser = options("Which events of faint objects are scored.", markdown=True)
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES), metavar="HZ", help="[4 8 16]")
    parser.add_argument("--recordings", type=int, default=24, metavar="N", help="for each rate [24]")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="a network [nights, which comes with the package]")
    parser.add_argument("--set", dest="changes", nargs="+", default=[], metavar="KEY=VALUE",
                        help="changes to the configuration of the network")  # fmt: skip
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the recordings [{SEED}]")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rates, chosen.recordings = [16.0], 1
    network = spikeseg.load(chosen.checkpoint or "nights", {"device": "cpu", **parse_overrides(tuple(chosen.changes))})
    rows = measured(network, chosen.rates, chosen.recordings, chosen.seed)
    print(report(rows, chosen.markdown))
    write_json(chosen.json, "limit_events", {"seed": chosen.seed, "rates": rows})


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
