"""Runs side by side: the settings that differ, how training went, what each evaluation got, and how far they differ.

Figures are read from the ``metrics.json`` of finished evaluations. Differences are taken recording by recording, and only where
it is known that both evaluations scored the same recordings by the same rules.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.config.circumstances import WITHOUT_RESULT
from spikeseg.config.sections import EvaluationConfig
from spikeseg.core.kinds import kind_of
from spikeseg.core.names import MANIFEST
from spikeseg.core.regular import fault_of
from spikeseg.errors import InputError
from spikeseg.learning.run_files import CONFIG, manifest_path
from spikeseg.learning.run_files import METRICS as TRAINING

from ..runtime.differences import leaves
from ..runtime.manifest import finished, plain, read_manifest
from .evaluate import METRICS, METRICS_VERSION, STAGE, identity

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

log = logging.getLogger(__name__)

RULES = ("radius_px", "pixel_tolerance_px", "spatial_tolerance_px", "slice_ms", "max_label_gap_ms", "scope")
"""Settings of an evaluation that say what counts. Under other rules a figure means something else."""
ELSEWHERE = ("experiment_name", "output_dir", "cache_dir", "logging", "checkpoint", *WITHOUT_RESULT)
"""Keys and sections of the configuration that change no figure."""
OF_TRAINING = ("samples", "epochs", "convergence_index", "dead_maps", "near_duplicate_maps", "paths", "sigma_px")
"""What is shown of metrics_final.json."""


@dataclass(frozen=True)
class Entrant:
    """A run, or an evaluation of one.

    Attributes:
        path: what was named.
        run: the run's folder, None of a metrics.json that lies elsewhere.
        cfg: the run's configuration, where there is one.
        metrics: content of metrics.json, None where the run has not been evaluated.
        evaluation: the folder or file that it comes from.
        versions: of the packages that it was scored with, where known.
    """

    path: Path
    run: Path | None
    cfg: Config | None
    metrics: dict[str, Any] | None = None
    evaluation: Path | None = None
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def title(self) -> str:
        """For people: the path, and what was scored."""
        if self.metrics is None:
            return f"{self.path}: not evaluated; `spikeseg evaluate --network {self.path}` does that"
        where = "" if self.evaluation in (None, self.path) else f", evaluation {self.evaluation.name}"
        return f"{self.path}{where}: {len(self.metrics['recordings'])} recordings, split {self.metrics['split']}"

    @property
    def settings(self) -> dict[str, Any]:
        """Dotted name -> value of all that may change a figure; how it was scored, as metrics.json says, before the run's own."""
        known: dict[str, Any] = {} if self.cfg is None else plain(dataclasses.asdict(self.cfg))
        if self.metrics is not None:
            scored = self.metrics["settings"]
            known["evaluation"] = {field.name: scored.get(field.name) for field in dataclasses.fields(EvaluationConfig)}
            known["tracking"] = scored["tracking"]
            known["scored"] = {"split": self.metrics["split"], "sensor": scored.get("sensor"), "reading": scored.get("reading")}
        values = {key: value for key, value in leaves(known) if not {key, key.partition(".")[0]} & {*ELSEWHERE}}
        return values | {f"version of {name}": version for name, version in self.versions.items()}

    @property
    def training(self) -> dict[str, Any]:
        """Of metrics_final.json: "layer figure" -> value."""
        told = _json(self.run / TRAINING) if self.run is not None and (self.run / TRAINING).exists() else {}
        layers = {layer: row for layer, row in told.items() if isinstance(row, dict)}
        return {f"{layer} {name}": row[name] for layer, row in layers.items() for name in OF_TRAINING if name in row}


