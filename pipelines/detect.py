"""Stage `detect`: a network on any recording, without labels: objects, tracks and a score for every event."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.errors import InputError

from .console import progress
from .prepare import Framed, frame_recording, frame_spec
from .run import Done, atomic_write, run_in_folder, run_stage, sha256_file
from .runs import Network

if TYPE_CHECKING:
    from spikeseg.algorithms.detections import RecordingDetections
    from spikeseg.algorithms.objects import Blobs, Slice
    from spikeseg.data.recording import Recording
    from spikeseg.models import SpikeSEG
    from spikeseg.sections import Config

    from .views import Response, View, Windows

STAGE, VERSION = "detect", 1
DETECTIONS, TRACKS = "detections.json", "tracks.csv"
ANY_RESPONSE = float(np.finfo(np.float32).tiny)
"""Threshold of a network that nobody calibrated: whatever lights up."""


def detect(
    cfg: Config,
    network: Network,
    recordings: Sequence[str],
    *,
    output: Path | None = None,
    force: bool = False,
    plot: bool = False,
) -> Done:
    """Run a network over recordings and write detections.json, tracks.csv and <recording>.events.npz.

    Args:
        cfg: how to frame and track; of the network it must have the shape.
        network: the checkpoint.
        recordings: paths (``FILE.h5::NAME`` for one of several in an HDF5 file).
        output: the folder; by default ``detect/<key>/`` in the run's.
        force: run again what is up to date.
        plot: also draw each recording, <recording>.png; needs matplotlib.

    Raises InputError: a recording or the checkpoint cannot be read or do not fit, two recordings share a name, the folder cannot
    be written."""
    from spikeseg.data.datasets import fingerprint
    from spikeseg.data.readers import MEMBER

    names = [place.split(MEMBER)[-1] if MEMBER in place else Path(place).stem for place in recordings]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{twice[0]}: two recordings of this name; detect them into different folders")
    for place in recordings:
        if Path(place).is_dir():
            raise InputError(f"{place}: a folder; name the recordings in it ({place.rstrip('/')}/*)")
    reading = calibrated_reading(network)
    config = {
        "model": dataclasses.asdict(cfg.model),
        "frames": dataclasses.asdict(frame_spec(cfg)),
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
class Reading:
    """How a network's output is read: the saliency from which a pixel counts as lit, and the classes that count (None: all)."""

    threshold: float = ANY_RESPONSE
    classes: Sequence[int] | None = None


def calibrated_reading(network: Network) -> Reading:
    """As calibrated by the newest `evaluate` of this checkpoint; without one, any response of any class."""
    own = sha256_file(network.checkpoint)
    found = sorted((network.folder / "evaluate").glob("*/metrics.json"), key=lambda path: path.stat().st_mtime_ns)
    for path in reversed(found):
        metrics = json.loads(path.read_text(encoding="utf-8"))
        if metrics["checkpoint"]["sha256"] == own:
            return Reading(float(metrics["thresholds"]["network"]), metrics["settings"]["classes"])
    return Reading()


def write_detections(
    cfg: Config, network: Network, recordings: Sequence[str], reading: Reading, folder: Path, plot: bool = False
) -> dict[str, Any]:
    """Fill the output folder. -> what the manifest tells: counts by recording, device."""
    from spikeseg.algorithms.detections import TRACK_COLUMNS, detections_document
    from spikeseg.data.readers import read

    from .detectors import load_network
    from .device import network_device
    from .parallel import ordered

    device = network_device(cfg.device, cfg.backend)
    model = load_network(cfg, str(network.checkpoint), device)
    found, rows = [], []

    def one(place: str) -> tuple[Recording, Detected]:
        recording = read(place, lenient=cfg.data.lenient)
        return recording, detect_recording(cfg, model, recording, reading)

    for recording, result in ordered(one, recordings, cfg.data.num_workers, threads=True):
        found.append(result.summary)
        rows += result.track_rows
        atomic_write(folder / f"{recording.name}.events.npz", _npz(result.events))
        if plot:
            atomic_write(folder / f"{recording.name}.png", _picture(recording, result))
    atomic_write(folder / DETECTIONS, json.dumps(detections_document(found), indent=1, allow_nan=False) + "\n")
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(TRACK_COLUMNS)
    writer.writerows([[f"{value:.4f}" if isinstance(value, float) else value for value in row] for row in rows])
    atomic_write(folder / TRACKS, lines.getvalue())
    counts = {r["name"]: {"windows": len(r["windows"]), "tracks": r["tracks"]} for r in found}
    return {"recordings": counts, "device": str(device), "seed": cfg.seed}


@dataclasses.dataclass(frozen=True)
class Detected:
    """What one recording came to: its part of detections.json, its rows of tracks.csv, the columns of its events' file."""

    summary: RecordingDetections
    track_rows: list[tuple[Any, ...]]
    events: dict[str, np.ndarray]


