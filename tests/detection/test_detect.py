"""Detection in one recording, without files or command line."""

import subprocess
import sys

import numpy as np

from spikeseg.detection.detect import strongest_class
from spikeseg.detection.objects import find_objects


def test_an_object_has_the_class_that_lit_it_up_most():
    saliency = np.zeros((2, 6, 9), np.float32)
    saliency[0, 1:3, 1:3], saliency[1, 4:6, 6:9] = 1.0, 2.0
    blobs = find_objects(saliency, 0.5)
    weak, strong = saliency * 0.4, saliency * 0.6
    strong[:, :, :4], weak[:, :, :4] = weak[:, :, :4].copy(), strong[:, :, :4].copy()
    by_x = dict(zip(np.rint(blobs.objects["x"]).tolist(), strongest_class(blobs, [weak, strong]).tolist(), strict=True))
    assert by_x == {2: 0, 7: 1}
    assert strongest_class(find_objects(saliency * 0, 0.5), [weak, strong]).tolist() == []


def imported_by(module: str) -> set[str]:
    """What else is imported with a module, in a fresh interpreter."""
    code = f"import sys, {module}; print(*(name for name in sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_library_detects_without_the_pipelines_and_the_tracker_without_the_detector():
    detector = imported_by("spikeseg.detection.detect, spikeseg.detection.online")
    assert "spikeseg.tracking.tracker" in detector and not {"click", "spikeseg.pipelines"} & detector
    assert not [name for name in imported_by("spikeseg.tracking.scene") if name.startswith("spikeseg.detection")]
    assert "numba" not in imported_by("spikeseg.detection.schema, spikeseg.detection.readout")
