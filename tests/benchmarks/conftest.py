"""Scripts of benchmarks/ as modules, and run as a user runs them."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A run of a whole benchmark is slow, however quick it is."""
    for item in items:
        if "quick" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def script():
    """A function that imports a script by name; scripts import each other, and so do processes that they start."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module
    sys.path.remove(str(FOLDER))
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "x").parent == FOLDER:
            del sys.modules[name]


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """A function that runs a script with --quick; -> what it printed, and its JSON."""

    def run(name, *options):
        out = tmp_path_factory.mktemp("benchmark") / f"{name}.json"
        command = [sys.executable, str(FOLDER / f"{name}.py"), "--quick", "--json", str(out), *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=out.parent, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout, json.loads(out.read_text())

    return run
