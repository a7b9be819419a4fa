"""`detect --follow`: a recording that is still being written, or piped in, window by window as time passes.

`spikeseg.detection.online` holds what happens to a window; here is how the events come and where the results go.
"""

from __future__ import annotations

import json
import logging
import select
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.core import interrupts
from spikeseg.core.dry_run import DryRun, is_dry
from spikeseg.core.files import atomic_write, make_folder, new_file
from spikeseg.errors import InputError

from .runs import SavedNetwork, class_names

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.growing import GrowingText
    from spikeseg.data.stream_clock import Piece, StreamClock
    from spikeseg.detection.online import FollowedWindow, Follower

log = logging.getLogger(__name__)

LINES, SUMMARY = "detections.jsonl", "follow.json"
PIPE = "-"
"""Stands for the standard input."""
CHUNK_BYTES = 2**18
POLL_S = 0.05
"""How often a file is asked whether it has grown, s."""
IDLE_S = 10.0
"""A file that has not grown for so long is taken to be finished, s."""


def follow(
    cfg: Config,
    network: SavedNetwork,
    path: str,
    sensor_size: tuple[int, int],
    *,
    output: Path | None = None,
    idle_s: float = IDLE_S,
    force: bool = False,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Detect in a text file of events that grows, or in the standard input, until it ends.

    Args:
        cfg: how to frame and track; of the network it must have the shape.
        network: the checkpoint.
        path: a file, or "-".
        sensor_size: (width, height), px.
        output: the folder; by default ``follow/<name>/`` in the run's.
        idle_s: a file that does not grow for so long has ended, s.
        force: write over an earlier result.
        say: is called with one line per window.

    Returns:
        what follow.json holds.

    Raises:
        InputError: no such file, an output that is there already, HULK or scenes asked for, a checkpoint that does not fit. After
            the summary was written, unless `data.lenient`: too many lines that are no events, or events that come late.
        KeyboardInterrupt: after the summary was written."""
    from spikeseg.core import compiled  # noqa: F401 - numba: loaded now, while nothing waits, rather than in the first window
    from spikeseg.data.growing import GrowingText
    from spikeseg.data.readers import Layout
    from spikeseg.data.stream_clock import StreamClock
    from spikeseg.detection.network import load_network
    from spikeseg.detection.online import Follower
    from spikeseg.detection.readout import readout_of
    from spikeseg.ops.device import network_device

    if cfg.tracking.hulk:
        raise InputError("tracking.hulk: objects of single spikes cannot be followed; use --no-hulk")
    if cfg.tracking.scenes:
        raise InputError(
            "tracking.scenes: whole objects cannot be followed; --set tracking.scenes=false follows points, "
            "detect without --follow finds whole objects in a finished recording"
        )
    name = "stdin" if path == PIPE else Path(path).stem
    folder = output or network.folder / "follow" / name
    if (folder / LINES).exists() and not force:
        raise InputError(f"{folder / LINES}: is there already; --force writes over it, -o FOLDER goes elsewhere")
    if is_dry():
        raise DryRun(f"follow {path} into {folder}")
    device = network_device(cfg.device, cfg.backend)
    model, readout = load_network(cfg, str(network.checkpoint), device), readout_of(cfg, network.checkpoint)
    text, clock = GrowingText(sensor_size, Layout.of(cfg.data), name if path == PIPE else path), StreamClock()
    with _opened(path) as source:
        follower = Follower(cfg, model, readout, sensor_size, class_names(network))
        follower.load()
        make_folder(folder)
        (folder / SUMMARY).unlink(missing_ok=True)
        with new_file(folder / LINES) as lines:
            ended = "interrupted"
            try:
                for window in _windows(_chunks(source, path != PIPE, idle_s), text, clock, follower):
                    lines.write((json.dumps(window.row(follower), allow_nan=False) + "\n").encode())
                    follower.latencies_ms.append((time.monotonic() - window.arrived) * 1e3)
                    say(window.line(follower.latencies_ms[-1]))
                ended = "end of input"
            except InputError as error:
                ended = str(error)
                raise
            finally:
                summary = follower.summary(name, ended, text.left_out + Counter({"stray times": clock.stray}))
                atomic_write(folder / SUMMARY, json.dumps(summary, indent=1, allow_nan=False) + "\n")
    return {**summary, "folder": str(folder)}


def _opened(path: str) -> BufferedReader:
    if path == PIPE:
        return sys.stdin.buffer  # type: ignore[return-value]
    if Path(path).is_dir():
        raise InputError(f"{path}: a folder; name a text file of events, or - for the standard input")
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _chunks(source: BufferedReader, grows: bool, idle_s: float) -> Iterator[bytes]:
    """Bytes as they come, until the end: of a pipe its own, of a file silence of `idle_s`."""
    last = _now()
    while True:
        interrupts.check()
        if not _readable(source):
            continue
        data = source.read1(CHUNK_BYTES)
        if data:
            yield data
            last = _now()
        elif not grows or _now() - last >= idle_s:
            return
        else:
            _wait(min(POLL_S, idle_s))


def _readable(source: BufferedReader) -> bool:
    """Whether reading would not wait, or one cannot know; looked at for POLL_S, for reading itself no interrupt ends."""
    try:
        return bool(select.select([source.fileno()], [], [], POLL_S)[0])
    except (OSError, ValueError):  # not a file of the system's, or not on this one
        return True


def _now() -> float:
    """Time that a file has been waited for is counted by this clock, s."""
    return time.monotonic()


def _wait(seconds: float) -> None:
    time.sleep(seconds)


def _windows(chunks: Iterator[bytes], text: GrowingText, clock: StreamClock, follower: Follower) -> Iterator[FollowedWindow]:
    """The windows of what comes; raises InputError after those that came before too much was wrong."""
    for data in chunks:
        events, now = text.feed(data), time.monotonic()
        yield from _passed(clock.take(events), text, follower, now)
        if not follower.cfg.data.lenient:
            text.check()
            follower.check(text.source)
    events, now = text.end(), time.monotonic()
    yield from _passed([*clock.take(events), *clock.end()], text, follower, now)
    yield from follower.finish(now)
    if not follower.cfg.data.lenient:
        text.check(ended=True)


def _passed(pieces: list[Piece], text: GrowingText, follower: Follower, now: float) -> Iterator[FollowedWindow]:
    for events, moved in pieces:
        if moved is not None:
            log.warning("%s: %s, at about line %d: a new part of the night begins", text.source, moved, text.lines)
            yield from follower.begin_part(now)
        yield from follower.take(events, now)
