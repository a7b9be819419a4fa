"""The detectors of `limit.py`: the network, and classical opponents whose thresholds are set by false alarms.

Each prepares a recording once, without its labels, and gives its tracks at any of its thresholds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import limit_stack
import numpy as np
from follow_nights import reported
from limit_scoring import Track

import spikeseg
from spikeseg.config.load import load_config, parse_overrides
from spikeseg.config.sections import Config
from spikeseg.data.recording import Recording
from spikeseg.data.windows import WindowedRecording, windowed
from spikeseg.detection import classical
from spikeseg.detection.detect import detect_recording
from spikeseg.detection.response import Response
from spikeseg.detection.tracked import slices_of, track
from spikeseg.evaluation.detectors import filters
from spikeseg.simulation.limit import LimitConfig
from spikeseg.tracking.scene import ObjectTrack, Slices, find_tracks

FRAME_S, FRAME_STEP_S = 1.0, 0.25
"""Length of the frames of blobs and lines, as in `evaluate`, and how often there is one: the tracker wants many."""


@dataclass(frozen=True)
class Detector:
    """Something that finds tracks in a recording.

    Attributes:
        name: in options and JSON.
        title: in tables.
        prepare: a recording -> what `tracks` takes.
        tracks: that, and a threshold -> tracks with their scores, those that may be stars' included.
        thresholds: rising, to choose from, with a cut of the scores for each; empty for a detector that has its own of both.
    """

    name: str
    title: str
    prepare: Callable[[Recording], Any]
    tracks: Callable[[Any, float], list[Track]]
    thresholds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Trained:
    """A network: its checkpoint, and KEY=VALUE changes to the configuration that it was trained with."""

    checkpoint: Path
    changes: tuple[str, ...] = ()


TITLES = {
    "network": "network",
    "network_cut": "network, score set by false tracks",
    "graded": "graded filter, tracked",
    "blobs": "blobs of frames, tracked",
    "lines": "Hough lines, tracked",
    "stack": "shift and stack",
    "follow": "network, detect --follow",
}

OF_NETWORK = ("network", "follow", "network_cut")


def detector(name: str, network: Trained | None, config: LimitConfig) -> Detector:
    """A detector by its name.

    Args:
        name: a key of TITLES.
        network: for the detectors that need it.
        config: of the recordings: shift-and-stack is told their speeds and how long objects are in view.
    """
    if name in OF_NETWORK:
        assert network is not None
        if name == "follow":
            return Detector(name, TITLES[name], functools.partial(_followed_tracks, network), lambda tracks, _: list(tracks))
        own = name == "network"
        tracks = functools.partial(_network_tracks, network, own)
        return Detector(name, TITLES[name], tracks, lambda tracks, _: list(tracks), () if own else (0.0,))
    if name == "graded":
        return Detector(name, TITLES[name], _graded_maps, _graded_tracks, _steps(0.25, 8.0))
    if name in ("blobs", "lines"):
        find = classical.blobs if name == "blobs" else classical.lines
        tracks = functools.partial(_frame_tracks, find)
        return Detector(name, TITLES[name], _frames, tracks, _steps(1.0, 8.0))
    search = limit_stack.Stack.of(config)
    return Detector(name, TITLES[name], search.paths, lambda paths, _: list(paths), (0.0,))


def _steps(low: float, high: float) -> tuple[float, ...]:
    """From low to high by factors of the square root of 2."""
    return tuple((low * 2 ** (np.arange(2 * np.log2(high / low) + 1) / 2)).tolist())


@functools.cache
def settings() -> Config:
    """The demo's configuration: windows, transforms and tracker of the opponents."""
    return load_config("demo", {"device": "cpu"})


# -- the network --------------------------------------------------------------------------------------


@functools.cache
def _loaded(trained: Trained) -> Any:
    return spikeseg.load(trained.checkpoint, {"device": "cpu", **parse_overrides(trained.changes)})


def _network_tracks(trained: Trained, own_threshold: bool, recording: Recording) -> list[Track]:
    """What `detect` calls objects, or all its tracks."""
    network = _loaded(trained)
    found = detect_recording(network.model, recording, network.config, network.readout)
    numbers = found.object_ids if own_threshold else found.track_ids
    rows = [found.tracks[found.tracks["track_id"] == number] for number in numbers]
    return [
        Track(own["t_us"].astype(np.float64), np.stack([own["x"], own["y"]], 1), float(own["object_score"][0])) for own in rows
    ]


def _followed_tracks(trained: Trained, recording: Recording) -> list[Track]:
    """What `detect --follow` calls objects."""
    return [Track(own.t_us, own.places) for own in reported(_loaded(trained), recording)]


# -- opponents that are tracked as the network is -----------------------------------------------------


def _graded_maps(recording: Recording) -> tuple[WindowedRecording, Response]:
    view = windowed(recording, settings().data)
    (graded,) = (detector for detector in filters(settings().evaluation) if detector.name == "graded")
    return view, graded.respond(view)


def _graded_tracks(prepared: tuple[WindowedRecording, Response], threshold: float) -> list[Track]:
    """Tracks of the connected pixels whose score reaches the threshold, as evaluation.detectors.tracked has them."""
    view, response = prepared
    tracks, _ = track(view, slices_of(view, response.maps, threshold), settings().tracking)
    return _scored(tracks.tracks)


def _frames(recording: Recording) -> tuple[np.ndarray, list[np.ndarray]]:
    """Middles (n,), µs, and frames (H, W) of counts; without hot pixels, as the network has it."""
    view = windowed(recording, settings().data)
    events = view.events[view.kept]
    length, step = round(FRAME_S * 1e6), round(FRAME_STEP_S * 1e6)
    starts = np.arange(0, max(int(events["t"][-1]) - length + 1, 1), step) if len(events) else np.zeros(0, np.int64)
    edges = np.searchsorted(events["t"], [starts, starts + length])
    parts = [events[first:last] for first, last in edges.T]
    return starts + length / 2, [classical.accumulate(part, recording.sensor_size) for part in parts]


def _frame_tracks(
    find: Callable[..., classical.FrameDetections], prepared: tuple[np.ndarray, list[np.ndarray]], threshold: float
) -> list[Track]:
    """Tracks of the objects of frames, from this many standard deviations on."""
    middles, frames = prepared
    objects = [find(frame, object_sigmas=threshold).objects for frame in frames]
    positions = [np.stack([own["x"], own["y"]], 1).astype(np.float64) for own in objects]
    return _scored(find_tracks(Slices(middles.tolist(), positions), settings().tracking).tracks)


def _scored(tracks: Sequence[ObjectTrack]) -> list[Track]:
    return [Track(own.t_us, own.states[:, :2], own.score) for own in tracks]