def compare(first: Path, second: Path, detector: str, caches: Sequence[str]) -> dict[str, Any]:
    """Two runs, or evaluations, side by side.

    Args:
        first: a run's folder, the folder of an evaluation, or a metrics.json; of a run with several evaluations the newest
            counts, or the newest that scored what the other did.
        second: the other.
        detector: whose figures, by its name in metrics.json.
        caches: where frames may lie, besides the runs' own caches.

    Returns:
        "a" and "b": "path", "evaluation", "title", "recordings"; "detector"; "settings", those that differ, and "training", name
        -> the two values, None where there is none; "not_paired", why there are no differences; "confidence" of the
        intervals; "modes", see `spikeseg.evaluation.paired.figures_of`.

    Raises:
        InputError: nothing that can be compared is there, or it cannot be read.
    """
    from spikeseg.evaluation.paired import SIDES, figures_of
    from spikeseg.metrics.rates import Bootstrap

    sides = _best_pair(entrants(first), entrants(second))
    measured = [side.metrics for side in sides if side.metrics is not None]
    for side in sides:
        if side.metrics is not None and detector not in side.metrics["detectors"]:
            raise InputError(f"--detector {detector}: {side.evaluation} has none; its are {', '.join(side.metrics['detectors'])}")
    reasons, modes, confidence = [], {}, None
    if measured:
        rules = measured[0]["settings"]
        bootstrap = Bootstrap(rules["bootstrap"], rules["confidence"], rules["seed"])
        confidence = bootstrap.confidence
        reasons = list(_not_paired(*sides, caches))
        given = [side.metrics or {"modes": {}} for side in sides]
        modes = figures_of(given[0], given[1], detector, None if reasons else bootstrap)
    return {
        **{side: _described(of) for side, of in zip(SIDES, sides, strict=True)},
        "detector": detector,
        "settings": _differing(*(side.settings for side in sides)),
        "training": dict(_beside(*(side.training for side in sides))),
        "not_paired": reasons,
        "confidence": confidence,
        "modes": modes,
    }


