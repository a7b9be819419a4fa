"""What `detect` prints: a row for every object that it found."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

import click

from spikeseg.core.clock import Clock
from spikeseg.core.text import many
from spikeseg.detection.schema import OBJECTS, STAR, TRACKS
from spikeseg.networks import NIGHTS, SCENES

MOST_ROWS = 40
"""That are printed; whoever has more looks into the file."""
SKY = ("RA, Dec (deg)", "arcsec/s")
"""Further headings, where positions on the sky are known."""
HEADINGS = ("object", "seen (s)", "from (px)", "to (px)", "px/s", "against the stars", "confidence", "events")


def print_objects(folder: Path, counts: Mapping[str, Mapping[str, int]], *, others: str, seconds: float | None) -> None:
    """Print a table of the objects of all recordings, those of the highest confidence where they are many, and what was counted.

    Args:
        folder: where objects.csv and tracks.csv lie.
        counts: of each recording, by name: tracks, and when its first and last event came, start_us and end_us.
        others: what a track that is no object is called.
        seconds: that the work took; None: it was done before.
    """
    from tabulate import tabulate

    with open(folder / OBJECTS, newline="") as file:
        rows = list(csv.DictReader(file))
    clocks = {name: Clock.of(count["start_us"], count["end_us"]) for name, count in counts.items()}
    shown = sorted(range(len(rows)), key=lambda k: -float(rows[k]["confidence"]))[:MOST_ROWS]
    headings = [heading for heading in HEADINGS if others == STAR or heading != "against the stars"]
    headings += SKY if any(row.get("ra_start") for row in rows) else ()
    columns = ["recording"] * (len(counts) > 1) + headings + ["class"] * any(row["class_name"] for row in rows)
    if rows:
        cells = [[_cells(rows[k], clocks[rows[k]["recording"]])[column] for column in columns] for k in sorted(shown)]
        aligned = ["left" if column in ("recording", "class") else "right" for column in columns]
        click.echo(tabulate(cells, columns, disable_numparse=True, colalign=aligned))
        if any(clock.zero_us for clock in clocks.values()):
            click.echo("times are counted from the first event")
    if len(rows) > len(shown):
        click.echo(f"and {len(rows) - len(shown)} more in {folder / OBJECTS}")
    tracks = sum(count["tracks"] for count in counts.values())
    told = [many(len(rows), "object"), many(tracks - len(rows), others)]
    if len(counts) > 1:
        told.append(many(len(counts), "recording"))
    click.echo(", ".join([*told, "done before" if seconds is None else f"{seconds:.1f} s of work"]))
    if not rows:
        click.echo(_where_to_look(folder, others))


def _where_to_look(folder: Path, others: str) -> str:
    """What to try where no object was found."""
    with open(folder / TRACKS, newline="") as file:
        scores = [float(row["object_score"]) for row in csv.DictReader(file)]
    best = f"the track that comes nearest to an object has an object_score of {max(scores):.2f}, see {TRACKS}; " if scores else ""
    if others == STAR:
        return f"{best}this looked for points that move among stars; --network {SCENES} finds whole objects of any size"
    return f"{best}this looked for whole objects that move; --network {NIGHTS} finds points on a night sky"


def _cells(row: Mapping[str, str], clock: Clock) -> dict[str, str]:
    """A row of objects.csv as it is printed."""
    first, last = (f"{clock.seconds(int(row[f't_{end}_us'])):.2f}" for end in ("start", "end"))
    start, end = (f"{round(float(row[f'x_{end}']))}, {round(float(row[f'y_{end}']))}" for end in ("start", "end"))
    cells = (
        row["object_id"], f"{first} - {last}", start, end, f"{float(row['speed']):.1f}", f"{float(row['speed_rel']):.1f}",
        f"{float(row['confidence']):.2f}", row["events"],
    )  # fmt: skip
    sky = ("", "")
    if row.get("ra_start"):
        sky = (
            f"{float(row['ra_start']):.4f}, {float(row['dec_start']):+.4f}",
            f"{math.hypot(float(row['ra_rate']), float(row['dec_rate'])):.1f}",
        )
    return {"recording": row["recording"], "class": row["class_name"], **dict(zip(HEADINGS + SKY, cells + sky, strict=True))}
