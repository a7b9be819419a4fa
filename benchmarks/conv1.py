"""What conv1 of the preset `igarss2023` passes: a faint streak, and background activity, at several thresholds and time steps.

Run: python benchmarks/conv1.py [--json FILE] [--markdown] [--quick]

Windows of ten steps on 240 x 180 pixels. Background activity: Poisson events, at each of RATES per pixel. The streak: a point
that crosses the frame; at every pixel that it enters it causes an ON event, at every one that it leaves an OFF event, each
with probability 0.7, as a faint satellite does. Counted are windows in which conv1 fires within 3 px of the streak's path, the
same where there is no streak (chance), and all of conv1's spikes where there is none. The leak is the paper's, 90 % of the
threshold. Thresholds were chosen on seed 1, the table is of seed 11.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from measure import options, table, write_json

from spikeseg.config.load import load_config
from spikeseg.models import SpikeSEG

SIZE = (180, 240)
RATES = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Background events per second and pixel, both polarities together."""
SPEEDS = (20.0, 60.0, 120.0)
"""px/s."""
CHANCE = 0.7
"""Of an event where the streak enters or leaves a pixel."""
NEAR_PX = 3
THRESHOLDS = (0.2, 0.27, 0.3, 0.36)
STEPS_MS = (10.0, 50.0, 100.0)
SIGMAS = (None, 1.0)
"""Thresholds as they are, and adapted to the background (model.background_sigmas)."""
LEAK = 0.9
SEED = 11


def background(rng: np.random.Generator, windows: int, steps: int, step_ms: float, hz: float) -> np.ndarray:
    """bool (N, T, 2, H, W): OFF and ON."""
    return rng.random((windows, steps, 2, *SIZE), np.float32) < -np.expm1(-hz / 2 * step_ms / 1000)


def streaks(rng: np.random.Generator, windows: int, steps: int, step_ms: float, speed: float) -> tuple[np.ndarray, np.ndarray]:
    """Events of a streak in each window, bool (N, T, 2, H, W), and the pixels near its path, bool (N, H, W)."""
    events, near = np.zeros((windows, steps, 2, *SIZE), bool), np.zeros((windows, *SIZE), bool)
    for n in range(windows):
        angle = rng.uniform(0, 2 * np.pi)
        seconds = np.arange(0, steps * step_ms / 1000, 0.25 / speed)
        middle = np.array([SIZE[1], SIZE[0]]) / 2 + rng.uniform(-20, 20, 2)
        along = speed * (seconds - seconds[-1] / 2)
        x, y = (np.floor(middle[k] + (np.cos, np.sin)[k](angle) * along).astype(int) for k in range(2))
        entered = np.flatnonzero(np.diff(x, prepend=-1) | np.diff(y, prepend=-1))
        for k, at in enumerate(entered):
            now = min(int(seconds[at] * 1000 / step_ms), steps - 1)
            if rng.random() < CHANCE:
                events[n, now, 1, y[at], x[at]] = True
            if k and rng.random() < CHANCE:
                events[n, now, 0, y[entered[k - 1]], x[entered[k - 1]]] = True
            near[n, max(0, y[at] - NEAR_PX) : y[at] + NEAR_PX + 1, max(0, x[at] - NEAR_PX) : x[at] + NEAR_PX + 1] = True
    return events, near


def fired(model: SpikeSEG, frames: np.ndarray, per_step: float) -> tuple[np.ndarray, np.ndarray]:
    """Spikes of conv1 in each window, (N,), and whether each pixel fired at all, bool (N, H, W); pixels pooled by 2.

    per_step: background events per pixel, polarity and step, for thresholds that adapt to it."""
    known = np.full((len(frames), 2, 1, 1), per_step, np.float32)
    lists = model.encoder.infer(frames, known, upto="conv1")["pool1"].lists
    dense = lists.dense()
    return dense.sum((1, 2, 3, 4)), dense.any((1, 2)).repeat(2, 1).repeat(2, 2)[:, : SIZE[0], : SIZE[1]]


def measured(
    threshold: float, step_ms: float, windows: int, seed: int, sigmas: float | None = None, dog: bool = True
) -> dict[str, Any]:
    """Shares of windows, and spikes where there is no streak, over all rates and speeds.

    sigmas: thresholds adapt to the background, by so many deviations of it; None: they do not."""
    cfg = load_config(None, paper="igarss2023")
    changed = dataclasses.replace(
        cfg.model, thresholds=(threshold, *cfg.model.thresholds[1:]), leaks=(LEAK * threshold, *cfg.model.leaks[1:]),
        use_dog_filters=dog, background_adaptive=sigmas is not None, background_sigmas=sigmas or 0.0,
    )  # fmt: skip
    model, steps = SpikeSEG.from_config(changed), cfg.data.n_timesteps
    rng = np.random.default_rng((seed, round(1000 * threshold), round(step_ms)))
    seen, chance, spikes, events = [], [], [], []
    for hz in RATES:
        for speed in SPEEDS:
            noise = background(rng, windows, steps, step_ms, hz)
            streak, near = streaks(rng, windows, steps, step_ms, speed)
            count, quiet = fired(model, noise, hz / 2 * step_ms / 1000)
            _, lit = fired(model, noise | streak, hz / 2 * step_ms / 1000)
            seen.append((lit & near).any((1, 2)).mean())
            chance.append((quiet & near).any((1, 2)).mean())
            spikes.append(count.mean())
            events.append(noise.sum() / windows)
    return {
        "threshold": threshold,
        "step_ms": step_ms,
        "sigmas": sigmas,
        "seen": float(np.mean(seen)),
        "chance": float(np.mean(chance)),
        "spikes": float(np.mean(spikes)),
        "per_1000_events": 1000 * float(np.sum(spikes) / np.sum(events)),
    }


def main() -> None:
    """Measure and print."""
    given = options(__doc__ or "", markdown=True).parse_args()
    windows, thresholds = (2, (0.2, 0.3)) if given.quick else (12, THRESHOLDS)
    cases = [(ms, sigmas, theta) for ms in STEPS_MS for sigmas in SIGMAS for theta in thresholds]
    if given.quick:
        cases = [case for case in cases if case[:2] == (50.0, 1.0)]
    found = [measured(theta, ms, windows, SEED, sigmas) for ms, sigmas, theta in cases]
    header = ["step, ms; thresholds; threshold", "streak seen", "chance", "noise spikes a window", "per 1000 noise events"]
    rows: list[list[Any]] = [
        [
            f"{one['step_ms']:g}; {'fixed' if one['sigmas'] is None else 'adapted'}; {one['threshold']:g}",
            one["seen"], one["chance"], one["spikes"], one["per_1000_events"],
        ]
        for one in found
    ]  # fmt: skip
    print(table(header, rows, markdown=given.markdown))
    write_json(given.json, "conv1", {"rows": found, "windows": windows, "seed": SEED})


if __name__ == "__main__":
    main()
