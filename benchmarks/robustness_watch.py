"""What `robustness watch` tries: recordings arrive one by one while `spikeseg watch` runs, is killed, and is started again.

Some come whole, some in two parts, some are renamed when they are complete; a few are bad. The end has to equal that of one
undisturbed `detect`, byte for byte.
"""

from __future__ import annotations

import io
import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from robustness_chain import Chain, kill, unequal

from spikeseg.data.readers import read
from spikeseg.data.readers.ebssa_mat import listed

NETWORK = (("prepare",), ("train-layer", "conv2"), ("train-layer", "conv3"))
"""The commands that make it."""
OPTIONS = ("--set", "tracking.object_threshold=0")
"""Every track is an object: the more rows there are to compare."""
EVERY_S, PAUSE_S = 0.5, 0.2
"""From one look to the next, and at most from one arrival to the next, s."""
BAD = (b"no recording\n", b"t,x,y,p\n1,2,3,1\nt\n")
"""Contents of bad recordings; every third is one that is cut off."""


class Arrivals:
    """Recordings that arrive in a folder while `watch` runs.

    Attributes:
        chain: the folder of it all: ``incoming``, ``found``, ``undisturbed``.
        contents: of each file, in the order in which they arrive.
        bad: names of those that cannot be read.
        wrong: a line for each thing that must not be.
        said: of every process that watched, what it said.
    """

    def __init__(self, chain: Chain, count: int, bad: int, rng: np.random.Generator) -> None:
        self.chain, self.rng = chain, rng
        self.wrong: list[str] = []
        self.said: list[str] = []
        for words in (*NETWORK, ("simulate", "-o", "made", "--set", f"simulate.recordings={count}")):
            done = chain.run(words)
            assert done.code == 0, done.said
        sound = {f"{index % 7}/night{index:03}.npz": content for index, content in enumerate(_nights(chain.folder / "made"))}
        cut = next(iter(sound.values()))[:200]
        spoilt = {f"bad{index}.{'npz' if index % 3 == 2 else 'csv'}": (*BAD, cut)[index % 3] for index in range(bad)}
        files = list({**sound, **spoilt}.items())
        self.bad = set(spoilt)
        self.contents = dict(files[index] for index in rng.permutation(len(files)))
        self._incoming = chain.folder / "incoming"

    def run(self, kills: int) -> None:
        """Let everything arrive, kill so many times, and compare the end."""
        at = {len(self.contents) * (number + 1) // (kills + 1) for number in range(kills)}
        self._incoming.mkdir()
        pid = self._watch()
        for index, (name, content) in enumerate(self.contents.items()):
            if index in at:
                kill(pid, signal.SIGKILL)
                self._end(pid, -signal.SIGKILL)
                pid = self._watch()
            self._arrive(self._incoming / name, content)
            time.sleep(self.rng.uniform(0, PAUSE_S))
        while self._missing():
            time.sleep(EVERY_S)
        kill(pid, signal.SIGTERM)
        self._end(pid, 130)
        self._compare()

    def objects(self) -> int:
        """Rows of objects.csv."""
        return (self.chain.folder / "found" / "objects.csv").read_bytes().count(b"\n") - 1

    def _arrive(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(exist_ok=True)
        how = self.rng.integers(3)
        if how == 0:
            path.write_bytes(content)
        elif how == 1:
            with path.open("wb") as file:
                file.write(content[: len(content) // 2])
                file.flush()
                time.sleep(self.rng.uniform(0, 3 * PAUSE_S))
                file.write(content[len(content) // 2 :])
        else:
            part = path.with_name(f"{path.name}.part")
            part.write_bytes(content)
            time.sleep(self.rng.uniform(0, PAUSE_S))
            part.rename(path)

    def _watch(self) -> int:
        words = ("watch", "incoming", "-o", "found", "--every", str(EVERY_S), *OPTIONS)
        return self.chain.start(words, self._spoken(len(self.said)))

    def _spoken(self, number: int) -> Path:
        return self.chain.spoken.with_name(f"watch{number}.said")

    def _end(self, pid: int, code: int) -> None:
        done = self.chain.wait(pid, self._spoken(len(self.said)))
        self.said.append(done.said)
        if done.code != code:
            self.wrong.append(f"watch: ended with {done.code}, not {code}: {done.said[-300:]}")

    def _missing(self) -> bool:
        """Whether the tables still lack a recording that has arrived, sound or bad."""
        try:
            manifest = json.loads((self.chain.folder / "found" / "detect.manifest.json").read_bytes())
        except OSError:
            return True
        told = {*manifest["recordings"], *manifest["skipped"]}
        return told != {Path(name).stem for name in self.contents} or set(manifest["skipped"]) != {
            Path(name).stem for name in self.bad
        }

    def _compare(self) -> None:
        found, whole = self.chain.folder / "found", self.chain.folder / "undisturbed"
        done = self.chain.run(("detect", "incoming", "-o", "undisturbed", *OPTIONS))
        differing = unequal(*({path.name: path.read_bytes().hex() for path in _results(folder)} for folder in (found, whole)))
        if done.code or differing:
            self.wrong.append(f"differs from one undisturbed detect ({done.code}): {differing[:5]}")
        if left := self.chain.leftovers():
            self.wrong.append(f"left over: {left[:5]}")
        again = self.chain.run(("detect", "incoming", "-o", "found", *OPTIONS))
        if again.code or "up to date" not in again.said:
            self.wrong.append(f"detect finds something to do: {again.said[-300:]}")
        for name in self.bad:
            times = sum(said.count(f"skipped {Path(name).stem}: ") for said in self.said)
            if not 1 <= times <= len(self.said):
                self.wrong.append(f"{name} was named {times} times")


def _nights(folder: Path) -> Sequence[bytes]:
    """The simulated recordings of a folder, each as numpy's file."""
    (path,) = folder.rglob("labelled_ebssa.h5")
    files = []
    for name in listed(path):
        recording, file = read(f"{path}::{name}"), io.BytesIO()
        columns = {column: recording.events[column] for column in "txyp"}
        np.savez(file, **columns, sensor_size=np.array(recording.sensor_size))
        files.append(file.getvalue())
    return files


def _results(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".") and "manifest" not in path.name]
