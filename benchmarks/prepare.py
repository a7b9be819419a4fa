"""How fast events become frames, beside tonic's ToFrame, and how fast the whole stage `prepare` is.

Run: python benchmarks/prepare.py [--json FILE] [--quick]

Framing: the same events, uniform over the sensor, become the same frames on each side, in steps of 10 ms. That they are equal,
frame for frame, is checked first, and the benchmark fails where they are not. Density: events per pixel, polarity and step.
tonic has no binary frames: its counts are timed beside ours of either kind, and what it would take to make them binary is not.
`ours` goes through the windows part by part in the same memory, as the stage does; `ours, whole` makes all of them at once, as
tonic does, and then the new memory costs more than the events.

Stage: simulated recordings of both sensors are read from HDF5, checked, transformed, framed, compressed and written.
"""

from __future__ import annotations

import functools
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import tonic.transforms
from measure import interleaved, nothing, number, options, peak_memory, rates, ratios, spread, summary, table, write_json

from spikeseg.config.load import load_config
from spikeseg.config.sections import Config
from spikeseg.data.datasets import ebssa
from spikeseg.data.frames import background
from spikeseg.data.frames import framing as frames
from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.data.store import frames as store
from spikeseg.data.store import plan as store_plan
from spikeseg.data.store import staging
from spikeseg.pipelines.runtime import stage as run
from spikeseg.pipelines.runtime.console import LOGGER
from spikeseg.pipelines.stages import prepare, simulate

SENSORS = {"180x240": (240, 180), "240x304": (304, 240)}
"""(width, height) by the size of the frames."""
DENSITIES = (0.001, 0.01, 0.05)
STEPS, STEP_US = 10, 10_000
KINDS = {"binary": True, "counts": False}

STAGE_KINDS: dict[str, dict[str, Any]] = {
    "binary, 10 steps of 10 ms": {"data.normalize": True, "data.timestep_ms": 10.0, "data.window_overlap": 0.0},
    "counts, 10 steps of 100 ms, half overlapping": {},
}
"""By what is made: how it differs from the demo's configuration."""


# -- framing ---------------------------------------------------------------------------------------


def random_events(count: int, sensor_size: tuple[int, int], density: float) -> np.ndarray:
    """Events that are uniform in time, space and polarity."""
    width, height = sensor_size
    rng = np.random.default_rng(0)
    events = np.zeros(count, EVENT_DTYPE)
    steps = max(1, round(count / (density * 2 * width * height)))
    events["t"] = np.sort(rng.integers(0, steps * STEP_US, count))
    events["x"], events["y"] = rng.integers(0, width, count), rng.integers(0, height, count)
    events["p"] = rng.integers(0, 2, count)
    return events


def ours(events: np.ndarray, sensor_size: tuple[int, int], normalize: bool) -> Iterator[np.ndarray]:
    """Our frames, part by part: (n, 2, H, W)."""
    spec = frames.FrameSpec(STEPS, STEP_US, normalize=normalize)
    for part in frames.filled(events, sensor_size, spec, frames.starts(events, spec)):
        yield part.reshape(-1, *part.shape[2:])


def ours_whole(events: np.ndarray, sensor_size: tuple[int, int], normalize: bool) -> np.ndarray:
    """Our windows (N, T, 2, H, W), all at once."""
    return frames.frame(events, sensor_size, frames.FrameSpec(STEPS, STEP_US, normalize=normalize)).frames


def theirs(events: np.ndarray, sensor_size: tuple[int, int]) -> np.ndarray:
    """tonic's frames (n, 2, H, W), all at once."""
    to_frame = tonic.transforms.ToFrame((*sensor_size, 2), time_window=STEP_US, include_incomplete=True)
    made: np.ndarray = to_frame(events)
    return made


def check_equal(events: np.ndarray, sensor_size: tuple[int, int]) -> int:
    """Compare every frame of both sides, counts and binary. Returns how many; exits with a message where two differ."""
    expected = theirs(events, sensor_size)
    for kind, normalize in KINDS.items():
        at = 0
        for part in ours(events, sensor_size, normalize):
            wanted = expected[at : at + len(part)]
            wanted = wanted > 0 if normalize else wanted
            if not np.array_equal(part[: len(wanted)], wanted) or part[len(wanted) :].any():  # the last window is filled up
                sys.exit(f"{kind} frames {at} to {at + len(part) - 1} differ from tonic's")
            at += len(part)
        whole = ours_whole(events, sensor_size, normalize)
        whole = whole.reshape(-1, *whole.shape[2:])
        if at < len(expected) or not np.array_equal(whole[: len(expected)], expected > 0 if normalize else expected):
            sys.exit(f"{kind} frames made at once differ from tonic's, or are fewer: {at} of {len(expected)}")
    return len(expected)


