"""How fast the whole encoder is, beside Norse step by step; and what a second thread brings.

Run: python benchmarks/inference.py [--json FILE] [--markdown] [--quick]

The demo's network (conv1 7x7 with 4 maps, pool, conv2 5x5 with 36, pool, conv3 7x7 with 1; T = 10, 2x180x240) after training on
simulated nights, here in the run. Input, at three densities:

- `night`: windows of those nights, thinned event by event or laid over each other, conv1's thresholds adapted to the background;
- `random`: sites that spike independently, with thresholds under which each layer passes on the share of spikes that it does on
  the nights;
- the nights as they are.

Sides: `cpu` with one thread and two; `reference`; `norse`, one sample at a time, step by step, IAFCell with the leak as the
convolution's bias, the same spikes as ours; `norse, LIFBox`, LIFBoxCell as it comes, other dynamics; both with one thread and
two. The peer is the fastest of the Norse sides of one thread, or of all. `cuda` where there is a GPU.

What two threads bring is measured by itself: the encoder, in turns with bare arithmetic without memory, which shows what they can
bring on this machine. Each does the same work with one thread and with two, which takes two about a second.

Spikes of all sides but LIFBox must be equal, spike for spike, or the benchmark fails.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from measure import interleaved, nothing, options, peak_memory, rates, ratios, spread, table, write_json
from numba import njit
from peers import norse_box, norse_exact
from workloads import DEMO, DENSITIES, FRAMES, Night, as_lively, densities, night, percent, quick_night, random_frames

from spikeseg.config.load import load_config
from spikeseg.config.sections import ModelConfig
from spikeseg.core.sparse import SpikeLists
from spikeseg.models import SpikeSEG
from spikeseg.ops import backend
from spikeseg.ops.types import BlockThreshold, Layer, PooledSpikes

SAMPLES = 64
"""Of one measurement of ours; the dense sides see DENSE_SAMPLES of them."""
DENSE_SAMPLES = 2
MEMORY_SAMPLES = 16
GAIN_SECONDS = 2.2
"""About, of one thread, for what two bring."""
LOOP_TURNS = 10**7
"""Of which one thread's time is measured, to know how many take GAIN_SECONDS."""
LAYERS = tuple(spec.name for spec in ModelConfig().layers())
NORSE = {"norse": norse_exact, "norse, LIFBox": norse_box}


class Work:
    """What is encoded: frames (N, T, P, H, W), the layers, and thresholds of conv1 by position or None."""

    def __init__(self, name: str, frames: np.ndarray, layers: Sequence[Layer], threshold: BlockThreshold | None) -> None:
        self.name, self.frames, self.layers, self.threshold = name, frames, list(layers), threshold

    def part(self, count: int) -> tuple[np.ndarray, list[Layer], BlockThreshold | None]:
        """The first samples, as `encode` takes them."""
        threshold = self.threshold
        if threshold is not None:
            threshold = BlockThreshold(threshold.values[:count], threshold.block)
        return self.frames[:count], self.layers, threshold


def workloads(quick: bool) -> list[Work]:
    """Everything that is measured."""
    demo: Night = quick_night() if quick else night()
    count = 2 if quick else SAMPLES
    real = densities(demo.frames, demo.layers, demo.thresholds(demo.background))
    works = []
    for density in DENSITIES[-2:-1] if quick else DENSITIES:
        frames, background = demo.at_density(density, count)
        works.append(Work(f"night, {percent(density)}", frames, demo.layers, demo.thresholds(background)))
        frames = random_frames(density, count, demo.frames.shape[1:])
        works.append(Work(f"random, {percent(density)}", frames, as_lively(demo.layers, frames[:2], real), None))
    order = np.random.default_rng(0).permutation(len(demo.frames))[:count]
    works.append(Work("nights as they are", demo.frames[order], demo.layers, demo.thresholds(demo.background[order])))
    return works


def norse_side(name: str, work: Work, count: int, threads: int) -> Callable[[], list[list[torch.Tensor]]]:
    """Encodes sample after sample."""
    frames, layers, threshold = work.part(count)
    inputs = torch.from_numpy(frames.astype(np.float32))[:, :, None]  # (N, T, 1, P, H, W)
    nets = []
    for n in range(count):
        first = layers[0]
        if threshold is not None:
            values = BlockThreshold(threshold.values[n : n + 1], threshold.block).expand(frames.shape[-2:])[0]
            first = first._replace(threshold=values)
        nets.append(NORSE[name]([first, *layers[1:]]))

    def run() -> list[list[torch.Tensor]]:
        torch.set_num_threads(threads)
        return [net(sample) for net, sample in zip(nets, inputs, strict=True)]

    return run


