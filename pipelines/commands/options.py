"""The command line's shared options: same name, same meaning, every command."""

from __future__ import annotations

import contextlib
import functools
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import click

from spikeseg.config import PAPERS, load_config, parse_overrides, to_dict
from spikeseg.config.circumstances import WITHOUT_RESULT
from spikeseg.config.sections import Config
from spikeseg.core.digests import keep_in
from spikeseg.core.dry_run import DryRun, dry_run
from spikeseg.errors import InputError
from spikeseg.registries import DATASETS

from ..runtime.console import LOGGER, logging_to_stderr, one_line_errors
from ..runtime.remote import is_url, local_copy
from .help import Laid
from .settings import WITHOUT, ConfigOption, Decorator, Setting, Words, choices_of, setting
from .typed import in_typed_words, typed_words

OF_FILES = ("data.lenient", "data.columns", "data.time_unit")
"""Keys that say how the files at hand are read, never which network is meant."""

READING = ("evaluation", "tracking")
"""Sections that say how a network is read and scored, never which one is meant."""


CONFIGURATION: list[Decorator] = [
    click.option(
        "--config",
        "-c",
        cls=ConfigOption,
        type=Words(),
        metavar="FILE",
        help="Configuration file, or the name of a built-in one.",
    ),
    click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Change a configuration value; may be repeated."),
    click.option("--paper", metavar="NAME", help=f"Settings of a paper: {' or '.join(PAPERS)}."),
    setting("--seed", key="seed", everywhere=True, type=int, help="Seed of everything random."),
]
LENIENT = setting(
    "--lenient", key="data.lenient", everywhere=True, is_flag=True, default=None,
    help="Accept recordings of which more than 1 % must be dropped.",
)  # fmt: skip
ROWS: list[Decorator] = [
    setting(
        "--columns", key="data.columns", metavar="NAMES",
        help="Of rows without names: t, x, y, p in their order, such as x,y,t,p; - for other columns.",
    ),
    setting(
        "--time-unit", key="data.time_unit", type=choices_of("data.time_unit"),
        help="Of t in text, .npy, .npz, and HDF5 with one array.",
    ),
]  # fmt: skip
DATA = [
    setting(
        "--dataset", key="data.dataset", everywhere=True, metavar="NAME", help=f"Kind of data: {', '.join(DATASETS.described)}."
    ),
    setting(
        "--data-root",
        key="data.data_root",
        everywhere=True,
        type=Words(),
        metavar="PATH",
        help="Folder (or file) with the recordings.",
    ),
    LENIENT,
    *ROWS,
]
RUNNING = [
    setting("--device", key="device", metavar="NAME", help="cpu, cuda, cuda:0; auto is a GPU where there is one."),
    setting(
        "--backend", key="backend", type=choices_of("backend"), help="Kernels: auto is cuda on a GPU, else cpu; same result."
    ),
    setting(
        "--jobs", key="data.num_workers", type=click.IntRange(min=0), metavar="N",
        help="Processes for preparing, threads for the network.",
    ),
    setting(
        "--dask", key="data.dask", metavar="ADDRESS",
        help="Distribute recordings over a Dask cluster: its scheduler, tcp://host:port.",
    ),
    click.option("--force", is_flag=True, help="Run again what is up to date."),
    click.option("--dry-run", is_flag=True, help="Do and write nothing; say what would be the first to be done, and why."),
]  # fmt: skip
MESSAGES: list[Decorator] = [
    click.option("--quiet", "-q", is_flag=True, help="Say nothing but results, warnings and errors."),
    click.option("--verbose", "-v", is_flag=True, help="Also say where each stage's files lie, and why it is run."),
    setting(
        "--log-level", key="logging.log_level", metavar="LEVEL", type=choices_of("logging.log_level", case_sensitive=False),
        help="DEBUG (as --verbose) to ERROR.",
    ),
    click.option("--debug", is_flag=True, help="Show a traceback with an error."),
]  # fmt: skip


def adding(options: Sequence[Decorator]) -> Decorator:
    """A decorator that adds options, in their order."""
    return lambda command: functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)


def names_of(options: Sequence[Decorator]) -> list[str]:
    """What options are called in a command's arguments."""
    any_command = click.Command("any")
    adding(options)(any_command)
    return [str(param.name) for param in any_command.params]


def _titles(**options: Sequence[Decorator]) -> dict[str, str]:
    """Name of an option -> the title above it in help."""
    return {name: title for title, of in options.items() for name in names_of(of)}


class Command(Laid, click.Command):
    """A command whose help shows its own options first, then those that others have, too, under titles."""

    titles: ClassVar[dict[str, str]] = {
        **_titles(Recordings=DATA, Configuration=CONFIGURATION, Running=RUNNING, Messages=MESSAGES),
        "help": "Messages",
    }


