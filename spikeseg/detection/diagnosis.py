"""What a network makes of single windows, layer by layer, beside what is known to be there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spikeseg.data.frames.framing import to_frame
from spikeseg.data.windows import WindowedRecording

from .network import decoded

if TYPE_CHECKING:
    from spikeseg.models import SpikeSEG

LAYERS = {"conv1": "pool1", "conv2": "pool2"}
"""Layers that are looked at -> the output that the next layer sees."""


class Diagnosis(NamedTuple):
    """One window; everything summed over its steps, in pixels of the frame or neurons of the layer.

    Attributes:
        recording: its recording.
        start_us, end_us: of the window, µs.
        events: float64 (P, H, W), the frames.
        layers: by LAYERS float64 (h, w), spikes of all maps.
        saliency: float64 (H, W).
        truth: LABEL_DTYPE in pixels of the frame, the labels within the window; None where nobody has labelled the recording.
    """

    recording: str
    start_us: int
    end_us: int
    events: np.ndarray
    layers: Mapping[str, np.ndarray]
    saliency: np.ndarray
    truth: np.ndarray | None


def chosen_windows(view: WindowedRecording, labels: np.ndarray | None, most: int) -> np.ndarray:
    """Which windows to look at: int64, `most` of those that hold a label, of all where none does, spread evenly."""
    candidates = np.arange(len(view.start_us))
    if labels is not None:
        within = np.searchsorted(np.sort(labels["t"]), (view.start_us, view.start_us + view.spec.window_us))
        labelled = np.flatnonzero(within[1] > within[0])
        candidates = labelled if len(labelled) else candidates
    if len(candidates) <= most:
        return candidates
    return candidates[((np.arange(most) + 0.5) * len(candidates) / most).astype(np.int64)]


def diagnose(
    model: SpikeSEG,
    view: WindowedRecording,
    labels: np.ndarray | None,
    which: Sequence[int],
    classes: Sequence[int] | None = None,
) -> list[Diagnosis]:
    """Windows of a recording as each layer of a network sees them.

    Args:
        model: the network, on any device.
        view: the recording.
        labels: LABEL_DTYPE in sensor pixels, which the network does not see; None without any.
        which: numbers of the windows, rising.
        classes: whose classification spikes are traced back; None: all.
    """
    numbers, (_, height, width) = set(which), view.shape
    windows = (window for k, window in enumerate(view.windows()) if k in numbers)
    found = []
    for k, window in zip(which, decoded(model, windows, [classes]), strict=True):
        start, end = int(view.start_us[k]), int(view.end_us[k])
        truth = None
        if labels is not None:
            truth = labels[(labels["t"] >= start) & (labels["t"] < end)]
            truth["x"] = to_frame(truth["x"], view.sensor_size[0], width)
            truth["y"] = to_frame(truth["y"], view.sensor_size[1], height)
        layers = {name: window.spikes[output].lists.dense()[0].sum((0, 1), np.float64) for name, output in LAYERS.items()}
        events, saliency = window.frames.dense()[0].sum(0, np.float64), window.maps[0].dense().sum(0, np.float64)
        found.append(Diagnosis(view.name, start, end, events, layers, saliency, truth))
    return found
