"""How help is laid out: what a command is for, its examples, more about it, its own options, then those of all commands."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import click

EXAMPLE = "Example:"
"""Begins each example of a docstring, in paragraphs that click does not rewrap; below its title stand command lines."""

Records = list[tuple[str, str]]
"""Rows of a list of help: a term and what it means."""


class Laid:
    """Mixed into a click command: its help in the order of this module's docstring.

    The options of `titles` stand under these; what is left is the command's own.
    """

    titles: ClassVar[Mapping[str, str]] = {}
    """Name of an option -> the title above it, in the order of the titles."""

    def format_help_text(self: Any, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The first paragraph, the examples, the other paragraphs."""
        first, examples, rest = parts(self.help or "")
        _write(formatter, first)
        if examples:
            with formatter.section("Examples"):
                for line in examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        _write(formatter, rest)

    def format_options(self: Any, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its own options, then the others under their titles; and, of a group, its commands."""
        groups: dict[str, Records] = {title: [] for title in ("Options", *dict.fromkeys(self.titles.values()))}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)):
                name = "help" if param is self.get_help_option(ctx) else param.name  # click's own name of it varies
                groups[self.titles.get(name or "", "Options")].append(record)
        for title, records in groups.items():
            _write_list(formatter, title, records)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)


class LaidGroup(Laid, click.Group):
    """A group of commands; named alone, it shows its help.

    Its commands stand under the titles of `sections`.
    """

    sections: ClassVar[Mapping[str, Iterable[str]]] = {}
    """Title -> names of commands, in order; others come last."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it, with the help where there is nothing to parse."""
        return super().parse_args(ctx, args or ([] if ctx.resilient_parsing else ["--help"]))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, each with the beginning of its help."""
        found = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        shown = {name: command for name, command in found.items() if command is not None and not command.hidden}
        width = formatter.width - 6 - max(map(len, shown), default=0)
        titled = {name: title for title, names in self.sections.items() for name in names}
        rows: dict[str, Records] = {title: [] for title in (*self.sections, "Other commands" if self.sections else "Commands")}
        order = [*(name for name in titled if name in shown), *(name for name in shown if name not in titled)]
        for name in order:
            rows[titled.get(name, [*rows][-1])].append((name, shown[name].get_short_help_str(width)))
        for title, records in rows.items():
            _write_list(formatter, title, records)


def parts(text: str) -> tuple[str, list[str], str]:
    """A docstring's first paragraph, the lines of its examples (titles as comments), and its other paragraphs."""
    first, examples, rest = "", [], []
    for paragraph in inspect.cleandoc(text).split("\f")[0].split("\n\n"):
        lines = paragraph.removeprefix("\b\n").splitlines()
        if lines and lines[0].startswith(EXAMPLE):
            examples += [_example_line(line) for line in lines if line != "\b"]
        elif not first:
            first = paragraph
        else:
            rest.append(paragraph)
    return first, [line for line in examples if line], "\n\n".join(rest)


def _example_line(line: str) -> str:
    if not line.startswith(EXAMPLE):
        return line.removeprefix("  ")
    title = line.removeprefix(EXAMPLE).strip()
    return f"# {title}" if title else ""


def _write(formatter: click.HelpFormatter, text: str) -> None:
    if text:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text)


def _write_list(formatter: click.HelpFormatter, title: str, records: Records) -> None:
    if records:
        with formatter.section(title):
            formatter.write_dl(records)
