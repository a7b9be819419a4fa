"""One object, one track, one mask: how well scenes are taken apart, simulated ones and real ones that were annotated.

Run: python benchmarks/scenes.py [--conditions NAME ...] [--detectors NAME ...] [--checkpoint FILE | -c CONFIG] [--seeds A B]
     [--real FOLDER] [--copies N] [--answers NAME FOLDER] [--json FILE] [--markdown] [--quick]

The recordings are those of `spikeseg simulate --kind scenes`, one of each condition for every seed. The seeds from 9504 on,
the default, are for the last word: whoever chooses anything by looking at figures takes others, as `--seeds 1000 1004` (the end
is not part of it). `--real` names a folder with events/ and annotations/NAME.boxes.csv (t_us from the first event, x, y of the
middle, w, h, id); these are read with our readers and stand in a table of their own. `--copies` asks again, so many times, with
another 1 % of the events left out each time, and of recordings that begin 7 ms later each time, so that moments fall otherwise,
and gives the means: they tell how much of one answer is luck.

The network is trained here on simulated scenes of other seeds, under the configuration `-c`, unless a checkpoint is named, and
is run as `detect` runs it; its objects are the tracks whose score reaches its threshold. `--answers` adds what another program
says: a folder with CONDITION-SEED.npz, or NAME.npz for a real recording, as scenes_scoring.Answer saves it. `--ceiling` adds what
the true ids of all events would get with boxes made of events: an object that stands still sends none, and has a box all the
same. `--nothing` names recordings of a camera before which nothing moves.

HOTA, DetA, AssA, MOTA, switches and fragments are trackeval's, of boxes every 20 ms; MOTA, switches and fragments at an IoU of
0.5. Event IoU, tracks per object and false tracks: see scenes_scoring.score. Intervals of 95 %: a bootstrap over recordings.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from measure import options, table, write_json
from scenes_detectors import OPPONENTS, TITLES, Detector, network
from scenes_scoring import Answer, Truth, boxes_of_events, figures, score

import spikeseg
from spikeseg.config.load import parse_overrides
from spikeseg.data.recording import Recording
from spikeseg.simulation.scenes import CONDITIONS, SceneRecording, condition, scene_recording

TEST_SEEDS = (9504, 9508)
"""Nobody looks at these while choosing anything."""
TRAINING_SEEDS = (500, 501)
TRAINED_ON = ("crossing", "turning", "growing", "fast", "tiny", "flicker")
"""Seeds and conditions of the scenes that the network is trained on, if it is trained here."""
LEFT_OUT = 0.01
"""Share of a real recording's events that a copy of it lacks."""
LATER_US = 7_000
"""By so much later begins each copy that begins later, µs."""
COLUMNS = {
    "HOTA": "HOTA", "DetA": "DetA", "AssA": "AssA", "MOTA": "MOTA", "switches_per_object": "switches per object",
    "fragments_per_object": "fragments per object", "recall0.3": "recall, IoU 0.3", "precision0.3": "precision, IoU 0.3",
    "recall0.5": "recall, IoU 0.5", "precision0.5": "precision, IoU 0.5", "event_iou": "event IoU",
    "tracks_per_object": "tracks per object", "false_tracks_per_recording": "false tracks per recording",
    "empty_tracks_a_minute": "tracks a minute where nothing is",
}  # fmt: skip
BY_CONDITION = ("HOTA", "AssA", "recall0.3", "precision0.3", "event_iou", "tracks_per_object", "false_tracks_per_recording")
"""Figures that are also printed condition by condition."""


def simulated(names: Sequence[str], seeds: tuple[int, int]) -> Iterator[tuple[str, str, SceneRecording]]:
    """Condition, name and recording, one of each condition for every seed."""
    for name in names:
        for seed in range(*seeds):
            yield name, f"{name}-{seed}", scene(name, seed)


def scene(name: str, seed: int) -> SceneRecording:
    """The recording of a condition and a seed: its index is the condition's place in CONDITIONS."""
    return scene_recording(condition(name, seed=seed), list(CONDITIONS).index(name))


