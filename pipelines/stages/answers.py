"""Which recordings of the cache are scored, and what is asked of each: common to `evaluate` and `sweep`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from spikeseg.config.estimate import require_network_memory
from spikeseg.errors import InputError

from ..runtime.manifest import finished
from .prepare import STORE

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.store.frames import Frames
    from spikeseg.evaluation.detectors import Detector
    from spikeseg.metrics.mode import LabelledRecording

    from .runs import SavedNetwork

Result = TypeVar("Result")

ALL = "all"
"""Every recording, whatever its split: for data that the network has never seen. Of sensors: every one."""


def learned_key(cfg: Config, network: SavedNetwork) -> str | None:
    """The key of the frames that the network was trained on, where they are still in the cache."""
    key = network.frames_key
    return key if key and finished(Path(cfg.cache_dir) / "frames" / key) else None


def learned_from(cfg: Config, network: SavedNetwork) -> Frames | None:
    """Those frames: what is calibrated, is so on their training split, whatever data is scored."""
    from spikeseg.data.store.frames import Frames

    key = learned_key(cfg, network)
    return Frames.open(Path(cfg.cache_dir) / "frames" / key / STORE) if key else None


def training_frames(cfg: Config, network: SavedNetwork) -> Frames | None:
    """The frames that a network was trained on, to calibrate on: the recordings that are scored may not take their place. None
    where it is not known which they were.

    Raises InputError, naming the command that makes them again, when they are no longer in the cache."""
    from spikeseg.learning.run_files import config_file

    store = learned_from(cfg, network)
    if store is None and network.frames_key is not None:
        own = config_file(network.checkpoint)
        remedy = (
            f"run `spikeseg prepare -c {own}` first" if own else "run `spikeseg prepare` with the options of its training first"
        )
        raise InputError(
            f"{network.checkpoint}: the frames that it was trained on ({network.frames_key}) are not in {cfg.cache_dir}, and "
            f"thresholds are calibrated on nothing else; {remedy}, or name their cache with cache_dir"
        )
    return store


def labelled(store: Frames, split: str, needed: bool = True, sensor: str = ALL) -> list[int]:
    """The recordings of a split ("all" for every one), and of a sensor, that somebody labelled. Raises InputError when there is
    none and some are needed."""
    of_split = [r for r, info in enumerate(store.recordings) if split in (info.split, ALL)]
    if needed and not of_split:
        raise InputError(f"the {split} split holds no recordings; raise data.test_ratio or prepare more recordings")
    of_sensor = [r for r in of_split if sensor in (store.recordings[r].sensor, ALL)]
    if needed and not of_sensor:
        known = sorted({store.recordings[r].sensor or "an unnamed sensor" for r in of_split})
        raise InputError(
            f"--sensor {sensor}: none of the {len(of_split)} recordings of the {split} split; they are of {', '.join(known)}"
        )
    with_labels = [r for r in of_sensor if store.recordings[r].labels is not None]
    if needed and not with_labels:
        raise InputError(
            f"none of the {len(of_sensor)} recordings of the {split} split is labelled, so there is nothing to score; "
            "`spikeseg detect RECORDING` runs the network without labels"
        )
    return with_labels


def labelled_recording_of(store: Frames, r: int, cfg: Config) -> LabelledRecording:
    """A labelled recording of the cache."""
    from spikeseg.data.label_times import within
    from spikeseg.data.store.recordings import stored
    from spikeseg.metrics.mode import LabelledRecording

    labels, info = store.labels(r), store.recordings[r]
    require_network_memory(cfg, store.spec.size(info.sensor_size))
    assert labels is not None
    if info.t_start is not None and info.t_end is not None:
        within(info.name, labels["t"], (info.t_start, info.t_end))  # of caches made before labels were compared
    return LabelledRecording.of(stored(store, r), labels, store.truth(r), cfg.evaluation)


def answers(
    cfg: Config,
    detectors: Sequence[Detector],
    store: Frames,
    recordings: Sequence[int],
    what: str,
    ask: Callable[[Detector, LabelledRecording], Result],
) -> Iterator[Result]:
    """`ask` of every recording with every detector, in order, under a progress bar."""
    from ..runtime.console import progress
    from ..runtime.parallel import Workers, ordered

    pairs = [(detector, r) for r in recordings for detector in detectors]
    read: dict[int, LabelledRecording] = {}  # the last one, which the next detector is asked of as well

    def ask_pair(pair: tuple[Detector, int]) -> Result:
        detector, r = pair
        recording = read.get(r)
        if recording is None:
            read.clear()
            recording = read[r] = labelled_recording_of(store, r, cfg)
        return ask(detector, recording)

    yield from progress(ordered(ask_pair, pairs, Workers.of(cfg), threads=True), what, "answer", total=len(pairs))


def of_each(
    cfg: Config, store: Frames, recordings: Sequence[int], what: str, ask: Callable[[LabelledRecording], Result]
) -> Iterator[Result]:
    """`ask` of every recording, in order, under a progress bar."""
    from ..runtime.console import progress
    from ..runtime.parallel import Workers, ordered

    def ask_recording(r: int) -> Result:
        return ask(labelled_recording_of(store, r, cfg))

    given = ordered(ask_recording, recordings, Workers.of(cfg), threads=True)
    yield from progress(given, what, "recording", total=len(recordings))
