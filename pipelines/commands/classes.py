"""The command `classes`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from .common import network_and_recordings, print_end
from .options import LENIENT, FilledPath, Request, command, shared
from .settings import Words


@command("classes")
@click.argument("run", metavar="[RUN]", required=False, type=FilledPath())
@click.argument("recordings", type=Words(), metavar="[RECORDING]...", nargs=-1)
@click.option("--name", "given", multiple=True, metavar="CLASS=NAME", help="Call a class so; may be repeated.")
@click.option("--forget", "forgotten", multiple=True, type=int, metavar="CLASS", help="Take its name away; may be repeated.")
@LENIENT
@shared(output="Folder to write to [the run's].", of_demo=False)
def classes(
    request: Request,
    run: str | None,
    recordings: tuple[str, ...],
    given: tuple[str, ...],
    forgotten: tuple[int, ...],
    output: str | None,
) -> None:
    """Show what each class of a network looks for, and give it a name.

    A network learns without labels, so its classes (the maps of conv3, model.n_classes) have numbers, not names. This shows for
    each the pattern of ON and OFF events that drives it, how often it won, and the windows that drove it most, beyond all other
    classes. Call it what you see there: detect then writes the name beside the number (class_name). Nothing is trained again.

    RUN is a run's folder, a checkpoint, or nights or scenes, which come with the package [newest run]. RECORDING...: look at
    these instead of those in the cache that it was trained on. Writes classes.png (needs matplotlib) and classes.json; names lie
    in the run's class_names.yaml.

    \b
    Example: look, name, detect
      spikeseg classes runs/mine
      spikeseg classes runs/mine --name 3=satellite --name 0=cloud
      spikeseg detect night.raw --network runs/mine
    Example: look at other recordings; take a name away
      spikeseg classes runs/mine night.raw
      spikeseg classes runs/mine --forget 3
    """
    from ..stages import classes as stage

    names = parsed_names(given)
    if twice := sorted({*names} & {*forgotten}):
        raise click.UsageError(f"class {twice[0]}: --name and --forget")
    if run is not None:
        stage.refuse_images(Path(run))
    cfg, network, sources = network_and_recordings(request, run, recordings, None)
    folder = Path(output) if output else network.folder
    detect = f"spikeseg detect RECORDING --network {run or network.name}"
    if names or forgotten:
        named = stage.name(network, names, sorted({*forgotten}))
        click.echo("\n".join(f"class {number}: {text}" for number, text in named.items()) or "no class has a name")
        if not recordings:
            again = stage.write_again(network, folder)
            written = f"names in {network.folder / stage.CLASS_NAMES}{f', {stage.PICTURE} and {stage.CLASSES}' if again else ''}"
            return print_end(True, written, detect)
    result = stage.survey(cfg, network, sources, force=request.force)
    content, new = stage.write_sheet(network, result.path, folder)
    click.echo(table(content))
    free = next((entry["class_id"] for entry in content["classes"] if entry["wins"] and not entry["class_name"]), None)
    following = detect if free is None else f"spikeseg classes {run or network.name} --name {free}=NAME"
    print_end(result.ran or new, f"{stage.PICTURE} and {stage.CLASSES} in {folder}", following)


def parsed_names(given: Sequence[str]) -> dict[int, str]:
    """{3: "satellite"} from ["3=satellite"]. Raises UsageError."""
    names: dict[int, str] = {}
    for text in given:
        parts = re.fullmatch(r"\s*(\d+)\s*=(.*)", text, re.DOTALL)
        if parts is None:
            raise click.UsageError(f"--name: {text!r}; expected CLASS=NAME, such as 3=satellite")
        if int(parts[1]) in names:
            raise click.UsageError(f"--name: class {int(parts[1])} twice")
        names[int(parts[1])] = parts[2]
    return names


def table(content: Mapping[str, Any]) -> str:
    """The content of classes.json as a table, a line per class."""
    from spikeseg.evaluation.text import text_table

    rows, told = [], any("answers_to" in entry for entry in content["classes"])
    for entry in content["classes"]:
        share = f" ({entry['windows_won'] / content['windows']:.0%})" if content["windows"] else ""
        strongest = "; ".join(
            f"{example['recording']} at {example['t_start_us'] / 1e6:.2f} s, {example['events']} events"
            for example in entry["examples"][:1]
        )
        numbers = (str(entry[figure]) for figure in ("wins", "spikes"))
        answers = [_answers_to(entry)] if told else []
        won = f"{entry['windows_won']}{share}"
        rows.append([str(entry["class_id"]), entry["class_name"] or "-", *numbers, won, *answers, strongest or "-"])
    heads = ["class", "name", "wins", "spikes", "windows won", *(["answers to"] if told else []), "driven most by"]
    summary = f"{content['windows']} windows of {len(content['recordings'])} recordings"
    return f"{text_table(heads, rows)}\n{summary}"


def _answers_to(entry: Mapping[str, Any]) -> str:
    """What the dataset says of the recordings in which a class won most, with their share of its wins."""
    wins = entry["answers_to"]
    return ", ".join(f"{name} ({count / sum(wins.values()):.0%})" for name, count in list(wins.items())[:2]) or "-"
