"""The whole path on built-in recordings: simulate, prepare, train, evaluate, detect."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spikeseg.core.names import MANIFEST

from ..runtime.manifest import read_manifest
from ..runtime.stage import StageResult
from . import simulate
from .detect import detect
from .evaluate import evaluate
from .prepare import prepare
from .recordings import given
from .runs import network_of
from .train import train

if TYPE_CHECKING:
    from spikeseg.config.sections import Config


@dataclass(frozen=True)
class Demo:
    """What the demo made: frames, a trained network, metrics and, of one simulated test recording, detections.

    detections is None where the recordings are not simulated.
    """

    frames: StageResult
    network: StageResult
    metrics: StageResult
    detections: StageResult | None

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
    recording = _test_recording(cfg, frames)
    detections = detect(cfg, network, given([recording]), force=force).result if recording else None
    return Demo(frames, trained, metrics, detections)


def _test_recording(cfg: Config, frames: StageResult) -> str | None:
    """A simulated recording of the test split, as `detect` takes it; None where the recordings are not simulated."""
    from spikeseg.data.readers.recording_path import RecordingPath
    from spikeseg.simulation.write import H5_PATH

    manifest = read_manifest(frames.path / MANIFEST) or {}
    names = sorted(name for name, part in manifest["splits"].items() if part == "test")
    if "simulated" not in manifest["inputs"] or not names:
        return None
    return str(RecordingPath(str(Path(cfg.cache_dir) / "simulated" / simulate.key_in_cache(cfg) / H5_PATH), names[0]))