def annotated(folder: Path, copies: int = 0) -> Iterator[tuple[str, str, Recording, Truth]]:
    """Part, name, recording and truth of all that is annotated below a folder, and of copies that lack LEFT_OUT of the events, or
    the first LATER_US, twice as much and so on."""
    for file in sorted((folder / "annotations").glob("*.boxes.csv")):
        name = file.name.removesuffix(".boxes.csv")
        (path,) = [path for path in (folder / "events").iterdir() if path.stem == name]
        recording = spikeseg.read(path)
        truth = Truth.annotated(recording, file)
        yield name, name, recording, truth
        t = recording.events["t"]
        for seed in range(copies):
            kept = {
                "copies": np.random.default_rng(seed).random(len(t)) >= LEFT_OUT,
                "later": t >= t[:1] + (seed + 1) * LATER_US,
            }
            for part, chosen in kept.items():
                events = recording.events[chosen]
                yield f"{name}, {part}", f"{name}-{part}-{seed}", replace(recording, events=events), replace(truth, events=events)


def nothing(files: Sequence[Path]) -> Iterator[tuple[str, Recording, Truth]]:
    """Name, recording and truth of recordings in which nothing moves."""
    for path in files:
        recording = spikeseg.read(path)
        yield recording.name, recording, Truth.nothing(recording)


def trained(config: str, changes: Mapping[str, Any]) -> Any:
    """A network trained on scenes of seeds that nothing else uses."""
    _say(f"training a network under {config}")
    recordings = [own for _, _, own in simulated(TRAINED_ON, TRAINING_SEEDS)]
    return spikeseg.new(config, {"device": "cpu", **changes}).train(recordings, progress=False)


def detectors(chosen: argparse.Namespace) -> dict[str, Detector]:
    """Those that are asked for, by name."""
    found: dict[str, Detector] = {name: OPPONENTS[name] for name in chosen.detectors if name in OPPONENTS}
    changes = parse_overrides(chosen.changes)
    asked = [name for name in TITLES if name in chosen.detectors and name not in OPPONENTS]
    if asked:
        saved = chosen.checkpoint
        one = spikeseg.load(saved, {"device": "cpu", **changes}) if saved else trained(chosen.config, changes)
        found = {name: network(one, name == "network") for name in asked} | found
    return found


