"""Scores of a classification of images, as text."""

from __future__ import annotations

from typing import Any

PUBLISHED_IMAGES = '"only a few tens of examples per category were required" (its abstract; by layer: docs/papers.md)'
"""How many images learning takes, according to Kheradpisheh et al. 2018."""


def classification_table(metrics: dict[str, Any]) -> str:
    """The content of the metrics.json of `spikeseg classify` as text: the network, what it is compared with, its layers."""
    images, runs = metrics["images"], metrics["runs"]
    counts = f"{images['train']} training images, {images['test']} test images, {len(metrics['classes'])} classes"
    lines = [f"{metrics['dataset']}: {counts}"]
    if kept_back := images.get("objects_kept_back"):
        lines.append(f"  objects kept back for testing: {', '.join(kept_back)}")
    spread = f" +- {metrics['accuracy_deviation']:.4f} over {len(runs)} seeds" if len(runs) > 1 else ""
    lines.append(f"  {metrics['accuracy']:.4f}{spread}  trained network, linear SVM on its features")
    for control in metrics["controls"].values():
        better, worse = control["images_control_better"], control["images_network_better"]
        compared = f"better on {better} images, worse on {worse}, p {control['p']:.2g}"
        lines.append(f"  {control['accuracy']:.4f}  {control['title']} ({compared})")
    for number, layer in enumerate(runs[0]["layers"], start=1):
        per_class = layer["images"] / len(metrics["classes"])
        shown = f"{layer['images']} images ({per_class:.0f} per class), {layer['milliseconds_per_image']:.3f} ms each"
        maps = f"{layer['dead']} maps never won, {layer['near_duplicates']} near-duplicates"
        lines.append(f"  layer {number}: {layer['stopped']} after {shown}; {maps}")
    lines.append(f"  the paper: {PUBLISHED_IMAGES}")
    times = runs[0]["milliseconds_per_image"].items()
    lines.append("  ms per image: " + ", ".join(f"{step} {milliseconds:.3f}" for step, milliseconds in times))
    return "\n".join(lines)
