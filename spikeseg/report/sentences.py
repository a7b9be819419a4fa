"""What was run and found, in five sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spikeseg.core.text import many
from spikeseg.evaluation.text import cell
from spikeseg.learning.run_files import MOTION_LAYER

from . import Absent
from .evidence import Evidence, ImageEvidence

BESIDE = ("untrained", "graded_tracks")
"""Detectors of metrics.json that the network is set beside."""


def sentences(of: Evidence | ImageEvidence) -> list[str]:
    """Five of them."""
    return [*(_of_images(of) if isinstance(of, ImageEvidence) else _of_events(of))]


def _of_events(of: Evidence) -> Iterator[str]:
    yield f"{of.source.name} is a spiking network of {_layers(of)}; {_learned(of)}."
    yield f"{_ended(of)}."
    yield f"{_found(of)}."
    yield f"{_beside(of)}."
    yield f"{_cost(of)}."


def _layers(of: Evidence) -> str:
    parts = []
    for spec in of.network.model.encoder.specs:
        what = "map" if spec.name in of.reports or spec.learned else "fixed filter"
        parts.append(f"{spec.name} ({many(spec.channels, what)})")
    motion = ["a motion layer"] if of.network.cfg.model.motion else []
    return _listed([*parts, *motion])


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _learned(of: Evidence) -> str:
    how = "by STDP and winner-take-all, and saw no label"
    if of.learned is None:
        return f"it learned {how}"
    recordings, events, seconds = of.learned
    return f"it learned from {many(recordings, 'recording')} ({seconds:,.0f} s, {many(events, 'event')}) {how}"


def _ended(of: Evidence) -> str:
    parts = []
    for name, report in of.reports.items():
        if name == MOTION_LAYER:
            paths = many(report["paths"], "path")
            seen = f"{many(report['samples'], 'spike')} along {paths}"
            nothing = f"the motion layer learned nothing: {seen} are too few"
            parts.append(nothing if report["on_ahead_px"] is None else f"the motion layer learned its footprint from {seen}")
        else:
            index = f"C_l = {report['convergence_index']:.4f}"
            why = report.get("stopped", "")
            why = why if why.startswith("C_l = ") else f"{index}; {why}" if why else index
            dead = f"{report['dead_maps'] or 'none'} of its {report['maps']} maps dead" if report["maps"] > 1 else "a single map"
            parts.append(f"{name} stopped after {many(report['samples'], 'sample')} ({why}), {dead}")
    return _capital("; ".join(parts)) if parts else "No layer of it has learned anything"


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" if text.startswith("the ") else text


def _found(of: Evidence) -> str:
    if of.metrics is None:
        return _found_unscored(of)
    metrics, figures = of.metrics, of.tracks_of("network")
    where = f"In {many(len(metrics['recordings']), 'recording')} of the {metrics['split']} split"
    if not metrics["notes"]:
        where += ", none of which it has learned from,"
    if not figures:
        return f"{where} its tracks were not scored"
    found = f"it found {figures['found']} of {many(figures['objects'], 'labelled object')}"
    false, rate = figures["false_tracks"], cell(figures["false_tracks_per_minute"])
    raised = f"{many(false, 'false track')} ({rate} per minute)" if false else "no false track"
    return f"{where} {found} and raised {raised}"


def _found_unscored(of: Evidence) -> str:
    why = of.absent["metrics"]
    try:
        seen = of.seen
    except Absent:
        return _capital(why)
    objects = sum(len(one.detections.object_ids) for one in seen)
    return f"In {many(len(seen), 'recording')} it detects {many(objects, 'object')}; {why}"


def _beside(of: Evidence) -> str:
    if of.metrics is None:
        return "So there is no control to set it beside"
    titles, own = of.metrics["detectors"], of.tracks_of("network")
    tracks = [(name, of.tracks_of(name)) for name in BESIDE]
    found = [f"{figures['found']} ({titles[name]})" for name, figures in tracks if own and figures]
    areas = [(name, of.events_of(name).get("roc_auc")) for name in ("network", *BESIDE, "shuffled_labels")]
    ranked = [f"{cell(area)} ({titles[name]})" for name, area in areas if area is not None]
    parts = [f"of the same {many(own['objects'], 'object')} the controls find {_listed(found)}"] if found else []
    parts += [f"the ROC-AUC of events is {_listed(ranked)}"] if ranked else []
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}" if text else "No control was scored"


def _cost(of: Evidence) -> str:
    try:
        activity = of.activity
    except Absent as why:
        return f"What it costs to run is not known here: {why}"
    operations, spikes = (sum(getattr(layer, name) for layer in activity.work) for name in ("operations", "fired"))
    per = max(activity.events, 1)
    shared = ", counted in each of the windows that overlap" if of.network.cfg.data.window_overlap else ""
    rate = f"{operations / activity.seconds / 1e6:,.1f} million per second" if activity.seconds else "in no time"
    return (
        f"In {of.example.name}, an event causes {spikes / per:.2f} spikes and {operations / per:,.0f} synaptic operations, "
        f"{rate} of recording{shared}"
    )


def _of_images(of: ImageEvidence) -> Iterator[str]:
    metrics: Mapping[str, Any] = of.metrics
    runs, images, shape = metrics["runs"], metrics["images"], metrics["images"]["shape"]
    maps = _listed([many(maps, "map") for maps in of.network.config.maps])
    yield (
        f"A spiking network for images with layers of {maps} learned from images of {metrics['dataset']} "
        f"({images['train']:,} in {len(metrics['classes'])} classes, {shape[2]} x {shape[3]} px) by STDP, and saw no label."
    )
    ended = [
        f"layer {number} stopped after {many(layer['images'], 'image')} at C_l {layer['c_l']:.4f} with {layer['dead']} maps dead"
        for number, layer in enumerate(runs[0]["layers"], 1)
    ]
    yield f"{_listed(ended).capitalize().replace('c_l', 'C_l')}."
    spread = f" ± {metrics['accuracy_deviation']:.4f} over {len(runs)} seeds" if len(runs) > 1 else ""
    yield (
        f"A linear read-out of its features tells {many(images['test'], 'test image')} apart with an accuracy of "
        f"{metrics['accuracy']:.4f}{spread}."
    )
    controls = [f"{control['title']} {control['accuracy']:.4f}" for control in metrics["controls"].values()]
    without = "No control was scored (spikeseg classify --controls does it)"
    yield f"{'Beside it: ' + '; '.join(controls) if controls else without}."
    times = ", ".join(f"{what} {ms:.3f} ms" for what, ms in runs[0]["milliseconds_per_image"].items())
    yield f"An image is {metrics['spikes_per_image']:,.0f} spikes and takes: {times}."
