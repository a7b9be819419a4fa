"""Stage `classes`: what each class of a network looks for and answers to, and what users call it.

What was seen lies in ``classes/<key>/`` of the run, without names, so that naming a class runs no network; classes.json and the
picture are written from it, with the names that hold then.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.core.dry_run import is_dry
from spikeseg.core.files import atomic_write
from spikeseg.core.names import MANIFEST
from spikeseg.errors import InputError
from spikeseg.learning.run_files import CLASS_NAMES

from ..runtime.console import progress
from ..runtime.files import sha256_file
from ..runtime.manifest import Ingredients, finished, read_manifest
from ..runtime.stage import StageResult, locked, run_stage
from .answers import learned_from, learned_key
from .classify import NETWORK as NETWORK_FOR_IMAGES
from .recordings import fingerprints, pass_over, read_source, settings_of
from .runs import SavedNetwork, class_names

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.datasets.folders import Source
    from spikeseg.detection.class_survey import RecordingSurvey

log = logging.getLogger(__name__)

STAGE, VERSION = "classes", 1
SURVEY = "survey.json"
"""In the stage's folder: the document without names."""
CLASSES, PICTURE = "classes.json", "classes.png"
"""In the run's folder, or where --output says."""


def refuse_images(path: Path) -> None:
    """Raises InputError for a network for images, which has no conv3."""
    folder = path if path.is_dir() else path.parent
    if path.name == NETWORK_FOR_IMAGES or (path.is_dir() and (folder / NETWORK_FOR_IMAGES).is_file()):
        raise InputError(
            f"{path}: a network for images: it has no conv3, and its classes are the labels of the images; "
            "filters.png beside it shows what its maps look for"
        )


def survey(cfg: Config, network: SavedNetwork, recordings: Sequence[Source] = (), *, force: bool = False) -> StageResult:
    """See what the classes of a network look for and answer to; ``classes/<key>/survey.json`` in the run's folder.

    Args:
        cfg: the configuration; of the network it must have the shape.
        network: the checkpoint.
        recordings: see `recordings.given`; none: those of the cache that the network was trained on, and with them.
        force: look again.

    Recordings that cannot be read are left out, with a warning. Raises InputError: none can be read, or none is given and the
    cache holds none; the checkpoint cannot be read or does not fit; the folder cannot be written."""
    config: dict[str, Any] = {
        "model": dataclasses.asdict(cfg.model),
        "wta": {"mode": cfg.wta.mode.value, "radius": cfg.wta.local_radius, "max_winners": cfg.wta.max_winners},
    }
    inputs = {"checkpoint of the network": sha256_file(network.checkpoint)}
    if recordings:
        contents, unread = fingerprints(recordings)
        pass_over(unread, len(recordings))
        recordings = [source for source in recordings if source.name in contents]
        config |= {**settings_of(cfg), "members": [source.path.member for source in recordings]}
        inputs |= contents
    elif learned_from(cfg, network) is None:
        raise InputError(
            f"{network.name}: the recordings that it was trained on are not in the cache ({cfg.cache_dir}); name some: "
            f"spikeseg classes {network.name} RECORDING..."
        )
    else:
        inputs["frames"] = str(network.frames_key)

    def build(folder: Path) -> Mapping[str, Any]:
        content = look(cfg, network, recordings)
        from spikeseg.detection.class_survey import text

        atomic_write(folder / SURVEY, text(content))
        return {"seed": cfg.seed, "device": cfg.device, "recordings": len(content["recordings"]), "windows": content["windows"]}

    return run_stage(network.folder / STAGE, Ingredients(STAGE, VERSION, config, inputs), build, force)


