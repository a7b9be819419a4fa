"""Detection in one recording, without files or command line."""

import subprocess
import sys


def imported_by(module: str) -> set[str]:
    """What else is imported with a module, in a fresh interpreter."""
    code = f"import sys, {module}; print(*(name for name in sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_library_detects_without_the_pipelines_and_the_tracker_without_the_detector():
    detector = imported_by("spikeseg.detection.detect, spikeseg.detection.online")
    assert "spikeseg.tracking.tracker" in detector and not {"click", "spikeseg.pipelines"} & detector
    assert not [name for name in imported_by("spikeseg.tracking.scene") if name.startswith("spikeseg.detection")]
    assert "numba" not in imported_by("spikeseg.detection.schema, spikeseg.detection.readout")
