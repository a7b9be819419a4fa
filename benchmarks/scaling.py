"""What training costs as data grow: with the number of samples, and with the number of spikes.

Run: python benchmarks/scaling.py [--json FILE] [--markdown] [--quick]

A conv2 (4x90x120 in, 36 maps, 5x5, T = 10) learns by the demo's rule from a cache of spikes on disk, block by block, as the stage
does: random spikes at 0.3 %, which is what the demo's conv2 sees. Blocks are of BLOCK_SPIKES spikes here, smaller than the
stage's, so that also the smallest cache has several. Expected: seconds per sample and peak memory stay the same however many
samples there are.

Then samples in memory at several densities, on the untrained network with thresholds out of reach, so that all that is measured
is what spikes cost: expected is a straight line, seconds = fixed + per spike * spikes. And as it learns, where dense samples cost
less than the line says, because they end with the last winner.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import interleaved, nothing, options, peak_memory, rates, spread, summary, table, write_json
from training import QUICK_INPUT, WARM_UP, Side, fresh, warmed_up
from workloads import CONV2_INPUT, demo_rule, percent, random_lists

from spikeseg.data.store.spikes import Spikes, SpikeWriter
from spikeseg.learning import blocks as stage_blocks
from spikeseg.ops import backend

SIZES = (1_000, 10_000, 100_000)
DENSITY = 0.003
DISTINCT = 1_000
"""Samples drawn: a hundred thousand would take minutes, and cost no more to learn."""
BLOCK_SPIKES = 2**18
"""About 200 samples."""
DENSITIES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
UNREACHED = 4000.0
"""A threshold that no potential reaches."""
SAMPLES = 40


# -- samples ----------------------------------------------------------------------------------------


def write(path: Path, samples: int, shape: tuple[int, int, int, int]) -> None:
    """A cache of random spikes; beyond DISTINCT samples they come again."""
    drawn = random_lists(DENSITY, min(samples, DISTINCT), shape)
    with SpikeWriter(path) as writer:
        for first in range(0, samples, DISTINCT):
            writer.add(drawn.part(0, min(DISTINCT, samples - first)))


def learn(path: Path) -> int:
    """One epoch over a cache, as the stage goes through it; -> samples."""
    rule, cache = demo_rule(), Spikes.open(path)
    found = stage_blocks.Blocks(cache)
    found.ranges = cache.blocks(BLOCK_SPIKES)
    training, done = None, 0
    for block, order in found.epoch((0,)):
        for lists, indices in block.stretches(order, rule.batch_size):
            if training is None:
                training = backend("cpu").Training(fresh(rule, lists.shape[1]), rule)
            done += training.run(lists, indices)
    return done


def by_samples(folder: Path, sizes: Sequence[int], shape: tuple[int, int, int, int], repetitions: int) -> list[dict[str, Any]]:
    """Cost per sample and peak memory, by size of the cache."""
    paths = {samples: folder / f"{samples}.zarr" for samples in sizes}
    for samples, path in paths.items():
        write(path, samples, shape)
    learn(paths[sizes[0]])
    seconds = interleaved({str(n): functools.partial(learn, path) for n, path in paths.items()}, repetitions, warm_up=0)
    return [
        {
            "samples": n,
            "blocks": len(Spikes.open(path).blocks(BLOCK_SPIKES)),
            "bytes_on_disk": sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
            "seconds": seconds[str(n)],
            "samples_per_s": rates(n, seconds[str(n)]),
            "us_per_sample": summary([1e6 * taken / n for taken in seconds[str(n)]]),
            "peak_bytes": peak_memory(functools.partial(learn, path)),
        }
        for n, path in paths.items()
    ]


# -- spikes -----------------------------------------------------------------------------------------


def by_spikes(densities: Sequence[float], shape: tuple[int, int, int, int], samples: int, repetitions: int) -> dict[str, Any]:
    """Cost per sample by density, without winners and while learning; with the line through the points of the former."""
    rule = demo_rule()
    silent = rule._replace(base=UNREACHED)
    lists = {density: random_lists(density, samples, shape) for density in densities}
    sides: dict[str, Side] = {}
    for density, input in lists.items():
        sides[f"silent {density}"] = Side("cpu", fresh(silent, shape[1]), silent, input, samples)
        start = warmed_up(rule, input, WARM_UP if samples >= SAMPLES else samples)
        sides[f"learning {density}"] = Side("cpu", start, rule, input, samples)
    seconds = interleaved(sides, repetitions)
    found: dict[str, Any] = {}
    for kind in ("silent", "learning"):
        rows: list[dict[str, Any]] = []
        for density, input in lists.items():
            side = sides[f"{kind} {density}"]
            side()
            rows.append(
                {
                    "density": density,
                    "spikes_per_sample": len(input.sites) / samples,
                    "winners_per_sample": int(side.state.wins.sum() - side.start.wins.sum()) / samples,
                    "us_per_sample": summary([1e6 * taken / samples for taken in seconds[f"{kind} {density}"]]),
                }
            )
        found[kind] = {"rows": rows}
    rows = found["silent"]["rows"]
    found["silent"] |= line([row["spikes_per_sample"] for row in rows], [row["us_per_sample"] for row in rows])
    return found


def line(spikes: Sequence[float], times: Sequence[dict[str, float]]) -> dict[str, float]:
    """The line through the medians, by relative errors: ``fixed_us``, ``ns_per_spike``, ``largest_error`` (a share)."""
    x, y = np.array(spikes), np.array([time["median"] for time in times])
    (fixed, slope), *_ = np.linalg.lstsq(np.stack([1 / y, x / y], 1), np.ones_like(y), rcond=None)
    error = np.abs((fixed + slope * x) / y - 1).max()
    return {"fixed_us": float(fixed), "ns_per_spike": 1e3 * float(slope), "largest_error": float(error)}


# -- both -------------------------------------------------------------------------------------------


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    parser = options("What training costs as samples and spikes grow.", markdown=True)
    parser.add_argument("--repetitions", type=int, default=3, metavar="N", help="times that everything is measured [3]")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    repetitions = 1 if chosen.quick else chosen.repetitions
    sizes, shape = ((20, 60), QUICK_INPUT) if chosen.quick else (SIZES, CONV2_INPUT)
    show = functools.partial(table, markdown=chosen.markdown)
    with tempfile.TemporaryDirectory() as folder:
        samples = by_samples(Path(folder), sizes, shape, repetitions)
    start = peak_memory(nothing)
    print(f"training from a cache on disk, {percent(DENSITY)}: median (min..max) of {repetitions}")
    print(
        show(
            ["samples", "blocks", "MiB on disk", "samples/s", "us per sample", "peak MiB"],
            [
                [
                    *(one["samples"], one["blocks"], one["bytes_on_disk"] / 2**20),
                    *(spread(one["samples_per_s"]), spread(one["us_per_sample"]), one["peak_bytes"] / 2**20),
                ]
                for one in samples
            ],
        )
    )
    print(f"(of the peak, {start / 2**20:.0f} MiB are Python and its modules)")
    spikes = by_spikes(DENSITIES[::3] if chosen.quick else DENSITIES, shape, 4 if chosen.quick else SAMPLES, repetitions)
    titles = {"silent": "no neuron fires: what spikes cost", "learning": "while it learns; line: as above, without winners"}
    for kind, told in titles.items():
        fit = spikes["silent"]
        print(f"\n{told}, microseconds per sample")
        print(
            show(
                ["density", "spikes/sample", "winners/sample", "measured", "line"],
                [
                    [
                        *(percent(row["density"]), row["spikes_per_sample"], row["winners_per_sample"]),
                        *(spread(row["us_per_sample"]), fit["fixed_us"] + fit["ns_per_spike"] * row["spikes_per_sample"] / 1e3),
                    ]
                    for row in spikes[kind]["rows"]
                ],
            )
        )
    print(f"line: {fit['fixed_us']:.3g} us + {fit['ns_per_spike']:.3g} ns per spike, off by {fit['largest_error']:.0%} at most")
    write_json(chosen.json, "scaling", {"repetitions": repetitions, "samples": samples, "spikes": spikes, "start_bytes": start})


if __name__ == "__main__":
    main()
