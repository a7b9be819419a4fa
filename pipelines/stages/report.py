"""Stage `report`: a run in one page; and each of its figures alone.

What is shown is read from the run's files and from its newest evaluation; recordings are looked at again with the run's network,
as that evaluation read it. The page lies in ``report/<key>/`` and, the newest, as ``report.html`` in the run's folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spikeseg.core.dry_run import is_dry
from spikeseg.core.files import atomic_write
from spikeseg.errors import InputError, nearest
from spikeseg.learning.run_files import CLASS_NAMES, CONFIG, HISTORY, METRICS, MOTION_LAYER, manifest_path
from spikeseg.networks import NAMES
from spikeseg.report import LOOKED_AT

from ..runtime.files import sha256_file
from ..runtime.manifest import Ingredients, finished, read_manifest
from ..runtime.stage import StageResult, copied, one_writer, run_stage
from . import classify, evaluate
from .history import rows
from .prepare import STORE
from .runs import SavedNetwork, class_names, config_beside, network_at
from .side_by_side import Entrant, entrants

if TYPE_CHECKING:
    import numpy as np

    from spikeseg.config.sections import Config
    from spikeseg.data.store.frames import Frames
    from spikeseg.data.windows import WindowedRecording
    from spikeseg.report.evidence import Evidence, ImageEvidence, Learned, Provenance

STAGE, VERSION = "report", 2
REPORT = "report.html"


class Made(NamedTuple):
    """A report: the stage, and the page in the run's folder."""

    result: StageResult
    page: Path


def run_folder(run: Path, known: Iterable[str] = ()) -> Path:
    """The folder of a run of either kind. Raises InputError: a network that comes with the package, or no run.

    Args:
        run: the folder.
        known: names of which the nearest is told where it is mistyped.
    """
    if str(run) in NAMES:
        raise InputError(
            f"{run}: comes with the package, so no run of it lies here; `spikeseg classes {run} RECORDING...` shows what its "
            "classes look for, `spikeseg detect` what it finds"
        )
    if not run.exists():
        listed = "`spikeseg compare --all` lists those in the folder of the runs"
        raise InputError(f"{run}: no such run; {listed}{nearest(run, known)}")
    if run.is_file():
        raise InputError(f"{run}: a file; name the folder of its run")
    if not is_of_images(run) and not (run / CONFIG).is_file():
        below = [path.parent for path in sorted(run.glob(f"*/{classify.NETWORK}"))]
        named = f"; name one of those in it, such as {below[0]}" if below else "; `spikeseg status` lists the runs"
        raise InputError(f"{run}: no run's folder ({CONFIG} is missing){named}")
    return run


def is_of_images(run: Path) -> bool:
    """Whether a run is one of `spikeseg classify`."""
    return (run / classify.NETWORK).is_file() and (run / classify.METRICS).is_file()


def report(cfg: Config, run: Path, *, most: int = LOOKED_AT, output: Path | None = None, force: bool = False) -> Made:
    """Write the report of a run.

    Args:
        cfg: its configuration, as it is run now.
        run: see `run_folder`.
        most: recordings that are looked at, at most.
        output: where a copy goes.
        force: make again what is up to date.

    Raises InputError: the run cannot be read, matplotlib is not installed, or a folder cannot be written."""
    from spikeseg.plots import require_matplotlib

    require_matplotlib()
    gathered = gather(cfg, run, most)

    def build(folder: Path) -> Mapping[str, Any]:
        from spikeseg.report.page import report_html

        atomic_write(folder / REPORT, report_html(gathered.evidence()))
        return {}

    result = run_stage(run / STAGE, gathered.ingredients, build, force)
    page = run / REPORT
    with contextlib.nullcontext() if is_dry() else one_writer(run):
        result = copied(result, REPORT, page)
    return Made(copied(result, REPORT, output), page)