def _described(side: Entrant) -> dict[str, Any]:
    names = None if side.metrics is None else side.metrics["recordings"]
    evaluation = None if side.evaluation is None else str(side.evaluation)
    return {"path": str(side.path), "evaluation": evaluation, "title": side.title, "recordings": names}


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The settings that differ, of the sections that both know."""
    sections = {key.partition(".")[0] for key in a} & {key.partition(".")[0] for key in b}
    both = ((key, values) for key, values in _beside(a, b) if key.partition(".")[0] in sections)
    return {key: values for key, values in both if values[0] != values[1]}


def _beside(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    for key in sorted({*a, *b}):
        yield key, [a.get(key), b.get(key)]


def all_runs(output_dir: str) -> list[dict[str, Any]]:
    """Every run below output_dir, by name, with its newest evaluation; one that cannot be read is left out, with a warning.

    Returns:
        of each "run", its name; "trained", whether its last layer is finished; "evaluation", "split" and the number of
        "recordings", None where it has none; "settings", see `Entrant`; "modes" of metrics.json.

    Raises:
        InputError: there are none.
    """
    runs = []
    for path in sorted(Path(output_dir).glob(f"*/{CONFIG}")):
        try:
            newest = entrants(path.parent)[0]
        except InputError as error:
            log.warning("%s is left out: %s", path.parent, error)
            continue
        metrics = newest.metrics or {"modes": {}, "recordings": None, "split": None}
        layers = newest.cfg.learned_layers() if newest.cfg else []
        runs.append(
            {
                "run": path.parent.name,
                "trained": all(manifest_path(path.parent, layer).is_file() for layer in layers),
                "evaluation": None if newest.evaluation is None else newest.evaluation.name,
                "split": metrics["split"],
                "recordings": None if newest.metrics is None else len(metrics["recordings"]),
                "settings": {key: value for key, value in newest.settings.items() if not key.startswith(("scored.", "version"))},
                "modes": metrics["modes"],
            }
        )
    if not runs:
        raise InputError(
            f"{output_dir}: no run lies there; `spikeseg train` makes one, `--set output_dir=FOLDER` names another folder"
        )
    return runs


def entrants(path: Path) -> list[Entrant]:
    """The evaluations of what a path names, the newest first; of a run without any, the run. Raises InputError."""
    from .runs import config_beside

    if not path.exists():
        raise InputError(f"{path}: no such run; `spikeseg compare --all` lists those in the folder of the runs")
    if path.is_file():
        run = path.parent.parent.parent
        here = run if (run / CONFIG).is_file() and path.name == METRICS else None
        return [Entrant(path, here, config_beside(here) if here else None, _metrics(path), path, _versions(path.parent))]
    if (path / METRICS).is_file():
        (of_file,) = entrants(path / METRICS)
        return [dataclasses.replace(of_file, path=path, evaluation=path)]
    if not (path / CONFIG).is_file():
        raise InputError(f"{path}: no run's folder ({CONFIG} is missing), nor an evaluation's ({METRICS} is missing)")
    cfg = config_beside(path)
    manifests = sorted((path / STAGE).glob(f"*/{MANIFEST}"), key=lambda file: (file.stat().st_mtime_ns, str(file)), reverse=True)
    done = [file.parent for file in manifests if finished(file.parent)]
    found = [Entrant(path, path, cfg, _metrics(folder / METRICS), folder, _versions(folder)) for folder in done]
    return found or [Entrant(path, path, cfg)]


def _versions(folder: Path) -> Mapping[str, str]:
    manifest = read_manifest(folder / MANIFEST) if (folder / MANIFEST).is_file() else None
    versions: Mapping[str, str] = (manifest or {}).get("versions", {})
    return versions


def _metrics(path: Path) -> dict[str, Any]:
    """The content of a metrics.json of `evaluate`. Raises InputError where it is none."""
    content = _json(path)
    wanted = {"version": int, "recordings": list, "settings": dict, "detectors": dict, "modes": dict}
    if _lacks(content, wanted):
        raise InputError(f"{path}: not the {METRICS} of `spikeseg evaluate` ({', '.join(wanted)} are not all there)")
    if (found := content["version"]) != METRICS_VERSION:
        raise InputError(f"{path}: version {found} of {METRICS}, this program reads {METRICS_VERSION}; evaluate again")
    rows = [row for rows in content["modes"].values() for row in (rows.values() if isinstance(rows, dict) else [None])]
    ways = {"bootstrap": int, "confidence": float, "seed": int, "tracking": dict}
    if _lacks(content["settings"], ways) or any(_lacks(row, {"intervals": dict, "recordings": list}) for row in rows):
        raise InputError(f"{path}: settings and modes are not as `spikeseg evaluate` writes them; evaluate again")
    return {"split": "unknown", **content}


def _lacks(content: Any, wanted: Mapping[str, type]) -> bool:
    """Whether an object has not all of these entries, or of other types."""
    return not isinstance(content, dict) or any(not isinstance(content.get(key), kind) for key, kind in wanted.items())


def _json(path: Path) -> dict[str, Any]:
    if fault := fault_of(path):
        raise InputError(f"{path}: {fault}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        what = f"it is {kind_of(path)}; expected a run's folder or a {METRICS}; {error}"
        raise InputError(f"{path}: is no JSON ({what})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, not an object")
    return content


def _best_pair(first: Sequence[Entrant], second: Sequence[Entrant]) -> tuple[Entrant, Entrant]:
    """The newest two that scored the same frames, else the same names, else the newest of each."""

    def scored(side: Entrant, *keys: str) -> Any:
        return None if side.metrics is None else [side.metrics.get(key) for key in keys]

    for keys in (("frames", "recordings"), ("recordings",)):
        for a in first:
            for b in second:
                if a.metrics is not None and scored(a, *keys) == scored(b, *keys):
                    return a, b
    return first[0], second[0]


def _not_paired(a: Entrant, b: Entrant, caches: Sequence[str]) -> Iterator[str]:
    """Why figures of the two are not taken from each other recording by recording; nothing where they are."""
    if a.metrics is None or b.metrics is None:
        yield f"{b.path if b.metrics is None else a.path} has not been evaluated"
        return
    scored = a.metrics, b.metrics
    rules = [of["settings"] for of in scored]
    for rule in RULES:
        if rules[0].get(rule) != rules[1].get(rule):
            yield f"scored by other rules (evaluation.{rule} is {rules[0].get(rule)} and {rules[1].get(rule)})"
    names = [set(of["recordings"]) for of in scored]
    if names[0] != names[1]:
        common = len(names[0] & names[1])
        yield f"not the same recordings ({len(names[0])} and {len(names[1])}, {common} of them of the same name)"
    elif a.metrics.get("frames") != b.metrics.get("frames"):
        yield from _of_other_content(a, b, sorted(names[0]), caches)


def _of_other_content(a: Entrant, b: Entrant, names: Sequence[str], caches: Sequence[str]) -> Iterator[str]:
    """Why recordings of the same names are not, or are not known to be, the same."""
    found = []
    for side in (a, b):
        own = [] if side.cfg is None else [side.cfg.cache_dir]
        key = side.metrics["frames"]  # type: ignore[index]
        manifests = (read_manifest(Path(cache) / "frames" / str(key) / MANIFEST) for cache in (*own, *caches))
        manifest = next(filter(None, manifests), None)
        if manifest is None:
            yield (
                f"it is not known whether recordings of the same names are the same ones: the frames {key} of {side.path} are "
                "not in the cache"
            )
            return
        found.append({name: identity(manifest, name) for name in names})
    if other := [name for name in names if found[0][name] != found[1][name]]:
        yield f"recordings of the same names, but of other content ({', '.join(other[:3])}{', ...' if other[3:] else ''})"
