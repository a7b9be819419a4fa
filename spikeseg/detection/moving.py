"""The motion layer in detection: paths of faint objects beside the tracks of what lights up (ours).

The tracker gives the star field and all that is bright. The motion layer finds what moves, bright or faint, among the events
that no star explains. Both are brought together here: a track that a path covers is that path; a track without one has to show,
along its way, the same evidence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spikeseg.config.sections import TrackingConfig
from spikeseg.data.windows import WindowedRecording
from spikeseg.motion.background import Marks, background_rates
from spikeseg.motion.contrast import frame_by_contrast
from spikeseg.motion.events import Events, Index, events_of, index_of
from spikeseg.motion.footprint import Footprint
from spikeseg.motion.frame import Frame, Moving, astray, pair, rigid
from spikeseg.motion.path import SmoothPath
from spikeseg.motion.paths import EARLY_NATS, SURE_NATS, against_stars, evidence_of, joined, telling
from spikeseg.motion.probability import probability, threshold_nats
from spikeseg.motion.scales import DEEP_SCALES, DEFAULT_SCALES
from spikeseg.motion.search import MotionSearch, SearchSettings
from spikeseg.motion.star_motion import FEW
from spikeseg.motion.stars import Stars, find_stars
from spikeseg.tracking.scene import ObjectTrack, Tracks
from spikeseg.tracking.star_field import WIDTH_PX_S, StarField

from .objects import Slice
from .path_slices import COVER_PX, COVER_SHARE, Draft, Merged

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.models import SpikeSEG

SPIKE_NATS, DEEP_SPIKE_NATS = 9.75, 7.5
"""Potential at which a map's neuron spikes, nat; deeper, more of them are looked at."""

FIELD_ROUNDS = 2
"""How often the star field's motion is corrected by paths that move alike."""

RESTS_PX_S, RESTS_S = 0.3, 2.0
"""What is slower than this, px/s, for so long, s, is at rest on the sensor."""

BLURRED_PX_S = 2 * WIDTH_PX_S
"""So slow a motion, px/s, that no stars agree on is none: of velocities, what rests and what moves so make one peak."""

LITTLE = 0.01
"""The background is estimated again without the stars where they cover more than this share of area and time."""

LEAST_LIKELY = 0.05
"""Probability that a path without enough evidence is an object's, at least: more than that of noise."""

CERTAIN_STAR = 0.5
"""A track of a lower score by its motion alone stays below it, unless its evidence is SURE_NATS times the threshold and the field
is steady."""


@dataclass(frozen=True, eq=False)
class Motion:
    """The motion layer of a network.

    Attributes:
        footprint: of the objects it looks for.
        false_alarms_per_minute: that it may raise.
        deep: whether to look longer: at more velocities and candidates, by maps whose receptive field is the footprint's.
        backend: of the maps, see `spikeseg.ops`.
        careful: whether bright points that pass, what moves slowly among few stars, and what rests on the sensor while stars
            stream past are looked for with more care. Footprints are learned without, as those of the networks that come with
            the package were.
        resting: whether stars may stream past what rests.
        boxes: whether maps count events in boxes when they look longer, too: to compare.
    """

    footprint: Footprint
    false_alarms_per_minute: float = TrackingConfig.false_alarms_per_minute
    deep: bool = TrackingConfig.deep
    backend: str = "auto"
    careful: bool = True
    resting: bool = True
    boxes: bool = False

    @property
    def matched(self) -> bool:
        """Whether the maps' receptive fields are the footprint's; else boxes."""
        return self.deep and not self.boxes

    def threshold(self, sensor_size: tuple[int, int]) -> float:
        """Evidence from which a path is an object on a sensor of (width, height), px: nat."""
        return threshold_nats(self.false_alarms_per_minute, sensor_size, self.matched)