def plot(cfg: Config, run: Path, figure: str, output: Path, *, most: int = LOOKED_AT) -> None:
    """Write one figure of the report alone.

    Args:
        cfg: see `report`.
        run: see `run_folder`.
        figure: its name.
        output: the file, whose ending says of which kind it is.
        most: see `report`.

    Raises InputError: there is no such figure, the run has nothing to draw, or the file cannot be written."""
    from spikeseg.plots import FORMATS
    from spikeseg.report import Absent
    from spikeseg.report.figures import figures_for
    from spikeseg.report.page import figure_file

    form = output.suffix[1:].lower()
    if form not in FORMATS:
        raise InputError(f"--output {output}: must end in .{', .'.join(FORMATS)}")
    evidence = gather(cfg, run, most).evidence()
    figures = figures_for(evidence)
    if figure not in figures:
        which = f"found {figure!r}, {run} has" if figure else "name one:"
        raise InputError(f"FIGURE: {which} {', '.join(figures)}{nearest(figure, figures)}")
    try:
        content = figure_file(evidence, figures[figure], form)
    except Absent as why:
        raise InputError(f"{run}: no figure {figure}: {why}") from None
    atomic_write(output, content)


@dataclasses.dataclass(frozen=True)
class Gathered:
    """A run whose files are known, and not yet looked at.

    Attributes:
        ingredients: all that its report depends on.
        evidence: what the report is made from.
    """

    ingredients: Ingredients
    evidence: Any


def gather(cfg: Config, run: Path, most: int = LOOKED_AT) -> Gathered:
    """See `report`."""
    return _of_images(run) if is_of_images(run) else _of_events(cfg, run, most)


# -- runs of networks for events -----------------------------------------------------------------------


def _of_events(cfg: Config, run: Path, most: int) -> Gathered:
    from spikeseg.config.circumstances import WITHOUT_RESULT, with_defaults
    from spikeseg.config.load import to_dict

    network, scored = network_at(run), entrants(run)[0]
    cfg = _as_scored(cfg, scored)
    files = [run / name for name in (CONFIG, HISTORY, METRICS, CLASS_NAMES)]
    if scored.evaluation is not None:
        files += [scored.evaluation / name for name in (evaluate.METRICS, evaluate.CURVES)]
    inputs = {"checkpoint": sha256_file(network.checkpoint), "frames": str(_frames_key(network, scored))}
    inputs |= {str(path.relative_to(run)): sha256_file(path) for path in files if path.is_file()}
    inputs["frames at hand"] = str(_store_folder(cfg, network, scored) is not None)
    config = {"recordings": most, "run": str(run), "config": to_dict(with_defaults(cfg, WITHOUT_RESULT))}
    return Gathered(Ingredients(STAGE, VERSION, config, inputs), functools.partial(_evidence, cfg, network, scored, most))


def _as_scored(cfg: Config, scored: Entrant) -> Config:
    """The configuration with the sections that the evaluation had."""
    if scored.metrics is None:
        return cfg
    from spikeseg.config.load import load_config, to_dict

    settings, own = scored.metrics["settings"], to_dict(cfg)
    changes = {"evaluation": settings, "tracking": settings["tracking"]}
    for section, values in changes.items():
        known = {field.name for field in dataclasses.fields(getattr(cfg, section))}
        own[section] = {**own[section], **{name: value for name, value in values.items() if name in known}}
    return load_config(None, overrides=own)


def _frames_key(network: SavedNetwork, scored: Entrant) -> str | None:
    """Of the frames whose recordings are looked at: those that were scored, else those that the network learned from."""
    return network.frames_key if scored.metrics is None else scored.metrics.get("frames")


def _store_folder(cfg: Config, network: SavedNetwork, scored: Entrant) -> Path | None:
    """Where these frames are; None where they are not in the cache."""
    key = _frames_key(network, scored)
    folder = Path(cfg.cache_dir) / "frames" / str(key)
    return folder if key and finished(folder) else None


