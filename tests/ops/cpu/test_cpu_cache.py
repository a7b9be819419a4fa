"""Compiled code is kept: the first use of a machine compiles and says so, the second does neither."""

import os
import subprocess
import sys

SCRIPT = """
import logging
logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
import torch
from spikeseg.ops import cpu
fired = torch.zeros(1, 1, 2, 2)
cpu.pool(fired, fired, 2, 2)
"""


def messages(cache):
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=settings, capture_output=True, text=True, check=True)
    return [line for line in done.stderr.splitlines() if line.startswith("spikeseg")]


def test_the_first_compilation_is_announced_and_kept(tmp_path):
    assert messages(tmp_path) == ["spikeseg: compiling kernels for this machine (each once; takes up to a minute)"]
    assert list(tmp_path.rglob("*.nbc"))
    assert messages(tmp_path) == []
