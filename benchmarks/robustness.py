"""Breaks the chain of commands on purpose, at random, and counts what is not as it should be.

Run: python benchmarks/robustness.py [kills|interrupts|disk|flips|together|watch ...] [--count N] [--seed S] [--json FILE]
     [--markdown] [--quick]

- kills: SIGKILL at random moments, until the chain is through; then the end state has to equal, byte by byte, that of a chain
  that nobody disturbed, and nothing may be left over.
- interrupts: SIGINT or SIGTERM; the command ends with 130, or with 0 where it was through already, and is resumed to the same
  bytes.
- disk: the chain on file systems too small for it (needs the right to mount one); each command ends with 0, or with 3 and a
  message that names a path; once there is space, the chain goes on to the same bytes.
- flips: one bit of one file of a finished chain; when the chain is asked for again, the file is named, or made again, or not
  read; no result differs.
- together: two and eight processes that run the same command at once, all of which have to end well.
- watch: recordings, and three bad ones, arrive while `spikeseg watch` runs, which is killed twice; the end has to equal that
  of one `detect`.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import options, table, write_json
from robustness_chain import COMMANDS, Chain, Outcome, flip, kill, unequal
from robustness_watch import Arrivals

from spikeseg.core import interrupts

COUNTS = {"kills": 200, "interrupts": 100, "disk": 60, "flips": 500, "together": 64, "watch": 200}
"""How often each is tried, at least; of processes at once how many there are in all; of recordings that arrive how many."""
QUICK = {"kills": 3, "interrupts": 3, "disk": 1, "flips": 3, "together": 4, "watch": 5}
BAD, WATCH_KILLS = 3, 2
"""Of what arrives beside those recordings, and of the kills meanwhile."""

SAID = 25
"""After how many tries the counts so far are said."""


class Broken(dict[str, Any]):
    """Counts of what came of it, and under "wrong" a line for each try that must not end so."""

    def __init__(self) -> None:
        super().__init__(tries=0, outcomes=Counter(), wrong=[])

    def count(self, outcome: str, wrong: str | None = None) -> None:
        """Note one try."""
        self["tries"] += 1
        self["outcomes"][outcome] += 1
        if wrong:
            self["wrong"].append(wrong)
        if self["tries"] % SAID == 0 or wrong:
            print(self["tries"], dict(self["outcomes"]), wrong or "", file=sys.stderr, flush=True)


class Robustness:
    """What all tries share.

    Attributes:
        scratch: folder for all of them.
        rng: of the moments, sizes and bits.
        commands: the chain.
        expected: SHA-256 of each file of the undisturbed chain.
        seconds: that it takes.
        bytes: that its files take.
    """

    def __init__(self, scratch: Path, seed: int, commands: Sequence[Sequence[str]] = COMMANDS) -> None:
        self.scratch, self.rng, self.commands = scratch, np.random.default_rng(seed), commands
        self.undisturbed = self.chain("undisturbed")
        done = self.undisturbed.finish(commands)  # compiles, too
        assert done.code == 0, done.said
        self.expected = self.undisturbed.digests()
        self.bytes = sum(path.stat().st_size for path in self.undisturbed.files())
        again = self.chain("again")
        self.seconds = {}
        for words in commands:
            began = time.monotonic()
            assert again.run(words).code == 0
            self.seconds[words] = time.monotonic() - began
        differing = unequal(self.expected, again.digests())
        assert not differing, f"two undisturbed chains differ in {differing}"

    def chain(self, name: str) -> Chain:
        """A new folder to run in."""
        return Chain(self.scratch / name, self.scratch / f"{name}.said")

    def kills(self, count: int) -> Broken:
        """SIGKILL at random moments."""

        def hit(chain: Chain, words: Sequence[str], broken: Broken) -> None:
            done = self._struck(chain, words, words, signal.SIGKILL)
            broken.count("killed" if done.code == -signal.SIGKILL else "through")

        return self._disturbed("kills", count, hit)

    def interrupts(self, count: int) -> Broken:
        """SIGINT and SIGTERM at random moments."""

        def hit(chain: Chain, words: Sequence[str], broken: Broken) -> None:
            more = ("--jobs", "2") if self.rng.random() < 0.3 else ()
            done = self._struck(chain, words, [*words, *more], int(self.rng.choice(interrupts.SIGNALS)))
            fine = done.code in (0, 130) and not done.crashed
            broken.count(f"exit {done.code}", None if fine else told(words, done))

        return self._disturbed("interrupts", count, hit)

    def _struck(self, chain: Chain, words: Sequence[str], typed: Sequence[str], number: int) -> Outcome:
        """The end of a command that gets a signal at some moment of the time that it takes undisturbed."""
        pid = chain.start(typed)
        time.sleep(self.rng.uniform(0, self.seconds[words]))
        kill(pid, number)
        return chain.wait(pid)

    def _disturbed(self, name: str, count: int, hit: Callable[[Chain, Sequence[str], Broken], None]) -> Broken:
        """The chain again and again, each command hit some ten times before it may end; each time the end state is checked."""
        broken, chain = Broken(), self.chain(name)
        while broken["tries"] < count:
            chain.clear()
            for words in self.commands:
                while broken["tries"] < count and self.rng.random() < 0.9:
                    hit(chain, words, broken)
                done = chain.run(words)
                if done.code:
                    broken["wrong"].append(told(words, done))
                    break
            self._check_end(chain, broken)
        return broken

    def _check_end(self, chain: Chain, broken: Broken) -> None:
        differing, left = unequal(self.expected, chain.digests()), chain.leftovers()
        if differing:
            broken["wrong"].append(f"end state differs in {differing[:5]}")
        if left:
            broken["wrong"].append(f"left over: {left[:5]}")

    def disk(self, count: int) -> Broken:
        """File systems too small for the chain."""
        broken = Broken()
        for number in range(count):
            size = int(self.rng.uniform(16, 1.5 * self.bytes / 1024) // 4 * 4)
            mount = self.scratch / f"disk{number}"
            mount.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(mount)], check=True)
            try:
                chain = self.chain(f"disk{number}")
                for words in self.commands:
                    done = chain.run(words)
                    named = done.code == 0 or (done.code == 3 and len(done.errors) == 1 and "/" in done.errors[0])
                    if done.crashed or not named:
                        broken["wrong"].append(f"{size} kB, {' '.join(words)}: {done.code} {done.said[-400:]}")
                    if done.code:
                        break
                broken.count("did not fit" if done.code else "fitted")
                subprocess.run(["mount", "-o", f"remount,size={40 * self.bytes // 1024}k", str(mount)], check=True)
                done = chain.finish(self.commands)
                if done.code:
                    broken["wrong"].append(f"{size} kB, with space again: {done.code} {done.said[-400:]}")
                else:
                    self._check_end(chain, broken)
            finally:
                subprocess.run(["umount", "-l", str(mount)], check=True)
        return broken

    def flips(self, count: int) -> Broken:
        """One bit of one file."""
        broken = Broken()
        whole = self.undisturbed.folder
        files = sorted(path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file() and path.stat().st_size)
        for _ in range(count):
            name = str(self.rng.choice(files))
            folder = self.scratch / "flipped"
            shutil.copytree(whole, folder)
            chain = self.chain("flipped")
            bit = flip(folder / name, self.rng)
            done = chain.finish(self.commands)
            differing = unequal(self.expected, chain.digests())
            if done.crashed:
                broken.count("crashed", f"{name}, bit {bit}: {done.code} {done.said[-400:]}")
            elif done.code:
                named = Path(name).name in done.said or str(Path(name).parent) in done.said
                broken.count("named", None if named else f"{name}, bit {bit}: not named: {done.said[-300:]}")
            elif not differing:
                broken.count("made again")
            elif differing == [name]:
                broken.count("not read")
            else:
                broken.count("used", f"{name}, bit {bit}: differs in {differing[:5]}")
            shutil.rmtree(folder)
        return broken

    def together(self, count: int) -> Broken:
        """Processes that run the same command at once: pairs, and eight."""
        broken, number = Broken(), 0
        while broken["tries"] < count:
            number += 1
            chain = self.chain(f"together{number}")
            for words in self.commands:
                at_once = 2 if number % 2 else 8
                outputs = [self.scratch / f"together{number}.{i}.said" for i in range(at_once)]
                started = [(chain.start(words, said), said) for said in outputs]
                for pid, said in started:
                    done: Outcome = chain.wait(pid, said)
                    wrong = f"{at_once} x {' '.join(words)}: {done.code} {done.said[-300:]}" if done.code else None
                    broken.count(f"exit {done.code}", wrong)
            self._check_end(chain, broken)
        return broken

    def watch(self, count: int) -> Broken:
        """Recordings that arrive, bad ones among them, and kills meanwhile."""
        broken = Broken()
        arrivals = Arrivals(self.chain("watch"), count, BAD, self.rng)
        arrivals.run(WATCH_KILLS)
        broken.count(f"through, {arrivals.objects()} objects" if not arrivals.wrong else "wrong")
        broken["wrong"] += arrivals.wrong
        broken["tries"] = count
        return broken


def told(words: Sequence[str], done: Outcome) -> str:
    """A command, its exit code and its last words."""
    return f"{' '.join(words)}: {done.code} {done.said[-300:]}"


def main() -> None:
    """The command line."""
    parser = options((__doc__ or "").splitlines()[0], markdown=True)
    parser.add_argument("kinds", nargs="*", help=f"what to try [all]: {', '.join(COUNTS)}")
    parser.add_argument("--count", type=int, help=f"tries of each kind, instead of {COUNTS}")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    results: dict[str, Broken] = {}
    with tempfile.TemporaryDirectory(prefix="spikeseg-robustness-") as scratch:
        tries = Robustness(Path(scratch), arguments.seed, COMMANDS[1:3] if arguments.quick else COMMANDS)
        for kind in arguments.kinds or COUNTS:
            run: Callable[[int], Broken] = getattr(tries, kind)
            results[kind] = run(arguments.count or (QUICK if arguments.quick else COUNTS)[kind])
            print(kind, dict(results[kind]["outcomes"]), *results[kind]["wrong"], sep="\n  ", flush=True)
    rows = [
        [kind, result["tries"], ", ".join(f"{n} {what}" for what, n in sorted(result["outcomes"].items())), len(result["wrong"])]
        for kind, result in results.items()
    ]
    print(table(["broken by", "tries", "outcomes", "wrong"], rows, markdown=arguments.markdown))
    write_json(arguments.json, "robustness", {"results": results})


if __name__ == "__main__":
    main()
