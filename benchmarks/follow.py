"""How long `detect --follow` takes for a window: 40 s of a DAVIS at about 20,000 events/s, on one core.

Run: python benchmarks/follow.py [--json FILE] [--markdown] [--quick] [--checkpoint FILE]

The night and the network of benchmarks/detect.py, without the motion layer, with it, and with it in deep mode. Counted is what
happens to a window once the event that closes it has come; processor time, so that other programs do not count. The first window
is left out.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detect import night, trained
from measure import options, table, write_json

from spikeseg.config.load import load_config
from spikeseg.config.sections import Config
from spikeseg.data import readers
from spikeseg.detection.network import load_network
from spikeseg.detection.online import FollowedWindow, Follower
from spikeseg.detection.readout import readout_of

PIECE = 200
"""Events that come at once: 10 ms."""
MODES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("without the motion layer", {"model.motion": False}),
    ("with it", {"model.motion": True}),
    ("with it, deep", {"model.motion": True, "tracking.deep": True}),
)


def seconds_of_windows(cfg: Config, checkpoint: Path, events: np.ndarray) -> np.ndarray:
    """Processor seconds of each window but the first."""
    follower = Follower(cfg, load_network(cfg, str(checkpoint), "cpu"), readout_of(cfg, checkpoint), (240, 180))
    follower.load()
    taken = []
    for at in range(0, len(events), PIECE):
        windows: Iterator[FollowedWindow] = follower.take(events[at : at + PIECE], 0.0)
        start = time.process_time()
        for _ in windows:
            taken.append(time.process_time() - start)
            start = time.process_time()
    return np.array(taken[1:])


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    parser = options("Time of a window of detect --follow.", markdown=True)
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="a network of the demo's shape [trained here]")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    seconds = 4.0 if chosen.quick else 40.0
    rows, measured = [], {}
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        n = night(folder / "night.npz", seconds)
        checkpoint = chosen.checkpoint or trained(folder, chosen.quick)
        events = readers.read(folder / "night.npz").events
        for name, changes in MODES:
            cfg = load_config("demo", {"device": "cpu", **changes})
            taken = 1e3 * seconds_of_windows(cfg, checkpoint, events)
            measured[name] = {
                "median": float(np.median(taken)),
                "p95": float(np.percentile(taken, 95)),
                "worst": float(taken.max()),
            }
            rows.append([name, *(f"{value:.0f}" for value in measured[name].values())])
    stride_ms = cfg.data.n_timesteps * cfg.data.timestep_ms * (1 - cfg.data.window_overlap)
    print(f"{seconds:g} s, {n / seconds:,.0f} events/s, a window every {stride_ms:g} ms; one thread\n")
    print(table(["detect --follow", "median, ms", "95 %", "worst"], rows, markdown=chosen.markdown))
    write_json(chosen.json, "follow", {"seconds": seconds, "events": n, "stride_ms": stride_ms, "window_ms": measured})


if __name__ == "__main__":
    main()
