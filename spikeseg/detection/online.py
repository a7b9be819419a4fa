"""Windows of a recording that is still being written, for `detect --follow`.

The same network, tracker and motion layer as `detect`, but nothing that looks ahead: hot pixels are those that fired too often so
far, tracks are those of the last MEMORY_S seconds, and paths of the motion layer are reported when their evidence reaches the
threshold. Memory does not grow with the recording.
"""

from __future__ import annotations

import logging
import resource
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.errors import InputError

from .track_ids import TrackIds

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.models import SpikeSEG
    from spikeseg.tracking.scene import ObjectTrack, Tracks

    from .following import PathFollower
    from .objects import Slice
    from .readout import Readout

log = logging.getLogger(__name__)

MEMORY_S = 10.0
"""Length of the past that tracks are found in, s; a longer silence is passed over."""
MANY_LATE = 300
"""So many late events are looked at before they are too many."""
FORGET_S = 10.0
"""Time constant over which the rate of a pixel is estimated, s."""


@dataclass(frozen=True)
class FollowedWindow:
    """A window whose time has passed.

    Attributes:
        start_us, end_us: µs.
        events: in it, and how many of them passed the transforms.
        objects: tracks, and paths of the motion layer, that move differently from the stars and were seen since the window
            before; each with its lasting id.
        fresh: ids among them that were not there before.
        classes: of each object's id its class and what that is called, see `FollowedClasses.of`.
        tracks: the tracker's, of the last MEMORY_S, stars included.
        star_field: common motion of the stars at its end, px/s.
        arrived: when the events that closed it had come, s of `time.monotonic`.
        part: of the night, from 1; see `Follower.begin_part`.
    """

    start_us: int
    end_us: int
    events: tuple[int, int]
    objects: list[tuple[int, ObjectTrack]]
    fresh: frozenset[int]
    classes: Mapping[int, tuple[int, str]]
    tracks: int
    star_field: tuple[float, float]
    arrived: float
    part: int = 1

    def row(self, follower: Follower) -> dict[str, Any]:
        """A line of detections.jsonl."""
        return {
            "part": self.part,
            "t_start_us": self.start_us,
            "t_end_us": self.end_us,
            "events": self.events[0],
            "events_kept": self.events[1],
            "late_so_far": follower.late,
            "tracks": self.tracks,
            "star_field": list(self.star_field),
            "objects": [_object_row(number, track, self.classes[number], number in self.fresh) for number, track in self.objects],
        }

    def line(self, latency_ms: float) -> str:
        """One line for the screen."""
        objects = "  ".join(f"#{n} at ({t.states[-1][0]:.1f}, {t.states[-1][1]:.1f})" for n, t in self.objects)
        return f"{self.end_us / 1e6:10.2f} s {self.events[0]:7d} events {latency_ms:6.0f} ms {self.tracks:4d} tracks  {objects}"


def _object_row(number: int, track: ObjectTrack, of_class: tuple[int, str], fresh: bool) -> dict[str, Any]:
    (x, y, vx, vy), (vx_rel, vy_rel) = track.states[-1].tolist(), track.relative[-1].tolist()
    row = {
        "track_id": number,
        "t_us": round(float(track.t_us[-1])),
        "x": x, "y": y, "vx": vx, "vy": vy, "vx_rel": vx_rel, "vy_rel": vy_rel,
        "object_score": track.score,
        "log_likelihood_ratio": track.nats,
        "class_id": of_class[0],
        "class_name": of_class[1],
        "seen": len(track.t_us),
    }  # fmt: skip
    if fresh:
        row["past"] = [[round(t), x, y] for t, (x, y) in zip(track.t_us.tolist(), track.states[:, :2].tolist(), strict=True)]
    return row


