"""Stage `detect`: a network on any recording, without labels: objects, tracks and a score for every event."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spikeseg.core.files import atomic_write
from spikeseg.errors import InputError

from ..runtime.console import progress
from ..runtime.files import sha256_file
from ..runtime.manifest import Ingredients
from ..runtime.stage import StageResult, run_in_folder, run_stage
from .prepare import layout_key
from .runs import SavedNetwork, class_names

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.readers.recording_path import RecordingPath
    from spikeseg.detection.readout import Readout
    from spikeseg.detection.result import Detections

STAGE, VERSION = "detect", 3


def detect(
    cfg: Config,
    network: SavedNetwork,
    recordings: Sequence[str],
    *,
    output: Path | None = None,
    force: bool = False,
    plot: bool = False,
) -> StageResult:
    """Run a network over recordings and write detections.json, tracks.csv and <recording>.events.npz.

    Args:
        cfg: how to frame and track; of the network it must have the shape.
        network: the checkpoint.
        recordings: paths (``FILE.h5::NAME`` for one of several in an HDF5 file).
        output: the folder; by default ``detect/<key>/`` in the run's.
        force: run again what is up to date.
        plot: also draw each recording, <recording>.png; needs matplotlib.

    Raises InputError: a recording or the checkpoint cannot be read or do not fit, two recordings share a name, the folder cannot
    be written, a picture is asked for without matplotlib."""
    from spikeseg.detection.readout import readout_of

    if plot:
        from spikeseg.plots import require_matplotlib

        require_matplotlib()
    settings, inputs = reading(cfg, checked_paths(recordings))
    readout, names = readout_of(cfg, network.checkpoint), class_names(network)
    config = {
        "model": dataclasses.asdict(cfg.model),
        **settings,
        "tracking": dataclasses.asdict(cfg.tracking),
        "reading": dataclasses.asdict(readout),
        "class_names": names,
        "plot": plot,
    }
    inputs["checkpoint of the network"] = sha256_file(network.checkpoint)

    def build(folder: Path) -> Mapping[str, Any]:
        return write_detections(cfg, network, recordings, readout, folder, plot, names)

    ingredients = Ingredients(STAGE, VERSION, config, inputs)
    if output is None:
        return run_stage(network.folder / STAGE, ingredients, build, force)
    return run_in_folder(output, ingredients, build, force)


def checked_paths(recordings: Sequence[str]) -> list[RecordingPath]:
    """The recordings that a command is given. Raises InputError for two of one name, and for a folder."""
    from spikeseg.data.readers.recording_path import recording_path

    paths = [recording_path(recording) for recording in recordings]
    names = [path.name for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{twice[0]}: two recordings of this name; detect them into different folders")
    for path in recordings:
        if Path(path).is_dir():
            raise InputError(f"{path}: a folder; name the recordings in it ({path.rstrip('/')}/*)")
    return paths


def reading(cfg: Config, paths: Sequence[RecordingPath]) -> tuple[dict[str, Any], dict[str, str]]:
    """Of the ingredients of a stage that reads recordings: how they are read and framed, and their fingerprints."""
    from spikeseg.data.datasets import fingerprint
    from spikeseg.data.windows import frame_spec

    settings = {
        "frames": dataclasses.asdict(frame_spec(cfg.data)),
        "transforms": cfg.data.transforms,
        "lenient": cfg.data.lenient,
        "members": [path.member for path in paths],
        **layout_key(cfg),
    }
    return settings, {path.name: fingerprint(path.file) for path in paths}


def write_detections(
    cfg: Config,
    network: SavedNetwork,
    recordings: Sequence[str],
    readout: Readout,
    folder: Path,
    plot: bool = False,
    names: Mapping[int, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Fill the output folder. -> entries for the manifest: counts by recording, device, seed."""
    from spikeseg.data.readers import Layout, read
    from spikeseg.detection.detect import detect_recording
    from spikeseg.detection.files import DetectionWriter
    from spikeseg.detection.network import load_network
    from spikeseg.ops.device import network_device

    from ..runtime.parallel import Workers, ordered

    device, layout = network_device(cfg.device, cfg.backend), Layout.of(cfg.data)
    model = load_network(cfg, str(network.checkpoint), device)

    def detect_path(path: str) -> Detections:
        recording = read(path if cfg.data.dask is None else Path(path).absolute(), lenient=cfg.data.lenient, layout=layout)
        return detect_recording(model, recording, cfg, readout, _progress, names)

    writer = DetectionWriter(folder)
    for detections in ordered(detect_path, recordings, Workers.of(cfg), threads=True):
        writer.add(detections.entry(), detections.tracks, detections.event_columns)
        if plot:
            atomic_write(folder / f"{detections.recording}.png", _picture(detections))
    writer.finish()
    counts = {entry["name"]: {"windows": len(entry["windows"]), "tracks": entry["tracks"]} for entry in writer.entries}
    return {"recordings": counts, "device": str(device), "seed": cfg.seed}


def _progress(windows: Iterable[Any], recording: str, total: int) -> Iterable[Any]:
    return progress(windows, recording, "window", total=total)


def _picture(detections: Detections) -> bytes:
    buffer = io.BytesIO()
    detections.plot().savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()