command = functools.partial(click.command, cls=Command)
"""As click's decorator, for a `Command`."""


@dataclass(frozen=True)
class Request:
    """What the command line asked for, before any file is read.

    Attributes:
        config: configuration file or the name of a built-in one, or None.
        paper: preset on top of it, or None.
        overrides: values by key of the configuration.
        force: run again what is up to date.
        repeated: words that give the next command the same configuration.
        typed: by key of `overrides`, what the user typed to set it, see `typed`.
    """

    config: str | None = None
    paper: str | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    force: bool = False
    repeated: tuple[str, ...] = ()
    typed: dict[str, str] = field(default_factory=dict)

    def load(self, stored: Config | None = None, *, network: bool = True) -> Config:
        """The configuration: --config, or else `stored` (that of the run worked on), or else the demo's; with the overrides.

        Args:
            stored: of the run worked on.
            network: whether the command is a step on the way to a network; others may name a backend that is not here.

        Raises:
            InputError: a file or a value that does not hold; a backend that cannot run here; a device that is not there, if it
                was asked for on the command line.
        """
        if stored is not None and not (self.config or self.paper):
            then = {**to_dict(stored), "device": Config.device if stored.device == "cuda" else stored.device}  # not asked for now
            cfg = load_config(None, overrides={**then, **self.overrides}, told=self.typed)
        else:
            cfg = load_config(self.config or WITHOUT, overrides=self.overrides, paper=self.paper, told=self.typed)
        if "device" in self.overrides:
            from spikeseg.ops.device import require_device

            require_device(cfg.device, cfg.backend)
        if network and cfg.backend == "cuda":
            from spikeseg.ops.device import require_backend

            require_backend(cfg.device, cfg.backend)
        for key in ("cache_dir", "output_dir"):
            if Path(getattr(cfg, key)).is_file():
                raise InputError(f"{key}: {getattr(cfg, key)} is a file; name a folder")
        LOGGER.setLevel(cfg.logging.log_level)
        changed = ", ".join(f"{key}={value}" for key, value in self.overrides.items()) or "nothing"
        whose = self.config or ("the run's" if stored is not None and not self.paper else WITHOUT)
        LOGGER.debug("configuration: %s%s; changed: %s", whose, f", {self.paper}" if self.paper else "", changed)
        if is_url(cfg.cache_dir):
            cfg = replace(cfg, cache_dir=str(local_copy(cfg.cache_dir)))
        keep_in(cfg.cache_dir)
        return cfg

    @property
    def output_dir(self) -> str:
        """Where runs lie, whatever else is asked for."""
        of_file = self.load() if self.config or self.paper else load_config(WITHOUT)
        return str(self.overrides.get("output_dir", of_file.output_dir))

    @property
    def configured(self) -> bool:
        """Whether any option says which configuration is meant."""
        which = {key for key in self.overrides if key.partition(".")[0] not in READING}
        return bool(self.config or self.paper or which.difference(WITHOUT_RESULT, OF_FILES))

    @property
    def dataset(self) -> str | None:
        """The kind of data that an option names."""
        return self.overrides.get("data.dataset") or self.overrides.get("data", {}).get("dataset")

    def also(self, key: str, value: Any, option: str) -> Request:
        """The same request with one more key of the configuration set, by an option, unless value is None."""
        if value is None:
            return self
        repeated = (*self.repeated, "--set", shlex.quote(f"{key}={value}"))
        typed = {**self.typed, key: option}
        return replace(self, overrides={**self.overrides, key: value}, repeated=repeated, typed=typed)

    def next(self, command: str) -> str:
        """The command line that goes on from here with the same configuration."""
        return " ".join(["spikeseg", command, *self.repeated])


def shared(output: str | None = None, *, key: str | None = None, data: bool = False, of_demo: bool = True) -> Decorator:
    """Add the shared options to a command, which receives them as one `Request`; its errors become one line and an exit code.

    Args:
        output: help text of --output/-o, whose first word says what it is, Folder or File; None: the command has none.
        key: of the configuration that --output sets; None: the command receives it as `output`.
        data: whether to add --dataset, --data-root and --lenient.
        of_demo: whether the demo configuration holds where none is named; help then shows its values.
    """
    options: list[Decorator] = [
        *CONFIGURATION, *([_output(output, key)] if output else []), *(DATA if data else []), *RUNNING, *MESSAGES,
    ]  # fmt: skip

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(**given: Any) -> Any:
            _set_level(given)
            with (
                one_line_errors(given.pop("debug"), (click.ClickException, click.Abort)),
                logging_to_stderr(given["log_level"] or "INFO"),
            ):
                _check_given(given, folder=(output or "").startswith("Folder"))
                dry, request = given.pop("dry_run"), _request(given)
                try:
                    with dry_run() if dry else contextlib.nullcontext():
                        function(request, **given)
                except DryRun as first:
                    click.echo(f"would {first}; nothing was done")
                except InputError as error:
                    raise InputError(in_typed_words(_with_remedy(error, request, given), request.typed)) from error

        vars(command)["of_demo"] = of_demo  # read by settings.of_demo
        return adding(options)(command)

    return decorate