def motion_of(cfg: Config, model: SpikeSEG) -> Motion | None:
    """The motion layer of a network, as the configuration runs it; None where it has none."""
    if not cfg.model.motion:
        return None
    share = model.footprint
    footprint = Footprint.point() if share is None else Footprint(np.asarray(share, np.float64))
    return Motion(footprint, cfg.tracking.false_alarms_per_minute, cfg.tracking.deep, cfg.backend)


def search_settings(motion: Motion, sensor_size: tuple[int, int]) -> SearchSettings:
    """How the layer searches on a sensor of (width, height), px."""
    return SearchSettings(
        scales=DEEP_SCALES if motion.deep else DEFAULT_SCALES,
        spike_nats=DEEP_SPIKE_NATS if motion.deep else SPIKE_NATS,
        path_nats=motion.threshold(sensor_size) - EARLY_NATS,
        backend=motion.backend,
        matched=motion.matched,
    )


class Found(NamedTuple):
    """What the motion layer finds.

    Attributes:
        paths: smoothed, each with its evidence against the background and the stars, nat.
        nats: of each path; 0 for stars.
        star: bool (n,), whether the path is one of several that move alike.
        threshold: evidence from which it is an object, nat.
        responsibility: float32 (n,), probability that an event is an object's, of the paths that tell of one.
        search: the finished search.
        stars: that were left out.
        frame: in which they stand still.
        tells: bool (n,), the paths that become tracks: long enough, and of nearly enough evidence; None: all.
        doubtful: float32 (n,), probability that an event is an object's whose path does not tell; None: there is none.
    """

    paths: list[SmoothPath]
    nats: list[float]
    star: np.ndarray
    threshold: float
    responsibility: np.ndarray
    search: MotionSearch
    stars: Stars
    frame: Frame
    tells: np.ndarray | None = None
    doubtful: np.ndarray | None = None


class Prepared(NamedTuple):
    """What a search starts from, whatever its footprint.

    Attributes:
        events: that were kept; those of stars are theirs.
        by_place: index of them.
        stars: that were left out.
        frame: in which they stand still.
        chosen: int64 (m,), the events' indices in their recording.
        total: events of the recording.
        sensor_size: (width, height), px.
    """

    events: Events
    by_place: Index
    stars: Stars
    frame: Frame
    chosen: np.ndarray
    total: int
    sensor_size: tuple[int, int]


def prepared(view: WindowedRecording, frame: Frame, careful: bool = True, resting: bool = True) -> Prepared:
    """The events that were kept, with the background's rates, the stars' told from the others. careful, resting: see `Motion`."""
    index, size = np.flatnonzero(view.kept), view.sensor_size
    events = view.events
    columns = events["t"] * 1e-6, events["x"], events["y"], events["p"].astype(np.int64)
    t_s, x, y, on = (np.ascontiguousarray(column if len(index) == len(events) else column[index]) for column in columns)
    marks = Marks.of(t_s, x, y, size, points=careful)
    resting = careful and resting and frame.streams
    rate = background_rates(t_s, x, y, size, np.zeros(len(t_s), bool), marks=marks, resting=resting)
    kept = events_of(t_s, x, y, on, rate)
    by_place = index_of(kept, size)
    stars = find_stars(kept, size, frame, Footprint.point().table(size), careful=careful)
    if stars.share > LITTLE:
        rate = background_rates(t_s, x, y, size, stars.explained, stars.share, marks, resting)
        kept = events_of(t_s, x, y, on, rate, kept.owner)
    return Prepared(kept, by_place, stars, frame, index, len(view.events), size)


