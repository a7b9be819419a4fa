"""The command `spikeseg`: each command turns its options into a call of one stage and says what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spikeseg.errors import InputError
from spikeseg.pipelines.commands.cache import cache_command
from spikeseg.pipelines.commands.classify import classify_command
from spikeseg.pipelines.commands.common import CHECKPOINT, network_for, say
from spikeseg.pipelines.commands.detect import detect_command
from spikeseg.pipelines.commands.info import info_command
from spikeseg.pipelines.commands.options import Request, shared
from spikeseg.pipelines.runtime.stage import MANIFEST, StageResult, read_manifest
from spikeseg.registries import MODES

if TYPE_CHECKING:
    from spikeseg.config.sections import Config


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="spikeseg")
def main() -> None:
    """Segment and track satellites in event-camera recordings, with a network that learns without labels.

    Every command takes the same options and, with none, works on built-in simulated recordings:

    \b
      spikeseg demo                  everything below, in one go
    \b
      spikeseg prepare               recordings -> cached frames
      spikeseg train-layer conv2     frames -> second layer
      spikeseg train-layer conv3     frames -> third layer
      spikeseg evaluate              network and baselines -> metrics
      spikeseg sweep                 thresholds -> table, calibrated network
      spikeseg cross-validate        folds of recordings -> spread of the metrics
      spikeseg detect RECORDING      any recording -> objects and tracks
      spikeseg classify              images -> features -> linear read-out
      spikeseg info PATH             what recordings hold, and what is dropped
      spikeseg cache list            what is stored; cache verify: is it sound?

    What is done already is not done again; `spikeseg status` shows what is. Exit codes: 0 done, 2 usage,
    3 bad input, 130 interrupted.
    """


main.add_command(detect_command)
main.add_command(info_command)
main.add_command(cache_command)
main.add_command(classify_command)


@main.command()
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option("--format", type=click.Choice(["h5", "mat"]), default="h5", show_default=True, help="One HDF5 file, or many .mat.")
@click.option("--recordings", type=int, metavar="N", help="How many recordings.")
@click.option("--duration", type=float, metavar="SECONDS", help="Length of each.")
@click.option("--difficulty", type=click.Choice(["easy", "medium", "hard"]), help="How dim and how fast the satellites are.")
@click.option("--sensor", type=click.Choice(["DAVIS", "ATIS", "both"]), help="Camera: DAVIS240C (240x180) or ATIS (304x240).")
@shared(output="Folder to write to: the same as OUT.")
def simulate(request: Request, out: Path | None, output: str | None, format: str) -> None:
    """Write labelled night-sky recordings, in EBSSA's own file formats, to the folder OUT.

    \b
    Example: six hard recordings for both cameras
      spikeseg simulate sky --recordings 6 --difficulty hard --sensor both
      spikeseg prepare --dataset ebssa --data-root sky
    """
    from spikeseg.pipelines.stages.simulate import into_folder

    folder = out or (Path(output) if output else None)
    if folder is None or (out and output):
        raise click.UsageError("give the folder to write to once: spikeseg simulate OUT")
    done = into_folder(request.load(), folder, format=format, force=request.force)
    say(done, f"recordings in {folder}", f"spikeseg prepare --dataset ebssa --data-root {folder}")


@main.command()
@click.option("--strict", is_flag=True, help="Exit with 3 when a recording could not be read, after preparing the others.")
@shared(output="Folder of the cache [./data_cache].", data=True)
def prepare(request: Request, strict: bool, output: str | None) -> None:
    """Read recordings and cut them into frames for the network, cached on disk.

    A recording that cannot be read is left out, reported here and named in the manifest; the others are prepared.

    \b
    Example: your own recordings, in any format that can be read
      spikeseg prepare --dataset files --data-root ~/recordings
    """
    from spikeseg.pipelines.stages.prepare import STORE
    from spikeseg.pipelines.stages.prepare import prepare as run

    request = request.also("cache_dir", output)
    cfg = request.load()
    done = run(cfg, force=request.force)
    if request.config is None and cfg.data.dataset in UNLABELLED:
        click.echo("these are the demo's settings, made for the night sky; `-c files` has settings for other scenes", err=True)
    told = read_manifest(done.path / MANIFEST) or {}
    for name, reason in told["skipped"].items():
        click.echo(f"skipped {name}: {reason}", err=True)
    skipped = f", {len(told['skipped'])} files skipped" if told["skipped"] else ""
    counts = f"{told['recordings']} recordings, {told['windows']} windows{skipped}"
    say(done, f"{done.path / STORE} ({counts})", request.next("train-layer conv2"))
    if strict and told["skipped"]:
        raise InputError(f"--strict: {len(told['skipped'])} recordings could not be read, {told['recordings']} are prepared")


UNLABELLED = ("files", "nmnist")
"""Datasets of which nothing says that they are labelled."""
SPLITS = click.Choice(["test", "val", "train", "all"])
SENSORS = click.Choice(["ATIS", "DAVIS", "all"])
NAME = click.option("--name", "-n", metavar="NAME", default="auto", show_default=True, help="Name of the run.")
TRAINING = [
    click.option("--epochs", type=click.IntRange(min=1), metavar="N", show_default="50", help="Epochs per layer, at most."),
    click.option("--n-classes", type=click.IntRange(min=1), metavar="N", show_default="1", help="Maps of the last layer."),
    click.option("--no-tensorboard", is_flag=True, help="Write no TensorBoard files."),
]  # fmt: skip


def training(named: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of the commands that train; named: of those that train one run."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for option in reversed([*([NAME] if named else []), *TRAINING]):
            function = option(function)
        return function

    return decorate


@main.command("train-layer")
@click.argument("layer", metavar="LAYER")
@click.option("--resume", "-r", metavar="PATH", help="Go on from this checkpoint, as if never stopped.")
@training()
@shared(output="Folder of the runs [./runs].", data=True)
def train_layer_command(
    request: Request, layer: str, resume: str | None, name: str, no_tensorboard: bool, output: str | None
) -> None:
    """Train one layer, conv2 or conv3, on the prepared frames and the layers below it.

    \b
    Example: the second layer with another learning rate
      spikeseg train-layer conv2 --set stdp.lr_plus=0.004
    """
    from spikeseg.pipelines.stages.train_layer import train_layer

    request = request.also("output_dir", output)
    cfg = request.load(stored=_stored(resume))
    done = train_layer(cfg, layer, name=name, force=request.force, resume=resume, tensorboard=False if no_tensorboard else None)
    _report(done.path, [layer])
    later = [spec.name for spec in cfg.layers() if spec.learned and spec.index > cfg.model.layer(layer).index]
    named = f" --name {name}" if name != "auto" else ""
    say(done, f"{layer} in {done.path}", request.next(f"train-layer {later[0]}{named}") if later else _after(cfg, request))


@main.command("train")
@click.option("--resume", "-r", metavar="PATH", help="Go on from this run or checkpoint, as if never stopped.")
@training()
@shared(output="Folder of the runs [./runs].", data=True)
def train_command(request: Request, resume: str | None, name: str, no_tensorboard: bool, output: str | None) -> None:
    """Train every layer in turn, preparing the frames first if need be.

    \b
    Example: the settings of a paper on EBSSA, stopped by Ctrl-C and continued
      spikeseg train -c config --paper igarss2023 --data-root ~/EBSSA --name ebssa
      spikeseg train --resume runs/ebssa
    """
    from spikeseg.pipelines.stages.train import train

    request = request.also("output_dir", output)
    cfg = request.load(stored=_stored(resume))
    done = train(cfg, name=name, force=request.force, resume=resume, tensorboard=False if no_tensorboard else None)
    _report(done.path, cfg.learned_layers())
    say(done, f"a trained network in {done.path}", _after(cfg, request))


def _after(cfg: Config, request: Request) -> str:
    """What to run once a network is trained."""
    return "spikeseg detect RECORDING" if cfg.data.dataset in UNLABELLED else request.next("evaluate")


def _stored(resume: str | None) -> Config | None:
    """The configuration of the run that is to be resumed."""
    from spikeseg.pipelines.stages.runs import config_beside

    return config_beside(Path(resume)) if resume else None


def _report(run: Path, layers: list[str]) -> None:
    """A line per layer: what training came to."""
    for layer in layers:
        result = (read_manifest(run / f"{layer}.manifest.json") or {}).get("result")
        if result:
            click.echo(
                f"{layer}: C_l {result['convergence_index']:.4f} after {result['samples']} samples, "
                f"{result['dead_maps']} of {result['maps']} maps dead, {result['near_duplicate_maps']} near-duplicates; "
                f"stopped: {result['stopped']}"
            )


@main.command("evaluate")
@CHECKPOINT
@click.option("--mode", "modes", multiple=True, type=click.Choice(MODES), help="What to score [all]; may be repeated.")
@click.option("--split", type=SPLITS, default="test", show_default=True, help="Recordings to score; all: of other data.")
@click.option("--sensor", "camera", type=SENSORS, default="all", show_default=True, help="Score this camera's recordings alone.")
@click.option("--threshold", type=click.FloatRange(0, 1), metavar="X", help="Score from which a track is an object.")
@click.option("--spatial-tolerance", type=float, metavar="PX", show_default="5", help="Largest distance of a found object.")
@click.option("--hulk/--no-hulk", default=None, help="Objects from single spikes (HULK), or connected blobs [no].")
@click.option("--smash/--no-smash", default=None, help="Under --hulk: group instances, or take each as an object [yes].")
@click.option("--per-recording", is_flag=True, help="Also print the network's figures of every recording.")
@shared(output="File for a copy of metrics.json, or, named .csv, of metrics.csv.", data=True)
def evaluate_command(
    request: Request,
    checkpoint: Path | None,
    modes: tuple[str, ...],
    split: str,
    camera: str,
    threshold: float | None,
    spatial_tolerance: float | None,
    per_recording: bool,
    output: str | None,
) -> None:
    """Score a network on labelled recordings, beside raw events, filters and the same network untrained.

    Writes metrics.json and metrics.csv. Without a configuration it is the newest run's network with that run's own settings. With
    --set evaluation.readout=calibrated its tracks count as `spikeseg sweep` chose; --threshold goes before that.

    \b
    Example: one mode, with a copy of the figures
      spikeseg evaluate --mode event -o metrics.json
    Example: one camera's objects, found within 3 px, recording by recording
      spikeseg evaluate --mode object --sensor DAVIS --spatial-tolerance 3 --per-recording
    """
    from spikeseg.evaluation.tables import metrics_table, table_by_recording
    from spikeseg.pipelines.stages.evaluate import METRICS, TABLE, Selection, evaluate

    request = request.also("tracking.object_threshold", threshold)
    request = request.also("evaluation.spatial_tolerance_px", spatial_tolerance)
    cfg, network = network_for(request, checkpoint)
    copy = Path(output) if output else None
    done = evaluate(cfg, network, Selection(split, modes or None, camera, threshold), output=copy, force=request.force)
    metrics = json.loads((done.path / METRICS).read_text())
    click.echo(metrics_table(metrics))
    if per_recording:
        click.echo("\n" + table_by_recording(metrics))
    say(done, f"{copy or f'{done.path / METRICS} and {TABLE}'}", "spikeseg detect RECORDING")


@main.command("sweep")
@CHECKPOINT
@click.option("--split", type=click.Choice(["train", "val"]), default="train", show_default=True, help="Recordings to try on.")
@shared(output="File for a copy of sweep.json, or, named .csv, of sweep.csv.", data=True)
def sweep_command(request: Request, checkpoint: Path | None, split: str, output: str | None) -> None:
    """Try thresholds: from which score is a track an object? The test split is never looked at.

    Writes sweep.json and sweep.csv and, of the training split, checkpoint_calibrated.pt: the same network with the threshold of
    highest object F1, and the classes that count, kept in it. `--set evaluation.readout=calibrated` then uses them.

    \b
    Example: calibrate the newest network, then score it so on the test split
      spikeseg sweep
      spikeseg evaluate --set evaluation.readout=calibrated
    """
    from spikeseg.evaluation.thresholds import sweep_table
    from spikeseg.pipelines.stages.sweep import SWEEP, TABLE, sweep

    cfg, network = network_for(request, checkpoint)
    copy = Path(output) if output else None
    done = sweep(cfg, network, split=split, output=copy, force=request.force)
    click.echo(sweep_table(json.loads((done.path / SWEEP).read_text())))
    following = request.next("evaluate --set evaluation.readout=calibrated" if split == "train" else "sweep")
    say(done, f"{copy or f'{done.path / SWEEP} and {TABLE}'}", following)


@main.command("cross-validate")
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, metavar="K", help="Folds of recordings.")
@click.option("--final", is_flag=True, help="Then train on all folds, and score that network once on the test split.")
@training(named=False)
@shared(output="File for a copy of cross_validation.json, or, named .csv, of cross_validation.csv.", data=True)
def cross_validate_command(request: Request, folds: int, final: bool, no_tensorboard: bool, output: str | None) -> None:
    """Train and score K times, each time without the recordings that are scored: how far do the metrics spread?

    What the test split leaves is dealt into K folds by recording; each is held out once. The test split stays closed, unless
    --final opens it once, at the end. Interrupted, the same command goes on where it was.

    \b
    Example: three folds of the built-in recordings, with a copy of the table
      spikeseg cross-validate --folds 3 -o folds.csv
    """
    from spikeseg.evaluation.folds import folds_table
    from spikeseg.evaluation.tables import metrics_table
    from spikeseg.pipelines.stages.cross_validate import RESULT, TABLE, cross_validate

    cfg = request.load()
    copy = Path(output) if output else None
    tensorboard = False if no_tensorboard else None
    done = cross_validate(cfg, folds=folds, final=final, tensorboard=tensorboard, output=copy, force=request.force)
    result = json.loads((done.path / RESULT).read_text())
    click.echo(folds_table(result))
    if result["final"]:
        click.echo("\n" + metrics_table(result["final"]["metrics"]))
    say(done, f"{copy or f'{done.path / RESULT} and {TABLE}'}", request.next("train"))


@main.command("status")
@shared(output="Folder of the runs [./runs].", data=True)
def status_command(request: Request, output: str | None) -> None:
    """Show which stages of a configuration are done, which are stale and why, and what to run next.

    \b
    Example:
      spikeseg status --set stdp.lr_plus=0.004
    """
    from spikeseg.pipelines.stages.status import status

    request = request.also("output_dir", output)
    stages = status(request.load())
    for stage in stages:
        click.echo(f"{stage.state:<12} {stage.name:<12} {stage.detail}")
    todo = next((stage for stage in stages if stage.state != "up to date"), None)
    click.echo(f"next: {request.next(todo.command) if todo else 'nothing to do'}")


@main.command("demo")
@shared(output="Folder of the runs [./runs].")
def demo_command(request: Request, output: str | None) -> None:
    """Run the whole path on built-in recordings: simulate, prepare, train, evaluate, detect.

    Takes some minutes and needs no download.

    \b
    Example: with brighter or dimmer satellites
      spikeseg demo --set simulate.difficulty=hard
    """
    from spikeseg.evaluation.tables import metrics_table
    from spikeseg.pipelines.stages.demo import demo
    from spikeseg.pipelines.stages.evaluate import METRICS
    from spikeseg.pipelines.stages.prepare import STORE

    cfg = request.also("output_dir", output).load()
    made = demo(cfg, force=request.force)
    _report(made.network.path, cfg.learned_layers())
    click.echo(metrics_table(json.loads((made.metrics.path / METRICS).read_text())))
    click.echo(f"frames      {made.frames.path / STORE}")
    click.echo(f"network     {made.network.path}")
    click.echo(f"metrics     {made.metrics.path / METRICS}")
    if made.detections:
        click.echo(f"detections  {made.detections.path}")
    say(
        StageResult(made.network.path, made.network.key, made.ran),
        f"the demo in {made.network.path}",
        "spikeseg detect RECORDING",
    )
