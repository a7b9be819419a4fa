"""What a second process brings `prepare`, beside two independent ones; and the memory of one very long recording.

Run: python benchmarks/jobs.py [--json FILE] [--markdown] [--quick] [--gigabytes X]

Simulated nights of both sensors as .npz, prepared by the command line as a user runs it, start of the program included: with
`--jobs 1`, with `--jobs 2`, and by two processes at once, each with half of the nights. Then the first two and a Dask cluster of
two workers on this machine are compared, file by file: the caches must be the same bytes.

The long recording is one of these nights again and again, in one .npy, until it holds so many gigabytes of events, of 13 bytes
each.
"""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import interleaved, options, ratios, spread, summary, table, write_json

from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.simulation.recordings import SimulationConfig, simulate_recording

COMMAND = [sys.executable, "-c", "from spikeseg.pipelines.cli import main; main()", "prepare", "--dataset", "files", "--force"]


def nights(folder: Path, count: int, seconds: float) -> list[Path]:
    """Write recordings, half of them below each of two folders."""
    config = SimulationConfig(recordings=count, duration_s=seconds, sensor="both", seed=7)
    paths = []
    for k in range(count):
        path = folder / "nights" / ("a", "b")[k // 2 % 2] / f"night{k:02d}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        events = simulate_recording(config, k).events
        np.savez(path, **{name: events[name] for name in "txyp"})
        paths.append(path)
    return paths


def long_night(path: Path, night: Path, gigabytes: float) -> int:
    """Write the long recording; -> how many events."""
    with np.load(night) as columns:
        events = np.empty(len(columns["t"]), EVENT_DTYPE)
        for name in "txyp":
            events[name] = columns[name]
    times = max(1, round(gigabytes * 1e9 / events.nbytes))
    span = int(events["t"][-1]) + 1
    array = np.lib.format.open_memmap(path, "w+", EVENT_DTYPE, (times * len(events),))
    for k in range(times):
        array[k * len(events) : (k + 1) * len(events)] = events
        array["t"][k * len(events) : (k + 1) * len(events)] += k * span
    array.flush()
    return len(array)


def prepared(root: Path, cache: Path, *more: str) -> subprocess.Popen[bytes]:
    """Start preparing."""
    words = [*COMMAND, "--data-root", str(root), "-o", str(cache), "--log-level", "ERROR", *more]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL)


def finished(*running: subprocess.Popen[bytes]) -> None:
    """Wait; exits where one failed."""
    if any(process.wait() for process in running):
        sys.exit("prepare failed")


def frames_of(cache: Path) -> dict[str, bytes]:
    """Every file of the one cache of frames but its manifest, which tells the time."""
    (folder,) = (path for path in (cache / "frames").iterdir() if path.is_dir())
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json"}


@contextlib.contextmanager
def cluster() -> Any:
    """Address of a Dask scheduler with two workers."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as local:
        yield local.scheduler_address


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    parser = options("What a second process brings prepare, and its memory.", markdown=True)
    parser.add_argument("--repetitions", type=int, default=3, metavar="N", help="times that each is measured [3]")
    parser.add_argument("--gigabytes", type=float, default=1.0, metavar="X", help="events of the long recording [1]")
    chosen = parser.parse_args()
    count, seconds = (4, 1.0) if chosen.quick else (150, 20.0)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        paths = nights(folder, count, seconds)
        root, half = folder / "nights", (folder / "nights" / "a", folder / "nights" / "b")

        def run(jobs: int) -> None:
            finished(prepared(root, folder / f"jobs{jobs}", "--jobs", str(jobs)))

        def independent() -> None:
            finished(*(prepared(part, folder / part.name) for part in half))

        sides: dict[str, Callable[[], Any]] = {
            "--jobs 1": functools.partial(run, 1), "--jobs 2": functools.partial(run, 2), "two processes": independent,
        }  # fmt: skip
        taken = interleaved(sides, 1 if chosen.quick else chosen.repetitions, warm_up=0)
        gains = {name: ratios(taken["--jobs 1"], taken[name]) for name in ("--jobs 2", "two processes")}
        share = gains["--jobs 2"]["median"] / gains["two processes"]["median"]
        events = sum(len(np.load(path)["t"]) for path in paths)
        print(f"prepare of {count} nights, {events:,} events, s: median (min..max)")
        rows = [[name, spread(summary(times)), spread(gains[name]) if name in gains else ""] for name, times in taken.items()]
        print(table(["", "s", "gain"], rows, markdown=chosen.markdown))
        print(f"--jobs 2 brings {share:.2f} of what two independent processes bring")
        with cluster() as address:
            finished(prepared(root, folder / "dask", "--dask", address))
        caches = {name: frames_of(folder / name) for name in ("jobs1", "jobs2", "dask")}
        if not caches["jobs1"] == caches["jobs2"] == caches["dask"]:
            sys.exit("the caches differ")
        print(f"--jobs 1, --jobs 2 and --dask with two workers: the same bytes in all {len(caches['jobs1'])} files")
        long = memory(folder, paths[0], 0.02 if chosen.quick else chosen.gigabytes)
    print(
        f"one recording of {long['events']:,} events ({long['bytes'] / 1e9:.2f} GB): {long['seconds']:.0f} s, "
        f"{long['events'] / long['seconds']:,.0f} events/s, peak memory {long['peak_bytes'] / 2**20:,.0f} MiB"
    )
    write_json(
        chosen.json, "jobs",
        {"nights": count, "events": events, "seconds": taken, "gains": gains, "share": share, "long": long},
    )  # fmt: skip


def memory(folder: Path, night: Path, gigabytes: float) -> dict[str, float]:
    """Prepare the long recording in a process of its own; its time and its peak memory."""
    path = folder / "long" / "long.npy"
    path.parent.mkdir()
    events = long_night(path, night, gigabytes)
    code = f"import resource, subprocess, sys; subprocess.run({_words(path.parent, folder / 'cache')!r}, check=True); " \
           "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"  # fmt: skip
    start = time.perf_counter()
    measured = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {
        "events": events, "bytes": events * EVENT_DTYPE.itemsize, "seconds": time.perf_counter() - start,
        "peak_bytes": int(measured.stdout.split()[-1]) * 1024,
    }  # fmt: skip


def _words(root: Path, cache: Path) -> Sequence[str]:
    return [*COMMAND, "--data-root", str(root), "-o", str(cache), "--log-level", "ERROR"]


if __name__ == "__main__":
    main()