def find_paths(view: WindowedRecording, field: StarField, motion: Motion) -> Found:
    """What moves in a recording, apart from its stars.

    Args:
        view: the recording; its kept events are looked at.
        field: the stars' common motion.
        motion: the layer.
    """
    found = _in_its_frame(view, field, motion)
    if motion.careful and frame_of(view, field).streams and not found.frame.streams:  # the tracker was wrong about it
        found = _in_its_frame(view, field, dataclasses.replace(motion, resting=False))
    if motion.careful and (before := astray(_told(found), found.frame)):  # the stars are not where they were thought to be
        velocity = pair(_told(found)) if _stars(found) < FEW else None
        if velocity is None:  # the telescope turned
            frame = frame_by_contrast(found.search.events, view.sensor_size, frame_of(view, field))
        else:
            frame = frame_of(view, StarField(np.array([0.0, 1.0]), velocity[None]))
        again = found_in(prepared(view, frame, resting=False), dataclasses.replace(motion, resting=False))
        if astray(_told(again), again.frame) < before:
            found = again
    return found


def _told(found: Found) -> list[Moving]:
    """The paths that become tracks."""
    tells = np.ones(len(found.paths), bool) if found.tells is None else found.tells
    return [Moving(path.t_s, path.states) for path, tell in zip(found.paths, tells.tolist(), strict=True) if tell]


def _in_its_frame(view: WindowedRecording, field: StarField, motion: Motion) -> Found:
    """`find_paths`, the field's motion corrected by what is found."""
    found = found_in(prepared(view, frame_of(view, field), motion.careful, motion.resting), motion)
    if _rather_still(found, motion.careful):
        found = found_in(prepared(view, frame_of(view, StarField.still()), motion.careful, motion.resting), motion)
    for _ in range(FIELD_ROUNDS):
        if found.star.sum() <= _stars(found):  # else the frame is good: these are the faintest of its stars
            break
        _, frame = rigid([Moving(path.t_s, path.states) for path in found.paths], found.frame, view.sensor_size)
        if not found.frame.differs(frame):
            break
        found = found_in(prepared(view, frame, motion.careful, motion.resting), motion)
    return found


def _stars(found: Found) -> int:
    """Stars known by lines of their own, in the span that has most."""
    return max((span.stars for span in found.stars.spans), default=0)


def _rather_still(found: Found, careful: bool) -> bool:
    """Whether the field's motion stands on no more stars than there are points at rest, or (with care) is hardly one, and no
    stars agree on it: then the telescope rather follows the stars, and what seemed to be one moves among them."""
    stars, speed = _stars(found), float(np.hypot(*found.frame.rates[:, :2].mean(0)))
    known = any(span.known for span in found.stars.spans)
    if careful and not known and found.frame.steady and 0 < speed < BLURRED_PX_S:
        return True
    if stars >= FEW or speed < RESTS_PX_S:
        return False
    still = [p for p in found.paths if np.hypot(*p.states[:, 2:].mean(0)) < RESTS_PX_S and p.t_s[-1] - p.t_s[0] >= RESTS_S]
    return len(still) >= max(stars, 1)


def frame_of(view: WindowedRecording, field: StarField) -> Frame:
    """In which the stars of a recording stand still."""
    t_us = view.events["t"]
    span = (float(t_us[0]) * 1e-6, float(t_us[-1]) * 1e-6) if len(t_us) else (0.0, 0.0)
    return Frame.of(field, span, view.sensor_size)


def found_in(start: Prepared, motion: Motion) -> Found:
    """What moves among prepared events, which get their owners."""
    threshold = motion.threshold(start.sensor_size)
    settings = search_settings(motion, start.sensor_size)
    search = MotionSearch(start.events, start.by_place, start.stars.sight, start.sensor_size, motion.footprint, settings)
    search.run()
    search.paths = joined(search.paths, search.events, motion.careful and motion.resting and start.frame.streams)
    paths = search.smoothed()
    frame = start.frame
    star, _ = rigid([Moving(path.t_s, path.states) for path in paths], frame, start.sensor_size)
    asked = settings.path_nats
    judged = [search.against_surroundings(path) for path in paths] if motion.careful else paths
    nats = [
        evidence_of(path, alike, asked, frame, start.stars.spans, start.sensor_size, motion.careful)
        for path, alike in zip(judged, star.tolist(), strict=True)
    ]
    tells = telling(paths, nats, threshold, search.events, frame, motion.careful)
    responsibility = np.zeros(start.total, np.float32)
    responsibility[start.chosen] = search.claimed({path.id: 1.0 for path, told in zip(paths, tells, strict=True) if told})
    doubtful = np.zeros(start.total, np.float32)
    rest = np.flatnonzero(~tells & ~star).tolist()
    likely = {paths[k].id: max(float(probability(nats[k], threshold)), LEAST_LIKELY) for k in rest}
    doubtful[start.chosen] = search.claimed(likely)
    return Found(paths, nats, star, threshold, responsibility, search, start.stars, frame, tells, doubtful)


