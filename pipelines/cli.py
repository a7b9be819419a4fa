"""The command `spikeseg`: the group of all commands, each of which is loaded when it is asked for."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import click

from spikeseg.core import interrupts
from spikeseg.errors import InputError

from .commands import COMMANDS, SECTIONS
from .commands.help import LaidGroup
from .runtime.console import one_line_errors
from .runtime.process import as_program, unread_output_ends


class CommandGroup(LaidGroup):
    """The commands of `COMMANDS`."""

    sections: ClassVar[Mapping[str, Iterable[str]]] = SECTIONS

    def main(self, args: Sequence[str] | None = None, *given: Any, **options: Any) -> Any:
        """As click does it; called with the process's own arguments, the process ends as `as_program` says."""
        if args is not None or not options.get("standalone_mode", True) or interrupts.held():
            return super().main(args, *given, **options)
        with as_program():
            return super().main(args, *given, **options)

    def make_context(self, info_name: str | None, args: list[str], *given: Any, **options: Any) -> click.Context:
        """As click does it; help that nobody reads to its end is no error."""
        with unread_output_ends():
            return super().make_context(info_name, args, *given, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """As click does it; help of a command, too."""
        with unread_output_ends():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, of ours and of other packages."""
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, whose module is imported now; None where there is none of this name."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        try:
            command = COMMANDS[cmd_name]
            if not isinstance(command, click.Command):
                raise InputError(f"command {cmd_name!r}: its entry point names a {type(command).__name__}, not a click command")
        except InputError as error:
            return _unavailable(cmd_name, error)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it; for a name that is none, click suggests others from `commands`."""
        added = self.commands
        if args[0] not in COMMANDS:
            self.commands = {name: click.Command(name) for name in COMMANDS} | {**added}
        try:
            return super().resolve_command(ctx, args)
        finally:
            self.commands = added


def _unavailable(name: str, error: InputError) -> click.Command:
    """Stands for a command of another package that cannot be loaded: listed with the error, which running it ends with."""

    @click.command(
        name,
        short_help=f"cannot be run: {error}",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def command() -> None:
        with one_line_errors(debug=False):
            raise error

    return command


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="spikeseg")
def main() -> None:
    """Segment and track satellites in event-camera recordings, with a network that learns without labels.

    \b
    Example: the whole path on simulated nights, in some minutes
      spikeseg demo
    Example: what a recording holds; the objects in it
      spikeseg info night.raw
      spikeseg detect night.raw
    Example: train on your own recordings, and score on those that are labelled
      spikeseg train --dataset files --data-root ~/nights
      spikeseg evaluate --dataset files --data-root ~/nights

    Without a configuration, commands work on built-in simulated recordings. What is done already is not done again; `spikeseg
    status` shows what is. `spikeseg COMMAND --help` begins with examples.

    Exit codes: 0 done, 2 usage, 3 bad input, 130 interrupted.
    """
    if getattr(sys.stdout, "errors", "") == "strict" and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no UTF-8
