"""Stage `detect`: a network on any recordings, without labels: objects, tracks and a score for every event.

Every recording is finished by itself, with a manifest of its own; one that is finished is not done again, and one that cannot be
read costs no other. Tables of all recordings are put together at the end from those of each.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spikeseg.core.dry_run import is_dry
from spikeseg.core.files import atomic_write, share_file
from spikeseg.core.names import MANIFEST, MANIFEST_BESIDE
from spikeseg.detection.schema import DETECTIONS, OBJECTS, OBJECTS_ECSV, OTHER, STAR, TRACKS
from spikeseg.errors import InputError

from ..runtime.console import progress
from ..runtime.files import sha256_file
from ..runtime.manifest import Ingredients, finished, read_manifest
from ..runtime.stage import (
    Build,
    StageResult,
    done_in_folder,
    locked,
    one_writer,
    refuse_if_dry,
    run_in_folder,
    run_stage,
)
from .compile_beside import compiled_beside
from .recordings import fingerprints, pass_over, read_source, settings_of
from .runs import SavedNetwork, class_names
from .views import Views

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.datasets.folders import Source
    from spikeseg.detection.readout import Readout
    from spikeseg.detection.result import Detections
    from spikeseg.models import SpikeSEG
    from spikeseg.sky.request import SkyRequest

log = logging.getLogger(__name__)

STAGE, VERSION = "detect", 5
SKY_VERSION = 2
"""Of what is told of the sky."""
COUNTS = ("windows", "tracks", "objects", "start_us", "end_us")
"""Entries of a recording's manifest that the one of all recordings repeats."""
NO_VIEWS = Views()


class Detected(NamedTuple):
    """What came of several recordings.

    Attributes:
        result: the folder with the tables, and whether anything was done.
        recordings: COUNTS of each that was read, by name.
        skipped: the others, by name, with the reason.
    """

    result: StageResult
    recordings: Mapping[str, Mapping[str, int]]
    skipped: Mapping[str, str]


class Part(NamedTuple):
    """One recording and what its files are made from."""

    source: Source
    ingredients: Ingredients

    @property
    def content(self) -> str:
        """The fingerprint of the recording's file."""
        return self.ingredients.inputs["recording"]


@dataclass(frozen=True)
class Place:
    """Where the files of recordings go: beside each other in a folder of the user's, or each in the run's, by its key.

    folder: the user's, or that of the stage in the run's. own: whether it is the user's.
    """

    folder: Path
    own: bool

    def ingredients(self, name: str, ingredients: Ingredients) -> Ingredients:
        """A recording's; in a folder of the user's their stage begins with its name, and so does its manifest."""
        return ingredients._replace(stage=f"{name}.{STAGE}") if self.own else ingredients

    def is_done(self, part: Part) -> bool:
        """Whether the files of a recording are there, made from the same."""
        if self.own:
            return done_in_folder(self.folder, part.ingredients)
        return finished(self.folder / part.ingredients.key) is not None

    def make(self, ingredients: Ingredients, build: Build, force: bool) -> StageResult:
        """Make the files of a recording, or those of all."""
        return (run_in_folder if self.own else run_stage)(self.folder, ingredients, build, force)

    def manifests_like(self, part: Part) -> list[Path]:
        """Of the same recording, or of whatever recordings where they lie together."""
        if self.own:
            return [self.folder / MANIFEST_BESIDE.format(part.ingredients.stage)]
        return sorted(self.folder.glob(f"*/{MANIFEST}"))

    def writer(self, key: str) -> contextlib.AbstractContextManager[None]:
        """Be the only process that writes into the user's folder, or that answers this very command; others wait."""
        if is_dry():
            return contextlib.nullcontext()
        return one_writer(self.folder) if self.own else locked(self.folder / key)

    def refuse_strangers(self) -> None:
        """Raises InputError where tables lie in the user's folder that this stage did not write, before anything is done.

        Beside a damaged manifest they are compared when new ones are there."""
        beside = self.folder / MANIFEST_BESIDE.format(STAGE)
        manifest = read_manifest(beside) if self.own else None
        if manifest is None and beside.is_file():
            return
        listed = manifest["outputs"] if manifest else ()
        for path in (
            self.folder / name for name in (DETECTIONS, TRACKS, OBJECTS, OBJECTS_ECSV) if self.own and name not in listed
        ):
            if path.exists():
                raise InputError(f"{path}: is there already, from elsewhere; give another folder, or --force to replace it")

    def folder_of(self, part: Part) -> Path:
        """Where the files of a recording lie."""
        return self.folder if self.own else self.folder / part.ingredients.key

    def manifest_of(self, part: Part) -> Mapping[str, Any]:
        """The manifest of a recording that is done."""
        name = MANIFEST_BESIDE.format(part.ingredients.stage) if self.own else MANIFEST
        manifest = read_manifest(self.folder_of(part) / name)
        if manifest is None:
            raise InputError(f"{self.folder_of(part) / name}: was removed meanwhile; run the command again")
        return manifest