def our_side(name: str, work: Work, count: int, threads: int) -> Callable[[], list[PooledSpikes]]:
    """Encodes a batch."""
    frames, layers, threshold = work.part(count)
    if name == "cuda":
        layers = [layer._replace(weight=layer.weight.cuda(), threshold=layer.threshold.cuda()) for layer in layers]
    encode = backend(name, layers[0].weight.device).encode

    def run() -> list[PooledSpikes]:
        torch.set_num_threads(1)
        outputs: list[PooledSpikes] = encode(frames, layers, threshold, threads=threads)
        return outputs

    return run


@njit(nogil=True)
def _turns(count: int, start: int) -> np.uint64:
    """Shifts that no compiler can take together."""
    x = np.uint64(start + 1)
    for _ in range(count):
        x ^= x << np.uint64(13)
        x ^= x >> np.uint64(7)
        x ^= x << np.uint64(17)
    return x


def loop(turns: int, threads: int) -> None:
    """The same number of turns in every case, shared out over threads."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(_turns, [turns // threads] * threads, range(threads)))


def repeated(side: Callable[[], Any], times: int) -> None:
    """Call it so many times."""
    for _ in range(times):
        side()


def gains(work: Work, repetitions: int, seconds: float) -> dict[str, Any]:
    """What a second thread brings the encoder and the bare loop, when one thread takes about so many seconds for either."""
    encoders = {threads: our_side("cpu", work, len(work.frames), threads) for threads in (1, 2)}
    once = interleaved({"encoder": encoders[1], "loop": functools.partial(loop, LOOP_TURNS, 1)}, 3)
    calls = max(1, round(seconds / min(once["encoder"])))
    turns = max(2, round(LOOP_TURNS * calls * min(once["encoder"]) / min(once["loop"])))
    taken = interleaved(
        {f"encoder, {threads}": functools.partial(repeated, encoders[threads], calls) for threads in (1, 2)}
        | {f"loop, {threads}": functools.partial(loop, turns, threads) for threads in (1, 2)},
        repetitions,
        warm_up=0,
    )
    gain, bare = (ratios(taken[f"{side}, 1"], taken[f"{side}, 2"]) for side in ("encoder", "loop"))
    return {
        "gain_seconds": taken,
        "gain_samples": calls * len(work.frames),
        "gain": gain,
        "gain_of_loop": bare,
        "gain_share": gain["median"] / bare["median"],
    }


def check_equal(work: Work, ours: list[PooledSpikes], others: dict[str, Any]) -> int:
    """Compare with our spikes of the first samples, layer by layer. Returns how many samples; exits where a spike differs."""
    count = DENSE_SAMPLES
    for name, theirs in others.items():
        for i, layer in enumerate(LAYERS):
            mine = ours[i].lists.part(0, count)
            if name.startswith("norse"):
                dense = np.stack([sample[i][:, 0].numpy() for sample in theirs])
                other, kept_equal = SpikeLists.of(dense), True
            else:
                other = theirs[i].lists.part(0, count)
                spikes = len(mine.sites)
                kept = (ours[i].kept, theirs[i].kept)
                kept_equal = kept[0] is None or np.array_equal(kept[0][:spikes], kept[1][:spikes])
            if not (np.array_equal(mine.offsets, other.offsets) and np.array_equal(mine.sites, other.sites) and kept_equal):
                sys.exit(f"{work.name}: spikes of {layer} differ between cpu and {name}")
    return count


def measured(work: Work, repetitions: int, gain_seconds: float) -> dict[str, Any]:
    """One workload on every side."""
    all_of_them = len(work.frames)
    sizes = {"cpu": all_of_them, "cpu, 2 threads": all_of_them, "reference": DENSE_SAMPLES}
    sides: dict[str, Callable[[], Any]] = {
        "cpu": our_side("cpu", work, all_of_them, 1),
        "cpu, 2 threads": our_side("cpu", work, all_of_them, 2),
        "reference": our_side("reference", work, DENSE_SAMPLES, 1),
    }
    for name in NORSE:
        sides[name] = norse_side(name, work, DENSE_SAMPLES, 1)
        sides[f"{name}, 2 threads"] = norse_side(name, work, DENSE_SAMPLES, 2)
        sizes |= {name: DENSE_SAMPLES, f"{name}, 2 threads": DENSE_SAMPLES}
    if torch.cuda.is_available():
        sides["cuda"], sizes["cuda"] = our_side("cuda", work, all_of_them, 1), all_of_them
    ours = sides["cpu"]()
    exact = [name for name in sides if "LIFBox" not in name]
    compared = check_equal(work, ours, {name: sides[name]() for name in exact})
    box = sides["norse, LIFBox"]()
    seconds = interleaved(sides, repetitions)
    per_sample = {name: [taken / size for taken in seconds[name]] for name, size in sizes.items()}
    samples_per_s = {name: rates(1, taken) for name, taken in per_sample.items()}
    one_thread = max(NORSE, key=lambda name: samples_per_s[name]["median"])
    two_threads = max((*NORSE, *(f"{name}, 2 threads" for name in NORSE)), key=lambda name: samples_per_s[name]["median"])
    return {
        "workload": work.name,
        "density": densities(*work.part(all_of_them)),
        "spikes_per_sample": [len(output.lists.sites) / all_of_them for output in ours],
        "spikes_per_sample_lifbox": [float(np.mean([float(sample[i].sum()) for sample in box])) for i in range(len(LAYERS))],
        "equal": True,
        "samples_compared": compared,
        "seconds_per_sample": per_sample,
        "samples_per_s": samples_per_s,
        "peer": {"1 thread": one_thread, "2 threads": two_threads},
        "times_peer": {
            "1 thread": ratios(per_sample[one_thread], per_sample["cpu"]),
            "2 threads": ratios(per_sample[two_threads], per_sample["cpu, 2 threads"]),
            "reference": ratios(per_sample["reference"], per_sample["cpu"]),
        },
        **gains(work, repetitions, gain_seconds),
    }


def encode_once(side: str, density: float, samples: int, shape: tuple[int, int, int, int]) -> None:
    """One side alone, for its memory, on random spikes under the demo's untrained network. Side 'input' only makes the frames."""
    cfg = load_config(DEMO)
    layers = SpikeSEG.from_config(cfg.model, stdp=cfg.stdp, homeostasis=cfg.homeostasis).encoder.chain()
    work = Work("", random_frames(density, samples, shape), layers, None)
    if side == "norse":
        norse_side(side, work, samples, 1)()
    elif side != "input":
        name, _, threads = side.partition(", ")
        our_side(name, work, samples, int(threads[0]) if threads else 1)()