def _evidence(cfg: Config, network: SavedNetwork, scored: Entrant, most: int) -> Evidence:
    from spikeseg.data.store.frames import Frames
    from spikeseg.detection.network import load_network
    from spikeseg.detection.readout import Readout, readout_of
    from spikeseg.ops.device import network_device
    from spikeseg.report.evidence import Evidence
    from spikeseg.report.seen import Network

    run, absent = network.folder, {}
    folder = _store_folder(cfg, network, scored)
    store = None if folder is None else Frames.open(folder / STORE)
    if store is None:
        absent["recordings"] = (
            f"the recordings ({_frames_key(network, scored)}) are not in the cache ({cfg.cache_dir}); "
            f"`spikeseg prepare -c {run / CONFIG}` makes them again"
        )
    chosen = [] if store is None else _recordings(store, scored)
    if store is not None and not chosen:
        absent["recordings"] = "the cache holds no recording"
    if scored.metrics is None:
        labelled = store is None or any(store.recordings[r].labels is not None for r in chosen)
        how = f"; `spikeseg evaluate --network {run}` does it" if labelled else ", for nobody labelled its recordings"
        absent["metrics"] = f"the run has not been evaluated{how}"
    curves = _curves(scored)
    if curves is None and scored.metrics is not None:
        split = "" if scored.metrics["split"] == "test" else f" --split {scored.metrics['split']}"
        absent["curves"] = (
            f"this evaluation was made before ROC curves were kept ({evaluate.CURVES} is missing); "
            f"`spikeseg evaluate --network {run}{split} --force` makes it again, with them"
        )
    if not (run / HISTORY).is_file():
        absent["history"] = f"{HISTORY} is missing"
    model = load_network(cfg, str(network.checkpoint), network_device(cfg.device, cfg.backend))
    reading = None if scored.metrics is None else scored.metrics["settings"].get("reading")
    readout = readout_of(cfg, network.checkpoint) if reading is None else Readout(**reading)
    names = {} if store is None else {r: store.recordings[r].name for r in chosen}
    tracks = {} if scored.metrics is None else scored.metrics["modes"].get("track", {}).get("network", {})
    looked_at = worst(names, tracks.get("recordings", []), most)
    return Evidence(
        source=_provenance(run, network, scored),
        network=Network(model, cfg, readout),
        reports=_reports(cfg, run),
        history=list(rows(run / HISTORY)),
        metrics=scored.metrics,
        curves=curves or {},
        recordings=[_source(store, r) for r in looked_at] if store else [],
        further=len(chosen) - len(looked_at),
        class_names=class_names(network),
        learned=_learned(cfg, network),
        absent=absent,
        progress=_progress,
    )


def _recordings(store: Frames, scored: Entrant) -> list[int]:
    """Those that were scored; else those of the test split; else all."""
    names = None if scored.metrics is None else set(scored.metrics["recordings"])
    everything = range(len(store.recordings))
    if names is not None:
        return [r for r in everything if store.recordings[r].name in names]
    return [r for r in everything if store.recordings[r].split == "test"] or [*everything]


def worst(recordings: Mapping[int, str], scored: Sequence[Mapping[str, Any]], most: int) -> list[int]:
    """At most so many recordings, in their order: those where most was missed or invented, then those that were not scored.

    Args:
        recordings: their names, by place in the cache.
        scored: rows of mode `track`.
        most: how many.
    """
    wrong = {row["name"]: row["objects"] - row["found"] + row["false_tracks"] for row in scored}
    return sorted(sorted(recordings, key=lambda r: -wrong.get(recordings[r], -1))[:most])


def _source(store: Frames, r: int) -> Any:
    from spikeseg.data.store.recordings import stored
    from spikeseg.report.seen import Source

    def load() -> tuple[WindowedRecording, np.ndarray | None]:
        return stored(store, r), store.labels(r)

    return Source(store.recordings[r].name, load)


def _curves(scored: Entrant) -> dict[str, Any] | None:
    """ROC curves by detector; None where the evaluation has kept none."""
    path = None if scored.evaluation is None else scored.evaluation / evaluate.CURVES
    if path is None or not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _reports(cfg: Config, run: Path) -> dict[str, Any]:
    """By layer, in order, how its training ended."""
    layers = [*cfg.learned_layers(), *([MOTION_LAYER] if cfg.model.motion else [])]
    manifests = {layer: read_manifest(manifest_path(run, layer)) for layer in layers}
    return {layer: manifest["result"] for layer, manifest in manifests.items() if manifest and "result" in manifest}


