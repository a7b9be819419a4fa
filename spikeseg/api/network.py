"""Networks at the front door: made, loaded, trained, and what they detect."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.config import load_config
from spikeseg.config.sections import Config
from spikeseg.core.progress import Progress
from spikeseg.data.recording import Recording
from spikeseg.errors import InputError
from spikeseg.networks import NAMES, SUFFIX, file_of

from .recordings import as_recordings

if TYPE_CHECKING:
    from spikeseg.data.windows import WindowedRecording
    from spikeseg.detection.readout import Readout
    from spikeseg.detection.result import DetectionResult, Detections
    from spikeseg.models import SpikeSEG


@dataclass(eq=False)
class Network:
    """A network with the configuration that it runs under.

    Attributes:
        model: the spiking network, a torch module.
        config: how recordings are framed, what is learned, how objects are tracked.
        checkpoint: the file that it was loaded from; None for one that was made or trained here.
        reports: by layer, the report of its training (samples, wins, C_l, ...); empty for one that was not trained here.
        class_names: what its classes are called, by number; `spikeseg classes` names those of a run.
    """

    model: SpikeSEG
    config: Config
    checkpoint: Path | None = None
    reports: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    class_names: Mapping[int, str] = dataclasses.field(default_factory=dict)

    def train(
        self, recordings: Recording | str | Path | Iterable[Recording | str | Path], *, progress: bool | Progress = True
    ) -> Network:
        """Learn from recordings, layer by layer, the motion layer last, without their labels; -> the network itself.

        Weights are initialised first. The same recordings in the same order, none held out, give what `spikeseg train` gives, bit
        for bit.

        Args:
            recordings: recordings, or paths of some; all of them are learned from.
            progress: whether to show a bar per epoch; or what shows one.

        Raises:
            InputError: a recording cannot be read, nothing to learn from, or settings that do not fit.

        >>> import spikeseg as ss
        >>> network = ss.new("demo", {"max_epochs": 1, "device": "cpu"})
        >>> nights = ss.simulate(recordings=2, duration_s=1.0, difficulty="easy")
        >>> sorted(network.train(nights, progress=False).reports)
        ['conv2', 'conv3', 'motion']
        """
        from spikeseg.core.progress import silent
        from spikeseg.data.windows import windowed
        from spikeseg.learning.train import train

        cuts = [windowed(recording, self.config.data) for recording in as_recordings(recordings, self.config.data)]
        device = self.model.encoder.conv1.weight.device
        shown = progress if callable(progress) else _bar if progress else silent
        self.model, self.reports = train(cuts, self.config, device, shown)
        if self.config.model.motion:
            from spikeseg.detection.motion_training import train_motion

            views = [functools.partial(_same, cut) for cut in cuts]
            learned = train_motion(self.model, views, self.config, shown)
            self.model.footprint, self.reports = learned.share, {**self.reports, "motion": learned.report}
        self.checkpoint, self.class_names = None, {}
        return self

    def detect(self, recordings: Recording | str | Path | Iterable[Recording | str | Path]) -> Detections | DetectionResult:
        """Objects, tracks and a score for every event; labels are never read.

        Args:
            recordings: a recording or a path, which gives `Detections`; or several, which give a `DetectionResult`, a mapping
                from names to `Detections`. Both have ``objects``, ``tracks`` and ``events`` (structured arrays), ``to_pandas()``,
                ``to_table()``, and ``save(folder)``, which writes the files that `spikeseg detect` writes.

        Raises:
            InputError: a recording cannot be read, two of them share a name, or settings do not fit.

        >>> import spikeseg as ss
        >>> night = ss.simulate(recordings=1, duration_s=1.0, difficulty="easy")[0]
        >>> result = ss.new("demo", {"device": "cpu"}).detect(night)
        >>> len(result.events) == len(night.events)
        True
        """
        from spikeseg.detection.detect import detect_recording
        from spikeseg.detection.result import DetectionResult

        one = isinstance(recordings, (Recording, str, Path))
        given = as_recordings(recordings, self.config.data)
        readout = self.readout
        detections = [
            detect_recording(self.model, recording, self.config, readout, class_names=self.class_names) for recording in given
        ]
        return detections[0] if one else DetectionResult(detections)

    def save(self, path: str | Path) -> Path:
        """Write a checkpoint, which `load` and every command's --network read; -> the file.

        Args:
            path: where it goes; one that ends in .safetensors is written in that format.

        Raises:
            InputError: the file cannot be written.

        >>> import tempfile, pathlib
        >>> import spikeseg as ss
        >>> path = ss.new("demo", {"device": "cpu"}).save(pathlib.Path(tempfile.mkdtemp()) / "network.pt")
        >>> path.name
        'network.pt'
        """
        from spikeseg.core.files import atomic_write
        from spikeseg.learning import checkpoint

        write = checkpoint.save_safetensors if Path(path).suffix == SUFFIX else checkpoint.save
        return atomic_write(Path(path), lambda file: write(file, self.model, self.config))

    @property
    def readout(self) -> Readout:
        """How its output is read: thresholds, classes.

        Raises:
            InputError: the configuration asks for a calibration, and the network has none.
        """
        from spikeseg.detection.readout import readout_of

        if self.checkpoint is None and self.config.evaluation.readout != "all":
            raise InputError("evaluation.readout: calibrated, but this network holds no calibration; `spikeseg sweep` makes one")
        return readout_of(self.config, self.checkpoint or Path())

    def __repr__(self) -> str:
        maps = ", ".join(f"{spec.name} {spec.channels}" for spec in self.config.layers())
        state = f"trained in {self.checkpoint}" if self.checkpoint else "trained here" if self.reports else "untrained"
        return f"Network({maps}; {state})"


def new(config: str | Path = "demo", overrides: Mapping[str, Any] | None = None, *, paper: str | None = None) -> Network:
    """An untrained network.

    Args:
        config: a YAML file, or the name of a built-in configuration: 'demo', 'files', 'ebssa', 'config'.
        overrides: of its keys, nested or dotted, such as ``{"stdp.lr_plus": 0.01}``.
        paper: a paper's settings on top: 'igarss2023' or 'kheradpisheh2018'.

    Raises:
        InputError: no such configuration, or a key or value that is not allowed.

    >>> import spikeseg as ss
    >>> ss.new("demo", {"device": "cpu"})
    Network(conv1 4, conv2 36, conv3 1; untrained)
    """
    from spikeseg.learning import checkpoint

    cfg = load_config(config, overrides, paper)
    return Network(_placed(checkpoint.build(cfg), cfg), cfg)


def load(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Network:
    """A trained network.

    Args:
        path: 'nights' or 'scenes', networks that come with the package; a checkpoint; or the folder of a finished run, of which
            the best one is taken.
        overrides: of the configuration that it was trained with.

    Raises:
        InputError: no such file, no checkpoint, training not finished, or overrides that do not fit the network.

    >>> import tempfile, pathlib
    >>> import spikeseg as ss
    >>> ss.load("scenes", {"device": "cpu"}).config.tracking.scenes
    True
    >>> path = ss.new("demo", {"device": "cpu"}).save(pathlib.Path(tempfile.mkdtemp()) / "network.pt")
    >>> ss.load(path, {"tracking.min_hits": 4}).config.tracking.min_hits
    4
    """
    from spikeseg.config import merge_configs
    from spikeseg.learning import checkpoint
    from spikeseg.learning.class_names import names_in
    from spikeseg.learning.run_files import best_checkpoint, run_of

    if path in NAMES:
        path = file_of(str(path))
    file = best_checkpoint(Path(path)) if Path(path).is_dir() else Path(path)
    saved, meta = checkpoint.load(file)
    cfg = meta["config"]
    if overrides:
        cfg = merge_configs(cfg, overrides)
    model = checkpoint.rebuilt(saved, cfg, file)
    run = Path(path) if Path(path).is_dir() else run_of(file)
    return Network(_placed(model, cfg), cfg, file, class_names=names_in(run, saved))


def _placed(model: SpikeSEG, cfg: Config) -> SpikeSEG:
    """The network on the device and with the backend that the configuration asks for."""
    from spikeseg.ops.device import network_device

    model.encoder.backend = cfg.backend
    return model.to(network_device(cfg.device, cfg.backend))


def _same(cut: WindowedRecording) -> WindowedRecording:
    return cut


def _bar(items: Iterable[Any], title: str, total: int) -> Iterable[Any]:
    from tqdm.auto import tqdm

    return tqdm(items, title, total, unit="sample")
