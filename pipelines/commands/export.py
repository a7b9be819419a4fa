"""The command `export`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from spikeseg.core.dry_run import DryRun, is_dry
from spikeseg.core.text import many
from spikeseg.errors import InputError

from .common import network_for
from .options import FilledPath, Request, command, is_quiet, shared

FORMATS = ("nir", "safetensors", "npz", "norse")
CHIPS = ("speck",)


@command("export")
@click.argument("network", metavar="[NETWORK]", required=False, type=FilledPath())
@click.option("--format", "kind", type=click.Choice(FORMATS), help="Of the file [what its name ends in, else nir].")
@click.option("--size", metavar="WIDTHxHEIGHT", help="Frames of the network [the configuration's, or 240x180; --fit: 64x64].")
@click.option(
    "--background", type=float, metavar="RATE",
    help="Raise conv1's thresholds for so many background events per pixel, polarity and step [as trained].",
)  # fmt: skip
@click.option("--fit", "chip", type=click.Choice(CHIPS), help="Write no network; say whether it fits this chip, and how well.")
@shared(output="File to write to [NAME.nir]; with --fit, a report as JSON.", of_demo=False)
def export(
    request: Request,
    network: str | None,
    kind: str | None,
    size: str | None,
    background: float | None,
    chip: str | None,
    output: str | None,
) -> None:
    """Write a network for other programs: NIR (Norse, spikingjelly, snnTorch, sinabs, ...), plain arrays, or Norse.

    What the file does not say of the network is printed, and stands in its metadata. docs/export.md shows how each is read, and
    what comes out the same, spike for spike.

    NETWORK is a run's folder, a checkpoint, or nights or scenes, which come with the package [newest run]. --fit speck asks
    whether it fits the cores of a Speck chip, tile by tile, and scores it with the chip's integers on the test recordings.

    \b
    Example: a graph for simulators
      spikeseg export runs/mine -o mine.nir
    Example: arrays for a program of your own
      spikeseg export nights -o nights.safetensors
    Example: does it fit a chip?
      spikeseg export runs/mine --fit speck --size 64x64
    """
    from ..stages import export as stage
    from ..stages.classes import refuse_images

    if network is not None:
        refuse_images(Path(network))
    if chip is not None and kind is not None:
        raise click.UsageError("--fit writes no network: leave out --format")
    if chip is not None and output and not output.endswith(".json"):
        raise click.UsageError(f"--fit writes a report, no network: --output {output}: must end in .json")
    cfg, saved = network_for(request, network, given=True)
    frame = None if size is None else parsed_size(size)
    if chip is not None:
        if is_dry():
            raise DryRun(f"fit {saved.name} onto {chip}")
        report = stage.fit(cfg, saved, frame or (64, 64), background)
        click.echo(fit_table(report))
        if output:
            from spikeseg.core.files import atomic_write

            atomic_write(Path(output), json.dumps(report, indent=1, allow_nan=False) + "\n")
            if not is_quiet():
                click.echo(f"wrote {output}")
        return
    from spikeseg.export.files import SUFFIXES, format_of

    kind = kind or (format_of(output) if output else FORMATS[0])
    path = Path(output or f"{saved.packaged or saved.folder.name}{SUFFIXES[kind]}")
    exported, losses = stage.write(cfg, saved, path, kind, frame, background)
    for loss in losses:
        click.echo(f"not in the file: {loss.name}: {loss.text}")
    height, width = exported.size
    if not is_quiet():
        click.echo(f"wrote {path} ({kind}, frames of {width}x{height} px); docs/export.md says how it is read")


def parsed_size(text: str) -> tuple[int, int]:
    """(H, W) of "240x180". Raises InputError."""
    parts = re.fullmatch(r"\s*(\d{1,6})\s*[xX×]\s*(\d{1,6})\s*", text)
    if parts is None:
        raise InputError(f"--size: found {text!r}, must be WIDTHxHEIGHT in pixels, such as 240x180")
    return int(parts[2]), int(parts[1])


def fit_table(report: Mapping[str, Any]) -> str:
    """The report of a fit in words and a table."""
    from spikeseg.evaluation.text import text_table

    height, width = report["tile"]
    rates = report["synops_per_s"]
    rows = [
        [
            layer["name"],
            "x".join(map(str, layer["maps"])),
            f"{layer['kernel_memory']:,}",
            f"{layer['neuron_memory']:,}",
            "-" if layer["core"] is None else str(layer["core"]),
            str(layer["threshold"]),
            f"{layer['leak'][0]}" if layer["leak"][0] == layer["leak"][1] else f"{layer['leak'][0]} to {layer['leak'][1]}",
            "-" if rates is None else f"{rates[layer['name']]:,.0f}",
            "yes" if layer["fits"] else "no",
        ]
        for layer in report["layers"]
    ]
    heads = ["layer", "maps", "kernel memory", "neuron memory", "core", "threshold", "leak", "SynOps/s", "fits"]
    lines = [
        f"{report['chip']}, tiles of {width}x{height} px: {'fits' if report['fits'] else 'does not fit'}",
        text_table(heads, rows),
    ]
    for layer in report["layers"]:
        lines += [f"{layer['name']}: {over['name']}: {over['needed']:,}, at most {over['allowed']:,}" for over in layer["over"]]
        lines += [f"{layer['name']}: {fault}" for fault in layer["faults"]]
    high, wide = report["frame"]
    if report["tiles"] > 1:
        lines.append(
            f"{wide}x{high} px take {report['tiles']} tiles; SynOps/s are of all together; classes within {report['seam_px']} px "
            "of a seam miss part of what they look at"
        )
    if report["accuracy"] is not None:
        accuracy = report["accuracy"]
        titles = {
            "trained": "as trained",
            "int8": "8-bit weights and leaks",
            "int8_fixed": "and thresholds that follow nothing",
        }
        figures = [[title, _with_interval(accuracy[side])] for side, title in titles.items()]
        recordings = many(len(report["recordings"]), "test recording")
        lines += [
            "",
            text_table(["network", f"event ROC-AUC, {recordings}"], figures),
        ]
    lines += [f"note: {note}" for note in report["notes"]]
    lines += ["", "not simulated:", *(f"- {text}" for text in report["different"])]
    return "\n".join(lines)


def _with_interval(score: Mapping[str, Any]) -> str:
    """Such as "0.911 (0.862 to 0.943)"."""
    if score.get("roc_auc") is None:
        return "-"
    low, high = score.get("intervals", {}).get("roc_auc") or (None, None)
    return f"{score['roc_auc']:.3f}" + ("" if low is None else f" ({low:.3f} to {high:.3f})")