@dataclass(frozen=True)
class Job:
    """What is done to every recording. tolerated: exceptions that mean that it cannot be read."""

    cfg: Config
    network: SavedNetwork
    readout: Readout
    names: Mapping[int, str]
    plot: str | None
    sky: SkyRequest | None = None
    tolerated: tuple[type[Exception], ...] = (InputError, OSError)
    views: Views = NO_VIEWS

    @functools.cached_property
    def shared(self) -> Ingredients:
        """What every recording is made from beside its file."""
        config = {
            "model": dataclasses.asdict(self.cfg.model),
            **settings_of(self.cfg),
            "tracking": dataclasses.asdict(self.cfg.tracking),
            "reading": dataclasses.asdict(self.readout),
            "class_names": self.names,
            "plot": self.plot or False,
            **self.views.settings,
        }
        inputs = {"checkpoint of the network": sha256_file(self.network.checkpoint)}
        if self.sky is not None:
            config["sky"] = self.sky.settings | {"version": SKY_VERSION}
            inputs |= {what: sha256_file(path) for what, path in self.sky.files.items()}
        return Ingredients(STAGE, VERSION, config, inputs)

    @functools.cached_property
    def model(self) -> SpikeSEG:
        """The network."""
        from spikeseg.detection.network import load_network
        from spikeseg.ops.device import network_device

        return load_network(self.cfg, str(self.network.checkpoint), network_device(self.cfg.device, self.cfg.backend))

    def detected(self, sources: Sequence[Source]) -> Iterator[Detections | str]:
        """Of each recording what the network detects, or why it cannot be read; in their order."""
        from spikeseg.detection.detect import detect_recording
        from spikeseg.sky.observe import observed, require

        from ..runtime.parallel import Workers, ordered

        cfg, readout, names, model, tolerated = self.cfg, self.readout, self.names, self.model, self.tolerated

        def unless_it_fails(work: Callable[[], Detections]) -> Detections | str:
            try:
                return work()
            except tolerated as error:
                return str(error) if isinstance(error, (InputError, OSError)) else f"{type(error).__name__}: {error}"

        def detect_source(source: Source) -> Detections:
            recording = read_source(cfg, source)
            if self.sky is not None:
                require(recording, self.sky)
            return detect_recording(model, recording, cfg, readout, _progress, names)

        def detected(source: Source) -> Detections | str:
            return unless_it_fails(lambda: detect_source(source))

        with compiled_beside(cfg):
            for answer in ordered(detected, sources, Workers.of(cfg), threads=True):
                yield answer if isinstance(answer, str) else unless_it_fails(functools.partial(observed, answer, self.sky))

    def write(self, detections: Detections, folder: Path) -> dict[str, Any]:
        """The files of one recording. -> entries for its manifest."""
        from spikeseg.detection.files import write_recording
        from spikeseg.plots import rendered

        write_recording(folder, detections)
        others = others_of(self.cfg)
        if self.plot:
            picture = rendered(detections.plot(others), self.plot)
            atomic_write(folder / f"{detections.recording}.{self.plot}", picture)
        self.views.write(folder, detections, others=others)
        t = detections.event_columns["t"]
        times = (int(t[0]), int(t[-1])) if len(t) else (0, 0)
        counts = (len(detections.windows), len(detections.track_ids), len(detections.objects), *times)
        return {**dict(zip(COUNTS, counts, strict=True)), **self.made_by()}

    def made_by(self) -> dict[str, Any]:
        """Entries for every manifest: device, seed."""
        from spikeseg.ops.device import network_device

        return {"device": str(network_device(self.cfg.device, self.cfg.backend)), "seed": self.cfg.seed}


