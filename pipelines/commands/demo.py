"""The command `demo`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from .common import print_end, print_layers, trained_layers
from .options import Request, command, shared

if TYPE_CHECKING:
    from ..stages.demo import Demo


@command("demo")
@click.option("--full", is_flag=True, help="Also print how training went, and every table of the evaluation.")
@shared(output="Folder of the runs.", key="output_dir")
def demo(request: Request, full: bool) -> None:
    """Run the whole path on built-in recordings: simulate, prepare, train, evaluate, detect, report.

    Takes some minutes and needs no download. Ends with eleven lines: what was found, beside what it is compared with, and where
    the picture of one recording and the report of the run lie (which need matplotlib).

    \b
    Example: the whole path, then all that it measured
      spikeseg demo
      spikeseg demo --full
    Example: with dimmer, faster satellites
      spikeseg demo --set simulate.difficulty=hard
    """
    from ..stages import demo as stage
    from ..stages.evaluate import METRICS

    cfg = request.load()
    results = stage.demo(cfg, force=request.force)
    metrics = json.loads((results.metrics.path / METRICS).read_text())
    if full:
        from spikeseg.evaluation.tables import metrics_table

        print_layers(results.network.path, trained_layers(cfg))
        click.echo(f"{metrics_table(metrics)}\n")
    for line in lines(results, metrics):
        click.echo(line)
    print_end(results.ran, f"the demo in {results.network.path}", "spikeseg detect RECORDING")


ROWS = ("graded_tracks", "untrained", "network", "shuffled_labels")
"""Detectors of metrics.json that stand in the short table."""


def lines(results: Demo, metrics: Mapping[str, Any]) -> Iterator[str]:
    """What the demo found, in ten lines."""
    from ..stages.evaluate import METRICS

    learned, scored = results.learned, len(metrics["recordings"])
    yield f"{learned} recordings to learn from, without labels; {scored} others to be scored on:"
    yield from _table(metrics)
    yield f"all tables  spikeseg demo --full, and {results.metrics.path / METRICS}"
    yield f"detections  {_of_one(results, metrics)}"
    yield f"picture     {results.picture}"
    yield f"report      {results.report}"


def _table(metrics: Mapping[str, Any]) -> Iterator[str]:
    """The head of a table and its ROWS."""
    from spikeseg.evaluation.text import cell, text_table

    tracks, events = (metrics["modes"].get(mode, {}) for mode in ("track", "event"))
    rows = []
    for name in ROWS:
        of, ranked = tracks.get(name, {}), events.get(name, {})
        found = f"{of.get('found', '-')} of {of.get('objects', '-')}"
        rows.append([metrics["detectors"][name], found, cell(of.get("false_tracks_per_minute")), cell(ranked.get("roc_auc"))])
    yield from text_table(["", "objects found", "false tracks/min", "event ROC-AUC"], rows).splitlines()


def _of_one(results: Demo, metrics: Mapping[str, Any]) -> str:
    """What was found in one recording."""
    if results.detections is None:
        return "none: spikeseg detect RECORDING makes some"
    rows = metrics["modes"].get("track", {}).get("network", {}).get("recordings", [])
    row = next((row for row in rows if row["name"] == results.recording), {"found": "-", "objects": "-"})
    return f"{results.detections.path} ({row['found']} of {row['objects']} objects found in {results.recording})"
