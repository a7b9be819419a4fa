"""What `detect --follow` finds in simulated nights while they pass, beside what `detect` finds when they are over.

Run: python benchmarks/follow_nights.py [--checkpoint FILE] [--difficulty NAME ...] [--json FILE] [--markdown] [--quick]

A track of `--follow` is what the lines of its objects hold: the past that comes with the first one, then a place for every
window. Both are scored by mode `track` of `spikeseg evaluate`: an object is found if tracks within 5 px cover half of its time in
view; a track is false if it is near no object for more than half of its life. The delay is the time from when an object comes
into view to the first line that tells of it, of those that are found. Intervals are 95 %: Wilson's and Garwood's.
"""

from __future__ import annotations

import argparse
import functools
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from limit_scoring import rate_interval, share_interval
from measure import options, table, write_json
from nights_bound import object_tracks

import spikeseg
from spikeseg.data.recording import Recording
from spikeseg.detection.online import Follower
from spikeseg.metrics.track import FoundTrack, outcome, track_counts
from spikeseg.simulation.recordings import SimulationConfig, simulate_recording

NIGHTS = {"medium": 41001, "hard": 41003, "extreme": 41004}
"""Seed of each difficulty, as in docs/evaluation.md."""

COUNTS = ("objects", "found", "life", "covered", "tracks", "true_tracks", "false_tracks", "duration_us")


class Reported(NamedTuple):
    """An object of `--follow`.

    Attributes:
        t_us: float64 (n,), µs.
        places: float64 (n, 2), where it was then, px.
        told_us: end of the window that first told of it, µs.
    """

    t_us: np.ndarray
    places: np.ndarray
    told_us: int

    @property
    def track(self) -> FoundTrack:
        """As mode `track` reads it."""
        return FoundTrack(self.t_us, self.places, np.zeros_like(self.places))


def reported(network: Any, recording: Recording) -> list[Reported]:
    """What `detect --follow` tells of a recording, by its lines."""
    follower = Follower(network.config, network.model, network.readout, recording.sensor_size)
    points: dict[int, list[list[float]]] = {}
    told_us: dict[int, int] = {}
    for window in (*follower.take(recording.events, 0.0), *follower.finish(0.0)):
        row = window.row(follower)
        for one in row["objects"]:
            own = points.setdefault(one["track_id"], [])
            told_us.setdefault(one["track_id"], row["t_end_us"])
            new = one.get("past", [[one["t_us"], one["x"], one["y"]]])
            own += [point for point in new if not own or point[0] > own[-1][0]]
    columns = {number: np.array(own, np.float64) for number, own in points.items()}
    return [Reported(own[:, 0], own[:, 1:], told_us[number]) for number, own in columns.items()]


@functools.cache
def _network(checkpoint: str) -> Any:
    return spikeseg.load(checkpoint, {"device": "cpu"})


def night(config: SimulationConfig, index: int, checkpoint: str) -> dict[str, Any]:
    """Of one recording the counts of tracks, of either way of looking at it; and the delays, s, of what `--follow` finds."""
    recording, network = simulate_recording(config, index), _network(checkpoint)
    labels, times = recording.labels, {"start_us": int(recording.events["t"][0]), "end_us": int(recording.events["t"][-1])}
    lines = reported(network, recording)
    tracks = {"detect": object_tracks(network.detect(recording)), "follow": [own.track for own in lines]}
    delays = []
    for number, found in outcome(tracks["follow"], labels, **times).found.items():
        label = labels[labels["id"] == number]
        near = [own.told_us for own in lines if outcome([own.track], label, **times).true[0]]
        delays += [(min(near) - int(label["t"].min())) * 1e-6] if found and near else []
    counts = {name: track_counts(own, labels, **times) for name, own in tracks.items()}
    return {
        "recording": recording.name,
        "delays_s": delays,
        **{name: {key: int(own[key]) for key in COUNTS} for name, own in counts.items()},
    }


def report(nights: dict[str, list[dict[str, Any]]], markdown: bool) -> str:
    """A table, and the delays."""
    rows, lines = [], []
    for name, own in nights.items():
        for way in ("detect", "follow"):
            total = {key: sum(one[way][key] for one in own) for key in COUNTS}
            minutes = total["duration_us"] / 60e6
            low, high = rate_interval(total["false_tracks"], minutes)
            rows.append(
                [
                    name, way, _share(total["found"], total["objects"]), f"{total['covered'] / max(total['life'], 1):.3f}",
                    _share(total["true_tracks"], total["tracks"]),
                    f"{total['false_tracks'] / minutes:.2f} ({low:.2f} to {high:.2f})",
                ]
            )  # fmt: skip
        delays = [delay for one in own for delay in one["delays_s"]]
        if delays:
            lines.append(f"{name}: told of {np.median(delays):.1f} s after it came into view (median; 90 %: "
                         f"{np.quantile(delays, 0.9):.1f} s)")  # fmt: skip
    head = ["nights", "", "objects found", "of their time", "true tracks", "false tracks a minute"]
    return "\n".join([table(head, rows, markdown=markdown), "", *lines])


def _share(part: int, whole: int) -> str:
    if not whole:
        return "0 of 0"
    low, high = share_interval(part, whole)
    return f"{part} of {whole} ({low:.2f} to {high:.2f})"


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = options("What detect --follow finds in simulated nights.", markdown=True)
    parser.add_argument("--checkpoint", default="nights", metavar="FILE", help="a network [nights]")
    parser.add_argument("--difficulty", nargs="+", choices=[*NIGHTS], default=["medium", "hard"], help="[medium hard]")
    parser.add_argument("--recordings", type=int, default=24, metavar="N", help="of each [24]")
    parser.add_argument("--seed", type=int, help="of the nights [those of docs/evaluation.md]")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes [1]")
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    chosen, nights = arguments(), {}
    recordings, seconds = (2, 2.0) if chosen.quick else (chosen.recordings, SimulationConfig.duration_s)
    for name in chosen.difficulty:
        config = SimulationConfig(recordings, seconds, name, "DAVIS", NIGHTS[name] if chosen.seed is None else chosen.seed)
        looked = (delayed(night)(config, index, chosen.checkpoint) for index in range(recordings))
        nights[name] = Parallel(chosen.jobs)(looked)
    print(report(nights, chosen.markdown))
    write_json(chosen.json, "follow_nights", {"nights": nights})


if __name__ == "__main__":
    main()