def _with_remedy(error: InputError, request: Request, given: Mapping[str, Any]) -> str:
    """The message of an error; where something is missing that another command makes, with its command line."""
    from ..stages.prepare import NotMadeError

    if not isinstance(error, NotMadeError):
        return str(error)
    option = "network" if error.command == "prepare" else "name"  # which that command takes, too
    value = given.get(option)
    named = f" --{option} {shlex.quote(value)}" if value not in (None, "auto") else ""
    return f"{error.missing}; run `{request.next(f'{error.command}{named}')}` first"


def _set_level(given: dict[str, Any]) -> None:
    """Let --quiet and --verbose stand for a level of --log-level. Raises UsageError where more than one of them is given."""
    quiet, verbose = given.pop("quiet"), given.pop("verbose")
    if quiet + verbose + (given["log_level"] is not None) > 1:
        raise click.UsageError("--quiet, --verbose and --log-level say the same thing; give one of them")
    if quiet or verbose:
        given["log_level"] = "WARNING" if quiet else "DEBUG"


def is_quiet() -> bool:
    """Whether the command that runs is to print nothing but its results."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.params.get("quiet"))


rows = adding(ROWS)
"""Decorator: add the options that say what files of plain rows leave open."""


def _output(text: str, key: str | None) -> Decorator:
    if key is None:
        return click.option("--output", "-o", type=Words(), metavar="PATH", help=text)
    return setting("--output", "-o", key=key, type=Words(), metavar="PATH", help=text)


class FilledPath(click.Path):
    """A path that is not empty: of an empty one, Path makes the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click."""
        if value == "":
            self.fail("is empty; name one, or leave it out", param, ctx)
        return super().convert(value, param, ctx)


def _check_given(given: dict[str, Any], *, folder: bool) -> None:
    """Refuse, before any work is done, empty words, what is no number, and an --output that cannot be written.

    Args:
        given: values of the command's options and arguments.
        folder: whether --output is a folder.
    """
    for param in click.get_current_context().command.params:
        value = given.get(param.name or "")
        flag = param.opts[0] if isinstance(param, click.Argument) else max(param.opts, key=len)
        if value == "" or (isinstance(value, tuple) and "" in value):
            raise InputError(f"{flag}: is empty; give a value, or leave it out")
        if any(isinstance(number, float) and math.isnan(number) for number in (value if isinstance(value, tuple) else (value,))):
            raise InputError(f"{flag}: found nan, must be a number")
        if flag in ("--output", "--json") and isinstance(value, str) and not is_url(value):
            _check_output(flag, Path(value), folder=folder)


def _check_output(flag: str, path: Path, *, folder: bool) -> None:
    """Refuse a path where no such folder or file can be written."""
    try:
        if not folder and path.is_dir():
            raise InputError(f"{flag} {path}: is a folder; name a file in it, such as {path / 'metrics.json'}")
        if folder and path.exists() and not path.is_dir():
            raise InputError(f"{flag} {path}: is a file; name a folder")
        beside = next(parent for parent in path.absolute().parents if parent.exists())
    except OSError as error:
        raise InputError(f"{flag} {path}: {(error.strerror or str(error)).lower()}; choose another name") from None
    if not beside.is_dir():
        raise InputError(f"{flag} {path}: {beside} is a file, no folder; choose another place")


def _request(given: dict[str, Any]) -> Request:
    """Take the shared options and the settings out of a command's arguments; what is left is the command's own."""
    config, paper, force = given.pop("config"), given.pop("paper"), given.pop("force")
    pairs = given.pop("pairs")
    overrides = parse_overrides(pairs)
    options = click.get_current_context().command.params
    typed = typed_words(options, {**given, "paper": paper}, overrides)
    repeated = [word for pair in pairs for word in ("--set", pair)]
    for option in options:
        if not isinstance(option, Setting) or (value := given.pop(option.name)) is None:
            continue
        overrides[option.key] = value
        if option.key not in WITHOUT_RESULT:
            repeated += option.repeated(value)
    lead = [*(["-c", config] if config else []), *(["--paper", paper] if paper else [])]
    words = tuple(shlex.quote(word) for word in (*lead, *repeated))
    return Request(config, paper, overrides, force, words, typed)
