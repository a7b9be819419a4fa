"""The whole path on built-in recordings: simulate, prepare, train, evaluate, detect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spikeseg.core.names import MANIFEST
from spikeseg.errors import InputError
from spikeseg.plots import FORMATS, require_matplotlib

from ..runtime.manifest import read_manifest
from ..runtime.stage import StageResult
from . import simulate
from .detect import detect
from .evaluate import METRICS, evaluate
from .prepare import STORE, prepare
from .recordings import given
from .report import report
from .runs import SavedNetwork, network_of
from .train import train

if TYPE_CHECKING:
    from spikeseg.config.sections import Config


@dataclass(frozen=True)
class Demo:
    """What the demo made.

    Attributes:
        frames, network, metrics: of the stages.
        detections: of one test recording, None where recordings are not simulated.
        recording: its name, or None: the first, by name, in which an object was found.
        nights: of all test recordings, by name, the found and the labelled objects, where they were counted.
        picture: of it, or why there is none.
        learned: how many recordings the network learned from.
        report: the page of the run, or why there is none.
    """

    frames: StageResult
    network: StageResult
    metrics: StageResult
    detections: StageResult | None
    recording: str | None
    nights: Mapping[str, tuple[int, int]]
    picture: str
    learned: int
    report: str

    @property
    def ran(self) -> bool:
        """Whether anything had to be done."""
        return any(result.ran for result in (self.frames, self.network, self.metrics, self.detections) if result)


def demo(cfg: Config, *, force: bool = False) -> Demo:
    """Run every stage that is not up to date; with force all of them.

    Raises InputError: see the stages."""
    frames = prepare(cfg, force=force)
    trained = train(cfg, force=force)
    network = network_of(cfg)
    metrics = evaluate(cfg, network, force=force)
    manifest = read_manifest(frames.path / MANIFEST) or {}
    learned = sum(part == "train" for part in manifest["splits"].values())
    nights = _nights(metrics)
    name = _shown(frames, nights) if "simulated" in manifest["inputs"] else None
    if name is None:
        return Demo(
            frames, trained, metrics, None, None, nights, "none: the recordings are not simulated", learned, _report(cfg, network)
        )
    try:
        require_matplotlib()
        plot, no_picture = FORMATS[0], ""
    except InputError as error:
        plot, no_picture = None, str(error)
    detections = detect(cfg, network, given([_path(cfg, name)]), force=force, plot=plot).result
    picture = no_picture or str(detections.path / f"{name}.{plot}")
    return Demo(frames, trained, metrics, detections, name, nights, picture, learned, _report(cfg, network))


def _report(cfg: Config, network: SavedNetwork) -> str:
    """The page of the run, or why there is none."""
    try:
        return str(report(cfg, network.folder).page)
    except InputError as error:
        return str(error)


def _nights(metrics: StageResult) -> dict[str, tuple[int, int]]:
    """See Demo.nights; empty where the evaluation counts no objects."""
    rows = json.loads((metrics.path / METRICS).read_text())["modes"].get("track", {}).get("network", {}).get("recordings", [])
    return {row["name"]: (row["found"], row["objects"]) for row in sorted(rows, key=lambda row: str(row["name"]))}


def _shown(frames: StageResult, nights: Mapping[str, tuple[int, int]]) -> str | None:
    """The first recording of the test split, by name, in which an object was found; else in which somebody labelled one; else the
    first; None without any."""
    from spikeseg.data.store.frames import Frames

    store = Frames.open(frames.path / STORE)
    tested = sorted((info.name, r) for r, info in enumerate(store.recordings) if info.split == "test")
    with_finds = [name for name, _ in tested if nights.get(name, (0, 0))[0]]
    if with_finds:
        return with_finds[0]
    with_objects = (name for name, r in tested if (labels := store.labels(r)) is not None and len(labels))
    return next(with_objects, tested[0][0] if tested else None)


def _path(cfg: Config, name: str) -> str:
    """A simulated recording, as `detect` takes it."""
    from spikeseg.data.readers.recording_path import RecordingPath
    from spikeseg.simulation.write import H5_PATH

    return str(RecordingPath(str(Path(cfg.cache_dir) / "simulated" / simulate.key_in_cache(cfg) / H5_PATH), name))