def detect(
    cfg: Config,
    network: SavedNetwork,
    recordings: Sequence[Source],
    *,
    output: Path | None = None,
    force: bool = False,
    plot: str | None = None,
    views: Views = NO_VIEWS,
    sky: SkyRequest | None = None,
) -> Detected:
    """Run a network over recordings; write <recording>.events.npz and tables of each as it is done, then the tables of all, in
    their order (see `spikeseg.detection.files`).

    Args:
        cfg: how to frame and track; of the network it must have the shape.
        network: the checkpoint.
        recordings: see `recordings.given`.
        output: the folder; by default ``detect/<key>/`` in the run's.
        force: run again what is up to date.
        plot: also draw each recording, in this of plots.FORMATS: <recording>.png, ...; needs matplotlib.
        views: what else is made of each recording.
        sky: what is asked of the sky.

    Raises InputError: no recording can be read, the checkpoint cannot be read or does not fit, the folder cannot be written, a
    picture is asked for without matplotlib."""
    job = dataclasses.replace(ready(cfg, network, plot, sky), views=views)
    place = Place(network.folder / STAGE if output is None else output, output is not None)
    parts, unreadable = parts_of(job, place, recordings)
    files = {part.source.name: part.content for part in parts}
    asked = job.shared._replace(inputs={**job.shared.inputs, **files, **views.all_inputs}).key
    with place.writer(asked):
        unread, ran = finish(job, place, parts, force)
        unread |= unreadable
        skipped = {source.name: unread[source.name] for source in recordings if source.name in unread}
        pass_over(skipped, len(recordings))
        tables, counts = put_together(job, place, parts, skipped, force)
    return Detected(dataclasses.replace(tables, ran=tables.ran or ran), counts, skipped)


def others_of(cfg: Config) -> str:
    """What a track that is no object is called."""
    return OTHER if cfg.tracking.scenes else STAR


def ready(cfg: Config, network: SavedNetwork, plot: str | None, sky: SkyRequest | None = None) -> Job:
    """What is done to every recording. Raises InputError: a picture is asked for without matplotlib, or the checkpoint is bad."""
    from spikeseg.detection.readout import readout_of

    if plot:
        from spikeseg.plots import require_matplotlib

        require_matplotlib()
    return Job(cfg, network, readout_of(cfg, network.checkpoint), class_names(network), plot, sky)


def parts_of(job: Job, place: Place, recordings: Sequence[Source]) -> tuple[list[Part], dict[str, str]]:
    """What each recording is made from; and, by name, why that cannot be told."""
    contents, unreadable = fingerprints(recordings)
    shared, parts = job.shared, []
    for source in recordings:
        if source.name in contents:
            own = {"recording": source.name, "member": source.path.member}
            made_from = shared._replace(
                config={**shared.config, **own},
                inputs={**shared.inputs, "recording": contents[source.name], **job.views.inputs(source.name)},
            )
            parts.append(Part(source, place.ingredients(source.name, made_from)))
    return parts, unreadable


def put_together(
    job: Job, place: Place, parts: Sequence[Part], skipped: Mapping[str, str], force: bool
) -> tuple[StageResult, dict[str, dict[str, int]]]:
    """The tables of all recordings but those skipped, from those of each. -> where they lie, and COUNTS by recording."""
    files = {part.source.name: part.content for part in parts}
    parts = [part for part in parts if part.source.name not in skipped]
    manifests = {part.source.name: place.manifest_of(part) for part in parts}
    counts = {name: {what: manifest[what] for what in COUNTS} for name, manifest in manifests.items()}

    def build(folder: Path) -> Mapping[str, Any]:
        from spikeseg.detection.files import join_recordings

        made = [(part.source.name, place.folder_of(part)) for part in parts]
        join_recordings(folder, made)
        for name, lies in () if place.own else made:
            for file in manifests[name]["outputs"]:
                share_file(lies / file, folder / file)
        return {"recordings": counts, "skipped": skipped, **job.made_by()}

    shared = job.shared
    order = {"recordings": [part.source.name for part in parts], "skipped": list(skipped)}
    everything = shared._replace(config={**shared.config, **order}, inputs={**files, **shared.inputs, **job.views.all_inputs})
    return place.make(everything, build, force), counts


def finish(
    job: Job, place: Place, parts: Sequence[Part], force: bool, say: Callable[[Detections], None] | None = None
) -> tuple[dict[str, str], bool]:
    """Finish one recording after the other, and say so. -> why some cannot be read, by name, and whether anything was done."""
    if not force:
        place.refuse_strangers()
    todo = [part for part in parts if force or not place.is_done(part)]
    for part in todo[:1]:
        refuse_if_dry(part.ingredients, place.folder_of(part), place.manifests_like(part), force)
    if 0 < len(todo) < len(parts):
        log.info("%d of %d recordings are done already", len(parts) - len(todo), len(parts))
    unread: dict[str, str] = {}
    for part, answer in zip(todo, job.detected([part.source for part in todo]) if todo else (), strict=True):
        if isinstance(answer, str):
            unread[part.source.name] = answer
        else:
            place.make(part.ingredients, functools.partial(job.write, answer), force)
            if say:
                say(answer)
    return unread, len(unread) < len(todo)


def _progress(windows: Iterable[Any], recording: str, total: int) -> Iterable[Any]:
    return progress(windows, recording, "window", total=total)
