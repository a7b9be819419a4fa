"""Training of a whole network in memory: what the stages do, without files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeseg.config.estimate import require_network_memory, windows_at_once
from spikeseg.core.progress import Progress, silent
from spikeseg.core.sparse import SpikeLists
from spikeseg.errors import InputError

from . import checkpoint
from .blocks import Blocks, SpikesInMemory
from .encoding import prepare_first_layer, training_spikes, windows_used
from .schedule import Schedule
from .trainer import LayerTrainer

if TYPE_CHECKING:
    import torch

    from spikeseg.config.sections import Config
    from spikeseg.data.windows import WindowedRecording
    from spikeseg.models import SpikeSEG


def train(
    recordings: Sequence[WindowedRecording], cfg: Config, device: torch.device, progress: Progress = silent
) -> tuple[SpikeSEG, dict[str, dict[str, Any]]]:
    """A network that has learned from recordings, layer by layer; labels are not read.

    The same recordings in the same order, none held out for tests, give the weights and thresholds that `spikeseg train` gives,
    bit for bit.

    Args:
        recordings: all of them are learned from.
        cfg: the configuration.
        device: where the network is trained.
        progress: shown the samples of every epoch.

    Returns:
        the network on that device, as it was when C_l of its last layer was lowest (`checkpoint.save_best`), and by layer what
        `LayerTrainer.report` says, with "epochs" and "stopped".

    Raises:
        InputError: no window to learn from, no layer that learns, or settings that do not fit.
    """
    if not cfg.learned_layers():
        raise InputError("train_conv1, train_conv2, train_conv3: all false, so there is nothing to train")
    model = checkpoint.build(cfg).to(device)
    model.encoder.backend = cfg.backend
    reports = {}
    for layer in cfg.learned_layers():
        if layer == "conv1":
            prepare_first_layer(model, cfg)
        samples = SpikesInMemory(list(_encoded(model, cfg, layer, recordings)))
        if not len(samples):
            raise InputError("there is no window to learn from: the recordings hold no events")
        trainer = LayerTrainer(model, layer, cfg)
        schedule = Schedule(trainer, Blocks(samples), cfg)
        best, lowest = None, float("inf")
        while not schedule.finished:
            title = f"{layer} epoch {schedule.epoch + 1}/{cfg.max_epochs}"
            learned = itertools.chain.from_iterable(range(pause.samples) for pause in schedule.one_epoch())
            for _ in progress(learned, title, schedule.samples_per_epoch):
                pass
            index = trainer.report()["convergence_index"]
            if cfg.checkpoint.save_best and index < lowest:
                lowest = index
                best = {name: value.detach().clone() for name, value in model.encoder.state_dict().items()}
        reports[layer] = {**trainer.report(), "epochs": schedule.epoch, "stopped": schedule.reason}
    if best is not None:
        model.encoder.load_state_dict(best)
    return model, reports


def _encoded(model: SpikeSEG, cfg: Config, layer: str, recordings: Sequence[WindowedRecording]) -> Iterator[SpikeLists]:
    """What the layer learns from, recording by recording."""
    for r, recording in enumerate(recordings):
        used = set(windows_used(len(recording.start_us), cfg.data.windows_per_recording).tolist())
        windows = ((k, window) for k, window in enumerate(recording.windows()) if k in used)
        at_once = windows_at_once(cfg.model, (cfg.data.n_timesteps, cfg.data.input_channels, *recording.shape[1:]))
        require_network_memory(cfg, recording.shape[1:])
        while part := list(itertools.islice(windows, at_once)):
            frames = np.concatenate([frames.dense() for _, (_, frames, _) in part])
            rates = np.stack([window_rates for _, (_, _, window_rates) in part])
            yield training_spikes(model, cfg, layer, frames, rates, [(r, k) for k, _ in part])