def detect_recording(cfg: Config, model: SpikeSEG, recording: Recording, reading: Reading) -> Detected:
    """Saliency, objects of every slice of every window, tracks, and each event's score and track."""
    from spikeseg.algorithms.detections import detection_rows, event_columns, recording_detections, track_rows
    from spikeseg.algorithms.objects import find_in_slices
    from spikeseg.algorithms.tracking import Tracker, star_field_velocity

    from .detectors import saliencies
    from .views import Sparse, from_maps

    view = view_of(cfg, recording)
    single = [[c] for c in range(model.config.n_classes)] if model.config.n_classes > 1 else []
    settings = cfg.tracking
    tracker = Tracker(min_hits=settings.min_hits, max_misses=settings.max_misses, gate_px=settings.gate_px)
    times = list(zip(view.start_us.tolist(), view.end_us.tolist(), strict=True))
    maps, slices, owners = [], [], []
    for k, (_, frames, rates) in enumerate(progress(view.windows(), recording.name, "window", total=len(times))):
        traced, *by_class = saliencies(model, frames, rates, [reading.classes, *single])
        maps.append(Sparse.of(traced))
        start, end = times[k]
        seen_us = times[k - 1][1] if k else None
        found = find_in_slices(
            traced, reading.threshold, start_us=start, end_us=end, step_us=view.spec.timestep_us, from_us=seen_us
        )
        for part in found:
            if by_class:
                part.blobs.objects["class_id"] = strongest_class(part.blobs, [lit[part.steps] for lit in by_class])
            places = np.stack([part.blobs.objects["x"], part.blobs.objects["y"]], 1)
            owners.append(tracker.update((part.start_us + part.end_us) / 2, places))
        slices.append(found)
    _, height, width = view.shape
    scale = (recording.sensor_size[0] / width, recording.sensor_size[1] / height)
    owner = iter(owners)
    windows = [
        (*times[k], [row for s in found for row in detection_rows(s.blobs.objects, next(owner), s.start_us, s.end_us, scale)])
        for k, found in enumerate(slices)
    ]
    field = star_field_velocity(tracker.tracks)
    summary = recording_detections(
        recording.name, recording.sensor_size, reading.threshold, windows, tracker.tracks, field, scale
    )
    response = from_maps(view, maps)
    rows = track_rows(recording.name, tracker.tracks, [s.blobs.objects for found in slices for s in found], field, scale)
    ids = event_ids(view, response, reading.threshold, slices, [[track.id for track in tracks] for tracks in owners])
    return Detected(summary, rows, event_columns(recording.events, response.scores, ids))


def strongest_class(blobs: Blobs, by_class: Sequence[np.ndarray]) -> np.ndarray:
    """int32 (n,): for each object of a window the class, of those whose saliency (T, H, W) is given, that lit it up most."""
    flat, n = blobs.labels.reshape(-1), len(blobs.objects)
    sums = np.stack([np.bincount(flat, lit.sum(0).reshape(-1), n + 1)[1:] for lit in by_class])
    return np.argmax(sums, 0).astype(np.int32)


def view_of(cfg: Config, recording: Recording) -> View:
    """A recording framed as `prepare` would, seen as a detector sees it; it can be gone through again and again."""
    from .views import View

    spec = frame_spec(cfg)

    def framed() -> Framed:
        return frame_recording(recording, spec, list(cfg.data.transforms))

    def windows() -> Windows:
        for part, rates in framed().parts:
            yield from zip(part.start_us.tolist(), part.frames, rates, strict=True)

    first = framed()
    return View(recording.name, recording.events, first.kept, recording.sensor_size, spec, first.start_us, windows)


def event_ids(
    view: View, response: Response, threshold: float, slices: Sequence[Sequence[Slice]], owners: Sequence[Sequence[int]]
) -> np.ndarray:
    """int32 (n,): the track of each event that lies in one of its objects and reaches the threshold; 0 for the others.

    Args:
        view: what the network saw.
        response: what it said.
        threshold: from which saliency an event belongs to an object.
        slices: of every window.
        owners: of every slice, in their order, the track's id of each object.
    """
    ids = np.zeros(len(view.events), np.int32)
    owner = iter(owners)
    for start, parts in zip(view.start_us.tolist(), slices, strict=True):
        events, flat = view.located(start)
        events, flat = events[response.scores[events] >= threshold], flat[response.scores[events] >= threshold]
        step, pixel = np.divmod(flat, int(np.prod(view.shape[1:])))
        for part in parts:
            of_object = np.array([0, *next(owner)], np.int32)
            inside = (step >= part.steps.start) & (step < part.steps.stop)
            ids[events[inside]] = of_object[part.blobs.labels.reshape(-1)[pixel[inside]]]
    return ids


def _picture(recording: Recording, result: Detected) -> bytes:
    from spikeseg.algorithms.detections import TRACK_COLUMNS
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


def _npz(columns: Mapping[str, np.ndarray]) -> bytes:
    """A .npz of fixed bytes for equal columns."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, column in columns.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, column, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), part.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=1)
    return buffer.getvalue()