def look(cfg: Config, network: SavedNetwork, recordings: Sequence[Source]) -> dict[str, Any]:
    """The content of survey.json."""
    from spikeseg.data.store.recordings import stored
    from spikeseg.data.windows import windowed
    from spikeseg.detection.class_survey import document, survey_recording
    from spikeseg.detection.network import load_network
    from spikeseg.learning.checkpoint import is_trained
    from spikeseg.learning.class_names import network_id
    from spikeseg.ops.device import network_device

    from ..runtime.parallel import Workers, ordered

    model = load_network(cfg, str(network.checkpoint), network_device(cfg.device, cfg.backend))
    store = None if recordings else learned_from(cfg, network)

    def look_at(recording: Source | int) -> RecordingSurvey | str:
        if isinstance(recording, int):
            assert store is not None
            return survey_recording(model, stored(store, recording), cfg.wta, _progress)
        try:
            view = windowed(read_source(cfg, recording), cfg.data)
        except (InputError, OSError) as error:
            return str(error)
        return survey_recording(model, view, cfg.wta, _progress)

    chosen: Iterable[Source | int] = recordings if store is None else range(len(store.recordings))
    answers = list(ordered(look_at, chosen, Workers.of(cfg), threads=True))
    unread = {source.name: answer for source, answer in zip(recordings, answers, strict=False) if isinstance(answer, str)}
    pass_over(unread, len(answers))
    surveys = [answer for answer in answers if not isinstance(answer, str)]
    return document(model, network_id(model), is_trained(network.checkpoint), surveys, {} if recordings else _shown(cfg, network))


def _shown(cfg: Config, network: SavedNetwork) -> Mapping[str, str]:
    """Recording of the cache -> what its dataset says that it shows; empty where it says nothing."""
    key = learned_key(cfg, network)
    manifest = read_manifest(Path(cfg.cache_dir) / "frames" / key / MANIFEST) if key else None
    shown: Mapping[str, str] = (manifest or {}).get("classes", {})
    return shown


def name(network: SavedNetwork, given: Mapping[int, str], forgotten: Collection[int]) -> dict[int, str]:
    """Give classes names, and take names away; -> all that there are then.

    Raises InputError: see `class_names.name_classes`; the checkpoint cannot be read."""
    from spikeseg.learning.checkpoint import load
    from spikeseg.learning.class_names import name_classes

    with locked(network.folder / CLASS_NAMES):
        return name_classes(network.folder, load(network.checkpoint)[0], given, forgotten)


def write_sheet(network: SavedNetwork, surveyed: Path, folder: Path) -> tuple[dict[str, Any], bool]:
    """Write classes.json and, with matplotlib, classes.png, with the names that hold now; -> what classes.json holds, and whether
    it did not before.

    Args:
        network: whose classes they are.
        surveyed: the folder that `survey` wrote.
        folder: where they go.

    Raises InputError: the folder cannot be written."""
    from spikeseg.detection.class_survey import named, text
    from spikeseg.plots.classes import classes_png

    content = named(json.loads((surveyed / SURVEY).read_text(encoding="utf-8")), class_names(network))
    content = {"survey": surveyed.name, **content}
    if not content["trained"]:
        log.warning("%s: the network is untrained, so its classes mean nothing; `spikeseg train` trains one", network.checkpoint)
    picture = folder / PICTURE
    try:
        drawn = classes_png(content)
    except InputError as error:
        log.warning("%s is not drawn: %s", picture, error)
        if not is_dry():
            picture.unlink(missing_ok=True)
    else:
        atomic_write(picture, drawn)
    path, written = folder / CLASSES, text(content).encode()
    new = not path.is_file() or path.read_bytes() != written
    atomic_write(path, written)
    return content, new


def write_again(network: SavedNetwork, folder: Path) -> bool:
    """Write the sheet in a folder again, where there is one of this run, because names have changed; -> whether there is."""
    try:
        key = json.loads((folder / CLASSES).read_text(encoding="utf-8"))["survey"]
    except (OSError, ValueError, TypeError, KeyError):
        return False
    surveyed = network.folder / STAGE / Path(str(key)).name
    if not finished(surveyed):
        return False
    write_sheet(network, surveyed, folder)
    return True


def _progress(windows: Iterable[Any], recording: str, total: int) -> Iterable[Any]:
    return progress(windows, recording, "window", total=total)
