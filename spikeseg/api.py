"""The front door: recordings in, networks trained, objects and tracks out, without a command line or a folder of stages.

``import spikeseg as ss`` offers what is defined here. The stages of the command line are this plus files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeseg.config import load_config
from spikeseg.config.sections import Config
from spikeseg.data import recording as recordings_
from spikeseg.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from spikeseg.data.summary import Summary
    from spikeseg.detection.readout import Readout
    from spikeseg.detection.result import DetectionResult, Detections
    from spikeseg.models import SpikeSEG


class Recording(recordings_.Recording):
    """A `spikeseg.data.recording.Recording` that can tell and show what it holds.

    >>> import spikeseg as ss
    >>> night = ss.simulate(recordings=1, duration_s=1.0, difficulty="easy", seed=1)[0]
    >>> night.events.dtype.names
    ('t', 'x', 'y', 'p')
    """

    def summary(self) -> Summary:
        """Events by pixel and polarity, and over time."""
        from spikeseg.data.summary import Summary

        summary = Summary(self.sensor_size)
        summary.add(self.events)
        return summary

    def info(self) -> dict[str, Any]:
        """What it holds: name, sensor, sensor_size (width, height), events, on_share, duration_s, events_per_s, labelled objects
        (None where nobody labelled it) and what the checks dropped, by reason."""
        summary = self.summary()
        return {
            "name": self.name,
            "source": self.source,
            "sensor": self.sensor,
            "sensor_size": self.sensor_size,
            "events": summary.events,
            "on_share": summary.on / summary.events if summary.events else None,
            "duration_s": summary.duration_us * 1e-6,
            "events_per_s": summary.events_per_s,
            "objects": None if self.labels is None else len(set(self.labels["id"].tolist())),
            "dropped": dict(self.dropped),
        }

    def plot(self) -> Figure:
        """A matplotlib figure: events per pixel and polarity, and their rate over time.

        Raises:
            InputError: matplotlib is not installed (extra 'plots').
        """
        from spikeseg.plots.recording import recording_figure

        return recording_figure(self.summary(), self.name)

    @classmethod
    def of(cls, recording: recordings_.Recording) -> Recording:
        """The same recording."""
        return cls(**{field.name: getattr(recording, field.name) for field in dataclasses.fields(recording)})


def read(path: str | Path, *, sensor_size: tuple[int, int] | None = None, lenient: bool = False) -> Recording:
    """Read a recording, in any format that the command line reads.

    Args:
        path: a file, or ``FILE.h5::NAME`` for one of several in a file.
        sensor_size: (width, height) in pixels, for formats that do not tell it.
        lenient: accept a recording of which more than 1 % must be dropped.

    Raises:
        InputError: no such file, an unknown format, or content that does not pass the checks.
    """
    from spikeseg.data.readers import read as read_recording

    return Recording.of(read_recording(path, sensor_size=sensor_size, lenient=lenient))


def simulate(
    recordings: int = 1, *, duration_s: float = 8.0, difficulty: str = "medium", sensor: str = "DAVIS", seed: int = 42
) -> list[Recording]:
    """Simulated recordings of the night sky, labelled, with the cause of every event.

    Args:
        recordings: how many.
        duration_s: length of each, s.
        difficulty: 'easy', 'medium' or 'hard': how dim and how fast the satellites are.
        sensor: 'DAVIS' (240 x 180), 'ATIS' (304 x 240) or 'both', in turn.
        seed: the same seed gives the same events.

    Raises:
        InputError: a value that is not allowed.

    >>> import spikeseg as ss
    >>> [night.name for night in ss.simulate(recordings=2, duration_s=0.5, sensor="both")]
    ['DAVIS_0000', 'ATIS_0001']
    """
    from spikeseg.simulation.recordings import SimulationConfig
    from spikeseg.simulation.recordings import simulate as simulated

    config = SimulationConfig(recordings, duration_s, difficulty, sensor, seed)
    return [Recording.of(recording) for recording in simulated(config)]


@dataclass(eq=False)
class Network:
    """A network with the configuration that it runs under.

    Attributes:
        model: the spiking network, a torch module.
        config: how recordings are framed, what is learned, how objects are tracked.
        checkpoint: the file that it was loaded from; None for one that was made or trained here.
        reports: by layer, what training came to; empty for one that was not trained here.
    """

    model: SpikeSEG
    config: Config
    checkpoint: Path | None = None
    reports: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def train(self, recordings: Iterable[recordings_.Recording | str | Path], *, progress: bool = True) -> Network:
        """Learn from recordings, layer by layer, without their labels; -> the network itself.

        Weights are drawn anew first. The same recordings in the same order, none held out, give what `spikeseg train` gives, bit
        for bit.

        Args:
            recordings: recordings, or paths of some; all of them are learned from.
            progress: whether to show a bar per epoch.

        Raises:
            InputError: a recording cannot be read, nothing to learn from, or settings that do not fit.

        >>> import spikeseg as ss
        >>> network = ss.new("demo", {"max_epochs": 1, "device": "cpu"})
        >>> nights = ss.simulate(recordings=2, duration_s=1.0, difficulty="easy")
        >>> sorted(network.train(nights, progress=False).reports)
        ['conv2', 'conv3']
        """
        from spikeseg.data.windows import windowed
        from spikeseg.learning.train import silent, train

        cuts = [windowed(recording, self.config.data) for recording in self._read(recordings)]
        device = self.model.encoder.conv1.weight.device
        self.model, self.reports = train(cuts, self.config, device, _bar if progress else silent)
        self.checkpoint = None
        return self

    def detect(
        self, recordings: recordings_.Recording | str | Path | Sequence[recordings_.Recording | str | Path]
    ) -> Detections | DetectionResult:
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

        one = isinstance(recordings, (recordings_.Recording, str, Path))
        given = self._read([recordings] if one else recordings)  # type: ignore[list-item,arg-type]
        readout = self._readout()
        detections = [detect_recording(self.model, recording, self.config, readout) for recording in given]
        return detections[0] if one else DetectionResult(detections)

    def save(self, path: str | Path) -> Path:
        """Write a checkpoint, which `load` and every command's --checkpoint read; -> the file.

        Raises:
            InputError: the file cannot be written.
        """
        from spikeseg.core.files import atomic_write
        from spikeseg.learning import checkpoint

        return atomic_write(Path(path), lambda file: checkpoint.save(file, self.model, self.config))

    def _readout(self) -> Readout:
        from spikeseg.detection.readout import readout_of

        if self.checkpoint is None and self.config.evaluation.readout != "all":
            raise InputError("evaluation.readout: calibrated, but this network holds no calibration; `spikeseg sweep` makes one")
        return readout_of(self.config, self.checkpoint or Path())

    def _read(self, recordings: Iterable[recordings_.Recording | str | Path]) -> list[recordings_.Recording]:
        lenient = self.config.data.lenient
        return [r if isinstance(r, recordings_.Recording) else read(r, lenient=lenient) for r in recordings]

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
        path: a checkpoint, or the folder of a finished run, of which the best one is taken.
        overrides: of the configuration that it was trained with.

    Raises:
        InputError: no such file, no checkpoint, training not finished, or overrides that do not fit the network.
    """
    from spikeseg.config import from_dict, merge_configs, to_dict
    from spikeseg.config.files import undotted
    from spikeseg.learning import checkpoint
    from spikeseg.learning.run_files import best_checkpoint

    file = best_checkpoint(Path(path)) if Path(path).is_dir() else Path(path)
    saved, meta = checkpoint.load(file)
    cfg = meta["config"]
    if overrides:
        cfg = from_dict(merge_configs(to_dict(cfg), undotted(overrides, "overrides")), "overrides")
    model = checkpoint.build(cfg)
    checkpoint.restore(model, saved.encoder.state_dict(), str(file))
    return Network(_placed(model, cfg), cfg, file)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well a network and what it is compared with detect labelled objects.

    Attributes:
        metrics: "modes" (mode -> detector -> values, intervals, rows per recording), "thresholds", "detectors" (titles),
            "recordings", "notes", as metrics.json has them.
    """

    metrics: Mapping[str, Any]

    def __getitem__(self, mode: str) -> Mapping[str, Any]:
        """The scores of a mode, by detector."""
        scores: Mapping[str, Any] = self.metrics["modes"][mode]
        return scores

    def table(self) -> str:
        """The table that `spikeseg evaluate` prints."""
        from spikeseg.evaluation.tables import metrics_table

        return metrics_table(self.metrics)

    def __repr__(self) -> str:
        return self.table()


def evaluate(
    network: Network,
    recordings: Iterable[recordings_.Recording | str | Path],
    *,
    modes: Sequence[str] = (),
    calibration: Iterable[recordings_.Recording | str | Path] = (),
) -> Evaluation:
    """Score a network on labelled recordings, beside raw events, filters and the same network untrained.

    Labels are read after a detector has answered.

    Args:
        network: the network.
        recordings: labelled; those that it has learned from make its figures worthless.
        modes: names of metric modes ('event', 'pixel', 'object', 'volume', 'track'); empty: all.
        calibration: other labelled recordings, on which the thresholds of the event mode are chosen; without any, every
            response counts.

    Raises:
        InputError: a recording cannot be read or is not labelled, or an unknown mode.

    >>> import spikeseg as ss
    >>> nights = ss.simulate(recordings=2, duration_s=1.0, difficulty="easy")
    >>> network = ss.new("demo", {"device": "cpu", "evaluation.bootstrap": 10})
    >>> scores = ss.evaluate(network, nights, modes=["event"])["event"]["network"]
    >>> 0 <= scores["roc_auc"] <= 1
    True
    """
    from spikeseg.config import section_dict
    from spikeseg.data.windows import windowed
    from spikeseg.evaluation.compare import compared, scored_events, thresholds_of, titles
    from spikeseg.evaluation.results import CONTROL, Results
    from spikeseg.metrics.mode import LabelledRecording
    from spikeseg.registries import MODES

    cfg = network.config

    def labelled(given: Iterable[recordings_.Recording | str | Path]) -> list[LabelledRecording]:
        read_ = network._read(given)
        bare = [recording.name for recording in read_ if recording.labels is None]
        if bare:
            raise InputError(f"{bare[0]}: not labelled, so there is nothing to score; `Network.detect` needs no labels")
        return [
            LabelledRecording.of(windowed(r, cfg.data), r.labels, r.truth, cfg.evaluation) for r in read_ if r.labels is not None
        ]

    def calibrate(detectors: Sequence[Any]) -> dict[str, float]:
        without = [detector for detector in detectors if detector.threshold is None]
        pairs = ((detector, one) for one in calibrated_on for detector in without)
        return thresholds_of(detectors, (scored_events(detector, one, cfg.evaluation) for detector, one in pairs))

    tested, calibrated_on = labelled(recordings), labelled(calibration)
    detectors, thresholds = compared(network.model, cfg, network._readout(), calibrate)
    results = Results(cfg, list(modes) or list(MODES), thresholds)
    for one in tested:
        for detector in detectors:
            results.add(results.count(detector, one))
    notes = [] if calibrated_on else ["nothing was calibrated: any response counts as seen"]
    return Evaluation(
        {
            "recordings": [one.name for one in tested],
            "settings": {**section_dict(cfg.evaluation), "tracking": section_dict(cfg.tracking), "seed": cfg.seed},
            "thresholds": thresholds,
            "detectors": titles(detectors, CONTROL),
            "modes": results.scores(),
            "notes": notes,
        }
    )


def _placed(model: SpikeSEG, cfg: Config) -> SpikeSEG:
    """On the device and with the backend that the configuration asks for."""
    from spikeseg.ops.device import network_device

    model.encoder.backend = cfg.backend
    return model.to(network_device(cfg.device, cfg.backend))


def _bar(items: Iterable[Any], title: str, total: int) -> Iterable[Any]:
    from tqdm.auto import tqdm

    return tqdm(items, title, total, unit="sample")
