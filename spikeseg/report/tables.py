"""The tables of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from spikeseg.core.text import many
from spikeseg.evaluation.text import cell

from .evidence import Evidence, ImageEvidence


class Table(NamedTuple):
    """A table.

    Attributes:
        heads: of the columns; the first one's cells are names.
        rows: of text.
        note: below it.
        strong: numbers of rows that stand out.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    strong: Sequence[int] = ()


def detectors_table(of: Evidence) -> Table:
    """The network and all that it was compared with. Raises Absent where it has not been evaluated."""
    metrics, rows = of.scored(), []
    for name, title in metrics["detectors"].items():
        tracks, events = of.tracks_of(name), of.events_of(name)
        if not tracks and not events:
            continue
        found = f"{tracks['found']} of {tracks['objects']}" if tracks else "-"
        rows.append([title, found, _cell(tracks, "false_tracks_per_minute"), _cell(tracks, "coverage"), _cell(events, "roc_auc")])
    titles = [row[0] for row in rows]
    own = metrics["detectors"].get("network")
    intervals = [f"in brackets {metrics['settings']['confidence']:.0%} intervals over recordings"]
    note = "; ".join([*(intervals if len(metrics["recordings"]) > 1 else []), *metrics["notes"]])
    heads = ["", "objects found", "false tracks per minute", "coverage", "event ROC-AUC"]
    return Table(heads, rows, note, [titles.index(own)] if own in titles else [])


def recordings_table(of: Evidence) -> Table:
    """The network's figures, recording by recording. Raises Absent where it has not been evaluated."""
    metrics = of.scored()
    scores = of.tracks_of("network"), of.events_of("network")
    tracks, events = ({row["name"]: row for row in figures.get("recordings", [])} for figures in scores)
    rows = []
    for name in metrics["recordings"]:
        own, scored = tracks.get(name), events.get(name)
        rows.append(
            [
                name,
                f"{own['found']} of {own['objects']}" if own else "-",
                f"{own['false_tracks']}" if own else "-",
                cell(own["coverage"]) if own else "-",
                cell(own["position_error_px"]) if own else "-",
                cell(scored["roc_auc"]) if scored else "-",
                f"{scored['tp'] + scored['fp'] + scored['fn'] + scored['tn']:,}" if scored else "-",
            ]
        )
    heads = ["recording", "objects found", "false tracks", "coverage", "position error, px", "event ROC-AUC", "events"]
    return Table(heads, rows)


def work_table(of: Evidence) -> Table:
    """Spikes and synaptic operations by layer, per event and per second, of the example. Raises Absent."""
    activity = of.activity
    events, seconds = max(activity.events, 1), activity.seconds or 1.0
    rows = []
    fired = operations = 0
    for layer in activity.work:
        rows.append(
            [layer.name, f"{layer.neurons:,}", f"{layer.arrived:,}", *_rates(layer.fired, layer.operations, events, seconds)]
        )
        fired, operations = fired + layer.fired, operations + layer.operations
    rows.append(["together", "", "", *_rates(fired, operations, events, seconds)])
    heads = ["layer", "neurons", "spikes in", "spikes out", "per event", "per s", "synaptic operations", "per event", "per s"]
    note = (
        f"{of.example.name}: {many(activity.events, 'event')} in {activity.seconds:,.1f} s, {many(activity.windows, 'window')}; "
        "what two windows share is counted in both. A synaptic operation is a spike that arrives at a synapse, "
        "whatever its weight; spikes out are those before the pool, spikes in those that it let pass"
    )
    return Table(heads, rows, note, [len(rows) - 1])


def _rates(fired: int, operations: int, events: int, seconds: float) -> list[str]:
    return [
        f"{fired:,}", f"{fired / events:.3f}", f"{fired / seconds:,.0f}",
        f"{operations:,}", f"{operations / events:,.1f}", f"{operations / seconds:,.0f}",
    ]  # fmt: skip


def _cell(figures: Any, name: str) -> str:
    return cell(figures.get(name), figures.get("intervals", {}).get(name)) if figures else "-"


def accuracy_table(of: ImageEvidence) -> Table:
    """Accuracy of the network for images and its controls."""
    metrics = of.metrics
    rows = [["trained network", f"{metrics['accuracy']:.4f}", "", ""]]
    for control in metrics["controls"].values():
        better = f"{control['images_network_better']} : {control['images_control_better']}"
        rows.append([control["title"], f"{control['accuracy']:.4f}", better, f"{control['p']:.2g}"])
    return Table(["", "accuracy", "images better : worse", "p"], rows, "p: sign test over images", [0])


def layers_table(of: ImageEvidence) -> Table:
    """How the layers of a network for images learned."""
    rows = [
        [
            f"{number}", f"{layer['images']:,}", f"{layer['c_l']:.4f}", layer["stopped"], f"{layer['dead']}",
            f"{layer['near_duplicates']}", f"{layer['milliseconds_per_image']:.3f}",
        ]
        for number, layer in enumerate(of.metrics["runs"][0]["layers"], 1)
    ]  # fmt: skip
    return Table(["layer", "images", "C_l", "stopped", "never won", "near-duplicates", "ms per image"], rows)
