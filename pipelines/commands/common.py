"""What several commands share beside `options`: options of evaluation and training, which network is meant, what is printed."""

from __future__ import annotations

import functools
import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spikeseg.errors import InputError, nearest, together
from spikeseg.networks import NAMES
from spikeseg.plots import FORMATS
from spikeseg.registries import DATASETS
from spikeseg.report import LOOKED_AT

from ..runtime.manifest import read_manifest
from .options import OF_FILES, FilledPath, Request, adding, is_quiet
from .settings import setting

if TYPE_CHECKING:
    from spikeseg.config.sections import Config
    from spikeseg.data.datasets.folders import Source

    from ..stages.runs import NoNetworkError, SavedNetwork

log = logging.getLogger(__name__)

Suited = Callable[["Config"], tuple[str, str]]
"""Configuration, which says how recordings are read -> the name of a packaged network, and why."""
SuitsRecordings = Callable[..., tuple[str, str]]
"""The same, of recordings that are given as `recordings`, too."""

NETWORK = click.option(
    "--network", "--checkpoint", "network", metavar="NETWORK", type=FilledPath(),
    help="nights or scenes, which come with the package; a run; or a checkpoint [newest run's].",
)  # fmt: skip
NETWORK_OF_FRAMES = click.option(
    "--network", "--checkpoint", "network", metavar="NETWORK", type=FilledPath(),
    help="Cut frames as this network needs them: nights, scenes, a run, or a checkpoint.",
)  # fmt: skip
HULK = setting(
    "--hulk/--no-hulk", key="tracking.hulk", default=None, help="Objects from single spikes (HULK), or connected blobs."
)
SMASH = setting(
    "--smash/--no-smash", key="tracking.smash", default=None, help="Under --hulk: group instances, or take each as an object."
)
NAME = click.option("--name", "-n", metavar="NAME", default="auto", show_default=True, help="Name of the run.")
COUNT = click.IntRange(min=1)
LOOK = click.option(
    "--recordings", "most", type=click.IntRange(min=0), default=LOOKED_AT, show_default=True, metavar="N",
    help="Recordings that are looked at again with the network, at most.",
)  # fmt: skip


training = adding([
    setting("--epochs", key="max_epochs", type=COUNT, metavar="N", help="Epochs per layer, at most."),
    setting("--n-classes", key="model.n_classes", type=COUNT, metavar="N", help="Maps of the last layer."),
    click.option("--no-tensorboard", is_flag=True, help="Write no TensorBoard files."),
])  # fmt: skip
"""Decorator: add the options of every command that trains."""