class Follower:
    """Windows of a recording whose events come piece by piece.

    Args:
        cfg: how to frame and track.
        model: the network.
        readout: see `Readout`.
        sensor_size: (width, height), px.
        class_names: what classes are called.

    Attributes:
        late: events that came after their window was finished: left out.
        part: of the night, from 1.
        latencies_ms: of every window, from the arrival of what closed it to its line: 4 bytes each.
    """

    def __init__(
        self,
        cfg: Config,
        model: SpikeSEG,
        readout: Readout,
        sensor_size: tuple[int, int],
        class_names: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        from spikeseg.data.windows import frame_spec

        from .following_classes import FollowedClasses
        from .tables import Scale

        self.cfg, self.model, self.readout, self.sensor_size = cfg, model, readout, sensor_size
        self.spec = frame_spec(cfg.data)
        self.late, self.windows, self.silent, self.events, self.part = 0, 0, 0, 0, 1
        self.latencies_ms = array("f")
        self.ids = TrackIds()
        self._made = 0
        self._begin()
        self._classes = FollowedClasses(model, Scale.of(sensor_size, self.spec.size(sensor_size)), class_names)

    def _begin(self) -> None:
        from spikeseg.data.frames.background import Background
        from spikeseg.data.recording import EVENT_DTYPE

        self._filter = CausalFilter(self.cfg.data.transforms, self.sensor_size)
        self._background = Background()
        self._waiting = np.zeros(0, EVENT_DTYPE)
        self._start: int | None = None
        self._passed: int | None = None
        self._slices: deque[tuple[int, Slice]] = deque()
        self._paths = self._path_follower()

    def begin_part(self, arrived: float) -> Iterator[FollowedWindow]:
        """The clock of the events has moved: what is left of the part before. The next events are followed as a recording of
        their own, with new ids."""
        yield from self.finish(arrived)
        self._begin()
        self.part += 1

    def check(self, source: str) -> None:
        """Raise InputError, opening with the source, if more events come late than a file may have, of MANY_LATE or more."""
        from spikeseg.data.checks import DROP_LIMIT

        came = self.events + self.late
        if self.late >= MANY_LATE and self.late > DROP_LIMIT * came:
            raise InputError(
                f"{source}: {self.late} of {came} events came after their window was finished, {DROP_LIMIT:.0%} is allowed; "
                "send them in the order of their times, or use --lenient, which leaves them out"
            )

    def load(self) -> None:
        """Load the motion layer's compiled code now, while nothing waits, rather than in the first windows."""
        if self._paths is not None:
            self._paths.load()

    def _path_follower(self) -> PathFollower | None:
        if not self.cfg.model.motion:
            return None
        from .following import PathFollower
        from .moving import motion_of

        motion = motion_of(self.cfg, self.model)
        assert motion is not None
        return PathFollower(motion, self.sensor_size, self.readout.object_threshold)

    def take(self, events: np.ndarray, arrived: float) -> Iterator[FollowedWindow]:
        """New events, in the order in which they came; the windows whose time has passed with them."""
        if not len(events):
            return
        if self._start is None:
            self._start = int(events["t"].min())
        if self._passed is not None:
            on_time = events["t"] >= self._passed
            if not on_time.all() and not self.late:
                log.warning("events come late, after windows that were finished; they are left out and counted")
            self.late += int(np.count_nonzero(~on_time))
            events = events[on_time]
        self.events += len(events)
        waiting = np.concatenate([self._waiting, events])
        self._waiting = waiting[np.argsort(waiting["t"], kind="stable")]
        while len(self._waiting) and int(self._waiting["t"][-1]) >= self._start + self.spec.window_us:
            if self._pass_silence():
                continue
            yield self._window(self._start + self.spec.window_us, arrived)

    def finish(self, arrived: float) -> Iterator[FollowedWindow]:
        """What is left, at the end of the input."""
        if self._start is not None and len(self._waiting) and (self._passed is None or self._waiting["t"][-1] >= self._passed):
            if self._paths is not None:
                self._paths.last = True
            yield self._window(min(self._start + self.spec.window_us, int(self._waiting["t"][-1]) + 1), arrived)

    def _pass_silence(self) -> bool:
        """Go to the window that holds the next event, when that is further away than tracks are remembered."""
        assert self._start is not None
        ahead = int(self._waiting["t"][0]) - (self._start + self.spec.window_us)
        if ahead < MEMORY_S * 1e6:
            return False
        strides = -(-ahead // self.spec.stride_us)
        self.silent += strides
        self._start += strides * self.spec.stride_us
        if self._paths is not None:
            self._paths.restart()
        return True

    def _window(self, end: int, arrived: float) -> FollowedWindow:
        from spikeseg.data.windows import window_at
        from spikeseg.models.decoder import decode_sparse

        from .objects import WindowTime, objects_in_slices

        assert self._start is not None
        start, spec = self._start, self.spec
        inside = self._waiting[: int(np.searchsorted(self._waiting["t"], end))]
        kept = self._filter(inside, start, end, self._passed)
        frames = window_at(kept, start, self.sensor_size, spec)
        rates = self._background.update(frames)
        spikes = self.model.infer(frames, rates)
        saliency = decode_sparse(self.model.encoder, frames, spikes, self.readout.classes)[0]
        bright = saliency.value >= self.readout.threshold
        time = WindowTime(start, end, spec.timestep_us, self._passed)
        parts = objects_in_slices(saliency.index[bright], saliency.value[bright], saliency.shape, time)
        for part in parts:
            self._slices.append((self._made, part))
            self._made += 1
        while self._slices and self._slices[0][1].end_us < end - MEMORY_S * 1e6:
            self._slices.popleft()
        tracks, ids = self._tracked()
        since = end - sum(part.end_us - part.start_us for part in parts)
        if self._paths is None:
            objects = [
                (number, track)
                for number, track in zip(ids.given, tracks.tracks, strict=True)
                if track.score >= self.readout.object_threshold and track.t_us[-1] >= since
            ]
        else:
            new = kept if self._passed is None else kept[int(np.searchsorted(kept["t"], self._passed)) :]
            objects = self._paths.objects(new, end, since, tracks, ids)
        if self._paths is not None and self._paths.star_field is not None:
            vx, vy = self._paths.star_field
        else:
            vx, vy = tracks.field.velocity(np.array([float(self._slices[-1][1].end_us) if self._slices else 0.0]))[0].tolist()
        fresh = ids.report((number for number, _ in objects), self._paths.numbers if self._paths else ())
        self._classes.keep(ids.reported)
        self._classes.add(frames, spikes, parts, objects)
        classes = {number: self._classes.of(number) for number, _ in objects}
        self._passed, self._start = end, start + spec.stride_us
        self._waiting = self._waiting[int(np.searchsorted(self._waiting["t"], self._start)) :].copy()
        self.windows += 1
        return FollowedWindow(
            start, end, (len(inside), len(kept)), objects, fresh, classes, len(tracks.tracks), (vx, vy), arrived, self.part
        )

    def _tracked(self) -> tuple[Tracks, TrackIds]:
        """The tracks of the slices kept, and their ids."""
        from spikeseg.tracking.scene import find_tracks

        from .tracked import in_sensor

        numbers, parts = [k for k, _ in self._slices], [part for _, part in self._slices]
        tracks = find_tracks(in_sensor(parts, self.spec.size(self.sensor_size), self.sensor_size), self.cfg.tracking)
        self.ids.carry_over(
            [[(numbers[k], int(j)) for k, j in zip(track.slices, track.detections, strict=True)] for track in tracks.tracks]
        )
        return tracks, self.ids

    def summary(self, name: str, ended: str, left_out: Counter[str]) -> dict[str, Any]:
        """What follow.json holds."""
        taken = np.frombuffer(self.latencies_ms, np.float32) if len(self.latencies_ms) else np.zeros(1, np.float32)
        return {
            "name": name,
            "ended": ended,
            "sensor_size": list(self.sensor_size),
            "parts": self.part,
            "windows": self.windows,
            "silent_windows_passed_over": self.silent,
            "events": self.events,
            "left_out": {**left_out, "late": self.late},
            "objects": self.ids.objects,
            "latency_ms": {
                "median": float(np.median(taken)), "p95": float(np.percentile(taken, 95)), "worst": float(taken.max())
            },
            "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }  # fmt: skip


class CausalFilter:
    """The configuration's transforms for events that come window by window.

    DropPixel's hot pixels are those whose rate over about the last FORGET_S is too high: tonic's look at the whole recording,
    which is not there yet. All other transforms see a window by itself.
    """

    def __init__(self, specs: Sequence[dict[str, Any]], sensor_size: tuple[int, int]) -> None:
        from spikeseg.data import transforms

        hot = [spec for spec in specs if spec.get("name") == "DropPixel" and "hot_pixel_frequency" in spec]
        transforms.build(specs, sensor_size)  # raises InputError for wrong settings
        self._limits = [float(spec["hot_pixel_frequency"]) for spec in hot]
        self._rest = transforms.build([spec for spec in specs if spec not in hot], sensor_size)
        self._width = sensor_size[0]
        self._counts = np.zeros(sensor_size[0] * sensor_size[1])
        self._seconds = 0.0

    def __call__(self, events: np.ndarray, start_us: int, end_us: int, counted_us: int | None) -> np.ndarray:
        """The events of a window (sorted) that pass; `counted_us`: up to where earlier windows have counted."""
        from spikeseg.data import transforms

        since = start_us if counted_us is None else max(counted_us, start_us)
        seconds = (end_us - (since if counted_us is None else counted_us)) * 1e-6
        new = events[int(np.searchsorted(events["t"], since)) :]
        forget = float(np.exp(-seconds / FORGET_S))
        self._counts *= forget
        self._counts += np.bincount(self._flat(new), minlength=len(self._counts))
        self._seconds = self._seconds * forget + seconds
        for limit in self._limits:
            events = events[self._counts[self._flat(events)] <= limit * self._seconds]
        return transforms.apply(events, self._rest)[0]

    def _flat(self, events: np.ndarray) -> np.ndarray:
        return events["y"].astype(np.int64) * self._width + events["x"]