def _learned(cfg: Config, network: SavedNetwork) -> Learned | None:
    from spikeseg.report.evidence import Learned

    from .answers import learned_from

    store = learned_from(cfg, network)
    if store is None:
        return None
    own = [info for info in store.recordings if info.split == "train"]
    lasts = [(info.t_end or 0) - (info.t_start or 0) for info in own]
    return Learned(len(own), sum(info.events[1] - info.events[0] for info in own), sum(lasts) / 1e6)


def _provenance(run: Path, network: SavedNetwork, scored: Entrant) -> Provenance:
    from spikeseg.report.evidence import Provenance

    manifests = {
        path.name.split(".")[0]: manifest for path in sorted(run.glob("*.manifest.json")) if (manifest := read_manifest(path))
    }
    newest = next(reversed(manifests.values()), {})
    digests = {f"{network.checkpoint.relative_to(run)}": sha256_file(network.checkpoint), "frames (key)": str(network.frames_key)}
    digests |= {f"{layer} (key)": manifest["key"] for layer, manifest in manifests.items()}
    if scored.evaluation is not None:
        digests["evaluation (key)"] = scored.evaluation.name
        digests[f"{scored.evaluation.relative_to(run)}/{evaluate.METRICS}"] = sha256_file(scored.evaluation / evaluate.METRICS)
    facts = {"seed": newest.get("seed"), "platform": newest.get("platform"), "revision": newest.get("git_revision")}
    facts |= {f"training of {layer}": f"{manifest['seconds']:,.0f} s" for layer, manifest in manifests.items()}
    told = {name: str(value) for name, value in facts.items() if value is not None}
    return Provenance(run.name, str(run), (run / CONFIG).read_text(encoding="utf-8"), newest.get("versions", {}), digests, told)


def _progress(items: Iterable[Any], title: str, total: int) -> Iterable[Any]:
    from ..runtime.console import progress

    return progress(items, title, "recording", total=total)


# -- runs of networks for images -----------------------------------------------------------------------


def _of_images(run: Path) -> Gathered:
    manifest = finished(run)
    if manifest is None:
        raise InputError(f"{run}: damaged, or not finished; `spikeseg classify` with the same options makes it again")
    inputs = {name: output["sha256"] for name, output in manifest["outputs"].items()}
    ingredients = Ingredients(STAGE, VERSION, {"run": str(run)}, inputs)
    return Gathered(ingredients, functools.partial(_image_evidence, run, manifest))


def _image_evidence(run: Path, manifest: Mapping[str, Any]) -> ImageEvidence:
    import torch
    import yaml

    from spikeseg.config.sections import ImagesConfig, STDPConfig
    from spikeseg.models.image_network import ImageNetwork
    from spikeseg.report.evidence import ImageEvidence, Provenance

    saved = torch.load(run / classify.NETWORK, weights_only=True)
    network = ImageNetwork(ImagesConfig(**saved["config"]), STDPConfig(), in_channels=saved["weights"][0].shape[1])
    network.weights = saved["weights"]
    digests = {name: output["sha256"] for name, output in manifest["outputs"].items()}
    facts = {"seed": manifest.get("seed"), "platform": manifest["platform"], "revision": manifest.get("git_revision")}
    told = {name: str(value) for name, value in facts.items() if value is not None}
    config = yaml.safe_dump(manifest["config"], sort_keys=False)
    name = f"{manifest['config']['dataset']} ({manifest['key']})"
    source = Provenance(name, str(run), config, manifest["versions"], {"key": manifest["key"], **digests}, told)
    metrics = json.loads((run / classify.METRICS).read_text(encoding="utf-8"))
    return ImageEvidence(source, network, metrics)


def config_of(run: Path) -> Config | None:
    """The configuration of a run of a network for events; None of one for images."""
    return None if is_of_images(run) else config_beside(run)
