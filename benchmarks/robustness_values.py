"""Accepted configurations with extreme values, through the whole chain: done, or one line and exit code 3.

Run: python benchmarks/robustness_values.py [--configurations N] [--seed S] [--limit-gib G] [--json FILE] [--keep FOLDER]

Some keys of a small configuration get values at their bounds or log-uniform within them; what the configuration itself refuses
is drawn again. Each is run in a process of its own that may take G GiB of addresses (RLIMIT_AS): prepare, train-layer conv2 and
conv3, evaluate, detect, on three simulated recordings of 0.3 s. Epochs and the number of recordings are what a user asks for, so
they stay small; configurations whose windows hold more than CELLS pixels and steps in all are drawn again, because they would run
for hours. A traceback, a signal, another exit code, more than one line with 3, and more than HANGS_S seconds of the processor (so
that a busy machine is no fault) or DEAD times as long on the clock are faults. The
table counts them, and says which share of the estimate of its network a process took at most.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import traceback
import typing
import warnings
from collections import Counter
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import yaml

GIB = 2**30
CELLS = 2e9
HANGS_S, DEAD = 900, 20
SAID = 25
"""After how many configurations the counts so far are said."""
DURATION_S = 0.3
SENSOR = (180, 240)
"""(height, width) of the recordings."""
FIXED = {
    "device", "max_epochs", "data.dask", "data.folds", "data.fold", "data.input_channels", "images", "simulate", "backend",
    "seed", "data.dataset", "train_conv1", "train_conv2", "train_conv3", "logging.wandb", "logging.log_level", "data.sensor",
    "data.time_unit", "stdp.rule", "evaluation.readout",
}  # fmt: skip
"""Keys and sections that keep their values: what a user asks for, and what names things that are not there."""
SMALL: dict[str, Any] = {
    "experiment_name": "small", "device": "cpu", "max_epochs": 2,
    "model": {"conv2_channels": 4, "thresholds": [0.2, 1.0, 0.0], "leaks": [0.18, 0.1, 0.0]},
    "homeostasis": {"theta_rest": 1.0, "theta_max": 100.0},
    "wta": {"enable_homeostasis": False},
    "data": {
        "dataset": "ebssa", "n_timesteps": 4, "timestep_ms": 25.0, "input_height": 45, "input_width": 60,
        "test_ratio": 0.4, "transforms": [],
    },
    "evaluation": {"bootstrap": 20}, "tracking": {"min_hits": 2},
}  # fmt: skip


def fields_of(kind: type[Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted key, type and limits of every value of a section that may change."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        name = f"{prefix}{field.name}"
        if name in FIXED:
            continue
        if dataclasses.is_dataclass(hints[field.name]):
            yield from fields_of(hints[field.name], f"{name}.")
        else:
            yield name, hints[field.name], field


def drawn_value(hint: Any, field: dataclasses.Field[Any], rng: np.random.Generator) -> Any:
    """A value at a bound of the key, or log-uniform within; None for keys that are no numbers, switches or choices."""
    args = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        entries = [drawn_value(args[0], field, rng) for _ in field.default or SENSOR]
        return [entries[0]] * len(entries) if rng.random() < 0.5 else entries
    if type(None) in args:
        return drawn_value(args[0], field, rng)
    limits = field.metadata
    if hint is bool:
        return bool(rng.random() < 0.5)
    if limits["choices"] is not None:
        choices = [*limits["choices"]]
        return choices[rng.integers(len(choices))]
    if hint not in (int, float):
        return None
    low = limits["low"] if limits["low"] is not None else limits["above"]
    high = limits["high"]
    if rng.random() < 0.4:
        value = high if rng.random() < 0.5 else low if limits["low"] is not None else high * 1e-9
    else:
        least = max(low, 1 if hint is int else high * 1e-9)
        value = float(np.exp(rng.uniform(np.log(least), np.log(high))))
    if hint is int:
        value = round(value)
        return value | 1 if field.name in ("kernel_sizes", "kernels", "dog_size") else value
    return float(value)


def work(cfg: Any) -> float:
    """Pixels and steps of all windows of the recordings."""
    data = cfg.data
    window_us = data.n_timesteps * round(1000 * data.timestep_ms)
    windows = 2 + DURATION_S * 1e6 // max(1, round((1 - data.window_overlap) * window_us))
    return 3 * windows * data.n_timesteps * prod(size_of(cfg))


def size_of(cfg: Any) -> tuple[int, int]:
    """(height, width) of the frames."""
    return cfg.data.input_height or SENSOR[0], cfg.data.input_width or SENSOR[1]


def drawn(rng: np.random.Generator) -> tuple[dict[str, Any], int]:
    """Changes of the small configuration that are accepted, and how many were not."""
    from spikeseg.config import load_config, merge_configs
    from spikeseg.config.files import undotted
    from spikeseg.config.sections import Config
    from spikeseg.errors import InputError

    fields, refused = [*fields_of(Config)], 0
    while True:
        chosen = rng.choice(len(fields), int(rng.integers(1, 9)), replace=False)
        values = {fields[k][0]: drawn_value(fields[k][1], fields[k][2], rng) for k in chosen}
        changes = {name: value for name, value in values.items() if value is not None}
        try:
            with warnings.catch_warnings(action="ignore"):
                cfg = load_config(None, merge_configs(SMALL, undotted(changes, "drawn")))
        except InputError:
            refused += 1
            continue
        if changes and work(cfg) <= CELLS:
            return changes, refused


def one(folder: Path, limit: int) -> dict[str, Any]:
    """Run the chain with config.yaml of a folder, in this process; how it ended."""
    from spikeseg.config import load_config
    from spikeseg.config.estimate import network_bytes
    from spikeseg.pipelines.cli import main

    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (HANGS_S, HANGS_S))
    os.chdir(folder)
    with warnings.catch_warnings(action="ignore"):
        cfg = load_config("config.yaml")
    ended: dict[str, Any] = {"code": 0, "command": None, "said": "", "estimate": network_bytes(cfg, size_of(cfg))}
    recording = f"{cfg.data.data_root}/EBSSA/labelled_ebssa.h5::DAVIS_0000"
    for words in (
        ["prepare"],
        ["train-layer", "conv2"],
        ["train-layer", "conv3"],
        ["evaluate", "--split", "all"],
        ["detect", recording],
    ):
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                main([*words, "-c", "config.yaml"], standalone_mode=False)
        except SystemExit as end:
            errors = [line for line in said.getvalue().splitlines() if line.startswith("error")]
            ended |= {"code": end.code, "command": words[0], "said": "\n".join(errors) or said.getvalue()[-500:]}
        except BaseException:
            ended |= {"code": "traceback", "command": words[0], "said": traceback.format_exc()[-1500:]}
        if ended["code"]:
            break
    usages = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {**ended, "peak": 1024 * max(usages)}


def run(changes: dict[str, Any], sky: Path, place: Path, limit: int) -> dict[str, Any]:
    """Run the chain with changes of the small configuration in a process of its own."""
    from spikeseg.config import merge_configs
    from spikeseg.config.files import undotted

    place.mkdir(parents=True)
    content = merge_configs(merge_configs(SMALL, undotted(changes, "drawn")), {"data": {"data_root": str(sky)}})
    (place / "config.yaml").write_text(yaml.safe_dump(content))
    words = [sys.executable, __file__, "--one", str(place), "--limit-gib", str(limit / GIB)]
    try:
        process = subprocess.run(words, capture_output=True, text=True, timeout=DEAD * HANGS_S)
    except subprocess.TimeoutExpired:
        return {"code": "hangs", "command": None, "said": "", "estimate": 0, "peak": 0}
    try:
        return json.loads(process.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        return {"code": process.returncode, "command": None, "said": process.stderr[-1500:], "estimate": 0, "peak": 0}


def kind(ended: dict[str, Any]) -> str:
    """How a chain ended, for the table."""
    if ended["code"] == 0:
        return "done"
    one_line = ended["said"].startswith("error: ") and "\n" not in ended["said"]
    return "one line, exit code 3" if ended["code"] == 3 and one_line else "FAULT"


def main() -> None:
    """Draw, run, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configurations", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit-gib", type=float, default=8.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for the runs; else a temporary one")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    limit = int(args.limit_gib * GIB)
    if args.one:
        print(json.dumps(one(args.one, limit)))
        return
    from spikeseg.pipelines.cli import main as spikeseg

    with tempfile.TemporaryDirectory() as temporary:
        root = (args.keep or Path(temporary)).absolute()
        sky = root / "sky"
        simulated = ["simulate", str(sky), "--recordings", "3", "--duration", str(DURATION_S), "--difficulty", "easy"]
        spikeseg(simulated, standalone_mode=False)
        base = run({}, sky, root / "base", limit)
        assert base["code"] == 0, base
        rng, refused, rows = np.random.default_rng(args.seed), 0, []
        for number in range(args.configurations):
            changes, again = drawn(rng)
            refused += again
            ended = run(changes, sky, root / str(number), limit)
            rows.append({"changes": changes, **ended})
            if kind(ended) != "done":
                print(f"{number}: {kind(ended)}: {ended['code']}: {ended['command']}: {ended['said']}\n   {changes}", flush=True)
            if len(rows) % SAID == 0:
                print(len(rows), dict(Counter(map(kind, rows))), file=sys.stderr, flush=True)
    counts = Counter(kind(row) for row in rows)
    shares = [row["peak"] / row["estimate"] for row in rows if row["estimate"]]
    print(
        f"{len(rows)} configurations of seed {args.seed} ({refused} more were refused): "
        + ", ".join(f"{n} {k}" for k, n in counts.items())
    )
    print(f"memory over its estimate: median {np.median(shares):.2f}, most {max(shares):.2f}")
    if args.json:
        args.json.write_text(json.dumps({"refused": refused, "counts": counts, "rows": rows}, indent=2) + "\n")
    sys.exit(1 if counts["FAULT"] else 0)


if __name__ == "__main__":
    main()
