"""How training went, check by check: ``metrics.jsonl`` in the run's folder, a line per check of every layer, in order.

A line holds what the trainer reports (`LayerTrainer.report`) and its layer and epoch. Training that is resumed goes on behind the
last check before the checkpoint, so the file ends as that of training that nothing interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from spikeseg.core.files import atomic_write, writing
from spikeseg.learning.run_files import HISTORY


class History:
    """The lines of one layer's training.

    Args:
        run_dir: the run's folder.
        layer: that trains.
        samples: learned so far; what an earlier attempt wrote beyond is taken out.
        below: the layers whose lines are kept.
    """

    def __init__(self, run_dir: Path, layer: str, samples: int, below: Collection[str]) -> None:
        self.path, self.layer = run_dir / HISTORY, layer
        kept = [
            row for row in rows(self.path) if row["layer"] in below or (row["layer"] == layer and 0 < row["samples"] <= samples)
        ]
        atomic_write(self.path, "".join(map(_line, kept)))

    def add(self, epoch: int, report: Mapping[str, Any]) -> None:
        """Write one check, at once.

        Raises:
            InputError: the file cannot be written.
        """
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(_line({"layer": self.layer, "epoch": epoch, **report}))


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of such a file; none where there is no file."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")  # a damaged line is no line
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # cut off by a kill
            return
        if isinstance(row, dict) and isinstance(row.get("layer"), str) and isinstance(row.get("samples"), int):
            yield row


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row) + "\n"
