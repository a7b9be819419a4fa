"""The motion layer learns the footprint of objects from recordings, without labels (ours)."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from spikeseg.core.progress import Progress, silent
from spikeseg.core.sparse import ANY_RESPONSE
from spikeseg.learning.footprint import WinnerSpikes, learned_footprint, untrained_footprint, winner_spikes
from spikeseg.motion.footprint import Footprint

from .moving import Motion, find_paths
from .network import decoded
from .tracked import slices_of, track

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.windows import WindowedRecording
    from spikeseg.models import SpikeSEG
    from spikeseg.tracking.star_field import StarField

log = logging.getLogger(__name__)

MOST_RECORDINGS, MOST_SECONDS = 24, 120.0
"""It learns from so many recordings at most, drawn by the seed, and from so much of each, s."""

ROUNDS = 3
"""It learns, and searches again with what it has learned, so often at most ..."""

SETTLED = 0.1
"""... or until the shares of a footprint change by less than this in sum."""


class Night(NamedTuple):
    """A recording to learn from.

    Attributes:
        view: gives it, when it is needed.
        field: the motion of its stars.
    """

    view: Callable[[], WindowedRecording]
    field: StarField


class LearnedFootprint(NamedTuple):
    """share: float64 (2, side, side), None where too little was found to learn from; report: for the layer's manifest."""

    share: np.ndarray | None
    report: dict[str, Any]


def train_motion(
    model: SpikeSEG, views: Sequence[Callable[[], WindowedRecording]], cfg: Config, progress: Progress = silent
) -> LearnedFootprint:
    """What the motion layer of a network learns from recordings; the network's own footprint stays as it is.

    Args:
        model: its other layers are trained.
        views: each gives a recording; labels are not read.
        cfg: of its sections data and tracking are read, its seed and its backend.
        progress: shown the recordings of every round.
    """
    drawn = np.random.default_rng([cfg.seed, 23]).permutation(len(views))[:MOST_RECORDINGS]
    chosen = [views[k] for k in sorted(drawn.tolist())]
    nights = [Night(view, star_field(model, view(), cfg)) for view in progress(chosen, "stars for motion", len(chosen))]
    return footprint_of(nights, cfg, progress)


def star_field(model: SpikeSEG, view: WindowedRecording, cfg: Config) -> StarField:
    """The common motion of the stars in a recording, by all classes of the network."""
    maps = [window.maps[0] for window in decoded(model, view.windows(), [None])]
    tracks, _ = track(view, slices_of(view, maps, ANY_RESPONSE), cfg.tracking)
    return tracks.field


def footprint_of(nights: Sequence[Night], cfg: Config, progress: Progress = silent) -> LearnedFootprint:
    """Learn from the paths that are found, beginning with untrained weights, and search again with what was learned.

    Args:
        nights: to learn from.
        cfg: of its section tracking the false alarms are read, its seed and its backend.
        progress: shown the nights of every round.
    """
    footprint, rounds, found, spikes, changed = untrained_footprint(cfg.seed), 0, 0, WinnerSpikes.none(), 0.0
    learned: Footprint | None = None
    while rounds < ROUNDS:
        rng = np.random.default_rng([cfg.seed, 29, rounds])
        motion = Motion(footprint, cfg.tracking.false_alarms_per_minute, backend=cfg.backend, careful=False)
        rounds += 1
        parts = [_spikes(night, motion, rng) for night in progress(nights, f"motion round {rounds}/{ROUNDS}", len(nights))]
        spikes, found = WinnerSpikes.joined([part for own in parts for part in own]), sum(map(len, parts))
        learned = learned_footprint(spikes, footprint, rng)
        if learned is None:
            log.warning("motion: %d spikes of winners are too few to learn from; give it more recordings", len(spikes.fired))
            break
        changed = float(np.abs(learned.share - footprint.share).sum())
        footprint = learned
        if changed < SETTLED:
            break
    on, off = footprint.displacement() if learned else (None, None)
    report = {
        "samples": len(spikes.fired),
        "paths": found,
        "rounds": rounds,
        "change": changed,
        "on_ahead_px": on,
        "off_ahead_px": off,
        "sigma_px": footprint.sigma() if learned else None,
    }
    return LearnedFootprint(learned.share if learned else None, report)


def _spikes(night: Night, motion: Motion, rng: np.random.Generator) -> list[WinnerSpikes]:
    """Spikes of the winners of one recording, path by path."""
    view = night.view()
    if len(view.events):
        view = dataclasses.replace(view, kept=view.kept & (view.events["t"] < view.events["t"][0] + MOST_SECONDS * 1e6))
    found = find_paths(view, night.field, motion)
    objects = [path for path, nats in zip(found.paths, found.nats, strict=True) if nats >= found.threshold]
    return [winner_spikes(path, found.search.events, view.sensor_size, rng) for path in objects]
