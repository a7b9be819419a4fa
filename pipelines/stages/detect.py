"""Stage `detect`: a network on any recording, without labels: objects, tracks and a score for every event."""

from __future__ import annotations

import dataclasses
import functools
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from spikeseg.core.sparse import ANY_RESPONSE
from spikeseg.errors import InputError

from ..runtime.console import progress
from ..runtime.stage import StageResult, atomic_write, run_in_folder, run_stage, sha256_file
from .runs import Network

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.recording import Recording
    from spikeseg.detection.objects import Blobs
    from spikeseg.detection.schema import RecordingDetections
    from spikeseg.models import SpikeSEG

STAGE, VERSION = "detect", 2
DETECTIONS, TRACKS = "detections.json", "tracks.csv"


def detect(
    cfg: Config,
    network: Network,
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
    from spikeseg.data.datasets import fingerprint
    from spikeseg.data.readers import MEMBER

    if plot:
        from spikeseg.plots import require_matplotlib

        require_matplotlib()
    names = [place.split(MEMBER)[-1] if MEMBER in place else Path(place).stem for place in recordings]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{twice[0]}: two recordings of this name; detect them into different folders")
    for place in recordings:
        if Path(place).is_dir():
            raise InputError(f"{place}: a folder; name the recordings in it ({place.rstrip('/')}/*)")
    from spikeseg.data.windows import frame_spec

    reading = readout_of(cfg, network)
    config = {
        "model": dataclasses.asdict(cfg.model),
        "frames": dataclasses.asdict(frame_spec(cfg.data)),
        "transforms": cfg.data.transforms,
        "lenient": cfg.data.lenient,
        "tracking": dataclasses.asdict(cfg.tracking),
        "reading": dataclasses.asdict(reading),
        "members": [place.partition(MEMBER)[2] for place in recordings],
        "plot": plot,
    }
    inputs = {name: fingerprint(place.partition(MEMBER)[0]) for name, place in zip(names, recordings, strict=True)}
    inputs["checkpoint of the network"] = sha256_file(network.checkpoint)

    def build(folder: Path) -> Mapping[str, Any]:
        return write_detections(cfg, network, recordings, reading, folder, plot)

    if output is None:
        return run_stage(network.folder / STAGE, STAGE, VERSION, config, inputs, build, force)
    return run_in_folder(output, STAGE, VERSION, config, inputs, build, force)


@dataclasses.dataclass(frozen=True)
class Readout:
    """How a network's output is read: the score from which a track is an object,
    the saliency from which a pixel counts as lit, and the classes that count (None: all)."""

    object_threshold: float
    threshold: float = ANY_RESPONSE
    classes: Sequence[int] | None = None


def readout_of(cfg: Config, network: Network) -> Readout:
    """As the configuration says; under `evaluation.readout: calibrated`, as the training split did (`spikeseg sweep`).

    Raises InputError where that is asked for and the checkpoint holds no calibration."""
    if cfg.evaluation.readout == "all":
        return Readout(cfg.tracking.object_threshold)
    from spikeseg.learning import checkpoint

    readout = checkpoint.load(network.checkpoint)[1].get("readout")
    if readout is None:
        raise InputError(
            f"{network.checkpoint}: holds no calibrated readout; run `spikeseg sweep` on the training split first, or "
            "--set evaluation.readout=all"
        )
    return Readout(float(readout["object_threshold"]), classes=readout["classes"])


def write_detections(
    cfg: Config, network: Network, recordings: Sequence[str], reading: Readout, folder: Path, plot: bool = False
) -> dict[str, Any]:
    """Fill the output folder. -> what the manifest tells: counts by recording, device."""
    from spikeseg.data.readers import read
    from spikeseg.detection.schema import detections_document, detections_text, tracks_text
    from spikeseg.evaluation.detectors import load_network

    from ..runtime.device import network_device
    from ..runtime.parallel import Workers, ordered

    device = network_device(cfg.device, cfg.backend)
    model = load_network(cfg, str(network.checkpoint), device)
    found, rows = [], []

    def one(place: str) -> tuple[Recording, DetectedRecording]:
        recording = read(place if cfg.data.dask is None else Path(place).absolute(), lenient=cfg.data.lenient)
        return recording, detect_recording(cfg, model, recording, reading)

    for recording, result in ordered(one, recordings, Workers.of(cfg), threads=True):
        found.append(result.summary)
        rows += result.track_rows
        atomic_write(folder / f"{recording.name}.events.npz", functools.partial(_write_npz, columns=result.events))
        if plot:
            atomic_write(folder / f"{recording.name}.png", _picture(recording, result))
    atomic_write(folder / DETECTIONS, detections_text(detections_document(found)))
    atomic_write(folder / TRACKS, tracks_text(rows))
    counts = {r["name"]: {"windows": len(r["windows"]), "tracks": r["tracks"]} for r in found}
    return {"recordings": counts, "device": str(device), "seed": cfg.seed}


@dataclasses.dataclass(frozen=True)
class DetectedRecording:
    """What one recording came to: its part of detections.json, its rows of tracks.csv, the columns of its events' file."""

    summary: RecordingDetections
    track_rows: list[tuple[Any, ...]]
    events: dict[str, np.ndarray]


def detect_recording(cfg: Config, model: SpikeSEG, recording: Recording, reading: Readout) -> DetectedRecording:
    """Saliency, objects of every slice of every window, tracks, and each event's score and track."""
    from spikeseg.data.windows import windowed
    from spikeseg.detection.schema import detection_rows, event_columns, recording_detections, track_rows
    from spikeseg.detection.tracked import answer, unravelled
    from spikeseg.evaluation.detectors import decoded

    view = windowed(recording, cfg.data)
    hulk = cfg.tracking.hulk  # which tells an object's class by its spikes
    single = range(model.config.n_classes) if model.config.n_classes > 1 and not hulk else ()
    maps, slices, by_class = [], [], []
    seen = decoded(model, view.windows(), [reading.classes, *([c] for c in single)])
    for k, (frames, spikes, (traced, *alone)) in enumerate(progress(seen, recording.name, "window", total=len(view.start_us))):
        maps.append(traced)
        by_class.append(alone)
        if hulk:
            read = reading.threshold, reading.classes
            slices.append(unravelled(view, k, model, frames, spikes, traced.dense(), read, cfg.tracking))
    response = answer(view, maps, reading.threshold, cfg.tracking, slices if hulk else None)
    found = response.found
    assert found is not None and response.saliency is not None
    for parts, classes in zip(found.slices, by_class, strict=True):
        lit = [one.dense() for one in classes]
        for part in parts if lit else []:
            part.blobs.objects["class_id"] = strongest_class(part.blobs, [one[part.steps] for one in lit])
    _, height, width = view.shape
    scale = (recording.sensor_size[0] / width, recording.sensor_size[1] / height)
    owner = iter(found.owners)
    windows = [
        (start, end, [row for s in parts for row in detection_rows(s.blobs.objects, next(owner), s.start_us, s.end_us, scale)])
        for start, end, parts in zip(view.start_us.tolist(), view.end_us.tolist(), found.slices, strict=True)
    ]
    thresholds = reading.threshold, reading.object_threshold
    summary = recording_detections(recording.name, recording.sensor_size, thresholds, windows, found.tracks)
    rows = track_rows(recording.name, found.tracks.tracks, [s.blobs.objects for parts in found.slices for s in parts], scale)
    return DetectedRecording(summary, rows, event_columns(recording.events, response.saliency, found.ids, response.scores))


def strongest_class(blobs: Blobs, by_class: Sequence[np.ndarray]) -> np.ndarray:
    """int32 (n,): for each object of a window the class, of those whose saliency (T, H, W) is given, that lit it up most."""
    (_, pixel, number), n = blobs.labels, len(blobs.objects)
    sums = np.stack([np.bincount(number, lit.sum(0).reshape(-1)[pixel], n + 1)[1:] for lit in by_class])
    return np.argmax(sums, 0).astype(np.int32)


def _picture(recording: Recording, result: DetectedRecording) -> bytes:
    from spikeseg.detection.schema import TRACK_COLUMNS
    from spikeseg.plots.saliency import saliency_figure

    number, x, y = (TRACK_COLUMNS.index(name) for name in ("track_id", "x", "y"))
    places: dict[int, list[tuple[float, float]]] = {}
    for row in result.track_rows:
        places.setdefault(row[number], []).append((row[x], row[y]))
    tracks = [np.array(places[name]) for name in sorted(places)]
    buffer = io.BytesIO()
    figure = saliency_figure(recording.events, result.events["score"], recording.sensor_size, tracks, recording.name)
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _write_npz(file: BinaryIO, columns: Mapping[str, np.ndarray]) -> None:
    """A .npz of fixed bytes for equal columns. What the recording itself holds is stored as it is: compressing it would halve
    the file and take a fifth of all the time."""
    from spikeseg.data.recording import EVENT_DTYPE

    with zipfile.ZipFile(file, "w") as archive:
        for name, column in columns.items():
            part, entry = io.BytesIO(), zipfile.ZipInfo(f"{name}.npy")
            np.lib.format.write_array_header_1_0(part, np.lib.format.header_data_from_array_1_0(column))
            if name not in (EVENT_DTYPE.names or ()):
                part.write(column.data)
                archive.writestr(entry, part.getbuffer(), zipfile.ZIP_DEFLATED, compresslevel=1)
                continue
            entry.file_size = part.tell() + column.nbytes  # from which zipfile knows whether it takes the form for large files
            with archive.open(entry, "w") as whole:
                whole.write(part.getvalue())
                whole.write(column.data)
