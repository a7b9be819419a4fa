"""Which networks say the same, spike for spike, in other simulators once they are exported as NIR.

Run: python benchmarks/interop.py [--json FILE] [--markdown] [--quick] [--recordings FILE ...]

Rows are kinds of layers, and the two networks that come with the package, whole. Every one is run on 50 inputs at random and on
20 windows of recordings (simulated nights, or those that are named): here, and in Norse, spikingjelly, snnTorch and sinabs, each
by its own importer of NIR. A cell is the number of inputs of which all output spikes are equal; where not all are, how many
places differ over how many spikes there are. The first table is of what the graph means (`spikeseg.export.simulators`: what an
importer leaves out is set behind it), the second of what the importers give by themselves.

A simulator that is not installed is left out. Thresholds follow neither background nor drive on any side.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import options, table, write_json

import spikeseg as ss
from spikeseg.core.leak import LeakMode
from spikeseg.data.recording import Recording
from spikeseg.data.windows import windowed
from spikeseg.errors import InputError
from spikeseg.export.description import Description, PlainLayer, describe
from spikeseg.export.nir_graph import nir_graph
from spikeseg.export.simulators import SIMULATORS, simulated
from spikeseg.models.filters import dog_bank, pyramid
from spikeseg.ops import cpu
from spikeseg.ops.types import Layer

RANDOM, RECORDED = 50, 20
QUICK = 3, 2
"""The same with --quick."""
STEPS, SIZE = 8, (32, 44)
"""Of the inputs of single layers; odd sides are one less."""
WHOLE = (90, 120)
"""Of those of whole networks."""
AT_ONCE = 10
"""Inputs that a simulator is given together."""
DENSITY = 0.05


def snapped(values: np.ndarray) -> np.ndarray:
    """On the grid."""
    found: np.ndarray = (np.round(values * 4096) / 4096).astype(np.float32)
    return found


def layer(
    maps: tuple[int, int], threshold: float | Sequence[float], mode: LeakMode, leak: float, pool: tuple[int, int] | None = None
) -> PlainLayer:
    """A layer of 5x5 at random. maps: behind and before it."""
    weight = snapped(np.random.default_rng(sum(maps)).random((*maps, 5, 5)) - 0.35)
    theta = snapped(np.broadcast_to(np.asarray(threshold, np.float64), maps[:1]))
    return PlainLayer("conv", weight, theta, mode, round(leak * 4096) / 4096, pool)


def kinds() -> dict[str, Description]:
    """A network of each kind of layer."""
    none, constant, share = LeakMode.NONE, LeakMode.SUBTRACTIVE, LeakMode.MULTIPLICATIVE
    odd = (SIZE[0] - 1, SIZE[1] - 1)
    two_scales = PlainLayer(
        "conv", snapped(pyramid(dog_bank, 4, 2, 5, (1, 3)).numpy()), snapped(np.full(8, 0.2)), constant, 410 / 4096, None
    )

    def pooled(kernel: int, stride: int) -> tuple[PlainLayer, PlainLayer]:
        first, last = layer((4, 2), 1.0, constant, 0.1, (kernel, stride)), layer((3, 4), 2.0, none, 0.0)
        return first._replace(name="conv1"), last._replace(name="conv2")

    return {
        "no leak": Description((layer((4, 2), 1.0, none, 0.0),), SIZE),
        "subtractive leak": Description((layer((4, 2), 1.0, constant, 0.1),), SIZE),
        "multiplicative leak": Description((layer((4, 2), 1.0, share, 0.9),), SIZE),
        "threshold per map": Description((layer((4, 2), (1.0, 1.3, 2.2, 4.7), constant, 0.1),), SIZE),
        "conv1 at two scales": Description((two_scales,), SIZE),
        "max pool 2x2": Description(pooled(2, 2), SIZE),
        "max pool 2x2, odd sides": Description(pooled(2, 2), odd),
        "max pool 3x3, every 2": Description(pooled(3, 2), SIZE),
    }


def networks(size: tuple[int, int]) -> dict[str, Description]:
    """Those that come with the package, whole."""
    found = {}
    for name in ("nights", "scenes"):
        network = ss.load(name, {"device": "cpu"})
        found[f"network {name}"] = describe(network.model, network.config, size)
    nights = ss.load("nights", {"device": "cpu"})
    found["network nights, even background"] = describe(nights.model, nights.config, size, background=0.01)
    return found


def recorded(recordings: Sequence[Recording], count: int, size: tuple[int, int], step_ms: float) -> np.ndarray:
    """Windows spread over recordings, cut to the liveliest place: uint8 (count, T, 2, H, W)."""
    config = ss.new("demo", {"device": "cpu", "data.n_timesteps": STEPS, "data.timestep_ms": step_ms, "data.transforms": []})
    windows = [
        _cut(frames.dense()[0], size)
        for recording in recordings
        for _, frames, _ in windowed(recording, config.config.data).windows()
        if len(frames.counts)
    ]
    if not windows:
        raise SystemExit("no recording holds events")
    return np.stack([windows[k] for k in np.linspace(0, len(windows) - 1, count).astype(int)])


def _cut(window: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(T, 2, H, W) cut, or padded with silence, around its most active column and row."""
    height, width = (max(own, side) for own, side in zip(window.shape[-2:], size, strict=True))
    padded = np.zeros((*window.shape[:2], height, width), np.uint8)
    padded[..., : window.shape[-2], : window.shape[-1]] = np.minimum(window, 255)
    active = padded.sum((0, 1))
    top = int(np.clip(active.sum(1).argmax() - size[0] // 2, 0, height - size[0]))
    left = int(np.clip(active.sum(0).argmax() - size[1] // 2, 0, width - size[1]))
    return padded[..., top : top + size[0], left : left + size[1]]


def expected(network: Description, frames: np.ndarray) -> np.ndarray:
    """Our spikes: uint8 (N, T, C, H', W')."""
    layers = [
        Layer(torch.from_numpy(own.weight), torch.from_numpy(own.threshold), own.mode, own.leak, own.pool)
        for own in network.layers
    ]
    return cpu.encode(frames, layers)[-1].lists.dense()


def compared(network: Description, frames: np.ndarray, simulator: str, *, as_imported: bool) -> dict[str, Any]:
    """How many inputs come out equal: "equal", "of", "different" places, "spikes" of ours; "refused" where it cannot be run.

    Raises InputError where the simulator is not installed."""
    graph, ours = nir_graph(network), expected(network, frames)
    places = np.zeros(len(frames), int)
    for first in range(0, len(frames), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        try:
            theirs = simulated(graph, simulator, frames[part], as_imported=as_imported)
        except InputError:
            raise
        except Exception as error:  # what a simulator makes of a graph that it does not know
            return {"refused": f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"}
        places[part] = (theirs != ours[part]).sum((1, 2, 3, 4))
    return {"equal": int((places == 0).sum()), "of": len(frames), "different": int(places.sum()), "spikes": int(ours.sum())}


def cell(found: dict[str, Any]) -> str:
    """A comparison in the table."""
    if "refused" in found:
        return "refused"
    if found["equal"] == found["of"]:
        return f"{found['equal']} of {found['of']}"
    return f"{found['equal']} of {found['of']} ({found['different']:,} / {found['spikes']:,})"


def main() -> None:
    """Print the tables."""
    parser = options(__doc__.splitlines()[0], markdown=True)
    parser.add_argument("--recordings", type=Path, nargs="+", metavar="FILE", help="take the recorded inputs of these")
    arguments = parser.parse_args()
    n_random, n_recorded = QUICK if arguments.quick else (RANDOM, RECORDED)
    size = SIZE if arguments.quick else WHOLE
    recordings = [ss.read(path, lenient=True) for path in arguments.recordings or ()] or ss.simulate(
        1 if arguments.quick else 4, duration_s=2.0 if arguments.quick else 8.0, seed=7
    )
    rng = np.random.default_rng(0)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    installed = list(SIMULATORS)
    for name, network in {**kinds(), **networks(size)}.items():
        at_random = (rng.random((n_random, STEPS, 2, *network.size), np.float32) < DENSITY).astype(np.uint8)
        frames = np.concatenate(
            [at_random, recorded(recordings, n_recorded, network.size, 5.0 if arguments.recordings else 100.0)]
        )
        found[name] = {}
        for simulator in list(installed):
            try:
                sides = {
                    side: compared(network, frames, simulator, as_imported=side == "as_imported")
                    for side in ("as_meant", "as_imported")
                }
            except InputError as error:
                print(f"{simulator} is left out: {error}", file=sys.stderr)
                installed.remove(simulator)
                continue
            found[name][simulator] = sides
    for side, title in (("as_meant", "As the graph means"), ("as_imported", "As imported")):
        rows = [[name, *(cell(row[simulator][side]) for simulator in installed)] for name, row in found.items()]
        print(f"{title}: inputs with equal spikes, {n_random} at random and {n_recorded} recorded")
        print(table(["layers", *installed], rows, markdown=arguments.markdown), end="\n\n")
    inputs = {"random": n_random, "recorded": n_recorded}
    write_json(arguments.json, "interop", {"simulators": installed, "inputs": inputs, "found": found})


if __name__ == "__main__":
    main()