def merge(view: WindowedRecording, slices: Sequence[Sequence[Slice]], tracks: Tracks, found: Found) -> Merged:
    """Tracks of the tracker and paths of the motion layer, as one list; paths get objects of their own where nothing lit up."""
    flat = [part for window in slices for part in window]
    middles = np.array([(part.start_us + part.end_us) / 2 for part in flat])
    kept, covered = [], {}
    for track in tracks.tracks:
        cover = covering(track, found)
        if cover is None:
            kept.append(scored(track, found))
        else:
            for k, j in zip(track.slices.tolist(), track.detections.tolist(), strict=True):
                covered[k, j] = cover
    draft = Draft(view, flat, found.responsibility)
    made = []
    for number, (path, nats) in enumerate(zip(found.paths, found.nats, strict=True)):
        if found.tells is not None and not found.tells[number]:
            continue
        inside = np.flatnonzero((middles >= path.t_s[0] * 1e6) & (middles <= path.t_s[-1] * 1e6))
        states = path.at(middles[inside] * 1e-6)
        on_sensor = ((states[:, :2] >= -0.5) & (states[:, :2] <= np.array(view.sensor_size) - 0.5)).all(1)
        inside, states = inside[on_sensor], states[on_sensor]
        if len(inside) < 2:
            continue
        detections = np.array(
            [draft.detection(k, state, path, number, covered) for k, state in zip(inside.tolist(), states, strict=True)]
        )
        relative = states[:, 2:] - found.frame.velocity(middles[inside] * 1e-6, states[:, :2])
        made.append(
            ObjectTrack(
                0,
                middles[inside],
                inside,
                detections,
                states,
                relative,
                float(probability(nats, found.threshold)),
                nats,
                None if path.variance is None else np.interp(middles[inside] * 1e-6, path.t_s, path.variance),
            )
        )
    return draft.finished(slices, kept + made, found.frame.as_field())


def covering(track: ObjectTrack, found: Found) -> int | None:
    """The path that covers most of a track's detections, if COVER_SHARE of them or more."""
    best, chosen = COVER_SHARE, None
    for number, path in enumerate(found.paths):
        if found.tells is not None and not found.tells[number]:
            continue
        t_s = track.t_us * 1e-6
        during = (t_s >= path.t_s[0] - 0.2) & (t_s <= path.t_s[-1] + 0.2)
        if not during.any():
            continue
        away = np.hypot(*(path.at(t_s[during])[:, :2] - track.states[during, :2]).T)
        share = np.count_nonzero(away <= COVER_PX) / len(t_s)
        if share >= best:
            best, chosen = share, number
    return chosen


def scored(track: ObjectTrack, found: Found) -> ObjectTrack:
    """A track that no path covers, with the evidence along its way and the score that follows from it."""
    search = found.search
    path = search.along(track.t_us * 1e-6, track.states)
    path = path and search.against_surroundings(path)
    nats = against_stars(path, found.frame, found.stars.spans, search.sensor_size) if path is not None else 0.0
    likely = float(probability(nats, found.threshold))
    sure = track.score >= CERTAIN_STAR or (found.frame.steady and nats >= SURE_NATS * found.threshold)
    return dataclasses.replace(track, score=likely if sure else min(likely, track.score), nats=nats)
