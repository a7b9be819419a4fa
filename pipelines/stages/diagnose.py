"""Stage `diagnose`: single windows as each layer of a network sees them, beside the truth, as figures."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from spikeseg.config.estimate import require_network_memory
from spikeseg.core.dry_run import is_dry
from spikeseg.core.files import atomic_write
from spikeseg.errors import InputError

from ..runtime.console import progress
from ..runtime.stage import one_writer
from .answers import learned_from
from .prepare import STORE, NoFramesError, find_frames
from .recordings import pass_over, read_source
from .runs import SavedNetwork

if TYPE_CHECKING:
    import numpy as np

    from spikeseg.config.sections import Config
    from spikeseg.data.datasets.folders import Source
    from spikeseg.data.store.frames import Frames
    from spikeseg.data.windows import WindowedRecording

log = logging.getLogger(__name__)

STAGE = "diagnose"
PICTURE = "{}.diagnosis.{}"
"""Of a recording, in a format."""


class _Looked(NamedTuple):
    """A recording and its labels, None without any."""

    view: WindowedRecording
    labels: np.ndarray | None


def diagnose(
    cfg: Config, network: SavedNetwork, recordings: Sequence[Source], folder: Path, *, samples: int, form: str
) -> list[Path]:
    """Write a figure of each recording; -> the files.

    Args:
        cfg: the configuration.
        network: the checkpoint.
        recordings: see `recordings.given`; none: those of the test split of the cache.
        folder: where the figures go.
        samples: windows of each recording, at most.
        form: one of `spikeseg.plots.FORMATS`.

    Recordings that cannot be read are left out, with a warning. Raises InputError: none can be read or holds a window, or none is
    given and the cache holds none; matplotlib is missing; the checkpoint does not fit; the folder cannot be written."""
    from spikeseg.detection.diagnosis import chosen_windows
    from spikeseg.detection.diagnosis import diagnose as look
    from spikeseg.detection.network import load_network
    from spikeseg.detection.readout import readout_of
    from spikeseg.ops.device import network_device
    from spikeseg.plots import rendered, require_matplotlib
    from spikeseg.plots.diagnosis import diagnosis_figure

    require_matplotlib()
    model = load_network(cfg, str(network.checkpoint), network_device(cfg.device, cfg.backend))
    readout, written = readout_of(cfg, network.checkpoint), []
    store = None if recordings else _store(cfg, network)
    looked = _given(cfg, recordings) if store is None else _of_test_split(store)
    total = len(recordings) if store is None else len(_tested(store))
    for view, labels in progress(looked, "diagnosing", "recording", total=total):
        which = chosen_windows(view, labels, samples)
        if not len(which):
            log.warning("%s: holds no window", view.name)
            continue
        require_network_memory(cfg, view.shape[1:])
        windows = look(model, view, labels, which.tolist(), readout.classes)
        radius = cfg.evaluation.radius_px * view.shape[2] / view.sensor_size[0]
        picture = rendered(diagnosis_figure(windows, radius), form)
        with contextlib.nullcontext() if is_dry() else one_writer(folder):
            written.append(atomic_write(folder / PICTURE.format(view.name, form), picture))
    if not written:
        raise InputError("no recording holds a window, so there is nothing to look at")
    return written


def _given(cfg: Config, recordings: Sequence[Source]) -> Iterator[_Looked]:
    """Recordings of files, with the labels that they hold or that lie beside them."""
    from spikeseg.data.datasets.files import load
    from spikeseg.data.readers import Layout
    from spikeseg.data.readers.labels import labels_of
    from spikeseg.data.windows import windowed

    unread = {}
    for source in recordings:
        try:
            beside = labels_of(Path(source.path.file))
            if beside is None:
                recording = read_source(cfg, source)
            else:
                recording = load(str(source.path), source.name, cfg.data.lenient, str(beside), Layout.of(cfg.data))
            view = windowed(recording, cfg.data)
        except (InputError, OSError) as error:
            unread[source.name] = str(error)
            continue
        yield _Looked(dataclasses.replace(view, name=source.name), recording.labels)
    pass_over(unread, len(recordings))


def _store(cfg: Config, network: SavedNetwork) -> Frames:
    """The cache of the network's recordings, or else of the configuration's."""
    from spikeseg.data.store.frames import Frames

    store = learned_from(cfg, network)
    try:
        return store or Frames.open(find_frames(cfg).path / STORE)
    except NoFramesError as error:
        raise InputError(f"{error.missing}; name recordings: spikeseg diagnose RECORDING...") from None


def _tested(store: Frames) -> list[int]:
    """The recordings of the test split. Raises InputError where there is none."""
    tested = [r for r, info in enumerate(store.recordings) if info.split == "test"]
    if not tested:
        raise InputError("the test split holds no recording; name some: spikeseg diagnose RECORDING...")
    return tested


def _of_test_split(store: Frames) -> Iterator[_Looked]:
    from spikeseg.data.store.recordings import stored

    for r in _tested(store):
        yield _Looked(stored(store, r), store.labels(r))