def peaks(density: float, quick: bool) -> dict[str, int]:
    """Peak memory of each side above that of making the same input, bytes."""
    sizes = (density, 2 if quick else MEMORY_SAMPLES, (4, 2, 20, 24) if quick else FRAMES)
    sides = ("input", "cpu") if quick else ("input", "cpu", "cpu, 2 threads", "reference", "norse")
    peak = {side: peak_memory(functools.partial(encode_once, side, *sizes)) for side in sides}
    return {side: max(0, peak[side] - peak["input"]) for side in sides[1:]}


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    parser = options("Inference of the whole encoder, beside Norse step by step.", markdown=True)
    parser.add_argument("--repetitions", type=int, default=5, metavar="N", help="times that each side is measured [5]")
    chosen = parser.parse_args()
    repetitions = 1 if chosen.quick else chosen.repetitions
    gain_seconds = 0.0 if chosen.quick else GAIN_SECONDS
    results = [measured(work, repetitions, gain_seconds) for work in workloads(chosen.quick)]
    show = functools.partial(table, markdown=chosen.markdown)
    print(f"samples/s of the encoder: median (min..max) of {repetitions}; spikes of all sides equal but those of LIFBox")
    sides = list(results[0]["samples_per_s"])
    print(
        show(
            ["input", *sides], [[result["workload"], *(spread(result["samples_per_s"][s]) for s in sides)] for result in results]
        )
    )
    if "cuda" not in sides:
        print("cuda: not measured, no GPU here")
    print("\nhow many times faster cpu is; the peer is the fastest of the Norse sides")
    columns = {"peer, both 1 thread": "1 thread", "peer's best, cpu 2 threads": "2 threads", "reference": "reference"}
    print(
        show(
            ["input", *columns, "peer", "peer's best"],
            [
                [
                    result["workload"],
                    *(spread(result["times_peer"][column]) for column in columns.values()),
                    *result["peer"].values(),
                ]
                for result in results
            ],
        )
    )
    print("\nspikes per sample behind each layer and its pool, and shares of sites that spike in a step")
    print(
        show(
            ["input", *LAYERS, *(f"LIFBox {layer}" for layer in LAYERS), "share of input", *(f"of {layer}" for layer in LAYERS)],
            [
                [result["workload"], *result["spikes_per_sample"], *result["spikes_per_sample_lifbox"]]
                + [f"{share:.3%}" for share in result["density"]]
                for result in results
            ],
        )
    )
    print("\nwhat two threads bring")
    print(
        show(
            ["input", "encoder", "bare loop", "share"],
            [
                [result["workload"], spread(result["gain"]), spread(result["gain_of_loop"]), result["gain_share"]]
                for result in results
            ],
        )
    )
    memory = {percent(density): peaks(density, chosen.quick) for density in (DENSITIES[:1] if chosen.quick else DENSITIES)}
    start = peak_memory(nothing)
    print(f"\npeak memory of encoding above that of the input, random spikes, MiB (Python and its modules: {start / 2**20:.0f})")
    names = list(next(iter(memory.values())))
    print(show(["input", *names], [[density, *(peak[name] / 2**20 for name in names)] for density, peak in memory.items()]))
    write_json(
        chosen.json,
        "inference",
        {"repetitions": repetitions, "inference": results, "peak_bytes": memory, "start_bytes": start,
         "cuda": "measured" if "cuda" in sides else "not measured"},
    )  # fmt: skip


if __name__ == "__main__":
    main()