def drain(parts: Iterator[np.ndarray]) -> None:
    """Go through all parts."""
    for _ in parts:
        pass


def framing(size: str, density: float, count: int, repetitions: int, memory: bool) -> list[dict[str, Any]]:
    """One result per kind of frames, each with the seconds of every side; peak memory on request."""
    sensor_size = SENSORS[size]
    events = random_events(count, sensor_size, density)
    compared = check_equal(events, sensor_size)
    sides: dict[str, Callable[[], Any]] = {"tonic": lambda: theirs(events, sensor_size)}
    for kind, normalize in KINDS.items():
        sides[f"ours {kind}"] = functools.partial(_drained, events, sensor_size, normalize)
        sides[f"ours, whole {kind}"] = functools.partial(ours_whole, events, sensor_size, normalize)
    times = interleaved(sides, repetitions)
    results = []
    for kind in KINDS:
        seconds = {"ours": times[f"ours {kind}"], "ours, whole": times[f"ours, whole {kind}"], "tonic": times["tonic"]}
        results.append(
            {
                "size": size, "density": density, "kind": kind, "events": count, "frames_compared": compared, "equal": True,
                "seconds": seconds,
                "events_per_s": {side: rates(count, taken) for side, taken in seconds.items()},
                "times_tonic": {side: ratios(seconds["tonic"], seconds[side]) for side in ("ours", "ours, whole")},
                "peak_bytes": _peaks(count, size, density, KINDS[kind]) if memory else None,
            }
        )  # fmt: skip
    return results


def _drained(events: np.ndarray, sensor_size: tuple[int, int], normalize: bool) -> None:
    drain(ours(events, sensor_size, normalize))


def frame_once(side: str, count: int, size: str, density: float, normalize: bool) -> None:
    """One side alone, for its memory; "events": none."""
    events, sensor_size = random_events(count, SENSORS[size], density), SENSORS[size]
    _drained(events[:1], sensor_size, normalize)  # the compiled code, which every side holds, as it holds the events
    made = {"ours": _drained, "ours, whole": ours_whole}.get(side)
    if made is not None:
        made(events, sensor_size, normalize)
    elif side == "tonic":
        theirs(events, sensor_size)


def _peaks(count: int, size: str, density: float, normalize: bool) -> dict[str, int]:
    """Peak memory of each side above that of making the events, bytes; 0 where it stays below that."""
    sides = ("events", "ours", "ours, whole", "tonic")
    peaks = {side: peak_memory(functools.partial(frame_once, side, count, size, density, normalize)) for side in sides}
    return {side: max(0, peaks[side] - peaks["events"]) for side in sides[1:]}


# -- the stage -------------------------------------------------------------------------------------


class Clock:
    """Seconds spent in each part, what is called inside it not counted: ``seconds``."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stack: list[str] = []
        self._since = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """While the block runs, time counts for this part."""
        self._turn()
        self._stack.append(name)
        try:
            yield
        finally:
            self._turn()
            self._stack.pop()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time (and that of the generator it returns) counted for this part."""

        def run(*args: Any, **options: Any) -> Any:
            with self.part(name):
                result = function(*args, **options)
            return self._steps(name, result) if isinstance(result, Iterator) else result

        return run

    def _steps(self, name: str, items: Iterator[Any]) -> Iterator[Any]:
        while True:
            with self.part(name):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    def _turn(self) -> None:
        now = time.perf_counter()
        if self._stack:
            self.seconds[self._stack[-1]] = self.seconds.get(self._stack[-1], 0.0) + now - self._since
        self._since = now


PARTS: tuple[tuple[str, Any, str], ...] = (
    ("read", ebssa, "read_raw"), ("read", ebssa, "read_truth"), ("check", ebssa, "checked"),
    ("transform", staging, "transformed"), ("lay down", staging, "stage"),
    ("frame", staging, "cut_frames"), ("lists for the background", staging, "cut_lists"),
    ("background", background.Background, "update_listed"), ("compress and write", store_plan.FilePlan, "write"),
    ("flush to the disk", run, "fsync_tree"), ("hash", run, "list_outputs"),
)  # fmt: skip
"""What is timed: name of the part, where its function is, and the function."""


def configuration(cache: str, kind: str, quick: bool) -> Config:
    """The demo's, on recordings of both sensors, in one process."""
    recordings, seconds = (2, 1.0) if quick else (8, 20.0)
    overrides = {
        "cache_dir": cache, "device": "cpu", "data.num_workers": 0, "simulate.sensor": "both",
        "simulate.recordings": recordings, "simulate.duration_s": seconds,
    }  # fmt: skip
    return load_config("demo", overrides | STAGE_KINDS[kind])


