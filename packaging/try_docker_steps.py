"""Do what the Dockerfile says, without Docker: in a temporary folder, with a fresh virtual environment in place of the image.

    python packaging/try_docker_steps.py [--build-arg TORCH=] [--python python3.12] [--keep FOLDER]

Absolute paths of the Dockerfile come to lie below the folder. FROM is the Python that is named; what else an image brings, its
system's packages and its user, is not tried. At the end the entry point runs with the words of CMD.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAPPED = ("/opt/spikeseg", "/data")
"""Folders of the image that are made below the temporary one."""


def steps(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile: name, rest of the line."""
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


class Image:
    """What the steps have made so far.

    Attributes:
        root: the folder that stands for the image's.
        variables: of ARG and ENV, and of the virtual environment.
        place: the working directory.
        entry: words of ENTRYPOINT and CMD.
    """

    def __init__(self, root: Path, python: str, arguments: dict[str, str]) -> None:
        self.root, self.arguments, self.place = root, arguments, root
        self.entry: list[str] = []
        subprocess.run([python, "-m", "venv", root / "venv"], check=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NUMBA", "VIRTUAL"))}
        self.variables = {**kept, "PATH": f"{root / 'venv' / 'bin'}:{os.environ['PATH']}"}

    def mapped(self, text: str) -> str:
        """The text with the image's folders below the root."""
        return re.sub(rf"(?<![\w/])(?={'|'.join(MAPPED)})", str(self.root), text)

    def do(self, name: str, rest: str) -> None:
        """One instruction. Raises SystemExit for one that is not known, CalledProcessError where a command fails."""
        if name == "ARG":
            key, _, value = rest.partition("=")
            self.variables[key] = self.arguments.get(key, " ".join(shlex.split(value)))
        elif name == "ENV":
            self.variables |= dict(word.split("=", 1) for word in shlex.split(self.mapped(rest)))
        elif name == "WORKDIR":
            self.place = Path(self.mapped(rest))
            self.place.mkdir(parents=True, exist_ok=True)
        elif name == "COPY":
            *sources, target = rest.split()
            for source in (ROOT / source for source in sources):
                if source.is_dir():
                    shutil.copytree(source, self.place / target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(source, self.place / target)
        elif name == "RUN":
            subprocess.run(["/bin/sh", "-ec", self.mapped(rest)], cwd=self.place, env=self.variables, check=True)
        elif name in ("ENTRYPOINT", "CMD"):
            self.entry += json.loads(rest)
        elif name != "FROM":
            raise SystemExit(f"Dockerfile: {name} is not known here")


def main() -> None:
    """Read the options, do the steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE", help="as of docker build")
    parser.add_argument("--python", default="python3", help="which stands for that of FROM")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="a new one, which is not removed")
    given = parser.parse_args()
    root = given.keep.absolute() if given.keep else Path(tempfile.mkdtemp(prefix="image-"))
    try:
        image = Image(root, given.python, dict(argument.split("=", 1) for argument in given.build_arg))
        for name, rest in steps((ROOT / "Dockerfile").read_text()):
            print(f"== {name} {rest}", flush=True)
            image.do(name, rest)
        print(f"== {shlex.join(image.entry)}", flush=True)
        subprocess.run(image.entry, cwd=image.place, env=image.variables, check=True)
    finally:
        if not given.keep:
            shutil.rmtree(root, ignore_errors=True)
    print("every step of the Dockerfile is done")


if __name__ == "__main__":
    main()
