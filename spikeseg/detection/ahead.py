"""Kernels that detection needs last, compiled by a process of its own while another compiles those that it needs first.

numba compiles one function at a time in a process; compiled code is kept on disk, where the other process finds it. On two cores
the first recording on a new machine so takes little more than half of the time. No result depends on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spikeseg.data.recording import Recording

SIZE, SECONDS = (96, 72), 4.0
"""Of what is detected in, px and s: as little as reaches every kernel."""
NOISE_EVENTS, POINT_EVENTS, POINTS, SPEED_PX_S = 2500, 400, 6, 12.0
"""Events of the noise, events of each point, and how many points stand still, and as many move."""


def compile_last(scenes: bool) -> None:
    """Run the second half of detection on a few made-up events, and throw away what comes of it.

    Args:
        scenes: whether whole objects are looked for (tracking.scenes): then the network comes last, else the motion layer does.
    """
    if scenes:
        _network()
    else:
        _motion()


def _motion() -> None:
    """The motion layer, and then the tracker."""
    from spikeseg.config.load import load_config
    from spikeseg.core.sparse import SparseMap
    from spikeseg.data.windows import WindowedRecording, frame_spec
    from spikeseg.motion.footprint import Footprint
    from spikeseg.tracking.star_field import StarField

    from .moving import Motion, find_paths
    from .tracked import answer

    cfg = load_config("demo")
    recording, spec = points(), frame_spec(cfg.data)
    starts = np.arange(0, round(SECONDS * 1e6) - spec.window_us // 2, spec.window_us // 2)
    kept = np.ones(len(recording.events), bool)
    view = WindowedRecording(recording.name, recording.events, kept, SIZE, spec, starts, lambda: iter(()))
    motion = Motion(Footprint.point(0.7), cfg.tracking.false_alarms_per_minute, cfg.tracking.deep, cfg.backend)
    find_paths(view, StarField.still(), motion)
    maps = []
    for start in starts.tolist():
        cells, events = np.unique(view.located(start)[1], return_counts=True)
        lit = cells[events > 1]  # of points, hardly any of noise
        maps.append(SparseMap(view.shape, lit, np.ones(len(lit), np.float32)))
    answer(view, maps, 0.5, cfg.tracking, motion=motion)


def _network() -> None:
    """The network."""
    from spikeseg.config.load import load_config
    from spikeseg.data.windows import windowed
    from spikeseg.learning.checkpoint import build

    from .network import decoded

    cfg = load_config("files")
    recording = points()
    recording.events["t"] //= 20  # so that the thresholds of scenes are reached
    view = windowed(recording, cfg.data, background=cfg.model.background_adaptive)
    model = build(cfg)
    model.encoder.backend = cfg.backend
    for _ in zip(range(3), decoded(model, view.windows(), [None, [0]]), strict=False):
        pass


def points() -> Recording:
    """Points that stand still and points that move, among noise."""
    from spikeseg.data.recording import EVENT_DTYPE, Recording

    rng = np.random.default_rng(0)
    total = NOISE_EVENTS + 2 * POINTS * POINT_EVENTS
    source = np.repeat(np.arange(-1, 2 * POINTS), [NOISE_EVENTS, *[POINT_EVENTS] * (2 * POINTS)])
    t_s, side = rng.uniform(0, SECONDS, total), np.array(SIZE)
    begin = rng.uniform(0.2, 0.8, (2 * POINTS, 2)) * side
    velocity = np.where(np.arange(2 * POINTS)[:, None] < POINTS, 0.0, rng.uniform(-SPEED_PX_S, SPEED_PX_S, (2 * POINTS, 2)))
    at = np.where(
        source[:, None] < 0,
        rng.uniform(0, 1, (total, 2)) * side,
        begin[source] + velocity[source] * t_s[:, None] + rng.standard_normal((total, 2)),
    )
    events = np.zeros(total, EVENT_DTYPE)
    events["t"] = np.round(t_s * 1e6)
    events["x"], events["y"] = np.clip(np.floor(at), 0, side - 1).T
    events["p"] = rng.random(total) < 0.5
    return Recording(np.sort(events, order="t"), SIZE, None, "points", "points")
