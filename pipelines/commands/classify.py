"""The command `spikeseg classify`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from .common import say
from .options import Request, shared


@click.command("classify")
@click.option("--controls", is_flag=True, help="Score what the network is compared with, too: pixels, random weights, ...")
@click.option("--repeat", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Networks, of N seeds.")
@shared(output="File for a copy of metrics.json.", data=True)
def classify_command(request: Request, controls: bool, repeat: int, output: str | None) -> None:
    """Learn from images without their labels, then train and score a linear read-out on them.

    Datasets: digits (of scikit-learn, the default: no download), mnist, images (a folder per class), nmnist. Settings are those
    of Kheradpisheh et al. 2018, sized for the dataset, unless -c names others.

    \b
    Example: MNIST's four files in a folder, beside all controls
      spikeseg classify --dataset mnist --data-root ~/mnist --controls -o m.json
    Example: your own pictures, one folder per class
      spikeseg classify --dataset images --data-root ~/pictures --set images.height=160
    """
    from ..stages.classify import FILTERS, METRICS, classify, settings_for

    if request.config is None:
        dataset = request.overrides.get("data.dataset") or request.overrides.get("data", {}).get("dataset", "digits")
        request = dataclasses.replace(request, config=settings_for(dataset))
    cfg = request.load()
    done = classify(cfg, controls=controls, repeat=repeat, output=Path(output) if output else None, force=request.force)
    metrics = json.loads((done.path / METRICS).read_text())
    click.echo(table(metrics))
    picture = done.path / FILTERS
    if picture.exists():
        click.echo(f"filters     {picture}")
    say(done, output or str(done.path / METRICS), "spikeseg classify --help")


PUBLISHED_IMAGES = '"only a few tens of examples per category were required" (its abstract; by layer: docs/papers.md)'
"""What Kheradpisheh et al. 2018 say of how many images learning takes."""


def table(metrics: dict[str, Any]) -> str:
    """The scores as text: the network, what it is compared with, its layers."""
    images, runs = metrics["images"], metrics["runs"]
    counts = f"{images['train']} training images, {images['test']} test images, {len(metrics['classes'])} classes"
    lines = [f"{metrics['dataset']}: {counts}"]
    spread = f" +- {metrics['accuracy_deviation']:.4f} over {len(runs)} seeds" if len(runs) > 1 else ""
    lines.append(f"  {metrics['accuracy']:.4f}{spread}  trained network, linear SVM on its features")
    for control in metrics["controls"].values():
        better, worse = control["images_network_better"], control["images_control_better"]
        beside = f"better on {worse} images, worse on {better}, p {control['p']:.2g}"
        lines.append(f"  {control['accuracy']:.4f}  {control['title']} ({beside})")
    for number, layer in enumerate(runs[0]["layers"], start=1):
        per_class = layer["images"] / len(metrics["classes"])
        shown = f"{layer['images']} images ({per_class:.0f} per class), {layer['milliseconds_per_image']:.3f} ms each"
        maps = f"{layer['dead']} maps never won, {layer['near_duplicates']} near-duplicates"
        lines.append(f"  layer {number}: {layer['stopped']} after {shown}; {maps}")
    lines.append(f"  the paper: {PUBLISHED_IMAGES}")
    spent = runs[0]["milliseconds_per_image"].items()
    lines.append("  ms per image: " + ", ".join(f"{what} {milliseconds:.3f}" for what, milliseconds in spent))
    return "\n".join(lines)