def prepare_once(cache: str, kind: str, quick: bool) -> dict[str, float]:
    """Run the stage on recordings that are there, its frames are not; the seconds of each part."""
    clock, cfg = Clock(), configuration(cache, kind, quick)
    LOGGER.setLevel("WARNING")
    shutil.rmtree(Path(cache) / "frames", ignore_errors=True)
    with ExitStack() as patches:
        for name, module, function in PARTS:
            patches.enter_context(mock.patch.object(module, function, clock.timed(name, getattr(module, function))))
        with clock.part("all else"):
            prepare.prepare(cfg)
    return clock.seconds


def stage(cache: str, repetitions: int, quick: bool) -> list[dict[str, Any]]:
    """The stage on simulated recordings, for each kind of frames."""
    LOGGER.setLevel("WARNING")
    for kind in STAGE_KINDS:
        simulate.into_cache(configuration(cache, kind, quick))
    parts: dict[str, list[dict[str, float]]] = {kind: [] for kind in STAGE_KINDS}

    def once(kind: str) -> None:
        parts[kind].append(prepare_once(cache, kind, quick))

    interleaved({kind: functools.partial(once, kind) for kind in STAGE_KINDS}, repetitions)
    results = []
    for kind, runs in parts.items():
        measured = runs[-repetitions:]  # those before were the warm-up
        seconds = [sum(run.values()) for run in measured]
        medians = {part: summary([run[part] for run in measured])["median"] for part in measured[0]}
        done = prepare.prepare(configuration(cache, kind, quick))
        made = store.Frames.open(done.path / prepare.STORE)
        events = sum(info.events[1] - info.events[0] for info in made.recordings)
        results.append(
            {
                "kind": kind, "recordings": len(made.recordings), "events": events, "windows": len(made.samples()),
                "seconds": seconds, "events_per_s": rates(events, seconds),
                "shares": {part: taken / sum(medians.values()) for part, taken in medians.items()},
                "peak_bytes": peak_memory(functools.partial(prepare_once, cache, kind, quick)),
            }
        )  # fmt: skip
    return results


# -- both ------------------------------------------------------------------------------------------


def _millions(rate: dict[str, float]) -> str:
    return spread({name: value / 1e6 for name, value in rate.items()})


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    parser = options("Framing beside tonic's ToFrame, and the whole prepare stage.")
    parser.add_argument("--repetitions", type=int, default=7, metavar="N", help="times that each side is measured [7]")
    chosen = parser.parse_args()
    repetitions = 1 if chosen.quick else chosen.repetitions
    count = 20_000 if chosen.quick else 1_000_000
    cases = [(size, density) for size in SENSORS for density in (DENSITIES[1:2] if chosen.quick else DENSITIES)]
    framed = [result for case in cases for result in framing(*case, count, repetitions, memory=not chosen.quick)]
    print(f"framing of {number(count)} events, million events/s: median (min..max) of {repetitions}; all frames equal to tonic's")
    print(
        table(
            ["size", "density", "kind", "ours", "ours, whole", "tonic", "ours / tonic", "whole / tonic"],
            [
                [result["size"], f"{result['density']:.1%}", result["kind"]]
                + [_millions(result["events_per_s"][side]) for side in ("ours", "ours, whole", "tonic")]
                + [spread(result["times_tonic"][side]) for side in ("ours", "ours, whole")]
                for result in framed
            ],
        )
    )
    if not chosen.quick:
        print("\nmemory that framing takes at its peak, beside the events, MiB")
        print(
            table(
                ["size", "density", "kind", "ours", "ours, whole", "tonic"],
                [
                    [
                        result["size"],
                        f"{result['density']:.1%}",
                        result["kind"],
                        *(peak / 2**20 for peak in result["peak_bytes"].values()),
                    ]
                    for result in framed
                ],
            )
        )
    with tempfile.TemporaryDirectory() as cache:
        staged = stage(cache, repetitions, chosen.quick)
        start = peak_memory(nothing)
    print("\nthe whole stage: read, check, transform, frame, compress; one process")
    print(
        table(
            ["frames", "recordings", "events", "windows", "events/s", "peak MiB"],
            [
                [
                    *(result[name] for name in ("kind", "recordings", "events", "windows")),
                    spread(result["events_per_s"]),
                    result["peak_bytes"] / 2**20,
                ]
                for result in staged
            ],
        )
    )
    print(f"(of the peak, {number(start / 2**20)} MiB are Python and its modules)")
    names = sorted({part for result in staged for part in result["shares"]}, key=lambda part: -staged[0]["shares"].get(part, 0.0))
    print("\nwhere its time goes")
    print(
        table(
            ["part", *(result["kind"] for result in staged)],
            [[part, *(f"{result['shares'].get(part, 0.0):.0%}" for result in staged)] for part in names],
        )
    )
    write_json(chosen.json, "prepare", {"repetitions": repetitions, "framing": framed, "stage": staged, "start_bytes": start})


if __name__ == "__main__":
    main()
