"""A recording as a video: its events, fading, with objects and stars over them."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.core import interrupts
from spikeseg.core.clock import Clock
from spikeseg.core.files import writing
from spikeseg.core.text import many
from spikeseg.errors import InputError, one_line

from . import require
from .style import GROUND, OBJECTS, OFF, ON, STAR, TEXT, rgb

if TYPE_CHECKING:
    from spikeseg.detection.result import Detections

FRAMES_PER_S = 25
LASTS_S = 10.0
"""How long a recording plays where no speed is asked for, s."""
MOST_FRAMES = 100_000
"""More than an hour; a speed that asks for more is refused."""
FADES = 0.6
"""Brightness of an event from one frame to the next."""
SIDE = 720
"""Side up to which small sensors are enlarged, px of the video, by a whole number."""
NARROWEST = 320
"""Of the video, px, so that there is room for the text."""
HEAD = 30
"""Height of the line of text above the picture, px."""
BOX, RING, TRAIL = 9, 4, 2
"""Least side of an object's box and radius of a star's ring, px of the sensor; width of lines, px of the video."""


def speed_of(duration_us: int, speed: float | None) -> float:
    """Seconds of the recording per second of video: as asked for, or so that it lasts LASTS_S.

    Raises InputError where that makes more than MOST_FRAMES frames."""
    if speed is None:
        return max(duration_us, 1) * 1e-6 / LASTS_S
    if duration_us * 1e-6 / speed * FRAMES_PER_S > MOST_FRAMES:
        seconds = f"{duration_us * 1e-6:.3g} s"
        raise InputError(f"--speed {speed:g}: a recording of {seconds} takes more than {MOST_FRAMES} frames; go faster")
    return speed


def require_encoder(form: str) -> None:
    """Raises InputError where what a video of one of VIDEOS needs is not installed."""
    encoder, _ = require("video")
    try:
        if form == "mp4":
            encoder.get_ffmpeg_exe()
    except RuntimeError as error:
        raise InputError(
            f"--video mp4: imageio-ffmpeg has no encoder for this machine ({one_line(str(error))}); gif needs none"
        ) from None


def write_video(path: Path, detections: Detections, speed: float | None = None) -> None:
    """Write the video of a recording; equal input gives equal bytes.

    Args:
        path: the file, in a folder that nobody reads yet; its ending, one of VIDEOS, says what it becomes.
        detections: what was detected in the recording.
        speed: seconds of the recording per second of video; None: it lasts LASTS_S.

    Raises:
        InputError: imageio-ffmpeg or pillow is not installed (extra 'view'), too many frames, or the file cannot be written.
    """
    encoder, _ = require("video")
    shown = frames(detections, speed)
    with writing(path):
        (_write_gif if path.suffix == ".gif" else _write_mp4)(path, shown, encoder)


def _write_mp4(path: Path, shown: Iterator[Any], encoder: Any) -> None:
    """H.264, by one thread and without dates, so that the bytes are those of the frames."""
    exact = ["-threads", "1", "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]
    first, count = next(shown), 0
    writer = encoder.write_frames(
        str(path.absolute()), first.size, fps=FRAMES_PER_S, codec="libx264", quality=None, macro_block_size=1,
        output_params=["-crf", "20", "-preset", "veryfast", *exact],
    )  # fmt: skip
    try:
        with contextlib.closing(writer):
            writer.send(None)
            for count, image in enumerate(itertools.chain([first], shown), 1):  # noqa: B007
                writer.send(image.tobytes())
        written = encoder.count_frames_and_secs(str(path.absolute()))[0]
    except (OSError, RuntimeError):  # with the encoder's whole log
        written = None
    if written != count:
        raise OSError(f"the encoder has written {written or 0} of {count} frames; is the disk full?")


def _write_gif(path: Path, shown: Iterator[Any], encoder: Any) -> None:  # noqa: ARG001
    from PIL import Image

    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette())
    indexed = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in shown)
    first = next(indexed)
    first.save(path, "GIF", save_all=True, append_images=indexed, duration=1000 // FRAMES_PER_S, loop=0, optimize=False)


def _palette() -> list[int]:
    """RGB of up to 256 colours: each colour of a video, and its shades down to the ground."""
    colours = np.array([rgb(colour) for colour in (ON, OFF, STAR, *OBJECTS)])
    shades = np.linspace(0, 1, 28)[:, None, None]
    return np.rint(np.array(rgb(GROUND)) + shades * (colours - rgb(GROUND))).astype(int).reshape(-1).tolist()


def frames(detections: Detections, speed: float | None = None) -> Iterator[Any]:
    """The frames of a video, PIL images of even sides, FRAMES_PER_S of them a second; at least one.

    Args:
        detections: what was detected in the recording.
        speed: see `write_video`.

    Raises:
        InputError: pillow is not installed, or too many frames.
    """
    require("video")
    columns = detections.event_columns
    t = columns["t"]
    start, end = (int(t[0]), int(t[-1])) if len(t) else (0, 0)
    speed = speed_of(end - start, speed)
    step_us = Fraction(speed) * 1_000_000 / FRAMES_PER_S
    count = max(1, math.ceil((end - start) / step_us))
    edges = [start + math.ceil(k * step_us) for k in range(count)]
    return _frames(detections, [*edges, max(end + 1, start + math.ceil(count * step_us))], speed)


def _frames(detections: Detections, edges: list[int], speed: float) -> Iterator[Any]:
    """A frame for the events between two edges, µs, each; what stands at the second edge is drawn over them."""
    canvas = _Canvas(detections, speed)
    t = detections.event_columns["t"]
    ends = np.searchsorted(t, edges)
    for first, last, edge in zip(ends[:-1], ends[1:], edges[1:], strict=True):
        interrupts.check()
        yield canvas.frame(slice(first, last), edge)


class _Canvas:
    """What is drawn on: the sensor enlarged, a line of text above it, and what is left of earlier events."""

    def __init__(self, detections: Detections, speed: float) -> None:
        self._detections, self._speed = detections, speed
        width, height = detections.sensor_size
        self._zoom = max(1, SIDE // max(width, height))
        self._size = (_even(max(width * self._zoom, NARROWEST)), _even(height * self._zoom + HEAD))
        self._left = (self._size[0] - width * self._zoom) // 2
        self._light = np.zeros((height, width))
        self._on = np.zeros((height, width), bool)
        self._tracks = list(detections.by_track.values())
        self._shades = {number: OBJECTS[k % len(OBJECTS)] for k, number in enumerate(detections.object_ids)}
        self._lives = np.array([(track["t_us"][0], track["t_us"][-1]) for track in self._tracks], np.int64).reshape(-1, 2)

    def frame(self, part: slice, t_us: int) -> Any:
        """The picture at a time, with the events of a part as the newest."""
        from PIL import Image, ImageDraw, ImageFont

        columns = self._detections.event_columns
        self._light *= FADES
        at = columns["y"][part], columns["x"][part]
        self._light[at], self._on[at] = 1, columns["p"][part]
        ground = np.array(rgb(GROUND))
        colour = np.where(self._on[..., None], rgb(ON), rgb(OFF))
        pixels = np.rint(ground + self._light[..., None] * (colour - ground)).astype(np.uint8)
        image = Image.new("RGB", self._size, "#000000")
        image.paste(Image.fromarray(pixels.repeat(self._zoom, 0).repeat(self._zoom, 1)), (self._left, HEAD))
        pen, font = ImageDraw.Draw(image), ImageFont.load_default(15)
        for k in np.flatnonzero((self._lives[:, 0] <= t_us) & (t_us <= self._lives[:, 1])):
            track = self._tracks[k]
            self._draw(pen, font, track, t_us, self._shades.get(int(track["track_id"][0])))
        pen.rectangle((0, 0, self._size[0], HEAD - 1), fill="#000000")
        pen.text((8, 6), self._told(t_us), fill=TEXT, font=font)
        return image

    def _told(self, t_us: int) -> str:
        t = self._detections.event_columns["t"]
        seconds = Clock.of_events(t).seconds(t_us) if len(t) else 0.0
        what = many(len(self._shades), "object") if len(t) else "no events"
        return f"{seconds:.3f} s   {self._speed:.3g}x   {what}   {self._detections.recording}"

    def _draw(self, pen: Any, font: Any, track: np.ndarray, t_us: int, shade: str | None) -> None:
        """An object: its way up to now, its box and its number; or, without a colour of its own, a star: a ring."""
        x, y, width, height = (float(np.interp(t_us, track["t_us"], track[name])) for name in ("x", "y", "width", "height"))
        if shade is None:
            pen.ellipse((self._at(x - RING, y - RING), self._at(x + RING, y + RING)), outline=STAR)
            return
        before = track[track["t_us"] <= t_us]
        way = [self._at(*place) for place in zip(before["x"], before["y"], strict=True)]
        pen.line([*way, self._at(x, y)], fill=shade, width=TRAIL)
        w, h = max(width, BOX) / 2, max(height, BOX) / 2
        pen.rectangle((self._at(x - w, y - h), self._at(x + w, y + h)), outline=shade, width=TRAIL)
        text = str(int(track["track_id"][0]))
        right, top = self._at(x + w, y - h)
        wide = pen.textlength(text, font=font)
        left = right + 4 if right + 4 + wide < self._size[0] else self._at(x - w, y)[0] - 4 - wide
        pen.text((left, min(max(top, HEAD), self._size[1] - 18)), text, fill=shade, font=font)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        """Where the middle of a pixel of the sensor lies."""
        return self._left + (x + 0.5) * self._zoom, HEAD + (y + 0.5) * self._zoom


def _even(side: int) -> int:
    return side + side % 2
