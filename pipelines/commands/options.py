"""The command line's shared options: same name, same meaning, every command."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from ..runtime.console import LOGGER, logging_to_stderr, one_line_errors
from ..runtime.remote import is_url, local_copy

if TYPE_CHECKING:
    from spikeseg.config.sections import Config

BACKENDS = click.Choice(["auto", "reference", "cpu", "cuda"])
LEVELS = click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False)

KEYS = {
    "seed": "seed",
    "device": "device",
    "backend": "backend",
    "jobs": "data.num_workers",
    "dask": "data.dask",
    "log_level": "logging.log_level",
    "dataset": "data.dataset",
    "data_root": "data.data_root",
    "lenient": "data.lenient",
    "epochs": "max_epochs",
    "n_classes": "model.n_classes",
    "recordings": "simulate.recordings",
    "duration": "simulate.duration_s",
    "difficulty": "simulate.difficulty",
    "sensor": "simulate.sensor",
    "hulk": "tracking.hulk",
    "smash": "tracking.smash",
}
"""Options that stand for one key of the configuration. Left out, the configuration's value holds."""

UNTOLD = ("device", "backend", "jobs", "dask", "log_level")
"""Options that change no result, so that the next command need not repeat them."""

READING = ("evaluation", "tracking")
"""Sections that say how a network is read and scored, never which one is meant."""

EVERYWHERE = ("seed", "dataset", "data_root", "lenient")
"""Options that the next command knows too; it is given the others as --set."""


FIRST = [
    click.option("--config", "-c", metavar="FILE", help="Configuration file, or the name of a built-in one [demo]."),
    click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Change a configuration value; may be repeated."),
    click.option("--paper", metavar="NAME", help="Settings of a paper: igarss2023 or kheradpisheh2018."),
]
DATA = [
    click.option("--dataset", metavar="NAME", help="Kind of data: synthetic, ebssa, files, nmnist; digits, mnist, images."),
    click.option("--data-root", metavar="PATH", help="Folder (or file) that holds the recordings."),
    click.option("--lenient", is_flag=True, default=None, help="Accept recordings of which more than 1 % must be dropped."),
]
LAST = [
    click.option("--device", metavar="NAME", show_default="cuda", help="cpu, cuda, cuda:0; if not given, cpu without a GPU."),
    click.option("--backend", type=BACKENDS, show_default="auto", help="Kernels: auto is cuda on a GPU, else cpu; same result."),
    click.option("--seed", type=int, show_default="42", help="Seed of everything random."),
    click.option("--jobs", type=click.IntRange(min=0), metavar="N", help="Processes for preparing, threads for the network."),
    click.option("--dask", metavar="ADDRESS", help="Have recordings done by a Dask cluster: its scheduler, tcp://host:port."),
    click.option("--log-level", metavar="LEVEL", type=LEVELS, show_default="INFO", help="DEBUG to ERROR."),
    click.option("--force", is_flag=True, help="Run again what is up to date."),
    click.option("--debug", is_flag=True, help="Show a traceback with an error."),
]


@dataclass(frozen=True)
class Request:
    """What the command line asked for, before any file is read.

    config: file or built-in name, or None. overrides: keys of the configuration. force: run again what is
    up to date."""

    config: str | None = None
    paper: str | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    force: bool = False
    told: tuple[str, ...] = ()

    def load(self, stored: Config | None = None) -> Config:
        """The configuration: --config, or else `stored` (that of the run worked on), or else the demo's; changed as asked for.

        Raises InputError for a file or a value that does not hold; for a device that is not there, if it was
        asked for on the command line."""
        from spikeseg.config.load import load_config, to_dict

        if stored is not None and not (self.config or self.paper):
            cfg = load_config(None, overrides={**to_dict(stored), **self.overrides})
        else:
            cfg = load_config(self.config or "demo", overrides=self.overrides, paper=self.paper)
        if "device" in self.overrides:
            from ..runtime.device import require_device

            require_device(cfg.device, cfg.backend)
        LOGGER.setLevel(cfg.logging.log_level)
        return replace(cfg, cache_dir=str(local_copy(cfg.cache_dir))) if is_url(cfg.cache_dir) else cfg

    @property
    def configured(self) -> bool:
        """Whether any option says which configuration is meant."""
        which = {key for key in self.overrides if key.partition(".")[0] not in READING}
        return bool(self.config or self.paper or which - {KEYS[name] for name in (*UNTOLD, "lenient")})

    def also(self, key: str, value: Any) -> Request:
        """The same request with one more key of the configuration set, unless value is None."""
        if value is None:
            return self
        told = (*self.told, "--set", shlex.quote(f"{key}={value}"))
        return replace(self, overrides={**self.overrides, key: value}, told=told)

    def next(self, command: str) -> str:
        """The command line that goes on from here with the same configuration."""
        return " ".join(["spikeseg", command, *self.told])


def shared(output: str | None = None, data: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the shared options to a command, which receives them as one `Request`.

    Args:
        output: help text of --output/-o, which the command receives as `output`; None: it has none.
        data: whether to add --dataset, --data-root and --lenient.
    """
    given = [click.option("--output", "-o", metavar="PATH", help=output)] if output else []
    options = [*FIRST, *given, *(DATA if data else []), *LAST]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(**given: Any) -> Any:
            with one_line_errors(given.pop("debug"), (click.ClickException,)), logging_to_stderr(given["log_level"] or "INFO"):
                function(_request(given), **given)

        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _request(given: dict[str, Any]) -> Request:
    """Take the shared options out of a command's arguments; what is left is the command's own."""
    from spikeseg.config.load import parse_overrides

    config, paper, force = given.pop("config"), given.pop("paper"), given.pop("force")
    pairs = given.pop("pairs")
    overrides = parse_overrides(pairs)
    told = [word for pair in pairs for word in ("--set", pair)]
    for name, key in KEYS.items():
        value = given.pop(name, None)
        if value is None:
            continue
        overrides[key] = value
        if name not in UNTOLD:
            flag = f"--{name.replace('_', '-')}"
            told += ["--set", f"{key}={value}"] if name not in EVERYWHERE else [flag] if value is True else [flag, str(value)]
    lead = [*(["-c", config] if config else []), *(["--paper", paper] if paper else [])]
    return Request(config, paper, overrides, force, tuple(shlex.quote(word) for word in (*lead, *told)))
