"""How two files that should be equal differ, in words of what they hold: a weight of a checkpoint, a figure of metrics.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from spikeseg.errors import InputError
from spikeseg.networks import SUFFIX

from ..runtime.differences import ABSENT, leaves


def difference(ours: Path, theirs: Path) -> str:
    """The first difference of two files, ours named first, and how many there are; by bytes where they are of no known kind."""
    if ours.suffix == ".json":
        return _of_json(ours, theirs)
    if ours.suffix in (".pt", SUFFIX):
        return _of_checkpoints(ours, theirs)
    return _of_bytes(ours.read_bytes(), theirs.read_bytes())


def _of_json(ours: Path, theirs: Path) -> str:
    try:
        first, second = (dict(leaves(json.loads(path.read_text(encoding="utf-8")), lists=True)) for path in (ours, theirs))
    except ValueError as error:
        return f"is no JSON ({error})"
    different = [name for name in {**first, **second} if first.get(name, ABSENT) != second.get(name, ABSENT)]
    if not different:
        return "holds the same values, written differently"
    name = different[0]
    return f"{name} is {first.get(name, ABSENT)}, reproduced {second.get(name, ABSENT)}{_more(len(different))}"


def _of_checkpoints(ours: Path, theirs: Path) -> str:
    from spikeseg.learning import checkpoint

    try:
        (first, own), (second, other) = (checkpoint.load(path) for path in (ours, theirs))
    except InputError as error:
        return str(error)
    tensors = [{name: value.numpy() for name, value in model.encoder.state_dict().items()} for model in (first, second)]
    for of_network, model in zip(tensors, (first, second), strict=True):
        if model.footprint is not None:
            of_network["footprint"] = model.footprint
    for name in {**tensors[0], **tensors[1]}:
        if name not in tensors[0] or name not in tensors[1] or tensors[0][name].shape != tensors[1][name].shape:
            return f"{name} has another shape"
        places = np.argwhere(tensors[0][name] != tensors[1][name])
        if len(places):
            place = tuple(int(i) for i in places[0])
            values = " is {}, reproduced {}".format(*(float(of[name][place]) for of in tensors))
            return f"{name}{list(place)}{values} ({len(places)} of {tensors[0][name].size} values differ)"
    return "holds the same network" + (", but other notes" if set(own) != set(other) else ", written differently")


def _of_bytes(ours: bytes, theirs: bytes) -> str:
    if len(ours) != len(theirs):
        return f"has {len(ours)} bytes, reproduced {len(theirs)}"
    place = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    return f"byte {place} differs"


def _more(count: int) -> str:
    return f" (the first of {count} values that differ)" if count > 1 else ""
