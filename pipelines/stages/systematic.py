"""Stage `systematic`: a network scored at levels of noise and numbers of objects, on recordings simulated for it.

``systematic.json`` and ``systematic.csv`` hold scores alone, and come out the same byte for byte; how many frames a second the
network took stands in the manifest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.config import section_dict
from spikeseg.core.files import atomic_write
from spikeseg.core.names import MANIFEST

from ..runtime.console import progress
from ..runtime.files import sha256_file
from ..runtime.manifest import Ingredients, read_manifest
from ..runtime.stage import StageResult, copied, run_stage
from .recordings import settings_of
from .runs import SavedNetwork

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.evaluation.systematic import Conditions

STAGE, VERSION = "systematic", 1
SCORES, TABLE = "systematic.json", "systematic.csv"


def systematic(
    cfg: Config, network: SavedNetwork, conditions: Conditions, *, output: Path | None = None, force: bool = False
) -> StageResult:
    """Score a network at every level; ``systematic/<key>/`` in the run's folder.

    Args:
        cfg: the configuration.
        network: the checkpoint.
        conditions: the levels.
        output: where a copy goes, of systematic.csv if its name ends so, else of systematic.json.
        force: run again what is up to date.

    Raises InputError: the checkpoint does not fit, or a folder cannot be written."""
    config = {
        "conditions": vars(conditions),
        "evaluation": section_dict(cfg.evaluation),
        "tracking": section_dict(cfg.tracking),
        "model": section_dict(cfg.model),
        **settings_of(cfg),
    }

    def build(folder: Path) -> Mapping[str, Any]:
        from spikeseg.detection.network import load_network
        from spikeseg.detection.readout import readout_of
        from spikeseg.evaluation import systematic as levels
        from spikeseg.evaluation.compare import network_detector
        from spikeseg.ops.device import network_device

        model = load_network(cfg, str(network.checkpoint), network_device(cfg.device, cfg.backend))
        readout = readout_of(cfg, network.checkpoint)
        measured = levels.measure(network_detector(model, cfg, readout), readout.threshold, cfg, conditions)
        scored = list(progress(measured, "scoring", "level", total=len(conditions.levels())))
        content = levels.document(conditions, scored)
        atomic_write(folder / SCORES, json.dumps(content, indent=1, allow_nan=False) + "\n")
        atomic_write(folder / TABLE, levels.systematic_csv(content))
        return {
            "seed": conditions.seed,
            "device": cfg.device,
            "frames_per_second": [round(level.frames_per_second, 1) for level in scored],
        }

    inputs = {"checkpoint": sha256_file(network.checkpoint)}
    done = run_stage(network.folder / STAGE, Ingredients(STAGE, VERSION, config, inputs), build, force)
    return copied(done, TABLE if output is not None and output.suffix == ".csv" else SCORES, output)


def table(done: StageResult) -> str:
    """The table of what a stage has written."""
    from spikeseg.evaluation.systematic import systematic_table

    manifest = read_manifest(done.path / MANIFEST)
    assert manifest is not None
    return systematic_table(json.loads((done.path / SCORES).read_bytes()), manifest["frames_per_second"])
