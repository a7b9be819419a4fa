"""Which satellites of simulated nights any detector could find, and which of these the network finds.

Run: python benchmarks/nights_bound.py [--checkpoint FILE] [--difficulty NAME ...] [--json FILE] [--markdown] [--quick]

The nights are those of docs/evaluation.md. The bound is an ideal matched filter (nights_evidence.py): along the true path, with
the satellite's true footprint and the true rate of the noise of every pixel, it adds up the log-likelihood ratio of all events
against noise; places that another source lights are left out. What a star would explain is no evidence: what the best of stars
at rest on the satellite's way explains is taken off. A satellite is within reach if what is left is as much as the network asks
for (`tracking.false_alarms_per_minute`), and if it moves among the stars by more than its footprint is wide.

Found is counted as in mode `track` of `spikeseg evaluate`: a track within 5 px for half of the time in view. Without --checkpoint
only the bound is computed. Labels and truth never reach the network. Intervals are 95 %: by binomial (Wilson) or bootstrap over
recordings, whichever end is further out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from limit_scoring import share_interval
from measure import number, options, table, write_json
from nights_evidence import Evidence, evidence_of

import spikeseg
from spikeseg.config.sections import TrackingConfig
from spikeseg.data.recording import Recording
from spikeseg.metrics.rates import columns, ratio, summary
from spikeseg.metrics.track import FoundTrack, track_counts
from spikeseg.motion.probability import threshold_nats
from spikeseg.simulation.recordings import SimulationConfig, noise_rates, simulate_recording, simulate_scene

NIGHTS = {"medium": (48, 41001), "hard": (24, 41003), "extreme": (24, 41004)}
"""Recordings and seed of each difficulty, as in docs/evaluation.md."""


class Satellite(NamedTuple):
    """One of a recording: what the recording holds for it, the evidence asked for, and whether the network found it."""

    recording: str
    evidence: Evidence
    asked_nats: float
    found: bool | None

    @property
    def within_reach(self) -> bool:
        """Whether any detector could find it."""
        own = self.evidence
        return own.own_nats >= self.asked_nats and own.moved_px > own.width_px


@dataclass(frozen=True)
class Counted:
    """A share of satellites, with its interval, and of how many."""

    part: int
    whole: int
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.part} of {self.whole} ({self.low:.2f}..{self.high:.2f})" if self.whole else "0 of 0"


def night(config: SimulationConfig, index: int, checkpoint: Path | None) -> list[Satellite]:
    """The satellites of one recording."""
    recording = simulate_recording(config, index)
    found = {} if checkpoint is None else found_objects(recording, checkpoint)
    asked = threshold_nats(TrackingConfig.false_alarms_per_minute, recording.sensor_size)
    held = evidence_of(simulate_scene(config, index), noise_rates(config, index), recording, config.seed)
    return [Satellite(recording.name, own, asked, found.get(own.object_id)) for own in held]


def found_objects(recording: Recording, checkpoint: Path) -> dict[int, bool]:
    """Of every labelled object, whether the network's tracks find it."""
    result = spikeseg.load(checkpoint, {"device": "cpu"}).detect(recording)
    tracks = object_tracks(result)
    start, end = (int(recording.events["t"][at]) for at in (0, -1))
    labels = recording.labels
    return {
        int(name): bool(track_counts(tracks, labels[labels["id"] == name], start_us=start, end_us=end)["found"])
        for name in np.unique(labels["id"])
    }


def object_tracks(result: Any) -> list[FoundTrack]:
    """What `detect` calls objects, as mode `track` of `spikeseg evaluate` reads them."""
    tracks = []
    for name in result.object_ids:
        own = result.tracks[result.tracks["track_id"] == name]
        place = np.stack([own["x"], own["y"]], 1).astype(np.float64)
        tracks.append(FoundTrack(own["t_us"], place, np.zeros_like(place)))
    return tracks


