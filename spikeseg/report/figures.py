"""The figures of a report, by name: each a list of groups of panels, or Absent with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from spikeseg.core.text import many
from spikeseg.models.prototypes import prototypes
from spikeseg.plots.curves import Curve, confusion_group, roc_group
from spikeseg.plots.filters import preferred
from spikeseg.plots.panels import Group
from spikeseg.plots.patterns import SHOWN, Patterns, footprint_group, pattern_groups
from spikeseg.plots.raster import raster_group
from spikeseg.plots.space_time import legend_note, space_time_group, strip_group
from spikeseg.plots.training import training_groups
from spikeseg.plots.windows import window_groups

from . import Absent
from .evidence import Evidence, ImageEvidence
from .windows import chosen_windows, window_view

MOST_TRACKED, MOST_STRIPS = 4, 8
"""Recordings whose tracks are drawn; missed objects and false tracks that are cut out, of each."""
NO_CURVE = ("raw_events", "everything")
"""Detectors that score all events the same, so that their curve is the diagonal."""

Of = TypeVar("Of", Evidence, ImageEvidence)


class FigureKind(NamedTuple):
    """A figure of a report.

    Attributes:
        title: above it.
        text: what it shows, in a sentence or two.
        groups: of the evidence; raises Absent where it has none.
    """

    title: str
    text: str
    groups: Callable[[Any], Sequence[Group]]


def _filters(of: Evidence) -> list[Group]:
    encoder, groups = of.network.model.encoder, []
    for spec in encoder.specs:
        report = of.reports.get(spec.name)
        drive = prototypes(encoder, spec.name)
        wins = np.array(report["wins_per_map"] if report else np.ones(len(drive)), np.int64)
        order = np.argsort(-wins, kind="stable")
        called = of.class_names if spec is encoder.specs[-1] else {}
        names = [f"{k}{' ' * (k in called)}{called.get(k, '')}" + (f": {wins[k]:,}" if report else "") for k in order.tolist()]
        known = "number of the map, and its wins" if report else "fixed filters" if not spec.learned else "not learned"
        size = f"{drive.shape[-1]} x {drive.shape[-1]} px"
        title = f"{spec.name}: {many(spec.channels, 'map')} of {size}; {known}"
        groups += pattern_groups([Patterns(title, drive[order], names, wins[order] == 0)])
    share = of.network.model.footprint
    if of.network.cfg.model.motion and share is not None:
        groups.append(footprint_group(np.asarray(share), "motion layer: where an object's events lie around its path"))
    return groups


def _training(of: Evidence) -> list[Group]:
    stopped = {layer: report["stopped"] for layer, report in of.reports.items() if "stopped" in report}
    return training_groups(of.layers(), stopped, of.network.cfg.convergence.c_l_threshold)


def _raster(of: Evidence) -> list[Group]:
    clock, t = of.example.clock, of.example.view.events["t"]
    span = (clock.seconds(int(t[0])), clock.seconds(int(t[-1]) + 1)) if len(t) else (0.0, 1.0)
    return [raster_group(of.activity.levels, span, of.example.name)]


def _windows(of: Evidence) -> list[Group]:
    chosen = chosen_windows(of.seen)
    if not chosen:
        raise Absent("there is no object in the recordings that were looked at, neither found nor labelled")
    return window_groups([window_view(of.network, one) for one in chosen])


def _roc(of: Evidence) -> list[Group]:
    metrics = of.scored()
    if not of.curves:
        raise Absent(of.absent.get("curves", "the evaluation has no ROC curves: no event is scored, or all are an object's"))
    curves = [
        Curve(name, metrics["detectors"].get(name, name), np.array(points), of.events_of(name).get("roc_auc"))
        for name, points in of.curves.items()
        if name not in NO_CURVE
    ]
    return [roc_group(curves, f"events of {many(len(metrics['recordings']), 'recording')}")]


def _tracks(of: Evidence) -> list[Group]:
    def told(seen: Any) -> int:
        return len(seen.detections.object_ids) + (len(seen.verdict.truth.by_track) if seen.verdict else 0)

    shown = sorted(of.seen, key=told, reverse=True)[:MOST_TRACKED]
    return [
        space_time_group(
            seen.detections, seen.verdict and seen.verdict.truth, seen.verdict.false if seen.verdict else (), seen.name
        )
        for seen in sorted(shown, key=lambda seen: seen.name)
    ]


def _missed(of: Evidence) -> list[Group]:
    labelled = [seen for seen in of.seen if seen.verdict is not None]
    strips = [(seen, seen.verdict.truth, number) for seen in labelled if seen.verdict for number in seen.verdict.missed]
    return _strips(strips, len(labelled), "missed object")


def _false(of: Evidence) -> list[Group]:
    labelled = [seen for seen in of.seen if seen.verdict is not None]
    strips = [(seen, seen.detections, number) for seen in labelled if seen.verdict for number in seen.verdict.false]
    return _strips(strips, len(labelled), "false track")


def _strips(strips: Sequence[tuple[Any, Any, int]], labelled: int, what: str) -> list[Group]:
    if not labelled:
        raise Absent("nobody labelled these recordings, so it is not known what was missed or invented")
    if not strips:
        raise Absent(f"there is no {what} in {many(labelled, 'recording')}")
    shown = []
    for seen, of, number in strips[:MOST_STRIPS]:
        (row,) = of.objects[of.objects["object_id"] == number]
        when = seen.clock.text(row["t_start_us"], row["t_end_us"])
        sure = f", confidence {row['confidence']:.2f}" if of is seen.detections else ""
        shown.append((of, number, f"{seen.name}, {when}: {many(int(row['events']), 'event')}{sure}"))
    count = f", the first {len(shown)} of {len(strips)}" if len(strips) > len(shown) else ""
    return [strip_group(shown, f"{many(len(strips), what)} in {many(labelled, 'recording')}{count}")]


def _preferred(of: ImageEvidence) -> list[Group]:
    layers = []
    for number, maps in enumerate(of.network.config.maps):
        signed = preferred(of.network, number, SHOWN)
        drive = np.stack([np.maximum(-signed, 0), np.maximum(signed, 0)], 1)
        names = [f"{k}" for k in range(len(drive))]
        title = f"layer {number + 1}: {many(maps, 'map')} of {signed.shape[1]} x {signed.shape[2]} px"
        title += f", the first {SHOWN}" if maps > SHOWN else ""
        layers.append(Patterns(title, drive, names, np.zeros(len(drive), bool)))
    return pattern_groups(layers)


def _confusion(of: ImageEvidence) -> list[Group]:
    counts = of.confusion
    return [confusion_group(counts, of.metrics["classes"], f"{many(int(counts.sum()), 'test image')}")]


TRACED = (
    "the input that drives a spike of each map, traced back through all layers to the pixels: vermilion where ON "
    "events drive it, blue where OFF events do, grey where both do; the stronger, the darker"
)
LINES = legend_note(labelled=True)

FIGURES: Mapping[str, FigureKind] = {
    "windows": FigureKind(
        "Windows of the network",
        "What the network was given, what it marks (saliency, the square root), what the detection cuts that into (connected "
        "blobs, or instances of single spikes), and what is true, in pixels of the frame.",
        _windows,
    ),
    "tracks": FigureKind("Tracks in space and time", f"{LINES[0].upper()}{LINES[1:]}.", _tracks),
    "missed": FigureKind(
        "Missed objects",
        "Events around each at five moments of its life, moving with it: its own by polarity, others grey.",
        _missed,
    ),
    "false": FigureKind("False tracks", "The same of tracks that were taken for objects and follow none.", _false),
    "roc": FigureKind(
        "ROC curves",
        "How many events of objects are kept, and how many others, as the threshold falls; beside the controls.",
        _roc,
    ),
    "filters": FigureKind("Learned filters", f"{TRACED[0].upper()}{TRACED[1:]}.", _filters),
    "training": FigureKind("Training", "Convergence, wins, thresholds and dead maps at every check.", _training),
    "raster": FigureKind(
        "Raster",
        "Spikes of each layer in one recording; within a map by the row of the neuron. Events near labelled objects are "
        "vermilion.",
        _raster,
    ),
}
"""Of runs of networks for events: name -> figure."""

IMAGE_FIGURES: Mapping[str, FigureKind] = {
    "filters": FigureKind("Learned filters", f"{TRACED[0].upper()}{TRACED[1:]}.", _preferred),
    "confusion": FigureKind(
        "Confusion", "How often test images of each class were taken for each, all seeds together.", _confusion
    ),
}
"""Of runs of networks for images."""


def figures_for(evidence: Evidence | ImageEvidence) -> Mapping[str, FigureKind]:
    """The figures of a kind of run."""
    return FIGURES if isinstance(evidence, Evidence) else IMAGE_FIGURES