def measured(
    which: Iterator[tuple[str, str, Recording, Truth]], found: Mapping[str, Detector], answers: Mapping[str, Path], ceiling: bool
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Rows of counts by detector and condition."""
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for part, name, recording, truth in which:
        _say(f"  {name}: {len(recording.events):,} events")
        said = {key: detector(recording, truth.instants) for key, detector in found.items()}
        said |= {key: Answer.load(folder / f"{name}.npz") for key, folder in answers.items()}
        if ceiling and truth.object_ids is not None:
            said["ceiling"] = Answer(truth.object_ids, boxes_of_events(truth.events, truth.object_ids, truth.instants))
        for key, answer in said.items():
            rows.setdefault(key, {}).setdefault(part, []).append({**score(truth, answer), "name": name})
    return rows


def summaries(rows: Mapping[str, Mapping[str, list[dict[str, Any]]]], samples: int) -> dict[str, dict[str, Any]]:
    """Figures by detector: "all" of them together, and of each condition."""
    return {
        name: {
            "all": figures([row for part in by_part.values() for row in part], samples),
            **{part: figures(own, samples) for part, own in by_part.items()},
        }
        for name, by_part in rows.items()
    }


def report(found: Mapping[str, Mapping[str, Any]], markdown: bool) -> str:
    """The tables: all figures of all conditions together; some condition by condition."""
    titles = [TITLES.get(name, name) for name in found]
    overall = [[title, *(_cell(own["all"][name], True) for own in found.values())] for name, title in COLUMNS.items()]
    overall = [row for row in overall if set(row[1:]) != {"-"}]
    parts = [table(["all", *titles], overall, markdown=markdown)]
    conditions = [name for name in next(iter(found.values())) if name != "all"]
    for figure in BY_CONDITION if len(conditions) > 1 else ():
        rows = [[name, *(_cell(own[name][figure], False) for own in found.values())] for name in conditions]
        rows = [row for row in rows if set(row[1:]) != {"-"}]
        parts.append(table([COLUMNS[figure], *titles], rows, markdown=markdown))
    return "\n\n".join(parts)


def _cell(value: Sequence[float | None], ends: bool) -> str:
    if value[0] is None:
        return "-"
    text = f"{value[0]:.2f}"
    return f"{text} ({value[1]:.2f}..{value[2]:.2f})" if ends and value[1] is not None else text


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = options("Objects, tracks and masks of scenes, simulated and real.", markdown=True)
    parser.add_argument("--conditions", nargs="*", choices=[*CONDITIONS], default=[*CONDITIONS], metavar="NAME",
                        help=f"some of: {', '.join(CONDITIONS)}; none for real recordings alone [all]")  # fmt: skip
    parser.add_argument("--detectors", nargs="*", choices=[*TITLES], default=[*TITLES], metavar="NAME",
                        help=f"some of: {', '.join(TITLES)} [all]")  # fmt: skip
    parser.add_argument("--seeds", nargs=2, type=int, default=TEST_SEEDS, metavar=("FROM", "BELOW"),
                        help=f"of the simulated recordings [{TEST_SEEDS[0]} {TEST_SEEDS[1]}]")  # fmt: skip
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="with events/ and annotations/")
    parser.add_argument("--copies", type=int, default=0, metavar="N",
                        help=f"of each real one, with {100 * LEFT_OUT:g} %% left out, and later ones [0]")  # fmt: skip
    parser.add_argument("--nothing", type=Path, nargs="+", default=[], metavar="FILE", help="recordings in which nothing moves")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="a network [trained here]")
    parser.add_argument("-c", "--config", default="files", metavar="CONFIG", help="what it is trained under [files]")
    parser.add_argument("--set", dest="changes", nargs="+", default=[], metavar="KEY=VALUE", help="changes to its configuration")
    parser.add_argument("--answers", nargs=2, action="append", default=[], metavar=("NAME", "FOLDER"),
                        help="answers of another program, see above")  # fmt: skip
    parser.add_argument("--ceiling", action="store_true", help="what the true ids of all events would get, too")
    parser.add_argument("--samples", type=int, default=300, metavar="N", help="of the bootstrap [300]")
    chosen = parser.parse_args()
    if chosen.seeds[0] >= chosen.seeds[1]:
        parser.error(f"--seeds {chosen.seeds[0]} {chosen.seeds[1]}: no seed; BELOW has to be above FROM")
    if chosen.copies and chosen.answers:
        parser.error("--copies: the --answers of another program are those of whole recordings")
    if chosen.quick:
        chosen.conditions, chosen.seeds, chosen.samples = ["small", "empty"], (1000, 1001), 20
        chosen.changes = [*chosen.changes, "max_epochs=1"]
    return chosen


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    chosen = arguments()
    found, answers = detectors(chosen), {name: Path(folder) for name, folder in chosen.answers}
    results: dict[str, Any] = {}
    sets: dict[str, Iterator[tuple[str, str, Recording, Truth]]] = {}
    if chosen.conditions:
        sets["simulated"] = ((part, name, own, Truth.of(own)) for part, name, own in simulated(chosen.conditions, chosen.seeds))
    if chosen.real:
        sets["real"] = annotated(chosen.real, chosen.copies)
    if chosen.nothing:
        sets["nothing moves"] = ((name, name, own, truth) for name, own, truth in nothing(chosen.nothing))
    for title, which in sets.items():
        _say(title)
        results[title] = summaries(measured(which, found, answers, chosen.ceiling), chosen.samples)
        print(f"{title}\n\n{report(results[title], chosen.markdown)}\n", flush=True)
    write_json(chosen.json, "scenes", {"seeds": list(chosen.seeds), "figures": results})


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
