"""How many events a second `detect` takes on one core: whole objects of scenes, and the same recordings tracked as points.

Run: python benchmarks/throughput.py [FILE ...] [-c CONFIG] [--checkpoint FILE] [--repetitions N] [--json FILE] [--markdown]
     [--quick]

Without files, simulated scenes of a few conditions. Counted is all that `detect` does with a recording that is in memory, from
its frames to the three files written, beside it the reading of the file; not the start of the program, the loading of the network
and the compilation at first use. Without a checkpoint the network is the untrained one that `detect -c files` takes. "By CPU
time" is what one process would reach that has a core to itself: beside other processes, only that tells.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from measure import options, rates, spread, summary, table, write_json
from prepare import Clock

from spikeseg.config.load import load_config
from spikeseg.config.sections import Config
from spikeseg.data.readers import read
from spikeseg.data.recording import Recording
from spikeseg.detection import detect as detection
from spikeseg.detection import files, tracked
from spikeseg.detection.network import load_network
from spikeseg.detection.readout import Readout, readout_of
from spikeseg.learning import checkpoint
from spikeseg.models import SpikeSEG
from spikeseg.scenes import scene as scenes
from spikeseg.simulation.scenes import CONDITIONS, condition, scene_recording

SIMULATED = ("crossing", "flicker", "large")
"""Conditions of scenes that are simulated where no files are given."""
SEED = 1000
MODES: dict[str, dict[str, Any]] = {"scenes": {"tracking.scenes": True}, "points": {"tracking.scenes": False}}
"""What is measured: name, and the changes to the configuration."""

PARTS: tuple[tuple[str, Any, str], ...] = (
    ("filter", detection, "windowed"), ("camera and lamps", scenes, "camera_motion"),
    ("camera and lamps", scenes, "background_events"), ("pace", scenes, "pace"), ("tracks", scenes, "_tracked"),
    ("groups", scenes, "groups"), ("objects and boxes", tracked, "scene_of"), ("encode and trace", detection, "decoded"),
    ("scores of events", detection, "answer"), ("write", files, "_write_events"),
)  # fmt: skip
"""What is timed of scenes: name of the part, where its function is, and the function."""


def simulated(quick: bool) -> Iterator[Recording]:
    """Recordings where no files are given."""
    for name in SIMULATED[:1] if quick else SIMULATED:
        recording = scene_recording(condition(name, seed=SEED), list(CONDITIONS).index(name))
        yield Recording(recording.events[: 5_000 if quick else None], recording.sensor_size, None, name, recording.source)


def once(model: SpikeSEG, recording: Recording, cfg: Config, readout: Readout, folder: Path) -> tuple[float, float]:
    """Seconds in all, and seconds of CPU time of this process."""
    began, used = time.perf_counter(), time.process_time()
    detections = detection.detect_recording(model, recording, cfg, readout)
    detections.save(folder)
    return time.perf_counter() - began, time.process_time() - used


def parts_of(model: SpikeSEG, recording: Recording, cfg: Config, readout: Readout, folder: Path) -> dict[str, float]:
    """Seconds of each part of one run."""
    clock = Clock()
    with ExitStack() as patches:
        for name, where, function in PARTS:
            patches.enter_context(mock.patch.object(where, function, clock.timed(name, getattr(where, function))))
        with clock.part("all else"):
            once(model, recording, cfg, readout, folder)
    return clock.seconds


def network(cfg: Config, path: Path | None, folder: Path) -> tuple[SpikeSEG, Readout]:
    """The network of a checkpoint, or an untrained one, and how it is read."""
    chosen = path or folder / "untrained.pt"
    if path is None:
        with open(chosen, "wb") as file:
            checkpoint.save(file, checkpoint.build(cfg), cfg)
    return load_network(cfg, str(chosen), torch.device("cpu")), readout_of(cfg, chosen)


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    parser = options("Events a second of detect.", markdown=True)
    parser.add_argument("files", nargs="*", metavar="FILE", help="recordings, of any format that detect reads [simulated scenes]")
    parser.add_argument("-c", "--config", default="files", metavar="CONFIG", help="configuration [files]")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="a network of its shape [untrained]")
    parser.add_argument("--repetitions", type=int, default=7, metavar="N", help="times that each is run [7]")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    repetitions = 1 if chosen.quick else chosen.repetitions
    measured: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        for given in chosen.files or simulated(chosen.quick):
            recording = read(given) if isinstance(given, str) else given
            n, seconds = len(recording.events), float(recording.events["t"][-1] - recording.events["t"][0]) * 1e-6
            own: dict[str, Any] = {"events": n, "seconds": seconds, "sensor_size": list(recording.sensor_size)}
            if isinstance(given, str):
                own["read"] = rates(n, [_read_once(given) for _ in range(repetitions)])
            for mode, changes in MODES.items():
                cfg = load_config(chosen.config, {"device": "cpu", "logging.log_level": "WARNING", **changes})
                run = (*network(cfg, chosen.checkpoint, Path(home)), Path(home))
                model, readout, folder = run
                once(model, recording, cfg, readout, folder)  # compiles
                taken = [once(model, recording, cfg, readout, folder) for _ in range(repetitions)]
                own[mode] = {"wall": rates(n, [wall for wall, _ in taken]), "cpu": rates(n, [cpu for _, cpu in taken])}
                if mode == "scenes":
                    of_parts = [parts_of(model, recording, cfg, readout, folder) for _ in range(repetitions)]
                    own["parts_s"] = {name: summary([part[name] for part in of_parts]) for name in of_parts[0]}
            measured[recording.name] = own
    rows = []
    for name, own in measured.items():
        figures = [own.get("read"), *(own[mode]["cpu"] for mode in MODES)]
        cells = [spread({k: v / 1e6 for k, v in found.items()}) if found else "" for found in figures]
        rows.append([name, own["events"], own["seconds"], own["events"] / max(own["seconds"], 1e-6) / 1e6, *cells])
    print(f"million events a second by CPU time, median (min..max) of {repetitions}; one thread\n")
    print(table(["recording", "events", "s", "of the camera", "read", *MODES], rows, markdown=chosen.markdown))
    print("\nms of each part of scenes, median\n")
    names = list(next(iter(measured.values()))["parts_s"])
    parts = [[name, *(1e3 * own["parts_s"].get(name, {"median": 0.0})["median"] for own in measured.values())] for name in names]
    print(table(["part", *measured], parts, markdown=chosen.markdown))
    write_json(chosen.json, "throughput", {"checkpoint": str(chosen.checkpoint or "untrained"), "recordings": measured})


def _read_once(path: str) -> float:
    began = time.process_time()
    read(path)
    return time.process_time() - began


if __name__ == "__main__":
    main()
