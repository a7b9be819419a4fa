"""Options that set one key of the configuration: their choices and defaults are the configuration's own."""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from spikeseg.config.load import load_config
from spikeseg.config.sections import Config

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

WITHOUT = "demo"
"""The built-in configuration that holds where none is named."""


def of_demo(ctx: click.Context) -> bool:
    """Whether the demo configuration holds in a command where none is named (see `options.shared`)."""
    return bool(getattr(ctx.command.callback, "of_demo", False))


class ConfigOption(click.Option):
    """--config, whose default help shows."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Flags and help text."""
        self.show_default = WITHOUT if of_demo(ctx) else None
        return super().get_help_record(ctx)


class Setting(click.Option):
    """An option that sets a key of the configuration. Left out, the configuration's value holds; help shows the demo's, if it is
    the demo that holds where no configuration is named.

    Args:
        declarations: as click's.
        key: the dotted key.
        everywhere: whether every command knows the option; if not, the command named next is given it as --set.
        attributes: as click's; among them the help text.
    """

    def __init__(self, declarations: list[str], *, key: str, everywhere: bool = False, **attributes: Any) -> None:
        super().__init__(declarations, **attributes)
        self.key, self.everywhere = key, everywhere

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Flags and help text, with the value that holds where the option is left out."""
        default = default_of(self.key) if of_demo(ctx) else None
        if isinstance(default, bool):
            default = ("no", "yes")[default] if self.secondary_opts else None
        self.show_default = None if default is None else f"{WITHOUT}: {default}"
        return super().get_help_record(ctx)

    def repeated(self, value: Any) -> list[str]:
        """The words that set the same value in another command."""
        if not self.everywhere:
            return ["--set", f"{self.key}={value}"]
        flag = max(self.opts, key=len)
        return [flag] if value is True else [flag, str(value)]


class Words(click.ParamType):
    """Text that may name a file: completion in a shell offers files."""

    name = "path"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """See click."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


def setting(*declarations: str, key: str, **attributes: Any) -> Decorator:
    """Decorator: add a `Setting` to a command."""
    return click.option(*declarations, cls=Setting, key=key, **attributes)


def choices_of(key: str, case_sensitive: bool = True) -> click.Choice[str]:
    """The values that a key of the configuration allows."""
    section, _, name = key.rpartition(".")
    kind = typing.get_type_hints(Config)[section] if section else Config
    (field,) = (field for field in fields(kind) if field.name == name)
    return click.Choice([*field.metadata["choices"]], case_sensitive)


def default_of(key: str) -> Any:
    """The value of a key where no configuration is named."""
    return functools.reduce(getattr, key.split("."), _without())


@functools.cache
def _without() -> Config:
    return load_config(WITHOUT)
