"""The detectors that `evaluate` sets side by side: raw events, two activity filters, the network untrained and trained.

Each turns a `View` into a `Response`; none sees a label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .views import Response, Sparse, View, from_maps, from_scores

if TYPE_CHECKING:
    import torch

    from spikeseg.models import SpikeSEG
    from spikeseg.sections import Config, EvaluationConfig

PASSED = 0.5
"""Threshold of a detector whose scores are 0 or 1."""


@dataclass(frozen=True)
class Detector:
    """Something that responds to a recording.

    Attributes:
        name: in metrics.json.
        title: in the table.
        respond: View -> Response.
        threshold: from which an event counts as seen; None: to be calibrated on the training split.
        is_network: whether it has pixels to score.
    """

    name: str
    title: str
    respond: Callable[[View], Response]
    threshold: float | None = None
    is_network: bool = False


def filters(settings: EvaluationConfig) -> list[Detector]:
    """The detectors without a network: raw events, tonic's Denoise, and the graded activity filter."""
    from spikeseg.algorithms import activity

    def raw(view: View) -> Response:
        return from_scores(view, np.ones(len(view.events)))

    def denoise(view: View) -> Response:
        scores = np.zeros(len(view.events))
        scores[view.kept] = activity.denoise(view.events[view.kept], settings.denoise_filter_time_us)
        return from_scores(view, scores)

    def graded(view: View) -> Response:
        scores = np.zeros(len(view.events))
        scores[view.kept] = activity.graded(
            view.events[view.kept], view.sensor_size, settings.graded_radius_px, settings.graded_tau_ms * 1000
        )
        return from_scores(view, scores)

    return [
        Detector("raw_events", "raw events", raw, PASSED),
        Detector("denoise", "denoise filter", denoise, PASSED),
        Detector("graded", "graded filter", graded),
    ]


def network(name: str, title: str, model: SpikeSEG, classes: Sequence[int] | None = None) -> Detector:
    """A network as a detector; `classes` are those that count as object, None for all."""

    def respond(view: View) -> Response:
        maps = [Sparse.of(saliency(model, frames, rates, classes)) for _, frames, rates in view.windows()]
        return from_maps(view, maps)

    return Detector(name, title, respond, is_network=True)


def saliency(
    model: SpikeSEG, frames: np.ndarray, background: np.ndarray, classes: Sequence[int] | None = None
) -> np.ndarray:
    """Saliency (T, H, W) float32 of one window; see `saliencies`."""
    return saliencies(model, frames, background, [classes])[0]


def saliencies(
    model: SpikeSEG, frames: np.ndarray, background: np.ndarray, readings: Sequence[Sequence[int] | None]
) -> list[np.ndarray]:
    """Saliency (T, H, W) float32 of one window, once per reading; the window is encoded once.

    Args:
        model: on any device.
        frames: (T, 2, H, W).
        background: (2, hb, wb).
        readings: the classes whose spikes are traced back; None: all.
    """
    from spikeseg.models import decode

    found = model.infer(frames[None], background[None])
    return [decode(model.encoder, frames[None], found, classes)[0] for classes in readings]


def load_network(cfg: Config, path: str, device: torch.device) -> SpikeSEG:
    """The network of a checkpoint, as the configuration runs it, on a device.

    Raises InputError when the file is no checkpoint or its tensors have another shape than the configuration asks for."""
    from spikeseg.learning import checkpoint

    saved, _ = checkpoint.load(path)
    model = checkpoint.build(cfg)
    checkpoint.restore(model, saved.encoder.state_dict(), path)
    model.encoder.backend = cfg.backend
    return model.to(device)
