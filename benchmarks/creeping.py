"""How far a satellite has to come among the stars to be found: those of simulated nights that creep.

Run: python benchmarks/creeping.py [--checkpoint FILE] [--difficulty NAME] [--seed N] [--sets N] [--json FILE] [--quick]

Of many sets of 48 simulated nights only those recordings are looked at in which a satellite creeps: it is in view for a second or
more, and comes less than 1 px for each among the stars. Found is counted as in mode `track` of `spikeseg evaluate`: a track
within 5 px for half of the time in view. False tracks are those of the same recordings. Intervals are 95 %: Wilson's and
Garwood's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from limit_scoring import rate_interval, share_interval
from measure import options, table, write_json
from nights_bound import object_tracks

import spikeseg
from spikeseg.data.recording import SOURCE_OBJECT
from spikeseg.metrics.track import track_counts
from spikeseg.simulation.recordings import SimulationConfig, simulate_recording, simulate_scene
from spikeseg.simulation.scene import DIFFICULTIES, positions

CREEPS_PX_S, LEAST_S, STEP_S = 1.0, 1.0, 0.1
"""Speed among the stars below which a satellite creeps, px/s; it is in view for so long, s; its place is looked at so often."""

WAYS_PX = (0.0, 1.5, 3.0, 5.0, 8.0)
"""Bounds of the ways among the stars of a row of the table, px."""


class Creeper(NamedTuple):
    """A satellite: seed and index of its recording, its id, for how long it is in view, s, and how far it comes among the stars,
    px."""

    seed: int
    index: int
    object_id: int
    seconds: float
    moved_px: float


def creepers(config: SimulationConfig) -> list[Creeper]:
    """All of a set."""
    found = []
    for index in range(config.recordings):
        scene = simulate_scene(config, index)
        t_s, size = np.arange(0, scene.duration_s, STEP_S), np.array(scene.sensor_size)
        which = np.flatnonzero(scene.source == SOURCE_OBJECT)
        for satellite, place in zip(which, positions(scene, t_s, which).swapaxes(0, 1), strict=True):
            seen = ((place >= -0.5) & (place < size - 0.5)).all(1)
            seconds = float(seen.sum() * STEP_S)
            if seconds < LEAST_S:
                continue
            sky = scene.field.sky(place[seen], t_s[seen])
            moved = float(np.hypot(*(sky[-1] - sky[0])))
            if moved < CREEPS_PX_S * seconds:
                found.append(Creeper(config.seed, index, int(scene.object_id[satellite]), seconds, moved))
    return found


def looked_for(config: SimulationConfig, own: Sequence[Creeper], checkpoint: str) -> tuple[list[bool], int, float]:
    """Which creepers of one recording are found, its false tracks, and how long it is, minutes."""
    recording = simulate_recording(config, own[0].index)
    result = spikeseg.load(checkpoint, {"device": "cpu"}).detect(recording)
    tracks = object_tracks(result)
    start, end = (int(recording.events["t"][at]) for at in (0, -1))
    labels = recording.labels
    counts = [track_counts(tracks, labels[labels["id"] == one.object_id], start_us=start, end_us=end) for one in own]
    false = track_counts(tracks, labels, start_us=start, end_us=end)["false_tracks"]
    return [bool(one["found"]) for one in counts], int(false), (end - start) / 60e6


def report(creeping: Sequence[Creeper], found: Sequence[bool], false: int, minutes: float, markdown: bool) -> str:
    """The table of ways, and the false tracks."""
    moved, hit, rows = np.array([one.moved_px for one in creeping]), np.array(found, bool), []
    bounds = [*zip(WAYS_PX[:-1], WAYS_PX[1:], strict=True), (0.0, np.inf)]
    for low, high in bounds:
        own = hit[(moved >= low) & (moved < high)]
        if len(own):
            least, most = share_interval(int(own.sum()), len(own))
            name = f"{low:.1f} to {high:.1f}" if np.isfinite(high) else "all"
            rows.append([name, len(own), int(own.sum()), f"{own.mean():.2f} ({least:.2f} to {most:.2f})"])
    low, high = rate_interval(false, minutes)
    return "\n\n".join(
        [
            table(["px among the stars", "satellites", "found", "share"], rows, markdown=markdown),
            f"false tracks: {false} in {minutes:.0f} minutes, {false / minutes:.2f} ({low:.2f} to {high:.2f}) a minute",
        ]
    )


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = options("Satellites that creep among the stars.", markdown=True)
    parser.add_argument("--checkpoint", default="nights", metavar="FILE", help="a network [nights]")
    parser.add_argument("--difficulty", choices=sorted(DIFFICULTIES), default="medium", help="[medium]")
    parser.add_argument("--seed", type=int, default=71000, help="of the first set; the next ones follow [71000]")
    parser.add_argument("--sets", type=int, default=30, metavar="N", help="of 48 recordings [30]")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes [1]")
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    chosen = arguments()
    seconds = 2.0 if chosen.quick else SimulationConfig.duration_s
    sets = [SimulationConfig(48, seconds, chosen.difficulty, "DAVIS", chosen.seed + k) for k in range(chosen.sets)]
    jobs = []
    for config in sets[: 2 if chosen.quick else None]:
        own = creepers(config)
        jobs += [(config, [one for one in own if one.index == index]) for index in sorted({one.index for one in own})]
    looked = Parallel(chosen.jobs)(delayed(looked_for)(*job, chosen.checkpoint) for job in jobs)
    creeping, found = [one for _, own in jobs for one in own], [one for own, _, _ in looked for one in own]
    false, minutes = sum(false for _, false, _ in looked), sum(minutes for _, _, minutes in looked)
    print(report(creeping, found, false, minutes, chosen.markdown))
    rows = [{**one._asdict(), "found": hit} for one, hit in zip(creeping, found, strict=True)]
    write_json(chosen.json, "creeping", {"satellites": rows, "false_tracks": false, "minutes": minutes})


if __name__ == "__main__":
    main()