def pictures(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: add --plot and --plot-format; the command gets `plot`, the kind of file, or None for no picture."""

    @functools.wraps(command)
    def drawn(*args: Any, plot: bool, plot_format: str | None, **given: Any) -> Any:
        return command(*args, plot=plot_format or (FORMATS[0] if plot else None), **given)

    return adding([
        click.option("--plot", is_flag=True, help="Also draw each recording and what moved in it (needs matplotlib)."),
        click.option("--plot-format", type=click.Choice(FORMATS), help=f"Draw each recording, as such a file [{FORMATS[0]}]."),
    ])(drawn)  # fmt: skip


def naming(network: str | None) -> str:
    """The words that name the same network again in the next command line; none where none was named."""
    return f" --network {shlex.quote(network)}" if network else ""


def network_for(
    request: Request, named: str | None, *, given: bool = False, suited: Suited | None = None
) -> tuple[Config, SavedNetwork]:
    """The network a command means, and the configuration to run it with.

    --network names it; else, with a configuration, it is the one trained with that; else the newest run's; else, where the
    command says which suits, one that comes with the package. Without a configuration the network's own holds.

    Args:
        request: the shared options.
        named: what --network names.
        given: the command is given its recordings, so that the configuration need not say which it was trained on.
        suited: which packaged network suits the recordings, and why, given the configuration; asked only where no network is
            named or trained. With it, one line of the log says which network was chosen. None: none suits.

    Raises:
        InputError: there is no such network, it is damaged, or it does not fit.
    """
    from ..stages.runs import NoNetworkError, as_read, named_run, names_of_runs, network_at, own_config, packaged_network

    if named is not None:
        if named in NAMES:
            network = packaged_network(named, "")
        else:
            known = [*NAMES, *names_of_runs(request.output_dir)]
            network = network_at(named_run(Path(named), request.output_dir), known)
        cfg = request.load(stored=own_config(network))
        return cfg, as_read(cfg, packaged_network(named, cfg.output_dir) if named in NAMES else network)
    try:
        cfg, network = _trained(request, given)
    except NoNetworkError as missing:
        if suited is None and missing.recordings is not None and not given:
            raise missing.recordings from None
        return _packaged(request, suited, _with_ways(request, missing, given))
    if suited is not None:
        which = "the newest of this configuration" if request.configured else "the newest run"
        log.info("network: %s, %s (--network %s: one that comes with the package)", network.folder, which, " or ".join(NAMES))
    return cfg, network


def all_told(*checks: Callable[[], Any]) -> list[Any]:
    """What each check returns. Raises one InputError that tells what all of them refuse, so that nothing is mended in vain."""
    answers, faults = [], []
    for check in checks:
        try:
            answers.append(check())
        except InputError as error:
            faults.append(error)
    if faults:
        raise together(faults)
    return answers


def named_first(request: Request, named: str | None, check: Callable[[], Any]) -> tuple[tuple[Config, SavedNetwork] | None, Any]:
    """The network that --network names, None where it names none, and what a check of other names returns; see `all_told`."""

    def by_name() -> tuple[Config, SavedNetwork] | None:
        if named is not None:
            return network_for(request, named, given=True)
        request.load()  # which is what can be wrong so far
        return None

    found, checked = all_told(by_name, check)
    return found, checked


def network_and_recordings(
    request: Request, named: str | None, recordings: Sequence[str], suited: SuitsRecordings | None
) -> tuple[Config, SavedNetwork, list[Source]]:
    """`network_for`, and the recordings that are given: what is wrong with their names, and with the network's, is told at once.

    Args:
        request: the shared options.
        named: what --network names.
        recordings: paths, see `stages.recordings.given`.
        suited: see `network_for`, given the recordings, too.
    """
    from ..stages.recordings import given

    found, sources = named_first(request, named, lambda: given(recordings))
    suits = None if suited is None or not sources else functools.partial(suited, recordings=sources)
    cfg, saved = found or network_for(request, None, given=True, suited=suits)
    return cfg, saved, sources


def _trained(request: Request, given: bool) -> tuple[Config, SavedNetwork]:
    """The network that somebody has trained and that is meant where none is named. Raises NoNetworkError where there is none."""
    from ..stages.runs import NoNetworkError, as_read, network_at, network_by_settings, network_of, newest_run, own_config

    path = None if request.configured else newest_run(request.load().output_dir)
    if path is not None:
        network = network_at(path)
        cfg = request.load(stored=own_config(network))
        return cfg, as_read(cfg, network)
    cfg = request.load()
    if given and cfg.data.data_root is None and cfg.data.dataset != "synthetic":
        return cfg, network_by_settings(cfg)
    try:
        return cfg, network_of(cfg)
    except NoNetworkError:  # how the recordings given are read is no matter of what the network was trained on
        if not given or not set(OF_FILES).intersection(request.overrides):
            raise
        trained = {key: value for key, value in request.overrides.items() if key not in OF_FILES}
        return cfg, network_of(replace(request, overrides=trained).load())


def _with_ways(request: Request, missing: NoNetworkError, given: bool) -> NoNetworkError:
    """The error, with the two ways to a network."""
    from ..stages.runs import NoNetworkError

    data = request.load().data
    folder = " --data-root FOLDER" if given and data.data_root is None and data.dataset != "synthetic" else ""
    packaged = f"{' and '.join(NAMES)} come with the package"
    return NoNetworkError(f"{missing}; `{request.next('train')}{folder}` trains one, or name one with --network; {packaged}")


def _packaged(request: Request, suited: Suited | None, missing: InputError) -> tuple[Config, SavedNetwork]:
    """The packaged network that has the shape of the configuration, or else, without one, suits the recordings.

    Raises `missing` where none has the shape that is asked for, or none may stand in."""
    from ..stages.runs import as_read, fits, own_config, packaged_network

    if suited is None:
        raise missing
    cfg = request.load()
    if request.config or request.paper:
        name, why = next((name for name in NAMES if fits(cfg, name)), None), "it has the shape of this configuration"
    else:
        name, why = suited(cfg)
        cfg = request.load(stored=own_config(packaged_network(name, "")))
        name = name if fits(cfg, name) else None
    if name is None:
        raise missing
    log.info("network: %s, which comes with the package, for none is trained in %s: %s", name, cfg.output_dir, why)
    return cfg, as_read(cfg, packaged_network(name, cfg.output_dir))


def run_of_report(request: Request, run: Path | None) -> tuple[Config, Path]:
    """The configuration and the folder of the run that is meant. Raises InputError where there is none."""
    from ..stages import report as stage
    from ..stages.runs import named_run, names_of_runs, newest_run

    output_dir = request.load().output_dir
    if run is None:
        run = newest_run(output_dir)
        if run is None:
            raise InputError(f"{output_dir}: no finished run lies there; `spikeseg train` makes one")
    folder = stage.run_folder(named_run(run, output_dir), names_of_runs(output_dir))
    return request.load(stored=stage.config_of(folder)), folder


def resumed(request: Request, resume: str | None) -> tuple[Config, str | None]:
    """The configuration to train with, and where what is resumed lies: a run, by its path or its name, or a checkpoint.

    Raises InputError where there is nothing to resume."""
    if resume is None:
        return request.load(), None
    from spikeseg.learning.checkpoint_files import require_torch
    from spikeseg.learning.run_files import LATEST

    from ..stages.runs import config_beside, named_run, names_of_runs

    path = named_run(Path(resume), request.output_dir)
    if not path.exists():
        raise InputError(
            f"--resume {resume}: no such run or checkpoint; `spikeseg status` lists the runs"
            f"{nearest(resume, names_of_runs(request.output_dir))}"
        )
    if path.is_file():
        require_torch(path)
    cfg = config_beside(path)
    save_dir = "checkpoints" if cfg is None else cfg.checkpoint.save_dir
    if path.is_dir() and not (path / save_dir / LATEST).is_file():
        raise InputError(f"--resume {resume}: holds no {save_dir}/{LATEST} to go on from; leave --resume out to start anew")
    return request.load(stored=cfg), str(path)


def trained_layers(cfg: Config) -> list[str]:
    """All layers that `train` trains, the motion layer last."""
    from spikeseg.learning.run_files import MOTION_LAYER

    return cfg.learned_layers() + ([MOTION_LAYER] if cfg.model.motion else [])


def print_layers(run: Path, layers: Sequence[str]) -> None:
    """Print a line per layer: how its training ended."""
    from spikeseg.learning.run_files import MOTION_LAYER, manifest_path

    for layer in layers:
        result = (read_manifest(manifest_path(run, layer)) or {}).get("result")
        if result and layer == MOTION_LAYER:
            click.echo(f"motion: {_footprint(result)}")
        elif result:
            click.echo(
                f"{layer}: C_l {result['convergence_index']:.4f} after {result['samples']} samples, "
                f"{result['dead_maps']} of {result['maps']} maps dead, {result['near_duplicate_maps']} near-duplicates; "
                f"stopped: {result['stopped']}"
            )


def _footprint(result: Mapping[str, Any]) -> str:
    """What the motion layer has learned, in words."""
    seen = f"{result['samples']} spikes of {result['paths']} paths"
    if result["on_ahead_px"] is None:
        return f"nothing learned, {seen} are too few; it looks for a round point"
    on, off = result["on_ahead_px"], result["off_ahead_px"]
    return f"footprint from {seen}: ON {on:+.1f} px, OFF {off:+.1f} px ahead, spread {result['sigma_px']:.1f} px"


def after_training(cfg: Config, request: Request) -> str:
    """The command line to go on with once a network is trained: `evaluate` where any recording is labelled."""
    if DATASETS[cfg.data.dataset].labelled or _any_labelled(cfg):
        return request.next("evaluate")
    return "spikeseg detect RECORDING"


def _any_labelled(cfg: Config) -> bool:
    """Whether any of the prepared recordings has labels."""
    from spikeseg.data.store.frames import Frames

    from ..stages.prepare import STORE, find_frames

    return any(info.labels is not None for info in Frames.open(find_frames(cfg).path / STORE).recordings)


def print_end(ran: bool, written: str, following: str) -> None:
    """Print a command's last line, unless --quiet: what was written, or is up to date, and the command line to go on with."""
    if not is_quiet():
        click.echo(f"{'wrote' if ran else 'up to date:'} {written}; next: {following}")
