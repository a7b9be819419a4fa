"""A machine on which there is nothing but torch, triton, numpy and pytest, played by this one."""

import os
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

THERE = ("torch", "triton", "numpy", "pytest")
SITE = """
from importlib.machinery import PathFinder

MISSING = frozenset({missing!r})
plain = PathFinder.find_spec


def find_spec(_, name, path=None, target=None):
    return None if name.partition(".")[0] in MISSING else plain(name, path, target)


PathFinder.find_spec = classmethod(find_spec)
"""


def missing_packages() -> list[str]:
    """Names that can be imported here and could not be there: of every distribution that none of `THERE` needs, but for ours."""
    kept, waiting = set(), [*THERE, "spikeseg"]
    while waiting:
        name = waiting.pop()
        if name in kept:
            continue
        kept.add(name)
        if name == "spikeseg":
            continue
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(needed.name.lower().replace("_", "-"))
    owners = metadata.packages_distributions()
    return sorted(name for name, of in owners.items() if not {owner.lower().replace("_", "-") for owner in of} & kept)


def bare_environment(folder: Path) -> dict[str, str]:
    """Variables under which Python, and all processes that it starts, find nothing else.

    Args:
        folder: an empty one; a sitecustomize.py is written into it.
    """
    missing = missing_packages()
    assert {"norse", "tonic", "zarr", "click", "numba", "yaml", "scipy", "hypothesis", "xdist"} <= set(missing), missing
    (folder / "sitecustomize.py").write_text(SITE.format(missing=missing))
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1"}
