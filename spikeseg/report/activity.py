"""Spikes and synaptic operations of a recording, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spikeseg.core import interrupts
from spikeseg.core.sparse import SparseFrames, SpikeLists
from spikeseg.core.text import many
from spikeseg.models.work import LayerWork, added, layer_work
from spikeseg.plots.raster import RasterLevel

from .seen import Network, Seen

NO_SPIKES = np.zeros(0), np.zeros(0)


class Activity(NamedTuple):
    """Spikes of a recording.

    Attributes:
        levels: events and spikes of each layer over time, of windows that do not overlap.
        work: of all windows together.
        events: that passed the transforms.
        windows: how many there are.
        seconds: from the first event to the last.
    """

    levels: Sequence[RasterLevel]
    work: Sequence[LayerWork]
    events: int
    windows: int
    seconds: float


def activity(network: Network, seen: Seen) -> Activity:
    """Spikes and synaptic operations of a recording."""
    view, clock, encoder = seen.view, seen.clock, network.model.encoder
    step_s, parts, end_us = view.spec.timestep_us / 1e6, [], None
    spikes: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {spec.name: [] for spec in encoder.specs}
    for start_us, frames, rates in view.windows():
        interrupts.check()
        parts.append(layer_work(encoder, frames, rates[None]))
        if end_us is not None and start_us < end_us:
            continue
        end_us = start_us + view.spec.window_us
        for name, fired in _spikes(network, frames, rates).items():
            step = np.repeat(np.arange(fired.shape[0]), np.diff(fired.offsets))
            maps, pixel = np.divmod(fired.sites, fired.shape[2] * fired.shape[3])
            place = maps + pixel // fired.shape[3] / fired.shape[2]
            spikes[name].append((clock.seconds(start_us) + (step + 0.5) * step_s, place))
    events = view.events[view.kept]
    near = np.zeros(len(events), bool) if seen.verdict is None else seen.verdict.truth.event_columns["object_id"][view.kept] > 0
    place = events["p"] + events["y"] / view.sensor_size[1]
    levels = [RasterLevel(f"input: {many(len(events), 'event')}", "polarity", clock.seconds(events["t"]), place, 2, near)]
    for spec in encoder.specs:
        t_s, place = (np.concatenate(column) for column in zip(NO_SPIKES, *spikes[spec.name], strict=True))
        title = f"{spec.name}: {many(len(t_s), 'spike')}"
        levels.append(RasterLevel(title, "map", t_s, place, spec.channels, np.zeros(len(t_s), bool)))
    t = view.events["t"]
    seconds = float(t[-1] - t[0]) / 1e6 if len(t) else 0.0
    return Activity(levels, added(parts), len(events), len(parts), seconds)


def _spikes(network: Network, frames: SparseFrames, rates: np.ndarray) -> dict[str, SpikeLists]:
    """Spikes of each layer of one window, before its pool."""
    encoder = network.model.encoder
    return {spec.name: encoder.infer(frames, rates[None], spec.name, pooled=False)[spec.name].lists for spec in encoder.specs}
