"""Images: what a layer costs in learning, event-driven and by the reference.

Run: python benchmarks/images.py [--json FILE] [--markdown] [--quick]

1000 grey images of 160 x 250 with shapes on a gradient (drawn here, seeded) are coded as spikes and teach a layer of 20 maps of
17 x 17 directly, until C_l < 0.01 or every image has been shown. The reference, plain torch, learns from the first few of the
same images; its weights after them must be those of the event-driven loop, bit for bit.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
from measure import options, table, write_json

from spikeseg.config.load import load_config
from spikeseg.config.sections import Config
from spikeseg.learning.image_training import learn
from spikeseg.models.filters import dog_kernel
from spikeseg.models.image_network import ImageNetwork
from spikeseg.ops import cpu

SIZE = (160, 250)
IMAGES, BY_REFERENCE = 1000, 3


def drawn(count: int, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """uint8 (N, H, W): ten ellipses and bars of random grey on a gradient, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    images = np.empty((count, *size), np.uint8)
    for image in images:
        grey = 60 + 80 * (x * rng.normal() + y * rng.normal()) / sum(size)
        for _ in range(10):
            across, down = rng.integers(0, size[1]), rng.integers(0, size[0])
            angle, long, wide = rng.uniform(0, np.pi), rng.uniform(5, 50), rng.uniform(3, 20)
            u = (x - across) * np.cos(angle) + (y - down) * np.sin(angle)
            v = (y - down) * np.cos(angle) - (x - across) * np.sin(angle)
            inside = (u / long) ** 2 + (v / wide) ** 2 < 1 if rng.random() < 0.5 else (abs(u) < long) & (abs(v) < wide)
            grey = np.where(inside, rng.uniform(0, 255), grey)
        image[:] = np.clip(grey + rng.normal(0, 3, size), 0, 255)
    return images


def settings(images: int) -> Config:
    """Caltech's preset, its second layer alone."""
    cfg = load_config("kheradpisheh2018_caltech")
    layer = dataclasses.replace(
        cfg.images, maps=(20,), kernels=(17,), thresholds=(60.0,), pools=(1,), strides=(1,), winners=(20,), radii=(8,),
        max_images=images,
    )  # fmt: skip
    return dataclasses.replace(cfg, images=layer, backend="cpu")


def measured(count: int, size: tuple[int, int], few: int) -> dict[str, Any]:
    """Both sides, from one run. count: images; few: those that the reference learns from."""
    images, cfg = drawn(count, size), settings(count)
    kernel = dog_kernel(cfg.images.dog_size, cfg.images.dog_sigma)
    cpu.latency(images[:1], kernel, cfg.images.contrast, cfg.data.n_timesteps)
    started = time.perf_counter()
    lists = cpu.latency(images, kernel, cfg.images.contrast, cfg.data.n_timesteps)
    coding = time.perf_counter() - started

    def fresh() -> ImageNetwork:
        return ImageNetwork(cfg.images, cfg.stdp, seed=0)

    first, brief = lists.part(0, few), dataclasses.replace(cfg, images=dataclasses.replace(cfg.images, max_images=few))
    fast, plain = fresh(), fresh()
    learn(fast.weights[0], first, brief, 0)  # compiles
    slow = learn(plain.weights[0], first, dataclasses.replace(brief, backend="reference"), 0)
    whole = learn(fresh().weights[0], lists, cfg, 0)
    return {
        "images": count,
        "by_reference": few,
        "size": list(size),
        "spikes_per_image": len(lists.sites) / count,
        "coding_ms": 1000 * coding / count,
        "cpu_ms": 1000 * whole.seconds / whole.images,
        "reference_ms": 1000 * slow.seconds / slow.images,
        "equal": bool((fast.weights[0] == plain.weights[0]).all()),
        "learned": whole._asdict(),
        "seconds": coding + whole.seconds,
    }


def main() -> None:
    """Measure and print."""
    given = options(__doc__ or "", markdown=True).parse_args()
    found = measured(40, (40, 60), 2) if given.quick else measured(IMAGES, SIZE, BY_REFERENCE)
    learned = found["learned"]
    rows: list[list[object]] = [
        ["event-driven", found["cpu_ms"], learned["images"], learned["seconds"]],
        ["reference", found["reference_ms"], found["by_reference"], ""],
    ]
    what = f"{found['images']} images of {SIZE[0]} x {SIZE[1]}" if not given.quick else "a few small images"
    print(f"{what}, {found['spikes_per_image']:.0f} spikes each, coded in {found['coding_ms']:.2f} ms")
    print(table(["20 maps of 17x17", "ms per image", "images", "s"], rows, markdown=given.markdown))
    print(f"stopped: {learned['stopped']}; {learned['dead']} maps never won; coding and learning {found['seconds']:.1f} s")
    print(f"weights equal after the same images: {found['equal']}")
    write_json(given.json, "images", found)


if __name__ == "__main__":
    main()
