"""Where the program `spikeseg` starts: before anything else is imported, signals are seen to."""

from __future__ import annotations

from .runtime.process import as_program


def main() -> None:
    """Run the command line, and end the process."""
    with as_program():
        from .cli import main as commands

        commands(prog_name="spikeseg")