def counted(satellites: Sequence[Sequence[Satellite]], reachable: bool) -> Counted:
    """How many the network finds: of those within reach, or of all.

    Args:
        satellites: by recording.
        reachable: only those within reach.
    """
    rows = []
    for index, own in enumerate(satellites):
        taken = [one for one in own if one.within_reach or not reachable]
        rows.append({"name": str(index), "whole": len(taken), "part": sum(bool(one.found) for one in taken)})

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        whole, part = (weights @ columns(rows, ("whole", "part"))).T
        return {"share": ratio(part, whole)}

    drawn = summary(statistic, rows, ("whole", "part"))
    part, whole = drawn["part"], drawn["whole"]
    if not whole:
        return Counted(0, 0, 0.0, 1.0)
    low, high = share_interval(part, whole)
    least, most = drawn["intervals"]["share"] or (low, high)
    return Counted(part, whole, min(low, least), max(high, most))


def left_out(satellites: Sequence[Satellite]) -> list[Satellite]:
    """Those out of reach or missed."""
    return [one for one in satellites if not one.within_reach or one.found is False]


def report(measured: dict[str, list[list[Satellite]]], found: bool, markdown: bool) -> str:
    """The table of conditions, and that of the satellites that are out of reach or missed."""
    rows, singles = [], []
    for name, nights in measured.items():
        every = [one for own in nights for one in own]
        row = [name, len(nights), len(every), sum(one.within_reach for one in every)]
        rows.append([*row, *((str(counted(nights, False)), str(counted(nights, True))) if found else ())])
        singles += [_line(name, one) for one in left_out(every)]
    head = ["nights", "recordings", "objects", "within reach", "found", "found of those within reach"]
    single = ["missed or out of reach", "within reach", "found", "events", "s in view", "px among stars", "stars", "LLR",
              "of this a star's"]  # fmt: skip
    aside = max((one.evidence.aside_nats for nights in measured.values() for own in nights for one in own), default=0.0)
    return "\n\n".join(
        [
            table(head[: len(rows[0])], rows, markdown=markdown),
            table(single, singles, markdown=markdown) if singles else "none is missed or out of reach",
            f"beside the paths the same filter gathers {aside:.1f} nat at most",
        ]
    )


def _line(name: str, one: Satellite) -> list[object]:
    own = one.evidence
    return [
        f"{name} {one.recording}, {own.object_id}",
        "yes" if one.within_reach else "no",
        {True: "yes", False: "no", None: ""}[one.found],
        own.events,
        f"{own.seconds:.2f}",
        f"{own.moved_px:.1f}",
        own.stars,
        number(round(own.nats, 1)),
        number(round(own.star_nats, 1)),
    ]


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = options("Which satellites of simulated nights can be found.", markdown=True)
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="a network; without one: the bound alone")
    parser.add_argument("--difficulty", nargs="+", choices=sorted(NIGHTS), default=list(NIGHTS), help="[all]")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes [1]")
    chosen = parser.parse_args()
    chosen.seconds = SimulationConfig.duration_s
    if chosen.quick:
        chosen.difficulty, chosen.seconds = ["medium"], 1.0
    return chosen


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    chosen, measured = arguments(), {}
    for name in chosen.difficulty:
        recordings, seed = NIGHTS[name]
        config = SimulationConfig(2 if chosen.quick else recordings, chosen.seconds, name, "DAVIS", seed)
        run = Parallel(chosen.jobs)
        measured[name] = run(delayed(night)(config, index, chosen.checkpoint) for index in range(config.recordings))
    print(report(measured, chosen.checkpoint is not None, chosen.markdown))
    objects = {
        name: [
            {"recording": one.recording, **one.evidence._asdict(), "within_reach": one.within_reach, "found": one.found}
            for own in nights
            for one in own
        ]
        for name, nights in measured.items()
    }
    write_json(chosen.json, "nights_bound", {"asked_per_minute": TrackingConfig.false_alarms_per_minute, "objects": objects})


if __name__ == "__main__":
    main()
