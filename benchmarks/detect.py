"""How fast `detect` is on a night: 60 s of a DAVIS at about 20,000 events/s, on one core.

Run: python benchmarks/detect.py [--json FILE] [--markdown] [--quick] [--checkpoint FILE]

A simulated night of medium difficulty whose background activity is raised to that rate, and the demo's network, trained here on a
few simulated nights unless a checkpoint is named. Counted is all that `detect` does for a recording, from reading the file
(.npz) to the three files written; not the start of the program, the loading of the network and the compilation at first use.
"By CPU time" is what one process would reach that has a core to itself: beside other processes, only that tells.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from measure import options, spread, summary, table, write_json
from prepare import Clock

from spikeseg.config.load import load_config
from spikeseg.config.sections import Config
from spikeseg.data import readers
from spikeseg.detection import detect as detection
from spikeseg.detection import files, moving, network, tracked
from spikeseg.detection.readout import readout_of
from spikeseg.pipelines.stages import runs
from spikeseg.pipelines.stages.train import train
from spikeseg.simulation.noise import background_events, hot_events, refractory
from spikeseg.simulation.pixels import Sensor, source_events
from spikeseg.simulation.recordings import SimulationConfig, simulate_scene

RATE = 20_000
"""Events per second."""
SEED = 101


def night(path: Path, seconds: float) -> int:
    """Write the recording; -> how many events."""
    scene = simulate_scene(SimulationConfig(recordings=1, duration_s=seconds, sensor="DAVIS", seed=SEED), 0)
    rng, sensor = np.random.default_rng(SEED), Sensor()
    sources = source_events(scene, sensor, rng)
    pixels = scene.sensor_size[0] * scene.sensor_size[1]
    scene = dataclasses.replace(scene, noise_hz=max(0.0, RATE - len(sources) / seconds) / pixels)
    events = np.concatenate([sources, background_events(scene, sensor, rng), hot_events(scene, sensor, rng)])
    events = events[np.argsort(events["t"], kind="stable")]
    events = events[refractory(events, sensor.refractory_us)]
    np.savez(path, **{name: events[name] for name in "txyp"})
    return len(events)


def trained(folder: Path, quick: bool) -> Path:
    """A checkpoint of the demo's network after learning from a few nights."""
    changes = {
        "simulate.recordings": 2 if quick else 6,
        "simulate.duration_s": 2.0 if quick else 8.0,
        "max_epochs": 1 if quick else 20,
        "device": "cpu",
        "data.test_ratio": 0.0,
        "cache_dir": str(folder / "cache"),
        "output_dir": str(folder / "runs"),
    }
    cfg = load_config("demo", changes)
    train(cfg)
    return runs.network_of(cfg).checkpoint


MODES: dict[str, dict[str, Any]] = {
    "default": {},
    "deep": {"tracking.deep": True},
    "no motion layer": {"model.motion": False},
}
"""What is measured: name, and the changes to the demo's configuration."""

PARTS: tuple[tuple[str, Any, str], ...] = (
    ("read and check", readers, "read"), ("filter", detection, "windowed"),
    ("encode and trace", detection, "decoded"), ("blobs", tracked, "slices_of"), ("tracks", tracked, "track"),
    ("motion layer", moving, "find_paths"), ("paths and tracks", moving, "merge"),
    ("scores of events", tracked, "event_scores"), ("write", files, "_write_events"),
)  # fmt: skip
"""What is timed: name of the part, where its function is, and the function."""


def once(cfg: Config, checkpoint: Path, recording: Path, out: Path) -> tuple[float, float, dict[str, float]]:
    """Seconds in all, seconds of CPU time of this process in all, and seconds of each part."""
    out.mkdir(exist_ok=True)
    clock = Clock()
    model = network.load_network(cfg, str(checkpoint), torch.device("cpu"))
    with ExitStack() as patches:
        for name, where, function in PARTS:
            patches.enter_context(mock.patch.object(where, function, clock.timed(name, getattr(where, function))))
        start, used = time.perf_counter(), time.process_time()
        with clock.part("all else"):
            found = detection.detect_recording(model, readers.read(recording), cfg, readout_of(cfg, checkpoint))
            found.save(out)
        return time.perf_counter() - start, time.process_time() - used, clock.seconds


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    parser = options("Speed of detect on a night of 60 s.", markdown=True)
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="a network of the demo's shape [trained here]")
    parser.add_argument("--repetitions", type=int, default=5, metavar="N", help="times that it is run [5]")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    seconds = 3.0 if chosen.quick else 60.0
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        n = night(folder / "night.npz", seconds)
        checkpoint = chosen.checkpoint or trained(folder, chosen.quick)
        measured = {}
        for mode, changes in MODES.items():
            cfg = load_config("demo", {"device": "cpu", **changes})
            run = functools.partial(once, cfg, checkpoint, folder / "night.npz", folder / "out")
            run()  # compiles
            taken = [run() for _ in range(1 if chosen.quick else chosen.repetitions)]
            detected = json.loads((folder / "out" / "detections.json").read_text())["recordings"][0]
            factor, by_cpu = (summary([seconds / own[k] for own in taken]) for k in (0, 1))
            print(
                f"{mode}: {seconds:g} s, {n / seconds:,.0f} events/s, {len(detected['windows'])} windows, "
                f"{detected['tracks']} tracks; one thread"
            )
            print(f"times real time: median (min..max) of {len(taken)}: {spread(factor)}; by CPU time {spread(by_cpu)}\n")
            parts = {name: summary([own[2][name] for own in taken]) for name in taken[0][2]}
            slowest = sorted(parts, key=lambda name: -parts[name]["median"])
            rows = [[name, spread({k: 1e3 * v for k, v in parts[name].items()})] for name in slowest]
            print(table(["part", "ms"], rows, markdown=chosen.markdown) + "\n")
            measured[mode] = {"times_real_time": factor, "times_real_time_by_cpu": by_cpu, "parts_s": parts}
    write_json(chosen.json, "detect", {"seconds": seconds, "events": n, "modes": measured})


if __name__ == "__main__":
    main()
