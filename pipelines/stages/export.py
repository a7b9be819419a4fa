"""Stage `export`: a network as a file for other programs; and whether it fits a chip, with what that costs in accuracy."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.config.estimate import require_network_memory
from spikeseg.core.sparse import ANY_RESPONSE
from spikeseg.errors import InputError

from .answers import answers, labelled, of_each
from .prepare import STORE, find_frames

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.export.description import Description, Loss
    from spikeseg.metrics.mode import LabelledRecording
    from spikeseg.models import SpikeSEG

    from .runs import SavedNetwork

MODE = "event"
"""In which accuracy is measured."""


def write(
    cfg: Config, saved: SavedNetwork, output: Path, kind: str, size: tuple[int, int] | None, background: float | None
) -> tuple[Description, list[Loss]]:
    """Write a network to a file.

    Args:
        cfg: the configuration that it runs under.
        saved: the network.
        output: the file.
        kind: its format, of `spikeseg.export.files.SUFFIXES`.
        size: (H, W) of the frames; None: the configuration's, or a DAVIS240C's.
        background: see `spikeseg.export.description.describe`.

    Returns:
        what was written, and what of the network is not in it.

    Raises InputError where there is not enough memory for frames of this size, or a value does not hold.
    """
    from spikeseg.export import files
    from spikeseg.export.description import describe, frame_size

    require_network_memory(cfg, size or frame_size(cfg))
    network = describe(_loaded(cfg, saved, "cpu"), cfg, size, background=background)
    files.write(output, network, kind)
    return network, files.losses(network, kind)


def fit(cfg: Config, saved: SavedNetwork, tile: tuple[int, int], background: float | None) -> dict[str, Any]:
    """Whether a network fits a Speck chip tile by tile, and its accuracy with the chip's integers on the test split.

    Args:
        cfg: the configuration.
        saved: the network.
        tile: (H, W).
        background: see `write`.

    Returns:
        `spikeseg.export.speck.report`, with "accuracy", "recordings", "synops_per_s" and "notes".
    """
    from spikeseg.export import speck
    from spikeseg.export.description import describe, frame_size
    from spikeseg.models.prototypes import ReceptiveField

    speck.check_tile(tile)
    model = _loaded(cfg, saved, "cpu")
    network = describe(model, cfg, tile, background=background)
    chip = speck.fitted(network)
    report = speck.report(network, chip, frame_size(cfg), ReceptiveField.of(model.encoder.specs).size)
    as_trained = speck.fitted(describe(model, cfg, tile))
    raised = speck.quantised(model, chip)
    sides = {"trained": model, "int8": speck.quantised(model, as_trained), "int8_fixed": speck.fixed_thresholds(raised)}
    try:
        measured = _measured(cfg, saved, sides)
    except InputError as error:
        measured = {"accuracy": None, "recordings": [], "notes": [f"accuracy was not measured: {error}"]}
    spikes_per_s = measured.pop("spikes_per_s", None)
    rates = (
        None if spikes_per_s is None else {own.name: rate * own.synapses for own, rate in zip(chip, spikes_per_s, strict=True)}
    )
    return {**report, **measured, "synops_per_s": rates}


def _loaded(cfg: Config, saved: SavedNetwork, device: str) -> SpikeSEG:
    import torch

    from spikeseg.detection.network import load_network

    return load_network(cfg, str(saved.checkpoint), torch.device(device))


def _measured(cfg: Config, saved: SavedNetwork, sides: dict[str, SpikeSEG]) -> dict[str, Any]:
    """Event ROC-AUC of each side's saliency, as `evaluate` scores it, and spikes per second at the input of each layer.

    Raises InputError where the frames are missing or nothing of the test split is labelled."""
    from spikeseg.data.store.frames import Frames
    from spikeseg.detection.readout import readout_of
    from spikeseg.evaluation import detectors as kinds
    from spikeseg.evaluation.results import Results
    from spikeseg.ops.device import network_device

    from .evaluate import warnings_about

    frames = find_frames(cfg)
    store = Frames.open(frames.path / STORE)
    tested = labelled(store, "test")
    names = [store.recordings[r].name for r in tested]
    device = network_device(cfg.device, cfg.backend)
    readout = readout_of(cfg, saved.checkpoint)
    detectors = [kinds.network(name, name, model.to(device), readout.classes) for name, model in sides.items()]
    results = Results(cfg, [MODE], dict.fromkeys(sides, ANY_RESPONSE))
    for counted in answers(cfg, detectors, store, tested, "scoring", results.count):
        results.add(counted)
    scores = results.scores()[MODE]
    rates = list(of_each(cfg, store, tested, "counting spikes", functools.partial(_spikes, sides["int8_fixed"])))
    seconds = sum(rate[-1] for rate in rates)
    return {
        "accuracy": {name: {key: scores[name][key] for key in ("roc_auc", "intervals") if key in scores[name]} for name in sides},
        "recordings": names,
        "spikes_per_s": [sum(rate[k] for rate in rates) / max(seconds, 1e-9) for k in range(len(rates[0]) - 1)],
        "notes": warnings_about(cfg, saved, frames, names),
    }


def _spikes(model: SpikeSEG, recording: LabelledRecording) -> list[float]:
    """How many spikes enter each layer, pools adding up as on the chip; and of how many seconds."""
    from spikeseg.export.speck import input_spikes

    windows = recording.recording.windows()
    counts, steps = [0.0] * len(model.encoder.specs), 0
    for _, frames, _ in windows:
        steps += frames.shape[1]
        counts = [one + many for one, many in zip(counts, input_spikes(model, frames), strict=True)]
    return [*counts, steps * recording.recording.spec.timestep_us * 1e-6]
